//! A process of the container moves into a user namespace in which the only id is the user that it becomes.
//!
//! From then on the kernel itself answers for it: its ids, its permissions, its lack of capabilities, and that it may not come back.
//! Nobody but the process can enter such a namespace, so it is stopped and makes the calls itself.

use super::becoming::{self, User};
use super::calls::Calls;
use crate::sys::seccomp::Answer;
use crate::sys::trace::{self, Event, Injection};
use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};
use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;

/// Threads that are traced until their process begins another program: one with several threads, in its parent's memory, or with
/// PR_SET_KEEPCAPS, cannot move before.
#[derive(Default)]
pub(super) struct Waiting(HashMap<i32, User>);

/// Moves the thread of a call that changes its user, or sees to it that it moves later. Answers the call.
pub(super) fn move_caller(
    calls: &mut Calls,
    waiting: &mut Waiting,
    call: &crate::sys::seccomp::Notification,
    user: User,
) {
    let tid = call.pid;
    let done = Answer::Value(0);
    if let Some(before) = waiting.0.get_mut(&tid) {
        *before = user;
        return calls.answer(call, done);
    }
    // Another process traces it already. It must not take itself for a user that it is not.
    if trace::seize(tid).is_err() {
        return calls.answer(call, Answer::Fails(libc::EPERM));
    }
    if has_threads(calls.proc, tid) {
        waiting.0.insert(tid, user);
        return calls.answer(call, done);
    }
    let is_asked = trace::interrupt(tid).is_ok();
    calls.answer(call, done);
    loop {
        match trace::next_event(tid, true) {
            Some((_, Event::Interrupted)) if is_asked => break,
            // It is interrupted all the same, before or behind the signal's handler.
            Some((_, Event::Signal(signal))) => trace::go_on(tid, signal),
            Some((_, Event::GroupStop)) => trace::stay_stopped(tid),
            Some((_, Event::Ended)) | None => return,
            Some(_) => return trace::let_go(tid),
        }
    }
    match enter(calls, tid, user, false) {
        Moved::Yes | Moved::Gone => {}
        Moved::Not(libc::EINVAL) => {
            // It shares its parent's memory until then (vfork(2)), or keeps capabilities for what it has yet to do.
            waiting.0.insert(tid, user);
            trace::go_on(tid, 0);
        }
        Moved::Not(_) => trace::let_go(tid),
    }
}

/// Hears of threads that wait for their next program.
pub(super) fn follow(calls: &mut Calls, waiting: &mut Waiting) {
    while let Some((tid, event)) = trace::next_event(-1, false) {
        match event {
            Event::Ended => {
                waiting.0.remove(&tid);
            }
            Event::Exec { former } => {
                let user = waiting.0.remove(&former).or_else(|| waiting.0.remove(&tid));
                // Its group may have followed its user.
                let user = user.map(|user| User { gid: becoming::chosen_group(tid), ..user });
                waiting.0.remove(&tid);
                let is_behind = trace::go_to_call(tid).is_ok() && is_behind_call(tid);
                if !user.is_some_and(|user| is_behind && !matches!(enter(calls, tid, user, true), Moved::Not(_))) {
                    trace::let_go(tid);
                }
            }
            Event::Signal(signal) => trace::go_on(tid, signal),
            Event::GroupStop => trace::stay_stopped(tid),
            Event::Interrupted | Event::Call => trace::go_on(tid, 0),
        }
    }
}

/// Waits until a thread stands behind the call that it is in. What stops it before then waits until it goes on.
fn is_behind_call(tid: i32) -> bool {
    loop {
        match trace::next_event(tid, true) {
            Some((_, Event::Call)) => return true,
            Some((_, Event::Interrupted | Event::GroupStop)) if trace::go_to_call(tid).is_ok() => {}
            _ => return false,
        }
    }
}

fn has_threads(proc: BorrowedFd, tid: i32) -> bool {
    // `.`, `..` and one for each.
    statat(proc, format!("{tid}/task"), AtFlags::empty()).is_ok_and(|found| found.st_nlink > 3)
}

