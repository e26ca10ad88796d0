//! `compose ps`, `ls`, `images`, `port`, `top`, `logs`, `events`, `stats` and `version`.

use super::error::ComposeFailure;
use super::flags::ProjectFlags;
use super::follow::{Follower, Manner};
use super::manage::members_of;
use super::members::{self, Member};
use crate::cli::format::Format;
use crate::cli::listing::{Fields, Listing, Row};
use crate::cli::logs::Count;
use crate::cli::moment::Moment;
use crate::cli::{Context, human, ps, published};
use crate::compose::label;
use crate::container::request::Network;
use crate::container::stored::record::Phase;
use crate::diag::Failure;
use crate::image;
use clap::Args;
use std::collections::BTreeMap;

#[derive(Args)]
pub(super) struct PsArgs {
    /// List stopped containers, and those of `run`, too
    #[arg(short, long)]
    all: bool,
    /// Print only container IDs
    #[arg(short, long)]
    quiet: bool,
    /// Print only the names of services
    #[arg(long)]
    services: bool,
    /// List only those with this status: running, exited, paused, …
    #[arg(long, value_name = "STATUS")]
    status: Vec<String>,
    /// Do not shorten commands
    #[arg(long)]
    no_trunc: bool,
    /// Print through a template, or json
    #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: Format,
    /// The services; none for all
    #[arg(value_name = "SERVICE")]
    wanted: Vec<String>,
}

#[derive(Args)]
pub(super) struct LsArgs {
    /// List projects without running containers too
    #[arg(short, long)]
    all: bool,
    /// Print only names
    #[arg(short, long)]
    quiet: bool,
    /// Print through a template, or json
    #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: Format,
}

