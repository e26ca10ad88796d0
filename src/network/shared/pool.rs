//! Subnets for networks that ask for none.

use super::error::NetworkError;
use super::record::Record;
use ipnet::{Ipv4Net, Ipv6Net};
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Of 10.89.0.0/16 to 10.98.0.0/16, a network gets 256 addresses.
const FIRST: u8 = 89;
const LAST: u8 = 98;
const BITS: u8 = 24;

/// Returns a subnet that no network of `others` has, nor a route of the host: what is there could not be reached.
pub(super) fn free_v4(others: &[Record]) -> Result<Ipv4Net, NetworkError> {
    let routed = routes(&fs::read_to_string("/proc/net/route").unwrap_or_default());
    let candidates = (FIRST..=LAST).flat_map(|second| (0..=255).map(move |third| Ipv4Addr::new(10, second, third, 0)));
    let mut subnets = candidates.filter_map(|address| Ipv4Net::new(address, BITS).ok());
    let is_free = |subnet: &Ipv4Net| {
        let overlaps = |other: &Ipv4Net| subnet.contains(other) || other.contains(subnet);
        !others.iter().any(|other| overlaps(&other.subnet)) && !routed.iter().any(overlaps)
    };
    subnets.find(is_free).ok_or(NetworkError::NoSubnet)
}

/// Returns the unique local subnet (RFC 4193) of a network's id.
pub(super) fn v6_of(id: &str) -> Option<Ipv6Net> {
    let part = |at: usize| u16::from_str_radix(id.get(at..at + 4)?, 16).ok();
    let first = 0xfd00 | part(0)? & 0xff;
    Ipv6Net::new(Ipv6Addr::new(first, part(4)?, part(8)?, part(12)?, 0, 0, 0, 0), 64).ok()
}

/// Parses /proc/net/route, where addresses are words of the machine; the default route is left out.
fn routes(text: &str) -> Vec<Ipv4Net> {
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let word = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok().map(u32::to_ne_bytes);
        let net = Ipv4Net::with_netmask(Ipv4Addr::from(word(1)?), Ipv4Addr::from(word(7)?)).ok()?;
        (net.prefix_len() > 0).then_some(net)
    };
    text.lines().skip(1).filter_map(route).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes_of_the_host() {
        let text = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n\
                    eth0 00000000 0100A8C0 0003 0 0 0 00000000 0 0 0\neth0 0000A8C0 00000000 0001 0 0 0 00FFFFFF 0 0 0\nx\n";
        let expected: Vec<Ipv4Net> =
            if cfg!(target_endian = "little") { vec!["192.168.0.0/24".parse().unwrap()] } else { Vec::new() };
        assert_eq!(routes(text), expected);
    }

    #[test]
    fn subnets_by_ids() {
        let subnet = v6_of("12345678abcdef00").unwrap();
        assert_eq!(subnet.to_string(), "fd34:5678:abcd:ef00::/64");
        assert_eq!(v6_of("1234"), None);
    }
}
