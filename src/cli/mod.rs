//! The command line: one file per family of commands.

mod attach;
mod build;
mod changes;
mod commit;
mod complete;
mod compose;
mod confirm;
mod container;
mod context;
mod cp;
mod df;
mod docker_context;
mod doctor;
mod dry_run;
mod ending;
mod events;
mod flags;
mod format;
mod group;
mod healthcheck;
pub(crate) mod help;
mod history;
mod human;
mod image;
mod images;
mod info;
mod inside;
mod inspect;
mod json;
mod listing;
mod login;
mod logs;
mod manifest;
mod manual;
mod moment;
mod network;
pub(crate) mod peers;
mod progress;
mod prune;
mod ps;
mod published;
mod registry;
mod run;
mod search;
mod see;
mod stderr;
mod step_printer;
mod system;
mod top;
mod transfer;
mod unshare;
mod usage;
mod volume;

pub(crate) use context::Context;

use self::flags::Lang;
use crate::container::live::monitor;
use crate::container::request::mount::MountError;
use crate::container::request::signal::InvalidSignal;
use crate::container::request::{InvalidHealthTime, InvalidRestartPolicy, RequestError};
use crate::diag::{self, Diagnose, Failure};
use crate::explain::words::Language;
use crate::network::shared::NetworkError;
use crate::store::Store;
use crate::sys::process;
use crate::userns;
use crate::volume::VolumeError;
use clap::builder::Resettable;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};
use inside::Errand;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Run and build containers without root or a daemon, and see how they work
#[derive(Parser)]
// An option given twice counts as it was given last.
#[command(
    name = "minirun",
    version,
    disable_help_subcommand = true,
    disable_version_flag = true,
    args_override_self = true,
    max_term_width = 80
)]
struct Arguments {
    /// Keep images and containers here [default: ~/.local/share/minirun]
    #[arg(long, global = true, value_name = "DIR", help_heading = help::EVERYWHERE)]
    root: Option<PathBuf>,
    /// Speak this language [default: the locale's]
    #[arg(long, global = true, value_name = "LANG", help_heading = help::EVERYWHERE)]
    lang: Option<Lang>,
    /// Print the version
    #[arg(short = 'v', long, short_alias = 'V', action = clap::ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
#[command(defer = true)]
enum Command {
    #[command(flatten)]
    Container(container::Command),
    #[command(flatten)]
    Image(image::Command),
    /// Build an image from a Dockerfile
    Build(build::BuildArgs),
    /// Build, and manage the build cache
    #[command(subcommand, visible_alias = "buildx")]
    Builder(build::BuilderCommand),
    /// Run an application of many containers from a compose file
    Compose(Box<compose::ComposeArgs>),
    #[command(flatten)]
    Registry(registry::Command),
    #[command(flatten)]
    See(see::Command),
    /// Manage images
    #[command(subcommand, name = "image")]
    Images(group::ImageGroup),
    /// Manage containers
    #[command(subcommand, name = "container")]
    Containers(group::ContainerGroup),
    /// Manage networks
    #[command(subcommand, name = "network")]
    Networks(network::Command),
    /// Manage volumes
    #[command(subcommand, name = "volume")]
    Volumes(volume::Command),
    /// Run health checks of containers
    #[command(subcommand)]
    Healthcheck(healthcheck::Command),
    /// Show what was done to containers, images, volumes and networks
    Events(events::EventsArgs),
    /// Check the host: what minirun can use, what is missing, how to fix it
    Doctor(doctor::Doctor),
    /// Manage the store: disk usage, check, reset
    #[command(subcommand)]
    System(system::Command),
    /// Show minirun's version, its directories and the host
    Info(info::InfoArgs),
    /// Run a command in the user namespace of the containers
    Unshare(unshare::UnshareArgs),
    /// Show Docker's contexts: there is one
    #[command(subcommand)]
    Context(docker_context::ContextCommand),
    /// Show the version
    Version(info::VersionArgs),
    /// Explain a command, with examples
    Help(help::Help),
    /// Print a completion script for a shell
    Completion(manual::Completion),
    /// Print what can come next on a command line
    #[command(hide = true)]
    CompleteWords(complete::CompleteWords),
    /// Write the manual pages
    #[command(hide = true)]
    Manual(manual::Manual),
}

/// Returns the whole command line as clap knows it. Who only parses one leaves out the commands that were not typed.
pub fn tree() -> clap::Command {
    let typed = Arguments::command();
    let mut tree = typed.clone();
    tree.build();
    with_sentences(tree, &typed)
}

/// Gives commands the sentences of their variants again: what declares shared flags has another, which came later.
fn with_sentences(command: clap::Command, from: &clap::Command) -> clap::Command {
    let (about, long) = (from.get_about().cloned(), from.get_long_about().cloned());
    let command = command.about(Resettable::from(about)).long_about(Resettable::from(long));
    from.get_subcommands()
        .fold(command, |command, sub| command.mut_subcommand(sub.get_name(), |own| with_sentences(own, sub)))
}

pub fn main() -> ExitCode {
    // Processes that this program starts have other names.
    let name = std::env::args_os().next().unwrap_or_default();
    if name == monitor::NAME {
        let code = monitor::main();
        process::exit_now(code.unwrap_or_else(|| started_by_hand(monitor::NAME).into()));
    }
    diag::print_notes_by(stderr::note);
    let mut words: Vec<OsString> = std::env::args_os().collect();
    // A link with that name is Compose's older command.
    if Path::new(&name).file_name().is_some_and(|name| name == "docker-compose") {
        words.splice(..1, ["minirun".into(), "compose".into()]);
    }
    let errand = (name == userns::NAME).then(userns::receive);
    // A command whose reader closes the pipe (`… | head`) ends as any other program does, and not by a panic.
    process::default_signal(libc::SIGPIPE);
    let ended = match errand {
        None => command(words, None),
        Some(Ok((root, errand))) => carry_out(errand, &root),
        Some(Err(_)) => Ok(started_by_hand(userns::NAME)),
    };
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            stderr::report(failure.as_ref());
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Refuses what only minirun itself can start. Returns the exit code.
fn started_by_hand(name: &str) -> u8 {
    eprintln!("{name} is started by minirun itself");
    diag::ENGINE
}

fn carry_out(errand: Errand, root: &Path) -> Result<u8, Failure> {
    process::set_name(c"minirun");
    match errand {
        Errand::CommandLine(words) => command(words.into_iter().map(|word| word.0).collect(), Some(root)),
        Errand::Pull(missing) => registry::pull_missing(&Store::open(Some(root))?, &missing),
    }
}

/// Carries out a command line. `root` is the store's directory where that is known, whatever the command line says.
fn command(words: Vec<OsString>, root: Option<&Path>) -> Result<u8, Failure> {
    let arguments = match Arguments::try_parse_from(&words) {
        Ok(arguments) => arguments,
        Err(error) => return Ok(not_a_command(&error, &words)),
    };
    if let Some(lang) = arguments.lang {
        Language::choose(lang.into());
    }
    run(arguments, root)
}

/// Answers what is no command to carry out: a question for help, or a mistake. Returns the exit code.
fn not_a_command(error: &clap::Error, words: &[OsString]) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            let built = tree();
            let (path, _) = usage::typed_command(&built, words);
            help::print_page(tree(), &path);
            return 0;
        }
        _ => {}
    }
    if let Some(refusal) = refusal(error) {
        stderr::report(refusal);
        return refusal.exit_code();
    }
    if let Some(mistake) = usage::mistake(error, &tree(), words) {
        stderr::report(&mistake);
        return mistake.exit_code();
    }
    let _ = error.print();
    if error.use_stderr() { diag::ENGINE } else { 0 }
}

