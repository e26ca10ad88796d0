//! How a container comes onto a network, and leaves it: by a pair of devices, one end in the container's network namespace,
//! the other in the network's.
//!
//! A network routes: each member has a route of its own there, to its port, and both ends know each other's hardware address
//! beforehand, so that nobody asks. With `broadcast`, a bridge joins the ports.

use super::lease::{self, Mac};
use crate::sys::netlink::{self, Batch, Device};
use crate::sys::{On, SysError, process};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use nix::sys::socket::sockopt::BindToDevice;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The address of the name server, in every network the same, so that /etc/resolv.conf stays as it is.
pub(crate) const NAME_SERVER: Ipv4Addr = super::super::CONTAINER.dns;
const DNS: u16 = 53;

/// A monitor holds the namespace of its container's n-th network under this number plus n, where others find it.
const HELD: i32 = 900;

const BRIDGE: &str = "bridge0";

/// How long the end of a monitor may take.
const ENDING: Duration = Duration::from_secs(2);

/// A container's place on a network, all decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The network's name.
    pub network: String,
    /// The directory of its members, from the store's root.
    pub directory: PathBuf,
    pub device: String,
    pub slot: u16,
    pub v4: Ipv4Addr,
    pub subnet: Ipv4Net,
    pub gateway: Ipv4Addr,
    pub v6: Option<(Ipv6Addr, Ipv6Net, Ipv6Addr)>,
    pub(super) mac: Mac,
    pub broadcast: bool,
}

/// A network that the container of this process is on.
pub(crate) struct Attached {
    pub member: Member,
    /// Held for those who come later.
    namespace: OwnedFd,
    /// Sockets in the network's namespace that hear this container alone.
    pub datagrams: OwnedFd,
    pub listener: OwnedFd,
}

impl Member {
    pub(crate) fn new(network: &super::Record, lease: &super::Lease, runtime: &Path) -> Self {
        Self {
            network: network.name.clone(),
            directory: runtime.join(network.members()),
            device: lease.device.clone(),
            slot: lease.slot,
            v4: lease.v4,
            subnet: network.subnet,
            gateway: network.gateway,
            v6: lease.v6.zip(network.v6).map(|(address, v6)| (address, v6.subnet, v6.gateway)),
            mac: lease.mac,
            broadcast: network.broadcast,
        }
    }

