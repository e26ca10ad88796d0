//! The monitor: one small process per running container, which outlives the command that started it.
//!
//! It is this binary, executed anew inside the user namespace, so single-threaded and clean. It carries out the plan's
//! `outside`, creates the first process, which carries out `inside`, and then supervises that process. Only the monitor writes
//! the state of a running container. `exec` starts another monitor, which owns no container.

use super::birth;
use super::birth::{Born, Supplies, Unborn};
use super::cgroup;
use super::connection::Connection;
use super::control::Control;
use super::health::Checks;
use super::job::Job;
use super::lifetime::Lifetime;
use super::logs::Log;
use super::streams::Streams;
use super::supervise::{Supervised, supervise};
use crate::container::plan::Walk;
use crate::container::plan::step::Step;
use crate::container::protocol;
use crate::container::protocol::{Call, End, Failure, LISTEN_AGAIN, Message, Stage, Task};
use crate::container::rootfs::root::Root;
use crate::container::rootfs::shift;
use crate::container::stored::health::Health;
use crate::container::stored::outcome::Outcome;
use crate::container::stored::record;
use crate::container::stored::record::{Container, Phase, RecordError, State};
use crate::journal::Journal;
use crate::network::egress::StandIn;
use crate::network::names::NameServer;
use crate::network::ports::Listener;
use crate::network::proxy::Proxy;
use crate::network::shared::{self, Attached};
use crate::network::uplink::Uplink;
use crate::store;
use crate::store::{Store, StoreError};
use crate::sys::{On, SysError, descriptor, process};
use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The first word of its command line, so that `ps` shows which process this is.
pub(crate) const NAME: &str = "minirun-monitor";

/// Runs a monitor from its start to its end. Returns its exit code. `None`: nobody has given it a socket.
pub(crate) fn main() -> Option<i32> {
    process::set_name(c"minirun-monitor");
    // Whoever typed the command may have had any file open without knowing; and no descriptor of ours goes further.
    let handed = descriptor::keep_handed_alone();
    let _ = descriptor::close_on_exec_from(descriptor::HANDED);
    handed.map(|socket| serve(End::new(socket)).unwrap_or(125))
}

/// The job of a monitor and all that belongs to it.
struct Received {
    job: Job,
    /// The file that it was read from.
    job_file: File,
    store: Store,
    /// The container whose state it writes; none for `exec`.
    container: Option<Container>,
    /// The store as the root of shifted ids owns it, who alone can remove the container's files.
    mapped: Option<OwnedFd>,
    streams: Option<Streams>,
    /// Trees that the host's root has mounted for steps of the plan.
    trees: VecDeque<OwnedFd>,
    /// The lock on the container and the sockets of published ports.
    descriptors: Vec<OwnedFd>,
}

/// Receives the job. `None`: the client has gone, or is not one.
fn receive(client: &End) -> Result<Option<Received>, Failure> {
    let job_failed = |error: SysError| Task::ReadJob.failed(&error);
    let Some((Message::Job, mut descriptors)) = client.receive().map_err(job_failed)? else { return Ok(None) };
    crate::userns::inherit_nothing().map_err(job_failed)?;
    // The payload's too, as with Docker, whatever the caller's is.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let _ = rustix::process::setsid();
    let streams_failed = |error: SysError| Task::OpenStreams.failed(&error);
    let null = File::options().read(true).write(true).open("/dev/null").on("open", "/dev/null");
    let null = null.map_err(streams_failed)?;
    descriptor::STREAMS.into_iter().try_for_each(|stream| stream.replace(null.as_fd())).map_err(streams_failed)?;
    if descriptors.is_empty() {
        return Ok(None);
    }
    let job_file = File::from(descriptors.remove(0));
    let job = birth::read_job(&job_file).map_err(job_failed)?;
    while descriptors.len() < job.descriptors() {
        let Some((Message::More, more)) = client.receive().map_err(job_failed)? else { return Ok(None) };
        descriptors.extend(more);
    }
    let root = job.outside.clone().take().map_err(job_failed)?;
    let mut store = Store::open(Some(&root)).map_err(store_failed)?;
    let entered = std::env::set_current_dir(&store.root).on("chdir", &store.root);
    entered.map_err(|error| Task::OpenStore.failed(&error))?;
    let streams = match job.terminal {
        true => None,
        false => Some(Streams::from_parts(&mut descriptors, job.stdin).map_err(streams_failed)?),
    };
    let trees = VecDeque::from(descriptors.split_off(descriptors.len().saturating_sub(job.plan.brought())));
    let mapped = trees.front().filter(|_| job.plan.is_shifted()).map(|tree| tree.try_clone().on("dup", "the store"));
    let mapped = mapped.transpose().map_err(|error| Task::OpenStore.failed(&error))?;
    if mapped.is_some() {
        store.root = ".".into();
    }
    let container = job.container.as_ref().map(|id| Container::load(&store, id));
    let container = container.transpose().map_err(record_failed)?;
    Ok(Some(Received { job, job_file, store, container, mapped, streams, trees, descriptors }))
}

