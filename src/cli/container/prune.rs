//! `container prune`: removes what does not run.

use crate::cli::confirm::confirm;
use crate::cli::flags::PruneFilter;
use crate::cli::{Context, human, inside};
use crate::container::request::id::ContainerId;
use crate::container::stored::record;
use crate::container::stored::record::{Container, RecordError};
use crate::diag::Failure;
use crate::image::stored::usage::blocks;
use crate::journal::{self, Event, Kind};
use crate::store::Store;
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
    enter_to_prune(&context.store)?;
    if !arguments.force && !confirm(QUESTION, "minirun container prune --force")? {
        return Ok(1);
    }
    let pruned = remove_stopped(context, &arguments.filter);
    pruned.print();
    println!("Total reclaimed space: {}", human::size(pruned.freed));
    Ok(u8::from(pruned.has_failed))
}

/// Goes on inside the user namespace, once the processes that killed monitors have left are gone: they can only be killed from
/// outside.
pub(crate) fn enter_to_prune(store: &Store) -> Result<(), Failure> {
    Container::all(store).iter().for_each(|container| drop(container.state()));
    inside::enter(store)
}

/// What a removal of all stopped containers did.
#[derive(Default)]
pub(crate) struct Pruned {
    ids: Vec<ContainerId>,
    /// The bytes on disk that became free.
    pub freed: u64,
    /// A container could not be removed, which is printed.
    pub has_failed: bool,
}

impl Pruned {
    /// Prints what went as Docker does, and an empty line; nothing where nothing went.
    pub(crate) fn print(&self) {
        if !self.ids.is_empty() {
            println!("Deleted Containers:");
            self.ids.iter().for_each(|id| println!("{id}"));
            println!();
        }
    }
}

/// Removes the containers that do not run. Must run inside the user namespace.
pub(crate) fn remove_stopped(context: &Context, filters: &[PruneFilter]) -> Pruned {
    let mut pruned = Pruned::default();
    for container in Container::all(&context.store) {
        if !PruneFilter::all_match(filters, &container.record.created, &container.record.request.labels) {
            continue;
        }
        match remove_unless_running(context, &container) {
            Ok(Some(bytes)) => {
                pruned.ids.push(container.record.id);
                pruned.freed += bytes;
            }
            Ok(None) => {}
            Err(failure) => {
                crate::cli::stderr::report(failure.as_ref());
                pruned.has_failed = true;
            }
        }
    }
    journal::note(&context.store, &[Event::pruned(Kind::Container, pruned.freed)]);
    pruned
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
