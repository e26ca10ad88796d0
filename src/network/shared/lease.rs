//! Who is on a network: addresses and names, each with the monitor that stands for it. What a killed monitor leaves means
//! nothing, and goes when somebody wants the address or meets the name.

#![deny(clippy::indexing_slicing)]

use super::error::NetworkError;
use super::record::{Record, SubnetV6};
use crate::store::{self, Lock, Store};
use crate::sys::{On, SysError, process};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

/// So many digits of an id are a name, too.
const SHORT_ID: usize = 12;

/// What a container asks of one of its networks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Endpoint {
    /// The network's name.
    pub network: String,
    pub v4: Option<Ipv4Addr>,
    pub v6: Option<Ipv6Addr>,
    pub mac: Option<Mac>,
    pub aliases: Vec<String>,
}

/// A hardware address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Mac(pub [u8; 6]);

impl Mac {
    /// The address that Docker gives to a container.
    fn of(v4: Ipv4Addr) -> Self {
        let [a, b, c, d] = v4.octets();
        Self([0x02, 0x42, a, b, c, d])
    }

    /// That of the other end of the pair.
    pub(super) fn of_port(self) -> [u8; 6] {
        let Self([_, _, rest @ ..]) = self;
        let [c, d, e, f] = rest;
        [0x02, 0x43, c, d, e, f]
    }
}

impl std::fmt::Display for Mac {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|byte| format!("{byte:02x}")).collect();
        f.write_str(&pairs.join(":"))
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

impl TryFrom<String> for Mac {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl std::str::FromStr for Mac {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "a hardware address is six bytes, as in 02:42:0a:00:00:05";
        let bytes: Result<Vec<u8>, _> =
            text.split([':', '-']).map(|byte| u8::from_str_radix(byte, 16).map_err(|_| WRONG)).collect();
        let bytes: [u8; 6] = bytes?.try_into().map_err(|_| WRONG)?;
        // The lowest bit of the first byte is that of a group (IEEE 802).
        if bytes.first().is_some_and(|first| first & 1 == 1) || bytes == [0; 6] {
            return Err("the hardware address of one device cannot be that of a group, or nothing but zeros");
        }
        Ok(Self(bytes))
    }
}

/// A container on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// The container's id and name.
    pub container: String,
    pub name: String,
    /// The monitor, and when it started.
    pub monitor: (i32, u64),
    /// The container's device.
    pub device: String,
    /// Which of its networks it is; the monitor holds the namespace by a number that follows from it.
    pub slot: u16,
    pub v4: Ipv4Addr,
    pub v6: Option<Ipv6Addr>,
    pub mac: Mac,
    pub aliases: Vec<String>,
}

impl Lease {
    fn new((container, name): (&str, &str), monitor: (i32, u64), slot: u16) -> Self {
        Self {
            container: container.to_owned(),
            name: name.to_owned(),
            monitor,
            device: format!("eth{slot}"),
            slot,
            v4: Ipv4Addr::UNSPECIFIED,
            v6: None,
            mac: Mac([0; 6]),
            aliases: Vec::new(),
        }
    }

    /// The same with an address on a network, and what goes with that.
    fn on(&self, network: &Record, asked: &Endpoint, v4: Ipv4Addr) -> Self {
        let v6 = asked.v6.or_else(|| network.v6.map(|v6| v6_beside(&v6, v4)));
        let mac = asked.mac.unwrap_or_else(|| Mac::of(v4));
        Self { v4, v6, mac, aliases: asked.aliases.clone(), ..self.clone() }
    }

    /// Whether its monitor lives.
    pub(super) fn holds(&self) -> bool {
        process::start_time(self.monitor.0) == Some(self.monitor.1)
    }

    /// Returns the names under which it is found, as DNS compares them.
    fn names(&self) -> impl Iterator<Item = String> {
        std::iter::once(&self.name).chain(&self.aliases).map(|name| name.to_lowercase())
    }

    /// Gives back what the lease holds on the network with these members, if it is this monitor's still.
    pub(crate) fn end(&self, directory: &Path) {
        let files = Files(directory);
        let is_ours = |path: &Path| read(path).is_some_and(|found| found.monitor == self.monitor);
        if is_ours(&files.member(&self.container)) {
            self.names().for_each(|name| files.remove_name(&name, &self.container));
            let _ = fs::remove_file(files.member(&self.container));
        }
        for address in self.addresses() {
            let path = files.address(address);
            if is_ours(&path) {
                let _ = fs::remove_file(path);
            }
        }
    }

