//! The whole store: system check and reset, and the dispatch of the other commands of `system`.

use super::confirm::confirm;
use super::flags::RegistryFlags;
use super::{Context, inside, json};
use crate::check::{self, Outcome};
use crate::container::live::stop_all::{running, stop_all};
use crate::diag::{Diagnose, Failure};
use crate::store::{self, Store};
use crate::sys::SysError;
use clap::{Args, Subcommand};
use std::fs;

#[derive(Subcommand)]
#[command(defer = true)]
pub(super) enum Command {
    /// Show disk usage of images, containers, volumes and the build cache
    Df(super::df::DfArgs),
    /// Find damaged files and leftovers of killed processes in the store
    Check(CheckArgs),
    /// Remove every container, image and volume, including damaged ones
    Reset(ResetArgs),
    /// Show what was done to containers, images, volumes and networks
    Events(super::events::EventsArgs),
    /// Show minirun's version, its directories and the host
    Info(super::info::InfoArgs),
    /// Remove stopped containers, unused images and the build cache
    Prune(super::prune::SystemPruneArgs),
}

#[derive(Args)]
pub(super) struct CheckArgs {
    /// Repair them: fetch again, derive again, or remove what cannot be used
    #[arg(long)]
    repair: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    registry: RegistryFlags,
}

#[derive(Args)]
pub(super) struct ResetArgs {
    /// Do not ask for confirmation
    #[arg(short, long)]
    force: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot remove the store {path}")]
struct NotRemoved {
    path: String,
    source: SysError,
}

impl Diagnose for NotRemoved {
    fn inner(&self) -> Option<&dyn Diagnose> {
        Some(&self.source)
    }
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Result<u8, Failure> {
        match self {
            Self::Df(arguments) => super::df::df(&arguments, &context.store),
            Self::Check(arguments) => check(&arguments, &context.store),
            Self::Reset(arguments) => reset(&arguments, &context.store),
            Self::Events(arguments) => super::events::events(&arguments, context),
            Self::Info(arguments) => super::info::info(&arguments, &context.store),
            Self::Prune(arguments) => super::prune::system_prune(&arguments, context),
        }
    }
}

fn check(arguments: &CheckArgs, store: &Store) -> Result<u8, Failure> {
    inside::enter(store)?;
    let findings = check::check(store, arguments.repair, &arguments.registry.settings())?;
    let mended = findings.iter().filter(|finding| finding.outcome == Outcome::Mended).count();
    if arguments.json {
        json::print(&serde_json::json!({ "findings": findings }))?;
    } else {
        for finding in &findings {
            let outcome = match finding.outcome {
                Outcome::Mended => "mended",
                Outcome::Mendable => "--repair would",
                Outcome::Left => "not mended",
            };
            println!("{}: {}\n    {outcome}: {}", finding.path.display(), finding.damage, finding.repair);
        }
        match findings.len() {
            0 => println!("Nothing is damaged."),
            all if arguments.repair => println!("{all} damaged, {mended} mended."),
            all => println!("{all} damaged; what mends them: {}", store::CHECK),
        }
    }
    Ok(u8::from(mended < findings.len()))
}

fn reset(arguments: &ResetArgs, store: &Store) -> Result<u8, Failure> {
    // Files of an image belong to users of the namespace, and can only be removed inside it.
    inside::enter(store)?;
    if !arguments.force && !confirm(&question(store), "minirun system reset --force")? {
        return Ok(1);
    }
    stop_all(store);
    store.remove().map_err(|source| NotRemoved { path: store.root.display().to_string(), source })?;
    Ok(0)
}

/// Returns the question of `system reset`. Counts entries and reads none, so that damaged ones are counted too.
fn question(store: &Store) -> String {
    let count = |part: &str| fs::read_dir(store.path(part)).map_or(0, Iterator::count);
    format!(
        "This removes everything that minirun keeps in {}:\n  {:>5} containers, {} of them running\n  {:>5} images\n  \
         {:>5} volumes\nRemove all of it?",
        store.root.display(),
        count("containers"),
        running(store).len(),
        count("images"),
        count("volumes")
    )
}
