//! A volume, and what is recorded of it.

#![deny(clippy::indexing_slicing)]

use super::error::VolumeError;
use super::option::{Backing, Options};
use super::users::{DATA, guard, note, users};
use crate::journal::{self, Event, Kind};
use crate::store::{self, Store};
use crate::sys::On;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What a volume was made with.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    pub created: String,
    /// It was made for one container, without a name.
    pub anonymous: bool,
    pub labels: BTreeMap<String, String>,
    pub options: Options,
}

impl Record {
    pub(crate) fn new(labels: BTreeMap<String, String>, options: Options) -> Self {
        Self { created: now(), anonymous: false, labels, options }
    }

    /// The record of a volume that a container is made with.
    pub(crate) fn of_container(anonymous: bool, labels: BTreeMap<String, String>, options: Options) -> Self {
        let mut record = Self { anonymous, ..Self::new(labels, options) };
        if anonymous {
            record.labels.insert("com.docker.volume.anonymous".into(), String::new());
        }
        record
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Volume {
    pub name: String,
    pub directory: PathBuf,
    pub record: Record,
}

impl Volume {
    pub(crate) fn data(&self) -> PathBuf {
        self.directory.join(DATA)
    }

    pub(crate) fn backing(&self) -> Result<Backing, VolumeError> {
        Backing::of(&self.record.options)
    }
}

const RECORD: &str = "volume.json";

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Returns a name that nobody has chosen.
pub(crate) fn random_name() -> String {
    store::random_hex(32)
}

fn is_random(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Returns a volume by its name.
pub(crate) fn find(store: &Store, name: &str) -> Result<Volume, VolumeError> {
    let directory = store.path("volumes").join(name);
    if store::is_name(name) && directory.join(DATA).is_dir() {
        Ok(Volume { name: name.to_owned(), record: read(name, &directory), directory })
    } else {
        Err(VolumeError::NotFound(name.to_owned()))
    }
}

/// Returns all volumes, by name.
pub(crate) fn all(store: &Store) -> Vec<Volume> {
    let entries = fs::read_dir(store.path("volumes")).into_iter().flatten().flatten();
    let mut all: Vec<Volume> = entries.filter_map(|entry| find(store, entry.file_name().to_str()?).ok()).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn read(name: &str, directory: &Path) -> Record {
    let path = directory.join(RECORD);
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(_) => return unrecorded(name, directory),
    };
    store::format::from_record(&bytes).unwrap_or_else(|error| {
        store::tell_damage(&path, &error);
        unrecorded(name, directory)
    })
}

/// What can be told of a volume without a record.
fn unrecorded(name: &str, directory: &Path) -> Record {
    let made = fs::metadata(directory).and_then(|found| found.modified()).ok();
    let made = made.and_then(|time| jiff::Timestamp::try_from(time).ok());
    let created = made.map(|time| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default();
    Record { created, anonymous: is_random(name), ..Record::default() }
}

/// Returns why the record of a volume cannot be read, if it has one that cannot.
pub(crate) fn damage(directory: &Path) -> Option<(PathBuf, String)> {
    let path = directory.join(RECORD);
    let read = match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => Err(error.to_string()),
        Ok(bytes) => store::format::from_record::<Record>(&bytes).map(drop).map_err(|error| error.to_string()),
    };
    read.err().map(|why| (path, why))
}

/// Makes a volume.
///
/// # Errors
/// When there is one with other options.
pub(crate) fn create(store: &Store, name: &str, record: Record) -> Result<(), VolumeError> {
    if !store::is_name(name) {
        return Err(VolumeError::Name(name.to_owned()));
    }
    Backing::of(&record.options)?;
    let _lock = guard(store)?;
    make(store, name, record)
}

/// Returns an event of a volume.
pub(crate) fn event(action: &str, name: &str) -> Event {
    Event::now(Kind::Volume, action, name).with("driver", "local")
}

/// Makes a volume unless it is there. The lock is held.
fn make(store: &Store, name: &str, record: Record) -> Result<(), VolumeError> {
    if let Ok(volume) = find(store, name) {
        let same = record.options.is_empty() || record.options == volume.record.options;
        return if same { Ok(()) } else { Err(VolumeError::Exists(name.to_owned())) };
    }
    let _mask = crate::sys::fs::Umask::set(0o022);
    let directory = store.path("volumes").join(name);
    let place = |part: &str| directory.join(part);
    fs::create_dir_all(place(super::users::USERS)).on("mkdir", &directory)?;
    store::write_quickly(&place(RECORD), &store::format::to_record(&record))?;
    // Last: what has it is a volume.
    fs::create_dir_all(place(DATA)).on("mkdir", &directory)?;
    journal::note(store, &[event("create", name)]);
    Ok(())
}

/// Makes a volume unless it is there, and notes that a container uses it.
pub(crate) fn hold(store: &Store, name: &str, record: Record, container: &str) -> Result<(), VolumeError> {
    let _lock = guard(store)?;
    make(store, name, record)?;
    note(store, name, container)
}

/// Removes a volume that no container uses. Must run inside the user namespace, since its files have the containers' ids.
pub(crate) fn remove(store: &Store, volume: &Volume) -> Result<(), VolumeError> {
    let lock = guard(store)?;
    let containers = users(store, &volume.name);
    if !containers.is_empty() {
        return Err(VolumeError::InUse { name: volume.name.clone(), containers });
    }
    let aside = store.set_aside(&volume.directory)?;
    drop(lock);
    if aside.is_some() {
        journal::note(store, &[event("destroy", &volume.name)]);
    }
    Ok(aside.map_or(Ok(()), |aside| store::remove_tree(&aside))?)
}
