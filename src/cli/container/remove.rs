//! `rm`: removes containers.

use super::stop::stop;
use crate::cli::flags::{Selection, each};
use crate::cli::{Context, inside};
use crate::container::live::stop_all;
use crate::container::request::signal::Signal;
use crate::container::stored::record;
use crate::container::stored::record::{Container, RecordError};
use crate::diag::{Diagnose, ErrorCode, Failure};
use clap::Args;

#[derive(Args)]
pub(crate) struct RmArgs {
    /// Stop and remove running containers too
    #[arg(short, long)]
    force: bool,
    /// With -f: wait this many seconds between SIGTERM and SIGKILL
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true, requires = "force")]
    time: Option<i64>,
    /// Remove their anonymous volumes too
    #[arg(short, long)]
    volumes: bool,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot remove container {name}: it is {status}")]
struct Running {
    name: String,
    status: &'static str,
}

impl Diagnose for Running {
    fn code(&self) -> Option<ErrorCode> {
        Some(ErrorCode::StillRunning)
    }

    fn hint(&self) -> Option<String> {
        let name = &self.name;
        Some(format!("stop it first: minirun stop {name}; or force: minirun rm -f {name}"))
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

pub(super) fn remove(arguments: &RmArgs, context: &Context) -> Result<u8, Failure> {
    let store = &context.store;
    let names = arguments.selection.names(store, || Container::all(store))?;
    // Processes that a killed monitor left running can only be killed from outside the user namespace.
    names.iter().filter_map(|name| Container::find(store, name).ok()).for_each(|container| drop(container.state()));
    inside::enter(store)?;
    Ok(each(&names, |name| {
        if remove_one(context, name, arguments)? {
            println!("{name}");
        }
        Ok(())
    }))
}

/// Removes one container; runs inside the user namespace. Returns `false` where -f finds nothing to remove, as in Docker.
fn remove_one(context: &Context, name: &str, arguments: &RmArgs) -> Result<bool, Failure> {
    let container = match Container::find(&context.store, name) {
        Err(RecordError::NotFound { .. }) if arguments.force => return Ok(false),
        Err(RecordError::Damaged { id, .. }) if arguments.force => {
            stop_all::remove_damaged(&context.store, &id)?;
            return Ok(true);
        }
        other => other?,
    };
    let mut is_stopped = false;
    loop {
        let lock = match container.lock() {
            // One with --rm has gone as it was stopped.
            Err(RecordError::NotFound { .. }) if arguments.force => return Ok(is_stopped),
            other => other?,
        };
        let state = container.state();
        if !state.phase.has_monitor() {
            record::remove(&context.store, &container, arguments.volumes)?;
            return Ok(true);
        }
        if !arguments.force {
            return Err(Running { name: container.record.name, status: state.status() }.into());
        }
        drop(lock);
        let signal = arguments.time.is_none().then_some(Signal::KILL);
        stop(&container, signal, arguments.time)?;
        is_stopped = true;
    }
}
