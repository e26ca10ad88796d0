//! Going on inside the user namespace: the errand that another process of minirun is sent on, and its outer half.

use super::stderr;
use crate::diag::{Diagnose, ENGINE, Failure};
use crate::image::name::platform::Platform;
use crate::image::name::reference::Reference;
use crate::registry::credentials;
use crate::store::Store;
use crate::sys::{On, SysError};
use crate::userns::{self, Outer, Place};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// What a process inside is sent to do.
#[derive(Serialize, Deserialize)]
pub(super) enum Errand {
    /// Carry out a command line as if it had been typed inside.
    CommandLine(Vec<Word>),
    /// Pull the image of a new container.
    Pull(MissingImage),
}

/// The image that a new container lacks, and how to pull it.
#[derive(Serialize, Deserialize)]
pub(super) struct MissingImage {
    pub reference: Reference,
    /// `None`: this machine's.
    pub platform: Option<Platform>,
    pub tls_verify: bool,
    pub quiet: bool,
}

/// A word of a command line, of any bytes.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Word(#[serde(with = "userns::bytes")] pub OsString);

impl Errand {
    fn command_line(words: impl IntoIterator<Item = OsString>) -> Self {
        Self::CommandLine(words.into_iter().map(Word).collect())
    }
}

/// The other half of this command has done the work, and printed what there was to print.
#[derive(Debug, thiserror::Error)]
#[error("the command ended inside the user namespace with status {status}")]
struct Ended {
    status: u8,
}

impl Diagnose for Ended {
    fn is_told(&self) -> bool {
        true
    }

    fn exit_code(&self) -> u8 {
        self.status
    }
}

/// The half that stays outside.
struct Host;

impl Outer for Host {
    /// Answers with a login of this host.
    fn answer(&mut self, registry: &[u8]) -> Vec<u8> {
        let (answer, error) = credentials::answer(registry);
        if let Some(error) = error {
            stderr::report(&error);
            stderr::note("going on without a login");
        }
        answer
    }

    fn note(&mut self, note: &str) {
        stderr::note(note);
    }
}

/// Returns inside the user's namespace only, where the ids of an image are real ids. Outside of it, the same command line is
/// carried out inside, and this half answers what it asks about the host.
///
/// # Errors
/// One with the exit status of the inner half when that has ended; any other when the namespace cannot be entered.
pub(super) fn enter(store: &Store) -> Result<(), Failure> {
    enter_at(store, Place::Shared)
}

/// [`enter`], into a certain namespace.
pub(super) fn enter_at(store: &Store, place: Place) -> Result<(), Failure> {
    if userns::has_ids(store) {
        return Ok(());
    }
    let status = userns::run_inside(store, place, Errand::command_line(std::env::args_os()), &mut Host)?;
    Err(Ended { status: u8::try_from(status).unwrap_or(ENGINE) }.into())
}

/// Sends another process on an errand. Returns its exit status.
pub(super) fn send(store: &Store, errand: Errand) -> Result<i32, Failure> {
    Ok(userns::run_inside(store, Place::Shared, errand, &mut Host)?)
}

/// Runs this program with other arguments on the same side of the user namespace. Returns its exit status.
pub(super) fn again(store: &Store, arguments: &[&str]) -> Result<i32, Failure> {
    let words = ["minirun"].iter().chain(arguments).map(OsString::from);
    if userns::is_inside() {
        return send(store, Errand::command_line(words));
    }
    Ok(status_of(&mut command(store, arguments))?)
}

/// [`again`], from outside of the user namespace, without input and results; what is wrong is printed.
pub(super) fn again_quietly(store: &Store, arguments: &[&str]) -> Result<i32, SysError> {
    status_of(command(store, arguments).stdin(Stdio::null()).stdout(Stdio::null()))
}

/// Runs this program with other arguments, from outside of the user namespace, after `prepare` has set what else it needs; `input`
/// is its standard input. Returns its exit status.
pub(super) fn again_with(
    store: &Store,
    arguments: &[&str],
    input: &[u8],
    prepare: impl FnOnce(&mut Command),
) -> Result<i32, SysError> {
    let mut command = command(store, arguments);
    prepare(&mut command);
    let mut child = command.stdin(Stdio::piped()).spawn().on("execve", "/proc/self/exe")?;
    // Who reads no input closes it, and says why by its status.
    let _ = child.stdin.take().map(|mut pipe| pipe.write_all(input));
    Ok(child.wait().on("waitpid", "/proc/self/exe")?.code().unwrap_or(1))
}

fn command(store: &Store, arguments: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg0("minirun").arg("--root").arg(&store.root).args(arguments);
    command
}

fn status_of(command: &mut Command) -> Result<i32, SysError> {
    Ok(command.status().on("execve", "/proc/self/exe")?.code().unwrap_or(1))
}
