//! `probe`: tries forbidden operations in a container.

use crate::cli::flags::ReportFlags;
use crate::cli::{Context, human, inside, json};
use crate::container::stored::record::Container;
use crate::diag::{Diagnose, Failure};
use crate::explain::live::attempt::{Answer, AttemptResult, Outcome, Wall, text};
use crate::explain::live::probe::probe;
use crate::explain::why;
use crate::explain::words::{Language, Words, fill};
use clap::Args;
use serde::Serialize;

#[derive(Args)]
pub(crate) struct ProbeArgs {
    #[command(flatten)]
    report: ReportFlags,
    /// A running container [default: the newest]
    container: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("no container is running")]
struct NoneRuns {
    hint: String,
}

impl Diagnose for NoneRuns {
    fn hint(&self) -> Option<String> {
        Some(self.hint.clone())
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

impl ProbeArgs {
    pub(crate) fn run(self, context: &Context) -> Result<u8, Failure> {
        let newest = || {
            let running = Container::running(&context.store).into_iter();
            running.max_by(|a, b| a.record.created.cmp(&b.record.created))
        };
        let container = match &self.container {
            Some(name) => Container::find(&context.store, name)?,
            None => newest().ok_or_else(|| NoneRuns { hint: start_one(context) })?,
        };
        inside::enter_at(&context.store, container.place())?;
        let rows = probe(&context.store, &container)?;
        if self.report.json {
            json::print(&Probed { container: &container.record.name, rows: &rows })?;
        } else {
            print!("{}", table(&rows, Language::current()));
        }
        Ok(0)
    }
}

/// The hint that starts a container: the newest one there is, else a new one.
fn start_one(context: &Context) -> String {
    let newest = Container::all(&context.store).into_iter().max_by(|a, b| a.record.created.cmp(&b.record.created));
    match newest {
        Some(container) => format!("start one: minirun start {}", container.record.name),
        None => "start one: minirun run -d alpine sleep 600".into(),
    }
}

#[derive(Serialize)]
struct Probed<'a> {
    container: &'a str,
    rows: &'a [AttemptResult],
}

fn table(rows: &[AttemptResult], language: Language) -> String {
    let words = language.words();
    let line = |row: &AttemptResult| {
        let outcome = match row.outcome {
            Outcome::GoesThrough => words.allowed,
            Outcome::Stopped => words.stopped,
            Outcome::NotTried => words.not_tried,
        };
        let walls: Vec<String> = row.walls.iter().map(|wall| wall_in(wall, words)).collect();
        let answer = match row.answer {
            None => String::new(),
            Some(Answer::Done) => words.done.to_owned(),
            Some(Answer::Errno { number }) => format!("{:?}", nix::errno::Errno::from_raw(number)),
            Some(Answer::Signal { number }) => why::signal_name(number),
        };
        vec![text(row.operation, words).into(), row.call.into(), outcome.into(), walls.join(words.and_also), answer]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(line).collect();
    human::fitted_table(&[words.head_attempt, words.head_call, "", words.head_wall, words.head_answer], &rows)
}

fn wall_in(wall: &Wall, words: &Words) -> String {
    match wall {
        Wall::Seccomp => words.wall_seccomp.into(),
        Wall::Capability { name } => fill(words.wall_capability, &[name]),
        Wall::UserNamespace => words.wall_user_namespace.into(),
        Wall::PidNamespace => words.wall_pid_namespace.into(),
        Wall::MountNamespace => words.wall_mount_namespace.into(),
        Wall::ReadOnly => words.wall_read_only.into(),
        Wall::Masked => words.wall_masked.into(),
        Wall::OwnPidNamespace => words.wall_own_pid_namespace.into(),
        Wall::Limit { file, value } => fill(words.wall_limit, &[file, value]),
        Wall::NoLimit { flag } => fill(words.wall_no_limit, &[flag]),
        Wall::NoController { flag } => fill(words.wall_no_controller, &[flag]),
        Wall::NotInThisKernel => words.wall_not_in_this_kernel.into(),
        Wall::Other => words.wall_other.into(),
    }
}
