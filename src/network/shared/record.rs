//! What a network was made with.

use super::error::NetworkError;
use super::lease;
use super::pool;
use crate::journal::{self, Event, Kind};
use crate::store::{self, Lock, Store};
use crate::sys::On;
use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// The network that a container is on if it asks for none.
pub(crate) const BRIDGE: &str = "bridge";

/// Names that say something else with `--network`.
const RESERVED: [&str; 6] = [BRIDGE, "default", "private", "none", "host", "container"];

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub id: String,
    #[serde(skip)]
    pub name: String,
    pub created: String,
    pub subnet: Ipv4Net,
    pub gateway: Ipv4Addr,
    /// Addresses are given away from here.
    #[serde(default)]
    pub range: Option<Ipv4Net>,
    #[serde(default)]
    pub v6: Option<SubnetV6>,
    /// Its members have no way out through it.
    #[serde(default)]
    pub internal: bool,
    /// Its members hear each other's broadcasts.
    #[serde(default)]
    pub broadcast: bool,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The options as they were typed.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubnetV6 {
    pub subnet: Ipv6Net,
    pub gateway: Ipv6Addr,
}

/// A network as it is asked for.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub subnet: Option<Ipv4Net>,
    pub gateway: Option<Ipv4Addr>,
    pub range: Option<Ipv4Net>,
    pub subnet_v6: Option<Ipv6Net>,
    pub gateway_v6: Option<Ipv6Addr>,
    pub v6: bool,
    pub internal: bool,
    pub labels: BTreeMap<String, String>,
    pub options: BTreeMap<String, String>,
}

impl Record {
    /// The network that is always there.
    fn bridge() -> Self {
        Self {
            // Nobody else's: ids that are made are random.
            id: "b".repeat(64),
            name: BRIDGE.into(),
            created: String::new(),
            subnet: Ipv4Net::new_assert(Ipv4Addr::new(10, 88, 0, 0), 16),
            gateway: Ipv4Addr::new(10, 88, 0, 1),
            range: None,
            v6: None,
            internal: false,
            broadcast: false,
            labels: BTreeMap::new(),
            options: BTreeMap::new(),
        }
    }

    /// A network of which a container has nothing: `none`, and `host`, whose network is not one of ours.
    pub(crate) fn without(name: &str) -> Self {
        let letter = name.get(..1).unwrap_or_default();
        Self { id: letter.repeat(64), name: name.to_owned(), ..Self::bridge() }
    }

    fn of(name: &str, wanted: Wanted, others: &[Self]) -> Result<Self, NetworkError> {
        let id = store::random_hex(32);
        let subnet = wanted.subnet.map_or_else(|| pool::free_v4(others), Ok)?;
        for other in others {
            if other.subnet.contains(&subnet) || subnet.contains(&other.subnet) {
                let (subnet, other_subnet) = (subnet.to_string(), other.subnet.to_string());
                return Err(NetworkError::Overlap { subnet, other: other_subnet, name: other.name.clone() });
            }
        }
        let gateway = wanted.gateway.or_else(|| subnet.hosts().next()).unwrap_or(subnet.addr());
        let outside = |what, address: &dyn ToString| {
            Err(NetworkError::Outside { what, address: address.to_string(), subnet: subnet.to_string() })
        };
        if !subnet.contains(&gateway) {
            return outside("the gateway", &gateway);
        }
        if let Some(range) = wanted.range.filter(|range| !subnet.contains(range)) {
            return outside("the range", &range);
        }
        let subnet_v6 = wanted.subnet_v6.or_else(|| pool::v6_of(&id).filter(|_| wanted.v6));
        // The first address after the one of the subnet itself (RFC 4291 section 2.6.1).
        let gateway_v6 = |subnet: Ipv6Net| Ipv6Addr::from(u128::from(subnet.network()) + 1);
        let v6 = subnet_v6
            .map(|subnet| SubnetV6 { subnet, gateway: wanted.gateway_v6.unwrap_or_else(|| gateway_v6(subnet)) });
        if let Some(v6) = v6.filter(|v6| !v6.subnet.contains(&v6.gateway)) {
            let (address, subnet) = (v6.gateway.to_string(), v6.subnet.to_string());
            return Err(NetworkError::Outside { what: "the gateway", address, subnet });
        }
        let is_set = |name: &str| wanted.options.get(name).is_some_and(|value| value != "false");
        Ok(Self {
            id,
            name: name.to_owned(),
            created: jiff::Timestamp::now().to_string(),
            subnet,
            gateway,
            range: wanted.range,
            v6,
            internal: wanted.internal,
            broadcast: is_set(BROADCAST),
            labels: wanted.labels,
            options: wanted.options,
        })
    }

