//! `probe`: what a container cannot do, and which wall stops it.

use super::super::{Context, human};
use super::Telling;
use crate::container::record::Container;
use crate::diag::{Diagnose, Failure};
use crate::explain::probe::{self, Answer, Row, Wall};
use crate::explain::why;
use crate::explain::words::{Language, Words, fill};
use crate::userns;
use clap::Args;

#[derive(Args)]
pub struct ProbeArgs {
    #[command(flatten)]
    telling: Telling,
    /// A running container [default: the newest]
    container: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("no container runs that could be probed")]
struct NoneRuns;

impl Diagnose for NoneRuns {
    fn hint(&self) -> Option<String> {
        Some("start one: minirun run -d IMAGE".into())
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

impl ProbeArgs {
    pub fn run(self, context: &Context) -> Result<u8, Failure> {
        userns::enter(&context.store)?;
        let newest = || {
            let running = Container::running(&context.store).into_iter();
            running.max_by(|a, b| a.record.created.cmp(&b.record.created))
        };
        let container = match &self.container {
            Some(name) => Container::find(&context.store, name)?,
            None => newest().ok_or(NoneRuns)?,
        };
        let rows = probe::look(&context.store, &container)?;
        if self.telling.json {
            super::print_json(&rows)?;
        } else {
            print!("{}", told(&rows, self.telling.speech.language()));
        }
        Ok(0)
    }
}

fn told(rows: &[Row], language: Language) -> String {
    let words = language.words();
    let line = |row: &Row| {
        let name = words.get(row.name).unwrap_or(row.name);
        let stopped = if row.is_allowed { words.allowed } else { words.stopped };
        let walls: Vec<String> = row.walls.iter().map(|wall| wall_in(wall, words)).collect();
        let answer = match row.answer {
            Answer::Done => words.done.to_owned(),
            Answer::Errno(errno) => nix::errno::Errno::from_raw(errno).desc().to_owned(),
            Answer::Signal(signal) => why::signal_name(signal),
            Answer::NotTried => words.not_tried.to_owned(),
        };
        vec![name.into(), row.call.into(), stopped.into(), walls.join(words.and_also), answer]
    };
    let rows: Vec<Vec<String>> = rows.iter().map(line).collect();
    human::table(&[words.head_attempt, words.head_call, "", words.head_wall, words.head_answer], &rows)
}

fn wall_in(wall: &Wall, words: &Words) -> String {
    match wall {
        Wall::Seccomp => words.wall_seccomp.into(),
        Wall::Capability(name) => fill(words.wall_capability, &[name]),
        Wall::UserNamespace => words.wall_user_namespace.into(),
        Wall::PidNamespace => words.wall_pid_namespace.into(),
        Wall::MountNamespace => words.wall_mount_namespace.into(),
        Wall::ReadOnly => words.wall_read_only.into(),
        Wall::Masked => words.wall_masked.into(),
        Wall::Limit(limit) => fill(words.wall_limit, &[limit]),
        Wall::NoLimit(flag) => fill(words.wall_no_limit, &[flag]),
        Wall::NoController(flag) => fill(words.wall_no_controller, &[flag]),
        Wall::NotInThisKernel => words.wall_not_in_this_kernel.into(),
        Wall::Other => words.wall_other.into(),
    }
}
