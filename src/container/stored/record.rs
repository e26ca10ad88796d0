//! A container on disk: its record, its state, and how it is found.
//!
//! ```text
//! containers/<id>/container.json   what was decided at create, and by `rename` and `update` since
//!                 config.json      the OCI specification made from it
//!                 state.json       written by the monitor while there is one
//!                 upper/ work/     the writable layer
//!                 rootfs/          where the overlay is mounted, in the container's own mount namespace only
//!                 hostname hosts resolv.conf log.json log.json.1 … lock
//!                 belongings.json volumes.json   what goes with it: its name, its hold on the image, its own volumes
//! container-names/<name>           the id
//! RUNTIME/run/<id>/control         the monitor's socket; the directory is there only while it runs
//! ```

#![deny(clippy::indexing_slicing)]

use crate::container::protocol;
use crate::container::protocol::End;
use crate::container::protocol::LISTEN_AGAIN;
use crate::container::request::Request;
use crate::container::request::id::ContainerId;
use crate::container::stored::health::Health;
use crate::container::stored::outcome::Outcome;
use crate::diag::{Diagnose, ErrorCode, inner_of};
use crate::image::name::digest::Digest;
use crate::image::name::id;
use crate::journal::{self, Event, Kind};
use crate::store;
use crate::store::{Belonging, Lock, Store, StoreError};
use crate::sys::{On, SysError, process, socket};
use crate::userns;
use crate::userns::Place;
use crate::volume;
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use oci_spec::runtime::Spec;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("no such container: {name}")]
    NotFound { name: String, meant: Option<String> },
    #[error("{prefix} is the beginning of several containers' ids")]
    Ambiguous { prefix: String, found: Vec<ContainerId> },
    #[error("container {0} is not running")]
    NotRunning(String),
    #[error("container {0} is paused")]
    Paused(String),
    #[error("container {0} is restarting: it has ended, and will be started again")]
    Restarting(String),
    #[error("the name {name:?} is in use by container {}, {}", id.short(), phase.map_or("damaged", Phase::name))]
    NameTaken { name: String, id: ContainerId, phase: Option<Phase> },
    #[error("the record of container {} is damaged", id.short())]
    Damaged {
        id: ContainerId,
        #[source]
        source: serde_json::Error,
    },
    #[error(
        "container {name} was started by a newer minirun, whose monitor speaks version {wire}; this one speaks version {}",
        protocol::VERSION
    )]
    NewerMonitor { name: String, wire: u32 },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for RecordError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Store, Sys)
    }

    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::NotFound { .. } => Some(ErrorCode::NoContainer),
            Self::NotRunning(_) => Some(ErrorCode::NotRunning),
            Self::NameTaken { .. } => Some(ErrorCode::NameTaken),
            _ => self.inner().and_then(Diagnose::code),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { meant: Some(meant), .. } => Some(format!("{meant}; see: minirun ps -a")),
            Self::NotFound { meant: None, .. } => Some("see which there are: minirun ps -a".into()),
            Self::Ambiguous { found, .. } => {
                let list: Vec<&str> = found.iter().take(8).map(ContainerId::short).collect();
                Some(format!("give more of one of these: {}", list.join(" ")))
            }
            Self::Paused(name) => Some(format!("let it go on: minirun unpause {name}")),
            Self::NotRunning(name) => Some(format!("start it: minirun start {name}")),
            Self::Restarting(name) => Some(format!("see why: minirun why {name}; or stop it: minirun stop {name}")),
            Self::NameTaken { name, phase: Some(Phase::Created | Phase::Exited), .. } => Some(format!(
                "start it: minirun start {name}; or remove it: minirun rm {name}; or choose another --name"
            )),
            Self::NameTaken { name, phase: Some(Phase::Running | Phase::Restarting), .. } => Some(format!(
                "run a command in it: minirun exec {name} COMMAND; or remove it: minirun rm -f {name}; or choose another --name"
            )),
            Self::NameTaken { name, phase: None, .. } => {
                Some(format!("what can be mended: {}; or remove it: minirun rm -f {name}", store::CHECK))
            }
            Self::Damaged { id, .. } => {
                Some(format!("what can be mended: {}; to remove it: minirun rm -f {id}", store::CHECK))
            }
            Self::NewerMonitor { .. } => Some("use that minirun to stop it and to talk to it".into()),
            Self::Store(_) | Self::Sys(_) => self.inner().and_then(Diagnose::hint),
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            // As Docker answers a name that it does not know, and a container that is in the wrong state.
            Self::NotFound { .. }
            | Self::Ambiguous { .. }
            | Self::NotRunning(_)
            | Self::Paused(_)
            | Self::Restarting(_) => 1,
            _ => crate::diag::ENGINE,
        }
    }
}

