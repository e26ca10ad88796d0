//! The plan of a start, assembled from the specification.

use super::filter::pack;
use super::limits;
use super::step::{Mount, Step};
use crate::container::decide::{seccomp, spec};
use crate::container::probe::{Targets, Without};
use crate::container::request::{OF_CONTAINER, capability};
use crate::container::rootfs::layering::{Layering, Overlay};
use crate::container::rootfs::shift;
use crate::diag::Diagnose;
use crate::network::egress;
use crate::network::shared::Member;
use crate::userns::{IdMap, IdRange};
use oci_spec::runtime::{
    Capabilities, Linux, LinuxCapabilities, LinuxNamespace, LinuxNamespaceType, LinuxSeccomp, Process, Spec,
};
use rustix::fs::StatVfsMountFlags;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;

/// The monitor walks `outside`, the container's first process walks `inside`, each in one straight loop.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Plan {
    pub outside: Vec<Step>,
    pub inside: Vec<Step>,
}

/// The kind of ids that a container has.
#[derive(Debug, Clone, Copy)]
pub struct Ids {
    pub is_shifted: bool,
    pub is_single: bool,
}

impl From<&IdMap> for Ids {
    fn from(map: &IdMap) -> Self {
        Self { is_shifted: map.is_shifted(), is_single: map.is_single() }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("no command to run: neither the image nor the command line has one")]
    NoCommand,
    #[error("the container's specification lacks {0}")]
    Lacks(&'static str),
    #[error(transparent)]
    Filter(#[from] seccomp::SeccompError),
}

impl Diagnose for PlanError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoCommand => Some("name one: minirun run IMAGE COMMAND".into()),
            Self::Lacks(_) | Self::Filter(_) => None,
        }
    }
}

/// The facts beside the specification that a plan depends on.
pub struct Surroundings {
    pub overlay: Overlay,
    pub layering: Layering,
    /// Named volumes, which are filled from the image if they are empty: host directory, target.
    pub new_volumes: Vec<(String, String)>,
    /// Its network has an address, which published ports lead to.
    pub has_address: bool,
    /// Its places on networks that it shares with others.
    pub members: Vec<Member>,
    /// The control group of the container, if it has limits.
    pub cgroup: Option<String>,
    pub single_id: bool,
    /// The store and the ids of a container whose ids differ from those on disk.
    pub shifted: Option<(String, IdRange)>,
    pub reaping_init: bool,
    /// The first processes of the containers whose namespaces are joined, by id.
    pub joined: BTreeMap<String, i32>,
}

const LINKS: [(&str, &str); 5] = [
    ("/dev/ptmx", "pts/ptmx"),
    ("/dev/fd", "/proc/self/fd"),
    ("/dev/stdin", "/proc/self/fd/0"),
    ("/dev/stdout", "/proc/self/fd/1"),
    ("/dev/stderr", "/proc/self/fd/2"),
];

impl Plan {
    /// Adds the way out of the network namespace, whose device has the container's address.
    pub fn lead_out(&mut self, way: &egress::Way) {
        let Some(at) = self.outside.iter().position(|step| matches!(step, Step::Address { .. })) else { return };
        if let Step::Address { network } = &mut self.outside[at] {
            network.on_loopback = false;
        }
        if let Some(kind) = way.device() {
            let is_member = |step: &&Step| matches!(step, Step::Member(_));
            let members = self.outside.iter().skip(at + 1).take_while(is_member).count();
            self.outside.insert(at + 1 + members, Step::Device { network: way.network(), kind });
        }
    }

