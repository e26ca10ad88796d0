//! A container's /etc/resolv.conf and /etc/hosts.

use super::CONTAINER;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// A line of /etc/hosts, as `--add-host` asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "(String, String)", into = "(String, String)")]
pub struct HostEntry {
    pub name: String,
    pub address: HostAddress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HostAddress {
    Ip(IpAddr),
    /// The host, as the container sees it.
    HostGateway,
}

const HOST_GATEWAY: &str = "host-gateway";

#[derive(Debug, thiserror::Error)]
#[error("invalid host entry {text:?}: {why}")]
pub struct InvalidHostEntry {
    text: String,
    why: &'static str,
}

impl crate::diag::Diagnose for InvalidHostEntry {
    fn hint(&self) -> Option<String> {
        Some("as in: --add-host db:10.0.2.2, --add-host db:fd00::2, --add-host db:host-gateway".into())
    }
}

impl HostAddress {
    /// Returns the address, where `gateway` is the host's.
    pub fn resolve(self, gateway: Ipv4Addr) -> IpAddr {
        match self {
            Self::Ip(address) => address,
            Self::HostGateway => gateway.into(),
        }
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::HostGateway => f.write_str(HOST_GATEWAY),
        }
    }
}

impl FromStr for HostEntry {
    type Err = InvalidHostEntry;

    fn from_str(text: &str) -> Result<Self, InvalidHostEntry> {
        let wrong = |why| InvalidHostEntry { text: text.to_owned(), why };
        // Docker takes both; an address may have colons.
        let (name, address) =
            text.split_once('=').or_else(|| text.split_once(':')).ok_or_else(|| wrong("it must be NAME:IP"))?;
        Self::try_from((name.to_owned(), address.to_owned())).map_err(wrong)
    }
}

impl TryFrom<(String, String)> for HostEntry {
    type Error = &'static str;

    fn try_from((name, address): (String, String)) -> Result<Self, &'static str> {
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || c == '#') {
            return Err("the name is empty, or has a character that /etc/hosts cannot hold");
        }
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&address);
        let address = match bare {
            HOST_GATEWAY => HostAddress::HostGateway,
            ip => HostAddress::Ip(ip.parse().map_err(|_| "the address must be an IP address or host-gateway")?),
        };
        Ok(Self { name, address })
    }
}

impl From<HostEntry> for (String, String) {
    fn from(entry: HostEntry) -> Self {
        (entry.name, entry.address.to_string())
    }
}

/// The address of systemd-resolved's stub, and the file that names its servers.
const STUB: &str = "127.0.0.53";
const BEHIND_THE_STUB: &str = "/run/systemd/resolve/resolv.conf";

/// What `--dns`, `--dns-search` and `--dns-option` ask for; what is empty is the host's.
#[derive(Default)]
pub(crate) struct NameService<'a> {
    pub servers: &'a [IpAddr],
    pub search: &'a [String],
    pub options: &'a [String],
}

/// Returns the text of resolv.conf.
pub(crate) fn resolv_conf(asked: &NameService, host_network: bool) -> String {
    let host = with_words(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default(), asked);
    if host_network && asked.servers.is_empty() {
        return host;
    }
    let is_stub = servers(&host).any(|server| server == STUB);
    let asked: Vec<String> = asked.servers.iter().map(IpAddr::to_string).collect();
    let behind = if is_stub { fs::read_to_string(BEHIND_THE_STUB).unwrap_or_default() } else { String::new() };
    if host_network { listed(&host, &asked) } else { translate(&host, &behind, &asked) }
}

/// Replaces the domains and the options of a file by those that were asked for. The domain `.` is none.
fn with_words(host: &str, asked: &NameService) -> String {
    let is_replaced = |line: &&str| {
        let first = line.split_whitespace().next().unwrap_or_default();
        (["search", "domain"].contains(&first) && !asked.search.is_empty())
            || (first == "options" && !asked.options.is_empty())
    };
    let kept = host.lines().filter(|line| !is_replaced(line)).map(|line| format!("{line}\n"));
    let words = |name: &str, words: &[String]| {
        let is_none = words.is_empty() || words == ["."];
        (!is_none).then(|| format!("{name} {}\n", words.join(" ")))
    };
    let added = words("search", asked.search).into_iter().chain(words("options", asked.options));
    kept.chain(added).collect()
}

fn servers(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.trim_start().strip_prefix("nameserver")).map(str::trim)
}

/// The host's file, with servers that a container can reach. Its first server is reached through the way out, which
/// forwards to it wherever it is; the others follow. pasta answers in the forwarder's name whenever that first server
/// answers, so it must not be asked by its own address, not even when `--dns` says so.
fn translate(host: &str, behind: &str, asked: &[String]) -> String {
    let forwarded = servers(host).find(|server| server.parse::<Ipv4Addr>().is_ok());
    let forwarder = CONTAINER.dns.to_string();
    let asked: Vec<String> = asked
        .iter()
        .map(|server| if Some(server.as_str()) == forwarded { &forwarder } else { server }.clone())
        .collect();
    if !asked.is_empty() {
        return listed(host, &asked);
    }
    let others = servers(host).chain(servers(behind));
    let others = others.filter(|server| Some(*server) != forwarded && is_reachable(server)).map(str::to_owned);
    listed(host, &std::iter::once(forwarder).chain(others).collect::<Vec<_>>())
}