/// The settings of a container, decided when it was created.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub id: ContainerId,
    pub name: String,
    pub image_id: Digest,
    /// The image's name as it was typed.
    pub image: String,
    pub created: String,
    /// The image's layers, the lowest first, relative to the store.
    pub layers: Vec<String>,
    pub request: Request,
    pub volumes: Vec<MountedVolume>,
    /// The command of its health check; `None`: it has none.
    #[serde(default)]
    pub health_command: Option<Vec<String>>,
}

impl Record {
    /// Returns an event of this container, with its labels, its image and its name.
    pub(crate) fn event(&self, action: &str) -> Event {
        let event = Event::now(Kind::Container, action, self.id.as_str());
        let labels = self.request.labels.iter();
        let event = labels.fold(event, |event, (name, value)| event.with(name.as_str(), value));
        event.with("image", &self.image).with("name", &self.name)
    }

    /// Notes an event that needs no more attributes.
    pub(crate) fn note(&self, store: &Store, action: &str) {
        journal::note(store, &[self.event(action)]);
    }
}

/// A volume of a container.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct MountedVolume {
    pub source: String,
    pub target: String,
    pub read_only: bool,
    /// The name of a named volume.
    pub name: Option<String>,
    /// It was made for this container alone, and is removed with it.
    pub own: bool,
    /// The options of `-v` as they were typed.
    #[serde(default)]
    pub mode: String,
    /// It stays empty, whatever the image has there.
    #[serde(default)]
    pub is_not_filled: bool,
    /// What is mounted below it stays out.
    #[serde(default)]
    pub is_shallow: bool,
    /// Its files lie in memory, and go when the container ends.
    #[serde(default)]
    pub is_in_memory: bool,
    /// Further options of mount(8).
    #[serde(default)]
    pub options: Vec<String>,
    /// Labels and options of the volume, should it be made.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub driver_options: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    Created,
    Running,
    /// It has ended, and its monitor waits to start it again.
    Restarting,
    Exited,
}

impl Phase {
    /// Whether it has a monitor.
    pub(crate) fn has_monitor(self) -> bool {
        matches!(self, Self::Running | Self::Restarting)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Exited => "exited",
        }
    }
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub phase: Phase,
    /// The protocol version of its monitor ([`protocol::VERSION`]).
    pub wire: u32,
    /// The pid of the container's first process on the host.
    pub pid: i32,
    /// The start time of that process; with the pid it is unique.
    pub pid_started: u64,
    /// Pid and start time of its monitor.
    pub monitor: (i32, u64),
    pub exit_code: i32,
    pub started: String,
    pub finished: String,
    pub error: String,
    /// The hint of the error.
    pub hint: Option<String>,
    /// How it ended; `None`: it has not, or an older monitor did not write it.
    pub outcome: Option<Outcome>,
    pub oom_killed: bool,
    /// Somebody has paused it.
    pub is_paused: bool,
    /// Its control group, if it has limits.
    pub cgroup: Option<String>,
    /// What its health checks have found since its process was started; `None`: it has no health check.
    pub health: Option<Health>,
    /// How often its monitor has started it again since it was started by a command.
    pub restarts: u32,
    /// Published ports as they were opened.
    pub ports: Vec<crate::network::ports::PortSpec>,
}