    /// Returns the plan of a container's first process.
    pub fn of_container(spec: &Spec, around: &Surroundings) -> Result<Self, PlanError> {
        let linux = spec.linux().as_ref().ok_or(PlanError::Lacks("its linux part"))?;
        let process = spec.process().as_ref().ok_or(PlanError::Lacks("its process"))?;
        let root = spec.root().as_ref().ok_or(PlanError::Lacks("its root"))?;
        let namespaces = own_namespaces(linux);

        let mut outside = Vec::new();
        if namespaces.contains(&LinuxNamespaceType::Network) {
            // Before the clone: the monitor lives in it too, so that published ports are connected from inside.
            outside.push(Step::NetworkNamespace);
            outside.push(Step::LoopbackUp);
            if around.has_address {
                outside.push(Step::Address { network: crate::network::CONTAINER });
                outside.extend(around.members.iter().cloned().map(Step::Member));
            }
        }
        if let (Some(group), Some(resources)) = (&around.cgroup, linux.resources()) {
            for (file, value) in limits::settings(resources) {
                let file = format!("{group}/{file}");
                // A kernel without swap accounting or weights for disks lacks the file.
                if Path::new(&file).exists() {
                    outside.push(Step::CgroupLimit { file, value });
                }
            }
        }
        let overlay = around.overlay.clone();
        let laid = match around.layering {
            Layering::Kernel => Step::Overlay(overlay),
            Layering::Copy => Step::CopyLayers(overlay),
            Layering::Fuse => {
                let target = overlay.target.clone();
                // Outside, so that the program is no process of the container.
                outside.push(Step::FuseOverlay(overlay));
                Step::Root { target }
            }
        };
        // The user and the network namespace are there already; the cgroup namespace's root is the group that a process is
        // in when it unshares, so that comes afterwards.
        let here = [LinuxNamespaceType::User, LinuxNamespaceType::Network, LinuxNamespaceType::Cgroup];
        let born = namespaces.iter().filter(|kind| !here.contains(kind)).copied().collect();
        let (borrowed, joins) = shared(spec, linux, &around.joined)?;
        outside.extend(borrowed);
        outside.extend(joins);
        outside.push(Step::Clone { namespaces: born });

        let mut inside = vec![Step::SessionKeyring { required: linux.seccomp().is_none() }];
        if namespaces.contains(&LinuxNamespaceType::Cgroup) {
            inside.push(Step::CgroupNamespace);
        }
        inside.push(Step::Detach);
        if let Some((store, ids)) = &around.shifted {
            inside.push(Step::ShiftedStore { store: store.clone(), ids: *ids });
        }
        inside.push(laid);
        for (volume, target) in &around.new_volumes {
            inside.push(Step::FillVolume { volume: volume.clone(), target: target.clone() });
        }
        // A mount below another comes after it, whatever the order they were named in: the engine's own first.
        for mount in spec.mounts().iter().flatten() {
            let kind = match mount.typ().as_deref() {
                Some("cgroup") => "cgroup2",
                Some(kind) => kind,
                None => "bind",
            };
            let target = mount.destination().to_string_lossy().into_owned();
            let source = mount.source().as_ref().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
            let is_lent = source.starts_with(OF_CONTAINER);
            let is_brought = !is_lent && around.shifted.is_some() && (kind == "bind" || target == "/dev");
            let nodes = if target == "/dev" { linux.devices().clone().unwrap_or_default() } else { Vec::new() };
            inside.push(Step::Mount(Mount {
                is_brought,
                is_lent,
                nodes,
                kind: kind.into(),
                source,
                options: mount.options().clone().unwrap_or_default(),
                target: target.clone(),
            }));
            if target == "/dev" {
                // A user namespace may make no nodes: the host's are bound.
                for (name, ..) in shift::DEVICES.iter().filter(|_| !is_brought) {
                    let device = format!("/dev/{name}");
                    // What is written goes to the device all the same; but its owner, mode and times are the host's.
                    let (kind, options) = ("bind".into(), vec!["bind".into(), "ro".into()]);
                    let (source, target) = (device.clone(), device);
                    inside.push(Step::Mount(Mount { kind, source, target, options, ..Mount::default() }));
                }
                for (path, to) in LINKS {
                    inside.push(Step::Link { path: path.into(), to: to.into() });
                }
            }
        }
        let terminal = process.terminal().unwrap_or(false);
        if terminal {
            inside.push(Step::Terminal { console: true });
        }
        // Before /proc/sys is read-only. The specification has them in no order; a plan is the same each time.
        let settings: BTreeMap<_, _> = linux.sysctl().iter().flatten().filter(|_| can_set()).collect();
        let is_before = |step: &Step| matches!(step, Step::Detach | Step::ShiftedStore { .. });
        let at = inside.iter().rposition(is_before).map_or(0, |at| at + 1);
        for (key, value) in settings {
            let step = Step::Sysctl { key: key.clone(), value: value.clone() };
            if key.starts_with("net.") { outside.insert(2, step) } else { inside.insert(at, step) }
        }
        inside.extend(linux.masked_paths().iter().flatten().map(|path| Step::Mask { path: path.clone() }));
        inside.extend(linux.readonly_paths().iter().flatten().map(|path| Step::ReadOnly { path: path.clone() }));
        inside.push(Step::PivotRoot);
        if let Some(name) = spec.hostname() {
            inside.push(Step::Hostname { name: name.clone() });
        }
        if let Some(name) = spec.domainname() {
            inside.push(Step::DomainName { name: name.clone() });
        }
        inside.push(Step::MakeDirectory { path: process.cwd().to_string_lossy().into_owned() });
        if root.readonly().unwrap_or(false) {
            inside.push(Step::ReadOnlyRoot);
        }
        let keeps_groups = keeps_groups(spec);
        let filter = Filter { policy: linux.seccomp().as_ref(), single_id: around.single_id, keeps_groups };
        inside.push(Step::Session { terminal });
        confine(&mut inside, process, &filter)?;
        if around.reaping_init {
            inside.push(Step::ReapingInit);
        }
        inside.push(exec(process)?);
        Ok(Self { outside, inside })
    }

