//! `compose up` and `create`: what is there is compared with what is wanted, and only what differs is touched.

use super::attached;
use super::error::ComposeFailure;
use super::flags::ProjectFlags;
use super::members::{self, Member};
use super::resources;
use super::stop::{note_orphans, remove_all, stop_all};
use super::{hooks, images};
use crate::cli::changes::Changes;
use crate::cli::container::begin;
use crate::cli::ending::note_ending;
use crate::cli::flags::PullPolicy;
use crate::cli::stderr::{self, Notes};
use crate::cli::{Context, inside};
use crate::compose::request::{GivenFile, Wanted};
use crate::compose::{Condition, Project, label, request};
use crate::container::decide::create;
use crate::container::live::launch;
use crate::container::request::{Request, Source, Volume};
use crate::container::stored::health::HealthStatus;
use crate::container::stored::record::{Container, Phase, State};
use crate::diag::Failure;
use crate::image::{self, Image};
use crate::network::shared;
use clap::Args;
use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

#[derive(Args)]
pub(super) struct UpArgs {
    /// Run in the background
    #[arg(short, long)]
    detach: bool,
    /// Build images first
    #[arg(long, conflicts_with = "no_build")]
    build: bool,
    /// Build nothing
    #[arg(long)]
    no_build: bool,
    /// Set when to pull images: always, missing or never
    #[arg(long, value_name = "WHEN")]
    pull: Option<PullPolicy>,
    /// Make containers anew even where nothing changed
    #[arg(long, conflicts_with = "no_recreate")]
    force_recreate: bool,
    /// Leave containers as they are even where something changed
    #[arg(long)]
    no_recreate: bool,
    /// Make what services depend on anew, too
    #[arg(long)]
    always_recreate_deps: bool,
    /// Give new containers new anonymous volumes
    #[arg(short = 'V', long)]
    renew_anon_volumes: bool,
    /// Leave alone what services depend on
    #[arg(long)]
    no_deps: bool,
    /// Make containers without starting them
    #[arg(long, conflicts_with_all = ["detach", "wait"])]
    no_start: bool,
    /// Run so many containers of a service
    #[arg(long, value_name = "SERVICE=NUMBER")]
    scale: Vec<String>,
    /// Remove containers of services that the files no longer have
    #[arg(long)]
    remove_orphans: bool,
    /// Wait until services run or are healthy; implies -d
    #[arg(long)]
    wait: bool,
    /// Wait no longer than this
    #[arg(long, value_name = "SECONDS")]
    wait_timeout: Option<u64>,
    /// Stop all when one container ends
    #[arg(long, conflicts_with = "detach")]
    abort_on_container_exit: bool,
    /// Stop all when one container fails
    #[arg(long, conflicts_with = "detach")]
    abort_on_container_failure: bool,
    /// Exit with the code of this service's container; implies --abort-on-container-exit
    #[arg(long, value_name = "SERVICE", conflicts_with = "detach")]
    exit_code_from: Option<String>,
    /// Print the output of these services only
    #[arg(long, value_name = "SERVICE")]
    attach: Vec<String>,
    /// Do not print the output of these services
    #[arg(long, value_name = "SERVICE")]
    no_attach: Vec<String>,
    /// Print the output without names
    #[arg(long)]
    no_log_prefix: bool,
    /// Print the output without colours
    #[arg(long)]
    no_color: bool,
    /// Print times before the output
    #[arg(long)]
    timestamps: bool,
    /// Wait this many seconds before SIGKILL
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true)]
    timeout: Option<i64>,
    /// Print no progress of pulls
    #[arg(long)]
    quiet_pull: bool,
    /// The services, with what they depend on; none for all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Args)]
pub(super) struct CreateArgs {
    /// Build images first
    #[arg(long, conflicts_with = "no_build")]
    build: bool,
    /// Build nothing
    #[arg(long)]
    no_build: bool,
    /// Set when to pull images: always, missing or never
    #[arg(long, value_name = "WHEN")]
    pull: Option<PullPolicy>,
    /// Make containers anew even where nothing changed
    #[arg(long, conflicts_with = "no_recreate")]
    force_recreate: bool,
    /// Leave containers as they are even where something changed
    #[arg(long)]
    no_recreate: bool,
    /// Make so many containers of a service
    #[arg(long, value_name = "SERVICE=NUMBER")]
    scale: Vec<String>,
    /// Remove containers of services that the files no longer have
    #[arg(long)]
    remove_orphans: bool,
    /// The services, with what they depend on; none for all
    #[arg(value_name = "SERVICE")]
    services: Vec<String>,
}

