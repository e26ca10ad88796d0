//! Flags about the network of a container.

use crate::container::request;
use crate::container::request::{Joined, Network, RequestError};
use crate::network::egress::WayOut;
use crate::network::ports::{PortSpec, Published};
use crate::network::shared::{BRIDGE, Endpoint, Mac};
use clap::Args;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

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
    /// Set the container's IPv4 address
    #[arg(long, value_name = "IPV4")]
    ip: Option<Ipv4Addr>,
    /// Set the container's IPv6 address
    #[arg(long, value_name = "IPV6")]
    ip6: Option<Ipv6Addr>,
    /// Give the container another name on its networks
    #[arg(long, visible_alias = "net-alias", value_name = "NAME", value_parser = request::alias)]
    network_alias: Vec<String>,
    /// Set the hardware address of the container's network device
    #[arg(long, value_name = "MAC", value_parser = request::mac)]
    mac_address: Option<Mac>,
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

/// What all of `--network`, and the flags about one network, ask for together.
pub(crate) struct Networks {
    pub network: Network,
    pub way_out: WayOut,
    pub endpoints: Vec<Endpoint>,
}

impl NetworkFlags {
    /// Puts the arguments of `--network` together.
    pub(crate) fn join(&self, all: Vec<Joined>) -> Result<Networks, RequestError> {
        let several = all.len() > 1;
        if let Some(alone) = all.iter().find(|joined| several && joined.endpoint.is_none()) {
            return Err(RequestError::NetworkAlone(alone.network.to_string()));
        }
        let mut networks = Networks { network: Network::Private, way_out: WayOut::default(), endpoints: Vec::new() };
        for Joined { network, way_out, endpoint } in all {
            networks.network = network;
            if way_out.program != WayOut::default().program {
                networks.way_out.program = way_out.program;
            }
            networks.way_out.host_loopback |= way_out.host_loopback;
            networks.endpoints.extend(endpoint);
        }
        let asked = [
            ("--ip", self.ip.is_some()),
            ("--ip6", self.ip6.is_some()),
            ("--mac-address", self.mac_address.is_some()),
            ("--network-alias", !self.network_alias.is_empty()),
        ];
        let Some((flag, _)) = asked.into_iter().find(|(_, is_asked)| *is_asked) else { return Ok(networks) };
        if networks.endpoints.is_empty() && networks.network == Network::Private {
            networks.endpoints.push(Endpoint { network: BRIDGE.to_owned(), ..Endpoint::default() });
        }
        match networks.endpoints.as_mut_slice() {
            [] => return Err(RequestError::NetworkFlag(flag)),
            [endpoint] => {
                endpoint.v4 = self.ip.or(endpoint.v4);
                endpoint.v6 = self.ip6.or(endpoint.v6);
                endpoint.mac = self.mac_address.or(endpoint.mac);
            }
            _ if flag != "--network-alias" => return Err(RequestError::NetworkFlag(flag)),
            _ => {}
        }
        for endpoint in &mut networks.endpoints {
            endpoint.aliases.extend(self.network_alias.iter().cloned());
        }
        Ok(networks)
    }

    pub(crate) fn ports(&self) -> Vec<PortSpec> {
        self.publish.iter().flat_map(|Published(ports)| ports).cloned().collect()
    }

    pub(crate) fn exposed(&self) -> Vec<PortSpec> {
        self.expose.iter().flat_map(|Published(ports)| ports).cloned().collect()
    }
}