impl Default for State {
    fn default() -> Self {
        Self {
            phase: Phase::Created,
            wire: protocol::FIRST_VERSION,
            pid: 0,
            pid_started: 0,
            monitor: (0, 0),
            exit_code: 0,
            started: String::new(),
            finished: String::new(),
            error: String::new(),
            hint: None,
            outcome: None,
            oom_killed: false,
            is_paused: false,
            cgroup: None,
            health: None,
            restarts: 0,
            ports: Vec::new(),
        }
    }
}

impl State {
    /// Docker's word for it.
    pub(crate) fn status(&self) -> &'static str {
        if self.is_paused { "paused" } else { self.phase.name() }
    }

    pub(crate) fn monitor_lives(&self) -> bool {
        process::start_time(self.monitor.0) == Some(self.monitor.1)
    }
}

/// A container of the store.
#[derive(Debug, Clone)]
pub(crate) struct Container {
    pub record: Record,
    pub directory: PathBuf,
    pub runtime: PathBuf,
    spec: OnceLock<Spec>,
}

impl Container {
    pub(crate) fn load(store: &Store, id: &ContainerId) -> Result<Self, RecordError> {
        let directory = store.path("containers").join(id);
        let path = directory.join("container.json");
        let bytes = fs::read(&path).map_err(|e| match e.kind() {
            // Its record alone is gone.
            ErrorKind::NotFound if directory.exists() => damaged(id, &e),
            ErrorKind::NotFound => not_found(store, id.as_str()),
            _ => damaged(id, &e),
        })?;
        let record = store::format::from_record::<Record>(&bytes);
        let record = record.map_err(|source| RecordError::Damaged { id: id.clone(), source })?;
        if record.id != *id || record.layers.iter().any(|layer| layer.is_empty()) {
            return Err(damaged(id, &"it tells of another container"));
        }
        Ok(Self { record, directory, runtime: store.runtime.join("run").join(id), spec: OnceLock::new() })
    }

    /// Finds a container by name, by id, or by a unique beginning of its id.
    pub(crate) fn find(store: &Store, text: &str) -> Result<Self, RecordError> {
        if let Some(id) = id_of_name(store, text) {
            match Self::load(store, &id) {
                // A rename that was killed has left the file behind.
                Ok(container) if container.record.name != text => {}
                other => return other,
            }
        }
        if let Some(found) = Self::of_damaged_name(store, text) {
            return Ok(found);
        }
        if text.is_empty() || !text.chars().all(|c| c.is_ascii_hexdigit()) {
            return Err(not_found(store, text));
        }
        let prefix = text.to_lowercase();
        if let Ok(id) = prefix.parse::<ContainerId>() {
            return Self::load(store, &id);
        }
        let mut found: Vec<ContainerId> =
            ids(store).into_iter().filter(|id| id.as_str().starts_with(&prefix)).collect();
        match &found[..] {
            [] => Err(not_found(store, text)),
            [id] => Self::load(store, id),
            _ => {
                found.sort();
                Err(RecordError::Ambiguous { prefix, found })
            }
        }
    }

    /// The container of a name whose file says no id any more.
    fn of_damaged_name(store: &Store, name: &str) -> Option<Self> {
        let path = store.path("container-names").join(name);
        if !store::is_name(name) || !path.exists() || said_id(&path).is_some() {
            return None;
        }
        store::tell_damage(&path, &"it says no container's id");
        Self::all(store).into_iter().find(|container| container.record.name == name)
    }

