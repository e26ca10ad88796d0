//! `compose exec`, `run` and `attach`: processes in containers of a service.

use super::error::ComposeFailure;
use super::flags::ProjectFlags;
use super::look::member;
use super::stop::remove_all;
use super::up::{self, Aim};
use super::{images, members, resources};
use crate::cli::attach::{Attachment, Printed, WITHOUT_T, stay};
use crate::cli::flags::DetachKeys;
use crate::cli::stderr::Notes;
use crate::cli::{Context, ending, stderr};
use crate::compose::{label, request};
use crate::container::decide::create;
use crate::container::live::{exec, launch};
use crate::container::request::mount;
use crate::container::request::{Request, RestartPolicy, Volume};
use crate::container::stored::record::Phase;
use crate::diag::Failure;
use crate::network::ports::Published;
use crate::network::shared::Endpoint;
use crate::{image, store};
use clap::Args;
use std::io::IsTerminal;

#[derive(Args)]
pub(super) struct ExecArgs {
    /// Run in the background
    #[arg(short, long)]
    detach: bool,
    /// Set a variable
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = crate::container::request::variable, allow_hyphen_values = true)]
    env: Vec<Variable>,
    /// Take the container with this number
    #[arg(long, value_name = "NUMBER")]
    index: Option<usize>,
    /// Allocate no terminal
    #[arg(short = 'T', long, visible_alias = "no-tty")]
    no_tty: bool,
    /// Keep standard input open; it is
    #[arg(short, long, hide = true)]
    interactive: bool,
    /// Allocate a terminal; it is done where there is one
    #[arg(short, long, hide = true)]
    tty: bool,
    /// Grant all capabilities
    #[arg(long)]
    privileged: bool,
    /// Set the user
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Set the working directory
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// The service, and the command to run in its container
    #[arg(trailing_var_arg = true, required = true, num_args = 2.., value_name = "SERVICE")]
    service_and_command: Vec<String>,
}

/// `NAME=VALUE`; `None` for a variable that the caller does not have.
type Variable = Option<String>;

#[derive(Args)]
pub(super) struct RunArgs {
    /// Build the image first
    #[arg(long)]
    build: bool,
    /// Run in the background and print the container's name
    #[arg(short, long)]
    detach: bool,
    /// Set a variable
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = crate::container::request::variable, allow_hyphen_values = true)]
    env: Vec<Variable>,
    /// Replace the entry point
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<String>,
    /// Add a label
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = crate::container::request::label)]
    label: Vec<(String, String)>,
    /// Name the container
    #[arg(long, value_parser = crate::container::request::name)]
    name: Option<String>,
    /// Allocate no terminal
    #[arg(short = 'T', long, visible_alias = "no-TTY")]
    no_tty: bool,
    /// Keep standard input open; it is
    #[arg(short, long, hide = true)]
    interactive: bool,
    /// Start nothing that it depends on
    #[arg(long)]
    no_deps: bool,
    /// Publish a port
    #[arg(short, long, value_name = "[IP:][HOST:]PORT[/udp]", value_parser = crate::container::request::publish)]
    publish: Vec<Published>,
    /// Publish the ports of the service, too
    #[arg(short = 'P', long, visible_alias = "publish-all")]
    service_ports: bool,
    /// Print no progress of a pull
    #[arg(long)]
    quiet_pull: bool,
    /// Remove the container when it ends
    #[arg(long)]
    rm: bool,
    /// Set the user
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Mount a host directory or a volume
    #[arg(short, long, value_name = "[SOURCE:]TARGET[:OPTIONS]", value_parser = mount::volume)]
    volume: Vec<Volume>,
    /// Set the working directory
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// The service, and the command to run instead of its own
    #[arg(trailing_var_arg = true, required = true, value_name = "SERVICE")]
    service_and_command: Vec<String>,
}

fn attachment(terminal: bool, stdin: bool) -> Attachment {
    Attachment {
        terminal,
        stdin,
        closes_stdin: true,
        printed: Printed::BOTH,
        signals: true,
        detach_keys: DetachKeys::default(),
    }
}

pub(super) fn exec(arguments: ExecArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let mut words = arguments.service_and_command.into_iter();
    let service = words.next().unwrap_or_default();
    let member = member(flags, context, &service, arguments.index)?;
    if member.state.phase != Phase::Running {
        return Err(ComposeFailure::NotRunning(service).into());
    }
    // As Compose does: a terminal where there is one.
    let terminal =
        !arguments.no_tty && !arguments.detach && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let command: Vec<String> = words.collect();
    let wanted = exec::Wanted {
        events: Some(exec::Events::new(&member.container, &command)),
        command,
        env: arguments.env.into_iter().flatten().collect(),
        user: arguments.user,
        workdir: arguments.workdir,
        privileged: arguments.privileged,
        terminal,
        stdin: !arguments.detach,
        probe: None,
    };
    let attachment = attachment(terminal, true);
    if !arguments.detach {
        attachment.check_terminal(WITHOUT_T)?;
    }
    let end = exec::start(&context.store, &member.container, wanted)?;
    if arguments.detach {
        return Ok(0);
    }
    stay(&end, &attachment, member.name(), |_| {})
}