#[derive(Args)]
pub(super) struct ScaleArgs {
    /// Leave alone what services depend on
    #[arg(long)]
    no_deps: bool,
    /// How many containers of each service
    #[arg(required = true, value_name = "SERVICE=NUMBER")]
    scale: Vec<String>,
}

/// What is to become of the containers of a project.
#[derive(Default)]
pub(super) struct Aim<'a> {
    pub services: &'a [String],
    pub with_dependencies: bool,
    pub builds: bool,
    pub may_build: bool,
    pub pull: Option<PullPolicy>,
    pub quiet: bool,
    pub forces: bool,
    pub forces_dependencies: bool,
    pub keeps: bool,
    pub renews_volumes: bool,
    pub starts: bool,
    pub scale: BTreeMap<String, usize>,
    pub removes_orphans: bool,
    pub timeout: Option<i64>,
    pub is_dry_run: bool,
}

/// Parses `SERVICE=NUMBER`.
fn scales(texts: &[String]) -> Result<BTreeMap<String, usize>, ComposeFailure> {
    let one = |text: &String| {
        let (service, number) = text.split_once('=')?;
        Some((service.to_owned(), number.parse().ok()?))
    };
    texts.iter().map(|text| one(text).ok_or_else(|| ComposeFailure::Scale(text.clone()))).collect()
}

pub(super) fn up(arguments: &UpArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let mut project = flags.project()?;
    project.enable(&arguments.services)?;
    if let Some(service) = &arguments.exit_code_from {
        project.service(service)?;
    }
    let aim = Aim {
        services: &arguments.services,
        with_dependencies: !arguments.no_deps,
        builds: arguments.build,
        may_build: !arguments.no_build,
        pull: arguments.pull,
        quiet: arguments.quiet_pull,
        forces: arguments.force_recreate,
        forces_dependencies: arguments.always_recreate_deps,
        keeps: arguments.no_recreate,
        renews_volumes: arguments.renew_anon_volumes,
        starts: !arguments.no_start,
        scale: scales(&arguments.scale)?,
        removes_orphans: arguments.remove_orphans,
        timeout: arguments.timeout,
        is_dry_run: flags.dry_run,
    };
    let begun = jiff::Timestamp::now();
    let names = bring(context, &project, &aim)?;
    if flags.dry_run || arguments.no_start {
        return Ok(0);
    }
    let all = members::of_project(&context.store, &project.name);
    let own: Vec<Member> =
        all.into_iter().filter(|member| names.contains(&member.service) && !member.is_one_off).collect();
    if arguments.wait {
        let limit = arguments.wait_timeout.map(Duration::from_secs);
        return wait_until_ready(&own, limit).map(|()| 0);
    }
    if arguments.detach {
        own.first().into_iter().for_each(|member| note_ending(&member.container));
        return Ok(0);
    }
    let manner = super::follow::Manner {
        has_prefix: !arguments.no_log_prefix,
        has_color: super::follow::Manner::default().has_color && !arguments.no_color,
        has_times: arguments.timestamps,
        // What was said before belongs to an earlier `up`.
        since: Some(crate::cli::moment::Moment(begun)),
        until: None,
    };
    let is_shown = |member: &Member| {
        let listed = arguments.attach.is_empty() || arguments.attach.contains(&member.service);
        let is_attached = project.service(&member.service).is_ok_and(|service| service.is_attached());
        listed && is_attached && !arguments.no_attach.contains(&member.service)
    };
    let end = attached::End {
        at_first_exit: arguments.abort_on_container_exit || arguments.exit_code_from.is_some(),
        at_first_failure: arguments.abort_on_container_failure,
        code_of: arguments.exit_code_from.clone(),
        timeout: arguments.timeout,
    };
    attached::stay(context, &project.name, own, is_shown, manner, &end)
}

pub(super) fn create(arguments: &CreateArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let mut project = flags.project()?;
    project.enable(&arguments.services)?;
    let aim = Aim {
        services: &arguments.services,
        with_dependencies: true,
        builds: arguments.build,
        may_build: !arguments.no_build,
        pull: arguments.pull,
        forces: arguments.force_recreate,
        keeps: arguments.no_recreate,
        scale: scales(&arguments.scale)?,
        removes_orphans: arguments.remove_orphans,
        is_dry_run: flags.dry_run,
        ..Aim::default()
    };
    bring(context, &project, &aim).map(|_| 0)
}