    /// Returns the running containers, at no cost for the stopped ones.
    pub(crate) fn running(store: &Store) -> Vec<Self> {
        let directory = store.runtime.join("run");
        if !directory.exists() {
            // Nothing was started since the host was, or somebody has removed it.
            let lost = Self::all(store).into_iter().filter(|c| c.state().phase.has_monitor());
            lost.for_each(|container| drop(fs::create_dir_all(&container.runtime)));
            let _ = fs::create_dir_all(&directory);
        }
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
        let all = entries.filter_map(|e| Self::load(store, &e.file_name().to_str()?.parse().ok()?).ok());
        all.filter(|c| c.state().phase.has_monitor()).collect()
    }

    pub(crate) fn all(store: &Store) -> Vec<Self> {
        let load = |id: &ContainerId| match Self::load(store, id) {
            Ok(container) => Some(container),
            Err(error @ RecordError::Damaged { .. }) => {
                let path = store.path("containers").join(id).join("container.json");
                store::tell_damage(&path, &crate::diag::why(&error));
                None
            }
            Err(_) => None,
        };
        ids(store).iter().filter_map(load).collect()
    }

    /// Returns the store that it lies in.
    fn store(&self) -> Store {
        let above = |path: &Path| path.ancestors().nth(2).unwrap_or(path).to_owned();
        Store { root: above(&self.directory), runtime: above(&self.runtime) }
    }

    /// Takes the lock that is held while a container is started or removed.
    pub(crate) fn lock(&self) -> Result<Lock, RecordError> {
        let gone = || RecordError::NotFound { name: self.record.name.clone(), meant: None };
        let lock = match Lock::from_reserve(&self.store(), &self.directory.join("lock")) {
            Err(error) if error.errno == libc::ENOENT => return Err(gone()),
            other => other?,
        };
        // Whoever held it may have removed the container.
        if self.directory.exists() { Ok(lock) } else { Err(gone()) }
    }

    /// Returns the state as it is now. A monitor that was killed took its container with it, and could not write that.
    pub(crate) fn state(&self) -> State {
        let mut state = self.written_state();
        if state.phase.has_monitor() && !state.monitor_lives() {
            // It may have ended in good order between the two looks.
            state = self.written_state();
        }
        if state.phase.has_monitor() && !state.monitor_lives() {
            self.end_orphan(&state);
            state.phase = Phase::Exited;
            state.exit_code = 128 + libc::SIGKILL;
            state.error = "its monitor was killed".into();
            state.is_paused = false;
        }
        state
    }

    /// Ends what a killed monitor could not take with it: a set-user-ID program forgets whose death it should die of. Outside
    /// the user namespace only, whose owner may do it.
    fn end_orphan(&self, state: &State) {
        // Its runtime directory does not outlive the boot that the numbers are from.
        let is_it = || state.pid > 0 && process::start_time(state.pid) == Some(state.pid_started);
        if self.runtime.exists()
            && is_it()
            && let Ok(orphan) = process::pidfd_open(state.pid)
            && is_it()
            && process::kill_pidfd(orphan.as_fd(), libc::SIGKILL).is_ok()
        {
            let limit = Timespec { tv_sec: 5, tv_nsec: 0 };
            let _ = poll(&mut [PollFd::new(&orphan, PollFlags::IN)], Some(&limit));
        }
    }

    /// Returns the state as its monitor has written it.
    pub(crate) fn written_state(&self) -> State {
        self.read_state().unwrap_or_else(|why| {
            store::tell_damage(&self.directory.join("state.json"), &why);
            self.asked_state()
        })
    }

    fn read_state(&self) -> Result<State, String> {
        match fs::read(self.directory.join("state.json")) {
            // It was never started, or is being started right now: a monitor listens once it has written the state.
            Err(e) if e.kind() == ErrorKind::NotFound && socket::connect(&self.control()).is_err() => {
                Ok(State::default())
            }
            Err(e) => Err(e.to_string()),
            Ok(bytes) => store::format::from_record(&bytes).map_err(|e| e.to_string()),
        }
    }

