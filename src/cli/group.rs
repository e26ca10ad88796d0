//! Docker's longer spelling of commands: `image ls` for `images`, `container ls` for `ps`.

use super::container::{self, Command as OfContainers, ExistsArgs, PruneArgs, PsArgs};
use super::image::{Command as OfImages, ImagesArguments, RmiArguments};
use super::inspect::{InspectArgs, ObjectType};
use super::registry::{Command as OfRegistries, PullArguments, PushArguments};
use super::{Context, build, inspect};
use crate::diag::Failure;
use clap::Subcommand;

#[derive(Subcommand)]
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
            Self::Other(command) => command.run(context),
        }
    }
}

#[derive(Subcommand)]
pub(super) enum ContainerGroup {
    /// List containers
    #[command(visible_alias = "list")]
    Ls(PsArgs),
    /// Remove all containers that do not run
    Prune(PruneArgs),
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