pub(super) fn scale(arguments: &ScaleArgs, flags: &ProjectFlags, context: &Context) -> Result<u8, Failure> {
    let mut project = flags.project()?;
    let scale = scales(&arguments.scale)?;
    let services: Vec<String> = scale.keys().cloned().collect();
    project.enable(&services)?;
    let aim = Aim {
        services: &services,
        with_dependencies: !arguments.no_deps,
        may_build: true,
        keeps: true,
        starts: true,
        scale,
        is_dry_run: flags.dry_run,
        ..Aim::default()
    };
    bring(context, &project, &aim).map(|_| 0)
}

/// Brings the containers of a project to what is wanted. Returns the services that it was about.
pub(super) fn bring(context: &Context, project: &Project, aim: &Aim) -> Result<Vec<String>, Failure> {
    let names = project.selected(aim.services, aim.with_dependencies)?;
    if names.is_empty() {
        return Err(crate::compose::ComposeError::Empty.into());
    }
    for service in aim.scale.keys() {
        project.service(service)?;
    }
    // Every mistake in the files is told before anything is done.
    let mut wanted = Vec::new();
    for name in &names {
        let service = project.service(name)?;
        let number = aim.scale.get(name).copied().unwrap_or_else(|| service.replicas());
        for number in 1..=number {
            wanted.push(request::of(project, service, number).map_err(|fault| project.sources.error(fault))?);
        }
        request::idle(service).iter().for_each(|note| stderr::note(note));
    }
    let _lock = members::lock(context, &project.name)?;
    if !aim.is_dry_run {
        renew_networks(context, project, aim)?;
        resources::make_networks(context, project)?;
        resources::make_volumes(context, project)?;
        images::prepare(context, project, &names, aim.builds, aim.may_build, aim.pull, aim.quiet)?;
    }
    let all = members::of_project(&context.store, &project.name);
    let is_known = |member: &&Member| {
        project.services.contains_key(&member.service) || project.disabled.contains_key(&member.service)
    };
    let orphans: Vec<Member> = all.iter().filter(|member| !member.is_one_off && !is_known(member)).cloned().collect();
    if aim.removes_orphans && !aim.is_dry_run {
        stop_all(context, orphans.clone(), aim.timeout, |_| {})?;
        remove_all(context, &orphans, false)?;
        orphans.iter().for_each(|member| told(member.short_name(&project.name), "removed: its service is gone"));
    } else {
        note_orphans(&orphans);
    }
    let present: Vec<Member> =
        all.into_iter().filter(|member| !member.is_one_off && names.contains(&member.service)).collect();
    let excess: Vec<Member> = present
        .iter()
        .filter(|member| !wanted.iter().any(|one| one.service == member.service && one.number == member.number))
        .cloned()
        .collect();
    if !excess.is_empty() {
        if !aim.is_dry_run {
            stop_all(context, excess.clone(), aim.timeout, |_| {})?;
            remove_all(context, &excess, false)?;
        }
        excess.iter().for_each(|member| told(member.short_name(&project.name), "removed: fewer are wanted"));
    }
    let mut work = Work {
        context,
        project,
        aim,
        present,
        renewed: HashSet::new(),
        images: BTreeMap::new(),
        done: BTreeMap::new(),
    };
    work.all(wanted)?;
    Ok(names)
}

/// Removes the networks whose settings changed, with the containers on them, so that both are made anew.
fn renew_networks(context: &Context, project: &Project, aim: &Aim) -> Result<(), Failure> {
    for key in resources::changed_networks(context, project) {
        let is_on = |member: &Member| {
            let service = project.services.get(&member.service);
            service.is_none_or(|service| service.node.entries("networks").any(|(known, _)| *known == key))
        };
        let all = members::of_project(&context.store, &project.name);
        let own: Vec<Member> = all.into_iter().filter(is_on).collect();
        stop_all(context, own.clone(), aim.timeout, |_| {})?;
        remove_all(context, &own, false)?;
        let why = format!("removed: the network {key} changed");
        own.iter().for_each(|member| told(member.short_name(&project.name), &why));
        let name = project.networks.get(&key).map(|network| network.name.clone()).unwrap_or_default();
        let found = shared::find(&context.store, &name)?;
        shared::remove(&context.store, &found)?;
    }
    Ok(())
}

