//! The networks of a store.

use super::error::NetworkError;
use super::lease;
use super::record::{BRIDGE, Record, Wanted};
use crate::journal::{self, Event, Kind};
use crate::store::{self, Lock, Store};
use crate::sys::On;
use std::fs;
use std::path::Path;

const NETWORKS: &str = "networks";
const RECORD: &str = "network.json";

/// Names that say something else with `--network`.
const RESERVED: [&str; 6] = [BRIDGE, "default", "private", "none", "host", "container"];

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