    /// Returns why the written state cannot be read, if it cannot.
    pub(crate) fn damage_of_state(&self) -> Option<String> {
        self.read_state().err()
    }

    /// Returns what the monitor's socket tells where the written state is damaged.
    pub(crate) fn asked_state(&self) -> State {
        let error = "its state.json is damaged".to_owned();
        let socket = socket::connect(&self.control()).ok();
        let monitor = socket.and_then(|socket| getsockopt(&socket, PeerCredentials).ok()).map(|peer| peer.pid());
        let Some((monitor, started)) = monitor.and_then(|pid| Some((pid, process::start_time(pid)?))) else {
            let exit_code = crate::diag::ENGINE.into();
            return State { phase: Phase::Exited, exit_code, error, ..State::default() };
        };
        let pid = crate::container::processes::first_of(monitor).unwrap_or_default();
        let pid_started = process::start_time(pid).unwrap_or_default();
        State { phase: Phase::Running, pid, pid_started, monitor: (monitor, started), error, ..State::default() }
    }

    pub(crate) fn write_state(&self, state: &State) -> Result<(), SysError> {
        let path = self.directory.join("state.json");
        let bytes = store::format::to_record(state);
        match store::write_quickly(&path, &bytes) {
            Err(full) if full.is_full() => store::write_in_place(&path, &bytes).map_err(|_| full),
            other => other,
        }
    }

    /// The error of a command that needs it to run.
    pub(crate) fn not_running(&self) -> RecordError {
        let name = self.record.name.clone();
        match self.state().phase {
            Phase::Restarting => RecordError::Restarting(name),
            _ => RecordError::NotRunning(name),
        }
    }

    /// [`Container::reach`] for a command that needs it to run and to answer.
    pub(crate) fn reach_awake(&self) -> Result<End, RecordError> {
        let end = self.reach()?.ok_or_else(|| self.not_running())?;
        if self.written_state().is_paused { Err(RecordError::Paused(self.record.name.clone())) } else { Ok(end) }
    }

    /// Opens a conversation with its monitor. `None`: it does not run, or not any more.
    pub(crate) fn reach(&self) -> Result<Option<End>, RecordError> {
        let begun = Instant::now();
        let mut asked = false;
        loop {
            let state = self.state();
            if !state.phase.has_monitor() {
                return Ok(None);
            }
            if state.wire > protocol::VERSION {
                return Err(RecordError::NewerMonitor { name: self.record.name.clone(), wire: state.wire });
            }
            match socket::connect(&self.control()) {
                // One that is being killed still has its number when its sockets are closed.
                Err(_) if begun.elapsed() < Duration::from_secs(2) => std::thread::sleep(Duration::from_millis(2)),
                other => return Ok(Some(End::new(other?))),
            }
            if !asked && begun.elapsed() > Duration::from_millis(20) && !self.control().exists() {
                self.ask_to_listen(&state);
                asked = true;
            }
        }
    }

    /// Asks the monitor to listen again, after its socket was removed.
    fn ask_to_listen(&self, state: &State) {
        let (monitor, started) = state.monitor;
        if fs::create_dir_all(&self.runtime).is_ok()
            && (self.record.request.is_apart() || userns::register_again(&self.store(), monitor, started).is_ok())
            && let Ok(monitor) = process::pidfd_open(monitor)
            && state.monitor_lives()
        {
            let _ = process::kill_pidfd(monitor.as_fd(), LISTEN_AGAIN);
        }
    }

    /// Returns the user namespace from which its processes can be read.
    pub(crate) fn place(&self) -> Place {
        match self.state() {
            State { phase: Phase::Running, pid, .. } if self.record.request.is_apart() => Place::Beside(pid),
            _ => Place::Shared,
        }
    }

    pub(crate) fn control(&self) -> PathBuf {
        self.runtime.join("control")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("log.json")
    }

