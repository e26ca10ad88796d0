//! The packets of a container, as far as they are not a matter of the TCP stack: what they are, and the answers to them.

use smoltcp::wire::{Icmpv4Packet, IpProtocol, Ipv4Packet, Ipv6Packet, TcpPacket, UdpPacket};
use std::net::{IpAddr, SocketAddr};

/// The two ends of what a container talks to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pair {
    pub inside: SocketAddr,
    pub outside: SocketAddr,
}

/// A packet that a container has sent.
pub enum Packet<'a> {
    Segment {
        pair: Pair,
        /// It asks for a new connection.
        is_first: bool,
    },
    Datagram {
        pair: Pair,
        payload: &'a [u8],
        /// The sender wants to know if it does not fit on the way.
        is_whole: bool,
    },
    /// An echo request: an ICMP message of 8 bytes and its data.
    Echo { inside: IpAddr, outside: IpAddr, identifier: u16, message: &'a [u8] },
}

const ECHO_REQUEST: [u8; 2] = [8, 128];
const ECHO_REPLY: [u8; 2] = [0, 129];

impl<'a> Packet<'a> {
    /// Reads a packet. `None`: it is none that leads anywhere.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (inside, outside, protocol, body, is_whole) = match bytes.first()? >> 4 {
            4 => {
                let packet = Ipv4Packet::new_checked(bytes).ok()?;
                if packet.more_frags() || packet.frag_offset() != 0 {
                    return None;
                }
                let (source, target) = (packet.src_addr(), packet.dst_addr());
                (source.into(), target.into(), packet.next_header(), payload_v4(bytes, &packet)?, packet.dont_frag())
            }
            6 => {
                let packet = Ipv6Packet::new_checked(bytes).ok()?;
                let body = bytes.get(packet.header_len()..packet.total_len())?;
                (packet.src_addr().into(), packet.dst_addr().into(), packet.next_header(), body, true)
            }
            _ => return None,
        };
        match protocol {
            IpProtocol::Tcp => {
                let segment = TcpPacket::new_checked(body).ok()?;
                let pair = pair((inside, segment.src_port()), (outside, segment.dst_port()))?;
                Some(Self::Segment { pair, is_first: segment.syn() && !segment.ack() && !segment.rst() })
            }
            IpProtocol::Udp => {
                let datagram = UdpPacket::new_checked(body).ok()?;
                let pair = pair((inside, datagram.src_port()), (outside, datagram.dst_port()))?;
                Some(Self::Datagram { pair, payload: body.get(8..usize::from(datagram.len()))?, is_whole })
            }
            IpProtocol::Icmp | IpProtocol::Icmpv6 => {
                let message = Icmpv4Packet::new_checked(body).ok()?.into_inner();
                let family = usize::from(protocol == IpProtocol::Icmpv6);
                if message.first() != ECHO_REQUEST.get(family) || message.get(1) != Some(&0) {
                    return None;
                }
                let identifier = u16::from_be_bytes(message.get(4..6)?.try_into().ok()?);
                Some(Self::Echo { inside, outside, identifier, message })
            }
            _ => None,
        }
    }

    /// Returns where it goes.
    pub fn outside(&self) -> IpAddr {
        match self {
            Self::Segment { pair, .. } | Self::Datagram { pair, .. } => pair.outside.ip(),
            Self::Echo { outside, .. } => *outside,
        }
    }
}

fn payload_v4<'a>(bytes: &'a [u8], packet: &Ipv4Packet<&[u8]>) -> Option<&'a [u8]> {
    bytes.get(usize::from(packet.header_len())..usize::from(packet.total_len()))
}

fn pair(inside: (IpAddr, u16), outside: (IpAddr, u16)) -> Option<Pair> {
    (inside.1 != 0 && outside.1 != 0).then(|| Pair { inside: inside.into(), outside: outside.into() })
}

/// Why a packet goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Network,
    Host,
    Port,
    Forbidden,
    /// It is longer than this on its way.
    TooBig(u16),
}

impl Refusal {
    /// Returns what the host's kernel meant by the error of a call.
    pub(crate) fn of(error: rustix::io::Errno) -> Option<Self> {
        use rustix::io::Errno;
        match error {
            Errno::NETUNREACH | Errno::ADDRNOTAVAIL | Errno::AFNOSUPPORT => Some(Self::Network),
            Errno::HOSTUNREACH | Errno::HOSTDOWN => Some(Self::Host),
            Errno::CONNREFUSED => Some(Self::Port),
            Errno::ACCESS | Errno::PERM => Some(Self::Forbidden),
            _ => None,
        }
    }

    /// Returns type, code and the number that follows, of ICMP (RFC 792, 1191) and ICMPv6 (RFC 4443).
    fn numbers(self, is_v4: bool) -> (u8, u8, u32) {
        match (self, is_v4) {
            (Self::Network, true) => (3, 0, 0),
            (Self::Host, true) => (3, 1, 0),
            (Self::Port, true) => (3, 3, 0),
            (Self::Forbidden, true) => (3, 13, 0),
            (Self::TooBig(mtu), true) => (3, 4, mtu.into()),
            (Self::Network, false) => (1, 0, 0),
            (Self::Host, false) => (1, 3, 0),
            (Self::Port, false) => (1, 4, 0),
            (Self::Forbidden, false) => (1, 1, 0),
            (Self::TooBig(mtu), false) => (2, 0, mtu.into()),
        }
    }
}

