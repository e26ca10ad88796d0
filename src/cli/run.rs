//! `run` and `create`: the commands that make a container.

use super::Context;
use super::attach::{self, Attachment, Parting, Printed};
use super::dry_run;
use super::ending::note_ending;
use super::flags::{
    ContainerFlags, DetachFlags, EnvironmentFlags, HealthFlags, IgnoredFlags, IsolationFlags, LimitFlags, NetworkFlags,
    Networks, ProcessFlags, PullFlags, SignalFlags, lines,
};
use super::inside;
use super::registry;
use super::stderr::{self, Notes};
use super::step_printer::{ExplainFormat, StepPrinter};
use crate::container::decide::create;
use crate::container::decide::name;
use crate::container::decide::seccomp;
use crate::container::live::launch;
use crate::container::live::launch::Listener;
use crate::container::request;
use crate::container::request::mount::{self, Mounted};
use crate::container::request::signal::Signal;
use crate::container::request::{
    Network, OnUnhealthy, Request, RequestError, RestartPolicy, Tmpfs, Volume, VolumesFrom,
};
use crate::container::stored::record;
use crate::container::stored::record::Container;
use crate::diag::{Diagnose, Failure};
use crate::explain::words::Language;
use crate::image::Image;
use crate::network::resolv::HostAddress;
use clap::{Args, ValueEnum};
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
    /// Mount a tmpfs, which is lost when the container stops
    #[arg(long, value_name = "TARGET[:OPTIONS]", value_parser = mount::tmpfs)]
    tmpfs: Vec<Tmpfs>,
    #[command(flatten)]
    network: NetworkFlags,
    #[command(flatten)]
    environment: EnvironmentFlags,
    /// Read labels from a file
    #[arg(long, value_name = "FILE")]
    label_file: Vec<PathBuf>,
    /// Add an annotation to the container's specification
    #[arg(long, value_name = "NAME=VALUE", value_parser = request::annotation)]
    annotation: Vec<(String, String)>,
    #[command(flatten)]
    ignored: IgnoredFlags,
    /// Replace the image's entry point
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Mount the root file system read-only
    #[arg(long)]
    read_only: bool,
    #[command(flatten)]
    isolation: IsolationFlags,
    /// Set the domain name
    #[arg(long, value_name = "DOMAIN", value_parser = request::domainname)]
    domainname: Option<String>,
    /// Set how likely the kernel kills it when memory is short: -1000 to 1000
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, value_parser = clap::value_parser!(i32).range(-1000..=1000))]
    oom_score_adj: Option<i32>,
    /// Set the umask
    #[arg(long, value_name = "MASK", value_parser = request::umask)]
    umask: Option<u32>,
    /// Set the time zone; local for the host's
    #[arg(long, value_name = "ZONE", value_parser = request::timezone)]
    tz: Option<String>,
    /// Run an init that forwards signals and reaps processes
    #[arg(long)]
    init: bool,
    /// Remove the container when it ends
    #[arg(long)]
    rm: bool,
    /// Start it again when it ends: no, on-failure, on-failure:TIMES, always, unless-stopped
    #[arg(long, value_name = "POLICY", default_value = "no", hide_default_value = true)]
    restart: RestartPolicy,
    #[command(flatten)]
    health: HealthFlags,
    #[command(flatten)]
    limits: LimitFlags,
    /// Fail where the host cannot give a limit
    #[arg(long)]
    require_limits: bool,
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
    /// Write the number of the container's first process to a file
    #[arg(long, value_name = "FILE")]
    pidfile: Option<PathBuf>,
    /// Remove the container that has the name
    #[arg(long, requires = "name")]
    replace: bool,
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
    /// Attach to these streams only: stdin, stdout, stderr
    #[arg(short, long, value_name = "STREAM", ignore_case = true, conflicts_with = "detach")]
    attach: Vec<AttachedStream>,
    /// Print what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Remove the image when the container has ended
    #[arg(long, conflicts_with = "detach")]
    rmi: bool,
    /// Explain each step as it is carried out
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "brief")]
    explain: Option<ExplainFormat>,
    #[command(flatten)]
    create: CreateArgs,
}