#[derive(Args)]
pub(super) struct ImagesArgs {
    /// Print only IDs
    #[arg(short, long)]
    quiet: bool,
    /// Print through a template, or json
    #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: Format,
    /// The services; none for all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Args)]
pub(super) struct PortArgs {
    /// Set the protocol
    #[arg(long, default_value = "tcp", value_parser = ["tcp", "udp"])]
    protocol: String,
    /// Take the container with this number
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    index: usize,
    /// The service
    service: String,
    /// The port in the container
    #[arg(value_name = "PORT")]
    port: u16,
}

#[derive(Args)]
pub(super) struct LogsArgs {
    /// Follow the output until all containers end
    #[arg(short, long)]
    follow: bool,
    /// Print only the last lines of each; 'all' prints all
    #[arg(short = 'n', long, value_name = "LINES", default_value = "all", allow_hyphen_values = true)]
    tail: Count,
    /// Print the time before each line
    #[arg(short, long)]
    timestamps: bool,
    /// Print output since this time, or since 10m ago
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Print output until this time
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Print no colours
    #[arg(long)]
    no_color: bool,
    /// Print no names
    #[arg(long)]
    no_log_prefix: bool,
    /// Take the container with this number
    #[arg(long, value_name = "NUMBER")]
    index: Option<usize>,
    /// The services; none for all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

const PS: Fields = &[
    ("Name", "NAME"),
    ("Image", "IMAGE"),
    ("Command", "COMMAND"),
    ("Service", "SERVICE"),
    ("RunningFor", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Status", "STATUS"),
    ("Ports", "PORTS"),
    ("ID", "CONTAINER ID"),
    ("State", "STATE"),
    ("Health", "HEALTH"),
    ("ExitCode", "EXIT CODE"),
    ("Project", "PROJECT"),
    ("Labels", "LABELS"),
];

pub(super) fn ps(arguments: &PsArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let (name, _) = members_of(flags, context, &arguments.wanted)?;
    let is_shown = |member: &Member| {
        let is_wanted = arguments.wanted.is_empty() || arguments.wanted.contains(&member.service);
        let is_alive = arguments.all || !arguments.status.is_empty() || (member.is_running() && !member.is_one_off);
        let has_status =
            arguments.status.is_empty() || arguments.status.iter().any(|word| word == member.state.status());
        is_wanted && is_alive && has_status
    };
    let shown: Vec<Member> = members::of_project(&context.store, &name).into_iter().filter(is_shown).collect();
    if arguments.services {
        let mut services: Vec<&str> = shown.iter().map(|member| member.service.as_str()).collect();
        services.dedup();
        services.iter().for_each(|service| println!("{service}"));
        return Ok(0);
    }
    if arguments.quiet {
        shown.iter().for_each(|member| println!("{}", member.container.record.id));
        return Ok(0);
    }
    let columns = vec!["Name", "Image", "Command", "Service", "RunningFor", "Status", "Ports"];
    let listing = Listing::new(PS, columns, &arguments.format)?;
    let mut rows = Vec::new();
    for member in &shown {
        let (record, state) = (&member.container.record, &member.state);
        let ports = if state.phase == Phase::Running && record.request.network == Network::Private {
            published::ports(&state.ports)
        } else {
            String::new()
        };
        let health = state.health.as_ref().filter(|_| state.phase == Phase::Running);
        let mut row = Row::default();
        for (field, value) in [
            ("Name", record.name.clone()),
            ("Image", record.image.clone()),
            ("Service", member.service.clone()),
            ("Project", name.clone()),
            ("RunningFor", human::ago(Some(&record.created))),
            ("CreatedAt", human::instant(&record.created)),
            ("Status", ps::status(state)),
            ("State", state.status().to_owned()),
            ("Health", health.map(|health| health.status.to_string()).unwrap_or_default()),
            ("ExitCode", state.exit_code.to_string()),
            ("ID", record.id.to_string()),
            ("Ports", ports),
            ("Command", ps::command(&member.container, arguments.no_trunc)),
        ] {
            row.set(field, value);
        }
        row.set_labels(&record.request.labels.iter().cloned().collect());
        rows.push(row);
    }
    listing.print(&rows)?;
    Ok(0)
}

pub(super) fn ls(arguments: &LsArgs, context: &Context) -> Result<u8, Failure> {
    const LS: Fields = &[("Name", "NAME"), ("Status", "STATUS"), ("ConfigFiles", "CONFIG FILES")];
    let listing = Listing::new(LS, vec!["Name", "Status", "ConfigFiles"], &arguments.format)?;
    let mut rows = Vec::new();
    for (name, members) in members::all(&context.store) {
        if !arguments.all && !members.iter().any(Member::is_running) {
            continue;
        }
        if arguments.quiet {
            println!("{name}");
            continue;
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        members.iter().for_each(|member| *counts.entry(member.state.status()).or_default() += 1);
        let counts: Vec<String> = counts.iter().map(|(status, number)| format!("{status}({number})")).collect();
        let mut row = Row::default();
        row.set("Name", name);
        row.set("Status", counts.join(", "));
        row.set("ConfigFiles", members.first().and_then(|member| member.label(label::FILES)).unwrap_or_default());
        rows.push(row);
    }
    if !arguments.quiet {
        listing.print(&rows)?;
    }
    Ok(0)
}

pub(super) fn images(arguments: &ImagesArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    const IMAGES: Fields = &[
        ("ContainerName", "CONTAINER"),
        ("Repository", "REPOSITORY"),
        ("Tag", "TAG"),
        ("ID", "IMAGE ID"),
        ("Size", "SIZE"),
    ];
    let (_, members) = members_of(flags, context, &arguments.services)?;
    let columns = vec!["ContainerName", "Repository", "Tag", "ID", "Size"];
    let listing = Listing::new(IMAGES, columns, &arguments.format)?;
    let mut rows = Vec::new();
    let mut ids = Vec::new();
    for member in &members {
        let record = &member.container.record;
        ids.push(record.image_id.to_string());
        let reference = record.image.parse::<image::name::reference::Reference>().ok();
        let (repository, tag) = match &reference {
            Some(reference) => {
                (reference.familiar_repository(), reference.tag.clone().unwrap_or_else(|| "latest".into()))
            }
            None => (record.image.clone(), "<none>".into()),
        };
        let size = image::Image::open(&context.store, &record.image_id).ok().flatten();
        let size = size.and_then(|image| image.size(&context.store).ok()).map(human::size).unwrap_or_default();
        let mut row = Row::default();
        for (field, value) in [
            ("ContainerName", record.name.clone()),
            ("Repository", repository),
            ("Tag", tag),
            ("ID", record.image_id.short().to_string()),
            ("Size", size),
        ] {
            row.set(field, value);
        }
        rows.push(row);
    }
    if arguments.quiet {
        ids.sort();
        ids.dedup();
        ids.iter().for_each(|id| println!("{id}"));
    } else {
        listing.print(&rows)?;
    }
    Ok(0)
}

/// Returns a service's container, the first or the one with this number.
pub(super) fn member(
    flags: &ProjectFlags,
    context: &Context,
    service: &str,
    index: Option<usize>,
) -> Result<Member, Failure> {
    let (_, members) = members_of(flags, context, &[service.to_owned()])?;
    if members.is_empty() {
        return Err(ComposeFailure::NoContainer(service.to_owned()).into());
    }
    let found = match index {
        Some(index) => members.into_iter().find(|member| member.number == index),
        // The first that runs, if one does.
        None => members.iter().find(|member| member.is_running()).or(members.first()).cloned(),
    };
    let index = index.unwrap_or(1);
    found.ok_or_else(|| ComposeFailure::NoIndex { service: service.to_owned(), index }.into())
}

pub(super) fn port(arguments: &PortArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let member = member(flags, context, &arguments.service, Some(arguments.index))?;
    let is_it = |port: &&crate::network::ports::PortSpec| {
        port.container_port == arguments.port && port.protocol.to_string() == arguments.protocol
    };
    let open = if member.state.phase == Phase::Running { &member.state.ports[..] } else { &[] };
    let found = open.iter().find(is_it).ok_or_else(|| ComposeFailure::NotPublished {
        name: member.name().to_owned(),
        port: format!("{}/{}", arguments.port, arguments.protocol),
    })?;
    println!("{}", published::host_side(found));
    Ok(0)
}

pub(super) fn logs(arguments: &LogsArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let (name, mut members) = members_of(flags, context, &arguments.services)?;
    members.retain(|member| arguments.index.is_none_or(|index| member.number == index));
    let manner = Manner {
        has_prefix: !arguments.no_log_prefix,
        has_color: Manner::default().has_color && !arguments.no_color,
        has_times: arguments.timestamps,
        since: arguments.since,
        until: arguments.until,
    };
    let Count(tail) = arguments.tail;
    let mut follower = Follower::new(&name, &members, tail, manner)?;
    if arguments.follow {
        follower.follow(None)?;
    } else {
        follower.print_new()?;
    }
    Ok(0)
}

/// Names the containers for a command of one container that is typed for each: `top`, `stats`, `events`.
pub(super) fn names(flags: &ProjectFlags, context: &Context, services: &[String]) -> Result<Vec<String>, Failure> {
    let (_, members) = members_of(flags, context, services)?;
    Ok(members.into_iter().filter(Member::is_running).map(|member| member.container.record.name).collect())
}
