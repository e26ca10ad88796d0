//! `compose up` in the foreground: the output of all, until they end or Ctrl-C stops them.

use super::follow::{Follower, Manner};
use super::members::Member;
use super::stop::stop_all;
use crate::cli::Context;
use crate::cli::container::kill_one;
use crate::container::request::signal::Signal;
use crate::container::stored::record::Phase;
use crate::diag::Failure;
use crate::sys::process;
use std::os::fd::AsFd;
use std::thread;

/// What ends the foreground.
pub(super) struct End {
    pub at_first_exit: bool,
    pub at_first_failure: bool,
    /// The service whose exit code is the command's.
    pub code_of: Option<String>,
    pub timeout: Option<i64>,
}

/// Stays with containers. Returns the exit code.
pub(super) fn stay(
    context: &Context,
    project: &str,
    members: Vec<Member>,
    is_shown: impl Fn(&Member) -> bool,
    manner: Manner,
    end: &End,
) -> Result<u8, Failure> {
    let signals = process::signalfd(&[libc::SIGINT, libc::SIGTERM, libc::SIGHUP])?;
    let shown: Vec<Member> = members.iter().filter(|member| is_shown(member)).cloned().collect();
    let mut follower = Follower::new(project, &shown, None, manner)?;
    let changes = follower.changes()?;
    let mut told = vec![false; members.len()];
    let first = loop {
        let lives = members.iter().any(|member| member.container.state().phase.has_monitor());
        if !follower.print_new()? {
            break None;
        }
        let mut first = None;
        for (member, told) in members.iter().zip(&mut told).filter(|(_, told)| !**told) {
            let state = member.container.state();
            if state.phase == Phase::Exited {
                *told = true;
                eprintln!("{} exited with code {}", member.short_name(project), state.exit_code);
                let is_end = end.at_first_exit || (end.at_first_failure && state.exit_code != 0);
                first = first.or(is_end.then_some(state.exit_code));
            }
        }
        if first.is_some() || !lives {
            break first;
        }
        if process::read_signal(signals.as_fd()).is_some() {
            break Some(130);
        }
        changes.wait_with(Some(signals.as_fd()));
    };
    let running: Vec<Member> =
        members.iter().filter(|member| member.container.state().phase.has_monitor()).cloned().collect();
    if first.is_some() && !running.is_empty() {
        eprintln!("stopping; Ctrl-C once more kills");
        thread::scope(|scope| {
            let stopping = scope.spawn(|| stop_all(context, running.clone(), end.timeout, |_| {}));
            while !stopping.is_finished() {
                let _ = follower.print_new();
                if process::read_signal(signals.as_fd()).is_some() {
                    for member in &running {
                        // It may have ended meanwhile.
                        let _ = kill_one(&member.container, Signal::KILL);
                    }
                }
                changes.wait_with(Some(signals.as_fd()));
            }
            stopping.join().unwrap_or(Ok(()))
        })?;
        follower.print_new()?;
    }
    let of_service = end.code_of.as_ref().and_then(|service| members.iter().find(|member| member.service == *service));
    let code = match of_service {
        Some(member) => member.container.state().exit_code,
        None => first.unwrap_or_default(),
    };
    Ok(u8::try_from(code).unwrap_or(1))
}
