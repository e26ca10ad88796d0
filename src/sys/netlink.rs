//! rtnetlink(7): the few messages that give a network namespace its loopback device, addresses, routes and rules.

use super::{On, SysError};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

/// `lo` has this index in every network namespace.
pub(crate) const LOOPBACK: u32 = 1;

/// Returns the index of a device in the network namespace of this process.
pub(crate) fn index(name: &str) -> Result<u32, SysError> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).on("socket", "AF_INET")?;
    rustix::net::netdevice::name_to_index(&socket, name).on("SIOCGIFINDEX", name)
}

/// Sets a device up.
pub(crate) fn link_up(device: u32, mtu: Option<u32>) -> Result<(), SysError> {
    let up = (libc::IFF_UP as u32).to_ne_bytes();
    // struct ifinfomsg: family, type, index, flags, mask of the flags to change
    let body = [&[0; 4][..], &device.to_ne_bytes(), &up, &up].concat();
    let mut message = Message::new(libc::RTM_NEWLINK, 0, &body);
    if let Some(mtu) = mtu {
        message.attribute(libc::IFLA_MTU, &mtu.to_ne_bytes());
    }
    message.ask("RTM_NEWLINK", "up")
}

/// Gives a device an address, usable at once.
pub(crate) fn add_address(device: u32, address: IpAddr, bits: u8) -> Result<(), SysError> {
    // struct ifaddrmsg: family, prefix length, flags, scope, index
    let body = [&[family(address), bits, libc::IFA_F_NODAD as u8, 0][..], &device.to_ne_bytes()].concat();
    let mut message = Message::new(libc::RTM_NEWADDR, CREATE, &body);
    message.attribute(libc::IFA_LOCAL, &octets(address)).attribute(libc::IFA_ADDRESS, &octets(address));
    message.ask("RTM_NEWADDR", &address.to_string())
}

/// Adds the default route, through `gateway`, which the addresses of a device must reach.
pub(crate) fn add_default_route(gateway: IpAddr) -> Result<(), SysError> {
    let (table, scope) = (libc::RT_TABLE_MAIN, libc::RT_SCOPE_UNIVERSE);
    let body = [&[family(gateway), 0, 0, 0, table, libc::RTPROT_STATIC, scope, libc::RTN_UNICAST][..], &[0; 4]];
    let mut message = Message::new(libc::RTM_NEWROUTE, CREATE, &body.concat());
    message.attribute(libc::RTA_GATEWAY, &octets(gateway));
    message.ask("RTM_NEWROUTE", "default")
}

/// Delivers everything that looks up `table` to this namespace itself. `source`: the address that answers bear when
/// their sender has not chosen one.
pub(crate) fn add_local_route(table: u32, any: IpAddr, source: Option<IpAddr>) -> Result<(), SysError> {
    let scope = if any.is_ipv4() { libc::RT_SCOPE_HOST } else { libc::RT_SCOPE_UNIVERSE };
    // struct rtmsg: family, destination and source bits, tos, table, protocol, scope, type, flags
    let body =
        [&[family(any), 0, 0, 0, libc::RT_TABLE_UNSPEC, libc::RTPROT_STATIC, scope, libc::RTN_LOCAL][..], &[0; 4]];
    let mut message = Message::new(libc::RTM_NEWROUTE, CREATE, &body.concat());
    message.attribute(libc::RTA_TABLE, &table.to_ne_bytes()).attribute(libc::RTA_OIF, &LOOPBACK.to_ne_bytes());
    if let Some(source) = source {
        message.attribute(libc::RTA_PREFSRC, &octets(source));
    }
    message.ask("RTM_NEWROUTE", "local default")
}

/// Makes packets with `mark` use `table` before the main one.
pub(crate) fn add_rule_for_mark(table: u32, any: IpAddr, mark: u32) -> Result<(), SysError> {
    let mut message = rule(table, any);
    message.attribute(FRA_FWMARK, &mark.to_ne_bytes());
    message.ask("RTM_NEWRULE", "fwmark")
}

/// Makes datagrams that this namespace sends from `port` use `table` before the main one.
pub(crate) fn add_rule_for_udp_source(table: u32, any: IpAddr, port: u16) -> Result<(), SysError> {
    let mut message = rule(table, any);
    let range = [port.to_ne_bytes(), port.to_ne_bytes()].concat();
    message.attribute(FRA_IIFNAME, b"lo\0").attribute(FRA_IP_PROTO, &[libc::IPPROTO_UDP as u8]);
    message.attribute(FRA_SPORT_RANGE, &range);
    message.ask("RTM_NEWRULE", "udp source port")
}

/// Before the main table (32766), behind the local one (0).
const PRIORITY: u32 = 100;

fn rule(table: u32, any: IpAddr) -> Message {
    // struct fib_rule_hdr: family, destination and source bits, tos, table, two reserved, action, flags
    let body = [&[family(any), 0, 0, 0, libc::RT_TABLE_UNSPEC, 0, 0, FR_ACT_TO_TBL][..], &[0; 4]].concat();
    let mut message = Message::new(libc::RTM_NEWRULE, CREATE, &body);
    message.attribute(FRA_PRIORITY, &PRIORITY.to_ne_bytes()).attribute(FRA_TABLE, &table.to_ne_bytes());
    message
}

const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;

// linux/fib_rules.h
const FR_ACT_TO_TBL: u8 = 1;
const FRA_IIFNAME: u16 = 3;
const FRA_PRIORITY: u16 = 6;
const FRA_FWMARK: u16 = 10;
const FRA_TABLE: u16 = 15;
const FRA_IP_PROTO: u16 = 22;
const FRA_SPORT_RANGE: u16 = 23;

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { libc::AF_INET as u8 } else { libc::AF_INET6 as u8 }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// `struct nlmsghdr`, the body of its type, attributes.
struct Message(Vec<u8>);

const HEADER: usize = 16;

impl Message {
    fn new(kind: u16, flags: u16, body: &[u8]) -> Self {
        let flags = flags | (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
        let header = [&[0; 4][..], &kind.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 8]];
        Self([&header.concat(), body].concat())
    }

    fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.0.extend(((4 + value.len()) as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// Sends the message, and waits for the kernel's answer.
    fn ask(mut self, call: &'static str, subject: &str) -> Result<(), SysError> {
        let length = (self.0.len() as u32).to_ne_bytes();
        self.0[..4].copy_from_slice(&length);
        let kernel = socket().on("socket", "AF_NETLINK")?;
        rustix::net::send(&kernel, &self.0, SendFlags::empty()).on(call, subject)?;
        let mut answer = [0; 1024];
        let (_, length) = rustix::net::recv(&kernel, &mut answer, RecvFlags::empty()).on(call, subject)?;
        // struct nlmsgerr: zero, or a negated errno
        let errno = answer.get(HEADER..HEADER + 4).filter(|_| length >= HEADER + 4);
        match errno.and_then(|bytes| bytes.try_into().ok()).map_or(-libc::EPROTO, i32::from_ne_bytes) {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(-error)).on(call, subject),
        }
    }
}

fn socket() -> rustix::io::Result<OwnedFd> {
    // NETLINK_ROUTE is protocol 0.
    rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
}
