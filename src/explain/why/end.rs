//! Why the first process ended: by its exit code, and by the last lines that it wrote.

use super::refusal::Files;
use super::{Code, SHELLS, Verdict, signal_name, verdict};
use crate::container::logs;
use crate::container::record::{Container, State};
use crate::container::spec::Origin;
use crate::diag::Failure;
use std::path::Path;

/// Servers that leave the first process unless they are told not to, and the word that tells them.
const TO_BACKGROUND: [(&str, &str); 6] = [
    ("nginx", "-g 'daemon off;'"),
    ("httpd", "-DFOREGROUND"),
    ("apache2ctl", "-D FOREGROUND"),
    ("sshd", "-D"),
    ("crond", "-f"),
    ("redis-server", "--daemonize no"),
];

/// What the C libraries and the kernel's error numbers put into a program's last words, and what it tells.
const LAST_WORDS: [(&str, Code); 7] = [
    ("error while loading shared libraries: ", Code::LibraryMissing),
    ("Error loading shared library ", Code::LibraryMissing),
    ("Read-only file system", Code::ReadOnlyFileSystem),
    ("No space left on device", Code::NoSpaceLeft),
    ("Address already in use", Code::AddressInUse),
    ("Address in use", Code::AddressInUse),
    ("Permission denied", Code::PermissionDenied),
];

/// As many lines are its last words.
const LINES: usize = 5;

pub fn ended(files: &Files, state: &State, argv: &[(String, Origin)]) -> Result<Option<Verdict>, Failure> {
    let container = files.container;
    let name = |word: &str| Path::new(word).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let program = argv.first().map(|(word, _)| name(word)).unwrap_or_default();
    let request = &container.record.request;
    if state.oom_killed {
        let limit = request.limits.memory.map(|bytes| bytes.to_string()).unwrap_or_default();
        return Ok(Some(verdict(Code::OutOfMemory, &program, limit)));
    }
    if !state.error.is_empty() {
        return Ok(Some(verdict(Code::MonitorKilled, &program, &state.error)));
    }
    Ok(match state.exit_code {
        0 if SHELLS.contains(&program.as_str()) && argv.len() == 1 && !request.stdin => {
            Some(verdict(Code::NothingToRead, &program, "-it"))
        }
        0 => {
            // The server is the first word, or what a shell was told to start.
            let words: Vec<String> = argv.iter().flat_map(|(word, _)| word.split_whitespace()).map(name).collect();
            let server = TO_BACKGROUND.iter().find(|(server, _)| words.iter().take(4).any(|word| word == server));
            server.map(|(server, word)| verdict(Code::WentToBackground, server, word))
        }
        code @ 129..=192 => {
            let is_crash = matches!(
                code - 128,
                libc::SIGSEGV | libc::SIGABRT | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGSYS
            );
            let code_of = if is_crash { Code::Crashed } else { Code::KilledBySignal };
            Some(verdict(code_of, &program, signal_name(code - 128)))
        }
        code => Some(match last_words(files, container, code)? {
            Some((code, line)) => verdict(code, &program, line),
            None => verdict(Code::ProgramFailed, &program, code),
        }),
    })
}

/// The line that tells why, and what it tells.
fn last_words(files: &Files, container: &Container, code: i32) -> Result<Option<(Code, String)>, Failure> {
    let lines: Vec<String> =
        logs::last(&container.log(), LINES).into_iter().map(|entry| entry.log.trim_end().to_owned()).collect();
    for line in lines.iter().rev() {
        // What a shell ends with that could not execute its last command (POSIX, "Exit Status for Commands").
        match code {
            127 if line.ends_with("not found") => return Ok(Some((Code::ShellFoundNoCommand, line.clone()))),
            126 if line.ends_with("Permission denied") || line.ends_with("Exec format error") => {
                return Ok(Some((Code::ShellCouldNotExecute, line.clone())));
            }
            _ => {}
        }
        if let Some((_, code)) = LAST_WORDS.iter().find(|(words, _)| line.contains(words)) {
            return Ok(Some((*code, line.clone())));
        }
    }
    for line in lines.iter().rev() {
        for word in line.split(|c: char| c.is_whitespace() || "\"'`()[],;".contains(c)) {
            // `/etc/nginx/nginx.conf:12:`
            let path = Path::new(word.split(':').next().unwrap_or_default());
            if is_configuration(path) && files.find(path)?.is_some_and(|file| file.is_file()) {
                return Ok(Some((Code::ConfigurationRejected, line.clone())));
            }
        }
    }
    Ok(None)
}

fn is_configuration(path: &Path) -> bool {
    const ENDINGS: [&str; 8] = ["conf", "cnf", "cfg", "ini", "json", "toml", "yaml", "yml"];
    let ending = path.extension().and_then(|ending| ending.to_str());
    path.is_absolute() && (path.starts_with("/etc") || ending.is_some_and(|ending| ENDINGS.contains(&ending)))
}
