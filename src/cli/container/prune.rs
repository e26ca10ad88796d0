//! `container prune`: removes what does not run.

use crate::cli::confirm::confirm;
use crate::cli::flags::PruneFilter;
use crate::cli::{Context, human, inside};
use crate::container::stored::record;
use crate::container::stored::record::{Container, RecordError};
use crate::diag::Failure;
use crate::image::stored::usage::blocks;
use clap::Args;

#[derive(Args)]
pub(crate) struct PruneArgs {
    /// Do not ask for confirmation
    #[arg(short, long)]
    force: bool,
    /// Remove only these: until=TIME, label=NAME[=VALUE], label!=NAME[=VALUE]
    #[arg(long, value_name = "KEY=VALUE")]
    filter: Vec<PruneFilter>,
}

const QUESTION: &str = "WARNING! This will remove all stopped containers.\nAre you sure you want to continue?";

pub(crate) fn prune(arguments: &PruneArgs, context: &Context) -> Result<u8, Failure> {
    // Processes that a killed monitor left running can only be killed from outside the user namespace.
    Container::all(&context.store).iter().for_each(|container| drop(container.state()));
    inside::enter(&context.store)?;
    if !arguments.force && !confirm(QUESTION, "minirun container prune --force")? {
        return Ok(1);
    }
    let (mut code, mut ids, mut freed) = (0, Vec::new(), 0);
    for container in Container::all(&context.store) {
        if !PruneFilter::all_match(&arguments.filter, &container.record.created, &container.record.request.labels) {
            continue;
        }
        match remove_unless_running(context, &container) {
            Ok(Some(bytes)) => {
                ids.push(container.record.id);
                freed += bytes;
            }
            Ok(None) => {}
            Err(failure) => {
                crate::cli::stderr::report(failure.as_ref());
                code = 1;
            }
        }
    }
    if !ids.is_empty() {
        println!("Deleted Containers:");
        ids.iter().for_each(|id| println!("{id}"));
        println!();
    }
    println!("Total reclaimed space: {}", human::size(freed));
    Ok(code)
}

/// Returns the bytes on disk that became free. `None`: it runs, or another process was faster.
fn remove_unless_running(context: &Context, container: &Container) -> Result<Option<u64>, Failure> {
    let _lock = match container.lock() {
        Err(RecordError::NotFound { .. }) => return Ok(None),
        other => other?,
    };
    if container.state().phase.has_monitor() {
        return Ok(None);
    }
    let bytes = blocks(&container.directory)?;
    record::remove(&context.store, container, false)?;
    Ok(Some(bytes))
}
