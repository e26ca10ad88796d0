//! The two halves of a command: the inner one does the work in the user namespace, the outer one waits for it and answers
//! what it asks.

use super::error::UsernsError;
use super::here::has_ids;
use super::map::IdMap;
use super::spawn::{Inside, OUTSIDE_VARIABLE, Place, begin};
use crate::diag::ENGINE;
use crate::store::Store;
use crate::sys::{descriptor, process, socket};
use rustix::event::{PollFd, PollFlags, poll};
use std::ffi::{CString, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::sync::{Mutex, OnceLock};

/// Returns inside the user's namespace only, where the ids of an image are real ids. Outside of it, the same command line runs
/// again inside.
///
/// # Errors
/// [`UsernsError::Ended`] with the exit status when that command has ended; any other when the namespace cannot be entered.
pub(crate) fn enter(store: &Store) -> Result<(), UsernsError> {
    enter_at(store, Place::Shared)
}

/// [`enter`], into a certain namespace.
pub(crate) fn enter_at(store: &Store, place: Place) -> Result<(), UsernsError> {
    go_on_inside(store, place, |_| Vec::new())
}

/// [`enter`], where the half that stays outside answers what the inner one asks it ([`ask`]).
pub(crate) fn enter_and_answer(store: &Store, answer: impl FnMut(&[u8]) -> Vec<u8>) -> Result<(), UsernsError> {
    go_on_inside(store, Place::Shared, answer)
}

fn go_on_inside(store: &Store, place: Place, answer: impl FnMut(&[u8]) -> Vec<u8>) -> Result<(), UsernsError> {
    if !has_ids(store) {
        let status = run_at(store, place, std::env::args_os().collect(), answer)?;
        return Err(UsernsError::Ended { status: u8::try_from(status).unwrap_or(ENGINE) });
    }
    Ok(())
}

/// Asks the half of this command that stayed outside. Returns `None` if there is none, or if it has no answer.
pub(crate) fn ask(question: &[u8]) -> Option<Vec<u8>> {
    static SOCKET: OnceLock<Option<Mutex<OwnedFd>>> = OnceLock::new();
    let socket = SOCKET.get_or_init(|| descriptor::take_handed(&std::env::var_os(OUTSIDE_VARIABLE)?).map(Mutex::new));
    let socket = socket.as_ref()?.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    socket::send(socket.as_fd(), question, &[]).ok()?;
    let mut buffer = vec![0; socket::LONGEST];
    let (length, _) = socket::receive(socket.as_fd(), &mut buffer).ok()??;
    buffer.truncate(length);
    Some(buffer)
}

/// Runs this program with other arguments inside the user's namespace and answers its questions. Returns its exit status. An
/// empty answer ends the conversation.
pub(crate) fn run_inside(
    store: &Store,
    arguments: Vec<OsString>,
    answer: impl FnMut(&[u8]) -> Vec<u8>,
) -> Result<i32, UsernsError> {
    run_at(store, Place::Shared, arguments, answer)
}

fn run_at(
    store: &Store,
    place: Place,
    arguments: Vec<OsString>,
    mut answer: impl FnMut(&[u8]) -> Vec<u8>,
) -> Result<i32, UsernsError> {
    let arguments = arguments.into_iter().filter_map(|a| CString::new(a.into_vec()).ok()).collect();
    let (ours, theirs) = socket::pair()?;
    let inside = Inside {
        arguments,
        socket: Some(&theirs),
        enters_containers: false,
        is_monitor: false,
        ids: IdMap::of_caller(),
        place,
    };
    let (pid, _) = begin(store, &inside)?.finish()?;
    drop(theirs);
    let mut ours = Some(ours);
    let signals = process::signalfd(&[libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT])?;
    let child = process::pidfd_open(pid)?;
    loop {
        let mut waiting = vec![PollFd::new(&signals, PollFlags::IN), PollFd::new(&child, PollFlags::IN)];
        waiting.extend(ours.as_ref().map(|socket| PollFd::new(socket, PollFlags::IN)));
        if poll(&mut waiting, None).is_err() {
            continue;
        }
        let ready: Vec<bool> = waiting.iter().map(|fd| !fd.revents().is_empty()).collect();
        while let Some((signal, from_kernel)) = process::read_signal_and_sender(signals.as_fd()) {
            // The terminal's signals reach the child too: it is in the same process group.
            if !from_kernel || signal == libc::SIGHUP {
                let _ = process::kill(pid, signal);
            }
        }
        if ready[1] {
            return Ok(process::wait(pid)?);
        }
        if ready.get(2) == Some(&true) {
            ours = ours.filter(|socket| converse(socket, &mut answer));
        }
    }
}

/// Answers one question. Returns `false` if the conversation is over.
fn converse(socket: &OwnedFd, answer: &mut impl FnMut(&[u8]) -> Vec<u8>) -> bool {
    let mut buffer = vec![0; socket::LONGEST];
    let Ok(Some((length, _))) = socket::receive(socket.as_fd(), &mut buffer) else { return false };
    let answer = answer(&buffer[..length]);
    !answer.is_empty() && socket::send(socket.as_fd(), &answer, &[]).is_ok()
}