/// Returns the error of the type that refused a value: it has a hint, which clap's error lacks.
fn refusal(error: &clap::Error) -> Option<&dyn diag::Diagnose> {
    fn is<'a, E: diag::Diagnose + 'static>(
        source: &'a (dyn std::error::Error + 'static),
    ) -> Option<&'a dyn diag::Diagnose> {
        source.downcast_ref::<E>().map(|error| error as &dyn diag::Diagnose)
    }
    let source = std::error::Error::source(error)?;
    let types = [
        is::<RequestError>,
        is::<InvalidRestartPolicy>,
        is::<InvalidHealthTime>,
        is::<InvalidSignal>,
        is::<events::InvalidFilter>,
        is::<flags::InvalidKeys>,
        is::<flags::InvalidFilter>,
        is::<flags::FilterError>,
        is::<format::FormatError>,
        is::<moment::InvalidMoment>,
        is::<container::PortError>,
        is::<logs::InvalidCount>,
        is::<MountError>,
        is::<VolumeError>,
        is::<volume::CommandError>,
        is::<network::CommandError>,
        is::<NetworkError>,
        is::<cp::CpError>,
    ];
    types.iter().find_map(|is| is(source))
}

/// Prints the page of an error, of a command, or the first one.
fn help(words: &[&str]) -> Result<u8, Failure> {
    match words {
        ["errors"] => print!("{}", help::list()),
        _ => match help::page_of_error(words) {
            Some(page) => print!("{page}"),
            None => {
                usage::check_command(&tree(), words)?;
                help::print_page(tree(), words);
            }
        },
    }
    Ok(0)
}

fn run(arguments: Arguments, root: Option<&Path>) -> Result<u8, Failure> {
    let root = root.or(arguments.root.as_deref());
    let context = || Ok::<_, Failure>(Context { store: Store::open(root)? });
    match arguments.command {
        // These need no store and create none.
        Command::Help(command) => help(&command.words()),
        Command::Completion(command) => Ok(command.run()),
        Command::CompleteWords(command) => Ok(command.run(&tree())),
        Command::Manual(command) => command.run(tree()),
        Command::Container(command) => command.run(&context()?),
        Command::Image(command) => command.run(&context()?),
        Command::Build(arguments) => build::build(arguments, &context()?),
        Command::Builder(command) => build::builder(command, &context()?),
        Command::Compose(arguments) => compose::run(*arguments, context),
        Command::Registry(command) => command.run(&context()?),
        Command::See(command) => command.run(&context()?),
        Command::Images(command) => command.run(&context()?),
        Command::Containers(command) => command.run(&context()?),
        Command::Networks(command) => command.run(&context()?),
        Command::Volumes(command) => command.run(&context()?),
        Command::Healthcheck(command) => command.run(&context()?),
        Command::Events(arguments) => events::events(&arguments, &context()?),
        Command::Doctor(command) => command.run(&context()?),
        Command::System(command) => command.run(&context()?),
        Command::Info(arguments) => info::info(&arguments, &context()?.store),
        Command::Unshare(arguments) => unshare::unshare(arguments, &context()?),
        Command::Context(command) => command.run(),
        Command::Version(arguments) => info::version(&arguments),
    }
}
