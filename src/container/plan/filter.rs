//! The instructions of a system call filter as numbers of a plan.

use crate::container::decide::seccomp::OF_KERNEL;

/// Returns a BPF instruction as one number, the form it has in a plan.
pub(crate) fn pack(instruction: &libc::sock_filter) -> u64 {
    let libc::sock_filter { code, jt, jf, k } = *instruction;
    u64::from(code) << 48 | u64::from(jt) << 40 | u64::from(jf) << 32 | u64::from(k)
}

pub(crate) fn unpack(number: u64) -> libc::sock_filter {
    libc::sock_filter {
        code: (number >> 48) as u16,
        jt: (number >> 40) as u8,
        jf: (number >> 32) as u8,
        k: number as u32,
    }
}

/// Returns an instruction as the kernel has it in memory (struct sock_filter).
pub(crate) fn bytes(number: u64) -> [u8; 8] {
    let libc::sock_filter { code, jt, jf, k } = unpack(number);
    let mut bytes = [0; 8];
    bytes[..2].copy_from_slice(&code.to_ne_bytes());
    bytes[2..4].copy_from_slice(&[jt, jf]);
    bytes[4..].copy_from_slice(&k.to_ne_bytes());
    bytes
}

/// Returns a filter as it is where no agent answers.
pub(crate) fn without_agent(program: &[u64]) -> Vec<u64> {
    let plain = |number: &u64| {
        let libc::sock_filter { code, jt, jf, k } = unpack(*number);
        let is_return = u32::from(code) == libc::BPF_RET | libc::BPF_K;
        if !is_return || k & libc::SECCOMP_RET_ACTION_FULL != libc::SECCOMP_RET_USER_NOTIF {
            return *number;
        }
        let k = match k & libc::SECCOMP_RET_DATA {
            OF_KERNEL => libc::SECCOMP_RET_ALLOW,
            errno => libc::SECCOMP_RET_ERRNO | errno,
        };
        pack(&libc::sock_filter { code, jt, jf, k })
    };
    program.iter().map(plain).collect()
}