fn told(name: &str, what: &str) {
    eprintln!(" {name}: {what}");
}

/// What is to be done with one container.
enum Act {
    Keep,
    Start,
    Create,
    /// The reason.
    Recreate(String),
}

struct Work<'a> {
    context: &'a Context,
    project: &'a Project,
    aim: &'a Aim<'a>,
    present: Vec<Member>,
    /// The services whose containers were made anew.
    renewed: HashSet<String>,
    images: BTreeMap<String, Option<Image>>,
    /// The containers of the services that are up.
    done: BTreeMap<String, Vec<Container>>,
}

impl Work<'_> {
    fn all(&mut self, mut wanted: Vec<Wanted>) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut is_noted = false;
        while !wanted.is_empty() {
            let mut waiting = Vec::new();
            let mut has_moved = false;
            let unfinished: HashSet<String> = wanted.iter().map(|one| one.service.clone()).collect();
            for one in wanted {
                if self.is_ready(&one.service, &unfinished)? {
                    self.bring_one(one)?;
                    has_moved = true;
                } else {
                    waiting.push(one);
                }
            }
            wanted = waiting;
            if !has_moved && !wanted.is_empty() {
                if !is_noted && begun.elapsed() > Duration::from_secs(1) {
                    is_noted = true;
                    for one in &wanted {
                        let awaited = self.awaited(&one.service);
                        let awaited: Vec<String> =
                            awaited.iter().map(|(name, condition)| format!("{name} ({})", condition.word())).collect();
                        told(&one.service, &format!("waits for {}", awaited.join(", ")));
                    }
                }
                let directories = self.done.values().flatten().map(|container| container.directory.as_path());
                Changes::of(directories)?.wait();
            }
        }
        Ok(())
    }

    /// Returns what a service waits for beyond a start.
    fn awaited(&self, service: &str) -> Vec<(String, Condition)> {
        let all = self.project.services.get(service).map(|service| service.dependencies()).unwrap_or_default();
        all.into_iter().map(|one| (one.service, one.condition)).collect()
    }

    /// Whether all that a service depends on is as it must be.
    fn is_ready(&self, name: &str, unfinished: &HashSet<String>) -> Result<bool, Failure> {
        let Ok(service) = self.project.service(name) else { return Ok(true) };
        for dependency in service.dependencies() {
            let other = &dependency.service;
            // One that is not to be started decides nothing: --no-deps, or another profile.
            let Some(containers) = self.done.get(other) else {
                if unfinished.contains(other) {
                    return Ok(false);
                }
                continue;
            };
            if unfinished.contains(other) {
                return Ok(false);
            }
            if !self.aim.starts || self.aim.is_dry_run {
                continue;
            }
            for container in containers {
                match readiness(container, dependency.condition) {
                    Readiness::Ready => {}
                    Readiness::NotYet => return Ok(false),
                    Readiness::Never(why) if dependency.is_required => {
                        let (service, dependency) = (name.to_owned(), other.clone());
                        return Err(ComposeFailure::Dependency { service, dependency, why }.into());
                    }
                    Readiness::Never(_) => {}
                }
            }
        }
        Ok(true)
    }

    fn decide(&mut self, wanted: &Wanted, old: Option<&Member>) -> Result<Act, Failure> {
        let Some(old) = old else { return Ok(Act::Create) };
        let is_named = self.aim.services.is_empty() || self.aim.services.contains(&wanted.service);
        let act = if old.is_running() && !old.state.is_paused { Act::Keep } else { Act::Start };
        if self.aim.keeps {
            return Ok(act);
        }
        if (self.aim.forces && is_named) || self.aim.forces_dependencies {
            return Ok(Act::Recreate("asked for".into()));
        }
        let labels = &wanted.request.labels;
        let hash = labels.iter().rev().find(|(name, _)| name == label::HASH).map(|(_, value)| value.as_str());
        if old.label(label::HASH) != hash {
            return Ok(Act::Recreate("its settings changed".into()));
        }
        if let Some(image) = self.image(&wanted.request.image)
            && image.id != old.container.record.image_id
        {
            let (before, after) = (old.container.record.image_id.short(), image.id.short());
            return Ok(Act::Recreate(format!("image changed sha256:{before}→sha256:{after}")));
        }
        let joined = wanted.request.joined();
        let is_renewed = |name: &&String| {
            self.project.services.values().any(|service| {
                self.renewed.contains(&service.name) && service.container_name(&self.project.name, 1) == **name
            })
        };
        if let Some(name) = joined.into_iter().find(is_renewed) {
            return Ok(Act::Recreate(format!("it shares namespaces of {name}, which is new")));
        }
        Ok(act)
    }

    fn image(&mut self, name: &str) -> Option<&Image> {
        let store = &self.context.store;
        self.images.entry(name.to_owned()).or_insert_with(|| image::find(store, name).ok()).as_ref()
    }

    fn bring_one(&mut self, wanted: Wanted) -> Result<(), Failure> {
        let position =
            self.present.iter().position(|member| member.service == wanted.service && member.number == wanted.number);
        let old = position.map(|position| self.present.remove(position));
        let act = self.decide(&wanted, old.as_ref())?;
        let service = wanted.service.clone();
        let shown = format!("{service}-{}", wanted.number);
        let restarts = || {
            let all = self.project.services.get(&service).map(|service| service.dependencies()).unwrap_or_default();
            all.into_iter().find(|one| one.restarts && self.renewed.contains(&one.service))
        };
        if self.aim.is_dry_run {
            let what = match &act {
                Act::Keep => "would stay as it is".to_owned(),
                Act::Start => "would be started".to_owned(),
                Act::Create => format!("would be created from {}", wanted.request.image),
                Act::Recreate(why) => format!("would be made anew: {why}"),
            };
            if matches!(act, Act::Recreate(_)) {
                self.renewed.insert(service.clone());
            }
            println!("{shown}: {what}");
            self.done.entry(service).or_default();
            return Ok(());
        }
        let container = match (act, old) {
            (Act::Keep, Some(old)) => match restarts() {
                Some(dependency) if self.aim.starts => {
                    stop_all(self.context, vec![old.clone()], self.aim.timeout, |_| {})?;
                    let (container, _) = begin(old.container.record.id.as_str(), self.context)?;
                    told(&shown, &format!("restarted: {} is new", dependency.service));
                    container
                }
                _ => {
                    told(&shown, "unchanged");
                    old.container
                }
            },
            (Act::Start, Some(old)) if !self.aim.starts => old.container,
            (Act::Start, Some(old)) => {
                if old.state.is_paused {
                    crate::container::live::pause::set_paused(&old.container, false)?;
                }
                let (container, _) = begin(old.container.record.id.as_str(), self.context)?;
                hooks::after_start(self.context, self.project, &service, &container)?;
                told(&shown, "started");
                container
            }
            (Act::Recreate(why), Some(old)) => {
                let heirs = if self.aim.renews_volumes { Vec::new() } else { heritage(&old, &wanted.request) };
                hooks::before_stop(self.context, self.project, &service, &old.container)?;
                stop_all(self.context, vec![old.clone()], self.aim.timeout, |_| {})?;
                remove_all(self.context, &[old], self.aim.renews_volumes)?;
                self.renewed.insert(service.clone());
                let container = self.make(wanted, heirs)?;
                told(&shown, &format!("made anew: {why}"));
                container
            }
            (_, _) => {
                let container = self.make(wanted, Vec::new())?;
                told(&shown, if self.aim.starts { "started" } else { "created" });
                container
            }
        };
        self.done.entry(service).or_default().push(container);
        Ok(())
    }

    /// Makes a container, and starts it where that is wanted.
    fn make(&mut self, wanted: Wanted, heirs: Vec<Volume>) -> Result<Container, Failure> {
        let Wanted { service, mut request, files, .. } = wanted;
        let store = &self.context.store;
        let image = match self.image(&request.image) {
            Some(image) => image.clone(),
            None => image::find(store, &request.image)?,
        };
        // An heir takes the place of the anonymous volume that the file asks for.
        request.volumes.retain(|volume| !heirs.iter().any(|heir| heir.target == volume.target));
        request.volumes.extend(heirs);
        request.labels.push((label::IMAGE.into(), image.id.to_string()));
        let name = request.name.clone().unwrap_or_default();
        // The monitor starts while the container is being made.
        let starts_now = self.aim.starts && files.is_empty();
        let prepared = if starts_now { Some(launch::prepare_requested(store, &name, &request)?) } else { None };
        let container = create::create(store, &image, request)?;
        give(self.context, &container, &files)?;
        if self.aim.starts {
            let prepared = match prepared {
                Some(prepared) => prepared,
                None => launch::prepare_for(store, &container.record)?,
            };
            launch::start(store, &container, prepared, &mut Notes)?;
            hooks::after_start(self.context, self.project, &service, &container)?;
        }
        Ok(container)
    }
}