    pub(crate) fn spec(&self) -> Result<&Spec, RecordError> {
        if let Some(spec) = self.spec.get() {
            return Ok(spec);
        }
        let path = self.directory.join("config.json");
        let bytes = fs::read(&path).on("open", &path)?;
        let parsed = serde_json::from_slice(&bytes);
        let spec = parsed.map_err(|source| RecordError::Damaged { id: self.record.id.clone(), source })?;
        Ok(self.spec.get_or_init(|| spec))
    }

    /// Returns the mount points that would be left as empty files or directories in the upper directory.
    pub(crate) fn mount_targets(&self) -> Result<Vec<PathBuf>, RecordError> {
        let spec = self.spec()?;
        let mut targets: Vec<PathBuf> = spec.mounts().iter().flatten().map(|m| m.destination().clone()).collect();
        targets.push("/dev/console".into());
        Ok(targets)
    }

    pub(crate) fn short_id(&self) -> &str {
        self.record.id.short()
    }
}

fn not_found(store: &Store, text: &str) -> RecordError {
    if text.is_empty() {
        return RecordError::NotFound { name: "\"\"".into(), meant: None };
    }
    let names = fs::read_dir(store.path("container-names")).into_iter().flatten().flatten();
    let names: Vec<String> = names
        .filter_map(|e| e.file_name().into_string().ok())
        .filter(|name| id_of_name(store, name).is_some())
        .collect();
    let ids: Vec<String> = ids(store).into_iter().map(|id| id.to_string()).collect();
    RecordError::NotFound { name: text.into(), meant: id::suggestion("container", text, &ids, &names) }
}

fn ids(store: &Store) -> Vec<ContainerId> {
    let entries = fs::read_dir(store.path("containers")).into_iter().flatten().flatten();
    entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).collect()
}

/// Reads the id from a name's file. `None`: it has none, or is missing.
pub(crate) fn said_id(path: &Path) -> Option<ContainerId> {
    fs::read_to_string(path).ok()?.parse().ok()
}

fn damaged(id: &ContainerId, why: &dyn std::fmt::Display) -> RecordError {
    RecordError::Damaged { id: id.clone(), source: serde::de::Error::custom(why) }
}

/// Returns the id of the container with a name. A name that a killed command has left behind has none.
pub(crate) fn id_of_name(store: &Store, name: &str) -> Option<ContainerId> {
    if !store::is_name(name) {
        return None;
    }
    let id = said_id(&store.path("container-names").join(name))?;
    store.path("containers").join(&id).exists().then_some(id)
}

/// Makes a filled directory a container: others see both its name and its directory, or neither.
pub(crate) fn publish(
    store: &Store,
    scratch: &store::Scratch,
    record: Record,
    spec: Spec,
) -> Result<Container, RecordError> {
    let filled = scratch.path();
    let names = store.path("container-names");
    let _lock = Lock::exclusive(&names.join(store::NAMES_LOCK))?;
    check_free(store, &record.name)?;
    let name = filled.join("name");
    let mut file = File::create(&name).on("open", &name)?;
    file.write_all(record.id.as_str().as_bytes()).on("write", &name)?;
    // A power failure leaves the name out or whole. Nothing of a container that goes as it ends has to outlast one.
    if !record.request.auto_remove {
        file.sync_all().on("fsync", &name)?;
    }
    fs::rename(&name, names.join(&record.name)).on("rename", &record.name)?;
    let directory = store.path("containers").join(&record.id);
    scratch.publish_quickly(filled, &directory)?;
    let runtime = store.runtime.join("run").join(&record.id);
    Ok(Container { record, directory, runtime, spec: spec.into() })
}

/// Makes sure that no container has the name. The caller holds the lock of names.
pub(super) fn check_free(store: &Store, name: &str) -> Result<(), RecordError> {
    let Some(id) = id_of_name(store, name) else {
        return match Container::of_damaged_name(store, name) {
            Some(container) => Err(taken(name, container.record.id.clone(), Some(&container))),
            None => Ok(()),
        };
    };
    match Container::load(store, &id) {
        Ok(container) if container.record.name != name => Ok(()),
        container => Err(taken(name, id, container.ok().as_ref())),
    }
}

