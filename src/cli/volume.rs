//! `volume`: directories that outlive containers.

use super::confirm::confirm;
use super::flags::LabelFilter;
use super::format::{Format, print_objects};
use super::listing::{Fields, Listing, Row};
use super::{Context, human, inside, stderr};
use crate::container::stored::volumes;
use crate::diag::{Diagnose, Failure};
use crate::image::stored::usage::blocks;
use crate::journal::{self, Event, Kind};
use crate::store::Store;
use crate::sys::On;
use crate::volume::{self, Record, Volume, VolumeError};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::PathBuf;

#[derive(Subcommand)]
#[command(defer = true)]
pub(super) enum Command {
    /// Create a volume
    Create(CreateArgs),
    /// List volumes
    #[command(visible_alias = "list")]
    Ls(LsArgs),
    /// Show volumes as JSON
    Inspect(InspectArgs),
    /// Remove volumes
    #[command(visible_alias = "remove")]
    Rm(RmArgs),
    /// Remove anonymous volumes that no container uses
    Prune(PruneArgs),
    /// Say by the exit code whether a volume exists
    Exists(Name),
    /// Write the files of a volume as a tar archive
    Export(ExportArgs),
    /// Unpack a tar archive over the files of a volume
    Import(ImportArgs),
}

#[derive(Args)]
pub(super) struct CreateArgs {
    /// Set the driver: local is the only one
    #[arg(short, long, default_value = "local", value_parser = ["local"], hide_default_value = true, hide_possible_values = true)]
    driver: String,
    /// Set a label
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = volume::label)]
    label: Vec<(String, String)>,
    /// Set an option: type=tmpfs or none, device=/HOST/DIR, o=bind or size=100m
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = volume::option)]
    opt: Vec<(String, String)>,
    /// Do nothing if the volume exists, as without this flag
    #[arg(long, hide = true)]
    ignore: bool,
    /// The volume's name [default: a random one]
    name: Option<String>,
}

#[derive(Args)]
pub(super) struct LsArgs {
    /// Print only names
    #[arg(short, long)]
    quiet: bool,
    /// List only some: name=TEXT, label=NAME[=VALUE], dangling=BOOL, driver=local
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = filter)]
    filter: Vec<Filter>,
    /// Print through a template: json, 'table {{.Name}}\t{{.Mountpoint}}'
    #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: Format,
}

#[derive(Args)]
pub(super) struct InspectArgs {
    /// Print through a Go template
    #[arg(short, long, value_name = "TEMPLATE")]
    format: Option<String>,
    #[arg(required = true, value_name = "VOLUME")]
    names: Vec<String>,
}

#[derive(Args)]
pub(super) struct RmArgs {
    /// Succeed for a volume that does not exist
    #[arg(short, long)]
    force: bool,
    #[arg(required = true, value_name = "VOLUME")]
    names: Vec<String>,
}

#[derive(Args)]
pub(super) struct PruneArgs {
    /// Remove unused volumes with names too
    #[arg(short, long)]
    all: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    force: bool,
    /// Remove only some: label=NAME[=VALUE], label!=NAME[=VALUE]
    #[arg(long, value_name = "KEY=VALUE", value_parser = prune_filter)]
    filter: Vec<Filter>,
}

#[derive(Args)]
pub(super) struct Name {
    #[arg(value_name = "VOLUME")]
    name: String,
}

#[derive(Args)]
pub(super) struct ExportArgs {
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[arg(value_name = "VOLUME")]
    name: String,
}

#[derive(Args)]
pub(super) struct ImportArgs {
    #[arg(value_name = "VOLUME")]
    name: String,
    /// The archive; - is standard input
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
}

/// `--filter`
#[derive(Debug, Clone, PartialEq, Eq)]
enum Filter {
    Name(String),
    Label(LabelFilter),
    NoLabel(LabelFilter),
    Dangling(bool),
    Driver(String),
}

#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error("invalid filter {0:?}")]
    Filter(String),
    #[error("invalid filter {0:?}: a prune filters by labels")]
    PruneFilter(String),
    #[error("refusing to write an archive to a terminal")]
    Terminal,
}

impl Diagnose for CommandError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Filter(_) => "filters: name=TEXT, label=NAME[=VALUE], dangling=true or false, driver=local".into(),
            Self::PruneFilter(_) => "filters: label=NAME[=VALUE], label!=NAME[=VALUE]".into(),
            Self::Terminal => "name a file: -o FILE".into(),
        })
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

