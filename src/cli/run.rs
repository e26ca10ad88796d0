//! `run`, `create`, `start`, `exec`, `attach`: what brings a process to a terminal.

use super::Context;
use super::attach::{self, Attachment, Parting};
use super::registry::{self, PullFlags};
use super::see::Speech;
use super::told::{Explain, Told};
use crate::container::create;
use crate::container::exec;
use crate::container::launch::{self, LaunchError, Listener, Silent};
use crate::container::name;
use crate::container::protocol::End;
use crate::container::record::{self, Container, Phase};
use crate::container::request::{self, Limits, Network, Request};
use crate::container::session::Ending;
use crate::container::shift;
use crate::diag::{Diagnose, Failure};
use crate::image::Image;
use crate::network::ports;
use clap::Args;
use std::io::IsTerminal;

/// Flags of `run` and `create`.
#[derive(Args)]
// `-h` is Docker's short form of --hostname here.
#[command(disable_help_flag = true)]
pub struct CreateArgs {
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Name the container
    #[arg(long)]
    name: Option<String>,
    /// Set a variable, or pass on your own
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Read variables from a file
    #[arg(long, value_name = "FILE")]
    env_file: Vec<std::path::PathBuf>,
    /// Start in this directory
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Run as this user
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Add a supplementary group
    #[arg(long, value_name = "GROUP")]
    group_add: Vec<String>,
    /// Name the container's host
    #[arg(short = 'h', long)]
    hostname: Option<String>,
    /// Attach a label
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    label: Vec<String>,
    /// Mount a host directory, a named volume or a new one
    #[arg(short, long, value_name = "[SOURCE:]TARGET[:ro]")]
    volume: Vec<String>,
    /// Give root's container the host's own ids instead of ids that nobody else has
    #[arg(long, value_name = "host", value_parser = ["host"])]
    userns: Option<String>,
    /// Mount memory that is gone when the container stops
    #[arg(long, value_name = "TARGET[:OPTIONS]")]
    tmpfs: Vec<String>,
    /// Publish a port of the container on the host
    #[arg(short, long, value_name = "[IP:][HOST:]PORT[/udp]")]
    publish: Vec<String>,
    /// bridge (the default), none or host
    #[arg(long, visible_alias = "net", value_name = "NETWORK")]
    network: Option<String>,
    /// Add a line to /etc/hosts
    #[arg(long, value_name = "NAME:IP")]
    add_host: Vec<String>,
    /// Ask this DNS server
    #[arg(long, value_name = "IP")]
    dns: Vec<String>,
    /// Run this instead of the image's entry point
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Make the container's root read-only
    #[arg(long)]
    read_only: bool,
    /// Add a capability
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    cap_add: Vec<String>,
    /// Take a capability away
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',')]
    cap_drop: Vec<String>,
    /// All capabilities, no system call filter, nothing hidden
    #[arg(long)]
    privileged: bool,
    /// no-new-privileges, seccomp=unconfined
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<String>,
    /// Put a small init in front that reaps and passes signals on
    #[arg(long)]
    init: bool,
    /// Keep standard input open
    #[arg(short, long)]
    interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// Remove the container when it ends
    #[arg(long)]
    rm: bool,
    /// Memory at most
    #[arg(short, long, value_name = "BYTES")]
    memory: Option<String>,
    /// Processors at most
    #[arg(long, value_name = "NUMBER")]
    cpus: Option<f64>,
    /// Processes at most
    #[arg(long, value_name = "NUMBER")]
    pids_limit: Option<i64>,
    /// Limit a resource, as setrlimit(2)
    #[arg(long, value_name = "NAME=SOFT[:HARD]")]
    ulimit: Vec<String>,
    /// Size of /dev/shm
    #[arg(long, value_name = "BYTES")]
    shm_size: Option<String>,
    /// Signal that `stop` sends
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// Seconds that `stop` waits
    #[arg(long, value_name = "SECONDS")]
    stop_timeout: Option<u32>,
    /// json-file (the default), local or none
    #[arg(long, value_name = "DRIVER")]
    log_driver: Option<String>,
    /// max-size=20m, max-file=5: how much of the log is kept
    #[arg(long, value_name = "NAME=VALUE")]
    log_opt: Vec<String>,
    /// Write the id to a file
    #[arg(long, value_name = "FILE")]
    cidfile: Option<std::path::PathBuf>,
    #[command(flatten)]
    pull: PullFlags,
    // One list, so that from the image on nothing is an option of ours, whatever it looks like.
    /// The image, and what to run in place of its CMD
    #[arg(trailing_var_arg = true, required = true, value_name = "IMAGE")]
    image_and_command: Vec<String>,
}

