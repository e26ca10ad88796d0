//! rtnetlink(7): the few messages that give a network namespace its loopback device, addresses, routes and rules.

use super::{On, SysError};
use ipnet::IpNet;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// `lo` has this index in every network namespace.
pub(crate) const LOOPBACK: u32 = 1;

/// Returns the index of a device in the network namespace of this process.
pub(crate) fn index(name: &str) -> Result<u32, SysError> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None).on("socket", "AF_INET")?;
    index_by(&socket, name)
}

/// Returns the index of a device in the network namespace in which a socket was made.
pub(crate) fn index_by(socket: impl AsFd, name: &str) -> Result<u32, SysError> {
    rustix::net::netdevice::name_to_index(socket, name).on("SIOCGIFINDEX", name)
}

/// Sets the loopback device up.
pub(crate) fn loopback_up() -> Result<(), SysError> {
    let mut batch = Batch::default();
    batch.set_up(LOOPBACK, None);
    batch.send()
}

/// Before the main table (32766), behind the local one (0).
const PRIORITY: u32 = 100;

fn rule(table: u32, any: IpAddr, priority: u32) -> Message {
    // struct fib_rule_hdr: family, destination and source bits, tos, table, two reserved, action, flags
    let body = [&[family(any), 0, 0, 0, libc::RT_TABLE_UNSPEC, 0, 0, FR_ACT_TO_TBL][..], &[0; 4]].concat();
    let mut message = Message::new(libc::RTM_NEWRULE, CREATE, &body);
    message.attribute(FRA_PRIORITY, &priority.to_ne_bytes()).attribute(FRA_TABLE, &table.to_ne_bytes());
    message
}

const CREATE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;

// linux/fib_rules.h
const FR_ACT_TO_TBL: u8 = 1;
const FRA_DST: u16 = 1;
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

    /// Encloses what `fill` adds in an attribute.
    fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let begin = self.0.len();
        self.0.extend([0; 4]);
        fill(self);
        let length = (self.0.len() - begin) as u16;
        self.0[begin..begin + 2].copy_from_slice(&length.to_ne_bytes());
        self.0[begin + 2..begin + 4].copy_from_slice(&kind.to_ne_bytes());
        self
    }
}

/// Messages that go to the kernel together, which carries them out in their order.
#[derive(Default)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    asked: Vec<(&'static str, String)>,
}

impl Batch {
    fn add(&mut self, message: Message, call: &'static str, subject: String) {
        let mut bytes = message.0;
        let length = (bytes.len() as u32).to_ne_bytes();
        bytes[..4].copy_from_slice(&length);
        self.bytes.extend(bytes);
        self.asked.push((call, subject));
    }

    /// Sends all, and waits for the answers. Returns the first refusal; what follows it is carried out all the same.
    pub(crate) fn send(self) -> Result<(), SysError> {
        self.send_by(&socket().on("socket", "AF_NETLINK")?)
    }

    /// Sends all by a socket, whose network namespace is meant.
    pub(crate) fn send_by(self, kernel: &OwnedFd) -> Result<(), SysError> {
        rustix::net::send(kernel, &self.bytes, SendFlags::empty()).on("sendto", "AF_NETLINK")?;
        let mut answer = [0; 4096];
        let mut result = Ok(());
        for (call, subject) in self.asked {
            let (_, length) = rustix::net::recv(kernel, &mut answer, RecvFlags::empty()).on(call, &subject)?;
            // struct nlmsgerr: zero, or a negated errno. What was asked for and is no error comes as a message of its own.
            let is_answer = answer.get(4..6) != Some(&(libc::NLMSG_ERROR as u16).to_ne_bytes());
            let errno = answer.get(HEADER..HEADER + 4).filter(|_| length >= HEADER + 4);
            let errno = errno.and_then(|bytes| bytes.try_into().ok()).map_or(-libc::EPROTO, i32::from_ne_bytes);
            if !is_answer && errno != 0 && result.is_ok() {
                result = Err(io::Error::from_raw_os_error(-errno)).on(call, subject);
            }
        }
        result
    }

    /// Makes a pair of devices: one here, which is up, its peer in another network namespace.
    pub(crate) fn add_pair(&mut self, here: &Device, there: &Device, namespace: BorrowedFd) {
        let mut message = Message::new(libc::RTM_NEWLINK, CREATE, &up(0));
        message.describe(here);
        message.nest(libc::IFLA_LINKINFO, |message| {
            message.attribute(libc::IFLA_INFO_KIND, b"veth").nest(libc::IFLA_INFO_DATA, |message| {
                message.nest(VETH_INFO_PEER, |message| {
                    // It cannot be up before it has its peer.
                    message.0.extend([0; 16]);
                    message.describe(there);
                    message.attribute(libc::IFLA_NET_NS_FD, &(namespace.as_raw_fd() as u32).to_ne_bytes());
                });
            });
        });
        self.add(message, "RTM_NEWLINK", here.name.clone());
    }

