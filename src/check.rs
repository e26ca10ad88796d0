//! `system check`: what of the store is damaged, or left by a process that was killed, and what mends it.
//!
//! What can be derived is derived, what came from a registry is fetched again, what nobody can use is dropped. What only its
//! owner can replace, as the files that a container has written, stays, and is told.

mod container;
mod content;
mod index;
mod layer;

use crate::builder::walk::cache;
use crate::container::stored::layering::Layering;
use crate::diag::{Failure, in_one_line};
use crate::image::stored::claim;
use crate::registry::Settings;
use crate::store::{self, Store};
use crate::sys::{On, SysError};
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

/// One thing that is not as it should be.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    /// Relative to the store.
    pub path: PathBuf,
    pub damage: String,
    pub outcome: Outcome,
    /// What mends it, or why that cannot be.
    pub repair: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    Mended,
    /// With `--repair`.
    Mendable,
    Left,
}

/// Looks at everything there is. Inside the user namespace.
pub(crate) fn check(store: &Store, repairs: bool, settings: &Settings) -> Result<Vec<Finding>, Failure> {
    let mut check = Check { store, repairs, settings, findings: Vec::new(), lost: Vec::new() };
    check.parts()?;
    check.locks()?;
    if repairs {
        // What killed processes have left.
        store.sweep();
        claim::recover(store)?;
        store.fill_reserve()?;
    }
    check.host();
    check.layers()?;
    check.images()?;
    check.indexes()?;
    check.names()?;
    check.containers()?;
    check.holds()?;
    check.builds()?;
    check.users()?;
    check.lists()?;
    Ok(check.findings)
}

struct Check<'a> {
    store: &'a Store,
    repairs: bool,
    settings: &'a Settings,
    findings: Vec<Finding>,
    /// Directories of layers that nothing brings back.
    lost: Vec<String>,
}

impl Check<'_> {
    /// Tells of a damage, and mends it if that is wanted. `true`: it is mended.
    fn mend(
        &mut self,
        path: &Path,
        damage: impl Into<String>,
        repair: impl Into<String>,
        act: impl FnOnce() -> Result<(), Failure>,
    ) -> bool {
        let (outcome, repair) = match self.repairs.then(act) {
            None => (Outcome::Mendable, repair.into()),
            Some(Ok(())) => (Outcome::Mended, repair.into()),
            Some(Err(error)) => (Outcome::Left, format!("{} failed: {}", repair.into(), in_one_line(error.as_ref()))),
        };
        self.tell(path, damage.into(), outcome, repair);
        outcome == Outcome::Mended
    }

    /// Tells of a damage that only its owner can mend.
    fn leave(&mut self, path: &Path, damage: impl Into<String>, advice: impl Into<String>) {
        self.tell(path, damage.into(), Outcome::Left, advice.into());
    }

    fn tell(&mut self, path: &Path, damage: String, outcome: Outcome, repair: String) {
        let path = path.strip_prefix(&self.store.root).unwrap_or(path).to_owned();
        self.findings.push(Finding { path, damage, outcome, repair });
    }

    /// What does not belong where it lies.
    fn drop_it(&mut self, path: &Path, damage: impl Into<String>) {
        self.mend(path, damage, "remove it", || Ok(store::remove_tree(path)?));
    }

    fn entries(&self, part: &str) -> Result<Vec<PathBuf>, SysError> {
        entries(&self.store.path(part))
    }

    fn parts(&mut self) -> Result<(), Failure> {
        for part in store::PARTS {
            let path = self.store.path(part);
            if !self.directory(&path) {
                fs::read_dir(&path).on("opendir", &path)?;
            }
        }
        Ok(())
    }

    /// What must be a directory becomes an empty one if it is none. `true`: it is one now.
    fn directory(&mut self, path: &Path) -> bool {
        let make = || {
            store::remove_tree(path)?;
            Ok(fs::create_dir(path).on("mkdir", path)?)
        };
        path.is_dir() || self.mend(path, "is no directory", "make it anew, empty", make)
    }

    /// Files that only their locks mean something of.
    fn locks(&mut self) -> Result<(), Failure> {
        for part in ["pending", "reserve"] {
            for path in self.entries(part)?.into_iter().filter(|path| !path.is_file()) {
                self.drop_it(&path, "is no file");
            }
        }
        Ok(())
    }

    /// What the store remembers of its host.
    fn host(&mut self) {
        let (store, path) = (self.store, self.store.path(store::format::FILE));
        if store::format::of(&store.root) == store::format::StoreFormat::Damaged {
            self.mend(&path, "says no format", "write it anew", || Ok(store.write_format()?));
        }
        // To come here, `ids` was put right already: whoever enters the user namespace reads it.
        let path = self.store.path("layering");
        if path.exists() && Layering::remembered(self.store).is_none() {
            self.drop_it(&path, "says nothing that can be understood");
        } else if path.exists() && matches!(Layering::probe(self.store), Some(Ok(()))) {
            let store = self.store;
            self.mend(&path, "says that the kernel gives no overlay, but it does", "forget it", || {
                Layering::take_back(store);
                Ok(())
            });
        }
    }

    /// What builds remember. An entry that cannot be read is a step to be done again.
    fn builds(&mut self) -> Result<(), Failure> {
        let directory = self.store.path(cache::DIRECTORY);
        for entry in entries(&directory.join("steps"))? {
            if let Some(damage) = cache::damage(&entry) {
                self.drop_it(&entry, damage);
            }
        }
        for entry in entries(&directory.join("last"))? {
            let text = fs::read(&entry);
            if !text.is_ok_and(|text| store::format::from_record::<serde_json::Value>(&text).is_ok()) {
                self.drop_it(&entry, "cannot be read");
            }
        }
        for entry in entries(&directory.join("memo"))?.into_iter().chain([directory.join("swept")]) {
            if entry.exists() && !entry.is_file() {
                self.drop_it(&entry, "is no file");
            }
        }
        Ok(())
    }

    /// Indexes that are being put together.
    fn lists(&mut self) -> Result<(), Failure> {
        for entry in self.entries("manifest-lists")? {
            let text = fs::read(&entry);
            if !text.is_ok_and(|text| store::format::from_record::<serde_json::Value>(&text).is_ok()) {
                self.drop_it(&entry, "cannot be read");
            }
        }
        Ok(())
    }
}

/// What is in a directory, in the order of names; nothing, if it is not there.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, SysError> {
    let found = match fs::read_dir(directory) {
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => return Ok(Vec::new()),
        other => other.on("opendir", directory)?,
    };
    let mut found: Vec<PathBuf> = found.flatten().map(|entry| entry.path()).collect();
    found.sort();
    Ok(found)
}

/// The last part of a path.
fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
