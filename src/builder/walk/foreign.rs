//! Finds out whether this machine runs programs of other architectures, by an emulator that the kernel calls (binfmt_misc):
//! executes a program of a few bytes that only exits, because the kernel's list of emulators may not be visible.

use super::shared::Shared;
use crate::builder::error::BuildError;
use crate::builder::read::stage::{Base, StageId};
use crate::image::name::platform;
use rustix::fs::{MemfdFlags, memfd_create};
use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::sync::Mutex;

impl Shared<'_> {
    /// Returns the platform of a stage's base image, if this machine cannot run programs for it.
    pub(crate) fn foreign_platform(&self, id: StageId) -> Result<Option<String>, BuildError> {
        let mut id = id;
        while let Base::Stage(base) = self.plan.stage(id).base {
            id = base;
        }
        let Base::Image(name) = &self.plan.stage(id).base else { return Ok(None) };
        let Some(image) = self.bases.get(&(name.clone(), self.platform(id)?.to_string())) else { return Ok(None) };
        let platform = platform::of_config(image.config());
        let cannot_run = runs(&image.config().architecture().to_string()) == Some(false);
        Ok(cannot_run.then(|| platform.to_string()))
    }
}

/// An architecture as ELF describes it, and its machine code for `exit(0)`.
struct Machine {
    architecture: &'static str,
    number: u16,
    is_64: bool,
    is_big: bool,
    flags: u32,
    code: &'static [u8],
}

const MACHINES: [Machine; 7] = [
    machine("amd64", 62, true, 0, b"\x31\xff\xb8\x3c\0\0\0\x0f\x05"),
    machine("386", 3, false, 0, b"\x31\xdb\xb8\x01\0\0\0\xcd\x80"),
    machine("arm64", 183, true, 0, b"\0\0\x80\xd2\xa8\x0b\x80\xd2\x01\0\0\xd4"),
    machine("arm", 40, false, 0x0500_0000, b"\0\0\xa0\xe3\x01\x70\xa0\xe3\0\0\0\xef"),
    machine("riscv64", 243, true, 0, b"\x13\x05\0\0\x93\x08\xd0\x05\x73\0\0\0"),
    machine("ppc64le", 21, true, 2, b"\x01\0\0\x38\0\0\x60\x38\x02\0\0\x44"),
    Machine { is_big: true, ..machine("s390x", 22, true, 0, b"\xa7\x29\0\0\x0a\x01") },
];

const fn machine(architecture: &'static str, number: u16, is_64: bool, flags: u32, code: &'static [u8]) -> Machine {
    Machine { architecture, number, is_64, is_big: false, flags, code }
}

/// Whether this machine runs programs of an architecture. `None`: there is no test program for it.
pub(crate) fn runs(architecture: &str) -> Option<bool> {
    static KNOWN: Mutex<Option<HashMap<&'static str, bool>>> = Mutex::new(None);
    let machine = MACHINES.iter().find(|machine| machine.architecture == architecture)?;
    let mut known = KNOWN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    Some(*known.get_or_insert_default().entry(machine.architecture).or_insert_with(|| machine.try_it()))
}

impl Machine {
    fn try_it(&self) -> bool {
        let Ok(file) = memfd_create("program", MemfdFlags::empty()) else { return false };
        let mut file = File::from(file);
        if file.write_all(&self.program()).is_err() {
            return false;
        }
        // The emulator opens the file again, by this path.
        let mut command = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
        let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        ended.is_ok_and(|status| status.success())
    }

    /// Returns a complete static program.
    fn program(&self) -> Vec<u8> {
        const ADDRESS: u64 = 0x40_0000;
        let (header, segment): (u64, u64) = if self.is_64 { (64, 56) } else { (52, 32) };
        let (begin, size) = (header + segment, header + segment + self.code.len() as u64);
        let mut bytes = b"\x7fELF".to_vec();
        bytes.extend([if self.is_64 { 2 } else { 1 }, if self.is_big { 2 } else { 1 }, 1]);
        bytes.resize(16, 0);
        let half = |bytes: &mut Vec<u8>, value: u16| {
            bytes.extend(if self.is_big { value.to_be_bytes() } else { value.to_le_bytes() });
        };
        let word = |bytes: &mut Vec<u8>, value: u32| {
            bytes.extend(if self.is_big { value.to_be_bytes() } else { value.to_le_bytes() });
        };
        let long = |bytes: &mut Vec<u8>, value: u64| match (self.is_64, self.is_big) {
            (true, true) => bytes.extend(value.to_be_bytes()),
            (true, false) => bytes.extend(value.to_le_bytes()),
            (false, _) => word(bytes, value as u32),
        };
        // Type, machine and version of the file.
        half(&mut bytes, 2);
        half(&mut bytes, self.number);
        word(&mut bytes, 1);
        [ADDRESS + begin, header, 0].into_iter().for_each(|value| long(&mut bytes, value));
        word(&mut bytes, self.flags);
        [header as u16, segment as u16, 1, 0, 0, 0].into_iter().for_each(|value| half(&mut bytes, value));
        // One segment: the whole file, readable and executable.
        word(&mut bytes, 1);
        if self.is_64 {
            word(&mut bytes, 5);
        }
        [0, ADDRESS, ADDRESS, size, size].into_iter().for_each(|value| long(&mut bytes, value));
        if !self.is_64 {
            word(&mut bytes, 5);
        }
        long(&mut bytes, 0x1000);
        bytes.extend(self.code);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_runs_its_own_programs() {
        let own = crate::image::name::platform::architecture();
        assert_ne!(runs(own), Some(false));
        assert_eq!(runs("pdp11"), None);
    }
}
