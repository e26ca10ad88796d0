//! Published ports: what `-p` says, and the sockets that listen for it in the host's namespace.

use crate::diag::{Diagnose, ErrorCode};
use crate::sys::{SysError, inet, socket};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// Of this host; `None` before it is opened means all, IPv4 and IPv6.
    pub host_ip: Option<IpAddr>,
    /// 0 before it is opened means one that is free.
    pub host_port: u16,
    pub container_port: u16,
    pub protocol: Protocol,
}

#[derive(Debug, thiserror::Error)]
pub enum PortError {
    #[error("-p {text}: {why}")]
    Syntax { text: String, why: String },
    #[error("port {} of this host is for root: ports below {first} are privileged", spec.host_port)]
    Privileged { spec: PortSpec, first: u16 },
    #[error("port {} of this host is taken{}", address.port(), by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default())]
    Taken { spec: PortSpec, address: SocketAddr, by: Option<String> },
    #[error("{0} published ports are more than one container can have")]
    TooMany(usize),
    #[error("this host has no address {0}")]
    NoSuchAddress(IpAddr),
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: SysError,
    },
}

impl Diagnose for PortError {
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Taken { .. } => Some(ErrorCode::PortTaken),
            Self::Privileged { .. } => Some(ErrorCode::PortPrivileged),
            _ => self.inner().and_then(Diagnose::code),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Syntax { .. } => {
                Some("the forms: -p 8080:80, -p 127.0.0.1:8080:80, -p [::1]:8080:80, -p 53:53/udp, -p 8000-8010:80-90, -p 80".into())
            }
            Self::Privileged { spec, .. } => Some(format!(
                "take a higher one:                -p {}\n\
                 or let everybody have it, as root: sysctl -w net.ipv4.ip_unprivileged_port_start={}",
                typed(spec, 8000 + spec.host_port),
                spec.host_port
            )),
            Self::Taken { spec, .. } => {
                Some(format!("take another one: -p {}", typed(spec, spec.host_port.checked_add(1).unwrap_or(8080))))
            }
            Self::TooMany(_) => Some("all of them, without -p: --network host".into()),
            Self::NoSuchAddress(_) => Some("its addresses: ip address".into()),
            Self::Listen { .. } => None,
        }
    }
}

/// Returns the argument of `-p` that publishes the same on another port of the host.
fn typed(spec: &PortSpec, host_port: u16) -> String {
    let ip = match spec.host_ip {
        Some(IpAddr::V6(ip)) => format!("[{ip}]:"),
        Some(IpAddr::V4(ip)) => format!("{ip}:"),
        None => String::new(),
    };
    let protocol = if spec.protocol == Protocol::Udp { "/udp" } else { "" };
    format!("{ip}{host_port}:{}{protocol}", spec.container_port)
}

/// The ports of one `-p`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Published(pub Vec<PortSpec>);

impl std::str::FromStr for Published {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        parse(text).map(Self)
    }
}

/// Parses the argument of `-p`: `[[IP:][HOST]:]CONTAINER[/PROTOCOL]`, where ports may be ranges.
pub(crate) fn parse(text: &str) -> Result<Vec<PortSpec>, PortError> {
    let wrong = |why: &str| PortError::Syntax { text: text.into(), why: why.into() };
    let (rest, protocol) = match text.split_once('/') {
        None => (text, Protocol::Tcp),
        Some((rest, protocol)) => match protocol.to_ascii_lowercase().as_str() {
            "tcp" => (rest, Protocol::Tcp),
            "udp" => (rest, Protocol::Udp),
            "sctp" => return Err(wrong("sctp cannot be published, only tcp and udp")),
            other => return Err(wrong(&format!("unknown protocol {other:?}: only tcp and udp can be published"))),
        },
    };
    let (rest, container) = rest.rsplit_once(':').unwrap_or(("", rest));
    let (ip, host) = match rest.rsplit_once(':') {
        // The colons of an address in brackets separate nothing.
        Some(_) if rest.ends_with(']') => (rest, ""),
        Some(parts) => parts,
        None => ("", rest),
    };
    let host_ip = match ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')) {
        Some(v6) => Some(IpAddr::V6(v6.parse().map_err(|_| wrong(&format!("invalid IPv6 address {v6:?}")))?)),
        None if ip.is_empty() => None,
        None if ip.contains(':') => return Err(wrong("an IPv6 address stands in brackets: [::1]:8080:80")),
        None => Some(IpAddr::V4(ip.parse().map_err(|_| wrong(&format!("invalid address {ip:?}")))?)),
    };
    let containers = range(container).ok_or_else(|| wrong(&format!("invalid port {container:?}")))?;
    let hosts = match host {
        "" => None,
        _ => Some(range(host).ok_or_else(|| wrong(&format!("invalid port {host:?}")))?),
    };
    if hosts.as_ref().is_some_and(|hosts| hosts.len() != containers.len()) {
        return Err(wrong("the two ranges differ in length"));
    }
    let host_ports = hosts.into_iter().flatten().map(Some).chain(std::iter::repeat(None));
    let pairs = containers.zip(host_ports);
    let spec = |(container_port, host_port): (u16, Option<u16>)| PortSpec {
        host_ip,
        host_port: host_port.unwrap_or(0),
        container_port,
        protocol,
    };
    Ok(pairs.map(spec).collect())
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let port = |text: &str| text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    let (first, last) = match text.split_once('-') {
        Some((first, last)) => (port(first)?, port(last)?),
        None => (port(text)?, port(text)?),
    };
    (0 < first && first <= last).then_some(first..=last)
}

