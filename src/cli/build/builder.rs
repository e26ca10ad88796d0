//! `builder` and `buildx`: the one builder there is, and its cache.

use super::command::{BuildArgs, build};
use crate::builder::BuildError;
use crate::builder::walk::cache;
use crate::cli::confirm::confirm;
use crate::cli::format::Format;
use crate::cli::listing::{Fields, Listing, Row};
use crate::cli::{Context, human, inside};
use crate::diag::{Diagnose, Failure};
use crate::image::name::platform::Platform;
use clap::Subcommand;

#[derive(Subcommand)]
#[command(defer = true)]
pub(crate) enum BuilderCommand {
    /// Build an image from a Dockerfile
    Build(Box<BuildArgs>),
    /// List the builders: there is one
    Ls {
        /// Print through a template: json, '{{.Name}}'
        #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
        format: Format,
    },
    /// Show the disk usage of the build cache
    Du,
    /// Show the builder
    Inspect {
        /// The builder's name: default
        name: Option<String>,
    },
    /// Show the version
    Version,
    /// Remove the build cache and free its space
    Prune {
        /// Remove all of it; this is the default
        #[arg(short, long)]
        all: bool,
        /// Do not ask for confirmation
        #[arg(short, long)]
        force: bool,
    },
    /// Build the targets of a bake file, which minirun cannot read
    #[command(hide = true)]
    Bake {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

#[derive(Debug, thiserror::Error)]
enum BuilderError {
    #[error("no such builder: {0}")]
    NoBuilder(String),
    #[error("minirun cannot read bake files")]
    Bake,
}

impl Diagnose for BuilderError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoBuilder(_) => "there is one builder: default".into(),
            Self::Bake => "build each target by itself: minirun build -f FILE --target TARGET -t NAME CONTEXT".into(),
        })
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

const FIELDS: Fields =
    &[("Name", "NAME/NODE"), ("DriverEndpoint", "DRIVER/ENDPOINT"), ("Status", "STATUS"), ("Platforms", "PLATFORMS")];

pub(crate) fn builder(command: BuilderCommand, context: &Context) -> Result<u8, Failure> {
    match command {
        BuilderCommand::Build(arguments) => return build(*arguments, context),
        BuilderCommand::Ls { format } => {
            let listing = Listing::new(FIELDS, FIELDS.iter().map(|(field, _)| *field).collect(), &format)?;
            let mut row = Row::default();
            row.set("Name", "default*");
            row.set("DriverEndpoint", "minirun");
            row.set("Status", "running");
            row.set("Platforms", Platform::here().to_string());
            listing.print(&[row])?;
        }
        BuilderCommand::Du => {
            inside::enter(&context.store)?;
            let usage = cache::usage(&context.store)?;
            println!("Entries:      {}", usage.entries);
            println!("Reclaimable:  {}", human::size(usage.size));
            println!("Total:        {}", human::size(usage.size));
        }
        BuilderCommand::Inspect { name: Some(name) } if name != "default" => {
            return Err(BuilderError::NoBuilder(name).into());
        }
        BuilderCommand::Inspect { .. } => {
            println!("Name:       default\nDriver:     minirun\nStatus:     running\nPlatforms:  {}", Platform::here());
        }
        BuilderCommand::Version => println!("minirun {}", env!("CARGO_PKG_VERSION")),
        BuilderCommand::Prune { force, .. } => return prune(context, force),
        BuilderCommand::Bake { .. } => return Err(BuilderError::Bake.into()),
    }
    Ok(0)
}

fn prune(context: &Context, force: bool) -> Result<u8, Failure> {
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
