//! The client's side of a start: it makes the plan, starts the monitor and follows it.

use super::job::Job;
use super::networks::Places;
use super::streams::Streams;
use super::{cgroup, monitor};
use crate::container::decide::{create, networks};
use crate::container::plan::trees::mount_trees;
use crate::container::plan::{Plan, PlanError, StepFailed, Surroundings};
use crate::container::protocol::{End, Failure, Message};
use crate::container::request::{Network, Request};
use crate::container::rootfs::layering::{Layering, Overlay};
use crate::container::rootfs::shift;
use crate::container::stored::record::{Container, Phase, Record, RecordError, State};
use crate::diag::{Diagnose, inner_of};
use crate::network::egress;
use crate::network::ports;
use crate::network::ports::PortError;
use crate::network::shared::{Member, NetworkError};
use crate::network::{CONTAINER, ContainerNetwork};
use crate::store::{Lock, Store};
use crate::sys::process::Exit;
use crate::sys::{On, SysError, memfd, process, socket};
use crate::userns;
use crate::userns::{IdMap, IdRange, Inside, Origin, Outside, Place, Spawning, UsernsError};
use oci_spec::runtime::Spec;
use rustix::termios::tcgetwinsize;
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};

#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    #[error("container {0} is running already")]
    Running(String),
    #[error("cannot {what}")]
    Step {
        what: String,
        #[source]
        source: StepFailed,
    },
    #[error("{0}")]
    Limits(String),
    #[error("the monitor of container {name} {end} while it started")]
    Lost { name: String, end: String },
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Port(#[from] PortError),
    #[error(transparent)]
    Userns(#[from] UsernsError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for LaunchError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Plan, Network, Port, Userns, Record, Sys; Step)
    }
}

/// An observer of a start.
pub(crate) trait Listener {
    fn namespace(&mut self, _origin: &Origin) {}
    /// Called after a step. `skipped` is 0, or the errno that says why the step had nothing to do.
    fn step(&mut self, _plan: &Plan, _step: u32, _micros: u32, _skipped: u32) {}
    fn wants_steps(&self) -> bool {
        false
    }
    /// Takes a note for the user: what has no effect on this host.
    fn note(&mut self, note: &str);
}

/// Observes nothing.
pub(crate) struct Silent;

impl Listener for Silent {
    fn note(&mut self, _note: &str) {}
}

/// Returns the plan that starts a container with these ids.
pub(crate) fn plan(
    store: &Store,
    record: &Record,
    spec: &Spec,
    ids: &IdMap,
    cgroup: Option<String>,
    layering: Layering,
    members: Vec<Member>,
) -> Result<Plan, LaunchError> {
    let directory = format!("containers/{}", record.id);
    let new_volumes = record.volumes.iter().filter(|v| v.name.is_some() && !v.is_not_filled);
    let new_volumes = new_volumes.map(|v| (v.source.clone(), v.target.clone()));
    let around = Surroundings {
        overlay: Overlay {
            lower: record.layers.clone(),
            upper: format!("{directory}/upper"),
            work: format!("{directory}/work"),
            target: format!("{directory}/rootfs"),
            volatile: record.request.auto_remove,
        },
        layering,
        new_volumes: new_volumes.collect(),
        has_address: record.request.network == Network::Private,
        members,
        cgroup,
        single_id: ids.is_single(),
        shifted: shifted(store, ids),
        reaping_init: record.request.init,
        joined: joined(store, &record.request)?.into_iter().collect(),
    };
    Ok(Plan::of_container(spec, &around)?)
}

/// Returns the ids and the first processes of the containers whose namespaces a request joins.
fn joined(store: &Store, request: &Request) -> Result<Vec<(String, i32)>, RecordError> {
    let process = |name: &String| {
        let container = Container::find(store, name)?;
        match container.state() {
            State { phase: Phase::Running, pid, .. } => Ok((container.record.id.to_string(), pid)),
            _ => Err(container.not_running()),
        }
    };
    request.joined().into_iter().map(process).collect()
}

/// Returns the store and the container's ids, where those differ from the ids on disk.
pub(crate) fn shifted(store: &Store, ids: &IdMap) -> Option<(String, IdRange)> {
    let range = ids.uids().first().copied().filter(|_| ids.is_shifted())?;
    Some((store.root.to_string_lossy().into_owned(), range))
}

/// Returns rows and columns of the caller's terminal.
pub(crate) fn terminal_size() -> Option<(u16, u16)> {
    let size = |terminal| tcgetwinsize(terminal).ok().map(|size| (size.ws_row, size.ws_col));
    size(rustix::stdio::stdin()).or_else(|| size(rustix::stdio::stdout()))
}

/// A monitor that is being started while the client still makes the container.
pub(crate) struct Prepared {
    spawning: Spawning,
    end: End,
    ids: IdMap,
}

impl Prepared {
    /// The monitor's pid.
    pub(crate) fn pid(&self) -> i32 {
        self.spawning.pid()
    }

    pub(crate) fn ids(&self) -> &IdMap {
        &self.ids
    }
}

