//! `logs`: prints the output of a container, and follows it.

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
    /// Follow the output until the container ends
    #[arg(short, long)]
    follow: bool,
    /// Print only the last lines; 'all' prints all
    #[arg(short = 'n', long, default_value = "all")]
    tail: String,
    /// Print the time before each line
    #[arg(short, long)]
    timestamps: bool,
    /// Print output since this time, or since 10m ago
    #[arg(long)]
    since: Option<String>,
    /// Print output until this time
    #[arg(long)]
    until: Option<String>,
    container: String,
}

#[derive(Debug, thiserror::Error)]
enum LogsError {
    #[error("invalid time {0:?}")]
    Time(String),
    #[error("invalid number of lines {text:?}")]
    Count { text: String, container: String },
    #[error("no log of container {0}: it was created with --log-driver none")]
    NoLog(String),
}

impl Diagnose for LogsError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Time(_) => "a time is 2026-01-31T12:00:00Z, seconds since 1970, or how long ago: 90s, 10m, 2h".into(),
            Self::Count { container, .. } => format!("a number, or all: minirun logs --tail 20 {container}"),
            Self::NoLog(name) => format!("see its output as it comes: minirun attach {name}"),
        })
    }

    fn exit_code(&self) -> u8 {
        if matches!(self, Self::NoLog(_)) { 1 } else { crate::diag::ENGINE }
    }
}

/// Parses a time: RFC 3339, seconds since 1970, or how long ago.
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
        return Err(LogsError::NoLog(container.record.name).into());
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
        // The reader may have closed the pipe.
        written.is_ok()
    };

    let keep = match arguments.tail.as_str() {
        "all" => None,
        number => Some(
            number
                .parse::<usize>()
                .map_err(|_| LogsError::Count { text: number.to_owned(), container: arguments.container.clone() })?,
        ),
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
    // The directory is watched, since a rotation replaces the file.
    inotify::add_watch(&watch, &container.directory, inotify::WatchFlags::MODIFY | inotify::WatchFlags::DELETE_SELF)
        .on("inotify_add_watch", &container.directory)?;
    loop {
        // Checked before reading, so that lines written in between are still read: the container ends before its monitor
        // has written all of its output.
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

/// Waits until the log grows, but no longer than it takes to notice that the monitor has ended.
fn wait_for_more(watch: &impl std::os::fd::AsFd) {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let limit = Duration::from_millis(100);
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(limit.subsec_nanos()) };
    let _ = poll(&mut [PollFd::new(watch, PollFlags::IN)], Some(&timeout));
    let mut events = [0u8; 4096];
    while rustix::io::read(watch, &mut events).is_ok_and(|n| n > 0) {}
}