/// Returns the host's file with these servers.
fn listed(host: &str, servers: &[String]) -> String {
    let kept = host.lines().filter(|line| ["search", "domain", "options"].iter().any(|word| line.starts_with(word)));
    let servers = servers.iter().map(|server| format!("nameserver {server}"));
    kept.map(str::to_owned).chain(servers).map(|line| line + "\n").collect()
}

/// Whether a container can reach a server: not on the host's loopback, not on a link, not in the container's own network.
fn is_reachable(server: &str) -> bool {
    let network = |address: Ipv4Addr| address.octets()[..3].to_vec();
    match server.parse() {
        Ok(IpAddr::V4(v4)) => !v4.is_loopback() && !v4.is_unspecified() && network(v4) != network(CONTAINER.v4),
        Ok(IpAddr::V6(v6)) => !v6.is_loopback() && !v6.is_unspecified() && !v6.is_unicast_link_local(),
        // With a zone: fe80::1%eth0.
        Err(_) => false,
    }
}

/// Returns the text of /etc/hosts. `asked` are the entries of `--add-host`; `address` is the container's own, and `None` in
/// the host's network, whose names it has then.
pub(crate) fn hosts(hostname: &str, asked: &[HostEntry], address: Option<Ipv4Addr>) -> String {
    let mut text = match address {
        None => fs::read_to_string("/etc/hosts").unwrap_or_default(),
        Some(address) => {
            let short = hostname.split_once('.').map(|(short, _)| format!(" {short}")).unwrap_or_default();
            format!(
                "127.0.0.1\tlocalhost\n\
                 ::1\tlocalhost ip6-localhost ip6-loopback\n\
                 fe00::\tip6-localnet\n\
                 ff00::\tip6-mcastprefix\n\
                 ff02::1\tip6-allnodes\n\
                 ff02::2\tip6-allrouters\n\
                 {address}\t{hostname}{short}\n"
            )
        }
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for HostEntry { name, address } in asked {
        text += &format!("{}\t{name}\n", address.resolve(CONTAINER.gateway_v4));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_server_is_forwarded_and_the_others_follow_if_reachable() {
        let host = "# made by hand\nsearch example.org\noptions edns0\nnameserver 192.0.2.1\nnameserver 9.9.9.9\n\
                    nameserver 127.0.0.1\nnameserver ::1\nnameserver fe80::1%eth0\nnameserver 10.0.2.1\n";
        let expected = "search example.org\noptions edns0\nnameserver 10.0.2.3\nnameserver 9.9.9.9\n";
        assert_eq!(translate(host, "", &[]), expected);
        assert_eq!(translate("", "", &[]), "nameserver 10.0.2.3\n");
        let asked = ["1.1.1.1", "9.9.9.9"].map(String::from);
        assert_eq!(translate("nameserver 9.9.9.9\n", "", &asked), "nameserver 1.1.1.1\nnameserver 10.0.2.3\n");
    }

    #[test]
    fn behind_the_stub_are_the_servers_that_it_asks() {
        let behind = "nameserver 192.0.2.53\nsearch lan\n";
        let expected = "options edns0\nnameserver 10.0.2.3\nnameserver 192.0.2.53\n";
        assert_eq!(translate("nameserver 127.0.0.53\noptions edns0\n", behind, &[]), expected);
    }

    #[test]
    fn domains_and_options_replace_the_hosts() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let (search, options) = (words("a.example b.example"), words("ndots:2"));
        let asked = NameService { search: &search, options: &options, ..NameService::default() };
        let host = "search lan\noptions edns0\nnameserver 9.9.9.9\n";
        let expected = "nameserver 9.9.9.9\nsearch a.example b.example\noptions ndots:2\n";
        assert_eq!(with_words(host, &asked), expected);
        let none = words(".");
        let asked = NameService { search: &none, ..NameService::default() };
        assert_eq!(with_words(host, &asked), "options edns0\nnameserver 9.9.9.9\n");
    }

    #[test]
    fn host_entries() {
        for (text, shown) in [("a:::1", "::1"), ("a:[::1]", "::1"), ("a=::1", "::1"), ("a:1.2.3.4", "1.2.3.4")] {
            assert_eq!(text.parse::<HostEntry>().unwrap().address.to_string(), shown, "{text}");
        }
        for bad in ["db", "db:", ":1.2.3.4", "db:garbage", "d b:1.2.3.4", "a\n1.1.1.1 b:1.2.3.4", "db:1.2.3"] {
            assert!(bad.parse::<HostEntry>().is_err(), "{bad}");
        }
    }

    #[test]
    fn hosts_names_the_container_and_what_was_asked() {
        let asked = ["db:192.0.2.7", "up:host-gateway"].map(|text| text.parse().unwrap());
        let text = hosts("web.example.org", &asked, Some(CONTAINER.v4));
        assert!(text.starts_with("127.0.0.1\tlocalhost\n"));
        assert!(text.ends_with("10.0.2.100\tweb.example.org web\n192.0.2.7\tdb\n10.0.2.2\tup\n"), "{text}");
    }
}
