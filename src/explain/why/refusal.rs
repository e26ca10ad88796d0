//! Why the kernel would not execute the first word.

use super::elf::{Elf, machine_name};
use super::files::Files;
use super::verdict::{DIRECTORY, Verdict};
use super::{Code, absent};
use crate::container::decide::spec::Origin;
use crate::diag::Failure;
use crate::sys::On;
use crate::userns::IdMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Explains why the kernel would not execute the first word of a command.
pub(super) fn of_argv(files: &Files, argv: &[(String, Origin)]) -> Result<Option<Verdict>, Failure> {
    let Some((program, _)) = argv.first() else { return Ok(None) };
    let process = files.container.spec()?.process().clone().unwrap_or_default();
    if files.find(process.cwd())?.is_some_and(|directory| !directory.is_dir()) {
        return Ok(Some(Verdict::new(Code::WorkdirNotADirectory, process.cwd().display(), "-w")));
    }
    // An empty word would name each directory of the PATH.
    match files.program(program)?.filter(|_| !program.is_empty()) {
        Some((path, file)) => of_file(files, &path, &file),
        None => absent::verdict(files, argv),
    }
}

/// Explains why the kernel would not execute the program that a word names, if it exists.
pub(super) fn of_word(files: &Files, word: &str) -> Result<Option<Verdict>, Failure> {
    match files.program(word)? {
        Some((path, file)) => of_file(files, &path, &file),
        None => Ok(None),
    }
}

fn of_file(files: &Files, path: &Path, file: &Path) -> Result<Option<Verdict>, Failure> {
    let metadata = fs::metadata(file).on("stat", file)?;
    let name = path.display();
    let mode = metadata.permissions().mode() & 0o7777;
    if metadata.is_dir() {
        return Ok(Some(Verdict::new(Code::NotExecutable, name, DIRECTORY)));
    }
    if mode & 0o111 == 0 {
        return Ok(Some(Verdict::new(Code::NotExecutable, name, format!("mode {mode:o}"))));
    }
    if let Some(verdict) = by_user(files, path)? {
        return Ok(Some(verdict));
    }
    if is_noexec(files, path)? {
        return Ok(Some(Verdict::new(Code::MountedNoexec, name, "noexec")));
    }
    // Opening a pipe would block.
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
        return by_interpreter(files, path, &line);
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
        Some(interpreter) if files.find(Path::new(&interpreter))?.is_none() => {
            Ok(Some(Verdict::new(Code::InterpreterMissing, name, interpreter)))
        }
        _ => Ok(None),
    }
}

/// `line`: the first one, without its `#!`.
fn by_interpreter(files: &Files, path: &Path, line: &str) -> Result<Option<Verdict>, Failure> {
    let name = path.display();
    if line.ends_with('\r') {
        return Ok(Some(Verdict::new(Code::ScriptHasCrlf, name, format!("#!{line}").escape_default())));
    }
    let mut words = line.split_whitespace();
    let Some(interpreter) = words.next() else {
        return Ok(Some(Verdict::new(Code::NoInterpreterLine, name, format!("#!{line}"))));
    };
    let Some(file) = files.find(Path::new(interpreter))? else {
        return Ok(Some(Verdict::new(Code::InterpreterMissing, name, interpreter)));
    };
    // `#!/usr/bin/env python3`; `-S` splits the rest, and variables may come first.
    if interpreter.ends_with("/env") {
        let program = words.find(|word| !word.starts_with('-') && !word.contains('='));
        return Ok(match program {
            Some(program) if files.program(program)?.is_none() => {
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

/// Explains whether the container's user lacks a permission to execute a file or enter a directory above it. Root has the
/// capabilities to do both.
fn by_user(files: &Files, path: &Path) -> Result<Option<Verdict>, Failure> {
    let process = files.container.spec()?.process().clone().unwrap_or_default();
    let user = process.user();
    // With one ID only, every process has the ID that owns all files.
    if user.uid() == 0 || IdMap::of_caller().is_single() {
        return Ok(None);
    }
    for part in path.ancestors().collect::<Vec<_>>().into_iter().rev() {
        let Some(file) = files.find(part)? else { continue };
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

/// Whether a path is on a mount of the container with the option noexec.
fn is_noexec(files: &Files, path: &Path) -> Result<bool, Failure> {
    let mounts = files.container.spec()?.mounts().iter().flatten().filter(|m| path.starts_with(m.destination()));
    let innermost = mounts.max_by_key(|mount| mount.destination().components().count());
    Ok(innermost.is_some_and(|mount| mount.options().iter().flatten().any(|option| option == "noexec")))
}

/// Returns what follows `#!`, up to the end of the line.
fn first_line(head: &[u8]) -> Option<String> {
    let line = head.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next().unwrap_or_default();
    Some(String::from_utf8_lossy(line).into_owned())
}