    /// Returns the plan of another process in a running container.
    pub fn of_exec(pid: i32, spec: &Spec, process: &Process, ids: Ids) -> Result<Self, PlanError> {
        let linux = spec.linux().as_ref().ok_or(PlanError::Lacks("its linux part"))?;
        let process = &empowered(process);
        // From inside the cgroup namespace nobody could be born into a group that it shows; and of the PID namespace only
        // the next child is a part.
        let others = namespaces(linux).into_iter().filter(|kind| *kind != LinuxNamespaceType::User);
        let (later, now) =
            others.partition(|kind| matches!(kind, LinuxNamespaceType::Cgroup | LinuxNamespaceType::Pid));
        let outside = vec![Step::JoinNamespaces { pid, namespaces: now }, Step::Clone { namespaces: Vec::new() }];
        let required = linux.seccomp().is_none();
        let mut inside = vec![Step::SessionKeyring { required }];
        if ids.is_shifted {
            inside.push(Step::ShiftedRoot);
        }
        inside.push(Step::JoinNamespaces { pid, namespaces: later });
        let terminal = process.terminal().unwrap_or(false);
        if terminal {
            inside.push(Step::Terminal { console: false });
        }
        let (policy, keeps_groups) = (linux.seccomp().as_ref(), keeps_groups(spec));
        confine(&mut inside, process, &Filter { policy, single_id: ids.is_single, keeps_groups })?;
        inside.extend([Step::Sibling, Step::Session { terminal }, exec(process)?]);
        Ok(Self { outside, inside })
    }

    /// Replaces the payload by a probe, and leaves out a part of what confines it.
    pub fn probe(&mut self, targets: Targets, without: Without) {
        self.inside.retain(|step| match step {
            Step::Filter { .. } => !without.seccomp,
            Step::BoundCapabilities { .. } | Step::SetCapabilities { .. } => !without.capabilities,
            _ => true,
        });
        self.inside.pop();
        self.inside.push(Step::Probe { targets });
    }

    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.outside.iter().chain(&self.inside)
    }

    /// Returns how many mounts the host's root must make for it.
    pub fn brought(&self) -> usize {
        self.steps().filter(|step| step.wants_tree()).count()
    }

    /// Returns the kind of ids that it was made for.
    pub(crate) fn ids(&self) -> Ids {
        let is_single = self.inside.iter().any(|step| matches!(step, Step::Filter { answers: true, .. }));
        Ids { is_shifted: self.is_shifted(), is_single }
    }

    pub fn is_shifted(&self) -> bool {
        self.inside.iter().any(|step| matches!(step, Step::ShiftedStore { .. }))
    }
}

/// Returns another process of a container with its capabilities. Root has them all at once, whoever the container's own process
/// runs as.
fn empowered(process: &Process) -> Process {
    let mut process = process.clone();
    let mut capabilities = process.capabilities().clone().unwrap_or_default();
    let bounding = capabilities.bounding().clone();
    let effective = if process.user().uid() == 0 { bounding } else { Some(Default::default()) };
    capabilities.set_effective(effective.clone()).set_permitted(effective);
    process.set_capabilities(Some(capabilities));
    process
}

/// Whether /proc/sys can be written. In another engine's container it often cannot, and its settings are left alone.
pub(crate) fn can_set() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    let is_read_only =
        || rustix::fs::statvfs("/proc/sys").is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY));
    *FOUND.get_or_init(|| !is_read_only())
}

fn namespaces(linux: &Linux) -> Vec<LinuxNamespaceType> {
    linux.namespaces().iter().flatten().map(LinuxNamespace::typ).collect()
}

/// Returns the namespaces that are made for the container.
fn own_namespaces(linux: &Linux) -> Vec<LinuxNamespaceType> {
    let own = linux.namespaces().iter().flatten().filter(|namespace| namespace.path().is_none());
    own.map(LinuxNamespace::typ).collect()
}

