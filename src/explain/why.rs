//! Reasons instead of states: why a container ended or did not start, why a port does not answer, why `stop` will take long.
//!
//! Every verdict has a code that does not change, and is drawn from the container's files, its record and the kernel as they
//! are now. A container that does what it should gets none.

use super::compare::listening;
use super::sight::{self, Place, What};
use super::subject::{self, Layer};
use crate::container::processes;
use crate::container::record::{Container, Phase, State};
use crate::container::request::Network;
use crate::container::spec::{self, Origin};
use crate::diag::Failure;
use crate::image::{self, Image};
use crate::network::ports::Protocol;
use crate::store::Store;
use crate::sys::On;
use serde::Serialize;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Serialize)]
pub struct Reasons {
    pub phase: String,
    pub exit_code: i32,
    /// Each word that ran, and where it comes from.
    pub argv: Vec<(String, Origin)>,
    pub verdicts: Vec<Verdict>,
}

#[derive(Debug, Serialize)]
pub struct Verdict {
    pub code: Code,
    /// What it is about: a file, a port, a signal.
    pub subject: String,
    /// What was found.
    pub found: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    CommandNotFound,
    NotExecutable,
    InterpreterMissing,
    ScriptHasCrlf,
    WrongArchitecture,
    CouldNotStart,
    OutOfMemory,
    WentToBackground,
    NothingToRead,
    KilledBySignal,
    ProgramFailed,
    NothingListens,
    ListensOnLocalhost,
    ListensElsewhere,
    ExposedNotPublished,
    IgnoresSigterm,
    ShellForm,
}

/// # Errors
/// When its files or records cannot be read. Must run inside the user namespace.
pub fn look(store: &Store, container: &Container) -> Result<Reasons, Failure> {
    let image = image::find(store, &container.record.image_id.to_string())?;
    let layers = subject::layers(store, &image)?;
    let state = container.state();
    let argv = spec::argv(&container.record.request, image.config());
    let files = Files { layers: &layers, container };
    let mut verdicts = Vec::new();
    match state.phase {
        Phase::Running => {
            verdicts.extend(ports(container, &image, &state));
            verdicts.extend(slow_stop(container, &state)?);
        }
        Phase::Exited => verdicts.extend(ended(container, &state, &argv)),
        Phase::Created if state.error.is_empty() => {}
        Phase::Created => verdicts.push(match files.refusal(container, &argv)? {
            Some(verdict) => verdict,
            None => verdict(Code::CouldNotStart, &container.record.name, &state.error),
        }),
    }
    Ok(Reasons { phase: state.phase.to_string(), exit_code: state.exit_code, argv, verdicts })
}

fn verdict(code: Code, subject: impl ToString, found: impl ToString) -> Verdict {
    Verdict { code, subject: subject.to_string(), found: found.to_string() }
}

/// The container's files as its processes would see them.
struct Files<'a> {
    layers: &'a [Layer],
    container: &'a Container,
}

