//! Name resolution without the C library, which would load the host's modules into a static binary:
//! `/etc/hosts`, then the name servers of `/etc/resolv.conf`.

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, Question, RCODE, TYPE};
use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

const PATIENCE: Duration = Duration::from_secs(3);
const ATTEMPTS: usize = 2;
/// The length of the answer's buffer: without EDNS an answer has at most 512 bytes, but some servers send more.
const LONGEST_DATAGRAM: usize = 4096;
/// The most addresses that ureq takes.
const MOST_ADDRESSES: usize = 16;

#[derive(Debug)]
pub(super) struct Dns;

impl Resolver for Dns {
    fn resolve(&self, uri: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
        let mut addresses = self.empty();
        for address in addresses_of(host)?.into_iter().take(MOST_ADDRESSES) {
            addresses.push(SocketAddr::new(address, port));
        }
        if addresses.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(addresses) }
    }
}

/// IPv4 first: a network without IPv6 is more common than one without IPv4.
fn addresses_of(host: &str) -> io::Result<Vec<IpAddr>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    let listed = hosts(&fs::read_to_string("/etc/hosts").unwrap_or_default(), host);
    if !listed.is_empty() {
        return Ok(listed);
    }
    if host == "localhost" || host.ends_with(".localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    let configuration = Configuration::parse(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    let mut failure = None;
    for name in configuration.candidates(host) {
        let mut found = Vec::new();
        for kind in [TYPE::A, TYPE::AAAA] {
            match query(&configuration.servers, &name, kind) {
                Ok(addresses) => found.extend(addresses),
                Err(error) => failure = Some(error),
            }
        }
        if !found.is_empty() {
            return Ok(found);
        }
    }
    failure.map_or_else(|| Ok(Vec::new()), Err)
}

fn hosts(text: &str, host: &str) -> Vec<IpAddr> {
    let line = |line: &str| -> Option<IpAddr> {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|name| name.eq_ignore_ascii_case(host)).then_some(address)
    };
    text.lines().filter_map(line).collect()
}

struct Configuration {
    servers: Vec<SocketAddr>,
    search: Vec<String>,
    dots: usize,
}

impl Configuration {
    fn parse(text: &str) -> Self {
        let mut found = Self { servers: Vec::new(), search: Vec::new(), dots: 1 };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // A link-local server is written with the interface it is on, which a socket address has no name for.
                    let address = words.next().and_then(|a| a.split('%').next()).and_then(|a| a.parse().ok());
                    found.servers.extend(address.map(|address: IpAddr| SocketAddr::new(address, 53)));
                }
                Some("search" | "domain") => found.search = words.map(str::to_owned).collect(),
                Some("options") => {
                    let dots = words.find_map(|o| o.strip_prefix("ndots:")).and_then(|n| n.parse().ok());
                    found.dots = dots.unwrap_or(found.dots);
                }
                _ => {}
            }
        }
        if found.servers.is_empty() {
            found.servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53));
        }
        found
    }

    /// Returns the names to ask for: a host with few dots may be in a search domain.
    fn candidates(&self, host: &str) -> Vec<String> {
        if let Some(whole) = host.strip_suffix('.') {
            return vec![whole.to_owned()];
        }
        let within: Vec<String> =
            self.search.iter().map(|domain| format!("{host}.{}", domain.trim_end_matches('.'))).collect();
        let own = vec![host.to_owned()];
        if host.matches('.').count() >= self.dots { [own, within].concat() } else { [within, own].concat() }
    }
}

fn query(servers: &[SocketAddr], name: &str, kind: TYPE) -> io::Result<Vec<IpAddr>> {
    let mut failure = io::Error::from(io::ErrorKind::TimedOut);
    for server in servers.iter().cycle().take(servers.len() * ATTEMPTS) {
        match ask(*server, name, kind) {
            Ok(addresses) => return Ok(addresses),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn ask(server: SocketAddr, name: &str, kind: TYPE) -> io::Result<Vec<IpAddr>> {
    let mut id = [0; 2];
    rustix::rand::getrandom(&mut id, rustix::rand::GetRandomFlags::empty())?;
    let id = u16::from_ne_bytes(id);
    let mut packet = Packet::new_query(id);
    packet.set_flags(simple_dns::PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).map_err(io::Error::other)?;
    packet.questions.push(Question::new(name.clone(), kind.into(), CLASS::IN.into(), false));
    let question = packet.build_bytes_vec().map_err(io::Error::other)?;

    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0))?;
    // Only this server's datagrams are received.
    socket.connect(server)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(&question)?;
    let mut answer = vec![0; LONGEST_DATAGRAM];
    loop {
        let n = socket.recv(&mut answer)?;
        let Ok(packet) = Packet::parse(&answer[..n]) else { continue };
        // An answer to something else, or a forged one.
        if packet.id() != id || packet.questions.first().is_none_or(|q| q.qname != name) {
            continue;
        }
        if packet.has_flags(simple_dns::PacketFlag::TRUNCATION) {
            return addresses_in(&ask_by_tcp(server, &question)?);
        }
        return addresses_in(&answer[..n]);
    }
}

fn ask_by_tcp(server: SocketAddr, question: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect_timeout(&server, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), question].concat())?;
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

/// Returns the addresses in an answer. A recursive server has followed aliases already.
fn addresses_in(answer: &[u8]) -> io::Result<Vec<IpAddr>> {
    let packet = Packet::parse(answer).map_err(io::Error::other)?;
    match packet.rcode() {
        RCODE::NoError | RCODE::NameError => {}
        other => return Err(io::Error::other(format!("the name server answers {other:?}"))),
    }
    let address = |record: &simple_dns::ResourceRecord| match &record.rdata {
        RData::A(a) => Some(Ipv4Addr::from(a.address).into()),
        RData::AAAA(a) => Some(Ipv6Addr::from(a.address).into()),
        _ => None,
    };
    Ok(packet.answers.iter().filter_map(address).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_resolv_conf_are_read_as_the_c_library_does() {
        let listed = hosts("127.0.0.1 localhost lo # x\n::1 localhost\n10.0.0.1 Other", "localhost");
        assert_eq!(listed, [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()]);
        let read =
            Configuration::parse("nameserver 10.0.0.2\nnameserver fe80::1%eth0\nsearch a.b c.\noptions ndots:2 x");
        assert_eq!(read.servers.len(), 2);
        assert_eq!(read.candidates("host.x"), ["host.x.a.b", "host.x.c", "host.x"]);
        assert_eq!(read.candidates("a.host.x")[0], "a.host.x");
        assert_eq!(read.candidates("host."), ["host"]);
        assert_eq!(Configuration::parse("").servers, ["127.0.0.1:53".parse().unwrap()]);
    }
}
