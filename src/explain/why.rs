//! Reasons instead of states: why a container ended or did not start, why a port does not answer, why `stop` will take long.
//!
//! Every verdict has a code that does not change, and is drawn from the container's files, its record and the kernel as they
//! are now. A container that does what it should gets none.

mod end;
mod ports;
mod refusal;

use super::subject;
use crate::container::processes;
use crate::container::record::{Container, Phase, State};
use crate::container::spec::{self, Origin};
use crate::diag::{self, Failure};
use crate::image;
use crate::store::Store;
use refusal::Files;
use serde::Serialize;
use std::fs;

#[derive(Debug, Serialize)]
pub struct Reasons {
    pub phase: String,
    pub exit_code: i32,
    /// Each word that ran, and where it comes from.
    pub argv: Vec<Word>,
    pub verdicts: Vec<Verdict>,
}

#[derive(Debug, Serialize)]
pub struct Word {
    pub word: String,
    pub origin: Origin,
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
    PortTaken,
    PortPrivileged,
    CouldNotStart,
    OutOfMemory,
    MonitorKilled,
    WentToBackground,
    NothingToRead,
    KilledBySignal,
    Crashed,
    ShellFoundNoCommand,
    ShellCouldNotExecute,
    LibraryMissing,
    ReadOnlyFileSystem,
    NoSpaceLeft,
    AddressInUse,
    PermissionDenied,
    ConfigurationRejected,
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
    let refused = [diag::ENGINE, diag::NOT_EXECUTABLE, diag::NOT_FOUND].map(i32::from);
    let failed_to_start = !state.error.is_empty() && refused.contains(&state.exit_code);
    match state.phase {
        Phase::Running => {
            verdicts.extend(ports::unanswered(container, &image, &state));
            verdicts.extend(slow_stop(container, &state)?);
        }
        _ if failed_to_start => {
            let is_engine = state.exit_code == i32::from(diag::ENGINE);
            let reason = if is_engine { ports::refused(container) } else { files.refusal(container, &argv)? };
            verdicts.push(reason.unwrap_or_else(|| verdict(Code::CouldNotStart, &container.record.name, &state.error)));
        }
        Phase::Exited => verdicts.extend(end::ended(&files, &state, &argv)?),
        Phase::Created => {}
    }
    let argv = argv.into_iter().map(|(word, origin)| Word { word, origin }).collect();
    Ok(Reasons { phase: state.phase.to_string(), exit_code: state.exit_code, argv, verdicts })
}

fn verdict(code: Code, subject: impl ToString, found: impl ToString) -> Verdict {
    Verdict { code, subject: subject.to_string(), found: found.to_string() }
}

const SHELLS: [&str; 4] = ["sh", "bash", "ash", "dash"];

/// `SIGKILL`.
pub fn signal_name(number: i32) -> String {
    nix::sys::signal::Signal::try_from(number).map_or_else(|_| number.to_string(), |signal| signal.as_str().to_owned())
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