impl Files<'_> {
    /// Where a file lies on this host, links followed.
    fn find(&self, path: &Path) -> Result<Option<PathBuf>, Failure> {
        let mut path = path.to_owned();
        for _ in 0..16 {
            let sight = sight::look(&path, self.layers, Some(self.container))?;
            let Some(seen) = sight.seen() else { return Ok(None) };
            let beneath =
                |directory: &Path| directory.join(sight.resolved.strip_prefix("/").unwrap_or(&sight.resolved));
            let here = match &seen.place {
                Place::Layer { number, .. } => self.layers.get(number - 1).map(|layer| beneath(&layer.directory)),
                Place::WritableLayer => Some(beneath(&self.container.directory.join("upper"))),
                Place::Mount { source, .. } => source.is_absolute().then(|| source.clone()),
            };
            match &seen.what {
                What::Link(target) => path = sight.resolved.parent().unwrap_or(Path::new("/")).join(target),
                _ => return Ok(here),
            }
        }
        Ok(None)
    }

    /// Why the kernel would not execute the first word.
    fn refusal(&self, container: &Container, argv: &[(String, Origin)]) -> Result<Option<Verdict>, Failure> {
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

/// Servers that leave the first process unless they are told not to, and the word that tells them.
const TO_BACKGROUND: [(&str, &str); 6] = [
    ("nginx", "-g 'daemon off;'"),
    ("httpd", "-DFOREGROUND"),
    ("apache2ctl", "-D FOREGROUND"),
    ("sshd", "-D"),
    ("crond", "-f"),
    ("redis-server", "--daemonize no"),
];
const SHELLS: [&str; 4] = ["sh", "bash", "ash", "dash"];

fn ended(container: &Container, state: &State, argv: &[(String, Origin)]) -> Option<Verdict> {
    let name = |word: &str| Path::new(word).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let program = argv.first().map(|(word, _)| name(word)).unwrap_or_default();
    let request = &container.record.request;
    if state.oom_killed {
        let limit = request.limits.memory.map(|bytes| bytes.to_string()).unwrap_or_default();
        return Some(verdict(Code::OutOfMemory, &program, limit));
    }
    match state.exit_code {
        0 if SHELLS.contains(&program.as_str()) && argv.len() == 1 && !request.stdin => {
            Some(verdict(Code::NothingToRead, &program, "-it"))
        }
        0 => {
            // The server is the first word, or what a shell was told to start.
            let words = argv.iter().flat_map(|(word, _)| word.split_whitespace()).map(name);
            let words: Vec<String> = words.collect();
            let server = TO_BACKGROUND.iter().find(|(server, _)| words.iter().take(4).any(|word| word == server))?;
            Some(verdict(Code::WentToBackground, server.0, server.1))
        }
        code @ 129..=192 => Some(verdict(Code::KilledBySignal, &program, signal_name(code - 128))),
        code => Some(verdict(Code::ProgramFailed, &program, code)),
    }
}

/// `SIGKILL`.
pub fn signal_name(number: i32) -> String {
    nix::sys::signal::Signal::try_from(number).map_or_else(|_| number.to_string(), |signal| signal.as_str().to_owned())
}

fn ports(container: &Container, image: &Image, state: &State) -> Vec<Verdict> {
    let request = &container.record.request;
    let sockets = listening(state.pid);
    let mut verdicts = Vec::new();
    // Once for both families of addresses.
    let mut published: Vec<_> = state.ports.iter().filter(|port| port.protocol == Protocol::Tcp).collect();
    published.dedup_by_key(|port| (port.host_port, port.container_port));
    for port in published {
        let way = format!("{} → {}", port.host_port, port.container_port);
        let suffix = format!(":{}/tcp", port.container_port);
        let there: Vec<&String> = sockets.iter().filter(|socket| socket.ends_with(&suffix)).collect();
        if !there.is_empty() {
            if there.iter().all(|socket| socket.starts_with("localhost:")) {
                verdicts.push(verdict(Code::ListensOnLocalhost, way, sockets.join(", ")));
            }
        } else if sockets.is_empty() {
            verdicts.push(verdict(Code::NothingListens, way, ""));
        } else {
            verdicts.push(verdict(Code::ListensElsewhere, way, sockets.join(", ")));
        }
    }
    let exposed =
        image.config().config().as_ref().and_then(|config| config.exposed_ports().clone()).unwrap_or_default();
    if request.network == Network::Private && state.ports.is_empty() {
        for port in exposed {
            let number = port.split('/').next().unwrap_or_default();
            if sockets.iter().any(|socket| socket.ends_with(&format!(":{number}/tcp"))) {
                verdicts.push(verdict(Code::ExposedNotPublished, &port, format!("-p {number}:{number}")));
            }
        }
    }
    verdicts
}

/// Whether process 1 will not end when `stop` asks it to: the kernel gives it no signal that it has no handler for.
fn slow_stop(container: &Container, state: &State) -> Result<Option<Verdict>, Failure> {
    let signal = match &container.record.request.stop_signal {
        Some(name) => crate::container::request::signal(name).unwrap_or(libc::SIGTERM),
        None => libc::SIGTERM,
    };
    let status = fs::read_to_string(format!("/proc/{}/status", state.pid)).unwrap_or_default();
    let mask = |name| status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix(name)?.trim(), 16).ok());
    // What is blocked is waited for in another way (signalfd, sigwait).
    let (Some(caught), Some(blocked)) = (mask("SigCgt:"), mask("SigBlk:")) else { return Ok(None) };
    if (caught | blocked) >> (signal - 1) & 1 == 1 {
        return Ok(None);
    }
    let process = container.spec()?.process().clone().unwrap_or_default();
    let args = process.args().clone().unwrap_or_default();
    let is_shell = args.len() == 3 && args[1] == "-c" && SHELLS.iter().any(|shell| args[0].ends_with(shell));
    let name = signal_name(signal);
    if is_shell && processes::pids(state.pid).len() > 1 {
        return Ok(Some(verdict(Code::ShellForm, name, &args[2])));
    }
    let program = fs::read_to_string(format!("/proc/{}/comm", state.pid)).unwrap_or_default();
    Ok(Some(verdict(Code::IgnoresSigterm, name, program.trim())))
}