    /// Whether an address belongs to the network.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => self.subnet.contains(&v4),
            IpAddr::V6(v6) => self.v6.is_some_and(|(_, subnet, _)| subnet.contains(&v6)),
        }
    }

    pub(crate) fn subnets(&self) -> impl Iterator<Item = IpNet> {
        std::iter::once(self.subnet.into()).chain(self.v6.map(|(_, subnet, _)| subnet.into()))
    }

    /// Puts the network namespace that this process is in onto the network.
    pub(crate) fn join(&self) -> Result<Attached, SysError> {
        let own = File::open("/proc/self/ns/net").on("open", "/proc/self/ns/net")?;
        let namespace = {
            let _lock = lease::lock(&self.directory)?;
            match self.find()? {
                Some(found) => self.hold(found)?,
                None => self.make(&own)?,
            }
        };
        // A socket stays in the namespace that it was made in, so this is all that is to be done there.
        enter(&namespace, &self.network)?;
        let sockets = Sockets::open();
        enter(&own, "the container's network")?;
        let sockets = sockets?;
        let port = self.plug(&sockets, &own)?;
        self.configure()?;
        let Sockets { kernel, datagrams, listener } = sockets;
        let mut batch = Batch::default();
        batch.settle(port);
        batch.send_by(&kernel)?;
        Ok(Attached { member: self.clone(), namespace, datagrams, listener })
    }

    /// Returns the commands that do the same.
    pub(crate) fn call(&self) -> String {
        let (device, port, gateway) = (&self.device, self.port("$$"), self.gateway);
        let bits = if self.broadcast { self.subnet.prefix_len() } else { 32 };
        let route = if self.broadcast {
            format!("ip link set {port} master {BRIDGE}")
        } else {
            format!("ip route add {} dev {port}", self.v4)
        };
        format!(
            "ip link add {port} type veth peer name {device} address {} netns $$; {route}; ip address add {}/{bits} dev \
             {device}; ip route add {} via {gateway} dev {device} onlink",
            self.mac, self.v4, self.subnet
        )
    }

    /// Opens the network's namespace through a monitor that holds it.
    fn find(&self) -> Result<Option<OwnedFd>, SysError> {
        for holder in lease::living(&self.directory) {
            let path = format!("/proc/{}/fd/{}", holder.monitor.0, number(holder.slot));
            let begun = Instant::now();
            loop {
                match File::open(&path) {
                    // Opened first, compared afterwards: a process may have ended meanwhile.
                    Ok(found) if holder.holds() => return Ok(Some(found.into())),
                    // It is this one, or has not come so far.
                    Err(error) if error.raw_os_error() == Some(libc::ENOENT) => break,
                    // A process that is just ending lets nobody look at it.
                    Err(error) if holder.holds() && begun.elapsed() > ENDING => return Err(error).on("open", path),
                    Err(_) if holder.holds() => std::thread::sleep(Duration::from_millis(1)),
                    _ => break,
                }
            }
        }
        Ok(None)
    }

    /// Moves the namespace to the number by which others find it.
    fn hold(&self, namespace: OwnedFd) -> Result<OwnedFd, SysError> {
        let wanted = number(self.slot);
        // A low limit of the caller is to be the payload's all the same.
        let limit = getrlimit(Resource::Nofile);
        process::raise_descriptor_limit();
        let moved = rustix::io::fcntl_dupfd_cloexec(&namespace, wanted);
        let _ = setrlimit(Resource::Nofile, limit);
        let moved = moved.on("fcntl", "F_DUPFD_CLOEXEC")?;
        let is_there = if moved.as_raw_fd() == wanted { Ok(moved) } else { Err(rustix::io::Errno::EXIST) };
        is_there.on("fcntl", "F_DUPFD_CLOEXEC")
    }

    /// Makes the network's namespace.
    fn make(&self, own: &File) -> Result<OwnedFd, SysError> {
        process::unshare(libc::CLONE_NEWNET, "CLONE_NEWNET")?;
        let made = File::open("/proc/self/ns/net").on("open", "/proc/self/ns/net").and_then(|namespace| {
            self.furnish()?;
            self.hold(namespace.into())
        });
        enter(own, "the container's network")?;
        made
    }

    /// Prepares a new namespace: its own addresses, and what it does with packets.
    fn furnish(&self) -> Result<(), SysError> {
        for (setting, value) in SETTINGS {
            // A kernel without IPv6 lacks some.
            let _ = fs::write(format!("/proc/sys/net/{setting}"), value);
        }
        let mut batch = Batch::default();
        batch.set_up(netlink::LOOPBACK, None);
        let mut gateway = (netlink::LOOPBACK, 32, 128);
        if self.broadcast {
            let mut bridge = Batch::default();
            bridge.add_bridge(&Device { name: BRIDGE.into(), hardware: None });
            bridge.send()?;
            let v6 = self.v6.map_or(128, |(_, subnet, _)| subnet.prefix_len());
            gateway = (netlink::index(BRIDGE)?, self.subnet.prefix_len(), v6);
        }
        batch.add_address(gateway.0, self.gateway.into(), gateway.1);
        batch.add_address(netlink::LOOPBACK, NAME_SERVER.into(), 32);
        batch.send()?;
        if let Some((_, _, address)) = self.v6 {
            let mut batch = Batch::default();
            batch.add_address(gateway.0, address.into(), gateway.2);
            let _ = batch.send();
        }
        Ok(())
    }

    /// Returns the name of the network's end of the pair. It is new each time: the end of a container that was killed fades
    /// slowly.
    fn port(&self, pid: impl std::fmt::Display) -> String {
        format!("m{pid}")
    }

    /// Makes the pair, from the network's side, and what the name server hears there. Returns the port's index.
    fn plug(&self, sockets: &Sockets, own: &File) -> Result<u32, SysError> {
        let Sockets { kernel, datagrams, listener } = sockets;
        let name = self.port(rustix::process::getpid().as_raw_nonzero());
        let mut batch = Batch::default();
        let hardware = (!self.broadcast).then(|| self.mac.of_port());
        let there = Device { name: self.device.clone(), hardware: Some(self.mac.0) };
        batch.add_pair(&Device { name: name.clone(), hardware }, &there, own.as_fd());
        batch.send_by(kernel)?;
        let port = netlink::index_by(datagrams, &name)?;
        let mut batch = Batch::default();
        if self.broadcast {
            batch.set_master(port, netlink::index_by(datagrams, BRIDGE)?);
        } else {
            for address in self.addresses() {
                batch.set_route(address.into(), port, None);
                batch.set_neighbour(address, port, self.mac.0);
            }
        }
        batch.send_by(kernel)?;
        let listens_to = if self.broadcast { BRIDGE } else { &name };
        self.listen(datagrams, listens_to)?;
        self.listen(listener, listens_to)?;
        rustix::net::listen(listener, 16).on("listen", NAME_SERVER.to_string())?;
        Ok(port)
    }

    /// Gives the container's end its addresses and routes.
    fn configure(&self) -> Result<(), SysError> {
        let device = netlink::index(&self.device)?;
        let mut batch = Batch::default();
        if !self.broadcast {
            // The kernel would announce an address of its own, which nobody has asked for.
            let _ = fs::write(format!("/proc/sys/net/ipv6/conf/{}/addr_gen_mode", self.device), "1");
        }
        batch.set_up(device, None);
        if self.broadcast {
            batch.add_address(device, self.v4.into(), self.subnet.prefix_len());
        } else {
            batch.add_address(device, self.v4.into(), 32);
            batch.set_route(self.subnet.into(), device, Some(self.gateway.into()));
            batch.set_neighbour(self.gateway.into(), device, self.mac.of_port());
        }
        self.add_way_to_names(&mut batch, device);
        batch.settle(device);
        batch.send()?;
        if let Some((address, subnet, gateway)) = self.v6 {
            let mut batch = Batch::default();
            if self.broadcast {
                batch.add_address(device, address.into(), subnet.prefix_len());
            } else {
                batch.add_address(device, address.into(), 128);
                batch.set_neighbour(gateway.into(), device, self.mac.of_port());
                batch.set_route(subnet.into(), device, Some(gateway.into()));
            }
            batch.send()?;
        }
        Ok(())
    }

    /// Leads questions about names through this network, whatever they went through before.
    pub(crate) fn lead_names(&self) -> Result<(), SysError> {
        let mut batch = Batch::default();
        self.add_way_to_names(&mut batch, netlink::index(&self.device)?);
        batch.send()
    }

    fn add_way_to_names(&self, batch: &mut Batch, device: u32) {
        batch.set_route(IpNet::from(IpAddr::from(NAME_SERVER)), device, Some(self.gateway.into()));
    }

    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        std::iter::once(self.v4.into()).chain(self.v6.map(|(address, ..)| address.into()))
    }

    /// Lets a socket of the name server hear one port alone. So each monitor answers its own container, although all have
    /// the same address.
    fn listen(&self, socket: &OwnedFd, device: &str) -> Result<(), SysError> {
        let bound = nix::sys::socket::setsockopt(socket, BindToDevice, &device.into());
        bound.map_err(std::io::Error::from).on("setsockopt", device)?;
        sockopt::set_socket_reuseaddr(socket, true).on("setsockopt", "SO_REUSEADDR")?;
        if self.broadcast {
            // They hear each other's containers there, and one of them answers.
            sockopt::set_socket_reuseport(socket, true).on("setsockopt", "SO_REUSEPORT")?;
        }
        let address = SocketAddr::new(NAME_SERVER.into(), DNS);
        rustix::net::bind(socket, &address).on("bind", address.to_string())
    }
}

