//! A step of a plan: one thing that starting a container does to the kernel.
//!
//! Carrying it out (`apply`), describing it (`describe`) and explaining it read this one type, and so cannot drift apart.

use crate::container::probe::Targets;
use crate::container::rootfs::layering::Overlay;
use crate::userns::IdRange;
use caps::Capability;
use oci_spec::runtime::{LinuxDevice, LinuxNamespaceType};
use serde::{Deserialize, Serialize};

/// A mount, with the fields of fstab(5).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Mount {
    /// The file system type: `proc`, `tmpfs`, …, or `bind` for a directory or file of the host.
    pub kind: String,
    pub source: String,
    /// The path below the container's root.
    pub target: String,
    /// `ro`, `nosuid`, …, and the file system's own `size=64m`.
    pub options: Vec<String>,
    /// The host's root mounts it, because the container's root may not.
    #[serde(default)]
    pub is_brought: bool,
    /// It is what `Step::Borrow` has cloned.
    #[serde(default)]
    pub is_lent: bool,
    /// Device nodes that are made in it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<LinuxDevice>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Step {
    // Steps of the monitor.
    NetworkNamespace,
    LoopbackUp,
    Address {
        network: crate::network::ContainerNetwork,
    },
    Device {
        network: crate::network::ContainerNetwork,
        kind: crate::sys::tun::Kind,
    },
    /// Puts the container on a network.
    Member(crate::network::shared::Member),
    Sysctl {
        key: String,
        value: String,
    },
    CgroupLimit {
        file: String,
        value: String,
    },
    Clone {
        namespaces: Vec<LinuxNamespaceType>,
    },
    FuseOverlay(Overlay),
    JoinNamespaces {
        pid: i32,
        namespaces: Vec<LinuxNamespaceType>,
    },

    /// Clones a mount of another container, whose first process is `pid`.
    Borrow {
        pid: i32,
        path: String,
    },

    // Steps of the container's first process.
    /// Makes a new session keyring. `required`: nothing else keeps the payload from the caller's keys.
    SessionKeyring {
        required: bool,
    },
    CgroupNamespace,
    Detach,
    /// Mounts the store with its files owned by the container's ids, and becomes the root of those ids.
    ShiftedStore {
        store: String,
        ids: IdRange,
    },
    /// Becomes the root of the user namespace where nothing of the store is needed.
    ShiftedRoot,
    Overlay(Overlay),
    CopyLayers(Overlay),
    /// Takes the root directory that `FuseOverlay` has mounted.
    Root {
        target: String,
    },
    FillVolume {
        volume: String,
        target: String,
    },
    Mount(Mount),
    Link {
        path: String,
        to: String,
    },
    /// Opens a terminal. `console`: it is mounted at /dev/console too, for a container's first process.
    Terminal {
        console: bool,
    },
    Mask {
        path: String,
    },
    ReadOnly {
        path: String,
    },
    ReadOnlyRoot,
    PivotRoot,
    Hostname {
        name: String,
    },
    DomainName {
        name: String,
    },
    MakeDirectory {
        path: String,
    },
    Umask {
        mask: u32,
    },
    OomScore {
        value: i32,
    },
    Session {
        terminal: bool,
    },
    Limit {
        name: String,
        soft: u64,
        hard: u64,
    },
    BoundCapabilities {
        keep: Vec<Capability>,
    },
    Filter {
        /// The filter of a container with one id, which lets changes of owner succeed; otherwise the policy.
        answers: bool,
        calls: usize,
        program: Vec<u64>,
        flags: u64,
    },
    User {
        uid: u32,
        gid: u32,
        groups: Option<Vec<u32>>,
    },
    SetCapabilities {
        keep: Vec<Capability>,
    },
    NoNewPrivileges,
    Directory {
        path: String,
    },
    /// Forks into the container's PID namespace. All rights are gone before, because a process in that namespace can be
    /// traced there.
    Sibling,
    ReapingInit,
    Exec {
        argv: Vec<String>,
        env: Vec<String>,
    },
    /// Tries forbidden operations in place of a program.
    Probe {
        targets: Targets,
    },
}

impl Step {
    /// Whether the host's root must make a mount for it.
    pub fn wants_tree(&self) -> bool {
        matches!(self, Self::ShiftedStore { .. } | Self::Mount(Mount { is_brought: true, .. }))
    }
}