    /// Whether DNS finds it under a name: one of its own, or its id, with or without the network's name behind it.
    pub(crate) fn answers_to(&self, name: &str, network: &str) -> bool {
        let name = name.trim_end_matches('.').to_lowercase();
        let is_own = |name: &str| {
            self.names().any(|own| own == name) || (name.len() >= SHORT_ID && self.container.starts_with(name))
        };
        is_own(&name) || name.strip_suffix(&format!(".{}", network.to_lowercase())).is_some_and(is_own)
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        std::iter::once(self.v4.into()).chain(self.v6.map(IpAddr::from))
    }
}

/// The files of a network's members.
struct Files<'a>(&'a Path);

impl Files<'_> {
    fn member(&self, container: &str) -> PathBuf {
        self.0.join("members").join(container)
    }

    fn addresses(&self) -> PathBuf {
        self.0.join("addresses")
    }

    fn address(&self, address: IpAddr) -> PathBuf {
        self.addresses().join(address.to_string())
    }

    fn name(&self, name: &str) -> PathBuf {
        self.0.join("names").join(name)
    }

    fn add_name(&self, name: &str, container: &str) -> Result<(), SysError> {
        let directory = self.name(name);
        let file = directory.join(container);
        // Whoever removes the last one meanwhile takes the directory away.
        for _ in 0..100 {
            fs::create_dir_all(&directory).on("mkdir", &directory)?;
            match fs::write(&file, "") {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => return other.on("open", &file),
            }
        }
        Err(SysError { call: "open", subject: file.to_string_lossy().into_owned(), errno: libc::ENOENT })
    }

    fn remove_name(&self, name: &str, container: &str) {
        let directory = self.name(name);
        let _ = fs::remove_file(directory.join(container));
        let _ = fs::remove_dir(directory);
    }
}

fn read(path: &Path) -> Option<Lease> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Gives a container its addresses and names on a network, for as long as its monitor lives.
pub(crate) fn take(
    store: &Store,
    network: &Record,
    asked: &Endpoint,
    (container, name): (&str, &str),
    monitor: (i32, u64),
    slot: u16,
) -> Result<Lease, NetworkError> {
    let directory = store.runtime.join(network.members());
    let files = Files(&directory);
    // The last one is made last.
    if !files.addresses().is_dir() {
        for part in ["members", "names", "addresses"] {
            let part = directory.join(part);
            fs::create_dir_all(&part).on("mkdir", &part)?;
        }
    }
    let lease = addressed(&files, network, asked, &Lease::new((container, name), monitor, slot))?;
    let member = files.member(container);
    let placed = fs::rename(draft(&files, container), &member).on("rename", &member);
    let named = placed.and_then(|()| lease.names().try_for_each(|name| files.add_name(&name, container)));
    if let Err(error) = named {
        lease.end(&directory);
        return Err(error.into());
    }
    Ok(lease)
}

/// Returns the lease that a container would get at this moment.
pub(crate) fn foresee(store: &Store, network: &Record, asked: &Endpoint, slot: u16) -> Lease {
    let directory = store.runtime.join(network.members());
    let v4 = asked.v4.or_else(|| free(&Files(&directory), network).next()).unwrap_or(network.gateway);
    Lease::new(("", ""), (0, 0), slot).on(network, asked, v4)
}

/// Returns the addresses of a network that nobody has, or that were those of a dead monitor.
fn free<'a>(files: &Files, network: &'a Record) -> impl Iterator<Item = Ipv4Addr> + 'a {
    let given: HashSet<Ipv4Addr> = listed(&files.addresses()).filter_map(|name| name.parse().ok()).collect();
    let range = network.range.unwrap_or(network.subnet);
    range.hosts().filter(move |address| !given.contains(address) && is_usable(network, *address))
}

/// The file that becomes an address by a link, and then the member.
fn draft(files: &Files, container: &str) -> PathBuf {
    files.0.join(format!("{container}.new"))
}