enum Moved {
    Yes,
    /// The kernel refuses, and the thread stands still as before.
    Not(i32),
    Gone,
}

/// Lets a thread that stands still go on in a user namespace of its own, and as this user.
fn enter(calls: &mut Calls, tid: i32, user: User, is_fresh: bool) -> Moved {
    let Ok(injection) = Injection::begin(tid, is_fresh) else { return Moved::Gone };
    match make(calls, tid, user, &injection, is_fresh) {
        Ok(()) => match injection.end(true) {
            Ok(()) => Moved::Yes,
            Err(_) => Moved::Gone,
        },
        Err(Failed::Refused(errno)) => match injection.end(false) {
            Ok(()) => Moved::Not(errno),
            Err(_) => Moved::Gone,
        },
        // Half-way between two users it must not go on.
        Err(Failed::Broken) => {
            let _ = crate::sys::process::kill(tid, libc::SIGKILL);
            Moved::Gone
        }
    }
}

enum Failed {
    Refused(i32),
    Broken,
}

impl From<io::Error> for Failed {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

/// How often a thread tries to have a namespace of its own.
const TRIES: u32 = 3;

/// `<linux/capability.h>`: _LINUX_CAPABILITY_VERSION_3.
const VERSION_3: u64 = 0x2008_0522;

fn make(calls: &mut Calls, tid: i32, user: User, injection: &Injection, is_fresh: bool) -> Result<(), Failed> {
    let call = |calls: &mut Calls, nr: i64, arguments| -> Result<i64, Failed> {
        injection.call(nr, arguments)?;
        if trace::next_event(tid, true).is_none_or(|(_, event)| event != Event::Call) || !injection.is_before(nr) {
            return Err(Failed::Broken);
        }
        trace::go_to_call(tid)?;
        if !calls.follow_injected(tid, nr) {
            return Err(Failed::Broken);
        }
        Ok(injection.result()?)
    };
    const PR_GET_KEEPCAPS: u64 = libc::PR_GET_KEEPCAPS as u64;
    // It means to go on as root until it begins a program.
    if !is_fresh && call(calls, libc::SYS_prctl, [PR_GET_KEEPCAPS, 0, 0])? == 1 {
        return Err(Failed::Refused(libc::EINVAL));
    }
    // Its files in /proc are root's, and out of the agent's reach, where it may not be dumped.
    let is_hidden = statat(calls.proc, format!("{tid}/uid_map"), AtFlags::empty()).is_ok_and(|found| found.st_uid != 0);
    let set_dumpable = |is: u64| [libc::PR_SET_DUMPABLE as u64, is, 0];
    if is_hidden {
        call(calls, libc::SYS_prctl, set_dumpable(1))?;
    }
    let mut unshared = -i64::from(libc::EINVAL);
    // A relative that is just ending may still have its memory.
    for _ in 0..TRIES {
        if unshared == -i64::from(libc::EINVAL) {
            unshared = call(calls, libc::SYS_unshare, [libc::CLONE_NEWUSER as u64, 0, 0])?;
        }
    }
    if unshared == 0 {
        // While it has all capabilities over the new namespace, nobody else is in it.
        map(calls.proc, tid, user).map_err(|_| Failed::Broken)?;
        let header = injection.put(&[VERSION_3, 0, 0, 0])?;
        if call(calls, libc::SYS_capset, [header, header + 8, 0])? != 0 {
            return Err(Failed::Broken);
        }
        // No program that it begins has more, whatever marks its file bears.
        if call(calls, libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as u64, 1, 0])? != 0 {
            return Err(Failed::Broken);
        }
    }
    if is_hidden {
        call(calls, libc::SYS_prctl, set_dumpable(0))?;
    }
    if unshared == 0 { Ok(()) } else { Err(Failed::Refused(-(unshared as i32))) }
}

fn map(proc: BorrowedFd, tid: i32, User { uid, gid }: User) -> io::Result<()> {
    for (file, text) in [("uid_map", format!("{uid} 0 1")), ("gid_map", format!("{gid} 0 1"))] {
        let file = openat(proc, format!("{tid}/{file}"), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::io::write(file, text.as_bytes())?;
    }
    Ok(())
}