#[derive(Args)]
pub struct RunArgs {
    /// Run in the background and print the id
    #[arg(short, long)]
    detach: bool,
    /// Keys that let go of the container
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Pass signals on to the container
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    sig_proxy: bool,
    /// Tell each step as it is carried out
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "brief")]
    explain: Option<Explain>,
    #[command(flatten)]
    speech: Speech,
    #[command(flatten)]
    create: CreateArgs,
}

#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("{} cannot be read", .0.display())]
    File(std::path::PathBuf, #[source] std::io::Error),
    #[error("{0:?} is no such option")]
    SecurityOption(String),
    #[error("{0:?} is no NAME:IP")]
    Host(String),
    #[error("{} is there already", .0.display())]
    CidFile(std::path::PathBuf),
    #[error("-i and -t want a terminal, and standard input is none")]
    NoTerminal,
    #[error("{0} cannot be reached any more: its monitor was killed, and the container with it")]
    Lost(String),
    #[error("container {0} is not running")]
    NotRunning(String),
}

impl Diagnose for RunError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::SecurityOption(_) => Some("options: no-new-privileges, seccomp=unconfined".into()),
            Self::Host(_) => Some("as in: --add-host db:10.0.2.2".into()),
            Self::NoTerminal => Some("leave out -t".into()),
            Self::CidFile(_) => Some("remove it first, or name another file".into()),
            Self::NotRunning(name) => Some(format!("start it: minirun start {name}")),
            Self::File(..) | Self::Lost(_) => None,
        }
    }

    fn exit_code(&self) -> u8 {
        if matches!(self, Self::NotRunning(_)) { 1 } else { crate::diag::ENGINE }
    }
}

impl CreateArgs {
    fn request(self) -> Result<Request, Failure> {
        let mut env = Vec::new();
        for file in &self.env_file {
            let text = std::fs::read_to_string(file).map_err(|e| RunError::File(file.clone(), e))?;
            env.extend(
                text.lines().map(str::trim_start).filter(|l| !l.is_empty() && !l.starts_with('#')).map(str::to_owned),
            );
        }
        env.extend(self.env);
        let mut request = Request {
            host_ids: self.userns.is_some(),
            image: self.image_and_command[0].clone(),
            name: self.name,
            command: self.image_and_command[1..].to_vec(),
            entrypoint: self.entrypoint,
            env: env.into_iter().map(variable).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect(),
            workdir: self.workdir,
            user: self.user,
            groups: self.group_add,
            hostname: self.hostname,
            labels: self
                .label
                .iter()
                .map(|l| l.split_once('=').unwrap_or((l, "")))
                .map(|(n, v)| (n.into(), v.into()))
                .collect(),
            volumes: self.volume.iter().map(|v| request::volume(v)).collect::<Result<_, _>>()?,
            tmpfs: self
                .tmpfs
                .iter()
                .map(|t| t.split_once(':').unwrap_or((t, "")))
                .map(|(t, o)| (t.into(), o.into()))
                .collect(),
            network: network(self.network.as_deref())?,
            dns: self.dns,
            read_only: self.read_only,
            cap_add: self.cap_add,
            cap_drop: self.cap_drop,
            privileged: self.privileged,
            init: self.init,
            terminal: self.tty,
            stdin: self.interactive,
            auto_remove: self.rm,
            limits: Limits {
                memory: self.memory.as_deref().map(request::size).transpose()?,
                cpus: self.cpus,
                pids: self.pids_limit,
            },
            ulimits: self.ulimit.iter().map(|u| request::ulimit(u)).collect::<Result<_, _>>()?,
            shm_size: self.shm_size.as_deref().map(request::size).transpose()?,
            stop_timeout: self.stop_timeout,
            log: request::log(self.log_driver.as_deref(), &self.log_opt)?,
            ..Request::default()
        };
        if let Some(signal) = self.stop_signal {
            request::signal(&signal)?;
            request.stop_signal = Some(signal);
        }
        for port in &self.publish {
            request.ports.extend(ports::parse(port)?);
        }
        for entry in self.add_host {
            let (name, address) = entry.split_once(':').ok_or_else(|| RunError::Host(entry.clone()))?;
            request.hosts.push((name.into(), address.into()));
        }
        for option in self.security_opt {
            match option.replace(':', "=").as_str() {
                "no-new-privileges" | "no-new-privileges=true" => request.no_new_privileges = true,
                "seccomp=unconfined" => request.seccomp_unconfined = true,
                // Neither is confined by minirun.
                "label=disable" | "apparmor=unconfined" | "no-new-privileges=false" => {}
                _ => return Err(RunError::SecurityOption(option).into()),
            }
        }
        Ok(request)
    }

