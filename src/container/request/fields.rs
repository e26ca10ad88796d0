//! A request: what `run`, `create` and `build` were asked for, as plain data.

use super::capability::Selected;
use super::health::{HealthCheck, OnUnhealthy};
use super::restart::RestartPolicy;
use super::signal::Signal;
use crate::network::egress::WayOut;
use crate::network::ports::PortSpec;
use crate::network::resolv::HostEntry;
use caps::Capability;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The options of `run` and `create`. It is kept with the container for `inspect`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Request {
    pub image: String,
    pub name: Option<String>,
    pub command: Vec<String>,
    /// `--entrypoint`; an empty one resets the image's.
    pub entrypoint: Option<String>,
    pub env: Vec<String>,
    pub workdir: Option<String>,
    pub user: Option<String>,
    pub groups: Vec<String>,
    pub hostname: Option<String>,
    pub labels: Vec<(String, String)>,
    pub volumes: Vec<Volume>,
    pub volumes_from: Vec<VolumesFrom>,
    pub tmpfs: Vec<Tmpfs>,
    pub ports: Vec<PortSpec>,
    pub network: Network,
    pub way_out: WayOut,
    #[serde(deserialize_with = "known")]
    pub hosts: Vec<HostEntry>,
    #[serde(deserialize_with = "known")]
    pub dns: Vec<IpAddr>,
    pub read_only: bool,
    pub cap_add: Vec<Selected>,
    pub cap_drop: Vec<Selected>,
    pub privileged: bool,
    pub no_new_privileges: bool,
    pub seccomp_unconfined: bool,
    pub init: bool,
    pub terminal: bool,
    pub stdin: bool,
    /// The end of a client's input is not one for the process.
    pub keeps_stdin: bool,
    pub auto_remove: bool,
    pub limits: Limits,
    pub ulimits: Vec<Ulimit>,
    pub shm_size: Option<u64>,
    pub stop_signal: Option<Signal>,
    pub stop_timeout: Option<u32>,
    pub log: LogOptions,
    pub restart: RestartPolicy,
    /// Once it is decided, together with what the image has.
    pub health: HealthCheck,
    pub on_unhealthy: OnUnhealthy,
    /// `--userns=host`: root's containers have root's ids.
    pub host_ids: bool,
}

impl Request {
    /// Whether its monitor may start its process again.
    pub(crate) fn may_restart(&self) -> bool {
        self.restart != RestartPolicy::No || self.on_unhealthy == OnUnhealthy::Restart
    }

    /// Whether it gets a user namespace of its own: it could change what a user namespace has as a whole, such as its binary
    /// formats (binfmt_misc), its limits and its users' keyrings.
    pub(crate) fn is_apart(&self) -> bool {
        let capabilities = super::capability::choose(&self.cap_add, &self.cap_drop, self.privileged);
        capabilities.contains(&Capability::CAP_SYS_ADMIN) || self.privileged || self.seccomp_unconfined
    }
}

/// Reads a list without its invalid values, which an earlier version accepted. The files that were made from them stay as
/// they are.
fn known<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let all = Vec::<serde_json::Value>::deserialize(deserializer)?;
    Ok(all.into_iter().filter_map(|value| serde_json::from_value(value).ok()).collect())
}

/// `--tmpfs TARGET[:OPTIONS]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(String, String)", into = "(String, String)")]
pub struct Tmpfs {
    pub target: String,
    /// The options of mount(8), separated by commas.
    pub options: String,
}

impl From<(String, String)> for Tmpfs {
    fn from((target, options): (String, String)) -> Self {
        Self { target, options }
    }
}

impl From<Tmpfs> for (String, String) {
    fn from(tmpfs: Tmpfs) -> Self {
        (tmpfs.target, tmpfs.options)
    }
}

/// `--ulimit NAME=SOFT[:HARD]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(String, u64, u64)", into = "(String, u64, u64)")]
pub struct Ulimit {
    /// `RLIMIT_NOFILE`.
    pub name: String,
    pub soft: u64,
    pub hard: u64,
}

