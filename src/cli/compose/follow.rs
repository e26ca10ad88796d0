//! The output of several containers, each line with its container's name before it.

use super::members::Member;
use crate::cli::changes::Changes;
use crate::cli::moment::Moment;
use crate::container::live::logs::{Entry, Reader};
use crate::container::stored::record::Container;
use crate::diag::Failure;
use crate::sys::On;
use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::os::fd::BorrowedFd;

/// How output is printed.
#[derive(Clone, Copy)]
pub(super) struct Manner {
    pub has_prefix: bool,
    pub has_color: bool,
    pub has_times: bool,
    pub since: Option<Moment>,
    pub until: Option<Moment>,
}

impl Default for Manner {
    fn default() -> Self {
        let has_color = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { has_prefix: true, has_color, has_times: false, since: None, until: None }
    }
}

/// Colours of names, which differ from those of errors: cyan, yellow, green, magenta, blue, and their bright ones.
const COLORS: [u8; 10] = [36, 33, 32, 35, 34, 96, 93, 92, 95, 94];

struct Source {
    container: Container,
    prefix: String,
    reader: Reader,
    /// The last entry had no newline.
    is_within_line: bool,
    next: Option<Entry>,
}

pub(super) struct Follower {
    sources: Vec<Source>,
    manner: Manner,
    width: usize,
}

impl Follower {
    /// Begins with the last lines that are there; `None`: with all.
    pub(super) fn new(project: &str, members: &[Member], tail: Option<usize>, manner: Manner) -> Result<Self, Failure> {
        let width = members.iter().map(|member| member.short_name(project).chars().count()).max().unwrap_or_default();
        let mut follower = Self { sources: Vec::new(), manner, width };
        let mut last: Vec<(usize, Entry)> = Vec::new();
        for member in members {
            if member.container.record.request.log.is_off {
                continue;
            }
            let index = follower.add(member.short_name(project), &member.container);
            let Some(most) = tail else { continue };
            let mut kept = VecDeque::new();
            while let Some(entry) = follower.sources[index].entry()? {
                kept.push_back(entry);
                kept.drain(..kept.len().saturating_sub(most));
            }
            last.extend(kept.into_iter().map(|entry| (index, entry)));
        }
        last.sort_by(|a, b| a.1.time.cmp(&b.1.time));
        for (index, entry) in &last {
            follower.print(*index, entry);
        }
        Ok(follower)
    }

    /// Adds a container whose output is printed from now on. Returns its number.
    fn add(&mut self, name: &str, container: &Container) -> usize {
        let number = self.sources.len();
        let (width, color) = (self.width, COLORS[number % COLORS.len()]);
        let prefix = match self.manner {
            Manner { has_prefix: false, .. } => String::new(),
            Manner { has_color: true, .. } => format!("\x1b[{color}m{name:width$}  | \x1b[0m"),
            _ => format!("{name:width$}  | "),
        };
        let reader = Reader::new(&container.log());
        self.sources.push(Source { container: container.clone(), prefix, reader, is_within_line: false, next: None });
        number
    }

    /// Prints what is new, in the order of its time. `false`: nobody reads it.
    pub(super) fn print_new(&mut self) -> Result<bool, Failure> {
        loop {
            for source in &mut self.sources {
                if source.next.is_none() {
                    source.next = source.entry()?;
                }
            }
            let times = self
                .sources
                .iter()
                .enumerate()
                .filter_map(|(index, source)| Some((source.next.as_ref()?.time.clone(), index)));
            let Some((_, index)) = times.min() else { return Ok(true) };
            let Some(entry) = self.sources[index].next.take() else { return Ok(true) };
            if !self.print(index, &entry) {
                return Ok(false);
            }
        }
    }

    fn print(&mut self, index: usize, entry: &Entry) -> bool {
        let Manner { has_times, since, until, .. } = self.manner;
        let time = entry.time.parse().ok().map(Moment);
        if time.is_some_and(|t| since.is_some_and(|s| t < s) || until.is_some_and(|u| t > u)) {
            return true;
        }
        let source = &mut self.sources[index];
        let mut text = String::new();
        if !source.is_within_line {
            text += &source.prefix;
            if let Some(Moment(time)) = time.filter(|_| has_times) {
                text += &format!("{time:.9} ");
            }
        }
        text += &entry.log;
        source.is_within_line = !entry.log.ends_with('\n');
        let written = if entry.stream == "stderr" {
            std::io::stderr().write_all(text.as_bytes())
        } else {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        };
        written.is_ok()
    }

    /// Watches for new output, from now on.
    pub(super) fn changes(&self) -> Result<Changes, Failure> {
        Ok(Changes::of(self.sources.iter().map(|source| source.container.directory.as_path()))?)
    }

    /// Whether a container still writes.
    pub(super) fn goes_on(&self) -> bool {
        self.sources.iter().any(|source| source.container.written_state().monitor_lives())
    }

    /// Follows the output until all containers have ended.
    pub(super) fn follow(&mut self, interrupt: Option<BorrowedFd>) -> Result<(), Failure> {
        let changes = self.changes()?;
        loop {
            // Asked before reading: what is written in between is still read.
            let goes_on = self.goes_on();
            let is_over = self.manner.until.is_some_and(|until| until < Moment(jiff::Timestamp::now()));
            if !self.print_new()? || !goes_on || is_over {
                return Ok(());
            }
            changes.wait_with(interrupt);
        }
    }
}

impl Source {
    fn entry(&mut self) -> Result<Option<Entry>, Failure> {
        Ok(self.reader.entry().on("read", self.container.log())?)
    }
}