fn addressed(files: &Files, network: &Record, asked: &Endpoint, lease: &Lease) -> Result<Lease, NetworkError> {
    if let Some(v4) = asked.v4 {
        let lease = lease.on(network, asked, v4);
        return match claim(files, &lease)? {
            None => Ok(lease),
            Some(taken) => Err(taken_by(files, network, taken)),
        };
    }
    for is_swept in [false, true] {
        if is_swept {
            sweep(files)?;
        }
        for v4 in free(files, network) {
            let lease = lease.on(network, asked, v4);
            match claim(files, &lease)? {
                None => return Ok(lease),
                // The one that was asked for stays taken, whatever the other is.
                Some(taken @ IpAddr::V6(_)) if asked.v6.is_some() => return Err(taken_by(files, network, taken)),
                // Another has been quicker.
                Some(_) => {}
            }
        }
    }
    Err(NetworkError::Full { network: network.name.clone(), range: network.range.unwrap_or(network.subnet) })
}

/// Returns an error for addresses that the network cannot have.
pub(crate) fn check(network: &Record, asked: &Endpoint) -> Result<(), NetworkError> {
    let outside = |address: IpAddr, subnet: String| NetworkError::Outside {
        what: "address",
        address: address.to_string(),
        subnet,
    };
    if let Some(v4) = asked.v4 {
        if !network.subnet.contains(&v4) {
            return Err(outside(v4.into(), network.subnet.to_string()));
        }
        if !is_usable(network, v4) {
            return Err(NetworkError::Taken {
                address: v4.into(),
                network: network.name.clone(),
                owner: "the network itself".into(),
            });
        }
    }
    match (asked.v6, network.v6) {
        (Some(_), None) => Err(NetworkError::NoV6(network.name.clone())),
        (Some(v6), Some(SubnetV6 { subnet, .. })) if !subnet.contains(&v6) => {
            Err(outside(v6.into(), subnet.to_string()))
        }
        (Some(v6), Some(SubnetV6 { gateway, .. })) if gateway == v6 => Err(NetworkError::Taken {
            address: v6.into(),
            network: network.name.clone(),
            owner: "the network itself".into(),
        }),
        _ => Ok(()),
    }
}

fn is_usable(network: &Record, address: Ipv4Addr) -> bool {
    address != network.gateway && address != network.subnet.network() && address != network.subnet.broadcast()
}

/// Returns the IPv6 address that goes with an IPv4 address: its last four bytes.
fn v6_beside(v6: &SubnetV6, v4: Ipv4Addr) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(v6.subnet.network()) | u128::from(u32::from(v4)))
}

/// Takes the addresses of a lease. Returns one that somebody else has.
fn claim(files: &Files, lease: &Lease) -> Result<Option<IpAddr>, NetworkError> {
    let draft = draft(files, &lease.container);
    let _ = fs::remove_file(&draft);
    fs::write(&draft, serde_json::to_vec(lease).unwrap_or_default()).on("write", &draft)?;
    let mut claimed: Vec<PathBuf> = Vec::new();
    for address in lease.addresses() {
        let path = files.address(address);
        if is_linked(files, &draft, &path)? {
            claimed.push(path);
            continue;
        }
        claimed.iter().for_each(|path| drop(fs::remove_file(path)));
        let _ = fs::remove_file(&draft);
        return Ok(Some(address));
    }
    Ok(None)
}

/// Links `draft` to an address that nobody has whose monitor lives.
fn is_linked(files: &Files, draft: &Path, path: &Path) -> Result<bool, SysError> {
    let link = || match fs::hard_link(draft, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).on("link", path),
    };
    if link()? {
        return Ok(true);
    }
    if read(path).is_some_and(|owner| owner.holds()) {
        return Ok(false);
    }
    let _lock = lock(files.0)?;
    if read(path).is_some_and(|owner| owner.holds()) {
        return Ok(false);
    }
    let _ = fs::remove_file(path);
    link()
}

fn taken_by(files: &Files, network: &Record, address: IpAddr) -> NetworkError {
    let owner = read(&files.address(address)).map_or_else(|| "another".into(), |owner| owner.name);
    NetworkError::Taken { address, network: network.name.clone(), owner }
}

/// Held while the network's namespace is looked for or made, and while the address of a dead monitor is taken.
pub(super) fn lock(directory: &Path) -> Result<Lock, SysError> {
    Lock::exclusive(&directory.join("lock"))
}

/// Removes what killed monitors have left.
fn sweep(files: &Files) -> Result<(), SysError> {
    let _lock = lock(files.0)?;
    for name in listed(&files.addresses()) {
        let path = files.addresses().join(&name);
        match read(&path) {
            Some(lease) if lease.holds() => {}
            Some(lease) => lease.end(files.0),
            None => drop(fs::remove_file(path)),
        }
    }
    Ok(())
}