    /// Sets a device up.
    pub(crate) fn set_up(&mut self, device: u32, mtu: Option<u32>) {
        let mut message = Message::new(libc::RTM_NEWLINK, 0, &up(device));
        if let Some(mtu) = mtu {
            message.attribute(libc::IFLA_MTU, &mtu.to_ne_bytes());
        }
        self.add(message, "RTM_NEWLINK", "up".into());
    }

    /// Makes a bridge that is up.
    pub(crate) fn add_bridge(&mut self, device: &Device) {
        let mut message = Message::new(libc::RTM_NEWLINK, CREATE, &up(0));
        message.describe(device);
        message.nest(libc::IFLA_LINKINFO, |message| {
            message.attribute(libc::IFLA_INFO_KIND, b"bridge");
        });
        self.add(message, "RTM_NEWLINK", device.name.clone());
    }

    /// Makes a device a port of a bridge.
    pub(crate) fn set_master(&mut self, device: u32, bridge: u32) {
        let mut message = Message::new(libc::RTM_NEWLINK, 0, &up(device));
        message.attribute(libc::IFLA_MASTER, &bridge.to_ne_bytes());
        self.add(message, "RTM_NEWLINK", "master".into());
    }

    /// Removes a device, and its peer with it.
    pub(crate) fn remove_device(&mut self, device: u32) {
        let body = [&[0; 4][..], &device.to_ne_bytes(), &[0; 8]].concat();
        self.add(Message::new(libc::RTM_DELLINK, 0, &body), "RTM_DELLINK", String::new());
    }

