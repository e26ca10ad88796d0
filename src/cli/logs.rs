//! `logs`: prints the output of containers, and follows it.

use super::Context;
use super::changes::Changes;
use super::moment::Moment;
use crate::container::live::logs::{Entry, Reader};
use crate::container::stored::record::Container;
use crate::diag::{Diagnose, Failure};
use crate::sys::{On, SysError};
use clap::Args;
use std::collections::VecDeque;
use std::io::Write;
use std::str::FromStr;

#[derive(Args)]
pub(super) struct LogsArgs {
    /// Follow the output until the container ends
    #[arg(short, long)]
    follow: bool,
    /// Print only the last lines; 'all' prints all
    #[arg(short = 'n', long, value_name = "LINES", default_value = "all", allow_hyphen_values = true)]
    tail: Count,
    /// Print the time before each line
    #[arg(short, long)]
    timestamps: bool,
    /// Leave room for details before each line; no log has any
    #[arg(long)]
    details: bool,
    /// Print the container's name before each line
    #[arg(long)]
    names: bool,
    /// Print output since this time, or since 10m ago
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Print output until this time
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// How many lines from the end: all without a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count(pub Option<usize>);

#[derive(Debug, thiserror::Error)]
#[error("invalid number of lines {0:?}")]
pub(super) struct InvalidCount(String);

impl Diagnose for InvalidCount {
    fn hint(&self) -> Option<String> {
        Some("a number, or all: minirun logs --tail 20 NAME".into())
    }
}

impl FromStr for Count {
    type Err = InvalidCount;

    /// As in Docker, a negative number is all.
    fn from_str(text: &str) -> Result<Self, InvalidCount> {
        match text.parse::<i64>() {
            Ok(number) => Ok(Self(usize::try_from(number).ok())),
            Err(_) if text == "all" => Ok(Self(None)),
            Err(_) => Err(InvalidCount(text.to_owned())),
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("no log of container {0}: it was created with --log-driver none")]
struct NoLog(String);

impl Diagnose for NoLog {
    fn hint(&self) -> Option<String> {
        Some(format!("see its output as it comes: minirun attach {}", self.0))
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

/// The log of one container, read as far as it goes.
struct Source<'a> {
    container: Container,
    reader: Reader,
    arguments: &'a LogsArgs,
}

impl Source<'_> {
    fn next(&mut self) -> Result<Option<Entry>, SysError> {
        self.reader.entry().on("read", self.container.log())
    }

    /// Prints what is there. `false`: nobody reads it any more.
    fn print_stored(&mut self) -> Result<bool, SysError> {
        let Count(keep) = self.arguments.tail;
        let mut last = VecDeque::new();
        while let Some(entry) = self.next()? {
            match keep {
                None if !self.print(&entry) => return Ok(false),
                None | Some(0) => {}
                Some(most) => {
                    last.push_back(entry);
                    last.drain(..last.len().saturating_sub(most));
                }
            }
        }
        Ok(last.iter().all(|entry| self.print(entry)))
    }

    fn print_new(&mut self) -> Result<bool, SysError> {
        while let Some(entry) = self.next()? {
            if !self.print(&entry) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn print(&self, entry: &Entry) -> bool {
        let LogsArgs { since, until, timestamps, details, names, .. } = self.arguments;
        let time = entry.time.parse().ok().map(Moment);
        if time.is_some_and(|t| since.is_some_and(|s| t < s) || until.is_some_and(|u| t > u)) {
            return true;
        }
        let mut text = String::new();
        if *names {
            text += &format!("{} ", self.container.record.name);
        }
        if let Some(Moment(time)) = time.filter(|_| *timestamps) {
            text += &format!("{time:.9} ");
        }
        if *details {
            text.push(' ');
        }
        text += &entry.log;
        let written = if entry.stream == "stderr" {
            std::io::stderr().write_all(text.as_bytes())
        } else {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        };
        // The reader may have closed the pipe.
        written.is_ok()
    }
}

pub(super) fn logs(arguments: &LogsArgs, context: &Context) -> Result<u8, Failure> {
    let mut sources = Vec::new();
    for name in &arguments.containers {
        let container = Container::find(&context.store, name)?;
        if container.record.request.log.is_off {
            return Err(NoLog(container.record.name).into());
        }
        sources.push(Source { reader: Reader::new(&container.log()), container, arguments });
    }
    for source in &mut sources {
        if !source.print_stored()? {
            return Ok(0);
        }
    }
    if !arguments.follow {
        return Ok(0);
    }
    // The directories are watched, since a rotation replaces the file.
    let changes = Changes::of(sources.iter().map(|source| source.container.directory.as_path()))?;
    loop {
        // Checked before reading, so that lines written in between are still read: the container ends before its monitor
        // has written all of its output.
        let goes_on = sources.iter().any(|source| source.container.written_state().monitor_lives());
        let is_over = arguments.until.is_some_and(|until| until < Moment(jiff::Timestamp::now()));
        for source in &mut sources {
            if !source.print_new()? {
                return Ok(0);
            }
        }
        if !goes_on || is_over {
            return Ok(0);
        }
        changes.wait();
    }
}
