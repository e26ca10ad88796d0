//! The container's first process, from its birth until it becomes the payload. It never returns, and it runs no
//! destructor of what it inherited from the monitor.

use super::protocol::{End, Message};
use crate::container::plan::step::{Step, Walk};
use crate::sys::SysError;
use crate::sys::descriptor;
use crate::sys::process::{self, Exit, Fork};
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

/// Walks `steps`; `first` is the number of the first one in the whole plan. `waits`: something outside is not ready yet.
pub(crate) fn walk(steps: &[Step], first: u32, mut walk: Walk, monitor: &End, told: bool, waits: bool) -> ! {
    process::set_name(c"minirun: init");
    // Until its last step it is this program: nobody else may trace it or open its /proc entries.
    process::set_dumpable(false);
    process::die_with_parent(libc::SIGKILL);
    for (index, step) in steps.iter().enumerate() {
        let number = first + index as u32;
        let begun = Instant::now();
        if matches!(step, Step::Exec { .. } | Step::Probe { .. }) {
            // Again, since a change of user takes it back; and before the monitor is heard for the last time.
            process::die_with_parent(libc::SIGKILL);
            let told = monitor.send(&Message::Ready).is_ok();
            if !told || (waits && !matches!(monitor.receive(), Ok(Some((Message::Go, _))))) {
                process::exit_now(125);
            }
        }
        let result = step.apply(&mut walk);
        if matches!(step, Step::ShiftedStore { .. } | Step::ShiftedRoot) {
            // It has changed its user.
            process::die_with_parent(libc::SIGKILL);
        }
        let result = result.and_then(|()| hand_over_terminal(&mut walk, monitor));
        if let Err(error) = result {
            let _ = monitor.send(&Message::Failed { step: number, errno: error.errno.unsigned_abs() });
            process::exit_now(125);
        }
        if let Some(pid) = walk.successor {
            // It says the rest.
            let _ = monitor.send(&Message::Born { pid: pid.unsigned_abs() });
            process::exit_now(0);
        }
        let skipped = walk.skipped.take();
        if told {
            let micros = u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX);
            let skipped = skipped.map_or(0, i32::unsigned_abs);
            let _ = monitor.send(&Message::Did { step: number, micros, skipped });
        }
    }
    process::exit_now(0)
}

fn hand_over_terminal(walk: &mut Walk, monitor: &End) -> Result<(), SysError> {
    let Some((_, ours)) = &mut walk.terminal else { return Ok(()) };
    match ours.take() {
        Some(ours) => monitor.send_with(&Message::Terminal, &[ours.as_fd().as_raw_fd()]),
        None => Ok(()),
    }
}

/// The reaping init's name as it exits for a child that a signal ended: its own exit code could not tell that from an exit.
const ENDED_BY: &str = "init: signal ";

/// The signal that ended the child of a reaping init, which has exited and was not waited for yet.
pub(crate) fn signal_of_child(init: i32) -> Option<i32> {
    fs::read_to_string(format!("/proc/{init}/comm")).ok()?.strip_prefix(ENDED_BY)?.trim_end().parse().ok()
}

/// `--init`: the payload goes on as our child; this process reaps whatever ends and passes signals on (as tini does).
pub(crate) fn reap_for_child() -> Result<(), SysError> {
    let all: Vec<i32> =
        (1..=64).filter(|s| ![libc::SIGKILL, libc::SIGSTOP, libc::SIGCHLD, 32, 33].contains(s)).collect();
    process::die_with_parent(libc::SIGKILL);
    let child = match process::fork()? {
        Fork::Child => {
            // In its own process group, in the foreground of the terminal if there is one.
            let _ = rustix::process::setpgid(None, None);
            process::ignore_signal(libc::SIGTTOU);
            let _ = rustix::termios::tcsetpgrp(rustix::stdio::stdin(), rustix::process::getpgrp());
            return Ok(());
        }
        Fork::Parent(pid) => pid,
    };
    // The conversation with the monitor is the child's now.
    descriptor::run_without_descriptors(|| reap_until_end(child, &all))
}

/// Reaps, and passes the signals on, until the payload has ended. Returns its exit status.
fn reap_until_end(child: i32, passed: &[i32]) -> i32 {
    process::set_name(c"minirun-init");
    let Ok(signals) = process::signalfd(&[passed, &[libc::SIGCHLD]].concat()) else { return 125 };
    loop {
        use rustix::event::{PollFd, PollFlags, poll};
        // First: the child may have ended before its signal was waited for.
        while let Ok(Some((pid, exit))) = process::reap() {
            if pid == child {
                if let Exit::Signal(signal) = exit
                    && let Ok(name) = CString::new(format!("{ENDED_BY}{signal}"))
                {
                    process::set_name(&name);
                }
                return exit.shell_status();
            }
        }
        let _ = poll(&mut [PollFd::new(&signals, PollFlags::IN)], None);
        while let Some(signal) = process::read_signal(signals.as_fd()) {
            if signal != libc::SIGCHLD {
                let _ = process::kill(child, signal);
            }
        }
    }
}
