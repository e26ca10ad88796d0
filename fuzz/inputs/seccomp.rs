//! A seccomp policy of anybody: an error, or a program that the kernel's own check (bpf_check_classic) would take.

use libc::{BPF_ABS, BPF_ALU, BPF_AND, BPF_JA, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
use minirun::exposed::compile;
use oci_spec::runtime::LinuxSeccomp;

pub fn run(data: &[u8]) {
    let Ok(policy) = serde_json::from_slice::<LinuxSeccomp>(data) else { return };
    let Ok(filter) = compile(&policy) else { return };
    let length = filter.program.len();
    assert!((1..=4096).contains(&length), "{length} instructions");
    for (at, instruction) in filter.program.iter().enumerate() {
        let code = u32::from(instruction.code);
        let furthest = match code {
            _ if code == BPF_RET | BPF_K => continue,
            // struct seccomp_data has 64 bytes, read in words.
            _ if code == BPF_LD | BPF_W | BPF_ABS => {
                assert!(instruction.k < 64 && instruction.k.is_multiple_of(4), "reads at {}", instruction.k);
                0
            }
            _ if code == BPF_ALU | BPF_AND | BPF_K => 0,
            _ if code == BPF_JMP | BPF_JA => instruction.k as usize,
            _ => usize::from(instruction.jt.max(instruction.jf)),
        };
        assert!(at + 1 + furthest < length, "instruction {at} of {length} leads out of the program");
    }
}
