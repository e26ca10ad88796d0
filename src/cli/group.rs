//! Docker's longer spelling of commands: `image ls` for `images`, `container ls` for `ps`.

use super::container::{self, Command as OfContainers, ExistsArgs};
use super::image::{Command as OfImages, RmiArguments};
use super::images::ImagesArguments;
use super::inspect::{InspectArgs, ObjectType};
use super::ps::PsArgs;
use super::registry::{Command as OfRegistries, PullArguments, PushArguments};
use super::{Context, build, inspect, prune};
use crate::diag::Failure;
use crate::image::{self, ImageError};
use clap::Subcommand;

#[derive(Subcommand)]
#[command(defer = true)]
pub(super) enum ImageGroup {
    /// List images
    #[command(visible_alias = "list")]
    Ls(ImagesArguments),
    /// Remove names, and each image with its last name
    #[command(visible_alias = "remove")]
    Rm(RmiArguments),
    /// Show images as JSON
    Inspect(InspectArgs),
    /// Build an image from a Dockerfile
    Build(Box<build::BuildArgs>),
    /// Pull an image from a registry
    Pull(PullArguments),
    /// Push an image to a registry
    Push(PushArguments),
    /// Remove images that nothing uses
    Prune(prune::PruneArgs),
    /// Exit with 0 if an image is there, else with 1
    Exists {
        /// A name, an ID, or the beginning of an ID
        image: String,
    },
    #[command(flatten)]
    Other(OfImages),
}

impl ImageGroup {
    pub(super) fn run(self, context: &Context) -> Result<u8, Failure> {
        match self {
            Self::Ls(arguments) => OfImages::Images(arguments).run(context),
            Self::Rm(arguments) => OfImages::Rmi(arguments).run(context),
            Self::Inspect(arguments) => inspect::inspect(&arguments.of(ObjectType::Image), context),
            Self::Build(arguments) => build::build(*arguments, context),
            Self::Pull(arguments) => OfRegistries::Pull(arguments).run(context),
            Self::Push(arguments) => OfRegistries::Push(arguments).run(context),
            Self::Exists { image } => Ok(u8::from(!exists(context, &image)?)),
            Self::Prune(arguments) => prune::image_prune(&arguments, context),
            Self::Other(command) => command.run(context),
        }
    }
}

/// Whether there is an image of this name or ID; a name that no image can have is none.
fn exists(context: &Context, name: &str) -> Result<bool, Failure> {
    match image::find(&context.store, name) {
        Ok(_) => Ok(true),
        Err(ImageError::NotFound { .. } | ImageError::Reference(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[derive(Subcommand)]
#[command(defer = true)]
pub(super) enum ContainerGroup {
    /// List containers
    #[command(visible_alias = "list")]
    Ls(PsArgs),
    /// Remove all containers that do not run
    Prune(container::PruneArgs),
    /// Return 0 if a container exists, 1 if not
    Exists(ExistsArgs),
    #[command(flatten)]
    Other(OfContainers),
}

impl ContainerGroup {
    pub(super) fn run(self, context: &Context) -> Result<u8, Failure> {
        match self {
            Self::Ls(arguments) => OfContainers::Ps(arguments).run(context),
            Self::Prune(arguments) => container::prune(&arguments, context),
            Self::Exists(arguments) => container::exists(&arguments, context),
            Self::Other(OfContainers::Inspect(arguments)) => {
                inspect::inspect(&arguments.of(ObjectType::Container), context)
            }
            Self::Other(command) => command.run(context),
        }
    }
}
