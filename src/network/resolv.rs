//! What a container's /etc/resolv.conf and /etc/hosts say.

use super::CONTAINER;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};

/// systemd-resolved's stub, and where it says which servers it asks itself.
const STUB: &str = "127.0.0.53";
const BEHIND_THE_STUB: &str = "/run/systemd/resolve/resolv.conf";

/// `asked`: the servers of `--dns`.
pub fn resolv_conf(asked: &[String], host_network: bool) -> String {
    let host = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    if host_network && asked.is_empty() {
        return host;
    }
    let behind =
        if servers(&host).all(|server| server == STUB) { fs::read_to_string(BEHIND_THE_STUB).ok() } else { None };
    translate(&behind.unwrap_or(host), asked)
}

fn servers(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.trim_start().strip_prefix("nameserver")).map(str::trim)
}

/// The host's file, with servers that a container can reach.
fn translate(host: &str, asked: &[String]) -> String {
    let mut text = String::new();
    for line in host.lines().filter(|line| ["search", "domain", "options"].iter().any(|word| line.starts_with(word))) {
        text += &format!("{line}\n");
    }
    let forwarded = CONTAINER.dns.to_string();
    let mut wanted: Vec<&str> = asked.iter().map(String::as_str).collect();
    if wanted.is_empty() {
        for server in servers(host) {
            let server = if is_reachable(server) { server } else { &forwarded };
            if !wanted.contains(&server) {
                wanted.push(server);
            }
        }
    }
    if wanted.is_empty() {
        wanted.push(&forwarded);
    }
    for server in wanted {
        text += &format!("nameserver {server}\n");
    }
    text
}

/// Not the host's loopback or one of its links, nor an address that lies in the container's own network.
fn is_reachable(server: &str) -> bool {
    let network = |address: Ipv4Addr| address.octets()[..3].to_vec();
    match server.parse() {
        Ok(IpAddr::V4(v4)) => !v4.is_loopback() && !v4.is_unspecified() && network(v4) != network(CONTAINER.v4),
        Ok(IpAddr::V6(v6)) => !v6.is_loopback() && !v6.is_unspecified() && !v6.is_unicast_link_local(),
        // With a zone: fe80::1%eth0.
        Err(_) => false,
    }
}

/// `asked`: the names and addresses of `--add-host`.
pub fn hosts(hostname: &str, asked: &[(String, String)], host_network: bool) -> String {
    let mut text = if host_network {
        fs::read_to_string("/etc/hosts").unwrap_or_default()
    } else {
        format!(
            "127.0.0.1\tlocalhost\n\
             ::1\tlocalhost ip6-localhost ip6-loopback\n\
             fe00::\tip6-localnet\n\
             ff00::\tip6-mcastprefix\n\
             ff02::1\tip6-allnodes\n\
             ff02::2\tip6-allrouters\n\
             {}\t{hostname}\n",
            CONTAINER.v4
        )
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    for (name, address) in asked {
        let gateway = CONTAINER.gateway_v4.to_string();
        let address = if address == "host-gateway" { &gateway } else { address };
        text += &format!("{address}\t{name}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_that_a_container_cannot_reach_are_forwarded() {
        let host = "# made by hand\nsearch example.org\noptions edns0\nnameserver 127.0.0.1\nnameserver 9.9.9.9\n\
                    nameserver ::1\nnameserver fe80::1%eth0\nnameserver 10.0.2.1\n";
        let expected = "search example.org\noptions edns0\nnameserver 10.0.2.3\nnameserver 9.9.9.9\n";
        assert_eq!(translate(host, &[]), expected);
        assert_eq!(translate("", &[]), "nameserver 10.0.2.3\n");
        assert_eq!(translate("nameserver 9.9.9.9\n", &["1.1.1.1".into()]), "nameserver 1.1.1.1\n");
    }

    #[test]
    fn hosts_names_the_container_and_what_was_asked() {
        let text = hosts("web", &[("db".into(), "192.0.2.7".into()), ("up".into(), "host-gateway".into())], false);
        assert!(text.starts_with("127.0.0.1\tlocalhost\n"));
        assert!(text.ends_with("10.0.2.100\tweb\n192.0.2.7\tdb\n10.0.2.2\tup\n"), "{text}");
    }
}
