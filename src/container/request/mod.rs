//! What a container was asked to be, before any image is looked at.

pub(crate) mod capability;
mod duration;
mod fields;
mod health;
pub(crate) mod id;
pub(crate) mod limit;
pub(crate) mod mount;
mod parse;
mod restart;
pub(crate) mod signal;

pub(crate) use duration::duration;
pub(crate) use fields::{
    Joined, Limits, LogOptions, Network, Request, STOP_TIMEOUT, SecurityOption, Source, Tmpfs, Ulimit, Volume,
    VolumesFrom,
};

pub(crate) use health::{HealthCheck, HealthTime, InvalidHealthTime, OnUnhealthy, SHORTEST as SHORTEST_HEALTH_TIME};
pub(crate) use parse::{
    RequestError, cpus, dns, host, label, log, name, network, publish, security_option, selected_capability, size,
    stop_signal, ulimit, variable,
};
pub(crate) use restart::{InvalidRestartPolicy, RestartPolicy};