/// Returns the anonymous volumes of a container that its successor keeps.
fn heritage(old: &Member, request: &Request) -> Vec<Volume> {
    let is_free = |target: &str| {
        // An anonymous volume of the file is one that it keeps, too.
        let other = request.volumes.iter().any(|volume| volume.target == target && volume.source != Source::Anonymous);
        !other && !request.tmpfs.iter().any(|tmpfs| tmpfs.target == target)
    };
    let all = old.container.record.volumes.iter().filter(|volume| is_free(&volume.target));
    let anonymous = all.filter(|volume| volume.own || volume.name.as_ref().is_some_and(|name| name.len() == 64));
    anonymous
        .filter_map(|volume| Some(Volume::new(Source::Named(volume.name.clone()?), volume.target.clone())))
        .collect()
}

/// Writes secrets and configs into a container that was not started yet.
pub(super) fn give(context: &Context, container: &Container, files: &[GivenFile]) -> Result<(), Failure> {
    if files.is_empty() {
        return Ok(());
    }
    let failed = || ComposeFailure::Files(container.record.name.clone());
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.contents.len() as u64);
        header.set_mode(file.mode);
        header.set_uid(file.uid);
        header.set_gid(file.gid);
        let path = file.target.trim_start_matches('/');
        archive.append_data(&mut header, path, &file.contents[..]).map_err(|_| failed())?;
    }
    let bytes = archive.into_inner().map_err(|_| failed())?;
    let target = format!("{}:/", container.record.id);
    let status = inside::again_with(&context.store, &["cp", "--quiet", "--archive", "-", &target], &bytes, |_| {})?;
    if status == 0 { Ok(()) } else { Err(failed().into()) }
}

