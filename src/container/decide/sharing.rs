//! What a container shares with the host or with another container: namespaces, the mounts that belong to them, devices.

use crate::container::request::id::ContainerId;
use crate::container::request::{Device, Ipc, Namespaces, Network, OF_CONTAINER, Pid, Request};
use crate::container::stored::record::{Container, RecordError};
use crate::diag::{Diagnose, inner_of};
use crate::network::shared::NetworkError;
use crate::store::Store;
use serde_json::{Value, json};
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum SharingError {
    #[error("container {0} does not share its IPC namespace")]
    Private(String),
    #[error("this container would be as strong as the user namespace of container {0}, which others are in too")]
    Strong(String),
    #[error("containers {0} and {1} have different user namespaces, so no container can join both")]
    Apart(String, String),
    #[error(
        "a container with a user namespace of its own cannot be on network {0}, which belongs to that of the others"
    )]
    TooStrong(String),
    #[error("network {0} is named twice")]
    Twice(String),
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Diagnose for SharingError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Record, Network)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Private(name) => Some(format!("start {name} with: --ipc shareable")),
            Self::Strong(name) => {
                Some(format!("leave out --privileged, capabilities and the like, or give {name} the same"))
            }
            Self::Apart(one, _) => Some(format!("join {one} alone")),
            Self::TooStrong(_) => Some(
                "leave out --privileged, SYS_ADMIN, seccomp=unconfined, --userns and the like; or publish ports".into(),
            ),
            Self::Twice(_) => Some("name it once, as in: --network NAME:alias=db,alias=cache".into()),
            Self::Record(_) | Self::Network(_) => self.inner().and_then(Diagnose::hint),
        }
    }
}

/// Resolves the containers whose namespaces a request shares: names become ids, and what such a container shares itself is
/// shared with whom it shares it.
pub(super) fn resolve(store: &Store, request: &mut Request) -> Result<(), SharingError> {
    let mut joined: Vec<Container> = Vec::new();
    let mut find = |name: &str| -> Result<Container, SharingError> {
        let found = Container::find(store, name)?;
        joined.push(found.clone());
        Ok(found)
    };
    if let Network::Container(name) = &request.network {
        let found = find(name)?;
        request.network = match &found.record.request.network {
            Network::Private | Network::None => Network::Container(found.record.id.to_string()),
            shared => shared.clone(),
        };
    }
    if let Pid::Container(name) = &request.namespaces.pid {
        let found = find(name)?;
        request.namespaces.pid = match &found.record.request.namespaces.pid {
            Pid::Own => Pid::Container(found.record.id.to_string()),
            shared => shared.clone(),
        };
    }
    if let Ipc::Container(name) = &request.namespaces.ipc {
        let found = find(name)?;
        request.namespaces.ipc = match &found.record.request.namespaces.ipc {
            Ipc::Shareable => Ipc::Container(found.record.id.to_string()),
            Ipc::Private | Ipc::None => return Err(SharingError::Private(found.record.name)),
            shared => shared.clone(),
        };
    }
    let Some(first) = joined.first() else { return Ok(()) };
    request.host_ids = first.record.request.host_ids;
    if request.is_strong()
        && let Some(weak) = joined.iter().find(|container| !container.record.request.is_strong())
    {
        return Err(SharingError::Strong(weak.record.name.clone()));
    }
    let stranger = joined.iter().find(|other| other.record.id != first.record.id);
    match stranger {
        Some(other) if first.record.request.is_apart() || other.record.request.is_apart() => {
            Err(SharingError::Apart(first.record.name.clone(), other.record.name.clone()))
        }
        _ => Ok(()),
    }
}

/// Returns the host name of the container whose network a request shares.
pub(super) fn name(store: &Store, request: &Request) -> Result<Option<String>, RecordError> {
    let Network::Container(id) = &request.network else { return Ok(None) };
    Ok(Container::find(store, id)?.spec()?.hostname().clone())
}

