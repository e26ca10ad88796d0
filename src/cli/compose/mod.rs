//! `compose`: an application of many containers.

mod attached;
mod config;
mod down;
mod error;
mod flags;
mod follow;
mod hooks;
mod images;
mod look;
mod manage;
mod members;
mod process;
mod resources;
mod stop;
mod up;

use super::{Context, inside};
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
    /// Make and start the containers of the project; what is as wanted is left alone
    Up(up::UpArgs),
    /// Stop and remove the project's containers
    Down(down::DownArgs),
    /// List the project's containers
    Ps(look::PsArgs),
    /// Show the output of the project's containers
    Logs(look::LogsArgs),
    /// Run a command in a service's running container
    #[command(override_usage = "minirun compose exec [OPTIONS] SERVICE COMMAND [ARG]...")]
    Exec(process::ExecArgs),
    /// Run a command in a new container of a service
    #[command(override_usage = "minirun compose run [OPTIONS] SERVICE [COMMAND] [ARG]...")]
    Run(process::RunArgs),
    /// Build the images of services
    Build(images::BuildArgs),
    /// Pull the images of services
    Pull(images::PullArgs),
    /// Push the images that are built
    Push(images::PushArgs),
    /// Check the files and print the project in its canonical form
    #[command(visible_alias = "convert")]
    Config(config::ConfigArgs),
    /// Make containers without starting them
    Create(up::CreateArgs),
    /// Start containers that are there
    Start(manage::StartArgs),
    /// Stop containers, and keep them
    Stop(manage::StopArgs),
    /// Stop containers and start them again
    Restart(manage::RestartArgs),
    /// Send a signal to containers
    Kill(manage::KillArgs),
    /// Remove stopped containers
    Rm(manage::RmArgs),
    /// Pause all processes of containers
    Pause(manage::StartArgs),
    /// Let paused containers go on
    Unpause(manage::StartArgs),
    /// Wait until containers of services end, and print their exit codes
    Wait(manage::WaitArgs),
    /// Set how many containers services have
    Scale(up::ScaleArgs),
    /// List projects
    Ls(look::LsArgs),
    /// List the images of containers
    Images(look::ImagesArgs),
    /// Print where a service's port is published
    Port(look::PortArgs),
    /// List the processes of services
    Top(manage::StartArgs),
    /// Show what services use
    Stats(StatsArgs),
    /// Attach this terminal to a service's container
    Attach(process::AttachArgs),
    /// Show the version
    Version(VersionArgs),
}

#[derive(Args)]
struct StatsArgs {
    /// Print once
    #[arg(long)]
    no_stream: bool,
    /// The services; none for all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Args)]
struct VersionArgs {
    /// Print the number alone
    #[arg(long)]
    short: bool,
}

pub(super) fn run(arguments: ComposeArgs, context: impl Fn() -> Result<Context, Failure>) -> Result<u8, Failure> {
    let project = &arguments.project;
    match arguments.command {
        // These need no store.
        Command::Config(command) => config::config(&command, project),
        Command::Version(command) => {
            let number = env!("CARGO_PKG_VERSION");
            println!("{}{number}", if command.short { "" } else { "minirun compose version " });
            Ok(0)
        }
        Command::Up(command) => up::up(&command, project, &context()?),
        Command::Down(command) => down::down(&command, project, &context()?),
        Command::Ps(command) => look::ps(&command, project, &context()?),
        Command::Logs(command) => look::logs(&command, project, &context()?),
        Command::Exec(command) => process::exec(command, project, &context()?),
        Command::Run(command) => process::run(command, project, &context()?),
        Command::Build(command) => images::build(&command, project, &context()?),
        Command::Pull(command) => images::pull(&command, project, &context()?),
        Command::Push(command) => images::push(&command, project, &context()?),
        Command::Create(command) => up::create(&command, project, &context()?),
        Command::Start(command) => manage::start(&command, project, &context()?),
        Command::Stop(command) => manage::stop(&command, project, &context()?),
        Command::Restart(command) => manage::restart(&command, project, &context()?),
        Command::Kill(command) => manage::kill(&command, project, &context()?),
        Command::Rm(command) => manage::remove(&command, project, &context()?),
        Command::Pause(command) => manage::pause(&command, project, &context()?, true),
        Command::Unpause(command) => manage::pause(&command, project, &context()?, false),
        Command::Wait(command) => manage::wait(&command, project, &context()?),
        Command::Scale(command) => up::scale(&command, project, &context()?),
        Command::Ls(command) => look::ls(&command, &context()?),
        Command::Images(command) => look::images(&command, project, &context()?),
        Command::Port(command) => look::port(&command, project, &context()?),
        Command::Top(command) => top(command.services(), project, &context()?),
        Command::Stats(command) => stats(&command, project, &context()?),
        Command::Attach(command) => process::attach(&command, project, &context()?),
    }
}

fn top(services: &[String], project: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let mut code = 0;
    for name in look::names(project, context, services)? {
        println!("{name}");
        code |= inside::again(&context.store, &["top", &name])?;
        println!();
    }
    Ok(u8::from(code != 0))
}

fn stats(arguments: &StatsArgs, project: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let names = look::names(project, context, &arguments.services)?;
    if names.is_empty() {
        return Ok(0);
    }
    let first: &[&str] = if arguments.no_stream { &["stats", "--no-stream"] } else { &["stats"] };
    let words: Vec<&str> = first.iter().copied().chain(names.iter().map(String::as_str)).collect();
    Ok(u8::from(inside::again(&context.store, &words)? != 0))
}
