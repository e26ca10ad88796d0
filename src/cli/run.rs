//! `run`, `create`, `start`, `exec`, `attach`: the commands that start a process or attach to one.

use super::Context;
use super::attach::{self, Attachment, Parting};
use super::flags::{ContainerFlags, LanguageFlags, ProcessFlags, PullFlags};
use super::registry;
use super::stderr::Notes;
use super::step_printer::{ExplainFormat, StepPrinter};
use crate::container::decide::create;
use crate::container::decide::name;
use crate::container::live::exec;
use crate::container::live::launch;
use crate::container::live::launch::{LaunchError, Listener};
use crate::container::live::session::Ending;
use crate::container::protocol::End;
use crate::container::request;
use crate::container::request::capability::Selected;
use crate::container::request::mount::{self, Mounted};
use crate::container::request::signal::Signal;
use crate::container::request::{Limits, Request, SecurityOption, Tmpfs, Volume, VolumesFrom};
use crate::container::stored::record;
use crate::container::stored::record::{Container, Phase};
use crate::diag::{Diagnose, Failure};
use crate::image::Image;
use crate::network::ports::Published;
use clap::Args;
use std::io::IsTerminal;
use std::net::IpAddr;
use std::path::PathBuf;

/// Flags of `run` and `create`.
#[derive(Args)]
// `-h` is Docker's short form of --hostname here.
#[command(disable_help_flag = true)]
pub(super) struct CreateArgs {
    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Name the container
    #[arg(long, value_parser = request::name)]
    name: Option<String>,
    #[command(flatten)]
    process: ProcessFlags,
    #[command(flatten)]
    container: ContainerFlags,
    /// Add a supplementary group
    #[arg(long, value_name = "GROUP")]
    group_add: Vec<String>,
    /// Set the host name
    #[arg(short = 'h', long)]
    hostname: Option<String>,
    /// Mount a host directory, a named volume or a new volume
    #[arg(short, long, value_name = "[SOURCE:]TARGET[:OPTIONS]", value_parser = mount::volume)]
    volume: Vec<Volume>,
    /// Mount a bind, volume or tmpfs: type=bind,src=/HOST/DIR,dst=/DIR,ro
    #[arg(long, value_name = "KEY=VALUE,...", value_parser = mount::mount)]
    mount: Vec<Mounted>,
    /// Mount the volumes of another container
    #[arg(long, value_name = "CONTAINER[:ro]", value_parser = mount::volumes_from)]
    volumes_from: Vec<VolumesFrom>,
    /// Set the driver of new volumes: local is the only one
    #[arg(long, value_name = "DRIVER", value_parser = ["local"], hide_possible_values = true)]
    volume_driver: Option<String>,
    /// As root: use the host's IDs instead of shifted ones
    #[arg(long, value_name = "host", value_parser = ["host"])]
    userns: Option<String>,
    /// Mount a tmpfs, which is lost when the container stops
    #[arg(long, value_name = "TARGET[:OPTIONS]", value_parser = mount::tmpfs)]
    tmpfs: Vec<Tmpfs>,
    /// Publish a container's port on the host
    #[arg(short, long, value_name = "[IP:][HOST:]PORT[/udp]", value_parser = request::publish)]
    publish: Vec<Published>,
    /// Use this DNS server
    #[arg(long, value_name = "IP", value_parser = request::dns)]
    dns: Vec<IpAddr>,
    /// Replace the image's entry point
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Mount the root file system read-only
    #[arg(long)]
    read_only: bool,
    /// Add a capability
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',', value_parser = request::selected_capability)]
    cap_add: Vec<Selected>,
    /// Drop a capability
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',', value_parser = request::selected_capability)]
    cap_drop: Vec<Selected>,
    /// Set a security option: no-new-privileges, seccomp=unconfined
    #[arg(long, value_name = "OPTION", value_parser = request::security_option)]
    security_opt: Vec<SecurityOption>,
    /// Run an init that forwards signals and reaps processes
    #[arg(long)]
    init: bool,
    /// Remove the container when it ends
    #[arg(long)]
    rm: bool,
    /// Limit memory
    #[arg(short, long, value_name = "BYTES", value_parser = request::size)]
    memory: Option<u64>,
    /// Limit processor time, in processors
    #[arg(long, value_name = "NUMBER", value_parser = request::cpus)]
    cpus: Option<f64>,
    /// Limit the number of processes
    #[arg(long, value_name = "NUMBER")]
    pids_limit: Option<i64>,
    /// Set the signal that `stop` sends
    #[arg(long, value_name = "SIGNAL", value_parser = request::stop_signal)]
    stop_signal: Option<Signal>,
    /// Set how many seconds `stop` waits
    #[arg(long, value_name = "SECONDS")]
    stop_timeout: Option<u32>,
    /// Set the log driver: json-file, local or none
    #[arg(long, value_name = "DRIVER")]
    log_driver: Option<String>,
    /// Limit the log: max-size=20m, max-file=5
    #[arg(long, value_name = "NAME=VALUE")]
    log_opt: Vec<String>,
    /// Write the container's ID to a file
    #[arg(long, value_name = "FILE")]
    cidfile: Option<PathBuf>,
    #[command(flatten)]
    pull: PullFlags,
    // One list, so that nothing after the image's name is read as an option of minirun.
    /// The image, and the command to run instead of its CMD
    #[arg(trailing_var_arg = true, required = true, value_name = "IMAGE")]
    image_and_command: Vec<String>,
}

