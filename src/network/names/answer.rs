//! What a name server says: addresses of containers, and names of addresses.

#![deny(clippy::indexing_slicing)]

use simple_dns::rdata::{A, AAAA, OPT, PTR, RData};
use simple_dns::{CLASS, Name, OPCODE, Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest answer in a datagram to someone who has not said more (RFC 1035 section 4.2.1).
const SHORT: usize = 512;
/// What is said to those who ask how much is taken (RFC 6891 section 6.2.5).
const LONG: u16 = 1232;

/// What is known of the networks that a container is on.
pub(super) trait Known {
    /// Returns the addresses of a name. `None`: nobody has it.
    fn addresses(&self, name: &str) -> Option<Vec<IpAddr>>;
    /// Returns the name of an address: `Some(None)` for one of these networks that nobody has.
    fn name(&self, address: IpAddr) -> Option<Option<String>>;
}

/// Returns the answer to a query. `None`: others must be asked.
pub(super) fn answer(query: &[u8], known: &impl Known, is_stream: bool) -> Option<Vec<u8>> {
    let query = Packet::parse(query).ok()?;
    let [question] = query.questions.as_slice() else { return None };
    if query.has_flags(PacketFlag::RESPONSE) || query.opcode() != OPCODE::StandardQuery {
        return None;
    }
    let name = question.qname.to_string();
    let wants = |kind: TYPE| question.qtype == QTYPE::TYPE(kind) || question.qtype == QTYPE::ANY;
    let (records, code) = match pointed_to(&name.to_ascii_lowercase()) {
        Some(address) => match known.name(address)? {
            Some(found) if wants(TYPE::PTR) => {
                (vec![RData::PTR(PTR(Name::new(&found).ok()?.into_owned()))], RCODE::NoError)
            }
            Some(_) => (Vec::new(), RCODE::NoError),
            None => (Vec::new(), RCODE::NameError),
        },
        // A type that a known name lacks is no error: musl takes one for the end of the whole search.
        None => {
            let data = known.addresses(&name)?.into_iter().filter_map(|address| match address {
                IpAddr::V4(v4) if wants(TYPE::A) => Some(RData::A(A::from(v4))),
                IpAddr::V6(v6) if wants(TYPE::AAAA) => Some(RData::AAAA(AAAA::from(v6))),
                _ => None,
            });
            (data.collect(), RCODE::NoError)
        }
    };
    let mut reply = Packet::new_reply(query.id());
    reply.set_flags(PacketFlag::RECURSION_AVAILABLE | PacketFlag::AUTHORITATIVE_ANSWER);
    if query.has_flags(PacketFlag::RECURSION_DESIRED) {
        reply.set_flags(PacketFlag::RECURSION_DESIRED);
    }
    *reply.rcode_mut() = code;
    if query.opt().is_some() {
        *reply.opt_mut() = Some(OPT { opt_codes: Vec::new(), udp_packet_size: LONG, version: 0 });
    }
    reply.questions.push(question.clone());
    // Nobody is to keep it: a container may be gone with the next moment.
    let record = |data| ResourceRecord::new(question.qname.clone(), CLASS::IN, 0, data);
    reply.answers = records.into_iter().map(record).collect();
    let bytes = reply.build_bytes_vec_compressed().ok()?;
    let longest = query.opt().map_or(SHORT, |opt| usize::from(opt.udp_packet_size).clamp(SHORT, LONG.into()));
    if is_stream || bytes.len() <= longest {
        return Some(bytes);
    }
    reply.answers.clear();
    reply.set_flags(PacketFlag::TRUNCATION);
    reply.build_bytes_vec_compressed().ok()
}

/// Returns the address whose name is asked for (RFC 1035 section 3.5, RFC 3596 section 2.5).
fn pointed_to(name: &str) -> Option<IpAddr> {
    let name = name.trim_end_matches('.');
    if let Some(reversed) = name.strip_suffix(".in-addr.arpa") {
        let mut octets = reversed.split('.').map(|octet| octet.parse::<u8>().ok()).collect::<Option<Vec<u8>>>()?;
        octets.reverse();
        return <[u8; 4]>::try_from(octets).ok().map(|octets| Ipv4Addr::from(octets).into());
    }
    let digits: String = name.strip_suffix(".ip6.arpa")?.split('.').rev().collect();
    if digits.len() != 32 {
        return None;
    }
    u128::from_str_radix(&digits, 16).ok().map(|bits| Ipv6Addr::from(bits).into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use simple_dns::Question;

    struct Two;

    impl Known for Two {
        fn addresses(&self, name: &str) -> Option<Vec<IpAddr>> {
            match name.to_ascii_lowercase().as_str() {
                "db" => Some(vec![[10, 0, 0, 2].into()]),
                "many" => Some((0..100).map(|last| [10, 0, 0, last].into()).collect()),
                _ => None,
            }
        }

        fn name(&self, address: IpAddr) -> Option<Option<String>> {
            match address {
                IpAddr::V4(v4) if v4 == Ipv4Addr::new(10, 0, 0, 2) => Some(Some("db.net".into())),
                IpAddr::V4(v4) if v4.octets().starts_with(&[10]) => Some(None),
                _ => None,
            }
        }
    }

    fn ask(name: &str, kind: TYPE, size: Option<u16>, is_stream: bool) -> Option<Vec<u8>> {
        let mut query = Packet::new_query(7);
        query.set_flags(PacketFlag::RECURSION_DESIRED);
        query.questions.push(Question::new(Name::new(name).unwrap(), kind.into(), CLASS::IN.into(), false));
        *query.opt_mut() = size.map(|udp_packet_size| OPT { opt_codes: Vec::new(), udp_packet_size, version: 0 });
        answer(&query.build_bytes_vec().unwrap(), &Two, is_stream)
    }

    #[test]
    fn a_known_name_is_answered_for_every_type() {
        let bytes = ask("DB", TYPE::A, None, false).unwrap();
        let reply = Packet::parse(&bytes).unwrap();
        assert_eq!((reply.id(), reply.rcode(), reply.answers.len(), reply.opt()), (7, RCODE::NoError, 1, None));
        for kind in [TYPE::AAAA, TYPE::MX, TYPE::TXT] {
            let bytes = ask("db", kind, Some(4096), false).unwrap();
            let reply = Packet::parse(&bytes).unwrap();
            assert_eq!((reply.rcode(), reply.answers.len()), (RCODE::NoError, 0), "{kind:?}");
            assert!(reply.opt().is_some());
        }
        assert_eq!(ask("example", TYPE::A, None, false), None);
    }

    #[test]
    fn what_is_too_long_is_cut_short_in_a_datagram() {
        let bytes = ask("many", TYPE::A, None, false).unwrap();
        assert!(bytes.len() <= SHORT && Packet::parse(&bytes).unwrap().has_flags(PacketFlag::TRUNCATION));
        let whole = ask("many", TYPE::A, None, true).unwrap();
        assert_eq!(Packet::parse(&whole).unwrap().answers.len(), 100);
    }

    #[test]
    fn addresses_have_names() {
        let bytes = ask("2.0.0.10.in-addr.arpa", TYPE::PTR, None, false).unwrap();
        assert!(format!("{:?}", Packet::parse(&bytes).unwrap().answers).contains("db.net"));
        let bytes = ask("3.0.0.10.in-addr.arpa", TYPE::PTR, None, false).unwrap();
        assert_eq!(Packet::parse(&bytes).unwrap().rcode(), RCODE::NameError);
        assert_eq!(ask("8.8.8.8.in-addr.arpa", TYPE::PTR, None, false), None);
        let v6 = format!("1.{}8.b.d.0.1.0.0.2.ip6.arpa", "0.".repeat(23));
        assert_eq!(pointed_to(&v6), Some("2001:db8::1".parse().unwrap()));
    }
}
