//! `compose config`: the project as it was understood.

use super::flags::ProjectFlags;
use crate::compose::{self, Project};
use crate::diag::{Diagnose, Failure};
use clap::{Args, ValueEnum};
use std::collections::BTreeSet;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct ConfigArgs {
    /// Set the format
    #[arg(long, value_name = "FORMAT", default_value = "yaml")]
    format: Format,
    /// Print nothing: only check
    #[arg(short, long)]
    quiet: bool,
    /// Print the names of services
    #[arg(long)]
    services: bool,
    /// Print the names of volumes
    #[arg(long)]
    volumes: bool,
    /// Print the names of networks
    #[arg(long)]
    networks: bool,
    /// Print the images
    #[arg(long)]
    images: bool,
    /// Print the profiles
    #[arg(long)]
    profiles: bool,
    /// Print the variables that the files can use
    #[arg(long)]
    environment: bool,
    /// Print the hash of a service's settings; * for all
    #[arg(long, value_name = "SERVICE")]
    hash: Option<String>,
    /// Leave variables in their places
    #[arg(long)]
    no_interpolate: bool,
    /// Write to a file
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Only these services, and what they depend on
    #[arg(value_name = "SERVICE")]
    services_wanted: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Yaml,
    Json,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write {}", .0.display())]
struct Unwritten(PathBuf, #[source] std::io::Error);

impl Diagnose for Unwritten {
    fn exit_code(&self) -> u8 {
        1
    }
}

pub(super) fn config(arguments: &ConfigArgs, flags: &ProjectFlags) -> Result<u8, Failure> {
    let mut project = if arguments.no_interpolate { flags.project_with_variables()? } else { flags.project()? };
    project.enable(&arguments.services_wanted)?;
    if !arguments.services_wanted.is_empty() {
        let selected = project.selected(&arguments.services_wanted, true)?;
        project.services.retain(|name, _| selected.contains(name));
    }
    let Some(text) = text(arguments, &project)? else { return Ok(0) };
    match &arguments.output {
        Some(file) => std::fs::write(file, text).map_err(|error| Unwritten(file.clone(), error))?,
        None => print!("{text}"),
    }
    Ok(0)
}

fn text(arguments: &ConfigArgs, project: &Project) -> Result<Option<String>, Failure> {
    let lines = |names: BTreeSet<String>| Some(names.into_iter().map(|name| name + "\n").collect::<String>());
    let services = project.services.values();
    Ok(match arguments {
        ConfigArgs { quiet: true, .. } => None,
        ConfigArgs { services: true, .. } => lines(services.map(|service| service.name.clone()).collect()),
        ConfigArgs { volumes: true, .. } => lines(project.volumes.keys().cloned().collect()),
        ConfigArgs { networks: true, .. } => lines(project.networks.keys().cloned().collect()),
        ConfigArgs { images: true, .. } => lines(services.map(|service| service.image(&project.name)).collect()),
        ConfigArgs { profiles: true, .. } => {
            let all = services.chain(project.disabled.values());
            lines(all.flat_map(|service| service.node.texts("profiles")).collect())
        }
        ConfigArgs { environment: true, .. } => {
            lines(project.variables.0.iter().map(|(name, value)| format!("{name}={value}")).collect())
        }
        ConfigArgs { hash: Some(names), .. } => {
            let all: Vec<String> =
                if names == "*" { Vec::new() } else { names.split(',').map(str::to_owned).collect() };
            let mut wanted = project.selected(&all, false)?;
            wanted.sort();
            let mut text = String::new();
            for name in wanted {
                text += &format!("{name} {}\n", project.hash_of(project.service(&name)?));
            }
            Some(text)
        }
        _ => {
            let mut document = project.document();
            if !arguments.no_interpolate {
                document.escape_dollars();
            }
            Some(match arguments.format {
                Format::Json => serde_json::to_string_pretty(&document.json()).unwrap_or_default() + "\n",
                Format::Yaml => compose::yaml(&document),
            })
        }
    })
}
