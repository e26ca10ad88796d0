//! `compose start`, `stop`, `restart`, `kill`, `rm`, `pause`, `unpause` and `wait`.

use super::error::ComposeFailure;
use super::flags::ProjectFlags;
use super::members::{self, Member};
use super::stop::{remove_all, stop_all};
use crate::cli::Context;
use crate::cli::changes::Changes;
use crate::cli::confirm::confirm;
use crate::cli::container::{begin, kill_one};
use crate::container::live::pause::set_paused;
use crate::container::request::signal::Signal;
use crate::container::stored::record::Phase;
use crate::diag::Failure;
use clap::Args;

#[derive(Args)]
pub(super) struct StartArgs {
    /// The services; none for all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

impl StartArgs {
    pub(super) fn services(&self) -> &[String] {
        &self.services
    }
}

#[derive(Args)]
pub(super) struct StopArgs {
    /// Wait this many seconds before SIGKILL
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true)]
    timeout: Option<i64>,
    /// The services; none for all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Args)]
pub(super) struct RestartArgs {
    /// Wait this many seconds before SIGKILL
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true)]
    timeout: Option<i64>,
    /// Leave alone what depends on them
    #[arg(long)]
    no_deps: bool,
    /// The services; none for all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Args)]
pub(super) struct KillArgs {
    /// Send this signal
    #[arg(short, long, default_value = "KILL")]
    signal: Signal,
    /// The services; none for all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Args)]
pub(super) struct RmArgs {
    /// Do not ask
    #[arg(short, long)]
    force: bool,
    /// Stop them first
    #[arg(short, long)]
    stop: bool,
    /// Remove their anonymous volumes too
    #[arg(short, long)]
    volumes: bool,
    /// The services; none for all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Args)]
pub(super) struct WaitArgs {
    /// Take the whole project down when the first container ends
    #[arg(long)]
    down_project: bool,
    /// The services
    #[arg(required = true, value_name = "SERVICE")]
    services: Vec<String>,
}

/// Returns the containers of services; of all services where none is named. Those of `run` are not among them.
pub(super) fn members_of(
    flags: &ProjectFlags,
    context: &Context,
    services: &[String],
) -> Result<(String, Vec<Member>), Failure> {
    let (name, project) = flags.name(context)?;
    let all = members::of_project(&context.store, &name);
    for service in services {
        if all.iter().any(|member| member.service == *service) {
            continue;
        }
        match &project {
            Some(project) if !project.disabled.contains_key(service) => drop(project.service(service)?),
            _ => return Err(ComposeFailure::NoContainer(service.clone()).into()),
        }
    }
    let is_meant = |member: &Member| !member.is_one_off && (services.is_empty() || services.contains(&member.service));
    Ok((name, all.into_iter().filter(is_meant).collect()))
}

fn told(project: &str, member: &Member, what: &str) {
    eprintln!(" {}: {what}", member.short_name(project));
}

pub(super) fn start(arguments: &StartArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let (name, members) = members_of(flags, context, &arguments.services)?;
    if let Some(service) =
        arguments.services.iter().find(|service| !members.iter().any(|member| member.service == **service))
    {
        return Err(ComposeFailure::NoContainer(service.clone()).into());
    }
    if members.is_empty() {
        return Err(ComposeFailure::NoProject(name).into());
    }
    let _lock = members::lock(context, &name)?;
    let mut groups = members::in_order_of_stop(members);
    groups.reverse();
    for member in groups.iter().flatten().filter(|member| !member.is_running()) {
        if !flags.dry_run {
            begin(member.container.record.id.as_str(), context)?;
        }
        told(&name, member, if flags.dry_run { "would be started" } else { "started" });
    }
    Ok(0)
}

pub(super) fn stop(arguments: &StopArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let (name, members) = members_of(flags, context, &arguments.services)?;
    let running: Vec<Member> = members.into_iter().filter(Member::is_running).collect();
    if flags.dry_run {
        running.iter().for_each(|member| told(&name, member, "would be stopped"));
        return Ok(0);
    }
    let _lock = members::lock(context, &name)?;
    stop_all(context, running, arguments.timeout, |member| told(&name, member, "stopped"))?;
    Ok(0)
}

pub(super) fn restart(arguments: &RestartArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let (name, mut members) = members_of(flags, context, &arguments.services)?;
    let (_, project) = flags.name(context)?;
    if let Some(project) = project.filter(|_| !arguments.no_deps && !arguments.services.is_empty()) {
        let all = members::of_project(&context.store, &name);
        let follows = |member: &Member| {
            let dependencies = project.services.get(&member.service).map(|service| service.dependencies());
            dependencies.into_iter().flatten().any(|one| one.restarts && arguments.services.contains(&one.service))
        };
        let is_new = |member: &Member, known: &[Member]| !known.iter().any(|other| other.name() == member.name());
        let more: Vec<Member> = all
            .into_iter()
            .filter(|member| member.is_running() && !member.is_one_off && follows(member) && is_new(member, &members))
            .collect();
        members.extend(more);
    }
    if flags.dry_run {
        members.iter().for_each(|member| told(&name, member, "would be restarted"));
        return Ok(0);
    }
    let _lock = members::lock(context, &name)?;
    stop_all(context, members.clone(), arguments.timeout, |_| {})?;
    let mut groups = members::in_order_of_stop(members);
    groups.reverse();
    for member in groups.iter().flatten() {
        begin(member.container.record.id.as_str(), context)?;
        member.container.record.note(&context.store, "restart");
        told(&name, member, "restarted");
    }
    Ok(0)
}

pub(super) fn kill(arguments: &KillArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let (name, members) = members_of(flags, context, &arguments.services)?;
    for member in members.iter().filter(|member| member.is_running()) {
        if !flags.dry_run {
            kill_one(&member.container, arguments.signal)?;
        }
        told(&name, member, &format!("{} {}", if flags.dry_run { "would get" } else { "got" }, arguments.signal));
    }
    Ok(0)
}

pub(super) fn remove(arguments: &RmArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let (name, members) = members_of(flags, context, &arguments.services)?;
    let going: Vec<Member> = members.into_iter().filter(|member| arguments.stop || !member.is_running()).collect();
    if going.is_empty() {
        eprintln!("no stopped containers");
        return Ok(0);
    }
    if flags.dry_run {
        going.iter().for_each(|member| told(&name, member, "would be removed"));
        return Ok(0);
    }
    let list: Vec<&str> = going.iter().map(Member::name).collect();
    if !arguments.force && !confirm(&format!("Remove {}?", list.join(", ")), "--force")? {
        return Ok(0);
    }
    let _lock = members::lock(context, &name)?;
    stop_all(context, going.clone(), None, |_| {})?;
    remove_all(context, &going, arguments.volumes)?;
    going.iter().for_each(|member| told(&name, member, "removed"));
    Ok(0)
}

pub(super) fn pause(
    arguments: &StartArgs,
    flags: &ProjectFlags,
    context: &Context,
    pauses: bool,
) -> Result<u8, Failure> {
    let (name, members) = members_of(flags, context, &arguments.services)?;
    for member in
        members.iter().filter(|member| member.state.phase == Phase::Running && member.state.is_paused != pauses)
    {
        if !flags.dry_run {
            set_paused(&member.container, pauses)?;
            member.container.record.note(&context.store, if pauses { "pause" } else { "unpause" });
        }
        told(&name, member, if pauses { "paused" } else { "goes on" });
    }
    Ok(0)
}

pub(super) fn wait(arguments: &WaitArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let (name, members) = members_of(flags, context, &arguments.services)?;
    let running: Vec<&Member> = members.iter().filter(|member| member.is_running()).collect();
    if running.is_empty() {
        return Err(ComposeFailure::NotRunning(arguments.services.join(", ")).into());
    }
    let changes = Changes::of(running.iter().map(|member| member.container.directory.as_path()))?;
    let mut code = 0;
    let mut left = running;
    while !left.is_empty() {
        left.retain(|member| {
            let state = member.container.state();
            let goes_on = state.phase.has_monitor();
            if !goes_on {
                println!("{} {}", member.short_name(&name), state.exit_code);
                code = state.exit_code;
            }
            goes_on
        });
        if arguments.down_project && left.len() < members.len() {
            break;
        }
        if !left.is_empty() {
            changes.wait();
        }
    }
    if arguments.down_project {
        let all = members::of_project(&context.store, &name);
        stop_all(context, all.clone(), None, |_| {})?;
        remove_all(context, &all, false)?;
    }
    Ok(u8::try_from(code).unwrap_or(1))
}
