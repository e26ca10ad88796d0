//! What was typed, and what is printed: one file per family of commands.

mod attach;
mod build;
mod commit;
mod container;
mod context;
mod doctor;
mod flags;
mod format;
mod group;
mod human;
mod image;
mod inspect;
mod json;
mod login;
mod logs;
mod manifest;
mod manual;
mod progress;
mod published;
mod registry;
mod run;
mod search;
mod see;
mod step_printer;
mod system;
mod top;
mod transfer;

pub(crate) use context::Context;

use crate::container::decide::request::RequestError;
use crate::container::decide::signal::InvalidSignal;
use crate::container::live::monitor;
use crate::diag::{self, Failure};
use crate::store::Store;
use crate::sys::process;
use clap::{CommandFactory, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Run containers, build them, and see how they work: rootless, with no daemon.
#[derive(Parser)]
// An option given twice counts as it was given last.
#[command(name = "minirun", version, disable_help_subcommand = true, args_override_self = true)]
struct Arguments {
    /// Where images and containers are kept [default: ~/.local/share/minirun]
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Container(container::Command),
    #[command(flatten)]
    Image(image::Command),
    /// Make an image from a Dockerfile
    Build(build::BuildArgs),
    /// What builds remember: prune
    #[command(subcommand)]
    Builder(build::BuilderCommand),
    #[command(flatten)]
    Registry(registry::Command),
    #[command(flatten)]
    See(see::Command),
    /// The commands of images: ls, inspect, rm, …
    #[command(subcommand, name = "image")]
    Images(group::ImageGroup),
    /// The commands of containers: ls, inspect, rm, …
    #[command(subcommand, name = "container")]
    Containers(group::ContainerGroup),
    /// Say what this host gives and lacks, and what mends it
    Doctor(doctor::Doctor),
    /// All of minirun: df, reset, info
    #[command(subcommand)]
    System(system::Command),
    /// Show what minirun is and where it keeps things
    Info,
    /// Show the version
    Version,
    /// Print a script that completes commands and flags in a shell
    Completion(manual::Completion),
    /// Write the manual's pages
    #[command(hide = true)]
    Manual(manual::Manual),
}

pub fn main() -> ExitCode {
    // The monitor is this program under another name.
    if std::env::args_os().next().is_some_and(|name| name == monitor::NAME) {
        monitor::main();
    }
    // A command whose reader has seen enough (`… | head`) ends as any other program does, and not by a panic.
    process::default_signal(libc::SIGPIPE);
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            if let Some(refusal) = refusal(&error) {
                diag::report(refusal);
                return ExitCode::from(refusal.exit_code());
            }
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { diag::ENGINE } else { 0 });
        }
    };
    match run(arguments) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            diag::report(failure.as_ref());
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Why a type of ours refused a value, which knows more to tell than the parser of command lines.
fn refusal(error: &clap::Error) -> Option<&dyn diag::Diagnose> {
    let source = std::error::Error::source(error)?;
    let request = source.downcast_ref::<RequestError>().map(|error| error as &dyn diag::Diagnose);
    request.or_else(|| source.downcast_ref::<InvalidSignal>().map(|error| error as &dyn diag::Diagnose))
}

fn run(arguments: Arguments) -> Result<u8, Failure> {
    let root = arguments.root.as_deref();
    let context = || Ok::<_, Failure>(Context { store: Store::open(root)? });
    match arguments.command {
        // These need no store, and make none.
        Command::Completion(command) => Ok(command.run(Arguments::command())),
        Command::Manual(command) => command.run(Arguments::command()),
        Command::Container(command) => command.run(&context()?),
        Command::Image(command) => command.run(&context()?),
        Command::Build(arguments) => build::build(arguments, &context()?),
        Command::Builder(command) => build::builder(&command, &context()?),
        Command::Registry(command) => command.run(&context()?),
        Command::See(command) => command.run(&context()?),
        Command::Images(command) => command.run(&context()?),
        Command::Containers(command) => command.run(&context()?),
        Command::Doctor(command) => command.run(&context()?),
        Command::System(command) => command.run(&context()?),
        Command::Info => system::info(&context()?.store),
        Command::Version => Ok(system::version()),
    }
}