    /// The directory of its members, relative to the store's runtime directory.
    pub(crate) fn members(&self) -> PathBuf {
        Path::new("networks").join(&self.id)
    }

    pub(crate) fn is_bridge(&self) -> bool {
        self.name == BRIDGE
    }
}

const BROADCAST: &str = "broadcast";
const NETWORKS: &str = "networks";
const RECORD: &str = "network.json";

/// Parses the argument of `--opt`.
pub(crate) fn option(text: &str) -> Result<(String, String), NetworkError> {
    let (name, value) = text.split_once('=').unwrap_or((text, "true"));
    let wrong = |why| Err(NetworkError::Option { text: text.to_owned(), why });
    match (name, value) {
        (BROADCAST, "true" | "false") => {}
        (BROADCAST, _) => return wrong("it is true or false"),
        // Options of Docker's drivers name what is done to the host's network, which is left alone here.
        _ if name.starts_with("com.docker.network.") => {}
        _ => return wrong("broadcast is the only one"),
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// Parses the argument of `--label`.
pub(crate) fn label(text: &str) -> Result<(String, String), NetworkError> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    if name.is_empty() { Err(NetworkError::Label(text.to_owned())) } else { Ok((name.to_owned(), value.to_owned())) }
}

/// Parses an IPv4 subnet, which has room for a gateway and a container.
pub(crate) fn subnet_v4(text: &str) -> Result<Ipv4Net, NetworkError> {
    let wrong = |why| NetworkError::Subnet { text: text.to_owned(), why };
    let subnet: Ipv4Net = text.parse().map_err(|_| wrong("it must be ADDRESS/BITS"))?;
    if subnet.trunc() != subnet {
        return Err(wrong("the address has bits beyond the prefix"));
    }
    if subnet.prefix_len() > 30 || subnet.prefix_len() < 8 {
        return Err(wrong("8 to 30 bits are the prefix"));
    }
    let address = subnet.addr();
    if address.is_loopback() || address.is_multicast() || address.is_link_local() || address.is_unspecified() {
        return Err(wrong("these addresses mean something else"));
    }
    Ok(subnet)
}

/// Parses an IPv6 subnet.
pub(crate) fn subnet_v6(text: &str) -> Result<Ipv6Net, NetworkError> {
    let wrong = |why| NetworkError::Subnet { text: text.to_owned(), why };
    let subnet: Ipv6Net = text.parse().map_err(|_| wrong("it must be ADDRESS/BITS"))?;
    // The last four bytes of an address are those of the IPv4 address.
    if subnet.trunc() != subnet || subnet.prefix_len() > 96 {
        return Err(wrong("96 bits at most are the prefix, and the address has none beyond"));
    }
    if subnet.addr().is_loopback() || subnet.addr().is_multicast() || subnet.addr().is_unicast_link_local() {
        return Err(wrong("these addresses mean something else"));
    }
    Ok(subnet)
}

/// Returns a network by its name, its id, or the beginning of its id.
pub(crate) fn find(store: &Store, name: &str) -> Result<Record, NetworkError> {
    if name == BRIDGE || name == "default" {
        return Ok(Record::bridge());
    }
    if let Some(record) = Some(name).filter(|name| store::is_name(name)).and_then(|name| read(store, name)) {
        return Ok(record);
    }
    let is_id = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut fitting = all(store).into_iter().filter(|record| is_id && record.id.starts_with(name));
    match (fitting.next(), fitting.next()) {
        (Some(record), None) => Ok(record),
        (Some(_), Some(_)) => Err(NetworkError::Ambiguous(name.to_owned())),
        _ => Err(NetworkError::NotFound(name.to_owned())),
    }
}

/// Returns all networks, `bridge` first, then by name.
pub(crate) fn all(store: &Store) -> Vec<Record> {
    let entries = fs::read_dir(store.path(NETWORKS)).into_iter().flatten().flatten();
    let mut made: Vec<Record> = entries.filter_map(|entry| read(store, entry.file_name().to_str()?)).collect();
    made.sort_by(|a, b| a.name.cmp(&b.name));
    std::iter::once(Record::bridge()).chain(made).collect()
}

fn read(store: &Store, name: &str) -> Option<Record> {
    let path = store.path(NETWORKS).join(name).join(RECORD);
    let bytes = fs::read(&path).ok()?;
    match store::format::from_record::<Record>(&bytes) {
        Ok(record) => Some(Record { name: name.to_owned(), ..record }),
        Err(error) => {
            store::tell_damage(&path, &error);
            None
        }
    }
}

/// Returns why the record of a network cannot be read, if it cannot.
pub(crate) fn damage(directory: &Path) -> Option<String> {
    let read = fs::read(directory.join(RECORD)).map_err(|error| error.to_string());
    read.and_then(|bytes| store::format::from_record::<Record>(&bytes).map_err(|error| error.to_string())).err()
}

/// Held while a network is made or removed.
fn guard(store: &Store) -> Result<Lock, NetworkError> {
    let directory = store.path(NETWORKS);
    fs::create_dir_all(&directory).on("mkdir", &directory)?;
    Ok(Lock::from_reserve(store, &store.runtime.join("networks.lock"))?)
}

/// Makes a network.
///
/// # Errors
/// When the name is taken, or the subnet overlaps with another network's.
pub(crate) fn create(store: &Store, name: &str, wanted: Wanted) -> Result<Record, NetworkError> {
    if RESERVED.contains(&name) {
        return Err(NetworkError::Own(name.to_owned()));
    }
    if !store::is_name(name) {
        return Err(NetworkError::Name(name.to_owned()));
    }
    let _lock = guard(store)?;
    let others = all(store);
    if others.iter().any(|other| other.name == name) {
        return Err(NetworkError::Exists(name.to_owned()));
    }
    let record = Record::of(name, wanted, &others)?;
    let directory = store.path(NETWORKS).join(name);
    fs::create_dir_all(&directory).on("mkdir", &directory)?;
    store::write_durably(&directory.join(RECORD), &store::format::to_record(&record))?;
    journal::note(store, &[event(&record, "create")]);
    Ok(record)
}

/// Removes a network that no running container is on.
pub(crate) fn remove(store: &Store, record: &Record) -> Result<(), NetworkError> {
    if record.is_bridge() {
        return Err(NetworkError::Own(record.name.clone()));
    }
    let _lock = guard(store)?;
    let containers: Vec<String> = lease::members(store, record).into_iter().map(|lease| lease.name).collect();
    if !containers.is_empty() {
        return Err(NetworkError::InUse { name: record.name.clone(), containers });
    }
    store::remove_tree(&store.path(NETWORKS).join(&record.name))?;
    store::remove_tree(&store.runtime.join(record.members()))?;
    journal::note(store, &[event(record, "destroy")]);
    Ok(())
}

fn event(record: &Record, action: &str) -> Event {
    Event::now(Kind::Network, action, &record.id).with("name", &record.name).with("type", "bridge")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_that_can_be_used() {
        assert!(subnet_v4("10.1.2.0/24").is_ok() && subnet_v4("192.168.0.0/30").is_ok());
        for bad in ["10.1.2.3/24", "10.1.2.0", "10.0.0.0/7", "10.0.0.0/31", "127.0.0.0/8", "224.0.0.0/8", "x"] {
            assert!(subnet_v4(bad).is_err(), "{bad}");
        }
        assert!(subnet_v6("fd12::/64").is_ok());
        for bad in ["fd12::1/64", "fd12::/97", "fe80::/64", "ff00::/64", "10.0.0.0/8"] {
            assert!(subnet_v6(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let others = [Record::bridge()];
        let wanted = |subnet: &str| Wanted { subnet: Some(subnet.parse().unwrap()), ..Wanted::default() };
        assert!(matches!(Record::of("a", wanted("10.88.4.0/24"), &others), Err(NetworkError::Overlap { .. })));
        let made = Record::of("a", wanted("10.1.0.0/16"), &others).unwrap();
        assert_eq!((made.gateway, made.v6), (Ipv4Addr::new(10, 1, 0, 1), None));
        let gateway = Wanted { gateway: Some(Ipv4Addr::new(10, 2, 0, 1)), ..wanted("10.1.0.0/16") };
        assert!(matches!(Record::of("a", gateway, &others), Err(NetworkError::Outside { .. })));
        let free = Record::of("a", Wanted { v6: true, ..Wanted::default() }, &[made]).unwrap();
        assert_eq!(free.subnet.prefix_len(), 24);
        assert!(free.v6.is_some_and(|v6| v6.subnet.contains(&v6.gateway)));
    }
}
