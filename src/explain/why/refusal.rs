//! Why the kernel would not execute the first word.

use super::{Code, Verdict, verdict};
use crate::container::record::Container;
use crate::container::spec::Origin;
use crate::diag::Failure;
use crate::explain::sight::{self, Place, What};
use crate::explain::subject::Layer;
use crate::sys::On;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The container's files as its processes would see them.
pub struct Files<'a> {
    pub layers: &'a [Layer],
    pub container: &'a Container,
}

impl Files<'_> {
    /// Where a file lies on this host, links followed.
    pub fn find(&self, path: &Path) -> Result<Option<PathBuf>, Failure> {
        let mut path = path.to_owned();
        for _ in 0..16 {
            let sight = sight::look(&path, self.layers, Some(self.container))?;
            let Some(seen) = sight.seen() else { return Ok(None) };
            let beneath =
                |directory: &Path| directory.join(sight.resolved.strip_prefix("/").unwrap_or(&sight.resolved));
            let here = match &seen.place {
                Place::Layer { number, .. } => self.layers.get(number - 1).map(|layer| beneath(&layer.directory)),
                Place::WritableLayer => Some(beneath(&self.container.directory.join("upper"))),
                Place::Mount { source, .. } => source.clone(),
            };
            match &seen.what {
                What::Link { target } => path = sight.resolved.parent().unwrap_or(Path::new("/")).join(target),
                _ => return Ok(here),
            }
        }
        Ok(None)
    }

    /// Why the kernel would not execute the first word.
    pub fn refusal(&self, container: &Container, argv: &[(String, Origin)]) -> Result<Option<Verdict>, Failure> {
        let Some((program, _)) = argv.first() else { return Ok(None) };
        let process = container.spec()?.process().clone().unwrap_or_default();
        let env = process.env().clone().unwrap_or_default();
        let path = env.iter().find_map(|variable| variable.strip_prefix("PATH=")).unwrap_or_default();
        let candidates: Vec<PathBuf> = if program.contains('/') {
            vec![process.cwd().join(program)]
        } else {
            path.split(':').map(|directory| Path::new(directory).join(program)).collect()
        };
        for candidate in &candidates {
            if let Some(file) = self.find(candidate)? {
                return self.refusal_of(candidate, &file);
            }
        }
        let looked = if program.contains('/') { program.clone() } else { format!("PATH={path}") };
        Ok(Some(verdict(Code::CommandNotFound, program, looked)))
    }

    fn refusal_of(&self, path: &Path, file: &Path) -> Result<Option<Verdict>, Failure> {
        let metadata = fs::metadata(file).on("stat", file)?;
        let name = path.display();
        if metadata.is_dir() || metadata.permissions().mode() & 0o111 == 0 {
            return Ok(Some(verdict(
                Code::NotExecutable,
                name,
                format!("mode {:o}", metadata.permissions().mode() & 0o7777),
            )));
        }
        let mut head = Vec::new();
        fs::File::open(file).and_then(|file| file.take(64 * 1024).read_to_end(&mut head)).on("read", file)?;
        if let Some(rest) = head.strip_prefix(b"#!") {
            let line =
                String::from_utf8_lossy(rest.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
            if line.ends_with('\r') {
                return Ok(Some(verdict(Code::ScriptHasCrlf, name, format!("#!{line}").escape_default())));
            }
            let interpreter = line.split_whitespace().next().unwrap_or_default();
            return Ok(match self.find(Path::new(interpreter))? {
                Some(_) => None,
                None => Some(verdict(Code::InterpreterMissing, name, interpreter)),
            });
        }
        let Some(elf) = Elf::parse(&head) else { return Ok(None) };
        if elf.machine != Elf::HERE {
            return Ok(Some(verdict(Code::WrongArchitecture, name, machine_name(elf.machine))));
        }
        match elf.interpreter {
            Some(interpreter) if self.find(Path::new(&interpreter))?.is_none() => {
                Ok(Some(verdict(Code::InterpreterMissing, name, interpreter)))
            }
            _ => Ok(None),
        }
    }
}

/// What of an executable file decides whether it can run here (elf(5)).
struct Elf {
    machine: u16,
    /// The dynamic loader that it asks for.
    interpreter: Option<String>,
}

impl Elf {
    #[cfg(target_arch = "x86_64")]
    const HERE: u16 = 62;
    #[cfg(target_arch = "aarch64")]
    const HERE: u16 = 183;

    /// Of the beginning of a file; `None`: it is no ELF file of 64 bits and little-endian numbers.
    fn parse(head: &[u8]) -> Option<Self> {
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

fn machine_name(machine: u16) -> String {
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
