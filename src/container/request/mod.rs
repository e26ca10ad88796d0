//! What a container was asked to be, before any image is looked at.

pub(crate) mod capability;
mod check;
mod device;
mod duration;
mod error;
mod fields;
mod health;
pub(crate) mod id;
pub(crate) mod limit;
mod limits;
pub(crate) mod mount;
mod namespaces;
mod parse;
mod restart;
mod security;
pub(crate) mod signal;
mod size;
mod sysctl;

pub(crate) use device::{Device, Devices, device};
pub(crate) use duration::duration;
pub(crate) use error::RequestError;
pub(crate) use fields::{KEPT_GROUPS, LogOptions, Request, STOP_TIMEOUT, Source, Tmpfs, Ulimit, Volume, VolumesFrom};
pub(crate) use limits::{InvalidLimit, Limits, PERIOD, Swap, cpuset, swap};
pub(crate) use namespaces::{
    Ipc, Joined, Namespaces, Network, OF_CONTAINER, Pid, UserNamespace, alias, ipc, mac, network, network_of_build,
    of_host, pid, user_namespace,
};

pub(crate) use health::{HealthCheck, HealthTime, InvalidHealthTime, OnUnhealthy, SHORTEST as SHORTEST_HEALTH_TIME};
pub(crate) use parse::{
    annotation, cpus, dns, domainname, expose, host, label, log, name, publish, resolver_word, selected_capability,
    stop_signal, timezone, ulimit, umask, variable,
};
pub(crate) use restart::{InvalidRestartPolicy, RestartPolicy};
pub(crate) use security::{Condition, Profile, Rule, Security, SecurityOption, security_option};
pub(crate) use size::size;
pub(crate) use sysctl::{Sysctl, sysctl};