fn filter(text: &str) -> Result<Filter, CommandError> {
    let unknown = || CommandError::Filter(text.to_owned());
    let (key, value) = text.split_once('=').ok_or_else(unknown)?;
    match (key, value) {
        ("name", value) => Ok(Filter::Name(value.to_owned())),
        ("driver", value) => Ok(Filter::Driver(value.to_owned())),
        ("dangling", "true" | "1") => Ok(Filter::Dangling(true)),
        ("dangling", "false" | "0") => Ok(Filter::Dangling(false)),
        ("label", value) => Ok(Filter::Label(LabelFilter::new(value))),
        ("label!", value) => Ok(Filter::NoLabel(LabelFilter::new(value))),
        _ => Err(unknown()),
    }
}

fn prune_filter(text: &str) -> Result<Filter, CommandError> {
    match filter(text) {
        Ok(filter @ (Filter::Label(_) | Filter::NoLabel(_))) => Ok(filter),
        _ => Err(CommandError::PruneFilter(text.to_owned())),
    }
}

/// Whether a volume passes: any of the filters with one key, all of those on labels, and each key.
fn passes(store: &Store, volume: &Volume, filters: &[Filter]) -> Result<bool, VolumeError> {
    let (mut names, mut dangling, mut drivers) = (None, None, None);
    for filter in filters {
        let (any, fits) = match filter {
            Filter::Name(text) => (&mut names, volume.name.contains(text.as_str())),
            Filter::Driver(driver) => (&mut drivers, driver == DRIVER),
            Filter::Dangling(wanted) => (&mut dangling, volumes::users(store, &volume.name)?.is_empty() == *wanted),
            Filter::Label(label) if label.holds(&volume.record.labels) => continue,
            Filter::NoLabel(label) if !label.holds(&volume.record.labels) => continue,
            Filter::Label(_) | Filter::NoLabel(_) => return Ok(false),
        };
        *any = Some(any.unwrap_or(false) || fits);
    }
    Ok([names, dangling, drivers].into_iter().flatten().all(|fits| fits))
}

const DRIVER: &str = "local";

impl Command {
    pub(super) fn run(self, context: &Context) -> Result<u8, Failure> {
        let store = &context.store;
        match self {
            Self::Create(arguments) => create(arguments, store),
            Self::Ls(arguments) => ls(&arguments, store),
            Self::Inspect(arguments) => inspect(&arguments, store),
            Self::Rm(arguments) => rm(&arguments, store),
            Self::Prune(arguments) => prune(&arguments, store),
            Self::Exists(name) => Ok(u8::from(volume::find(store, &name.name).is_err())),
            Self::Export(arguments) => export(&arguments, store),
            Self::Import(arguments) => import(&arguments, store),
        }
    }
}

fn create(arguments: CreateArgs, store: &Store) -> Result<u8, Failure> {
    let name = arguments.name.filter(|name| !name.is_empty());
    let record = Record::new(arguments.label.into_iter().collect(), arguments.opt.into_iter().collect());
    let record = if name.is_some() { record } else { Record::of_container(true, record.labels, record.options) };
    let name = name.unwrap_or_else(volume::random_name);
    volume::create(store, &name, record)?;
    println!("{name}");
    Ok(0)
}

const FIELDS: Fields = &[
    ("Driver", "DRIVER"),
    ("Name", "VOLUME NAME"),
    ("Availability", "AVAILABILITY"),
    ("Group", "GROUP"),
    ("Labels", "LABELS"),
    ("Links", "LINKS"),
    ("Mountpoint", "MOUNTPOINT"),
    ("Scope", "SCOPE"),
    ("Size", "SIZE"),
    ("Status", "STATUS"),
];

fn ls(arguments: &LsArgs, store: &Store) -> Result<u8, Failure> {
    let listing = Listing::new(FIELDS, vec!["Driver", "Name"], &arguments.format)?;
    let mut listed = Vec::new();
    for volume in volume::all(store) {
        if passes(store, &volume, &arguments.filter)? {
            listed.push(volume);
        }
    }
    if arguments.quiet {
        listed.iter().for_each(|volume| println!("{}", volume.name));
        return Ok(0);
    }
    listing.print(&listed.iter().map(row).collect::<Vec<_>>())?;
    Ok(0)
}

fn row(volume: &Volume) -> Row {
    let mut row = Row::default();
    row.set("Driver", DRIVER);
    row.set("Name", &volume.name);
    row.set("Mountpoint", volume.data().to_string_lossy());
    row.set("Scope", "local");
    row.set_labels(&volume.record.labels);
    // What Docker tells only of a cluster, or not in this list.
    for field in ["Availability", "Group", "Links", "Size", "Status"] {
        row.set(field, "N/A");
    }
    row
}

