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

/// What `--dns`, `--dns-search` and `--dns-option` ask for; what is empty is the host's.
#[derive(Default)]
pub(crate) struct NameService<'a> {
    pub servers: &'a [IpAddr],
    pub search: &'a [String],
    pub options: &'a [String],
}

/// Who answers a container's questions about names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// The host's servers: the container is in the host's network.
    Host,
    /// The way out, which asks the host's servers.
    WayOut,
    /// The container's monitor, which knows who is on its networks.
    Monitor,
}

/// Returns the text of resolv.conf.
pub(crate) fn resolv_conf(asked: &NameService, answers: Answers) -> String {
    let host = with_words(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default(), asked);
    let own = [IpAddr::from(CONTAINER.dns)];
    match answers {
        Answers::Host if asked.servers.is_empty() => host,
        Answers::WayOut if asked.servers.is_empty() => listed(&host, &own),
        Answers::Host | Answers::WayOut => listed(&host, asked.servers),
        // Where no dots are said, a name without any is looked for in the host's domains first, which a container's is not in.
        Answers::Monitor if host.contains("ndots:") => listed(&host, &own),
        Answers::Monitor => format!("{}options ndots:0\n", listed(&host, &own)),
    }
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

/// Returns the host's file with these servers.
fn listed(host: &str, servers: &[IpAddr]) -> String {
    let kept = host.lines().filter(|line| ["search", "domain", "options"].iter().any(|word| line.starts_with(word)));
    let servers = servers.iter().map(|server| format!("nameserver {server}"));
    kept.map(str::to_owned).chain(servers).map(|line| line + "\n").collect()
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
    fn servers_take_the_place_of_the_hosts() {
        let host = "# made by hand\nsearch example.org\noptions edns0\nnameserver 192.0.2.1\nnameserver ::1\n";
        let expected = "search example.org\noptions edns0\nnameserver 10.0.2.3\n";
        assert_eq!(listed(host, &[CONTAINER.dns.into()]), expected);
        assert_eq!(listed("", &["1.1.1.1".parse().unwrap()]), "nameserver 1.1.1.1\n");
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
