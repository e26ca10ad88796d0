//! The reaping init of `--init`, the parent of the payload.

use crate::sys::SysError;
use crate::sys::descriptor;
use crate::sys::process::{self, Exit, Fork};
use std::ffi::CString;
use std::fs;
use std::os::fd::AsFd;

/// The beginning of the reaping init's name after a signal has ended its child, which an exit code could not tell.
const ENDED_BY: &str = "init: signal ";

/// Returns the signal that ended the child of a reaping init that has exited and was not waited for yet.
pub(crate) fn signal_of_child(init: i32) -> Option<i32> {
    fs::read_to_string(format!("/proc/{init}/comm")).ok()?.strip_prefix(ENDED_BY)?.trim_end().parse().ok()
}

/// Forks: the child returns and becomes the payload, the parent reaps orphans and passes signals on (as tini does).
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
