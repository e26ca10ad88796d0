//! `top`: the processes of a container, as the host sees them.

use super::Context;
use super::human;
use crate::container::processes;
use crate::container::stored::record::{Container, Phase};
use crate::diag::Failure;
use clap::Args;

#[derive(Args)]
pub(super) struct TopArgs {
    container: String,
}

pub(super) fn top(arguments: &TopArgs, context: &Context) -> Result<u8, Failure> {
    let container = Container::find(&context.store, &arguments.container)?;
    let state = container.state();
    if state.phase != Phase::Running {
        return Err(container.not_running().into());
    }
    let mut rows = Vec::new();
    for process in processes::pids(state.pid).into_iter().filter_map(processes::read) {
        let seconds = process.ticks / 100;
        rows.push(vec![
            process.uid.to_string(),
            process.pid.to_string(),
            process.parent.to_string(),
            process.started,
            format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
            process.command,
        ]);
    }
    print!("{}", human::table(&["UID", "PID", "PPID", "STIME", "TIME", "CMD"], &rows));
    Ok(0)
}