/// Starts a monitor for an existing container.
pub(crate) fn prepare_for(store: &Store, record: &Record) -> Result<Prepared, LaunchError> {
    prepare_requested(store, &record.name, &record.request)
}

/// Starts a monitor for a container that is being made.
pub(crate) fn prepare_requested(store: &Store, name: &str, request: &Request) -> Result<Prepared, LaunchError> {
    match place(store, request)? {
        Place::Beside(pid) => prepare_beside(store, name, pid),
        place => prepare(store, name, shift::ids(store, request.host_ids)?, place),
    }
}

/// Returns the user namespace of a container: that of the container that it joins, or its own where it is strong.
fn place(store: &Store, request: &Request) -> Result<Place, RecordError> {
    Ok(match joined(store, request)?.first() {
        Some((_, pid)) => Place::Beside(*pid),
        None if request.is_strong() => Place::Own,
        None => Place::Shared,
    })
}

/// Starts a monitor in the user namespace of a container's process.
pub(crate) fn prepare_beside(store: &Store, name: &str, pid: i32) -> Result<Prepared, LaunchError> {
    let ids = shift::of_process(pid).unwrap_or_else(IdMap::of_caller);
    prepare(store, name, ids, Place::Beside(pid))
}

/// Starts a monitor with these ids; `name` is shown by `ps`.
pub(crate) fn prepare(store: &Store, name: &str, ids: IdMap, place: Place) -> Result<Prepared, LaunchError> {
    let (ours, theirs) = End::pair()?;
    let arguments = [monitor::NAME, name].iter().filter_map(|a| CString::new(*a).ok()).collect();
    let inside = Inside { arguments, socket: theirs.socket(), enters_containers: true, is_monitor: true, ids, place };
    Ok(Prepared { spawning: userns::begin(store, &inside)?, end: ours, ids: inside.ids })
}

/// Starts a container that was created or has ended. Returns the client's end of the conversation, attached.
pub(crate) fn start(
    store: &Store,
    container: &Container,
    prepared: Prepared,
    listener: &mut dyn Listener,
) -> Result<End, LaunchError> {
    let lock = container.lock()?;
    let mut layering = Layering::of_container(store, &container.directory);
    let (mut prepared, mut tried) = (prepared, container.clone());
    let started = loop {
        let failed = match attempt(store, &tried, &lock, prepared, layering, listener) {
            Err(LaunchError::Step { source, what }) if source.is_tried_again() => (source, what),
            other => break other,
        };
        let (source, what) = failed;
        let record = &mut tried.record;
        if source.no_network {
            let causes = std::iter::successors(std::error::Error::source(&source), |cause| cause.source());
            let why: Vec<String> = causes.map(ToString::to_string).collect();
            let hint = source.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            listener.note(&format!(
                "the container is alone, since it cannot be on network bridge: {}{hint}",
                why.join(": ")
            ));
            record.request.endpoints.clear();
            prepared = prepare_for(store, record)?;
            create::write_hosts(&tried, CONTAINER.v4)?;
            continue;
        }
        match Layering::instead(store)? {
            Some(instead) => {
                listener.note(&instead.note(store));
                prepared = prepare(store, &record.name, IdMap::of_caller(), place(store, &record.request)?)?;
                layering = instead;
            }
            None => break Err(LaunchError::Step { source, what }),
        }
    };
    // A monitor that was killed is seen by whoever asks.
    if let Err(error) = &started
        && !matches!(error, LaunchError::Lost { .. } | LaunchError::Running(_))
    {
        let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
        let mut causes: Vec<String> = causes.map(ToString::to_string).collect();
        if causes.is_empty() {
            causes.push(error.to_string());
        }
        let cause = causes.join(": ");
        let (hint, exit_code) = (error.hint(), error.exit_code().into());
        let state = State { error: cause, hint, exit_code, outcome: None, ..container.state() };
        let _ = container.write_state(&state);
    }
    started
}