/// Returns the name of a container. Who shares the host's network is found under the host's name.
pub(super) fn hostname(request: &Request, id: &ContainerId, shared: Option<&str>) -> String {
    match (&request.hostname, &request.network) {
        (Some(name), _) => name.clone(),
        (None, _) if request.namespaces.uts_of_host => of_host(),
        (None, Network::Host) => of_host(),
        (None, Network::Container(_)) => shared.unwrap_or_default().to_owned(),
        (None, _) => id.short().to_owned(),
    }
}

/// Returns the host's name.
pub(super) fn of_host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Returns the namespaces of a specification. One of another container has its id in place of a path: which process has it
/// is known only at the start.
pub(super) fn namespaces(request: &Request) -> Vec<Value> {
    let Namespaces { pid, ipc, uts_of_host, cgroup_of_host } = &request.namespaces;
    let of = |kind: &str, mode: String, is_own: bool| {
        let is_joined = mode.starts_with(OF_CONTAINER);
        let namespace = if is_joined { json!({"type": kind, "path": mode}) } else { json!({"type": kind}) };
        (is_own || is_joined).then_some(namespace)
    };
    let all = [
        of("user", String::new(), true),
        of("mount", String::new(), true),
        of("pid", pid.to_string(), pid.is_own()),
        of("uts", String::new(), !uts_of_host),
        of("ipc", ipc.to_string(), ipc.is_own()),
        of("cgroup", String::new(), !cgroup_of_host),
        of("network", request.network.to_string(), request.network.is_own()),
    ];
    all.into_iter().flatten().collect()
}

/// Returns a mount of a specification.
pub(super) fn mount(kind: &str, source: &str, target: &str, options: &[&str]) -> Value {
    json!({"destination": target, "type": kind, "source": source, "options": options})
}

/// Returns the mounts of what is shared.
pub(super) fn mounts(request: &Request) -> Vec<Value> {
    const OPTIONS: [&str; 4] = ["rbind", "nosuid", "noexec", "nodev"];
    let of_host = |path: &str| mount("bind", path, path, &OPTIONS);
    let lent = |id: &str, path: &str| mount("bind", &format!("{OF_CONTAINER}{id}{path}"), path, &[]);
    let Namespaces { pid, ipc, cgroup_of_host, .. } = &request.namespaces;
    let mut mounts = Vec::new();
    match pid {
        Pid::Own => {}
        // A new one needs a PID namespace of one's own.
        Pid::Host => mounts.push(of_host("/proc")),
        Pid::Container(id) => mounts.push(lent(id, "/proc")),
    }
    match ipc {
        Ipc::Private | Ipc::Shareable | Ipc::None => {}
        Ipc::Host => {
            let there = ["/dev/shm", "/dev/mqueue"].into_iter().filter(|path| Path::new(path).is_dir());
            mounts.extend(there.map(of_host));
        }
        Ipc::Container(id) => mounts.push(lent(id, "/dev/shm")),
    }
    if *cgroup_of_host && request.network != Network::Host {
        let readable = [&OPTIONS[..], &["ro"]].concat();
        mounts.push(mount("bind", "/sys/fs/cgroup", "/sys/fs/cgroup", &readable));
    }
    mounts
}

/// Returns the mounts of devices. A user namespace may make no nodes, so the host's are bound: what is written goes to the
/// device although the mount is read-only; its owner, mode and times are the host's.
pub(super) fn devices(devices: &[Device]) -> impl Iterator<Item = Value> {
    devices.iter().map(|device| mount("bind", &device.source, &device.target, &["bind", "nosuid", "noexec", "ro"]))
}

/// Returns nodes of the container's own for devices of the host.
pub(super) fn nodes(devices: &[Device]) -> Vec<Value> {
    let node = |device: &Device| {
        let node = device.node()?;
        Some(json!({
            "path": device.target,
            "type": if node.is_block { "b" } else { "c" },
            "major": rustix::fs::major(node.number),
            "minor": rustix::fs::minor(node.number),
            "fileMode": node.mode,
            "uid": 0,
            "gid": node.gid,
        }))
    };
    devices.iter().filter_map(node).collect()
}
