//! A request: what `run`, `create` and `build` were asked for, as plain data.

use super::capability::Selected;
use super::device::Device;
use super::health::{HealthCheck, OnUnhealthy};
use super::limits::Limits;
use super::namespaces::{Namespaces, Network, Pid};
use super::restart::RestartPolicy;
use super::security::{Masks, Profile, Seccomp};
use super::signal::Signal;
use super::sysctl::Sysctl;
use crate::network::egress::WayOut;
use crate::network::ports::PortSpec;
use crate::network::resolv::HostEntry;
use crate::network::shared::Endpoint;
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
    pub domainname: Option<String>,
    pub labels: Vec<(String, String)>,
    pub volumes: Vec<Volume>,
    pub volumes_from: Vec<VolumesFrom>,
    pub tmpfs: Vec<Tmpfs>,
    pub ports: Vec<PortSpec>,
    /// `--publish-all`: each of `exposed` that is not in `ports` gets a free port of the host.
    pub publish_all: bool,
    /// `--expose`, and the image's EXPOSE once the container is created.
    pub exposed: Vec<PortSpec>,
    pub network: Network,
    pub way_out: WayOut,
    /// The networks that it is on, with a network namespace of its own; without any it is alone there.
    pub endpoints: Vec<Endpoint>,
    #[serde(deserialize_with = "known")]
    pub hosts: Vec<HostEntry>,
    #[serde(deserialize_with = "known")]
    pub dns: Vec<IpAddr>,
    pub dns_search: Vec<String>,
    pub dns_options: Vec<String>,
    /// `--no-hosts`: /etc/hosts is the image's.
    pub no_hosts: bool,
    pub annotations: Vec<(String, String)>,
    /// Variables that `--env-host` takes along.
    pub host_env: Vec<String>,
    /// `--unsetenv`: variables of the image and the engine that are left out.
    pub unset_env: Vec<String>,
    pub unset_all_env: bool,
    pub read_only: bool,
    pub cap_add: Vec<Selected>,
    pub cap_drop: Vec<Selected>,
    pub privileged: bool,
    pub no_new_privileges: bool,
    pub seccomp_unconfined: bool,
    /// `--security-opt seccomp=FILE`.
    pub seccomp_profile: Option<Box<Profile>>,
    pub masks: Masks,
    pub devices: Vec<Device>,
    pub sysctls: Vec<Sysctl>,
    pub namespaces: Namespaces,
    pub init: bool,
    pub terminal: bool,
    pub stdin: bool,
    /// The end of a client's input is not one for the process.
    pub keeps_stdin: bool,
    pub auto_remove: bool,
    pub limits: Limits,
    /// `--require-limits`: a limit that this host cannot give is an error.
    pub require_limits: bool,
    pub ulimits: Vec<Ulimit>,
    /// What the kernel adds to a process's badness when memory is short: -1000 to 1000.
    pub oom_score_adj: Option<i32>,
    pub umask: Option<u32>,
    /// `--tz`: the host's file that becomes /etc/localtime.
    pub timezone: Option<String>,
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

    /// Returns the ports that are to be opened on the host.
    pub(crate) fn published(&self) -> Vec<PortSpec> {
        let is_open = |port: &PortSpec| {
            let same =
                |other: &PortSpec| (other.container_port, other.protocol) == (port.container_port, port.protocol);
            self.ports.iter().any(same)
        };
        let exposed = self.exposed.iter().filter(|port| self.publish_all && !is_open(port));
        self.ports.iter().chain(exposed).cloned().collect()
    }

    /// Returns the names of its networks, or its mode where it is on none.
    pub(crate) fn network_names(&self) -> Vec<String> {
        let names: Vec<String> = self.endpoints.iter().map(|endpoint| endpoint.network.clone()).collect();
        if names.is_empty() { vec![self.network.to_string()] } else { names }
    }

    /// Whether it could change what a user namespace has as a whole, such as its binary formats (binfmt_misc), its limits and
    /// its users' keyrings; or trace other processes of that namespace, which it sees.
    pub(crate) fn is_strong(&self) -> bool {
        let capabilities = super::capability::choose(&self.cap_add, &self.cap_drop, self.privileged);
        let is_filtered = !self.seccomp_unconfined && self.seccomp_profile.is_none();
        let sees_others = self.namespaces.pid == Pid::Host;
        let is_masked = self.masks.shown.is_empty();
        capabilities.contains(&Capability::CAP_SYS_ADMIN)
            || capabilities.contains(&Capability::CAP_SYS_PTRACE)
            || self.privileged
            || !is_filtered
            || !is_masked
            || sees_others
    }

    /// Whether its user namespace is not the one that containers of the store share: its own, or that of the container
    /// whose namespaces it joins.
    pub(crate) fn is_apart(&self) -> bool {
        self.is_strong() || self.joins()
    }

    /// Sets the policy for system calls.
    pub(crate) fn filter_by(&mut self, seccomp: Seccomp) {
        self.seccomp_unconfined = seccomp == Seccomp::Unconfined;
        self.seccomp_profile = if let Seccomp::Profile(profile) = seccomp { Some(profile) } else { None };
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

/// The word of `--group-add` for the groups of the caller, as with Podman.
pub(crate) const KEPT_GROUPS: &str = "keep-groups";

/// Seconds that `stop` waits before SIGKILL by default, as with Docker.
pub(crate) const STOP_TIMEOUT: u32 = 10;