/// The most bytes of a packet that its refusal repeats: a refusal fits into 576 bytes.
const REPEATED: usize = 520;

/// Writes the ICMP message that refuses `packet`, as from where that was going. Returns `false` if it is no IP packet.
pub fn write_refusal(buffer: &mut Vec<u8>, packet: &[u8], refusal: Refusal) -> bool {
    let ends = match packet.first().map(|first| first >> 4) {
        Some(4) => Ipv4Packet::new_checked(packet).ok().map(|p| (p.dst_addr().into(), p.src_addr().into())),
        Some(6) => Ipv6Packet::new_checked(packet).ok().map(|p| (p.dst_addr().into(), p.src_addr().into())),
        _ => None,
    };
    let Some((from, to)) = ends else { return false };
    let (kind, code, number) = refusal.numbers(IpAddr::is_ipv4(&from));
    let protocol = if from.is_ipv4() { ICMP } else { ICMPV6 };
    write(buffer, from, to, protocol, 2, |body| {
        body.extend([kind, code, 0, 0]);
        body.extend(number.to_be_bytes());
        body.extend(packet.iter().take(REPEATED));
    });
    true
}

/// Writes a datagram.
pub(crate) fn write_datagram(buffer: &mut Vec<u8>, from: SocketAddr, to: SocketAddr, payload: &[u8]) {
    let length = u16::try_from(payload.len() + 8).unwrap_or(u16::MAX);
    write(buffer, from.ip(), to.ip(), UDP, 6, |body| {
        for number in [from.port(), to.port(), length, 0] {
            body.extend(number.to_be_bytes());
        }
        body.extend(payload);
    });
}

/// Writes the answer to an echo request: `message` as the host's kernel has it, with the asker's identifier.
pub(crate) fn write_echo_reply(buffer: &mut Vec<u8>, from: IpAddr, to: IpAddr, identifier: u16, message: &[u8]) {
    let (protocol, family) = if from.is_ipv4() { (ICMP, 0) } else { (ICMPV6, 1) };
    write(buffer, from, to, protocol, 2, |body| {
        body.extend([ECHO_REPLY.get(family).copied().unwrap_or_default(), 0, 0, 0]);
        body.extend(identifier.to_be_bytes());
        body.extend(message.iter().skip(6));
    });
}

/// Returns whether it is an answer to an echo request.
pub(crate) fn is_echo_reply(message: &[u8], is_v4: bool) -> bool {
    message.len() >= 8 && message.first() == ECHO_REPLY.get(usize::from(!is_v4))
}

const ICMP: u8 = 1;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// Writes a packet, whose body has its checksum at an offset.
fn write(
    buffer: &mut Vec<u8>,
    from: IpAddr,
    to: IpAddr,
    protocol: u8,
    checksum_at: usize,
    body: impl FnOnce(&mut Vec<u8>),
) {
    buffer.clear();
    let header = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            // Version and length, service, total length, identification, flags (don't fragment), time to live.
            buffer.extend([0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0]);
            buffer.extend(from.octets());
            buffer.extend(to.octets());
            20
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            buffer.extend([0x60, 0, 0, 0, 0, 0, protocol, 64]);
            buffer.extend(from.octets());
            buffer.extend(to.octets());
            40
        }
        _ => return,
    };
    body(buffer);
    let length = buffer.len();
    let mut sum = sum(buffer.get(header..).unwrap_or_default());
    if protocol != ICMP {
        // The pseudo-header (RFC 768, RFC 8200 section 8.1).
        let addresses = if header == 20 { 12..20 } else { 8..40 };
        sum += self::sum(buffer.get(addresses).unwrap_or_default()) + u32::from(protocol) + (length - header) as u32;
    }
    let checksum = match fold(sum) {
        // Zero would mean that there is none (RFC 768).
        0 if protocol == UDP => u16::MAX,
        checksum => checksum,
    };
    put(buffer, header + checksum_at, checksum);
    if header == 20 {
        put(buffer, 2, length as u16);
        let sum = self::sum(buffer.get(..header).unwrap_or_default());
        put(buffer, 10, fold(sum));
    } else {
        put(buffer, 4, (length - header) as u16);
    }
}

fn put(buffer: &mut [u8], at: usize, number: u16) {
    if let Some(place) = buffer.get_mut(at..at + 2) {
        place.copy_from_slice(&number.to_be_bytes());
    }
}

/// Returns the sum of the words of at most 64 KiB (RFC 1071).
fn sum(bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<2>();
    let last = rest.first().map_or(0, |byte| u32::from(*byte) << 8);
    words.iter().map(|word| u32::from(u16::from_be_bytes(*word))).sum::<u32>() + last
}

fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    !(((once & 0xffff) + (once >> 16)) as u16)
}