fn described(volume: &Volume) -> Value {
    let or_null =
        |map: &std::collections::BTreeMap<String, String>| if map.is_empty() { Value::Null } else { json!(map) };
    json!({
        "CreatedAt": volume.record.created,
        "Driver": DRIVER,
        "Labels": or_null(&volume.record.labels),
        "Mountpoint": volume.data(),
        "Name": volume.name,
        "Options": or_null(&volume.record.options),
        "Scope": "local",
    })
}

fn inspect(arguments: &InspectArgs, store: &Store) -> Result<u8, Failure> {
    let mut described_all = Vec::new();
    let mut code = 0;
    for name in &arguments.names {
        match volume::find(store, name) {
            Ok(volume) => described_all.push(described(&volume)),
            Err(error) => {
                stderr::report(&error);
                code = 1;
            }
        }
    }
    print_objects(arguments.format.as_deref(), described_all)?;
    Ok(code)
}

fn rm(arguments: &RmArgs, store: &Store) -> Result<u8, Failure> {
    inside::enter(store)?;
    let mut code = 0;
    for name in &arguments.names {
        match remove(store, name) {
            Err(VolumeError::NotFound(_)) if arguments.force => println!("{name}"),
            Err(error) => {
                stderr::report(&error);
                code = 1;
            }
            Ok(()) => println!("{name}"),
        }
    }
    Ok(code)
}

fn remove(store: &Store, name: &str) -> Result<(), VolumeError> {
    // What killed commands have left may hold it still.
    store.sweep();
    let volume = volume::find(store, name)?;
    let containers = volumes::users(store, name)?;
    if containers.is_empty() {
        volume::remove(store, &volume)
    } else {
        Err(VolumeError::InUse { name: name.to_owned(), containers })
    }
}

fn prune(arguments: &PruneArgs, store: &Store) -> Result<u8, Failure> {
    inside::enter(store)?;
    let which = if arguments.all { "all volumes" } else { "anonymous volumes" };
    let question = format!(
        "WARNING! This will remove {which} not used by at least one container.\nAre you sure you want to continue?"
    );
    let forced = if arguments.all { "minirun volume prune -a -f" } else { "minirun volume prune -f" };
    if !arguments.force && !confirm(&question, forced)? {
        return Ok(1);
    }
    let freed = prune_unused(store, |volume| {
        Ok((arguments.all || volume.record.anonymous) && passes(store, volume, &arguments.filter)?)
    })?;
    println!("Total reclaimed space: {}", human::size(freed));
    Ok(0)
}

/// Removes the wanted volumes that no container uses, prints which as Docker does, and returns the bytes that became free.
/// Must run inside the user namespace.
pub(super) fn prune_unused(
    store: &Store,
    is_wanted: impl Fn(&Volume) -> Result<bool, VolumeError>,
) -> Result<u64, Failure> {
    let (mut removed, mut freed) = (Vec::new(), 0);
    for volume in volume::all(store) {
        if !is_wanted(&volume)? || !volumes::users(store, &volume.name)?.is_empty() {
            continue;
        }
        let size = blocks(&volume.directory)?;
        match volume::remove(store, &volume) {
            // A container has just taken it.
            Err(VolumeError::InUse { .. }) => {}
            other => {
                other?;
                freed += size;
                removed.push(volume.name);
            }
        }
    }
    journal::note(store, &[Event::pruned(Kind::Volume, freed)]);
    if !removed.is_empty() {
        println!("Deleted Volumes:");
        removed.iter().for_each(|name| println!("{name}"));
        println!();
    }
    Ok(freed)
}

fn export(arguments: &ExportArgs, store: &Store) -> Result<u8, Failure> {
    if arguments.output.is_none() && std::io::stdout().is_terminal() {
        return Err(CommandError::Terminal.into());
    }
    inside::enter(store)?;
    let volume = volume::find(store, &arguments.name)?;
    let path = arguments.output.clone().unwrap_or_else(|| "/dev/stdout".into());
    let output: File = match &arguments.output {
        Some(path) => File::create(path).on("open", path)?,
        None => rustix::io::dup(rustix::stdio::stdout()).on("dup", "standard output")?.into(),
    };
    let mut output = BufWriter::with_capacity(64 << 10, output);
    volume::export(&volume, &mut output)?;
    output.flush().on("write", path)?;
    Ok(0)
}

fn import(arguments: &ImportArgs, store: &Store) -> Result<u8, Failure> {
    inside::enter(store)?;
    let volume = volume::find(store, &arguments.name)?;
    let archive: File = if arguments.file.as_os_str() == "-" {
        rustix::io::dup(rustix::stdio::stdin()).on("dup", "standard input")?.into()
    } else {
        File::open(&arguments.file).on("open", &arguments.file)?
    };
    volume::import(&volume, archive)?;
    Ok(0)
}
