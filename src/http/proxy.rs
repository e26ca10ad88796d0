//! The proxy for a URL, from the environment: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY, in either case.

use std::net::IpAddr;
use ureq::Proxy;
use ureq::http::Uri;

pub(super) fn of(uri: &Uri) -> Option<Proxy> {
    let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
    if is_loopback(host) || spared(host, uri.port_u16(), &variable("no_proxy").unwrap_or_default()) {
        return None;
    }
    let own = if uri.scheme_str() == Some("https") { "https_proxy" } else { "http_proxy" };
    let named = variable(own).or_else(|| variable("all_proxy"))?;
    Proxy::new(&named).ok()
}

fn variable(lower: &str) -> Option<String> {
    [lower.to_owned(), lower.to_uppercase()]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()))
}

/// Whether a host is this machine's loopback, which a proxy could not reach (Go's rule).
fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// `NO_PROXY`: hosts, domains with all that is in them, addresses, networks, or `*`; each perhaps with a port.
fn spared(host: &str, port: Option<u16>, list: &str) -> bool {
    let host = host.to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    let address: Option<IpAddr> = host.parse().ok();
    list.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        let entry = entry.to_ascii_lowercase();
        if let Some(address) = address.filter(|_| entry.contains('/')) {
            return is_within(address, &entry);
        }
        if let Ok(listed) = entry.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            return address == Some(listed);
        }
        let (name, only_port) = match entry.rsplit_once(':') {
            Some((name, number)) => (name, number.parse::<u16>().ok()),
            None => (entry.as_str(), None),
        };
        if only_port.is_some() && only_port != port {
            return false;
        }
        let name = name.trim_start_matches('*');
        match name.strip_prefix('.') {
            Some(domain) => host.ends_with(name) || host == domain && !entry.starts_with('.'),
            None => host == name || host.ends_with(&format!(".{name}")),
        }
    })
}

/// Whether an address is in a network such as `10.0.0.0/8`.
pub(crate) fn is_within(address: IpAddr, network: &str) -> bool {
    let Some((network, bits)) = network.split_once('/') else { return false };
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(n)) if bits <= 32 => {
            (a.to_bits() ^ n.to_bits()).checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(a), IpAddr::V6(n)) if bits <= 128 => {
            (a.to_bits() ^ n.to_bits()).checked_shr(128 - bits).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_that_no_proxy_names() {
        let list = "example.org, .inner.net,10.0.0.0/8 only.port:5000,[fd00::1],*.star.io";
        for (host, port) in [
            ("example.org", None),
            ("a.EXAMPLE.org", None),
            ("x.inner.net", None),
            ("10.1.2.3", Some(5000)),
            ("only.port", Some(5000)),
            ("fd00::1", None),
            ("a.star.io", None),
        ] {
            assert!(spared(host, port, list), "{host}");
        }
        for (host, port) in
            [("anexample.org", None), ("inner.net", None), ("11.0.0.1", None), ("only.port", Some(5001)), ("c", None)]
        {
            assert!(!spared(host, port, list), "{host}");
        }
        assert!(spared("anything", None, "*") && !spared("anything", None, ""));
    }
}