/// A stream of `--attach`.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum AttachedStream {
    Stdin,
    Stdout,
    Stderr,
}

#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("cannot write {}", .0.display())]
    WriteFile(PathBuf, #[source] std::io::Error),
    #[error("cannot create {}: file exists", .0.display())]
    CidFile(PathBuf),
    #[error("--rm and {0} exclude each other")]
    RemovesAndRestarts(&'static str),
}

impl Diagnose for RunError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::CidFile(_) => Some("name another file with --cidfile, or remove this one".into()),
            Self::RemovesAndRestarts(_) => Some("leave out --rm, and remove it yourself: minirun rm -f NAME".into()),
            Self::WriteFile(..) => None,
        }
    }
}

/// The parsed command line of `run` or `create`.
struct Creation {
    request: Request,
    pull: PullFlags,
    cidfile: Option<PathBuf>,
    pidfile: Option<PathBuf>,
    replace: bool,
}

impl CreateArgs {
    fn resolve(self) -> Result<Creation, Failure> {
        if self.rm && self.restart != RestartPolicy::No {
            return Err(RunError::RemovesAndRestarts("--restart").into());
        }
        if self.rm && self.health.health_on_failure == OnUnhealthy::Restart {
            return Err(RunError::RemovesAndRestarts("--health-on-failure restart").into());
        }
        if let Some(file) = self.cidfile.as_ref().filter(|file| file.exists()) {
            return Err(RunError::CidFile(file.clone()).into());
        }
        self.ignored.answer()?;
        let env = self.process.environment()?;
        let mut labels = Vec::new();
        for file in &self.label_file {
            for line in lines(file).map_err(RequestError::LabelFile)? {
                labels.push(request::label(&line)?);
            }
        }
        let ProcessFlags { workdir, user, privileged, interactive, tty, .. } = self.process;
        let ContainerFlags { network, add_host, shm_size, ulimit, label } = self.container;
        let Networks { network, mut way_out, endpoints } = self.network.join(network)?;
        // --add-host NAME:host-gateway asks for services that listen on the host's loopback, too.
        way_out.host_loopback |= add_host.iter().any(|entry| entry.address == HostAddress::HostGateway);
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
            stderr::note(&note);
        }
        let (security, devices) = (self.isolation.security(), self.isolation.devices());
        let (namespaces, host_ids) = (self.isolation.namespaces(), self.isolation.host_ids());
        let mut words = self.image_and_command.into_iter();
        let mut request = Request {
            image: words.next().unwrap_or_default(),
            name: self.name,
            command: words.collect(),
            entrypoint: self.entrypoint,
            env,
            workdir,
            user,
            groups: self.group_add,
            hostname: self.hostname,
            labels: labels.into_iter().chain(label).collect(),
            volumes,
            volumes_from: self.volumes_from,
            tmpfs,
            ports: self.network.ports(),
            publish_all: self.network.publish_all,
            exposed: self.network.exposed(),
            network,
            way_out,
            endpoints,
            hosts: add_host,
            dns: self.network.dns,
            dns_search: self.network.dns_search,
            dns_options: self.network.dns_option,
            no_hosts: self.network.no_hosts,
            annotations: self.annotation,
            host_env: self.environment.of_host(),
            unset_env: self.environment.unsetenv,
            unset_all_env: self.environment.unsetenv_all,
            read_only: self.read_only,
            cap_add: self.isolation.cap_add,
            cap_drop: self.isolation.cap_drop,
            privileged,
            no_new_privileges: security.no_new_privileges,
            masks: security.masks,
            devices,
            sysctls: self.isolation.sysctl,
            namespaces,
            domainname: self.domainname,
            oom_score_adj: self.oom_score_adj,
            umask: self.umask,
            timezone: self.tz,
            init: self.init,
            terminal: tty,
            stdin: interactive,
            auto_remove: self.rm,
            limits: self.limits.limits()?,
            require_limits: self.require_limits,
            ulimits: ulimit,
            shm_size,
            stop_signal: self.stop_signal,
            stop_timeout: self.stop_timeout,
            restart: self.restart,
            on_unhealthy: self.health.health_on_failure,
            health: self.health.check(),
            log: request::log(self.log_driver.as_deref(), &self.log_opt)?,
            host_ids,
            ..Request::default()
        };
        request.filter_by(security.seccomp);
        request.check()?;
        seccomp::check(&request)?;
        Ok(Creation { request, pull: self.pull, cidfile: self.cidfile, pidfile: self.pidfile, replace: self.replace })
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
    let is_discarded = !request.ports.is_empty() || request.publish_all;
    let network = &request.network;
    if let (true, Network::Host | Network::None) = (is_discarded, network) {
        stderr::note(&format!("no port is published with --network {network}"));
    }
    let container = create::create(&context.store, image, request)?;
    if let Some(file) = cidfile {
        std::fs::write(&file, container.record.id.as_str()).map_err(|e| RunError::WriteFile(file, e))?;
    }
    Ok(container)
}

