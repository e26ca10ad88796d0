//! The whole store: system df, check and reset; info, version.

use super::confirm::confirm;
use super::flags::RegistryFlags;
use super::{Context, human, inside, json};
use crate::check::{self, Outcome};
use crate::container::live::stop_all::{running, stop_all};
use crate::container::stored::record::Container;
use crate::diag::{Diagnose, Failure};
use crate::explain::disk::{self, Share, StorePart};
use crate::image;
use crate::store::{self, Store, StoreError};
use crate::sys::SysError;
use crate::userns::IdMap;
use clap::{Args, Subcommand};
use serde::Serialize;
use std::fs;
use std::path::Path;

#[derive(Subcommand)]
pub(super) enum Command {
    /// Show disk usage of images, containers, volumes and the build cache
    Df(DfArgs),
    /// Find damaged files and leftovers of killed processes in the store
    Check(CheckArgs),
    /// Remove every container, image and volume, including damaged ones
    Reset(ResetArgs),
    /// Show what was done to containers, images, volumes and networks
    Events(super::events::EventsArgs),
    /// Show minirun's version, its directories and the host
    Info,
}

#[derive(Args)]
pub(super) struct DfArgs {
    /// Print JSON with sizes in bytes
    #[arg(long)]
    json: bool,
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
    fn hint(&self) -> Option<String> {
        StoreError::Sys(self.source.clone()).hint()
    }
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Result<u8, Failure> {
        match self {
            Self::Df(arguments) => df(&arguments, &context.store),
            Self::Check(arguments) => check(&arguments, &context.store),
            Self::Reset(arguments) => reset(&arguments, &context.store),
            Self::Events(arguments) => super::events::events(&arguments, context),
            Self::Info => info(&context.store),
        }
    }
}

#[derive(Serialize)]
struct Usage {
    shares: Vec<Share>,
}

fn title(kind: StorePart) -> &'static str {
    match kind {
        StorePart::Images => "Images",
        StorePart::Containers => "Containers",
        StorePart::Volumes => "Volumes",
        StorePart::BuildCache => "Build cache",
        StorePart::Records => "Records",
    }
}

fn df(arguments: &DfArgs, store: &Store) -> Result<u8, Failure> {
    inside::enter(store)?;
    let shares = disk::usage(store)?;
    if arguments.json {
        json::print(&Usage { shares })?;
        return Ok(0);
    }
    let count =
        |number: usize, of: StorePart| if of == StorePart::Records { String::new() } else { number.to_string() };
    let mut rows: Vec<Vec<String>> = shares
        .iter()
        .map(|share| {
            let percent = (share.reclaimable * 100).checked_div(share.size).unwrap_or(0);
            let reclaimable = format!("{} ({percent}%)", human::size(share.reclaimable));
            let size = human::size(share.size);
            vec![
                title(share.kind).into(),
                count(share.total, share.kind),
                count(share.active, share.kind),
                size,
                reclaimable,
            ]
        })
        .collect();
    let all = |of: fn(&Share) -> u64| human::size(shares.iter().map(of).sum());
    rows.push(vec!["All".into(), String::new(), String::new(), all(|s| s.size), all(|s| s.reclaimable)]);
    print!("{}", human::table(&["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"], &rows));
    Ok(0)
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

pub(super) fn info(store: &Store) -> Result<u8, Failure> {
    let containers = fs::read_dir(store.path("containers")).map_or(0, Iterator::count);
    let host = rustix::system::uname();
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory =
        memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok());
    let cgroup = if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() { "2" } else { "1" };
    for (name, value) in [
        ("Containers", containers.to_string()),
        (" Running", Container::running(store).len().to_string()),
        ("Images", image::all(store)?.len().to_string()),
        ("Version", env!("CARGO_PKG_VERSION").into()),
        ("Root", store.root.display().to_string()),
        ("Runtime", store.runtime.display().to_string()),
        ("Ids", IdMap::of_caller().kind().into()),
        ("Cgroup version", cgroup.into()),
        ("Kernel", host.release().to_string_lossy().into_owned()),
        ("Operating system", os_name()),
        ("Architecture", host.machine().to_string_lossy().into_owned()),
        ("CPUs", std::thread::available_parallelism().map_or(1, usize::from).to_string()),
        ("Memory", memory.map_or_else(String::new, |kib: u64| human::size(kib * 1024))),
        ("Name", host.nodename().to_string_lossy().into_owned()),
    ] {
        println!("{:18}{value}", format!("{name}:"));
    }
    Ok(0)
}

fn os_name() -> String {
    let text = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.unwrap_or("Linux").trim_matches('"').to_owned()
}

pub(super) fn version() -> u8 {
    let host = rustix::system::uname();
    println!("minirun {}, {} {}", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    println!("kernel  {}", host.release().to_string_lossy());
    0
}