/// Whether a container is as somebody waits for it to be.
pub(super) enum Readiness {
    Ready,
    NotYet,
    /// The reason.
    Never(String),
}

pub(super) fn readiness(container: &Container, condition: Condition) -> Readiness {
    let state = container.state();
    let ended = |state: &State| Readiness::Never(format!("has ended with code {}", state.exit_code));
    match (condition, state.phase) {
        (Condition::Started, _) => Readiness::Ready,
        (Condition::CompletedSuccessfully, Phase::Exited) if state.exit_code == 0 => Readiness::Ready,
        (_, Phase::Exited) => ended(&state),
        (Condition::CompletedSuccessfully, _) => Readiness::NotYet,
        (Condition::Healthy, _) if container.record.health_command.is_none() => {
            Readiness::Never("has no health check, so it is never healthy".into())
        }
        (Condition::Healthy, _) => match state.health.as_ref().map(|health| (health.status, health.log.last())) {
            Some((HealthStatus::Healthy, _)) => Readiness::Ready,
            Some((HealthStatus::Unhealthy, last)) => {
                let output = last.map(|last| last.output.trim()).unwrap_or_default();
                let said =
                    if output.is_empty() { String::new() } else { format!(": {}", crate::diag::printable(output)) };
                Readiness::Never(format!("is unhealthy{said}"))
            }
            Some((HealthStatus::Starting, _)) | None => Readiness::NotYet,
        },
    }
}

/// Waits until containers run, and are healthy where they have a health check.
fn wait_until_ready(members: &[Member], limit: Option<Duration>) -> Result<(), Failure> {
    let begun = Instant::now();
    let changes = Changes::of(members.iter().map(|member| member.container.directory.as_path()))?;
    loop {
        let mut is_ready = true;
        for member in members {
            let has_check = member.container.record.health_command.is_some();
            let state = member.container.state();
            let found = match state.phase {
                _ if has_check => readiness(&member.container, Condition::Healthy),
                Phase::Exited if state.exit_code != 0 => {
                    Readiness::Never(format!("has ended with code {}", state.exit_code))
                }
                _ => Readiness::Ready,
            };
            match found {
                Readiness::Ready => {}
                Readiness::NotYet => is_ready = false,
                Readiness::Never(why) => {
                    return Err(ComposeFailure::NotReady { name: member.name().to_owned(), why }.into());
                }
            }
        }
        if is_ready {
            return Ok(());
        }
        if let Some(limit) = limit.filter(|limit| begun.elapsed() > *limit) {
            return Err(ComposeFailure::Late(limit.as_secs()).into());
        }
        changes.wait();
    }
}