    fn create(mut self, context: &Context, image: &Image) -> Result<Container, Failure> {
        let cidfile = self.cidfile.take();
        if let Some(file) = cidfile.as_ref().filter(|f| f.exists()) {
            return Err(RunError::CidFile(file.clone()).into());
        }
        let container = create::create(&context.store, image, self.request()?)?;
        if let Some(file) = cidfile {
            std::fs::write(&file, container.record.id.as_str()).map_err(|e| RunError::File(file, e))?;
        }
        Ok(container)
    }
}

/// `NAME` is passed on if it is set here, and left alone if not.
fn variable(entry: String) -> Result<Option<String>, request::RequestError> {
    match entry.split_once('=') {
        Some(("", _)) => Err(request::RequestError::Variable(entry)),
        Some(_) => Ok(Some(entry)),
        None if entry.is_empty() => Err(request::RequestError::Variable(entry)),
        None => Ok(std::env::var(&entry).ok().map(|value| format!("{entry}={value}"))),
    }
}

fn network(name: Option<&str>) -> Result<Network, request::RequestError> {
    match name {
        None | Some("bridge" | "default" | "private") => Ok(Network::Private),
        Some("none") => Ok(Network::None),
        Some("host") => Ok(Network::Host),
        Some(other) => Err(request::RequestError::Network(other.into())),
    }
}

pub fn create(arguments: CreateArgs, context: &Context) -> Result<u8, Failure> {
    let image = registry::image(context, &arguments.image_and_command[0], &arguments.pull)?;
    let container = arguments.create(context, &image)?;
    println!("{}", container.record.id);
    Ok(0)
}

pub fn run(mut arguments: RunArgs, context: &Context) -> Result<u8, Failure> {
    let attachment = Attachment {
        terminal: arguments.create.tty,
        stdin: arguments.create.interactive,
        signals: arguments.sig_proxy,
        detach_keys: keys(arguments.detach_keys.as_deref())?,
    };
    if !arguments.detach && attachment.terminal && attachment.stdin && !std::io::stdin().is_terminal() {
        return Err(RunError::NoTerminal.into());
    }
    let image = registry::image(context, &arguments.create.image_and_command[0], &arguments.create.pull)?;
    // Its monitor sets out while the container is being made.
    let name = arguments.create.name.get_or_insert_with(|| name::random(&context.store));
    let ids = shift::ids(&context.store, arguments.create.userns.is_some())?;
    let prepared = launch::prepare(&context.store, name, ids)?;
    let container = arguments.create.create(context, &image)?;
    let mut told = arguments.explain.map(|how| {
        Told::new(how, arguments.speech.language(), context.store.root.clone(), container.directory.clone())
    });
    let listener: &mut dyn Listener = match &mut told {
        Some(told) => told,
        None => &mut Silent,
    };
    let end = match launch::start(&context.store, &container, prepared, listener) {
        Ok(end) => end,
        Err(error) => {
            // With --rm nothing is left of a container that could not be started. A monitor has seen to that itself; where
            // none was started, there is nothing yet that is not the caller's own.
            if container.record.request.auto_remove {
                let _ = record::remove(&context.store, &container, true);
            }
            return Err(error.into());
        }
    };
    if arguments.detach {
        println!("{}", container.record.id);
        tell_ending(&container);
        return Ok(0);
    }
    stay(&end, &attachment, &container.record.name)
}

fn keys(text: Option<&str>) -> Result<Vec<u8>, attach::BadKeys> {
    text.map_or(Ok(attach::DETACH_KEYS.to_vec()), attach::detach_keys)
}

fn stay(end: &End, attachment: &Attachment, name: &str) -> Result<u8, Failure> {
    match attach::attach(end, attachment)? {
        Parting::Exited(code) => Ok(code),
        Parting::Detached => Ok(0),
        Parting::Lost => Err(RunError::Lost(name.to_owned()).into()),
    }
}

