//! `builder prune`: removes the build cache.

use crate::builder::BuildError;
use crate::builder::walk::cache;
use crate::cli::confirm::confirm;
use crate::cli::{Context, human, inside};
use crate::diag::Failure;
use clap::Subcommand;

#[derive(Subcommand)]
pub(crate) enum BuilderCommand {
    /// Remove the build cache and free its space
    Prune {
        /// Remove all of it; this is the default
        #[arg(short, long)]
        all: bool,
        /// Do not ask for confirmation
        #[arg(short, long)]
        force: bool,
    },
}

pub(crate) fn builder(command: &BuilderCommand, context: &Context) -> Result<u8, Failure> {
    let BuilderCommand::Prune { force, .. } = command;
    let store = &context.store;
    inside::enter(store)?;
    let before = cache::usage(store)?;
    if !force {
        let question =
            format!("This frees {}; the next builds do every step again. Continue?", human::size(before.size));
        if !confirm(&question, "minirun builder prune --force")? {
            return Ok(1);
        }
    }
    cache::prune(store, None).map_err(BuildError::from)?;
    let after = cache::usage(store)?;
    println!("Total reclaimed space: {}", human::size(before.size.saturating_sub(after.size)));
    Ok(0)
}
