//! What a container was asked to be, before any image is looked at.

pub(crate) mod capability;
mod fields;
pub(crate) mod id;
pub(crate) mod limit;
pub(crate) mod mount;
mod parse;
pub(crate) mod signal;

pub(crate) use fields::{
    Limits, LogOptions, Network, Request, STOP_TIMEOUT, SecurityOption, Source, Tmpfs, Ulimit, Volume, VolumesFrom,
};
pub(crate) use parse::{
    RequestError, cpus, dns, host, label, log, name, network, publish, security_option, selected_capability, size,
    stop_signal, ulimit, variable,
};