#[derive(Args)]
pub struct StartArgs {
    /// Show its output, and end as it ends
    #[arg(short, long)]
    attach: bool,
    /// Send it standard input
    #[arg(short, long)]
    interactive: bool,
    #[arg(required = true)]
    containers: Vec<String>,
}

pub fn start(arguments: StartArgs, context: &Context) -> Result<u8, Failure> {
    let mut code = 0;
    for name in &arguments.containers {
        match start_one(name, &arguments, context) {
            Ok(one) => code = one.max(code),
            Err(failure) if arguments.containers.len() == 1 => return Err(failure),
            Err(failure) => {
                crate::diag::report(failure.as_ref());
                code = code.max(1);
            }
        }
    }
    Ok(code)
}

fn start_one(name: &str, arguments: &StartArgs, context: &Context) -> Result<u8, Failure> {
    let container = Container::find(&context.store, name)?;
    if container.state().phase == Phase::Running {
        println!("{name}");
        return Ok(0);
    }
    let prepared = launch::prepare_for(&context.store, &container.record)?;
    let end = match launch::start(&context.store, &container, prepared, &mut Silent) {
        Err(LaunchError::Running(_)) => {
            println!("{name}");
            return Ok(0);
        }
        other => other?,
    };
    if !arguments.attach && !arguments.interactive {
        println!("{name}");
        tell_ending(&container);
        return Ok(0);
    }
    let request = &container.record.request;
    let attachment = Attachment {
        terminal: request.terminal,
        stdin: arguments.interactive && request.stdin,
        signals: true,
        detach_keys: attach::DETACH_KEYS.to_vec(),
    };
    stay(&end, &attachment, name)
}

/// Whether a container that was left behind will be there after the next log-in.
fn tell_ending(container: &Container) {
    if let Some(ending) = Ending::of(container.state().monitor.0) {
        eprintln!("note: {}; to keep it: {}", ending.note(), ending.mend());
    }
}

#[derive(Args)]
pub struct AttachArgs {
    /// Do not send it standard input
    #[arg(long)]
    no_stdin: bool,
    /// Keys that let go of the container
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Pass signals on to the container
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    sig_proxy: bool,
    container: String,
}

pub fn attach(arguments: AttachArgs, context: &Context) -> Result<u8, Failure> {
    let container = Container::find(&context.store, &arguments.container)?;
    let end = container.reach()?.ok_or_else(|| RunError::NotRunning(container.record.name.clone()))?;
    let request = &container.record.request;
    let attachment = Attachment {
        terminal: request.terminal,
        stdin: request.stdin && !arguments.no_stdin,
        signals: arguments.sig_proxy,
        detach_keys: keys(arguments.detach_keys.as_deref())?,
    };
    stay(&end, &attachment, &container.record.name)
}

#[derive(Args)]
pub struct ExecArgs {
    /// Run in the background
    #[arg(short, long)]
    detach: bool,
    /// Keep standard input open
    #[arg(short, long)]
    interactive: bool,
    /// Give it a terminal
    #[arg(short, long)]
    tty: bool,
    /// Set a variable, or pass on your own
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// Run as this user
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Start in this directory
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// With all capabilities
    #[arg(long)]
    privileged: bool,
    /// Keys that let go of the process
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// The container, and what to run in it
    #[arg(trailing_var_arg = true, required = true, num_args = 2.., value_name = "CONTAINER")]
    container_and_command: Vec<String>,
}

pub fn exec(arguments: ExecArgs, context: &Context) -> Result<u8, Failure> {
    let mut words = arguments.container_and_command;
    let command = words.split_off(1);
    let container = Container::find(&context.store, &words[0])?;
    let attachment = Attachment {
        terminal: arguments.tty,
        stdin: arguments.interactive,
        signals: true,
        detach_keys: keys(arguments.detach_keys.as_deref())?,
    };
    if !arguments.detach && attachment.terminal && attachment.stdin && !std::io::stdin().is_terminal() {
        return Err(RunError::NoTerminal.into());
    }
    let wanted = exec::Wanted {
        command,
        env: arguments.env.into_iter().map(variable).collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect(),
        user: arguments.user,
        workdir: arguments.workdir,
        privileged: arguments.privileged,
        terminal: arguments.tty,
        stdin: arguments.interactive,
        probe: None,
    };
    let end = exec::start(&context.store, &container, wanted)?;
    if arguments.detach {
        return Ok(0);
    }
    stay(&end, &attachment, &container.record.name)
}