    /// Asks for the state of a device: the kernel brings it up to date, which it would do at leisure.
    pub(crate) fn settle(&mut self, device: u32) {
        let body = [&[0; 4][..], &device.to_ne_bytes(), &[0; 8]].concat();
        let mut message = Message::new(libc::RTM_GETLINK, 0, &body);
        // The answer is the confirmation.
        message.0[6..8].copy_from_slice(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
        self.add(message, "RTM_GETLINK", String::new());
    }

    /// Gives a device an address, usable at once.
    pub(crate) fn add_address(&mut self, device: u32, address: IpAddr, bits: u8) {
        // struct ifaddrmsg: family, prefix length, flags, scope, index
        let body = [&[family(address), bits, libc::IFA_F_NODAD as u8, 0][..], &device.to_ne_bytes()].concat();
        let mut message = Message::new(libc::RTM_NEWADDR, CREATE, &body);
        message.attribute(libc::IFA_LOCAL, &octets(address)).attribute(libc::IFA_ADDRESS, &octets(address));
        self.add(message, "RTM_NEWADDR", address.to_string());
    }

    /// Adds the default route, through `gateway`, which the addresses of a device must reach.
    pub(crate) fn add_default_route(&mut self, gateway: IpAddr) {
        let (table, scope) = (libc::RT_TABLE_MAIN, libc::RT_SCOPE_UNIVERSE);
        let body = [&[family(gateway), 0, 0, 0, table, libc::RTPROT_STATIC, scope, libc::RTN_UNICAST][..], &[0; 4]];
        let mut message = Message::new(libc::RTM_NEWROUTE, CREATE, &body.concat());
        message.attribute(libc::RTA_GATEWAY, &octets(gateway));
        self.add(message, "RTM_NEWROUTE", "default".into());
    }

    /// Delivers everything that looks up `table` to this namespace itself. `source`: the address that answers bear when
    /// their sender has not chosen one.
    pub(crate) fn add_local_route(&mut self, table: u32, any: IpAddr, source: Option<IpAddr>) {
        let scope = if any.is_ipv4() { libc::RT_SCOPE_HOST } else { libc::RT_SCOPE_UNIVERSE };
        let (unspecified, protocol) = (libc::RT_TABLE_UNSPEC, libc::RTPROT_STATIC);
        // struct rtmsg: family, destination and source bits, tos, table, protocol, scope, type, flags
        let body = [&[family(any), 0, 0, 0, unspecified, protocol, scope, libc::RTN_LOCAL][..], &[0; 4]].concat();
        let mut message = Message::new(libc::RTM_NEWROUTE, CREATE, &body);
        message.attribute(libc::RTA_TABLE, &table.to_ne_bytes()).attribute(libc::RTA_OIF, &LOOPBACK.to_ne_bytes());
        if let Some(source) = source {
            message.attribute(libc::RTA_PREFSRC, &octets(source));
        }
        self.add(message, "RTM_NEWROUTE", "local default".into());
    }

    /// Makes packets with `mark` use `table` before the main one.
    pub(crate) fn add_rule_for_mark(&mut self, table: u32, any: IpAddr, mark: u32) {
        let mut message = rule(table, any, PRIORITY);
        message.attribute(FRA_FWMARK, &mark.to_ne_bytes());
        self.add(message, "RTM_NEWRULE", "fwmark".into());
    }

    /// Makes datagrams that this namespace sends from `port` use `table` before the main one.
    pub(crate) fn add_rule_for_udp_source(&mut self, table: u32, any: IpAddr, port: u16) {
        let mut message = rule(table, any, PRIORITY);
        let range = [port.to_ne_bytes(), port.to_ne_bytes()].concat();
        message.attribute(FRA_IIFNAME, b"lo\0").attribute(FRA_IP_PROTO, &[libc::IPPROTO_UDP as u8]);
        message.attribute(FRA_SPORT_RANGE, &range);
        self.add(message, "RTM_NEWRULE", "udp source port".into());
    }

    /// Leads what goes to `target` to a device, in place of a route that leads it elsewhere. `gateway`: the next hop.
    pub(crate) fn set_route(&mut self, target: IpNet, device: u32, gateway: Option<IpAddr>) {
        let scope = if gateway.is_some() { libc::RT_SCOPE_UNIVERSE } else { libc::RT_SCOPE_LINK };
        let (protocol, kind) = (libc::RTPROT_STATIC, libc::RTN_UNICAST);
        let (family, bits) = (family(target.addr()), target.prefix_len());
        let body = [family, bits, 0, 0, libc::RT_TABLE_MAIN, protocol, scope, kind];
        let flags = if gateway.is_some() { RTNH_F_ONLINK } else { 0 };
        let mut message = Message::new(libc::RTM_NEWROUTE, REPLACE, &[&body[..], &flags.to_ne_bytes()].concat());
        message.attribute(libc::RTA_DST, &octets(target.network())).attribute(libc::RTA_OIF, &device.to_ne_bytes());
        if let Some(gateway) = gateway {
            message.attribute(libc::RTA_GATEWAY, &octets(gateway));
        }
        self.add(message, "RTM_NEWROUTE", target.to_string());
    }

    /// Notes for good which hardware address a neighbour has, so that nobody asks.
    pub(crate) fn set_neighbour(&mut self, address: IpAddr, device: u32, hardware: [u8; 6]) {
        // struct ndmsg: family, three bytes and two of padding, index, state, flags, type
        let body = [&[family(address), 0, 0, 0][..], &device.to_ne_bytes(), &NUD_PERMANENT.to_ne_bytes(), &[0, 0]];
        let mut message = Message::new(libc::RTM_NEWNEIGH, REPLACE, &body.concat());
        message.attribute(NDA_DST, &octets(address)).attribute(NDA_LLADDR, &hardware);
        self.add(message, "RTM_NEWNEIGH", address.to_string());
    }

    /// Makes packets to `target` use the main table, before the rules of other functions.
    pub(crate) fn add_rule_for_target(&mut self, target: IpNet) {
        let mut message = rule(libc::RT_TABLE_MAIN.into(), target.addr(), PRIORITY - 1);
        // The second byte of struct fib_rule_hdr is the length of the destination's prefix.
        message.0[HEADER + 1] = target.prefix_len();
        message.attribute(FRA_DST, &octets(target.network()));
        self.add(message, "RTM_NEWRULE", target.to_string());
    }
}

/// The name and the hardware address of a device that is made.
pub(crate) struct Device {
    pub name: String,
    pub hardware: Option<[u8; 6]>,
}

impl Message {
    fn describe(&mut self, device: &Device) {
        self.attribute(libc::IFLA_IFNAME, &[device.name.as_bytes(), &[0]].concat());
        if let Some(hardware) = device.hardware {
            self.attribute(libc::IFLA_ADDRESS, &hardware);
        }
    }
}

/// Returns the struct ifinfomsg that sets a device up: family, type, index, flags, mask of the flags to change.
fn up(device: u32) -> Vec<u8> {
    let up = (libc::IFF_UP as u32).to_ne_bytes();
    [&[0; 4][..], &device.to_ne_bytes(), &up, &up].concat()
}

const REPLACE: u16 = (libc::NLM_F_CREATE | libc::NLM_F_REPLACE) as u16;

// linux/veth.h, linux/neighbour.h, linux/rtnetlink.h
const VETH_INFO_PEER: u16 = 1;
const NDA_DST: u16 = 1;
const NDA_LLADDR: u16 = 2;
const NUD_PERMANENT: u16 = 0x80;
const RTNH_F_ONLINK: u32 = 4;

/// Opens a conversation with the network namespace of this process.
pub(crate) fn socket() -> rustix::io::Result<OwnedFd> {
    // NETLINK_ROUTE is protocol 0.
    rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
}
