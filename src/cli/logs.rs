//! `logs`: what a container printed, and what it goes on to print.

use super::Context;
use crate::container::live::logs::{Entry, Reader};
use crate::container::stored::record::Container;
use crate::diag::{Diagnose, Failure};
use crate::sys::On;
use clap::Args;
use rustix::fs::inotify;
use std::collections::VecDeque;
use std::io::Write;
use std::time::Duration;

#[derive(Args)]
pub(super) struct LogsArgs {
    /// Go on until the container ends
    #[arg(short, long)]
    follow: bool,
    /// The last lines only, or all
    #[arg(short = 'n', long, default_value = "all")]
    tail: String,
    /// Begin each line with its time
    #[arg(short, long)]
    timestamps: bool,
    /// What was printed since: a time, or as long ago as 10m
    #[arg(long)]
    since: Option<String>,
    /// What was printed until then
    #[arg(long)]
    until: Option<String>,
    container: String,
}

#[derive(Debug, thiserror::Error)]
enum LogsError {
    #[error("{0:?} is no time")]
    Time(String),
    #[error("{0:?} is no number of lines")]
    Count(String),
    #[error("nothing of what {0} printed was kept")]
    NothingKept(String),
}

impl Diagnose for LogsError {
    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Time(_) => "a time as 2026-01-31T12:00:00Z, seconds since 1970, or how long ago: 90s, 10m, 2h",
            Self::Count(_) => "a number, or all: minirun logs --tail 20 NAME",
            Self::NothingKept(_) => "it was made with --log-driver none; see it as it comes: minirun attach",
        };
        Some(hint.into())
    }

    fn exit_code(&self) -> u8 {
        if matches!(self, Self::NothingKept(_)) { 1 } else { crate::diag::ENGINE }
    }
}

/// A moment: RFC 3339, seconds since 1970, or how long ago.
fn moment(text: &str) -> Result<jiff::Timestamp, LogsError> {
    let wrong = || LogsError::Time(text.to_owned());
    if let Ok(time) = text.parse() {
        return Ok(time);
    }
    if let Ok(seconds) = text.parse::<i64>() {
        return jiff::Timestamp::from_second(seconds).map_err(|_| wrong());
    }
    let mut digits = text.chars();
    let factor = match digits.next_back() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86400,
        _ => return Err(wrong()),
    };
    let count: i64 = digits.as_str().parse().map_err(|_| wrong())?;
    let ago = jiff::SignedDuration::from_secs(count.saturating_mul(factor));
    jiff::Timestamp::now().checked_sub(ago).map_err(|_| wrong())
}

pub(super) fn logs(arguments: &LogsArgs, context: &Context) -> Result<u8, Failure> {
    let container = Container::find(&context.store, &arguments.container)?;
    let since = arguments.since.as_deref().map(moment).transpose()?;
    let until = arguments.until.as_deref().map(moment).transpose()?;
    if container.record.request.log.is_off {
        return Err(LogsError::NothingKept(container.record.name).into());
    }
    let path = container.log();
    let mut reader = Reader::new(&path);
    let print = |entry: &Entry| -> bool {
        let time = entry.time.parse::<jiff::Timestamp>().ok();
        if time.is_some_and(|t| since.is_some_and(|s| t < s) || until.is_some_and(|u| t > u)) {
            return true;
        }
        let text = if arguments.timestamps { format!("{} {}", entry.time, entry.log) } else { entry.log.clone() };
        let written = if entry.stream == "stderr" {
            std::io::stderr().write_all(text.as_bytes())
        } else {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        };
        // A reader that has seen enough.
        written.is_ok()
    };

    let keep = match arguments.tail.as_str() {
        "all" => None,
        number => Some(number.parse::<usize>().map_err(|_| LogsError::Count(number.to_owned()))?),
    };
    let mut last = VecDeque::new();
    while let Some(entry) = reader.entry().on("read", &path)? {
        match keep {
            None if !print(&entry) => return Ok(0),
            None | Some(0) => {}
            Some(most) => {
                last.push_back(entry);
                last.drain(..last.len().saturating_sub(most));
            }
        }
    }
    if !last.iter().all(&print) || !arguments.follow {
        return Ok(0);
    }
    let watch =
        inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).on("inotify_init1", "")?;
    // The directory, since the file may become another.
    inotify::add_watch(&watch, &container.directory, inotify::WatchFlags::MODIFY | inotify::WatchFlags::DELETE_SELF)
        .on("inotify_add_watch", &container.directory)?;
    loop {
        // Asked before reading: what is written until then is read yet. The container has ended before its monitor has
        // written down all that it printed.
        let goes_on = container.written_state().monitor_lives();
        while let Some(entry) = reader.entry().on("read", &path)? {
            if !print(&entry) {
                return Ok(0);
            }
        }
        if !goes_on {
            return Ok(0);
        }
        wait_for_more(&watch);
    }
}

/// Until the file grows, or it is time to look whether the monitor still lives.
fn wait_for_more(watch: &impl std::os::fd::AsFd) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = Duration::from_millis(100);
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(limit.subsec_nanos()) };
    let _ = poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&timeout));
    let mut events = [0u8; 4096];
    while rustix::io::read(watch, &mut events).is_ok_and(|n| n > 0) {}
}
