//! Flags about a container.

use crate::container::request;
use crate::container::request::{Joined, Ulimit};
use crate::network::resolv::HostEntry;
use clap::Args;

/// The flags that `run`, `create` and `build` share.
#[derive(Args)]
pub(crate) struct ContainerFlags {
    /// Set the network: bridge (the default), one of `minirun network ls`, none, host, or container:NAME; NAME:ip=IP,alias=NAME
    /// asks for these there, bridge:host-loopback lets 10.0.2.2 reach services that the host has for itself, bridge:out=slirp4netns
    /// or out=pasta takes that program as the way out
    #[arg(long, visible_alias = "net", value_name = "NETWORK", value_parser = request::network)]
    pub network: Vec<Joined>,
    /// Add a line to /etc/hosts
    #[arg(long, value_name = "NAME:IP", value_parser = request::host)]
    pub add_host: Vec<HostEntry>,
    /// Set the size of /dev/shm
    #[arg(long, value_name = "BYTES", value_parser = request::size)]
    pub shm_size: Option<u64>,
    /// Limit a resource as setrlimit(2) does
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = request::ulimit)]
    pub ulimit: Vec<Ulimit>,
    /// Set a label
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = request::label, allow_hyphen_values = true)]
    pub label: Vec<(String, String)>,
}