#[derive(Args)]
pub(super) struct RunArgs {
    /// Run in the background and print the container's ID
    #[arg(short, long)]
    detach: bool,
    /// Set the keys that detach from the container
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Forward signals to the container
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    sig_proxy: bool,
    /// Explain each step as it is carried out
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "brief")]
    explain: Option<ExplainFormat>,
    #[command(flatten)]
    language: LanguageFlags,
    #[command(flatten)]
    create: CreateArgs,
}

#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("cannot write {}", .0.display())]
    WriteCidFile(PathBuf, #[source] std::io::Error),
    #[error("cannot create {}: file exists", .0.display())]
    CidFile(PathBuf),
    #[error("cannot attach a terminal: standard input is not a terminal")]
    NoTerminal,
    #[error("container {0} has ended: its monitor was killed")]
    Lost(String),
}

impl Diagnose for RunError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoTerminal => Some("leave out -t".into()),
            Self::CidFile(_) => Some("name another file with --cidfile, or remove this one".into()),
            Self::WriteCidFile(..) | Self::Lost(_) => None,
        }
    }
}

/// The parsed command line of `run` or `create`.
struct Creation {
    request: Request,
    pull: PullFlags,
    cidfile: Option<PathBuf>,
}

impl CreateArgs {
    fn resolve(self) -> Result<Creation, Failure> {
        if let Some(file) = self.cidfile.as_ref().filter(|file| file.exists()) {
            return Err(RunError::CidFile(file.clone()).into());
        }
        let env = self.process.environment()?;
        let ProcessFlags { workdir, user, privileged, interactive, tty, .. } = self.process;
        let ContainerFlags { network, add_host, shm_size, ulimit, label } = self.container;
        let (mut volumes, mut tmpfs) = (self.volume, self.tmpfs);
        for mounted in self.mount {
            match mounted {
                Mounted::Volume(volume) => volumes.push(volume),
                Mounted::Tmpfs(one) => tmpfs.push(one),
            }
        }
        mount::check_targets(&volumes, &tmpfs)?;
        for volume in volumes.iter().filter(|volume| !volume.is_propagation_kept()) {
            let word = volume.propagation.as_deref().unwrap_or_default();
            let note =
                format!("{}: {word} has no effect: mounts that appear later stay where they are made", volume.target);
            super::stderr::note(&note);
        }
        let mut words = self.image_and_command.into_iter();
        let request = Request {
            image: words.next().unwrap_or_default(),
            name: self.name,
            command: words.collect(),
            entrypoint: self.entrypoint,
            env,
            workdir,
            user,
            groups: self.group_add,
            hostname: self.hostname,
            labels: label,
            volumes,
            volumes_from: self.volumes_from,
            tmpfs,
            ports: self.publish.into_iter().flat_map(|Published(ports)| ports).collect(),
            network: network.unwrap_or_default(),
            hosts: add_host,
            dns: self.dns,
            read_only: self.read_only,
            cap_add: self.cap_add,
            cap_drop: self.cap_drop,
            privileged,
            no_new_privileges: self.security_opt.contains(&SecurityOption::NoNewPrivileges),
            seccomp_unconfined: self.security_opt.contains(&SecurityOption::SeccompUnconfined),
            init: self.init,
            terminal: tty,
            stdin: interactive,
            auto_remove: self.rm,
            limits: Limits { memory: self.memory, swap: None, cpus: self.cpus, pids: self.pids_limit },
            ulimits: ulimit,
            shm_size,
            stop_signal: self.stop_signal,
            stop_timeout: self.stop_timeout,
            log: request::log(self.log_driver.as_deref(), &self.log_opt)?,
            host_ids: self.userns.is_some(),
        };
        Ok(Creation { request, pull: self.pull, cidfile: self.cidfile })
    }
}

