//! The half of a command that stays outside the user namespace: it waits for the inner one, and answers what that asks.

use super::errand;
use super::error::UsernsError;
use super::map::IdMap;
use super::spawn::{Inside, Place, begin};
use crate::store::Store;
use crate::sys::{process, socket};
use rustix::event::{PollFd, PollFlags, poll};
use serde::Serialize;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

/// What the outer half does for the inner one.
pub(crate) trait Outer {
    /// Answers a question of [`ask`](errand::ask). An empty answer ends the conversation.
    fn answer(&mut self, _question: &[u8]) -> Vec<u8> {
        Vec::new()
    }

    /// Takes a note for the user.
    fn note(&mut self, note: &str);
}

/// Has this program do `work` inside the user namespace ([`super::errand::receive`]). Returns its exit status.
pub(crate) fn run_inside(
    store: &Store,
    place: Place,
    work: impl Serialize,
    outer: &mut impl Outer,
) -> Result<i32, UsernsError> {
    let (ours, theirs) = socket::pair()?;
    errand::send(&ours, store, work)?;
    let inside = Inside {
        arguments: CString::new(errand::NAME).into_iter().collect(),
        socket: &theirs,
        enters_containers: false,
        is_monitor: false,
        ids: IdMap::of_caller(),
        place,
    };
    let mut spawning = begin(store, &inside)?;
    if let Some(note) = spawning.take_note() {
        outer.note(note);
    }
    let (pid, _) = spawning.finish()?;
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
            ours = ours.filter(|socket| converse(socket, outer));
        }
    }
}

/// Answers one question. Returns `false` if the conversation is over.
fn converse(socket: &OwnedFd, outer: &mut impl Outer) -> bool {
    let mut buffer = vec![0; socket::LONGEST];
    let Ok(Some((length, _))) = socket::receive(socket.as_fd(), &mut buffer) else { return false };
    let answer = outer.answer(&buffer[..length]);
    !answer.is_empty() && socket::send(socket.as_fd(), &answer, &[]).is_ok()
}
