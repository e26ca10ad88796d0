//! Flags about the network of a container.

use crate::container::request;
use crate::network::ports::{PortSpec, Published};
use clap::Args;
use std::net::IpAddr;

/// The network flags of `run` and `create`.
#[derive(Args)]
pub(crate) struct NetworkFlags {
    /// Publish a container's port on the host
    #[arg(short, long, value_name = "[IP:][HOST:]PORT[/udp]", value_parser = request::publish)]
    publish: Vec<Published>,
    /// Publish all exposed ports on free ports of the host
    #[arg(short = 'P', long)]
    pub publish_all: bool,
    /// Name a port that the container listens on
    #[arg(long, value_name = "PORT[/udp]", value_parser = request::expose)]
    expose: Vec<Published>,
    /// Use this DNS server
    #[arg(long, value_name = "IP", value_parser = request::dns)]
    pub dns: Vec<IpAddr>,
    /// Look names up in this domain too; . for none
    #[arg(long, value_name = "DOMAIN", value_parser = request::resolver_word)]
    pub dns_search: Vec<String>,
    /// Set an option of resolv.conf(5)
    #[arg(long, visible_alias = "dns-opt", value_name = "OPTION", value_parser = request::resolver_word)]
    pub dns_option: Vec<String>,
    /// Leave /etc/hosts as the image has it
    #[arg(long, conflicts_with = "add_host")]
    pub no_hosts: bool,
}

impl NetworkFlags {
    pub(crate) fn ports(&self) -> Vec<PortSpec> {
        self.publish.iter().flat_map(|Published(ports)| ports).cloned().collect()
    }

    pub(crate) fn exposed(&self) -> Vec<PortSpec> {
        self.expose.iter().flat_map(|Published(ports)| ports).cloned().collect()
    }
}
