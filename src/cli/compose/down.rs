//! `compose down`: the containers of a project go, with what was made for them.

use super::flags::ProjectFlags;
use super::hooks;
use super::members::{self, Member};
use super::resources;
use super::stop::{note_orphans, remove_all, stop_all};
use crate::cli::{Context, inside, stderr};
use crate::diag::Failure;
use clap::{Args, ValueEnum};

#[derive(Args)]
pub(super) struct DownArgs {
    /// Remove the project's volumes, and anonymous ones, too
    #[arg(short, long)]
    volumes: bool,
    /// Remove images: all, or local ones that the file does not name
    #[arg(long, value_name = "WHICH")]
    rmi: Option<Images>,
    /// Remove containers of services that the files no longer have
    #[arg(long)]
    remove_orphans: bool,
    /// Wait this many seconds before SIGKILL
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true)]
    timeout: Option<i64>,
    /// Only these services; none for the whole project
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Images {
    All,
    Local,
}

pub(super) fn down(arguments: &DownArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let (name, mut project) = flags.name(context)?;
    if let Some(project) = &mut project {
        project.enable(&arguments.services)?;
        arguments.services.iter().try_for_each(|service| project.service(service).map(drop))?;
    }
    let _lock = members::lock(context, &name)?;
    let all = members::of_project(&context.store, &name);
    let is_known = |member: &Member| {
        project.as_ref().is_none_or(|project| {
            project.services.contains_key(&member.service) || project.disabled.contains_key(&member.service)
        })
    };
    let (known, orphans): (Vec<_>, Vec<_>) = all.into_iter().partition(|member| is_known(member) || member.is_one_off);
    let mut going: Vec<Member> = known
        .into_iter()
        .filter(|member| arguments.services.is_empty() || arguments.services.contains(&member.service))
        .collect();
    if arguments.remove_orphans {
        going.extend(orphans);
    } else {
        note_orphans(&orphans);
    }
    let is_whole = arguments.services.is_empty();
    let volumes = if arguments.volumes && is_whole { resources::volumes_of(context, &name) } else { Vec::new() };
    if flags.dry_run {
        going.iter().for_each(|member| println!("{}: would be stopped and removed", member.short_name(&name)));
        volumes.iter().for_each(|volume| println!("volume {volume}: would be removed"));
        return Ok(0);
    }
    if let Some(project) = &project {
        for member in going.iter().filter(|member| member.is_running()) {
            if let Err(error) = hooks::before_stop(context, project, &member.service, &member.container) {
                stderr::report(error.as_ref());
            }
        }
    }
    if going.is_empty() && volumes.is_empty() && is_whole {
        stderr::note(&format!("nothing of project {name} is there"));
    }
    stop_all(context, going.clone(), arguments.timeout, |_| {})?;
    remove_all(context, &going, arguments.volumes)?;
    going.iter().for_each(|member| eprintln!(" {}: removed", member.short_name(&name)));
    if is_whole {
        for network in resources::remove_networks(context, &name) {
            eprintln!(" network {network}: removed");
        }
    }
    resources::remove_volumes(context, &volumes)?;
    volumes.iter().for_each(|volume| eprintln!(" volume {volume}: removed"));
    if let (Some(which), Some(project)) = (arguments.rmi, &project) {
        let services = project.services.values();
        let chosen = services.filter(|service| which == Images::All || service.node.text("image").is_none());
        for image in chosen.map(|service| service.image(&name)) {
            // One that is not there, or that others use, stays.
            if crate::image::find(&context.store, &image).is_ok()
                && inside::again_quietly(&context.store, &["rmi", &image])? == 0
            {
                eprintln!(" image {image}: removed");
            }
        }
    }
    Ok(0)
}
