//! `run --explain`: each step as it is carried out, from the plan itself.

use super::{human, json};
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

/// How much of a start is told.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(super) enum ExplainFormat {
    /// The system call and why it is made; like steps in one breath
    Brief,
    /// Each step alone, and the commands that do the same by hand
    Full,
    /// The same as an object of JSON a line
    Json,
}

/// Prints to standard error, which is not the container's output. Neighbours that do the same to several things, such as
/// the links in /dev, are told in one breath.
pub(super) struct StepPrinter {
    how: ExplainFormat,
    language: Language,
    store: PathBuf,
    /// The container's own.
    directory: PathBuf,
    number: u32,
    /// Of one kind: those that were done, and those that were skipped for one reason or another.
    open: Vec<Paragraph>,
}

/// One step, or several of a kind.
struct Paragraph {
    kind: &'static str,
    objects: Vec<String>,
    told: Line,
}

#[derive(Serialize)]
struct Line {
    step: u32,
    call: String,
    why: String,
    /// `None`: it was done.
    skipped: Option<Skipped>,
    /// `None`: it was not measured, since another process did it meanwhile.
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

    fn told(self, words: &Words) -> &'static str {
        match self {
            Self::Missing => words.skipped_missing,
            Self::Unreachable => words.skipped_unreachable,
            Self::Exists => words.skipped_exists,
            Self::NotEmpty => words.skipped_not_empty,
            Self::Other => words.skipped_other,
        }
    }
}

/// Where standard error is no terminal.
const WIDTH: usize = 105;

impl StepPrinter {
    pub(super) fn new(how: ExplainFormat, language: Language, store: PathBuf, directory: PathBuf) -> Self {
        Self { how, language, store, directory, number: 0, open: Vec::new() }
    }

    fn add(&mut self, kind: &'static str, object: String, line: Line) {
        if kind.is_empty() || self.open.iter().any(|open| open.kind != kind) {
            self.flush();
        }
        let same = |open: &&mut Paragraph| open.told.why == line.why && open.told.skipped == line.skipped;
        if let Some(open) = self.open.iter_mut().find(same) {
            open.objects.push(object);
            open.told.micros = open.told.micros.zip(line.micros).map(|(a, b)| a + b);
            return;
        }
        self.number += 1;
        self.open.push(Paragraph { kind, objects: vec![object], told: Line { step: self.number, ..line } });
    }

    /// What no step of the plan does.
    fn add_call(&mut self, call: String, why: String) {
        let line = Line { step: 0, call, why, skipped: None, micros: None, commands: Vec::new() };
        self.add("", String::new(), line);
    }

    fn flush(&mut self) {
        std::mem::take(&mut self.open).into_iter().for_each(|paragraph| self.print(paragraph));
    }

    fn print(&self, Paragraph { kind, objects, told }: Paragraph) {
        if self.how == ExplainFormat::Json {
            eprintln!("{}", json::line(&told).unwrap_or_default());
            return;
        }
        let call = if objects.len() == 1 { told.call } else { format!("{kind}({})", objects.join(", ")) };
        let width = tcgetwinsize(rustix::stdio::stderr()).map_or(WIDTH, |size| usize::from(size.ws_col));
        // What stands to the left of a line, at most.
        let wrap = |text: &str| human::wrapped(&printable(text), width.saturating_sub(9).max(20));
        eprintln!("{:>3}  {}", told.step, wrap(&call).join("\n         "));
        let why = match told.skipped {
            Some(skipped) => fill(self.language.words().step_skipped, &[&skipped.told(self.language.words())]),
            None => told.why + &told.micros.map(|micros| format!(" ({micros} µs)")).unwrap_or_default(),
        };
        eprintln!("     ↳ {}", wrap(&why).join("\n       "));
        for command in &told.commands {
            eprintln!("     $ {}", printable(command));
        }
    }
}

impl Listener for StepPrinter {
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
        let Some(step) = plan.steps().nth(step as usize) else { return };
        let (kind, object) = match step {
            _ if self.how != ExplainFormat::Brief => ("", String::new()),
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
            micros: Some(micros),
            commands: Vec::new(),
        };
        if self.how != ExplainFormat::Brief && line.skipped.is_none() {
            let ids = IdMap::of_caller();
            let around = Surroundings {
                store: &self.store,
                upper: None,
                directory: &self.directory,
                files: &[],
                ids: &ids,
                is_shifted: false,
            };
            line.commands = by_hand::commands(step, &around);
        }
        self.add(kind, object, line);
        if matches!(step, Step::Exec { .. }) {
            self.flush();
        }
    }

    fn wants_steps(&self) -> bool {
        true
    }
}
