//! `run` and `create`: the commands that make a container.

use super::Context;
use super::attach::{self, Attachment};
use super::ending::note_ending;
use super::flags::{ContainerFlags, DetachFlags, ProcessFlags, PullFlags, SignalFlags};
use super::registry;
use super::stderr::Notes;
use super::step_printer::{ExplainFormat, StepPrinter};
use crate::container::decide::create;
use crate::container::decide::name;
use crate::container::live::launch;
use crate::container::live::launch::Listener;
use crate::container::request;
use crate::container::request::capability::Selected;
use crate::container::request::signal::Signal;
use crate::container::request::{Limits, Request, SecurityOption, Tmpfs, Volume};
use crate::container::stored::record;
use crate::container::stored::record::Container;
use crate::diag::{Diagnose, Failure};
use crate::explain::words::Language;
use crate::image::Image;
use crate::network::ports::Published;
use clap::Args;
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
    #[arg(short, long, value_name = "[SOURCE:]TARGET[:ro]", value_parser = request::volume)]
    volume: Vec<Volume>,
    /// As root: use the host's IDs instead of shifted ones
    #[arg(long, value_name = "host", value_parser = ["host"])]
    userns: Option<String>,
    /// Mount a tmpfs, which is lost when the container stops
    #[arg(long, value_name = "TARGET[:OPTIONS]", value_parser = request::tmpfs)]
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
    #[command(flatten)]
    keys: DetachFlags,
    #[command(flatten)]
    signals: SignalFlags,
    /// Explain each step as it is carried out
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "brief")]
    explain: Option<ExplainFormat>,
    #[command(flatten)]
    create: CreateArgs,
}

#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("cannot write {}", .0.display())]
    WriteCidFile(PathBuf, #[source] std::io::Error),
    #[error("cannot create {}: file exists", .0.display())]
    CidFile(PathBuf),
}

impl Diagnose for RunError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::CidFile(_) => Some("name another file with --cidfile, or remove this one".into()),
            Self::WriteCidFile(..) => None,
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
            volumes: self.volume,
            tmpfs: self.tmpfs,
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
            keeps_stdin: false,
        };
        Ok(Creation { request, pull: self.pull, cidfile: self.cidfile })
    }
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
    let image = registry::image(context, &request.image, &pull)?;
    let container = create_container(context, &image, request, cidfile)?;
    println!("{}", container.record.id);
    Ok(0)
}

pub(super) fn run(arguments: RunArgs, context: &Context) -> Result<u8, Failure> {
    let Creation { mut request, pull, cidfile } = arguments.create.resolve()?;
    // As in Docker: what was begun in the background keeps its standard input open for whoever attaches.
    request.keeps_stdin = arguments.detach && request.stdin;
    let attachment = Attachment {
        terminal: request.terminal,
        stdin: request.stdin,
        closes_stdin: true,
        signals: arguments.signals.sig_proxy,
        detach_keys: arguments.keys.keys(),
    };
    if !arguments.detach {
        attachment.check_terminal(attach::WITHOUT_T)?;
    }
    let image = registry::image(context, &request.image, &pull)?;
    // The monitor starts while the container is being created.
    let name = request.name.get_or_insert_with(|| name::random(&context.store)).clone();
    let prepared = launch::prepare_requested(&context.store, &name, &request)?;
    let container = create_container(context, &image, request, cidfile)?;
    let mut printer = arguments
        .explain
        .map(|how| StepPrinter::new(how, Language::current(), context.store.root.clone(), container.directory.clone()));
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
    attach::stay(&end, &attachment, &container.record.name)
}
