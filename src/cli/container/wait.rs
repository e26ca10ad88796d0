//! `wait`: the exit codes of containers, when there are any.

use crate::cli::Context;
use crate::cli::changes::Changes;
use crate::cli::flags::{Selection, each};
use crate::container::protocol::{End, Message};
use crate::container::stored::record::Container;
use crate::diag::Failure;
use clap::{Args, ValueEnum};

#[derive(Args)]
pub(crate) struct WaitArgs {
    /// Set what to wait for
    #[arg(long, value_name = "CONDITION", default_value = "not-running", hide_default_value = true)]
    condition: Condition,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Clone, Copy, ValueEnum)]
enum Condition {
    /// The container does not run
    NotRunning,
    /// It ends the next time, and is started before if it does not run
    NextExit,
    /// It is removed
    Removed,
}

pub(super) fn wait_all(arguments: &WaitArgs, context: &Context) -> Result<u8, Failure> {
    let names = arguments.selection.names(&context.store, || Container::running(&context.store))?;
    Ok(each(&names, |name| {
        let container = Container::find(&context.store, name)?;
        println!("{}", wait(&container, arguments.condition)?);
        Ok(())
    }))
}

fn wait(container: &Container, condition: Condition) -> Result<i32, Failure> {
    // Watched from now on, so that nothing happens between a look and the wait for the next change.
    let changes = match condition {
        Condition::NotRunning => None,
        Condition::NextExit | Condition::Removed => Some(Changes::of([container.directory.as_path()])?),
    };
    let before = container.state();
    let mut end = container.reach()?;
    if let (Condition::NextExit, Some(changes)) = (condition, &changes) {
        // A process may have started and ended between two looks.
        let has_ended = || container.written_state().finished != before.finished;
        while end.is_none() && !has_ended() && container.directory.exists() {
            changes.wait();
            end = container.reach()?;
        }
    }
    let mut code = end.map(|end| exit_code(&end)).transpose()?.flatten().unwrap_or(container.state().exit_code);
    if let (Condition::Removed, Some(changes)) = (condition, &changes) {
        while container.directory.exists() {
            changes.wait();
            let state = container.written_state();
            if container.directory.exists() {
                code = state.exit_code;
            }
        }
    }
    Ok(code)
}

/// Waits until the monitor reports the exit code. `None`: it was killed.
fn exit_code(end: &End) -> Result<Option<i32>, Failure> {
    while let Some((message, _)) = end.receive()? {
        if let Message::Exited { code } = message {
            return Ok(Some(code.cast_signed()));
        }
    }
    Ok(None)
}
