//! Why the kernel would not execute the first word.

use super::{Code, Verdict, absent};
use crate::container::decide::spec;
use crate::container::decide::spec::Origin;
use crate::container::stored::record::Container;
use crate::diag::Failure;
use crate::explain::sight::{self, Place, What};
use crate::explain::subject::Layer;
use crate::sys::On;
use crate::userns::IdMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// As much of a script or of settings as any person has written.
const LONGEST_TEXT: u64 = 1 << 20;

/// The container's files as its processes would see them.
pub(super) struct Files<'a> {
    pub layers: &'a [Layer],
    pub container: &'a Container,
}

impl Files<'_> {
    /// Where a file lies on this host, links followed.
    pub(super) fn find(&self, path: &Path) -> Result<Option<PathBuf>, Failure> {
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

    /// The files that a word may name: itself, or one in each directory of the container's PATH.
    pub(super) fn candidates(&self, program: &str) -> Result<Vec<PathBuf>, Failure> {
        let process = self.container.spec()?.process().clone().unwrap_or_default();
        Ok(if program.contains('/') {
            vec![process.cwd().join(program)]
        } else {
            self.path()?.split(':').map(|directory| Path::new(directory).join(program)).collect()
        })
    }

    pub(super) fn path(&self) -> Result<String, Failure> {
        let env = self.env()?;
        let path = env.iter().find_map(|variable| variable.strip_prefix("PATH="));
        Ok(path.unwrap_or(spec::DEFAULT_PATH).to_owned())
    }

    /// `NAME=VALUE` of its first process, as it was created.
    pub(super) fn env(&self) -> Result<Vec<String>, Failure> {
        let process = self.container.spec()?.process().clone().unwrap_or_default();
        Ok(process.env().clone().unwrap_or_default())
    }

    /// What a file says; nothing, where there is none.
    pub(super) fn text(&self, path: &Path) -> Result<String, Failure> {
        // It may be a pipe by now, which would keep us waiting.
        let file = self.find(path)?.filter(|file| file.is_file()).and_then(|file| fs::File::open(file).ok());
        let mut text = Vec::new();
        if let Some(file) = file {
            file.take(LONGEST_TEXT).read_to_end(&mut text).on("read", path)?;
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// The file that the container would execute for a word, under its name there and on this host.
    pub(super) fn program(&self, program: &str) -> Result<Option<(PathBuf, PathBuf)>, Failure> {
        for candidate in self.candidates(program)? {
            if let Some(file) = self.find(&candidate)? {
                return Ok(Some((candidate, file)));
            }
        }
        Ok(None)
    }

    /// Why the kernel would not execute the first word.
    pub(super) fn refusal(&self, argv: &[(String, Origin)]) -> Result<Option<Verdict>, Failure> {
        let Some((program, _)) = argv.first() else { return Ok(None) };
        let process = self.container.spec()?.process().clone().unwrap_or_default();
        if self.find(process.cwd())?.is_some_and(|directory| !directory.is_dir()) {
            return Ok(Some(Verdict::new(Code::WorkdirNotADirectory, process.cwd().display(), "-w")));
        }
        // An empty word would name each directory of the PATH.
        match self.program(program)?.filter(|_| !program.is_empty()) {
            Some((path, file)) => self.refusal_of(&path, &file),
            None => absent::verdict(self, argv),
        }
    }

    /// Why the kernel would not execute what a word names, if something of that name is there.
    pub(super) fn refusal_of_word(&self, word: &str) -> Result<Option<Verdict>, Failure> {
        match self.program(word)? {
            Some((path, file)) => self.refusal_of(&path, &file),
            None => Ok(None),
        }
    }

    fn refusal_of(&self, path: &Path, file: &Path) -> Result<Option<Verdict>, Failure> {
        let metadata = fs::metadata(file).on("stat", file)?;
        let name = path.display();
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_dir() {
            return Ok(Some(Verdict::new(Code::NotExecutable, name, DIRECTORY)));
        }
        if mode & 0o111 == 0 {
            return Ok(Some(Verdict::new(Code::NotExecutable, name, format!("mode {mode:o}"))));
        }
        if let Some(verdict) = self.refusal_by_user(path)? {
            return Ok(Some(verdict));
        }
        if self.is_noexec(path)? {
            return Ok(Some(Verdict::new(Code::MountedNoexec, name, "noexec")));
        }
        // To open a pipe would keep us waiting.
        if !metadata.is_file() {
            return Ok(None);
        }
        let mut head = Vec::new();
        fs::File::open(file).and_then(|file| file.take(64 * 1024).read_to_end(&mut head)).on("read", file)?;
        if head.is_empty() {
            return Ok(Some(Verdict::new(Code::FileIsEmpty, name, "0")));
        }
        if head.starts_with(b"\xef\xbb\xbf#!") {
            return Ok(Some(Verdict::new(Code::ScriptHasBom, name, "EF BB BF")));
        }
        if let Some(line) = first_line(&head) {
            return self.refusal_by_interpreter(path, &line);
        }
        let Some(elf) = Elf::parse(&head) else {
            let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let line: String = String::from_utf8_lossy(line).chars().take(60).collect();
            return Ok(Some(Verdict::new(Code::NoInterpreterLine, name, line.escape_debug())));
        };
        if elf.machine != Elf::HERE {
            return Ok(Some(Verdict::new(Code::WrongArchitecture, name, machine_name(elf.machine))));
        }
        match elf.interpreter {
            Some(interpreter) if self.find(Path::new(&interpreter))?.is_none() => {
                Ok(Some(Verdict::new(Code::InterpreterMissing, name, interpreter)))
            }
            _ => Ok(None),
        }
    }

    /// `line`: the first one, without its `#!`.
    fn refusal_by_interpreter(&self, path: &Path, line: &str) -> Result<Option<Verdict>, Failure> {
        let name = path.display();
        if line.ends_with('\r') {
            return Ok(Some(Verdict::new(Code::ScriptHasCrlf, name, format!("#!{line}").escape_default())));
        }
        let mut words = line.split_whitespace();
        let Some(interpreter) = words.next() else {
            return Ok(Some(Verdict::new(Code::NoInterpreterLine, name, format!("#!{line}"))));
        };
        let Some(file) = self.find(Path::new(interpreter))? else {
            return Ok(Some(Verdict::new(Code::InterpreterMissing, name, interpreter)));
        };
        // `#!/usr/bin/env python3`; `-S` splits the rest, and variables may come first.
        if interpreter.ends_with("/env") {
            let program = words.find(|word| !word.starts_with('-') && !word.contains('='));
            return Ok(match program {
                Some(program) if self.program(program)?.is_none() => {
                    Some(Verdict::new(Code::InterpreterMissing, name, program))
                }
                _ => None,
            });
        }
        let mode = fs::metadata(&file).on("stat", &file)?.permissions().mode();
        let is_executable = file.is_file() && mode & 0o111 != 0;
        Ok((!is_executable).then(|| {
            let found = if file.is_dir() { DIRECTORY.to_owned() } else { format!("mode {:o}", mode & 0o7777) };
            Verdict::new(Code::NotExecutable, interpreter, found)
        }))
    }

    /// Whether its user may not execute a file, or not enter a directory above it. Root may, by its capabilities.
    fn refusal_by_user(&self, path: &Path) -> Result<Option<Verdict>, Failure> {
        let process = self.container.spec()?.process().clone().unwrap_or_default();
        let user = process.user();
        // With one id only, every process has the id that owns all files.
        if user.uid() == 0 || IdMap::of_caller().is_single() {
            return Ok(None);
        }
        for part in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
            let Some(file) = self.find(part)? else { continue };
            let metadata = fs::metadata(&file).on("stat", &file)?;
            let (owner, group) = (metadata.uid(), metadata.gid());
            let mode = metadata.permissions().mode() & 0o7777;
            let is_in_group = user.gid() == group || user.additional_gids().iter().flatten().any(|gid| *gid == group);
            let shift = if user.uid() == owner {
                6
            } else if is_in_group {
                3
            } else {
                0
            };
            if mode >> shift & 1 == 0 {
                let found = format!("{owner}:{group}, mode {mode:o}");
                let who = format!("{}:{}", user.uid(), user.gid());
                return Ok(Some(Verdict::new(Code::NotExecutableByUser, part.display(), found).advise(who)));
            }
        }
        Ok(None)
    }

    /// Whether a path is on a mount of the container from which nothing is executed.
    fn is_noexec(&self, path: &Path) -> Result<bool, Failure> {
        let mounts = self.container.spec()?.mounts().iter().flatten().filter(|m| path.starts_with(m.destination()));
        let innermost = mounts.max_by_key(|mount| mount.destination().components().count());
        Ok(innermost.is_some_and(|mount| mount.options().iter().flatten().any(|option| option == "noexec")))
    }
}

/// What the verdict says of a directory in a program's place.
pub(super) const DIRECTORY: &str = "directory";

/// What follows `#!`, up to the end of the line.
fn first_line(head: &[u8]) -> Option<String> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Some(String::from_utf8_lossy(line).into_owned())
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
