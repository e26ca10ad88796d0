//! Listening sockets in the network namespace of a process (proc_pid_net(5)).

use crate::network::ports::Protocol;
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Socket {
    pub ip: IpAddr,
    pub port: u16,
    pub protocol: Protocol,
}

impl Socket {
    /// Whether only the container itself can connect: any of 127.0.0.0/8 is loopback, as IPv4 or mapped into IPv6.
    pub(crate) fn is_loopback(&self) -> bool {
        self.ip.to_canonical().is_loopback()
    }
}

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self { ip, port, protocol } = self;
        match ip {
            _ if ip.is_unspecified() => write!(f, "*:{port}/{protocol}"),
            IpAddr::V4(Ipv4Addr::LOCALHOST) | IpAddr::V6(Ipv6Addr::LOCALHOST) => {
                write!(f, "localhost:{port}/{protocol}")
            }
            IpAddr::V4(ip) => write!(f, "{ip}:{port}/{protocol}"),
            IpAddr::V6(ip) => write!(f, "[{ip}]:{port}/{protocol}"),
        }
    }
}

/// Returns the listening TCP sockets and the unconnected UDP sockets.
pub(crate) fn listening(pid: i32) -> Vec<Socket> {
    const TCP_LISTEN: &str = "0A";
    const UDP_UNCONNECTED: &str = "07";
    let mut found = Vec::new();
    for (table, protocol, state) in [
        ("tcp", Protocol::Tcp, TCP_LISTEN),
        ("tcp6", Protocol::Tcp, TCP_LISTEN),
        ("udp", Protocol::Udp, UDP_UNCONNECTED),
        ("udp6", Protocol::Udp, UDP_UNCONNECTED),
    ] {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let [_, local, _, found_state, ..] = fields[..] else { continue };
            if found_state == state
                && let Some((ip, port)) = parse(local)
            {
                found.push(Socket { ip, port, protocol });
            }
        }
    }
    found
}

/// Parses `0100007F:0050`: the address in words of the machine's byte order, and the port.
fn parse(local: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = local.split_once(':')?;
    let word = |at: usize| {
        let digits = address.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let ip = match address.len() {
        8 => IpAddr::from(word(0)?),
        32 => {
            let bytes: Vec<u8> = (0..4).map(word).collect::<Option<Vec<_>>>()?.concat();
            IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?)
        }
        _ => return None,
    };
    Some((ip, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_printed_as_addresses() {
        for (local, told, is_loopback) in [
            ("00000000:0050", "*:80/tcp", false),
            ("0100007F:0050", "localhost:80/tcp", true),
            ("0200007F:0050", "127.0.0.2:80/tcp", true),
            ("6402000A:80", "10.0.2.100:128/tcp", false),
            ("00000000000000000000000000000000:0050", "*:80/tcp", false),
            ("00000000000000000000000001000000:0050", "localhost:80/tcp", true),
            ("0000000000000000FFFF00000100007F:0050", "[::ffff:127.0.0.1]:80/tcp", true),
            ("000080FE00000000FF565A5EFE1E2234:0050", "[fe80::5e5a:56ff:3422:1efe]:80/tcp", false),
        ] {
            let (ip, port) = parse(local).unwrap();
            let socket = Socket { ip, port, protocol: Protocol::Tcp };
            assert_eq!((socket.to_string().as_str(), socket.is_loopback()), (told, is_loopback), "{local}");
        }
        assert_eq!(parse("0100007F"), None);
        assert_eq!(parse("зззз:1"), None);
    }
}