fn taken(name: &str, id: ContainerId, by: Option<&Container>) -> RecordError {
    RecordError::NameTaken { name: name.to_owned(), id, phase: by.map(|container| container.state().phase) }
}

/// Notes in the container's directory what is removed with it, before any of that is made.
pub(crate) fn note_belongings(directory: &Path, record: &Record) -> Result<(), SysError> {
    note_names(directory, record, &[&record.name])?;
    note_volumes(directory, record)
}

/// Notes what every container has: its names, of which there are two while it is being renamed, and its hold on the image.
pub(super) fn note_names(directory: &Path, record: &Record, names: &[&str]) -> Result<(), SysError> {
    let path = |name: &&str| Path::new("container-names").join(name);
    let name = |name| Belonging::Name { path: path(name), id: record.id.to_string() };
    let hold = Belonging::Tree(crate::image::hold_path(&record.image_id, record.id.as_str()));
    let uses = record.volumes.iter().filter_map(|volume| volume.name.as_ref());
    let uses = uses.map(|name| Belonging::Tree(volume::hold_path(name, record.id.as_str())));
    let all: Vec<Belonging> = names.iter().map(name).chain([hold]).chain(uses).collect();
    store::note_belongings(directory, BELONGINGS, &all)
}

const BELONGINGS: &str = "belongings.json";
const VOLUMES: &str = "volumes.json";

fn note_volumes(directory: &Path, record: &Record) -> Result<(), SysError> {
    let own = record.volumes.iter().filter(|v| v.own).filter_map(|v| v.name.as_ref());
    let own = own.map(|name| Belonging::Unused { tree: volume::tree_path(name), users: volume::USERS.into() });
    let own: Vec<_> = own.collect();
    if own.is_empty() { Ok(()) } else { store::note_belongings(directory, VOLUMES, &own) }
}

/// Removes a container that does not run. Must run inside the user namespace, since the files in its upper directory have
/// the container's ids.
pub(crate) fn remove(store: &Store, container: &Container, with_volumes: bool) -> Result<(), RecordError> {
    match withdraw(store, container, with_volumes)? {
        Some(withdrawn) => Ok(withdrawn.discard()?),
        None => Ok(()),
    }
}

/// Does the first part of a removal: others see no container any more, then its name, its hold on the image and its volumes
/// go. Its files go as the result is dropped. `None`: another process was faster.
pub(crate) fn withdraw(
    store: &Store,
    container: &Container,
    with_volumes: bool,
) -> Result<Option<store::Scratch>, RecordError> {
    let volumes = container.directory.join(VOLUMES);
    if !store::lists_are_whole(&container.directory) {
        note_belongings(&container.directory, &container.record)?;
    }
    if !with_volumes {
        store::remove_tree(&volumes)?;
    } else if !volumes.exists() && container.directory.exists() {
        note_volumes(&container.directory, &container.record)?;
    }
    let _ = store::remove_tree(&container.runtime);
    let withdrawn = store.withdraw(&container.directory)?;
    if let Some(withdrawn) = &withdrawn {
        let own = container.record.volumes.iter().filter(|mounted| mounted.own && with_volumes);
        let mut own: Vec<_> = own.filter_map(|mounted| mounted.name.as_ref()).collect();
        let is_there = |name: &str| store.path(volume::tree_path(name)).exists();
        own.retain(|name| is_there(name));
        withdrawn.let_go()?;
        own.retain(|name| !is_there(name));
        let gone = own.into_iter().map(|name| volume::event("destroy", name));
        journal::note(store, &[container.record.event("destroy")].into_iter().chain(gone).collect::<Vec<_>>());
    }
    Ok(withdrawn)
}
