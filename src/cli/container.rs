//! Containers: what stops, removes, lists and tells of them.

use super::Context;
use super::run::{self, AttachArgs, CreateArgs, ExecArgs, RunArgs, StartArgs};
use super::{human, published};
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
    /// Start containers that were created or have ended
    Start(StartArgs),
    /// Stop containers: SIGTERM, and after a grace period SIGKILL
    Stop(StopArgs),
    /// Stop containers and start them again
    Restart(StopArgs),
    /// Send a signal to containers
    Kill(KillArgs),
    /// Wait until containers end, and print their exit codes
    Wait(Names),
    /// Remove containers
    Rm(RmArgs),
    /// List containers
    Ps(PsArgs),
    /// Run another command in a running container
    #[command(override_usage = "minirun exec [OPTIONS] CONTAINER COMMAND [ARG]...")]
    Exec(ExecArgs),
    /// Attach this terminal to a running container
    Attach(AttachArgs),
    /// Show what a container printed
    Logs(super::logs::LogsArgs),
    /// List the processes of a container
    Top(super::top::TopArgs),
    /// Show containers and images as JSON
    Inspect(super::inspect::InspectArgs),
    /// List published ports
    Port(Name),
    /// Show what a container changed in its writable layer
    Diff(Name),
    /// Make an image of a container's changes
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
    /// Seconds to wait before SIGKILL; -1 waits for ever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", allow_negative_numbers = true)]
    time: Option<i64>,
    /// Signal to send first
    #[arg(short, long)]
    signal: Option<Signal>,
    #[arg(required = true)]
    containers: Vec<String>,
}

#[derive(Args)]
pub(super) struct KillArgs {
    /// Signal to send
    #[arg(short, long, default_value = "KILL")]
    signal: Signal,
    #[arg(required = true)]
    containers: Vec<String>,
}

#[derive(Args)]
pub(super) struct RmArgs {
    /// Remove running ones too
    #[arg(short, long)]
    force: bool,
    /// Remove the volumes that were made for them alone
    #[arg(short, long)]
    volumes: bool,
    #[arg(required = true)]
    containers: Vec<String>,
}

#[derive(Args)]
pub(super) struct PsArgs {
    /// All, not only the running ones
    #[arg(short, long)]
    all: bool,
    /// Ids only
    #[arg(short, long)]
    quiet: bool,
    /// The newest only
    #[arg(short, long)]
    latest: bool,
    /// Whole ids and commands
    #[arg(long)]
    no_trunc: bool,
}

#[derive(Debug, thiserror::Error)]
enum ContainerError {
    #[error("container {0} is running")]
    Running(String),
}

impl Diagnose for ContainerError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Running(name) => Some(format!("stop it first: minirun stop {name}; or force: minirun rm -f {name}")),
        }
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
                launch::start(&context.store, &container, prepared, &mut launch::Silent)?;
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
                // What a killed monitor left running can be ended from outside the user namespace only.
                arguments.containers.iter().filter_map(|name| Container::find(&context.store, name).ok()).for_each(
                    |c| {
                        c.state();
                    },
                );
                crate::userns::enter(&context.store)?;
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
            Self::Commit(arguments) => super::commit::commit(arguments, context),
        }
    }
}

/// Does it for each, tells each failure, and ends with 1 if there was one.
fn each(names: &[String], mut act: impl FnMut(&str) -> Result<u8, Failure>) -> Result<u8, Failure> {
    let mut code = 0;
    for name in names {
        if let Err(failure) = act(name) {
            crate::diag::report(failure.as_ref());
            code = 1;
        }
    }
    Ok(code)
}

/// Inside the user namespace. `false`: with -f Docker, too, is content when there is nothing to remove.
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
            return Err(ContainerError::Running(container.record.name).into());
        }
        drop(lock);
        stop(&container, Some(Signal::KILL), None)?;
    }
}

/// What `stop` does: the container's own signal, then patience, then SIGKILL. One that does not run is content.
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

/// Waits until the monitor has said its last word, or has gone.
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

/// Docker's words.
pub(super) fn status(state: &State) -> String {
    match state.phase {
        Phase::Created => "Created".into(),
        Phase::Running => format!("Up {}", human::since(&state.started)),
        Phase::Exited => format!("Exited ({}) {}", state.exit_code, human::ago(Some(&state.finished))),
    }
}