impl From<(String, u64, u64)> for Ulimit {
    fn from((name, soft, hard): (String, u64, u64)) -> Self {
        Self { name, soft, hard }
    }
}

impl From<Ulimit> for (String, u64, u64) {
    fn from(limit: Ulimit) -> Self {
        (limit.name, limit.soft, limit.hard)
    }
}

/// `--security-opt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SecurityOption {
    NoNewPrivileges,
    SeccompUnconfined,
    /// minirun does so without the option.
    NoEffect,
}

/// `--log-driver`, `--log-opt`: how much of the output is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct LogOptions {
    /// `--log-driver none`.
    pub is_off: bool,
    /// The most bytes of a file; `None`: no limit.
    pub max_size: Option<u64>,
    pub max_files: u32,
}

impl Default for LogOptions {
    /// The limits of Docker's driver `local`, because its `json-file` fills the disk.
    fn default() -> Self {
        Self { is_off: false, max_size: Some(20 << 20), max_files: 5 }
    }
}

/// `-v SOURCE:TARGET[:OPTIONS]`, or `--mount` of a bind or a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Volume {
    pub source: Source,
    pub target: String,
    pub read_only: bool,
    /// The options of `-v` as they were typed.
    #[serde(default)]
    pub mode: String,
    /// It was given by `--mount`.
    #[serde(default)]
    pub is_of_mount: bool,
    /// A new volume stays empty, whatever the image has there.
    #[serde(default)]
    pub is_not_filled: bool,
    /// What is mounted below a host directory stays out.
    #[serde(default)]
    pub is_shallow: bool,
    /// `nosuid`, `nodev`, `noexec`.
    #[serde(default)]
    pub flags: Vec<String>,
    #[serde(default)]
    pub propagation: Option<String>,
    /// The directory of the volume that is mounted in its place, relative to it.
    #[serde(default)]
    pub subpath: Option<String>,
    /// Labels and options of a volume that is made.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    pub driver_options: BTreeMap<String, String>,
}

impl Volume {
    pub(crate) fn new(source: Source, target: String) -> Self {
        Self {
            source,
            target,
            read_only: false,
            mode: String::new(),
            is_of_mount: false,
            is_not_filled: false,
            is_shallow: false,
            flags: Vec::new(),
            propagation: None,
            subpath: None,
            labels: BTreeMap::new(),
            driver_options: BTreeMap::new(),
        }
    }
}

impl Volume {
    /// Whether its propagation is the one that every mount has: a namespace of mounts that belongs to another user gets none
    /// of the host's later ones, and gives none (mount_namespaces(7)).
    pub(crate) fn is_propagation_kept(&self) -> bool {
        self.propagation.as_deref().is_none_or(|word| matches!(word, "private" | "rprivate"))
    }
}

/// `--volumes-from CONTAINER[:ro]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VolumesFrom {
    pub container: String,
    pub is_read_only: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Source {
    /// A directory or file of the host; a directory is made if it is missing.
    Host(String),
    /// A volume with a name, made if it is missing.
    Named(String),
    /// A volume of this container alone, removed with it.
    Anonymous,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Network {
    /// A namespace of its own, with a way out.
    #[default]
    Private,
    /// A namespace of its own, with a loopback device only.
    None,
    Host,
}

/// A network, and what the container has of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Joined {
    pub network: Network,
    pub way_out: WayOut,
}

/// Seconds that `stop` waits before SIGKILL by default, as with Docker.
pub(crate) const STOP_TIMEOUT: u32 = 10;

/// The limits of a container (cgroup v2).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Limits {
    /// Bytes.
    pub memory: Option<u64>,
    /// Bytes of memory and swap together, -1 for no limit; without it no swap is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<i64>,
    pub cpus: Option<f64>,
    pub pids: Option<i64>,
}
