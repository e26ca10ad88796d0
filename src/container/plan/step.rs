//! A step of a plan: one thing that starting a container does to the kernel.
//!
//! Carrying it out (`apply`), describing it (`describe`) and explaining it read this one type, and so cannot drift apart.

use crate::container::probe::Targets;
use crate::container::rootfs::layering::Overlay;
use crate::userns::IdRange;
use oci_spec::runtime::LinuxNamespaceType;
use serde::{Deserialize, Serialize};

/// One mount, as a line of fstab would say it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mount {
    /// `proc`, `tmpfs`, …; `bind` for a part of the host's tree.
    pub kind: String,
    pub source: String,
    /// Beneath the container's root.
    pub target: String,
    /// `ro`, `nosuid`, …, and the file system's own `size=64m`.
    pub options: Vec<String>,
    /// It comes made by the host's root, for the container's could not make it.
    #[serde(default)]
    pub is_brought: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Step {
    // Outside, by the monitor.
    NetworkNamespace,
    LoopbackUp,
    Address {
        network: crate::network::ContainerNetwork,
    },
    Device {
        network: crate::network::ContainerNetwork,
    },
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

    // Inside, by the container's first process.
    /// `required`: nothing else keeps the payload from the caller's keys.
    SessionKeyring {
        required: bool,
    },
    CgroupNamespace,
    Detach,
    /// From here on as the root of shifted ids, to whom the store's files belong through this mount.
    ShiftedStore {
        store: String,
        ids: IdRange,
    },
    /// The same where nothing of the store is needed.
    ShiftedRoot,
    Overlay(Overlay),
    CopyLayers(Overlay),
    /// What `FuseOverlay` has mounted outside.
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
    /// `console`: also as /dev/console, for a container's first process.
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
    MakeDirectory {
        path: String,
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
        keep: Vec<String>,
    },
    Filter {
        /// It answers for the kernel where there is one id only; else it forbids.
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
        keep: Vec<String>,
    },
    NoNewPrivileges,
    Directory {
        path: String,
    },
    /// Born into the container's PID namespace with nothing left to take away, for a process that is seen there can be traced
    /// there.
    Sibling,
    ReapingInit,
    Exec {
        argv: Vec<String>,
        env: Vec<String>,
    },
    /// In the place of a program.
    Probe {
        targets: Targets,
    },
}

impl Step {
    /// The host's root must have mounted something for it.
    pub fn wants_tree(&self) -> bool {
        matches!(self, Self::ShiftedStore { .. } | Self::Mount(Mount { is_brought: true, .. }))
    }
}
