//! The header of an executable file (elf(5)).

/// The fields of an ELF file that decide whether it can run here.
pub(super) struct Elf {
    pub machine: u16,
    /// The dynamic loader that it asks for.
    pub interpreter: Option<String>,
}

impl Elf {
    #[cfg(target_arch = "x86_64")]
    pub(super) const HERE: u16 = 62;
    #[cfg(target_arch = "aarch64")]
    pub(super) const HERE: u16 = 183;

    /// Parses the beginning of a file; `None`: it is not an ELF file. The interpreter is read from 64-bit little-endian files
    /// only.
    pub(super) fn parse(head: &[u8]) -> Option<Self> {
        let number = |at: usize, width: usize| -> Option<u64> {
            let bytes = head.get(at..at.checked_add(width)?)?;
            Some(bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
        };
        if head.get(..4)? != b"\x7fELF" {
            return None;
        }
        let machine = number(18, 2)? as u16;
        if head.get(4..6)? != [2, 1] {
            return Some(Self { machine, interpreter: None });
        }
        let (table, size, count) = (number(32, 8)? as usize, number(54, 2)? as usize, number(56, 2)? as usize);
        const PT_INTERP: u64 = 3;
        let interpreter = (0..count).find_map(|index| {
            let entry = table.checked_add(index.checked_mul(size)?)?;
            if number(entry, 4)? != PT_INTERP {
                return None;
            }
            let (from, length) = (number(entry + 8, 8)? as usize, number(entry + 32, 8)? as usize);
            let text = head.get(from..from.checked_add(length)?)?;
            Some(String::from_utf8_lossy(text).trim_end_matches('\0').to_owned())
        });
        Some(Self { machine, interpreter })
    }
}

pub(super) fn machine_name(machine: u16) -> String {
    match machine {
        3 => "386".into(),
        21 => "ppc64le".into(),
        22 => "s390x".into(),
        40 => "arm".into(),
        62 => "amd64".into(),
        183 => "arm64".into(),
        243 => "riscv64".into(),
        other => format!("machine {other}"),
    }
}
