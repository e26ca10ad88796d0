//! The lines that a build prints.

use super::raw;
use crate::builder::read::parse::Warning;
use crate::builder::read::stage::StageId;
use crate::builder::{Built, Done, Listener, StepName};
use crate::cli::human;
use crate::diag::{Failure, without_escapes};
use crate::explain::layers::ghosts;
use crate::image::name::digest::Digest;
use crate::store::Store;
use clap::ValueEnum;
use std::collections::{HashMap, VecDeque};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// tty in a terminal, else plain
    Auto,
    /// A line for each step, redrawn while it runs
    Tty,
    /// All output as it comes
    Plain,
    /// Nothing but the image's ID
    Quiet,
    /// One JSON object per line
    #[value(name = "rawjson")]
    RawJson,
}

/// How many lines a failed step shows again.
const TAIL: usize = 12;
/// How many bytes without a newline count as a line.
const LONGEST_LINE: usize = 64 << 10;
/// The width of a step's name.
const WIDTH: usize = 72;

pub(crate) struct Progress {
    mode: ProgressMode,
    explained: bool,
    /// Text is printed at once; else it is held until it is known that this process does the build.
    speaks: bool,
    held: String,
    is_terminal: bool,
    /// The steps that run, by stage.
    running: HashMap<StageId, RunningStep>,
    tail: VecDeque<String>,
    /// How many lines below the last finished step are redrawn.
    drawn: usize,
}

struct RunningStep {
    step: StepName,
    begun: Instant,
    partial: Vec<u8>,
    last: String,
    tail: VecDeque<String>,
}

impl Progress {
    pub(crate) fn new(mode: ProgressMode, explained: bool, speaks: bool) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self {
            mode,
            explained,
            speaks,
            held: String::new(),
            is_terminal,
            running: HashMap::new(),
            tail: VecDeque::new(),
            drawn: 0,
        }
    }

    /// Prints an event for a program.
    fn event(&mut self, event: &serde_json::Value) {
        self.held += &format!("{event}\n");
        if self.speaks {
            self.flush_held();
        }
    }

    fn say(&mut self, text: &str) {
        if matches!(self.mode, ProgressMode::Quiet | ProgressMode::RawJson) {
            return;
        }
        self.erase();
        // A stranger may have written the Dockerfile and the output of its commands.
        self.held += &if self.is_terminal { without_escapes(text) } else { text.into() };
        self.held.push('\n');
        if self.speaks {
            self.flush_held();
        }
        self.draw();
    }

    fn flush_held(&mut self) {
        let text = std::mem::take(&mut self.held);
        let _ = std::io::stderr().lock().write_all(text.as_bytes());
    }

    /// Prints what was held back.
    pub(crate) fn flush(&mut self) {
        self.erase();
        self.running.clear();
        self.flush_held();
    }

    fn erase(&mut self) {
        if self.drawn > 0 && self.speaks {
            eprint!("\x1b[{}A\x1b[J", self.drawn);
            self.drawn = 0;
        }
    }

    /// Draws the steps that run, with the last line of each.
    fn draw(&mut self) {
        if self.mode != ProgressMode::Tty || !self.speaks {
            return;
        }
        let mut steps: Vec<&RunningStep> = self.running.values().collect();
        steps.sort_by_key(|shown| shown.step.stage);
        let width =
            rustix::termios::tcgetwinsize(rustix::stdio::stderr()).map_or(80, |size| usize::from(size.ws_col)).max(20);
        let mut text = String::new();
        let mut lines = 0;
        for shown in steps {
            let head = line(&shown.step, &seconds(shown.begun.elapsed()));
            text += &format!("{}\n", cut(&without_escapes(&head), width - 1));
            lines += 1;
            if !shown.last.is_empty() {
                text += &format!("\x1b[2m{}\x1b[0m\n", cut(&format!("      {}", shown.last), width - 1));
                lines += 1;
            }
        }
        eprint!("{text}");
        self.drawn = lines;
    }

    /// Prints the last lines of the failed step, unless all lines were printed.
    pub(crate) fn tail(&self) {
        if !matches!(self.mode, ProgressMode::Plain | ProgressMode::RawJson) {
            for line in &self.tail {
                eprintln!("      {line}");
            }
        }
    }

    pub(crate) fn finish(
        &mut self,
        store: &Store,
        built: &Built,
        names: &[String],
        took: Duration,
    ) -> Result<(), Failure> {
        self.flush();
        if self.mode == ProgressMode::RawJson {
            return Ok(());
        }
        if self.explained {
            self.ghosts(store, built)?;
        }
        let context = match built.from_context {
            (0, _) => String::new(),
            (1, bytes) => format!(" from 1 file of the context, {}", human::size(bytes)),
            (number, bytes) => format!(" from {number} files of the context, {}", human::size(bytes)),
        };
        let Some(image) = built.image else {
            if self.mode != ProgressMode::Quiet {
                eprintln!("built in {}{context}", seconds(took));
            }
            return Ok(());
        };
        if self.mode == ProgressMode::Quiet {
            println!("{image}");
            return Ok(());
        }
        eprintln!("built {} in {}{context}", image.short(), seconds(took));
        for name in names {
            eprintln!("named {name}");
        }
        Ok(())
    }
}

