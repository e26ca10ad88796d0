//! Flags about a container.

use crate::container::request;
use crate::container::request::Ulimit;
use crate::network::resolv::HostEntry;
use clap::Args;

/// The flags that `run`, `create` and `build` share.
#[derive(Args)]
pub(crate) struct ContainerFlags {
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