/// Sockets in a network's namespace.
struct Sockets {
    /// The conversation with its kernel.
    kernel: OwnedFd,
    datagrams: OwnedFd,
    listener: OwnedFd,
}

impl Sockets {
    /// Makes them in the namespace that this process is in.
    fn open() -> Result<Self, SysError> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = |kind| rustix::net::socket_with(AddressFamily::INET, kind, flags, None).on("socket", "AF_INET");
        let kernel = netlink::socket().on("socket", "AF_NETLINK")?;
        Ok(Self { kernel, datagrams: socket(SocketType::DGRAM)?, listener: socket(SocketType::STREAM)? })
    }
}

impl Attached {
    /// Takes the container off the network.
    pub(crate) fn leave(self) -> Result<(), SysError> {
        let device = netlink::index(&self.member.device)?;
        let mut batch = Batch::default();
        batch.remove_device(device);
        batch.send()?;
        drop(self.namespace);
        Ok(())
    }
}

fn number(slot: u16) -> i32 {
    HELD + i32::from(slot)
}

fn enter(namespace: impl AsFd, name: &str) -> Result<(), SysError> {
    process::setns(namespace, libc::CLONE_NEWNET, name)
}

/// Settings of a network's namespace. A member cannot bear the address of another: its packets must come from where answers
/// to them would go.
const SETTINGS: [(&str, &str); 5] = [
    ("ipv6/conf/default/addr_gen_mode", "1"),
    ("ipv4/ip_forward", "1"),
    ("ipv6/conf/all/forwarding", "1"),
    ("ipv4/conf/all/rp_filter", "1"),
    ("ipv4/conf/default/rp_filter", "1"),
];
