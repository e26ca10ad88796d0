//! The order of the checks, and those of the small parts of the store.

use super::report::{Check, Finding, entries, name_of};
use crate::builder::walk::cache;
use crate::container::rootfs::layering::Layering;
use crate::diag::Failure;
use crate::image::stored::claim;
use crate::journal;
use crate::registry::Settings;
use crate::store::{self, Store};
use crate::sys::On;
use std::fs;

/// Checks the whole store. Must run inside the user namespace.
pub(crate) fn check(store: &Store, repairs: bool, settings: &Settings) -> Result<Vec<Finding>, Failure> {
    let mut check = Check { store, repairs, settings, findings: Vec::new(), lost: Vec::new() };
    check.parts()?;
    check.locks()?;
    if repairs {
        // What killed processes left behind.
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
    check.networks()?;
    check.volumes()?;
    check.holds()?;
    check.builds()?;
    check.users()?;
    check.lists()?;
    check.journal()?;
    Ok(check.findings)
}

impl Check<'_> {
    fn parts(&mut self) -> Result<(), Failure> {
        for part in store::PARTS {
            let path = self.store.path(part);
            if !self.directory(&path) {
                fs::read_dir(&path).on("opendir", &path)?;
            }
        }
        Ok(())
    }

    /// Checks files that exist only to be locked.
    fn locks(&mut self) -> Result<(), Failure> {
        for part in ["pending", "reserve"] {
            for path in self.entries(part)?.into_iter().filter(|path| !path.is_file()) {
                self.remove(&path, "is not a file");
            }
        }
        Ok(())
    }

    /// Checks what the store remembers of its host.
    fn host(&mut self) {
        let (store, path) = (self.store, self.store.path(store::format::FILE));
        if store::format::of(&store.root) == store::format::StoreFormat::Damaged {
            self.mend(&path, "does not name a format", "write it again", || Ok(store.write_format()?));
        }
        // The file `ids` was mended before: entering the user namespace reads it.
        let path = self.store.path("layering");
        if path.exists() && Layering::remembered(self.store).is_none() {
            self.remove(&path, "cannot be parsed");
        } else if path.exists() && matches!(Layering::probe(self.store), Some(Ok(()))) {
            let store = self.store;
            self.mend(&path, "says that the kernel refuses overlay, but it allows it", "remove it", || {
                Layering::take_back(store);
                Ok(())
            });
        }
    }

    /// Checks the build cache. The step of an unreadable entry is done again.
    fn builds(&mut self) -> Result<(), Failure> {
        let directory = self.store.path(cache::DIRECTORY);
        for entry in entries(&directory.join("steps"))? {
            if let Some(damage) = cache::damage(&entry) {
                self.remove(&entry, damage);
            }
        }
        for entry in entries(&directory.join("last"))? {
            let text = fs::read(&entry);
            if !text.is_ok_and(|text| store::format::from_record::<serde_json::Value>(&text).is_ok()) {
                self.remove(&entry, "cannot be read");
            }
        }
        for entry in entries(&directory.join("memo"))?.into_iter().chain([directory.join("swept")]) {
            if entry.exists() && !entry.is_file() {
                self.remove(&entry, "is not a file");
            }
        }
        Ok(())
    }

    /// Checks the journal of events. A damaged line is passed over by whoever reads it.
    fn journal(&mut self) -> Result<(), Failure> {
        let directory = journal::directory(self.store);
        if directory.exists() && !directory.is_dir() {
            self.remove(&directory, "is not a directory");
            return Ok(());
        }
        for entry in self.entries(journal::DIRECTORY)? {
            if !journal::FILES.contains(&name_of(&entry)) || !entry.is_file() {
                self.remove(&entry, "is not a file of the journal");
            }
        }
        Ok(())
    }

    /// Checks manifest lists that are being assembled.
    fn lists(&mut self) -> Result<(), Failure> {
        for entry in self.entries("manifest-lists")? {
            let text = fs::read(&entry);
            if !text.is_ok_and(|text| store::format::from_record::<serde_json::Value>(&text).is_ok()) {
                self.remove(&entry, "cannot be read");
            }
        }
        Ok(())
    }
}
