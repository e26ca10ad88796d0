//! `run --explain`: prints each step of the plan as it is carried out.

use super::{human, json, stderr};
use crate::container::live::launch::Listener;
use crate::container::plan::Plan;
use crate::container::plan::step::{Mount, Step};
use crate::diag::printable;
use crate::explain::by_hand::{self, Surroundings};
use crate::explain::reason;
use crate::explain::words::{Language, Words, fill};
use crate::userns::{IdMap, Origin};
use clap::ValueEnum;
use rustix::termios::tcgetwinsize;
use serde::Serialize;
use std::path::PathBuf;

/// How a start is explained.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum ExplainFormat {
    /// Each system call and its reason; similar steps together
    Brief,
    /// Each step alone, with the commands that do the same
    Full,
    /// One JSON object per line
    Json,
}

/// Prints to standard error, which is not the container's output. Neighbouring steps of one kind, such as the links in
/// /dev, share a paragraph.
pub(super) struct StepPrinter {
    format: ExplainFormat,
    language: Language,
    store: PathBuf,
    /// The container's directory.
    directory: PathBuf,
    /// The plan itself is the result, and goes to standard output.
    is_result: bool,
    number: u32,
    /// The paragraphs of the current kind: the steps that were done, and those that were skipped, by reason.
    open: Vec<Paragraph>,
}

/// One step, or several of a kind.
struct Paragraph {
    kind: &'static str,
    objects: Vec<String>,
    line: Line,
}

#[derive(Serialize)]
struct Line {
    step: u32,
    call: String,
    why: String,
    /// `None` when the step was done.
    skipped: Option<Skipped>,
    /// `None` when another process did the step, which is not measured.
    micros: Option<u32>,
    commands: Vec<String>,
}

/// Why a step had nothing to do.
#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Skipped {
    Missing,
    Unreachable,
    Exists,
    NotEmpty,
    Other,
}

impl Skipped {
    fn of(errno: u32) -> Option<Self> {
        Some(match errno.cast_signed() {
            0 => return None,
            libc::ENOENT | libc::ENOTDIR => Self::Missing,
            libc::EACCES | libc::EPERM => Self::Unreachable,
            libc::EEXIST => Self::Exists,
            libc::ENOTEMPTY => Self::NotEmpty,
            _ => Self::Other,
        })
    }

    fn in_words(self, words: &Words) -> &'static str {
        match self {
            Self::Missing => words.skipped_missing,
            Self::Unreachable => words.skipped_unreachable,
            Self::Exists => words.skipped_exists,
            Self::NotEmpty => words.skipped_not_empty,
            Self::Other => words.skipped_other,
        }
    }
}

/// The width where standard error is not a terminal.
const WIDTH: usize = 105;

impl StepPrinter {
    pub(super) fn new(format: ExplainFormat, language: Language, store: PathBuf, directory: PathBuf) -> Self {
        Self { format, language, store, directory, is_result: false, number: 0, open: Vec::new() }
    }

    /// Prints the steps of a plan that is not carried out.
    pub(super) fn print_plan(mut self, plan: &Plan) {
        self.is_result = true;
        plan.steps().for_each(|step| self.add_step(step, None, 0));
        self.flush();
    }

    fn add_step(&mut self, step: &Step, micros: Option<u32>, skipped: u32) {
        let (kind, object) = match step {
            _ if self.format != ExplainFormat::Brief => ("", String::new()),
            Step::Link { path, .. } => ("symlink ", path.clone()),
            Step::Mask { path } => ("move_mount of nothing over ", path.clone()),
            Step::ReadOnly { path } => ("mount_setattr MOUNT_ATTR_RDONLY ", path.clone()),
            Step::Mount(Mount { kind, target, .. }) if kind == "bind" => ("open_tree and move_mount ", target.clone()),
            _ => ("", String::new()),
        };
        let mut line = Line {
            step: 0,
            call: step.call(),
            why: reason::of(step, self.language),
            skipped: Skipped::of(skipped),
            micros,
            commands: Vec::new(),
        };
        if self.format != ExplainFormat::Brief && line.skipped.is_none() {
            let ids = IdMap::of_caller();
            let surroundings = Surroundings {
                store: &self.store,
                upper: None,
                directory: &self.directory,
                files: &[],
                ids: &ids,
                is_shifted: false,
            };
            line.commands = by_hand::commands(step, &surroundings);
        }
        self.add(kind, object, line);
        if matches!(step, Step::Exec { .. }) {
            self.flush();
        }
    }

