//! The containers that use a volume. Each is noted with the volume, so that nobody has to look through all containers.

use super::error::VolumeError;
use crate::store::{Lock, NAMES_LOCK, Store};
use crate::sys::{On, SysError};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// The directory of a volume's files.
pub(super) const DATA: &str = "_data";

/// The directory with a file for each container that uses the volume.
pub(crate) const USERS: &str = "containers";

/// Takes the lock that is held while a volume is made, taken into use or removed.
pub(super) fn guard(store: &Store) -> Result<Lock, SysError> {
    Lock::from_reserve(store, &store.path("volumes").join(NAMES_LOCK))
}

/// Returns the directory of a volume, relative to the store.
pub(crate) fn tree_path(name: &str) -> PathBuf {
    Path::new("volumes").join(name)
}

/// Returns the directory of a volume's files, relative to the store.
pub(crate) fn data_path(name: &str) -> PathBuf {
    tree_path(name).join(DATA)
}

/// Returns the path of the note that a container holds a volume, relative to the store.
pub(crate) fn hold_path(name: &str, container: &str) -> PathBuf {
    tree_path(name).join(USERS).join(container)
}

/// Notes that a container uses a volume.
pub(crate) fn note_user(store: &Store, name: &str, container: &str) -> Result<(), VolumeError> {
    let _lock = guard(store)?;
    note(store, name, container)
}

pub(super) fn note(store: &Store, name: &str, container: &str) -> Result<(), VolumeError> {
    let users = store.path(tree_path(name)).join(USERS);
    fs::create_dir_all(&users).on("mkdir", &users)?;
    File::create(users.join(container)).on("open", &users)?;
    Ok(())
}

/// Returns whether a volume notes no users because an older version made it.
pub(crate) fn lacks_users(store: &Store, name: &str) -> bool {
    let tree = store.path(tree_path(name));
    tree.exists() && !tree.join(USERS).exists()
}

/// Returns the ids of the containers that use a volume, in order.
pub(crate) fn users(store: &Store, name: &str) -> Vec<String> {
    let entries = fs::read_dir(store.path(tree_path(name)).join(USERS)).into_iter().flatten().flatten();
    let mut ids: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    ids.sort();
    ids
}