pub(super) fn create(arguments: CreateArgs, context: &Context) -> Result<u8, Failure> {
    let Creation { request, pull, cidfile, replace, .. } = arguments.resolve()?;
    find_sources(context, &request)?;
    let image = registry::image(context, &request.image, &pull)?;
    if let Some(name) = request.name.as_ref().filter(|_| replace) {
        inside::again_quietly(&context.store, &["rm", "--force", name])?;
    }
    let container = create_container(context, &image, request, cidfile)?;
    println!("{}", container.record.id);
    Ok(0)
}

pub(super) fn run(arguments: RunArgs, context: &Context) -> Result<u8, Failure> {
    let Creation { mut request, pull, cidfile, pidfile, replace } = arguments.create.resolve()?;
    // As in Docker: what was begun in the background keeps its standard input open for whoever attaches.
    request.keeps_stdin = arguments.detach && request.stdin;
    // As with Podman: an image in use stays.
    request.auto_remove |= arguments.rmi;
    if arguments.dry_run {
        let how = arguments.explain.unwrap_or(ExplainFormat::Brief);
        return dry_run::print(context, request, how, Language::current());
    }
    let listed = |stream| arguments.attach.is_empty() || arguments.attach.contains(&stream);
    let attachment = Attachment {
        terminal: request.terminal,
        stdin: request.stdin && listed(AttachedStream::Stdin),
        closes_stdin: true,
        printed: Printed { stdout: listed(AttachedStream::Stdout), stderr: listed(AttachedStream::Stderr) },
        signals: arguments.signals.sig_proxy,
        detach_keys: arguments.keys.keys(),
    };
    if !arguments.detach {
        attachment.check_terminal(attach::WITHOUT_T)?;
    }
    find_sources(context, &request)?;
    let image = registry::image(context, &request.image, &pull)?;
    if let Some(name) = request.name.as_ref().filter(|_| replace) {
        inside::again_quietly(&context.store, &["rm", "--force", name])?;
    }
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
    if !arguments.detach {
        container.record.note(&context.store, "attach");
    }
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
    // One that has ended already has none.
    let pid = container.state().pid;
    if let Some(file) = pidfile.filter(|_| pid > 0) {
        std::fs::write(&file, pid.to_string()).map_err(|e| RunError::WriteFile(file, e))?;
    }
    if arguments.detach {
        println!("{}", container.record.id);
        note_ending(&container);
        return Ok(0);
    }
    let note = |parting: &Parting| note_detached(parting, &container, context);
    let code = attach::stay(&end, &attachment, &container.record.name, note)?;
    if arguments.rmi {
        // Another container may use it; that is said, and the exit code stays the container's.
        inside::again_quietly(&context.store, &["rmi", &container.record.image])?;
    }
    Ok(code)
}

/// Notes that the command has left a container that goes on.
pub(super) fn note_detached(parting: &Parting, container: &Container, context: &Context) {
    if matches!(parting, Parting::Detached) {
        container.record.note(&context.store, "detach");
    }
}
