//! `compose`: an application of many containers.

mod config;
mod flags;

use super::Context;
use crate::diag::Failure;
use clap::{Args, Subcommand};
use flags::ProjectFlags;

#[derive(Args)]
pub(super) struct ComposeArgs {
    #[command(flatten)]
    project: ProjectFlags,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check the files and print the project in its canonical form
    Config(config::ConfigArgs),
}

pub(super) fn run(arguments: ComposeArgs, context: impl Fn() -> Result<Context, Failure>) -> Result<u8, Failure> {
    let project = &arguments.project;
    match arguments.command {
        // It needs no store.
        Command::Config(command) => config::config(&command, project),
    }
}
