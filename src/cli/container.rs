//! Containers: stop, restart, kill, wait, rm, ps, port; and the dispatch of all commands about containers.

use super::Context;
use super::run::{self, AttachArgs, CreateArgs, ExecArgs, RunArgs, StartArgs};
use super::stderr::Notes;
use super::{human, inside, published};
use crate::container::live::launch;
use crate::container::live::stop_all;
use crate::container::protocol::{End, Message};
use crate::container::request;
use crate::container::request::signal::Signal;
use crate::container::stored::record;
use crate::container::stored::record::{Container, Phase, RecordError, State};
use crate::diag::{Diagnose, Failure};
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(super) enum Command {
    /// Create a container from an image and start it
    #[command(override_usage = "minirun run [OPTIONS] IMAGE [COMMAND] [ARG]...")]
    Run(RunArgs),
    /// Create a container without starting it
    #[command(override_usage = "minirun create [OPTIONS] IMAGE [COMMAND] [ARG]...")]
    Create(CreateArgs),
    /// Start containers that are not running
    Start(StartArgs),
    /// Stop containers: send SIGTERM, and SIGKILL after a grace period
    Stop(StopArgs),
    /// Stop containers and start them again
    Restart(StopArgs),
    /// Send a signal to containers
    Kill(KillArgs),
    /// Wait until containers end and print their exit codes
    Wait(Names),
    /// Remove containers
    Rm(RmArgs),
    /// List containers
    Ps(PsArgs),
    /// Run a command in a running container
    #[command(override_usage = "minirun exec [OPTIONS] CONTAINER COMMAND [ARG]...")]
    Exec(ExecArgs),
    /// Attach this terminal to a running container
    Attach(AttachArgs),
    /// Show the output of a container
    Logs(super::logs::LogsArgs),
    /// List the processes of a container
    Top(super::top::TopArgs),
    /// Show containers and images as JSON
    Inspect(super::inspect::InspectArgs),
    /// List published ports
    Port(Name),
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
pub(super) struct Names {
    #[arg(required = true)]
    containers: Vec<String>,
}

#[derive(Args)]
pub(super) struct Name {
    container: String,
}

#[derive(Args)]
pub(super) struct StopArgs {
    /// Wait this many seconds before SIGKILL; -1 waits forever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", allow_negative_numbers = true)]
    time: Option<i64>,
    /// Send this signal first
    #[arg(short, long)]
    signal: Option<Signal>,
    #[arg(required = true)]
    containers: Vec<String>,
}

#[derive(Args)]
pub(super) struct KillArgs {
    /// Send this signal
    #[arg(short, long, default_value = "KILL")]
    signal: Signal,
    #[arg(required = true)]
    containers: Vec<String>,
}

#[derive(Args)]
pub(super) struct RmArgs {
    /// Kill and remove running containers too
    #[arg(short, long)]
    force: bool,
    /// Remove their anonymous volumes too
    #[arg(short, long)]
    volumes: bool,
    #[arg(required = true)]
    containers: Vec<String>,
}

#[derive(Args)]
pub(super) struct PsArgs {
    /// List stopped containers too
    #[arg(short, long)]
    all: bool,
    /// Print only container IDs
    #[arg(short, long)]
    quiet: bool,
    /// List only the newest container
    #[arg(short, long)]
    latest: bool,
    /// Do not shorten IDs and commands
    #[arg(long)]
    no_trunc: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot remove container {0}: it is running")]
struct Running(String);

impl Diagnose for Running {
    fn hint(&self) -> Option<String> {
        let name = &self.0;
        Some(format!("stop it first: minirun stop {name}; or force: minirun rm -f {name}"))
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Result<u8, Failure> {
        match self {
            Self::Run(arguments) => run::run(arguments, context),
            Self::Create(arguments) => run::create(arguments, context),
            Self::Start(arguments) => run::start(arguments, context),
            Self::Exec(arguments) => run::exec(arguments, context),
            Self::Attach(arguments) => run::attach(arguments, context),
            Self::Stop(arguments) => each(&arguments.containers, |name| {
                let container = Container::find(&context.store, name)?;
                stop(&container, arguments.signal, arguments.time)?;
                println!("{name}");
                Ok(0)
            }),
            Self::Restart(arguments) => each(&arguments.containers, |name| {
                let container = Container::find(&context.store, name)?;
                stop(&container, arguments.signal, arguments.time)?;
                let prepared = launch::prepare_for(&context.store, &container.record)?;
                launch::start(&context.store, &container, prepared, &mut Notes)?;
                println!("{name}");
                Ok(0)
            }),
            Self::Kill(arguments) => {
                let signal = arguments.signal;
                each(&arguments.containers, |name| {
                    let container = Container::find(&context.store, name)?;
                    let end = container.reach()?.ok_or_else(|| container.not_running())?;
                    end.tell(&Message::Signal(signal.number().unsigned_abs()))?;
                    if signal == Signal::KILL {
                        wait_for_end(&end)?;
                    }
                    println!("{name}");
                    Ok(0)
                })
            }
            Self::Wait(names) => each(&names.containers, |name| {
                let container = Container::find(&context.store, name)?;
                println!("{}", wait(&container)?);
                Ok(0)
            }),
            Self::Rm(arguments) => {
                // Processes that a killed monitor left running can only be killed from outside the user namespace.
                arguments.containers.iter().filter_map(|name| Container::find(&context.store, name).ok()).for_each(
                    |c| {
                        c.state();
                    },
                );
                inside::enter(&context.store)?;
                each(&arguments.containers, |name| {
                    if remove(context, name, &arguments)? {
                        println!("{name}");
                    }
                    Ok(0)
                })
            }
            Self::Ps(arguments) => ps(&arguments, context),
            Self::Logs(arguments) => super::logs::logs(&arguments, context),
            Self::Top(arguments) => super::top::top(&arguments, context),
            Self::Inspect(arguments) => super::inspect::inspect(&arguments, context),
            Self::Port(name) => {
                let container = Container::find(&context.store, &name.container)?;
                for port in container.state().ports {
                    println!("{}/{} -> {}", port.container_port, port.protocol, published::host_side(&port));
                }
                Ok(0)
            }
            Self::Diff(name) => super::commit::diff(&name.container, context),
            Self::Cp(arguments) => super::cp::cp(&arguments, context),
            Self::Export(arguments) => super::cp::export(&arguments, context),
            Self::Commit(arguments) => super::commit::commit(arguments, context),
        }
    }
}

/// Calls `act` for each name and reports each failure. Returns 1 if there was one.
fn each(names: &[String], mut act: impl FnMut(&str) -> Result<u8, Failure>) -> Result<u8, Failure> {
    let mut code = 0;
    for name in names {
        if let Err(failure) = act(name) {
            crate::cli::stderr::report(failure.as_ref());
            code = 1;
        }
    }
    Ok(code)
}

/// Removes one container; runs inside the user namespace. Returns `false` where -f finds nothing to remove, as in Docker.
fn remove(context: &Context, name: &str, arguments: &RmArgs) -> Result<bool, Failure> {
    let container = match Container::find(&context.store, name) {
        Err(RecordError::NotFound { .. }) if arguments.force => return Ok(false),
        Err(RecordError::Damaged { id, .. }) if arguments.force => {
            stop_all::remove_damaged(&context.store, &id)?;
            return Ok(true);
        }
        other => other?,
    };
    loop {
        let lock = match container.lock() {
            Err(RecordError::NotFound { .. }) if arguments.force => return Ok(false),
            other => other?,
        };
        if container.state().phase != Phase::Running {
            record::remove(&context.store, &container, arguments.volumes)?;
            return Ok(true);
        }
        if !arguments.force {
            return Err(Running(container.record.name).into());
        }
        drop(lock);
        stop(&container, Some(Signal::KILL), None)?;
    }
}

/// Sends the stop signal, waits for the grace period, then lets the monitor send SIGKILL. Does nothing to a container
/// that is not running.
fn stop(container: &Container, signal: Option<Signal>, seconds: Option<i64>) -> Result<(), Failure> {
    let request = &container.record.request;
    let signal = signal.or(request.stop_signal).unwrap_or(Signal::TERM);
    let grace = match seconds.unwrap_or(request.stop_timeout.unwrap_or(request::STOP_TIMEOUT).into()) {
        forever if forever < 0 => u32::MAX,
        seconds => u32::try_from(seconds * 1000).unwrap_or(u32::MAX - 1),
    };
    let Some(end) = container.reach()? else { return Ok(()) };
    end.tell(&Message::Stop { signal: signal.number().unsigned_abs(), grace })?;
    wait_for_end(&end)
}

/// Waits until the monitor reports the end of the container, or ends itself.
fn wait_for_end(end: &End) -> Result<(), Failure> {
    loop {
        match end.receive()? {
            Some((Message::Exited { .. }, _)) | None => return Ok(()),
            Some(_) => {}
        }
    }
}

fn wait(container: &Container) -> Result<i32, Failure> {
    if let Some(end) = container.reach()? {
        while let Some((message, _)) = end.receive()? {
            if let Message::Exited { code } = message {
                return Ok(code as i32);
            }
        }
    }
    Ok(container.state().exit_code)
}

fn ps(arguments: &PsArgs, context: &Context) -> Result<u8, Failure> {
    let all = arguments.all || arguments.latest;
    let containers = if all { Container::all(&context.store) } else { Container::running(&context.store) };
    let mut containers: Vec<(Container, State)> =
        containers.into_iter().map(|c| (c.state(), c)).map(|(s, c)| (c, s)).collect();
    containers.sort_by(|a, b| b.0.record.created.cmp(&a.0.record.created));
    if arguments.latest {
        containers.truncate(1);
    }
    let id = |c: &Container| if arguments.no_trunc { c.record.id.to_string() } else { c.short_id().to_owned() };
    if arguments.quiet {
        containers.iter().for_each(|(c, _)| println!("{}", id(c)));
        return Ok(0);
    }
    let mut rows = Vec::new();
    for (container, state) in &containers {
        let argv =
            container.spec().ok().and_then(|s| s.process().clone()).and_then(|p| p.args().clone()).unwrap_or_default();
        let quoted = |word: String| if word.contains(' ') { format!("'{word}'") } else { word };
        let mut command = argv.into_iter().map(quoted).collect::<Vec<_>>().join(" ");
        if !arguments.no_trunc && command.chars().count() > 20 {
            command = command.chars().take(19).chain(['…']).collect();
        }
        rows.push(vec![
            id(container),
            container.record.image.clone(),
            format!("{command:?}"),
            human::ago(Some(&container.record.created)),
            status(state),
            if state.phase == Phase::Running { published::ports(&state.ports) } else { String::new() },
            container.record.name.clone(),
        ]);
    }
    print!("{}", human::table(&["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"], &rows));
    Ok(0)
}

/// The column STATUS in Docker's words.
pub(super) fn status(state: &State) -> String {
    match state.phase {
        Phase::Created => "Created".into(),
        Phase::Running => format!("Up {}", human::since(&state.started)),
        Phase::Exited => format!("Exited ({}) {}", state.exit_code, human::ago(Some(&state.finished))),
    }
}
