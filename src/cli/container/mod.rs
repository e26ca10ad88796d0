//! The commands about containers, one file for each family.

mod attach;
mod exec;
mod exists;
mod pause;
mod port;
mod prune;
mod remove;
mod rename;
mod start;
mod stats;
mod stop;
mod update;
mod wait;

pub(super) use exists::{ExistsArgs, exists};
pub(super) use port::PortError;
pub(super) use prune::{PruneArgs, enter_to_prune, prune, remove_stopped};
pub(super) use start::begin;
pub(super) use stop::{kill_one, stop};

use super::Context;
use super::ps::{self, PsArgs};
use super::run::{self, CreateArgs, RunArgs};
use crate::diag::Failure;
use clap::{Args, Subcommand};

#[derive(Subcommand)]
#[command(defer = true)]
pub(super) enum Command {
    /// Create a container from an image and start it
    #[command(override_usage = "minirun run [OPTIONS] IMAGE [COMMAND] [ARG]...")]
    Run(Box<RunArgs>),
    /// Create a container without starting it
    #[command(override_usage = "minirun create [OPTIONS] IMAGE [COMMAND] [ARG]...")]
    Create(Box<CreateArgs>),
    /// Start containers that are not running
    Start(start::StartArgs),
    /// Stop containers: send SIGTERM, and SIGKILL after a grace period
    Stop(stop::StopArgs),
    /// Stop containers and start them again
    Restart(stop::StopArgs),
    /// Send a signal to containers
    Kill(stop::KillArgs),
    /// Pause all processes of containers
    Pause(pause::PauseArgs),
    /// Let paused containers go on
    Unpause(pause::PauseArgs),
    /// Wait until containers end and print their exit codes
    Wait(wait::WaitArgs),
    /// Remove containers
    Rm(remove::RmArgs),
    /// Give a container another name
    Rename(rename::RenameArgs),
    /// List containers
    Ps(PsArgs),
    /// Run a command in a running container
    #[command(override_usage = "minirun exec [OPTIONS] CONTAINER COMMAND [ARG]...")]
    Exec(exec::ExecArgs),
    /// Attach this terminal to a running container
    Attach(attach::AttachArgs),
    /// Show the output of containers
    Logs(super::logs::LogsArgs),
    /// List the processes of a container
    Top(super::top::TopArgs),
    /// Show what containers use: processor time, memory, input and output
    Stats(stats::StatsArgs),
    /// Change the limits of containers
    Update(update::UpdateArgs),
    /// Show containers and images as JSON
    Inspect(super::inspect::InspectArgs),
    /// List published ports
    Port(port::PortArgs),
    /// List the files that a container added, changed or deleted
    Diff(Name),
    /// Copy files between containers and the host
    Cp(super::cp::CpArgs),
    /// Write the files of a container as a tar archive
    Export(super::cp::ExportArgs),
    /// Create an image from a container's changes
    Commit(super::commit::CommitArgs),
}

#[derive(Args)]
pub(super) struct Name {
    container: String,
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Result<u8, Failure> {
        match self {
            Self::Run(arguments) => run::run(*arguments, context),
            Self::Create(arguments) => run::create(*arguments, context),
            Self::Start(arguments) => start::start(&arguments, context),
            Self::Exec(arguments) => exec::exec(arguments, context),
            Self::Attach(arguments) => attach::attach(&arguments, context),
            Self::Stop(arguments) => stop::stop_all(&arguments, context),
            Self::Restart(arguments) => stop::restart(&arguments, context),
            Self::Kill(arguments) => stop::kill(&arguments, context),
            Self::Pause(arguments) => pause::pause(&arguments, context),
            Self::Unpause(arguments) => pause::unpause(&arguments, context),
            Self::Wait(arguments) => wait::wait_all(&arguments, context),
            Self::Rm(arguments) => remove::remove(&arguments, context),
            Self::Rename(arguments) => rename::rename(&arguments, context),
            Self::Ps(arguments) => ps::ps(&arguments, context),
            Self::Logs(arguments) => super::logs::logs(&arguments, context),
            Self::Top(arguments) => super::top::top(&arguments, context),
            Self::Stats(arguments) => stats::stats(&arguments, context),
            Self::Update(arguments) => update::update(&arguments, context),
            Self::Inspect(arguments) => super::inspect::inspect(&arguments, context),
            Self::Port(arguments) => port::port(&arguments, context),
            Self::Diff(name) => super::commit::diff(&name.container, context),
            Self::Cp(arguments) => super::cp::cp(&arguments, context),
            Self::Export(arguments) => super::cp::export(&arguments, context),
            Self::Commit(arguments) => super::commit::commit(arguments, context),
        }
    }
}
