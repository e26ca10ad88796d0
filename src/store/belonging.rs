//! The files that are removed together with a container or another thing. A list of them lies in the thing's directory before
//! any of them is made, and wherever the directory is moved to: whoever makes or removes the thing may die at any moment, and
//! whoever finds the directory in `tmp/` finishes the work.

use super::layout::Store;
use super::lock::Lock;
use super::random::random_hex;
use super::removal::{is_empty, remove_tree};
use super::write::write_quickly;
use crate::sys::{On, SysError};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// One entry of a list.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Belonging {
    /// A file or directory, relative to the store.
    Tree(PathBuf),
    /// A file with the id of the thing, guarded by the lock beside it.
    Name { path: PathBuf, id: String },
    /// A directory that goes once no user is noted in it, each by a file in `users`, relative to it. Guarded by the lock
    /// beside it.
    Unused { tree: PathBuf, users: PathBuf },
}

/// The names of the lists.
const LISTS: [&str; 2] = ["belongings.json", "volumes.json"];

/// The lock that guards the names in a directory.
pub(crate) const NAMES_LOCK: &str = ".lock";

/// Returns whether the lists of a thing can be read, where they exist.
pub(crate) fn lists_are_whole(thing: &Path) -> bool {
    LISTS.iter().all(|list| match fs::read(thing.join(list)) {
        Ok(text) => serde_json::from_slice::<Vec<Belonging>>(&text).is_ok(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    })
}

/// Writes a list, in place of an earlier one of that name.
pub(crate) fn note_belongings(thing: &Path, list: &str, belongings: &[Belonging]) -> Result<(), SysError> {
    debug_assert!(LISTS.contains(&list));
    write_quickly(&thing.join(list), &serde_json::to_vec(belongings).unwrap_or_default())
}

impl Store {
    /// Removes a directory under `tmp/`, after all that its lists name. Can be repeated: a file that only the root of the user
    /// namespace may remove stays until that one tries.
    pub(crate) fn bury(&self, directory: &Path) -> Result<(), SysError> {
        self.remove_belongings(directory)?;
        remove_tree(directory)
    }

    /// Moves a directory out of sight, to where whoever comes next removes it. `None`: it is not there.
    pub(crate) fn set_aside(&self, directory: &Path) -> Result<Option<PathBuf>, SysError> {
        let aside = self.path("tmp").join(random_hex(8));
        match fs::rename(directory, &aside) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            other => other.on("rename", directory).map(|()| Some(aside)),
        }
    }

    pub(crate) fn remove_belongings(&self, directory: &Path) -> Result<(), SysError> {
        for list in LISTS {
            let Ok(text) = fs::read(directory.join(list)) else { continue };
            let belongings: Vec<Belonging> = serde_json::from_slice(&text).unwrap_or_default();
            belongings.iter().try_for_each(|belonging| self.remove_belonging(belonging))?;
        }
        Ok(())
    }

    fn remove_belonging(&self, belonging: &Belonging) -> Result<(), SysError> {
        match belonging {
            Belonging::Tree(path) => remove_tree(&self.path(path)),
            Belonging::Name { path, id } => {
                let name = self.path(path);
                let _lock = Lock::from_reserve(self, &name.with_file_name(NAMES_LOCK))?;
                // The name may stand for another thing by now. A file without an id belongs to nothing.
                let is_anothers = |found: String| found.len() == id.len() && found != *id;
                if fs::read_to_string(&name).is_ok_and(is_anothers) { Ok(()) } else { remove_tree(&name) }
            }
            Belonging::Unused { tree, users } => {
                let tree = self.path(tree);
                let lock = Lock::from_reserve(self, &tree.with_file_name(NAMES_LOCK))?;
                if !is_empty(&tree.join(users)).unwrap_or(true) {
                    return Ok(());
                }
                let aside = self.set_aside(&tree)?;
                drop(lock);
                aside.map_or(Ok(()), |aside| remove_tree(&aside))
            }
        }
    }
}