fn store_failed(error: StoreError) -> Failure {
    let failed = |call, errno| Failure { stage: Stage::Task(Task::OpenStore), call, errno };
    match error {
        StoreError::Sys(source) | StoreError::Open { source, .. } => Task::OpenStore.failed(&source),
        // The client has opened this very store a moment ago.
        StoreError::NoHome => failed(Call::Open, libc::ENOENT),
        StoreError::Newer { .. } => failed(Call::Read, libc::EPROTONOSUPPORT),
    }
}

fn record_failed(error: RecordError) -> Failure {
    let failed = |errno| Failure { stage: Stage::Task(Task::ReadRecord), call: Call::Read, errno };
    match error {
        RecordError::Sys(source) => Task::ReadRecord.failed(&source),
        RecordError::Store(error) => store_failed(error),
        RecordError::Damaged { .. } => failed(libc::EBADMSG),
        // The client has locked the container.
        RecordError::NotFound { .. }
        | RecordError::Ambiguous { .. }
        | RecordError::NotRunning(_)
        | RecordError::Paused(_)
        | RecordError::Restarting(_)
        | RecordError::NameTaken { .. }
        | RecordError::NewerMonitor { .. } => failed(libc::ENOENT),
    }
}

fn serve(client: End) -> Result<i32, SysError> {
    let Received { job, job_file, store, container, mapped, streams, trees, mut descriptors } = match receive(&client) {
        Ok(Some(received)) => received,
        Ok(None) => return Ok(125),
        Err(failure) => {
            client.send(&Message::Failed(failure))?;
            return Ok(125);
        }
    };
    // The client's lock on the container: it may die before us.
    let lock = container.is_some().then(|| descriptors.pop()).flatten();
    let listeners: Vec<Listener> =
        job.ports.iter().cloned().zip(descriptors).map(|(spec, fd)| Listener::from_parts(spec, fd)).collect();
    let ids = job.plan.ids();
    // Opened here: the plan of an `exec` leads into the container's file system.
    let last_event = job.last_event.clone().and_then(|event| Some((Journal::open(&store)?, event)));
    let mut state = State::default();
    let begun =
        begin(&job, job_file, (streams, trees), &client, container.as_ref()).and_then(|(mut supervised, supplies)| {
            supervised.health = container.as_ref().and_then(|container| Checks::new(container, ids));
            state = State {
                phase: Phase::Running,
                wire: protocol::VERSION,
                pid: supervised.pid,
                pid_started: process::start_time(supervised.pid).unwrap_or_default(),
                monitor: (own_pid(), process::start_time(own_pid()).unwrap_or_default()),
                started: jiff::Timestamp::now().to_string(),
                ports: job.ports.clone(),
                cgroup: job.cgroup.clone(),
                health: supervised.health.as_ref().map(|_| Health::default()),
                ..State::default()
            };
            let written = container.as_ref().map_or(Ok(()), |c| c.write_state(&state));
            match written.and_then(|()| supervised.control.as_ref().map_or(Ok(()), Control::announce)) {
                Ok(()) => Ok((supervised, supplies)),
                Err(error) => {
                    supervised.kill();
                    Err(Task::WriteState.failed(&error))
                }
            }
        });
    drop(lock);
    let (mut supervised, supplies) = match begun {
        Ok(begun) => begun,
        Err(failure) => {
            crate::userns::leave(&store);
            if let Some(container) = &container {
                let _ = store::remove_tree(&container.runtime);
                shared::leave_all(&store, container.record.id.as_str());
                let again = job.plan.failure(failure).is_tried_again();
                if container.record.request.auto_remove && !again {
                    enter(mapped.as_ref());
                    let _ = record::remove(&store, container, true);
                }
            }
            client.send(&Message::Failed(failure))?;
            return Ok(125);
        }
    };
    supervised.proxy = if listeners.is_empty() {
        None
    } else {
        let members: Vec<_> = supervised.names.iter().flat_map(NameServer::members).cloned().collect();
        Proxy::new(listeners, &members).ok()
    };
    supervised.log = container
        .as_ref()
        .map(|c| (c.log(), c.record.request.log.clone()))
        .and_then(|(path, options)| if options.is_off { None } else { Log::append_to(path, options).ok() });
    let fuse = job.plan.outside.iter().find_map(|step| match step {
        Step::FuseOverlay(overlay) => Some(overlay.target.clone()),
        _ => None,
    });
    drop(job);
    crate::sys::memory::give_back();
    // From the moment that anybody knows of it, a signal to the monitor is one to the container.
    supervised.signals = process::signalfd(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP, LISTEN_AGAIN]).ok();
    if let Some(container) = &container {
        container.record.note_start(&store);
    }
    // A client that was killed meanwhile is one that has let go.
    let _ = client.send(&Message::Started { pid: supervised.pid.unsigned_abs() });

    let clients = vec![Connection::first(client)];
    let (status, mut waiting) = match &container {
        Some(container) => {
            Lifetime { store: &store, container, state: &mut state, supplies, ids }.run(&mut supervised, clients)
        }
        None => {
            let (status, waiting) = supervise(&mut supervised, clients, |_| Ok(()));
            if let Some((journal, event)) = last_event {
                journal.note(&[event.of_now().with("exitCode", status)]);
            }
            (status, waiting)
        }
    };
    // The program that answers for the files lives in this mount namespace too, and ends when nobody has the mount any more.
    if let Some(target) = fuse {
        let _ = rustix::mount::unmount(target, rustix::mount::UnmountFlags::DETACH);
    }
    // Free for the next container at once; the device, which the kernel takes its time to take away, as this process ends.
    supervised.proxy = None;
    // Its files go last too: nobody has to wait for that.
    let is_kept = waiting.iter().any(|client| client.keeps);
    let goes = |container: &Container| container.record.request.auto_remove && !is_kept;
    let withdrawn = container.filter(goes).and_then(|container| {
        let _lock = container.lock().ok()?;
        let still_ours = container.written_state().monitor == state.monitor;
        still_ours.then(|| record::withdraw(&store, &container, true).ok()).flatten().flatten()
    });
    crate::userns::leave(&store);
    waiting.iter_mut().for_each(Connection::leave_terminal);
    let last = Message::Exited { code: status.unsigned_abs() };
    let full = |c: &&Connection| c.end.send(&last).is_err_and(|error| error.errno == libc::EAGAIN);
    // Those who still have output to read come last: one that has stopped must not keep the others waiting.
    for connection in waiting.iter().filter(full).collect::<Vec<_>>() {
        let _ = connection.end.wait_and_send(&last);
    }
    if let Some(group) = state.cgroup.as_ref().filter(|_| supervised.leashed) {
        // The client looks into the group and removes it, unless it was killed.
        waiting.iter().for_each(|connection| connection.end.wait_for_end());
        cgroup::remove(Path::new(group));
    }
    drop(waiting);
    enter(mapped.as_ref());
    drop(withdrawn);
    Ok(0)
}