/// Finds the containers of `--volumes-from`, before anything is pulled or made.
fn find_sources(context: &Context, request: &Request) -> Result<(), Failure> {
    let mut sources = request.volumes_from.iter();
    Ok(sources.try_for_each(|from| Container::find(&context.store, &from.container).map(drop))?)
}

/// Creates the container and writes its ID to `--cidfile`.
fn create_container(
    context: &Context,
    image: &Image,
    request: Request,
    cidfile: Option<PathBuf>,
) -> Result<Container, Failure> {
    let container = create::create(&context.store, image, request)?;
    if let Some(file) = cidfile {
        std::fs::write(&file, container.record.id.as_str()).map_err(|e| RunError::WriteCidFile(file, e))?;
    }
    Ok(container)
}

pub(super) fn create(arguments: CreateArgs, context: &Context) -> Result<u8, Failure> {
    let Creation { request, pull, cidfile } = arguments.resolve()?;
    find_sources(context, &request)?;
    let image = registry::image(context, &request.image, &pull)?;
    let container = create_container(context, &image, request, cidfile)?;
    println!("{}", container.record.id);
    Ok(0)
}

pub(super) fn run(arguments: RunArgs, context: &Context) -> Result<u8, Failure> {
    let Creation { mut request, pull, cidfile } = arguments.create.resolve()?;
    let attachment = Attachment {
        terminal: request.terminal,
        stdin: request.stdin,
        signals: arguments.sig_proxy,
        detach_keys: detach_keys(arguments.detach_keys.as_deref())?,
    };
    if !arguments.detach && attachment.terminal && attachment.stdin && !std::io::stdin().is_terminal() {
        return Err(RunError::NoTerminal.into());
    }
    find_sources(context, &request)?;
    let image = registry::image(context, &request.image, &pull)?;
    // The monitor starts while the container is being created.
    let name = request.name.get_or_insert_with(|| name::random(&context.store)).clone();
    let prepared = launch::prepare_requested(&context.store, &name, &request)?;
    let container = create_container(context, &image, request, cidfile)?;
    let mut printer = arguments.explain.map(|how| {
        StepPrinter::new(how, arguments.language.language(), context.store.root.clone(), container.directory.clone())
    });
    let listener: &mut dyn Listener = match &mut printer {
        Some(printer) => printer,
        None => &mut Notes,
    };
    let end = match launch::start(&context.store, &container, prepared, listener) {
        Ok(end) => end,
        Err(error) => {
            // With --rm nothing is left of a container that could not be started. The monitor removes it; where none was
            // started, all files are still the caller's own.
            if container.record.request.auto_remove {
                let _ = record::remove(&context.store, &container, true);
            }
            return Err(error.into());
        }
    };
    if arguments.detach {
        println!("{}", container.record.id);
        note_ending(&container);
        return Ok(0);
    }
    stay(&end, &attachment, &container.record.name)
}

