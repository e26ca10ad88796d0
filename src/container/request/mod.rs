//! What a container was asked to be, before any image is looked at.

pub(crate) mod capability;
mod duration;
mod fields;
mod health;
pub(crate) mod id;
pub(crate) mod limit;
mod parse;
mod restart;
pub(crate) mod signal;

pub(crate) use duration::duration;
pub(crate) use fields::{
    Limits, LogOptions, Network, Request, STOP_TIMEOUT, SecurityOption, Source, Tmpfs, Ulimit, Volume,
};

pub(crate) use health::{HealthCheck, HealthTime, InvalidHealthTime, OnUnhealthy, SHORTEST as SHORTEST_HEALTH_TIME};
pub(crate) use parse::{
    RequestError, cpus, dns, host, is_name, label, log, name, network, publish, security_option, selected_capability,
    size, stop_signal, tmpfs, ulimit, variable, volume,
};
pub(crate) use restart::{InvalidRestartPolicy, RestartPolicy};