pub(super) fn run(arguments: RunArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let mut words = arguments.service_and_command.into_iter();
    let name = words.next().unwrap_or_default();
    let command: Vec<String> = words.collect();
    let mut project = flags.project()?;
    project.enable(std::slice::from_ref(&name))?;
    let service = project.service(&name)?;
    let wanted = request::of(&project, service, 1).map_err(|fault| project.sources.error(fault))?;
    let dependencies: Vec<String> = service.dependencies().into_iter().map(|dependency| dependency.service).collect();
    if !arguments.no_deps && !dependencies.is_empty() {
        let aim = Aim {
            services: &dependencies,
            with_dependencies: true,
            may_build: true,
            starts: true,
            quiet: arguments.quiet_pull,
            is_dry_run: flags.dry_run,
            ..Aim::default()
        };
        up::bring(context, &project, &aim)?;
    }
    let mut request = one_off(wanted.request, &project.name, &name);
    request.command = if command.is_empty() { request.command } else { command };
    if let Some(entrypoint) = arguments.entrypoint {
        request.entrypoint = Some(entrypoint);
    }
    request.env.extend(arguments.env.into_iter().flatten());
    request.labels.extend(arguments.label);
    request.name = arguments.name.or(request.name);
    if !arguments.service_ports {
        request.ports.clear();
    }
    request.ports.extend(arguments.publish.into_iter().flat_map(|Published(ports)| ports));
    request.user = arguments.user.or(request.user);
    request.workdir = arguments.workdir.or(request.workdir);
    request.volumes.extend(arguments.volume);
    mount::check_targets(&request.volumes, &request.tmpfs)?;
    request.terminal =
        !arguments.no_tty && !arguments.detach && std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    request.stdin = !arguments.detach;
    request.keeps_stdin = false;
    request.auto_remove = arguments.rm && wanted.files.is_empty();
    if flags.dry_run {
        println!("{}: would run {}", request.name.unwrap_or_default(), request.command.join(" "));
        return Ok(0);
    }
    resources::make_networks(context, &project)?;
    resources::make_volumes(context, &project)?;
    images::prepare(context, &project, std::slice::from_ref(&name), arguments.build, true, None, arguments.quiet_pull)?;
    let attachment = attachment(request.terminal, request.stdin);
    if !arguments.detach {
        attachment.check_terminal(WITHOUT_T)?;
    }
    let image = image::find(&context.store, &request.image)?;
    let container = create::create(&context.store, &image, request)?;
    up::give(context, &container, &wanted.files)?;
    let prepared = launch::prepare_for(&context.store, &container.record)?;
    let end = launch::start(&context.store, &container, prepared, &mut Notes)?;
    if arguments.detach {
        println!("{}", container.record.name);
        ending::note_ending(&container);
        return Ok(0);
    }
    let code = stay(&end, &attachment, &container.record.name, |_| {})?;
    if arguments.rm && container.directory.exists() && !container.record.request.auto_remove {
        // Files were written into it before its start, and so it could not remove itself.
        let all = members::of_project(&context.store, &project.name);
        let own: Vec<_> = all.into_iter().filter(|member| member.name() == container.record.name).collect();
        remove_all(context, &own, true)?;
    }
    Ok(code)
}

/// Makes the request of a service's container one of a container beside it.
fn one_off(mut request: Request, project: &str, service: &str) -> Request {
    request.name = Some(format!("{project}-{service}-run-{}", store::random_hex(6)));
    request.restart = RestartPolicy::No;
    for endpoint in &mut request.endpoints {
        // The names and addresses are those of the service's own containers.
        *endpoint = Endpoint { network: std::mem::take(&mut endpoint.network), ..Endpoint::default() };
    }
    for (name, value) in &mut request.labels {
        if name == label::ONE_OFF {
            "True".clone_into(value);
        }
    }
    request
}

#[derive(Args)]
pub(super) struct AttachArgs {
    /// Take the container with this number
    #[arg(long, value_name = "NUMBER")]
    index: Option<usize>,
    /// Do not forward standard input
    #[arg(long)]
    no_stdin: bool,
    /// The service
    service: String,
}

pub(super) fn attach(arguments: &AttachArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let member = member(flags, context, &arguments.service, arguments.index)?;
    let request = &member.container.record.request;
    let attachment = Attachment {
        terminal: request.terminal,
        stdin: request.stdin && !arguments.no_stdin,
        closes_stdin: !request.keeps_stdin,
        printed: Printed::BOTH,
        signals: true,
        detach_keys: DetachKeys::default(),
    };
    let end = member.container.reach_awake()?;
    attachment.check_terminal(crate::cli::attach::WITHOUT_STDIN)?;
    if !request.stdin {
        stderr::note("the service has no stdin_open: its output is shown, and Ctrl-C is forwarded");
    }
    stay(&end, &attachment, member.name(), |_| {})
}
