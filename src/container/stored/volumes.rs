//! The volumes of containers, and the containers of a volume.

use super::record::{self, Container, Record};
use crate::container::request::id::ContainerId;
use crate::journal::{self, Event};
use crate::store::Store;
use crate::sys::SysError;
use crate::volume::{self, VolumeError};

impl Record {
    /// Notes that it has started, and with which volumes.
    pub(crate) fn note_start(&self, store: &Store) {
        let mounts = self.volumes.iter().filter_map(|mounted| {
            let event = volume::event("mount", mounted.name.as_ref()?).with("container", self.id.as_str());
            let event = event.with("destination", &mounted.target).with("propagation", "");
            Some(event.with("read/write", !mounted.read_only))
        });
        journal::note(store, &mounts.chain([self.event("start")]).collect::<Vec<_>>());
    }

    /// Returns the events of its volumes as it ends.
    pub(crate) fn unmounts(&self) -> impl Iterator<Item = Event> {
        let names = self.volumes.iter().filter_map(|mounted| mounted.name.as_ref());
        names.map(|name| volume::event("unmount", name).with("container", self.id.as_str()))
    }
}

/// Makes the volumes of a container that are missing, and notes with each that the container uses it.
pub(crate) fn hold(store: &Store, record: &Record) -> Result<(), VolumeError> {
    for mounted in &record.volumes {
        let Some(name) = &mounted.name else { continue };
        note_older_users(store, name)?;
        let (labels, options) = (mounted.labels.clone(), mounted.driver_options.clone());
        let made = volume::Record::of_container(mounted.own, labels, options);
        volume::hold(store, name, made, record.id.as_str())?;
    }
    Ok(())
}

/// Returns the names of the containers that use a volume; of a container that is damaged, its id.
pub(crate) fn users(store: &Store, name: &str) -> Result<Vec<String>, VolumeError> {
    note_older_users(store, name)?;
    let named = |id: String| match id.parse::<ContainerId>().ok().and_then(|id| Container::load(store, &id).ok()) {
        Some(container) => container.record.name,
        None => id.chars().take(12).collect(),
    };
    Ok(volume::users(store, name).into_iter().map(named).collect())
}

/// Notes the users of a volume that an older version made, which noted none.
fn note_older_users(store: &Store, name: &str) -> Result<(), VolumeError> {
    if !volume::lacks_users(store, name) {
        return Ok(());
    }
    for container in Container::all(store) {
        if container.record.volumes.iter().any(|mounted| mounted.name.as_deref() == Some(name)) {
            adopt(store, &container, name)?;
        }
    }
    Ok(())
}

/// Notes that an existing container uses a volume.
pub(crate) fn adopt(store: &Store, container: &Container, name: &str) -> Result<(), VolumeError> {
    // First what takes the note away with the container.
    let noted: Result<(), SysError> = record::note_belongings(&container.directory, &container.record);
    noted?;
    volume::note_user(store, name, container.record.id.as_str())
}
