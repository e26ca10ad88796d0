//! Sockets of the host's network, which do not wait.

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};
use std::net::IpAddr;
use std::os::fd::OwnedFd;

/// Makes a socket that reaches addresses of this family.
pub(in crate::network) fn socket(address: IpAddr, kind: SocketType) -> Result<OwnedFd, Errno> {
    rustix::net::socket_with(family(address), kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)
}

/// Makes a socket that sends echo requests (icmp(7)).
pub(in crate::network) fn ping_socket(address: IpAddr) -> Result<OwnedFd, Errno> {
    let protocol = if address.is_ipv4() { ipproto::ICMP } else { ipproto::ICMPV6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(family(address), SocketType::DGRAM, flags, Some(protocol))
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 }
}