fn detach_keys(text: Option<&str>) -> Result<Vec<u8>, attach::InvalidKeys> {
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
pub(super) struct StartArgs {
    /// Attach to its output and exit with its code
    #[arg(short, long)]
    attach: bool,
    /// Forward standard input
    #[arg(short, long)]
    interactive: bool,
    #[arg(required = true)]
    containers: Vec<String>,
}

pub(super) fn start(arguments: StartArgs, context: &Context) -> Result<u8, Failure> {
    let mut code = 0;
    for name in &arguments.containers {
        match start_one(name, &arguments, context) {
            Ok(one) => code = one.max(code),
            Err(failure) if arguments.containers.len() == 1 => return Err(failure),
            Err(failure) => {
                crate::cli::stderr::report(failure.as_ref());
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
    let end = match launch::start(&context.store, &container, prepared, &mut Notes) {
        Err(LaunchError::Running(_)) => {
            println!("{name}");
            return Ok(0);
        }
        other => other?,
    };
    if !arguments.attach && !arguments.interactive {
        println!("{name}");
        note_ending(&container);
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

/// Prints a note where a detached container will end with the user's session.
fn note_ending(container: &Container) {
    if let Some(ending) = Ending::of(container.state().monitor.0) {
        eprintln!("note: {}; to keep it: {}", ending.note(), ending.mend());
    }
}

#[derive(Args)]
pub(super) struct AttachArgs {
    /// Do not forward standard input
    #[arg(long)]
    no_stdin: bool,
    /// Set the keys that detach from the container
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// Forward signals to the container
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    sig_proxy: bool,
    container: String,
}

pub(super) fn attach(arguments: AttachArgs, context: &Context) -> Result<u8, Failure> {
    let detach_keys = detach_keys(arguments.detach_keys.as_deref())?;
    let container = Container::find(&context.store, &arguments.container)?;
    let end = container.reach()?.ok_or_else(|| container.not_running())?;
    let request = &container.record.request;
    let attachment = Attachment {
        terminal: request.terminal,
        stdin: request.stdin && !arguments.no_stdin,
        signals: arguments.sig_proxy,
        detach_keys,
    };
    stay(&end, &attachment, &container.record.name)
}

#[derive(Args)]
pub(super) struct ExecArgs {
    /// Run in the background
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    process: ProcessFlags,
    /// Set the keys that detach from the process
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<String>,
    /// The container, and the command to run in it
    #[arg(trailing_var_arg = true, required = true, num_args = 2.., value_name = "CONTAINER")]
    container_and_command: Vec<String>,
}

pub(super) fn exec(arguments: ExecArgs, context: &Context) -> Result<u8, Failure> {
    let env = arguments.process.environment()?;
    let ProcessFlags { workdir, user, privileged, interactive, tty, .. } = arguments.process;
    let attachment = Attachment {
        terminal: tty,
        stdin: interactive,
        signals: true,
        detach_keys: detach_keys(arguments.detach_keys.as_deref())?,
    };
    if !arguments.detach && attachment.terminal && attachment.stdin && !std::io::stdin().is_terminal() {
        return Err(RunError::NoTerminal.into());
    }
    let mut words = arguments.container_and_command.into_iter();
    let container = Container::find(&context.store, &words.next().unwrap_or_default())?;
    let command = words.collect();
    let wanted =
        exec::Wanted { command, env, user, workdir, privileged, terminal: tty, stdin: interactive, probe: None };
    let end = exec::start(&context.store, &container, wanted)?;
    if arguments.detach {
        return Ok(0);
    }
    stay(&end, &attachment, &container.record.name)
}
