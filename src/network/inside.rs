//! Inside a container's network namespace: its addresses, and connections into it that bear their client's address.
//!
//! A socket may bear a foreign address (IP_TRANSPARENT). The answer to it must not leave by the default route but come
//! back to that socket: what is marked looks up a table that delivers everything locally, and a connection's answers are
//! marked as its first packet was (tcp_fwmark_accept). Datagrams inherit no mark; those that leave from a published port
//! look up a like table.

use super::ContainerNetwork;
use super::address::MTU;
use super::shared::Member;
use crate::sys::netlink::Batch;
use crate::sys::tun::{self, Kind};
use crate::sys::{SysError, inet, netlink};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;

const MARK: u32 = 0x6d72;
const STREAMS: u32 = 0x6d72;
const DATAGRAMS: u32 = 0x6d73;

const ANY: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

impl ContainerNetwork {
    /// Prepares the namespace that this process is in. Only the IPv4 address must succeed: without IPv6 the container has
    /// none, and without rules or settings its clients' addresses are not kept.
    pub fn set_up(&self) -> Result<(), SysError> {
        for (setting, value) in SETTINGS {
            let _ = fs::write(format!("/proc/sys/net/{setting}"), value);
        }
        let mut batch = Batch::default();
        for any in ANY {
            batch.add_rule_for_mark(STREAMS, any, MARK);
            batch.add_local_route(STREAMS, any, None);
        }
        let _ = batch.send();
        if self.on_loopback { self.ensure_addresses() } else { Ok(()) }
    }

    /// Returns the commands that do the same.
    pub fn call(&self) -> String {
        let address = if self.on_loopback { format!("ip address add {}/32 dev lo; ", self.v4) } else { String::new() };
        format!(
            "{address}ip rule add fwmark {MARK:#x} lookup {STREAMS}; ip route add local default dev lo table {STREAMS}"
        )
    }

    /// Gives the loopback device the addresses that no other device has: there is no way out, it failed, or it has no IPv6.
    pub fn ensure_addresses(&self) -> Result<(), SysError> {
        let add = |address: IpAddr, bits| {
            let mut batch = Batch::default();
            batch.add_address(netlink::LOOPBACK, address, bits);
            batch.send()
        };
        if is_missing(self.v6.into()) {
            let _ = add(self.v6.into(), 128);
        }
        if is_missing(self.v4.into()) { add(self.v4.into(), 32) } else { Ok(()) }
    }

    /// Makes the device that leads out, whose other side is the answer. Without one the container still has its address.
    pub fn open_device(&self, kind: Kind) -> Result<Option<OwnedFd>, SysError> {
        let opened = (|| {
            let name = self.device.as_ref();
            let tun = tun::open(name, kind)?;
            let ipv6 = |setting: &str, value| fs::write(format!("/proc/sys/net/ipv6/conf/{name}/{setting}"), value);
            // The kernel would announce itself, which nobody has asked for.
            let _ = match kind {
                Kind::Packets => ipv6("addr_gen_mode", "1").and_then(|()| ipv6("router_solicitations", "0")),
                Kind::Frames => ipv6("disable_ipv6", "1"),
            };
            let device = netlink::index(name)?;
            let mut batch = Batch::default();
            batch.add_address(device, self.v4.into(), 24);
            batch.set_up(device, Some(MTU));
            batch.add_default_route(self.gateway_v4.into());
            batch.send()?;
            if kind == Kind::Packets {
                let mut batch = Batch::default();
                batch.add_address(device, self.v6.into(), 64);
                batch.add_default_route(self.gateway_v6.into());
                let _ = batch.send();
            }
            Ok::<_, SysError>(tun)
        })();
        self.ensure_addresses()?;
        Ok(opened.ok())
    }

    /// Returns the commands that do the same.
    pub fn device_call(&self, kind: Kind) -> String {
        let device = &self.device;
        let v6 = match kind {
            Kind::Packets => {
                format!("; ip address add {}/64 dev {device}; ip -6 route add default via {}", self.v6, self.gateway_v6)
            }
            Kind::Frames => String::new(),
        };
        format!(
            "ip tuntap add {device} mode {}; ip address add {}/24 dev {device}; ip link set {device} up mtu {MTU}; ip route \
             add default via {}{v6}",
            kind.mode(),
            self.v4,
            self.gateway_v4
        )
    }

    /// Brings back the datagrams that the container sends from a published port, except those to its networks. The address
    /// must be there.
    pub(crate) fn bring_back_datagrams(&self, port: u16, members: &[Member]) {
        let mut batch = Batch::default();
        members.iter().flat_map(Member::subnets).for_each(|subnet| batch.add_rule_for_target(subnet));
        for (any, own) in ANY.into_iter().zip([IpAddr::V4(self.v4), IpAddr::V6(self.v6)]) {
            batch.add_local_route(DATAGRAMS, any, Some(own));
            batch.add_rule_for_udp_source(DATAGRAMS, any, port);
        }
        let _ = batch.send();
    }

    /// Connects to a port of the container, from the address of `client` if possible.
    pub fn connect(&self, kind: SocketType, client: IpAddr, is_v4: bool, port: u16) -> io::Result<OwnedFd> {
        let (family, own) =
            if is_v4 { (AddressFamily::INET, self.v4.into()) } else { (AddressFamily::INET6, IpAddr::V6(self.v6)) };
        let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
        if kind == SocketType::STREAM {
            sockopt::set_tcp_nodelay(&socket, true)?;
        }
        let _ = bear(&socket, self.seen_as(client, is_v4));
        match rustix::net::connect(&socket, &SocketAddr::new(own, port)) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the address under which the container sees a client: its own. One that means something else inside (the host's
    /// loopback, its links, the other family) is the host's, which many services trust less than their own loopback.
    fn seen_as(&self, client: IpAddr, is_v4: bool) -> IpAddr {
        match client {
            IpAddr::V4(v4) if is_v4 && !v4.is_loopback() && !v4.is_link_local() => client,
            IpAddr::V6(v6) if !is_v4 && !v6.is_loopback() && !v6.is_unicast_link_local() => client,
            _ if is_v4 => self.gateway_v4.into(),
            _ => self.gateway_v6.into(),
        }
    }
}

fn is_missing(address: IpAddr) -> bool {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let probe = rustix::net::socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
    let bound = probe.and_then(|probe| rustix::net::bind(&probe, &SocketAddr::new(address, 0)));
    bound == Err(rustix::io::Errno::ADDRNOTAVAIL)
}

fn bear(socket: &OwnedFd, address: IpAddr) -> io::Result<()> {
    inet::set_mark(socket, MARK)?;
    inet::set_transparent(socket, address.is_ipv4())?;
    inet::set_bind_address_no_port(socket)?;
    Ok(rustix::net::bind(socket, &SocketAddr::new(address, 0))?)
}

/// Settings of the network namespace. Besides marks: a port of a client's address is used again after a second, not a minute, since all
/// clients on the host share one address.
const SETTINGS: [(&str, &str); 4] = [
    ("ipv4/tcp_fwmark_accept", "1"),
    ("ipv4/fwmark_reflect", "1"),
    ("ipv6/fwmark_reflect", "1"),
    ("ipv4/tcp_tw_reuse", "1"),
];
