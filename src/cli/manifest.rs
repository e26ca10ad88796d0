//! Manifest lists: manifest create, add, annotate, inspect, push, rm.

use super::Context;
use super::flags::RegistryFlags;
use crate::diag::Failure;
use crate::image::ImageError;
use crate::image::name::reference::Reference;
use crate::image::stored::index::Index;
use crate::image::stored::names;
use crate::registry::RegistryError;
use crate::registry::list::{self, List};
use crate::store::Store;
use clap::{Args, Subcommand};
use serde_json::Value;

#[derive(Subcommand)]
#[command(defer = true)]
pub(super) enum Command {
    /// Create a list of images that a registry has
    Create(CreateArguments),
    /// Add an image to a list
    Add(AddArguments),
    /// Set the platform of an image in a list
    Annotate(AnnotateArguments),
    /// Show a list, a built index, or a manifest in a registry
    Inspect(InspectArguments),
    /// Push a list to its registry
    Push(PushArguments),
    /// Remove lists from the store, not from registries
    Rm {
        #[arg(required = true, value_name = "LIST")]
        lists: Vec<Reference>,
    },
}

#[derive(Args)]
pub(super) struct CreateArguments {
    /// Add to the list if it exists
    #[arg(short, long)]
    amend: bool,
    #[command(flatten)]
    registry: RegistryFlags,
    /// The list's name
    list: Reference,
    /// Images of the same registry
    #[arg(value_name = "IMAGE")]
    images: Vec<Reference>,
}

#[derive(Args)]
pub(super) struct AddArguments {
    #[command(flatten)]
    registry: RegistryFlags,
    list: Reference,
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<Reference>,
}

#[derive(Args)]
pub(super) struct AnnotateArguments {
    /// Set the operating system
    #[arg(long)]
    os: Option<String>,
    /// Set the architecture
    #[arg(long)]
    arch: Option<String>,
    /// Set the architecture's variant
    #[arg(long)]
    variant: Option<String>,
    list: Reference,
    image: Reference,
}

#[derive(Args)]
pub(super) struct InspectArguments {
    #[command(flatten)]
    registry: RegistryFlags,
    name: Reference,
}

#[derive(Args)]
pub(super) struct PushArguments {
    /// Remove the list from the store after the push
    #[arg(short, long)]
    purge: bool,
    #[command(flatten)]
    registry: RegistryFlags,
    list: Reference,
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Result<u8, Failure> {
        let store = &context.store;
        match self {
            Self::Create(arguments) => {
                let list = arguments.list.or_latest();
                let created = List::create(store, &list, arguments.amend).map_err(RegistryError::from)?;
                fill(context, created, &arguments.images, &arguments.registry)?;
                println!("Created manifest list {list}");
            }
            Self::Add(arguments) => {
                let list = List::must(store, &arguments.list.or_latest()).map_err(RegistryError::from)?;
                fill(context, list, &arguments.images, &arguments.registry)?;
            }
            Self::Annotate(arguments) => {
                let mut list = List::must(store, &arguments.list.or_latest()).map_err(RegistryError::from)?;
                let given = [("os", arguments.os), ("architecture", arguments.arch), ("variant", arguments.variant)];
                let fields: Vec<_> = given.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
                list.annotate(&arguments.image, &fields).map_err(RegistryError::from)?;
                list.save(store).map_err(RegistryError::from)?;
            }
            Self::Inspect(arguments) => {
                let name = arguments.name.clone().or_latest();
                let list = List::open(store, &name).map_err(RegistryError::from)?;
                let document: Value = match (list, built(store, &name)?) {
                    (Some(list), _) => list.document(),
                    (None, Some(index)) => serde_json::from_slice(&index.bytes).unwrap_or_default(),
                    (None, None) => {
                        let bytes = list::fetch(&arguments.name, &arguments.registry.settings())?;
                        serde_json::from_slice(&bytes).unwrap_or_default()
                    }
                };
                println!("{document:#}");
            }
            Self::Push(arguments) => {
                let list = List::must(store, &arguments.list.or_latest()).map_err(RegistryError::from)?;
                println!("{}", list.push(&arguments.registry.settings())?);
                if arguments.purge {
                    list.remove(store).map_err(RegistryError::from)?;
                }
            }
            Self::Rm { lists } => {
                for list in lists {
                    let list = List::must(store, &list.or_latest()).map_err(RegistryError::from)?;
                    list.remove(store).map_err(RegistryError::from)?;
                    println!("Deleted: {}", list.reference.familiar());
                }
            }
        }
        Ok(0)
    }
}

/// Returns the index that a name stands for in the store.
fn built(store: &Store, name: &Reference) -> Result<Option<Index>, ImageError> {
    let name = names::resolve(store, name)?;
    name.map_or(Ok(None), |name| Index::open(store, &name.manifest))
}

fn fill(context: &Context, mut list: List, images: &[Reference], flags: &RegistryFlags) -> Result<(), Failure> {
    for image in images {
        list.add(image, &flags.settings())?;
    }
    Ok(list.save(&context.store).map_err(RegistryError::from)?)
}