/// Returns the steps that take mounts of other containers, and those that join their namespaces.
fn shared(spec: &Spec, linux: &Linux, joined: &BTreeMap<String, i32>) -> Result<(Vec<Step>, Vec<Step>), PlanError> {
    let pid = |id: &str| joined.get(id).copied().ok_or(PlanError::Lacks("a container that it joins"));
    let mut borrowed = Vec::new();
    for mount in spec.mounts().iter().flatten() {
        let source = mount.source().as_ref().map(|source| source.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some((id, path)) = source.strip_prefix(OF_CONTAINER).and_then(|lent| lent.split_once('/')) {
            borrowed.push(Step::Borrow { pid: pid(id)?, path: format!("/{path}") });
        }
    }
    let mut kinds: BTreeMap<i32, Vec<LinuxNamespaceType>> = BTreeMap::new();
    for namespace in linux.namespaces().iter().flatten() {
        let path = namespace.path().as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        if let Some(id) = path.strip_prefix(OF_CONTAINER) {
            kinds.entry(pid(id)?).or_default().push(namespace.typ());
        }
    }
    let joins = kinds.into_iter().map(|(pid, namespaces)| Step::JoinNamespaces { pid, namespaces });
    Ok((borrowed, joins.collect()))
}

fn filter_step(answers: bool, policy: &LinuxSeccomp) -> Result<Step, PlanError> {
    let filter = seccomp::compile(policy)?;
    let program = filter.program.iter().map(pack).collect();
    let calls = policy.syscalls().iter().flatten().map(|s| s.names().len()).sum();
    Ok(Step::Filter { answers, calls, program, flags: filter.flags })
}

struct Filter<'a> {
    policy: Option<&'a LinuxSeccomp>,
    single_id: bool,
    /// It keeps the groups of the caller.
    keeps_groups: bool,
}

fn keeps_groups(spec: &Spec) -> bool {
    spec.annotations().as_ref().is_some_and(|all| all.contains_key(spec::KEEP_GROUPS))
}

/// Adds the steps that confine the payload, in the one order that the kernel allows.
fn confine(steps: &mut Vec<Step>, process: &Process, filter: &Filter) -> Result<(), PlanError> {
    for limit in process.rlimits().iter().flatten() {
        steps.push(Step::Limit { name: limit.typ().to_string(), soft: limit.soft(), hard: limit.hard() });
    }
    let user = process.user();
    // With one id every user is root to the kernel, which a program that is executed would make capable again.
    let is_powerless = filter.single_id && user.uid() != 0;
    let chosen = |set: Option<&Option<Capabilities>>| {
        let set = set.and_then(Option::as_ref).filter(|_| !is_powerless);
        set.map(capability::from_spec).unwrap_or_default()
    };
    let capabilities = process.capabilities().as_ref();
    let bounding = chosen(capabilities.map(LinuxCapabilities::bounding));
    let effective = chosen(capabilities.map(LinuxCapabilities::effective));
    steps.push(Step::BoundCapabilities { keep: bounding });
    // Loaded while this process still has CAP_SYS_ADMIN, so that no_new_privs is not needed for it.
    let answers = filter.single_id.then(seccomp::one_id_answers);
    if let Some(answers) = &answers {
        steps.push(filter_step(true, answers)?);
    }
    if let Some(policy) = filter.policy {
        steps.push(filter_step(false, policy)?);
    }
    if let Some(mask) = user.umask() {
        steps.push(Step::Umask { mask });
    }
    if let Some(value) = process.oom_score_adj() {
        steps.push(Step::OomScore { value });
    }
    let groups =
        (!filter.single_id && !filter.keeps_groups).then(|| user.additional_gids().clone().unwrap_or_default());
    steps.push(Step::User { uid: user.uid(), gid: user.gid(), groups });
    steps.push(Step::Directory { path: process.cwd().to_string_lossy().into_owned() });
    if user.uid() == 0 || is_powerless {
        steps.push(Step::SetCapabilities { keep: effective });
    }
    if process.no_new_privileges().unwrap_or(false) {
        steps.push(Step::NoNewPrivileges);
    }
    Ok(())
}

/// Returns the last step, the payload.
fn exec(process: &Process) -> Result<Step, PlanError> {
    let argv = process.args().clone().unwrap_or_default();
    if argv.is_empty() {
        return Err(PlanError::NoCommand);
    }
    let mut env = process.env().clone().unwrap_or_default();
    if !env.iter().any(|e| e.starts_with("PATH=")) {
        env.push(format!("PATH={}", spec::DEFAULT_PATH));
    }
    Ok(Step::Exec { argv, env })
}