fn attempt(
    store: &Store,
    container: &Container,
    lock: &Lock,
    prepared: Prepared,
    layering: Layering,
    listener: &mut dyn Listener,
) -> Result<End, LaunchError> {
    let name = &container.record.name;
    if container.state().phase.has_monitor() {
        return Err(LaunchError::Running(name.clone()));
    }
    let request = &container.record.request;
    let placed = cgroup::place(&request.limits, &container.record.id, prepared.pid());
    if let Some(note) = placed.notes.first().filter(|_| request.require_limits) {
        placed.group.iter().for_each(|group| cgroup::remove(group));
        return Err(LaunchError::Limits(note.clone()));
    }
    placed.notes.iter().for_each(|note| listener.note(note));
    let group = placed.group.map(|g| g.to_string_lossy().into_owned());
    let places = Places::take(store, &container.record, prepared.pid())?;
    let members = places.members.clone();
    let mut plan = plan(store, &container.record, container.spec()?, &prepared.ids, group.clone(), layering, members)?;
    let left_out: Vec<_> = container.spec()?.linux().iter().filter_map(|l| l.sysctl().as_ref()).flatten().collect();
    if !left_out.is_empty() && !crate::container::plan::can_set() {
        let names: Vec<&str> = left_out.iter().map(|(name, _)| name.as_str()).collect();
        listener.note(&format!("/proc/sys is read-only here, so these stay as they are: {}", names.join(", ")));
    }
    let listeners = if request.network == Network::Private { ports::open(&request.published())? } else { Vec::new() };
    // What an earlier monitor left when it was killed.
    let _ = crate::store::remove_tree(&container.runtime);
    fs::create_dir_all(&container.runtime).on("mkdir", &container.runtime)?;
    let egress = match request.network {
        Network::Private if !networks::are_internal(store, request)? => {
            let found = egress::Way::find(&request.way_out, network_of(request));
            found.inspect_err(|error| listener.note(&error.note())).ok()
        }
        Network::Private | Network::None | Network::Host | Network::Container(_) => None,
    };
    if let Some(way) = &egress {
        plan.lead_out(way);
    }
    if let Some(first) = places.members.first() {
        create::write_hosts(container, first.v4)?;
    }
    let job = Job {
        outside: Outside::of(store),
        plan,
        container: Some(container.record.id.clone()),
        terminal: request.terminal,
        size: terminal_size(),
        stdin: request.stdin,
        ports: listeners.iter().map(|l| l.spec().clone()).collect(),
        egress,
        runtime: container.runtime.clone(),
        cgroup: group,
        told: listener.wants_steps(),
        leashed: false,
        last_event: None,
    };
    let mut descriptors: Vec<_> = listeners.into_iter().map(ports::Listener::into_fd).collect();
    // Should this process be killed now, the monitor still keeps others from removing what it starts.
    descriptors.push(lock.share()?);
    let started = converse(prepared, &job, descriptors, name, listener);
    match &started {
        Ok(_) => places.keep(),
        Err(_) => drop(crate::store::remove_tree(&container.runtime)),
    }
    started
}

/// Returns the addresses of a container's way out, and the name of its device.
pub(crate) fn network_of(request: &Request) -> ContainerNetwork {
    if request.endpoints.is_empty() { CONTAINER } else { ContainerNetwork::beside_others() }
}

/// Sends the monitor its job, and follows it until the payload runs.
pub(crate) fn converse(
    prepared: Prepared,
    job: &Job,
    descriptors: Vec<OwnedFd>,
    name: &str,
    listener: &mut dyn Listener,
) -> Result<End, LaunchError> {
    let Prepared { mut spawning, end: ours, ids } = prepared;
    if let Some(note) = spawning.take_note() {
        listener.note(note);
    }
    let memory = memfd::write("job", &serde_json::to_vec(job).unwrap_or_default())?;
    let streams = if job.terminal { None } else { Some(Streams::new(job.stdin, &ids)?) };
    let mut numbers: Vec<_> = std::iter::once(memory.as_raw_fd())
        .chain(streams.iter().flat_map(Streams::descriptors))
        .chain(descriptors.iter().map(AsRawFd::as_raw_fd))
        .collect();
    let (monitor_pid, origin) = spawning.finish()?;
    let lost = || {
        let end = match process::wait_for_exit(monitor_pid) {
            Ok(Exit::Code(code)) => format!("ended with code {code}"),
            Ok(Exit::Signal(signal)) => format!("was killed by signal {signal}"),
            Err(_) => "was killed".into(),
        };
        LaunchError::Lost { name: name.to_owned(), end }
    };
    let failed = |failure: Failure| {
        let what = match &job.container {
            Some(_) => format!("start container {name}"),
            None => format!("run a command in container {name}"),
        };
        LaunchError::Step { what, source: job.plan.failure(failure) }
    };
    let trees = match mount_trees(&job.plan, monitor_pid) {
        Ok(trees) => trees,
        Err(failure) => {
            drop(ours);
            let _ = process::wait(monitor_pid);
            return Err(failed(failure));
        }
    };
    numbers.extend(trees.iter().map(AsRawFd::as_raw_fd));
    let mut batches = numbers.chunks(socket::DESCRIPTORS);
    ours.send_with(&Message::Job, batches.next().unwrap_or_default()).map_err(|_| lost())?;
    batches.try_for_each(|batch| ours.send_with(&Message::More, batch)).map_err(|_| lost())?;
    drop((streams, descriptors, trees));
    listener.namespace(&origin);
    loop {
        match ours.receive()?.map(|(message, _)| message) {
            Some(Message::WantEgress) => {
                // Without a way out the container still runs, and its ports answer.
                if let Some(way) = &job.egress
                    && let Err(error) = way.start(monitor_pid, &job.runtime)
                {
                    listener.note(&error.note());
                }
                ours.send(&Message::EgressUp)?;
            }
            Some(Message::Did { step, micros, skipped }) => listener.step(&job.plan, step, micros, skipped),
            Some(Message::Started { .. }) => return Ok(ours),
            Some(Message::Failed(failure)) => {
                // It has cleaned up before it spoke.
                let _ = process::wait(monitor_pid);
                return Err(failed(failure));
            }
            Some(_) => {}
            None => return Err(lost()),
        }
    }
}