    fn say(&self, line: &str) {
        if self.is_result { println!("{line}") } else { eprintln!("{line}") }
    }

    fn add(&mut self, kind: &'static str, object: String, line: Line) {
        if kind.is_empty() || self.open.iter().any(|open| open.kind != kind) {
            self.flush();
        }
        let same = |open: &&mut Paragraph| open.line.why == line.why && open.line.skipped == line.skipped;
        if let Some(open) = self.open.iter_mut().find(same) {
            open.objects.push(object);
            open.line.micros = open.line.micros.zip(line.micros).map(|(a, b)| a + b);
            return;
        }
        self.number += 1;
        self.open.push(Paragraph { kind, objects: vec![object], line: Line { step: self.number, ..line } });
    }

    /// Adds a call that no step of the plan makes.
    fn add_call(&mut self, call: String, why: String) {
        let line = Line { step: 0, call, why, skipped: None, micros: None, commands: Vec::new() };
        self.add("", String::new(), line);
    }

    fn flush(&mut self) {
        std::mem::take(&mut self.open).into_iter().for_each(|paragraph| self.print(paragraph));
    }

    fn print(&self, Paragraph { kind, objects, line }: Paragraph) {
        if self.format == ExplainFormat::Json {
            self.say(&json::line(&line).unwrap_or_default());
            return;
        }
        let call = if objects.len() == 1 { line.call } else { format!("{kind}({})", objects.join(", ")) };
        let width = tcgetwinsize(rustix::stdio::stderr()).map_or(WIDTH, |size| usize::from(size.ws_col));
        // The indent of a wrapped line.
        let wrap = |text: &str| human::wrapped(&printable(text), width.saturating_sub(9).max(20));
        self.say(&format!("{:>3}  {}", line.step, wrap(&call).join("\n         ")));
        let why = match line.skipped {
            Some(skipped) => fill(self.language.words().step_skipped, &[&skipped.in_words(self.language.words())]),
            None => line.why + &line.micros.map(|micros| format!(" ({micros} µs)")).unwrap_or_default(),
        };
        self.say(&format!("     ↳ {}", wrap(&why).join("\n       ")));
        for command in &line.commands {
            self.say(&format!("     $ {}", printable(command)));
        }
    }
}

impl Listener for StepPrinter {
    fn note(&mut self, note: &str) {
        stderr::note(note);
    }

    fn namespace(&mut self, origin: &Origin) {
        let words = self.language.words();
        match origin {
            Origin::Joined { monitor } => self.add_call(
                format!("setns(/proc/{monitor}/ns/user, CLONE_NEWUSER)"),
                fill(words.step_user_namespace_joined, &[monitor]),
            ),
            Origin::Made(map) => {
                self.add_call("unshare(CLONE_NEWUSER)".into(), words.step_user_namespace_made.into());
                let program = match map {
                    IdMap::Range { .. } => "newuidmap PID",
                    IdMap::Shifted { .. } | IdMap::Identity { .. } | IdMap::Single { .. } => "write(/proc/PID/uid_map)",
                };
                let ranges = map.uids().into_iter().map(|r| format!("{} {} {}", r.inside, r.outside, r.count));
                let call = format!("{program} {}", ranges.collect::<Vec<_>>().join(" "));
                self.add_call(call, words.step_map.into());
            }
        }
    }

    fn step(&mut self, plan: &Plan, step: u32, micros: u32, skipped: u32) {
        if let Some(step) = plan.steps().nth(step as usize) {
            self.add_step(step, Some(micros), skipped);
        }
    }

    fn wants_steps(&self) -> bool {
        true
    }
}