/// A socket that listens in the namespace where it was opened, whoever holds it.
pub(crate) struct Listener {
    spec: PortSpec,
    socket: OwnedFd,
}

impl Listener {
    pub(crate) fn from_parts(spec: PortSpec, socket: OwnedFd) -> Self {
        Self { spec, socket }
    }

    pub(crate) fn spec(&self) -> &PortSpec {
        &self.spec
    }

    pub(crate) fn into_fd(self) -> OwnedFd {
        self.socket
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Opens all listeners, or none. Their specs have the actual address and port.
pub(crate) fn open(specs: &[PortSpec]) -> Result<Vec<Listener>, PortError> {
    let mut listeners = Vec::new();
    for spec in specs {
        match spec.host_ip {
            Some(ip) => listeners.push(listen(spec, ip)?),
            None => {
                let v4 = listen(spec, Ipv4Addr::UNSPECIFIED.into())?;
                let same_port = PortSpec { host_port: v4.spec.host_port, ..spec.clone() };
                match listen(&same_port, Ipv6Addr::UNSPECIFIED.into()) {
                    Ok(v6) => listeners.extend([v4, v6]),
                    // A host without IPv6, or a free port that is free for IPv4 only.
                    Err(PortError::Listen { .. } | PortError::NoSuchAddress(_)) => listeners.push(v4),
                    Err(PortError::Taken { .. }) if spec.host_port == 0 => listeners.push(v4),
                    Err(error) => return Err(error),
                }
            }
        }
    }
    // All of them ride along with one message, and so does what it is about.
    if listeners.len() >= socket::DESCRIPTORS { Err(PortError::TooMany(specs.len())) } else { Ok(listeners) }
}

fn listen(spec: &PortSpec, ip: IpAddr) -> Result<Listener, PortError> {
    let address = SocketAddr::new(ip, spec.host_port);
    let socket = match bound(spec.protocol, address) {
        Ok(socket) => socket,
        Err(error) => return Err(explain(spec, address, error)),
    };
    let own = rustix::net::getsockname(&socket).and_then(SocketAddr::try_from);
    let own = own.map_err(|e| PortError::Listen { address, source: at("getsockname", address, e.into()) })?;
    Ok(Listener { spec: PortSpec { host_ip: Some(ip), host_port: own.port(), ..spec.clone() }, socket })
}

fn bound(protocol: Protocol, address: SocketAddr) -> io::Result<OwnedFd> {
    let (family, is_v4) = if address.is_ipv4() { (AddressFamily::INET, true) } else { (AddressFamily::INET6, false) };
    let kind = if protocol == Protocol::Tcp { SocketType::STREAM } else { SocketType::DGRAM };
    let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, None)?;
    if !is_v4 {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if protocol == Protocol::Udp {
        inet::set_packet_info(&socket, is_v4)?;
        rustix::net::bind(&socket, &address)?;
        return Ok(socket);
    }
    sockopt::set_socket_reuseaddr(&socket, true)?;
    // Accepted connections inherit these.
    sockopt::set_tcp_nodelay(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(socket)
}

/// The kernel takes net.core.somaxconn where that is less.
const BACKLOG: i32 = 4096;

fn explain(spec: &PortSpec, address: SocketAddr, error: io::Error) -> PortError {
    let spec = spec.clone();
    match error.raw_os_error() {
        Some(libc::EACCES) => PortError::Privileged { spec, first: first_unprivileged() },
        Some(libc::EADDRINUSE) => PortError::Taken { by: holder(spec.protocol, address), spec, address },
        Some(libc::EADDRNOTAVAIL) => PortError::NoSuchAddress(address.ip()),
        _ => PortError::Listen { address, source: at("bind", address, error) },
    }
}

fn at(call: &'static str, address: SocketAddr, error: io::Error) -> SysError {
    SysError { call, subject: address.to_string(), errno: error.raw_os_error().unwrap_or(libc::EIO) }
}

/// The first port that an ordinary user may open.
pub(crate) fn first_unprivileged() -> u16 {
    let sysctl = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    sysctl.ok().and_then(|text| text.trim().parse().ok()).unwrap_or(1024)
}

/// Returns the name of the process that listens on a port, if /proc shows it to this user.
fn holder(protocol: Protocol, address: SocketAddr) -> Option<String> {
    let sockets: Vec<String> = ["", "6"].iter().flat_map(|six| inodes(&format!("{protocol}{six}"), address)).collect();
    for process in fs::read_dir("/proc").ok()?.flatten() {
        let path = process.path();
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let descriptors = fs::read_dir(path.join("fd")).into_iter().flatten().flatten();
        let mut links = descriptors.filter_map(|fd| fs::read_link(fd.path()).ok());
        if !links.any(|link| sockets.iter().any(|socket| link.as_os_str() == socket.as_str())) {
            continue;
        }
        if pid == std::process::id() {
            return Some("another -p of this command".into());
        }
        let command = fs::read(path.join("cmdline")).unwrap_or_default();
        let mut words = command.split(|b| *b == 0).map(String::from_utf8_lossy);
        return Some(match (words.next(), words.next()) {
            (Some(first), Some(name)) if first == MONITOR => format!("container {name}"),
            _ => {
                let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
                format!("{} (process {pid})", name.trim())
            }
        });
    }
    None
}

/// The first word of a monitor's command line; the container's name is the second.
const MONITOR: &str = "minirun-monitor";

/// Returns the sockets that hold a port in a table of /proc/net, as links in /proc/PID/fd name them.
fn inodes(table: &str, address: SocketAddr) -> Vec<String> {
    const LISTENING: &str = "0A";
    const UNCONNECTED: &str = "07";
    let text = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
    let port = format!(":{:04X}", address.port());
    let found = text.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let holds = fields.get(1)?.ends_with(&port) && [LISTENING, UNCONNECTED].contains(fields.get(3)?);
        holds.then(|| fields.get(9).map(|inode| format!("socket:[{inode}]")))?
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(host_ip: &str, host_port: u16, container_port: u16, protocol: Protocol) -> PortSpec {
        PortSpec { host_ip: host_ip.parse().ok(), host_port, container_port, protocol }
    }

    #[test]
    fn the_forms_of_docker() {
        use Protocol::{Tcp, Udp};
        for (text, expected) in [
            ("80", vec![spec("", 0, 80, Tcp)]),
            ("8080:80", vec![spec("", 8080, 80, Tcp)]),
            ("53:53/udp", vec![spec("", 53, 53, Udp)]),
            ("8080:80/TCP", vec![spec("", 8080, 80, Tcp)]),
            ("127.0.0.1:8080:80", vec![spec("127.0.0.1", 8080, 80, Tcp)]),
            ("127.0.0.1::80", vec![spec("127.0.0.1", 0, 80, Tcp)]),
            ("[::1]:8080:80", vec![spec("::1", 8080, 80, Tcp)]),
            ("[::1]::80", vec![spec("::1", 0, 80, Tcp)]),
            ("8000-8001:80-81", vec![spec("", 8000, 80, Tcp), spec("", 8001, 81, Tcp)]),
            ("80-81", vec![spec("", 0, 80, Tcp), spec("", 0, 81, Tcp)]),
            (":80", vec![spec("", 0, 80, Tcp)]),
        ] {
            assert_eq!(parse(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, why) in [
            ("", "invalid port"),
            ("0", "invalid port"),
            ("8080:", "invalid port"),
            ("+80", "invalid port"),
            ("70000:80", "invalid port \"70000\""),
            ("90-80:90-80", "invalid port"),
            ("8000-8002:80-81", "differ in length"),
            ("8080:80/sctp", "sctp"),
            ("8080:80/tpc", "tpc"),
            ("::1:8080:80", "brackets"),
            ("[::g]:8080:80", "IPv6"),
            ("localhost:8080:80", "localhost"),
        ] {
            let said = parse(text).unwrap_err().to_string();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    #[test]
    fn a_taken_port_names_its_holder() {
        let held = open(&parse("127.0.0.1::80").unwrap()).unwrap();
        let port = held[0].spec().host_port;
        let error = open(&parse(&format!("127.0.0.1:{port}:80")).unwrap()).err().unwrap();
        assert!(error.to_string().contains("another -p of this command"), "{error}");
        assert!(error.hint().unwrap().contains(&format!("-p 127.0.0.1:{}:80", port + 1)));
    }
}