/// Becomes the root that owns all files of the store's mapped tree.
fn enter(mapped: Option<&OwnedFd>) {
    if let Some(tree) = mapped {
        let _ = rustix::process::fchdir(tree);
        let _ = shift::become_root();
    }
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Answers for the networks that the container is on.
fn name_server(job: &Job, container: Option<&Container>, networks: Vec<Attached>) -> Result<NameServer, SysError> {
    let asked = container.map(|container| container.record.request.dns.clone()).unwrap_or_default();
    let device = job.egress.as_ref().map(|way| way.network().device);
    let mut names = NameServer::new(&asked, device.as_deref()).on("epoll_create1", "the name server")?;
    networks.into_iter().try_for_each(|network| names.add(network)).on("epoll_ctl", "the name server")?;
    Ok(names)
}

/// Carries out the plan until the first process has become the payload.
fn begin(
    job: &Job,
    job_file: File,
    (streams, trees): (Option<Streams>, VecDeque<OwnedFd>),
    client: &End,
    container: Option<&Container>,
) -> Result<(Supervised, Option<Supplies>), Failure> {
    let plan = &job.plan;
    let failed = |task: Task| move |error: SysError| task.failed(&error);
    // Opened while the host's tree is still in sight.
    let group = birth::open_group(job)?;
    // It stays in the host's network, which a step of the plan leaves.
    let stand_in = match &job.egress {
        Some(way) if !way.is_awaited() => Some(StandIn::fork(way, &job.runtime).map_err(failed(Task::StartEgress))?),
        _ => None,
    };
    let mut walk = Walk { size: job.size, trees, ..Walk::default() };
    for (index, step) in plan.outside.iter().enumerate() {
        let begun = std::time::Instant::now();
        step.apply(&mut walk).map_err(|error| Failure::of_step(index as u32, &error))?;
        let skipped = walk.skipped.take();
        if job.told && !matches!(step, Step::Clone { .. }) {
            birth::did(client, index as u32, begun.elapsed(), skipped);
        }
    }
    if birth::awaits_egress(job) {
        client.send(&Message::WantEgress).map_err(failed(Task::StartEgress))?;
    }
    if job.container.is_none() {
        walk.root = Some(Root::open("/").map_err(failed(Task::OpenRoot))?);
    }
    let names = match std::mem::take(&mut walk.networks) {
        networks if networks.is_empty() => None,
        networks => Some(name_server(job, container, networks).map_err(failed(Task::Listen))?),
    };
    let uplink = walk.device.take().zip(stand_in);
    let uplink = uplink.and_then(|((device, kind), stand_in)| Uplink::new(device, kind, stand_in).ok());
    let supplies = match container.filter(|container| container.record.request.may_restart()) {
        Some(container) => {
            let trees = std::mem::take(&mut walk.trees);
            let supplies = Supplies::new(job_file, streams.as_ref(), trees, &container.runtime);
            let supplies = supplies.map_err(failed(Task::OpenStreams))?;
            walk.trees = supplies.trees().map_err(failed(Task::OpenStore))?;
            Some(supplies)
        }
        None => None,
    };
    let unborn = Unborn::clone(job, walk, group, streams.as_ref().map(|streams| &streams.theirs), Some(client))?;
    let control = match container.map(|container| Control::prepare(container.control())).transpose() {
        Ok(control) => control,
        Err(error) => {
            unborn.kill();
            return Err(Task::Listen.failed(&error));
        }
    };
    // The process has its own.
    let (stdin, outputs) = streams.map(|streams| (streams.stdin, streams.outputs)).unwrap_or_default();
    let Born { pid, pidfd, terminal, agent } = unborn.follow()?;
    let supervised = Supervised {
        pid,
        pidfd,
        stdin,
        outputs,
        terminal,
        agent,
        log: None,
        control,
        proxy: None,
        uplink,
        names,
        health: None,
        cgroup: job.cgroup.clone(),
        leashed: job.leashed,
        may_be_followed: supplies.is_some(),
        has_init: plan.inside.iter().any(|step| matches!(step, Step::ReapingInit)),
        signals: None,
        outcome: Outcome::default(),
    };
    Ok((supervised, supplies))
}