fn listed(directory: &Path) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok())
}

/// Returns the containers that are on a network, by address.
pub(crate) fn members(store: &Store, network: &Record) -> Vec<Lease> {
    let mut all: Vec<Lease> = living(&store.runtime.join(network.members())).collect();
    all.sort_by_key(|lease| lease.v4);
    all
}

/// Returns the members of a network one after the other, as the caller asks for them.
pub(super) fn living(directory: &Path) -> impl Iterator<Item = Lease> {
    let entries = fs::read_dir(directory.join("members")).into_iter().flatten().flatten();
    entries.filter_map(|entry| read(&entry.path())).filter(Lease::holds)
}

/// Returns what a container has on a network, while it runs.
pub(crate) fn of_container(store: &Store, network: &Record, container: &str) -> Option<Lease> {
    let directory = store.runtime.join(network.members());
    read(&Files(&directory).member(container)).filter(Lease::holds)
}

/// Returns the members of a network that have a name, and forgets those that are gone.
pub(crate) fn by_name(directory: &Path, name: &str) -> Vec<Lease> {
    let files = Files(directory);
    let name = name.to_lowercase();
    // What cannot be a name must not become a path.
    if !is_found_by(&name) {
        return Vec::new();
    }
    let mut found = Vec::new();
    for container in listed(&files.name(&name)) {
        match read(&files.member(&container)) {
            Some(lease) if lease.holds() => found.push(lease),
            Some(lease) => lease.end(directory),
            None => files.remove_name(&name, &container),
        }
    }
    // Docker knows the short id of a container, too.
    if found.is_empty() && name.len() >= SHORT_ID && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        let members = directory.join("members");
        let ids = listed(&members).filter(|id| id.starts_with(&name));
        found.extend(ids.filter_map(|id| read(&members.join(id))).filter(Lease::holds));
    }
    found
}

/// Takes a container off all its networks: its addresses and names are free.
pub(crate) fn leave_all(store: &Store, container: &str) {
    let networks = fs::read_dir(store.runtime.join("networks")).into_iter().flatten().flatten();
    for directory in networks.map(|entry| entry.path()) {
        if let Some(lease) = read(&Files(&directory).member(container)) {
            lease.end(&directory);
        }
    }
}

/// Whether a name can be an alias: words of letters, digits, `_` and `-`, with dots between them.
pub(crate) fn is_found_by(name: &str) -> bool {
    let is_word = |word: &str| {
        (1..=63).contains(&word.len()) && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    name.len() <= 253 && name.split('.').all(is_word)
}

/// Returns the member of a network that has an address.
pub(crate) fn by_address(directory: &Path, address: IpAddr) -> Option<Lease> {
    read(&Files(directory).address(address)).filter(Lease::holds)
}

/// Gives a container that runs another name on a network.
pub(crate) fn rename(store: &Store, network: &Record, container: &str, name: &str) -> Result<(), NetworkError> {
    let directory = store.runtime.join(network.members());
    let files = Files(&directory);
    let Some(lease) = of_container(store, network, container) else { return Ok(()) };
    files.add_name(&name.to_lowercase(), container)?;
    let renamed = Lease { name: name.to_owned(), ..lease.clone() };
    let bytes = serde_json::to_vec(&renamed).unwrap_or_default();
    store::write_quickly(&files.member(container), &bytes)?;
    for address in renamed.addresses() {
        store::write_quickly(&files.address(address), &bytes)?;
    }
    let kept: HashSet<String> = renamed.names().collect();
    lease.names().filter(|name| !kept.contains(name)).for_each(|name| files.remove_name(&name, container));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hardware_addresses() {
        assert_eq!("02:42:0a:00:00:05".parse::<Mac>().unwrap(), Mac::of(Ipv4Addr::new(10, 0, 0, 5)));
        for bad in ["", "02:42", "03:42:0a:00:00:05", "00:00:00:00:00:00", "02:42:0a:00:00:0g", "2:2:2:2:2:2:2"] {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_that_are_no_paths() {
        assert!(is_found_by("db") && is_found_by("db.example") && is_found_by("a_b-c"));
        for bad in ["", ".", "..", "a..b", "a/b", "a b", "x\n"] {
            assert!(!is_found_by(bad), "{bad}");
        }
    }
}