impl Progress {
    /// Prints the files of the image that a later layer hides.
    fn ghosts(&self, store: &Store, built: &Built) -> Result<(), Failure> {
        let layers: Vec<Digest> = built.layers.iter().map(|layer| layer.diff_id).collect();
        let all = ghosts::ghosts(store, &layers)?;
        let bytes: u64 = all.iter().map(|ghost| ghost.size).sum();
        let added: u64 = built.layers.iter().map(|layer| layer.size).sum();
        eprintln!("this build's layers: {}, {} of files", built.layers.len(), human::size(added));
        if bytes == 0 {
            return Ok(());
        }
        eprintln!("ghost bytes, added in one layer and hidden by a later one: {}", human::size(bytes));
        let name = |number: usize| cut(&built.layers[number].row, 40);
        for ghost in all.iter().take(5) {
            let path = ghost.path.display();
            eprintln!(
                "  {:>7}  {path}: from `{}`, gone by `{}`",
                human::size(ghost.size),
                name(ghost.added),
                name(ghost.hidden)
            );
        }
        if all.len() > 5 {
            eprintln!("  and {} more files; do both in one RUN, or use --squash", all.len() - 5);
        }
        Ok(())
    }
}

impl Progress {
    /// Keeps and prints a line of a step.
    fn line(&mut self, step: &StepName, bytes: &[u8], since: Duration) {
        let line = String::from_utf8_lossy(bytes);
        if line.is_empty() {
            return;
        }
        let plain = without_escapes(&line).into_owned();
        if let Some(shown) = self.running.get_mut(&step.stage) {
            shown.last.clone_from(&plain);
            shown.tail.push_back(plain);
            if shown.tail.len() > TAIL {
                shown.tail.pop_front();
            }
        }
        if self.mode == ProgressMode::Plain {
            self.say(&format!("{} {:>6} {line}", head(step), seconds(since)));
        }
    }

    /// Prints the last line of a step that does not end with a newline.
    fn last_line(&mut self, step: &StepName) {
        if let Some(shown) = self.running.get_mut(&step.stage) {
            let (rest, since) = (std::mem::take(&mut shown.partial), shown.begun.elapsed());
            self.line(step, &rest, since);
        }
    }
}

fn seconds(took: Duration) -> String {
    format!("{:.1}s", took.as_secs_f64())
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

fn head(step: &StepName) -> String {
    format!("[{}{}/{}]", step.prefix(), step.number, step.of)
}

fn line(step: &StepName, end: &str) -> String {
    let head = head(step);
    let text = cut(&step.text, WIDTH.saturating_sub(head.chars().count()));
    format!("{:<WIDTH$}  {end}", format!("{head} {text}"))
}

fn files(entries: u64) -> String {
    if entries == 1 { "1 entry".into() } else { format!("{entries} entries") }
}

impl Listener for Progress {
    fn warning(&mut self, warning: &Warning) {
        if self.mode == ProgressMode::RawJson {
            return self.event(&raw::warning(warning));
        }
        let place = if warning.line == 0 { String::new() } else { format!(" (line {})", warning.line) };
        self.say(&format!("warning: {}: {}{place}", warning.rule, warning.message));
    }

    fn note(&mut self, text: &str) {
        self.say(&format!("note: {text}"));
    }

    fn begins(&mut self, step: &StepName) {
        if self.mode == ProgressMode::RawJson {
            return self.event(&raw::begins(step, &head(step)));
        }
        if self.mode == ProgressMode::Plain {
            self.say(&format!("{} {}", head(step), step.text));
        }
        self.erase();
        let shown = RunningStep {
            step: step.clone(),
            begun: Instant::now(),
            partial: Vec::new(),
            last: String::new(),
            tail: VecDeque::new(),
        };
        self.running.insert(step.stage, shown);
        self.draw();
    }

    fn output(&mut self, step: &StepName, bytes: &[u8]) {
        if self.mode == ProgressMode::RawJson {
            return self.event(&raw::output(step, bytes));
        }
        let Some(shown) = self.running.get_mut(&step.stage) else { return };
        let since = shown.begun.elapsed();
        shown.partial.extend_from_slice(bytes);
        let mut lines = Vec::new();
        while let Some(end) = shown.partial.iter().position(|b| matches!(b, b'\n' | b'\r')) {
            let rest = shown.partial.split_off(end + 1);
            let line = std::mem::replace(&mut shown.partial, rest);
            lines.push(line[..end].to_vec());
        }
        if shown.partial.len() > LONGEST_LINE {
            lines.push(std::mem::take(&mut shown.partial));
        }
        for line in lines {
            self.line(step, &line, since);
        }
    }

    fn done(&mut self, step: &StepName, done: &Done) {
        if self.mode == ProgressMode::RawJson {
            return self.event(&raw::done(step, &head(step), done));
        }
        self.last_line(step);
        self.erase();
        self.running.remove(&step.stage);
        let (end, more) = match done {
            Done::Metadata if step.text.starts_with("FROM ") => {
                (String::new(), "the layers of another image, shared with it: nothing is copied".to_owned())
            }
            Done::Metadata => (String::new(), "metadata only: no file, no layer".to_owned()),
            Done::Cached { size, entries } => {
                ("cached".into(), format!("layer of {}, {}", human::size(*size), files(*entries)))
            }
            Done::Ran { size, entries, reason, took } => {
                (seconds(*took), format!("layer of {}, {}; it ran: {reason}", human::size(*size), files(*entries)))
            }
        };
        match (self.mode, done) {
            (ProgressMode::Plain, Done::Ran { .. }) => self.say(&format!("{} done {end}", head(step))),
            _ => self.say(line(step, &end).trim_end()),
        }
        if self.explained {
            self.say(&format!("        ↳ {more}"));
        }
    }

    fn failed(&mut self, step: &StepName) {
        if self.mode == ProgressMode::RawJson {
            return self.event(&raw::failed(step, &head(step)));
        }
        self.last_line(step);
        self.erase();
        if let Some(shown) = self.running.remove(&step.stage) {
            self.tail = shown.tail;
        }
        self.say(line(step, "failed").trim_end());
    }

    fn tick(&mut self) {
        self.erase();
        self.draw();
    }
}
