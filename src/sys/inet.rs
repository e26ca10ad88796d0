//! Options of internet sockets that no crate has, and datagrams with their local addresses.

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd};

/// Lets the socket bear an address that is not this namespace's (CAP_NET_ADMIN there).
pub(crate) fn set_transparent(socket: impl AsFd, is_v4: bool) -> io::Result<()> {
    if is_v4 {
        set_option(socket, libc::IPPROTO_IP, libc::IP_TRANSPARENT, 1)
    } else {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_TRANSPARENT, 1)
    }
}

/// Marks all that the socket sends.
pub(crate) fn set_mark(socket: impl AsFd, mark: u32) -> io::Result<()> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_MARK, mark as i32)
}

/// `bind` chooses the address only; `connect` chooses the port, which need only be new for its destination.
pub(crate) fn set_bind_address_no_port(socket: impl AsFd) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
}

/// Makes every datagram carry the local address that it came to.
pub(crate) fn set_packet_info(socket: impl AsFd, is_v4: bool) -> io::Result<()> {
    if is_v4 {
        set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)
    } else {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)
    }
}

fn set_option(socket: impl AsFd, level: i32, name: i32, value: i32) -> io::Result<()> {
    let size = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the value is a live i32, and its size is told.
    let result = unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw const value).cast(), size) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Receives one datagram: its length, its sender, the local address that it came to.
pub(crate) fn receive_datagram(
    socket: impl AsFd,
    buffer: &mut [u8],
) -> io::Result<(usize, SocketAddr, Option<IpAddr>)> {
    let mut space = nix::cmsg_space!(libc::in6_pktinfo, libc::in_pktinfo);
    let mut parts = [IoSliceMut::new(buffer)];
    let fd = socket.as_fd().as_raw_fd();
    let message = recvmsg::<SockaddrStorage>(fd, &mut parts, Some(&mut space), MsgFlags::MSG_DONTWAIT)?;
    let local = message.cmsgs()?.find_map(|part| match part {
        // ipi_spec_dst is an address that an answer may bear, also where the datagram was broadcast.
        ControlMessageOwned::Ipv4PacketInfo(info) => {
            Some(IpAddr::V4(Ipv4Addr::from(info.ipi_spec_dst.s_addr.to_ne_bytes())))
        }
        ControlMessageOwned::Ipv6PacketInfo(info) => Some(IpAddr::V6(Ipv6Addr::from(info.ipi6_addr.s6_addr))),
        _ => None,
    });
    let sender = message.address.as_ref().and_then(socket_address);
    Ok((message.bytes, sender.ok_or(io::ErrorKind::InvalidData)?, local))
}

/// Sends one datagram that bears the local address `from`.
pub(crate) fn send_datagram(socket: impl AsFd, bytes: &[u8], to: SocketAddr, from: Option<IpAddr>) -> io::Result<()> {
    let (v4, v6);
    let info = match from {
        Some(IpAddr::V4(from)) => {
            let ipi_spec_dst = libc::in_addr { s_addr: u32::from_ne_bytes(from.octets()) };
            v4 = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst, ipi_addr: ipi_spec_dst };
            Some(ControlMessage::Ipv4PacketInfo(&v4))
        }
        Some(IpAddr::V6(from)) => {
            v6 = libc::in6_pktinfo { ipi6_addr: libc::in6_addr { s6_addr: from.octets() }, ipi6_ifindex: 0 };
            Some(ControlMessage::Ipv6PacketInfo(&v6))
        }
        None => None,
    };
    let to = SockaddrStorage::from(to);
    let parts = [IoSlice::new(bytes)];
    sendmsg(socket.as_fd().as_raw_fd(), &parts, info.as_slice(), MsgFlags::MSG_DONTWAIT, Some(&to))?;
    Ok(())
}

/// Returns the longest packet on the way to the peer of a connected socket.
pub(crate) fn mtu(socket: impl AsFd, is_v4: bool) -> io::Result<u16> {
    let (level, name) = if is_v4 { (libc::IPPROTO_IP, libc::IP_MTU) } else { (libc::IPPROTO_IPV6, libc::IPV6_MTU) };
    let (mut value, mut size) = (0i32, size_of::<i32>() as libc::socklen_t);
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the value is a live i32, and its size is told.
    let result = unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut size) };
    if result == 0 { Ok(u16::try_from(value).unwrap_or(u16::MAX)) } else { Err(io::Error::last_os_error()) }
}

/// Lets the socket keep what became of its datagrams ([`receive_error`]).
pub(crate) fn keep_errors(socket: impl AsFd, is_v4: bool) -> io::Result<()> {
    if is_v4 {
        set_option(socket, libc::IPPROTO_IP, libc::IP_RECVERR, 1)
    } else {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVERR, 1)
    }
}

/// Takes one error that came back for a datagram, and where that was going (ip(7), "IP_RECVERR").
pub(crate) fn receive_error(socket: impl AsFd) -> io::Result<(i32, SocketAddr)> {
    let mut space = nix::cmsg_space!(libc::sock_extended_err, libc::sockaddr_in6);
    let flags = MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT;
    let message = recvmsg::<SockaddrStorage>(socket.as_fd().as_raw_fd(), &mut [], Some(&mut space), flags)?;
    let errno = message.cmsgs()?.find_map(|part| match part {
        ControlMessageOwned::Ipv4RecvErr(error, _) | ControlMessageOwned::Ipv6RecvErr(error, _) => {
            i32::try_from(error.ee_errno).ok()
        }
        _ => None,
    });
    let target = message.address.as_ref().and_then(socket_address);
    errno.zip(target).ok_or(io::ErrorKind::InvalidData.into())
}

fn socket_address(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from((v4.ip(), v4.port())));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::V6(SocketAddrV6::from(*v6))))
}
