//! Checks of containers: their records, and the names that refer to them.

#![deny(clippy::indexing_slicing)]

use super::report::{Check, entries, name_of};
use crate::container::decide::create;
use crate::container::live::stop_all;
use crate::container::request::id::ContainerId;
use crate::container::stored::record;
use crate::container::stored::record::{Container, RecordError};
use crate::diag::{Failure, why};
use crate::image::{self, Image, ImageError};
use crate::store;
use crate::sys::On;
use std::fs;
use std::path::Path;

impl Check<'_> {
    pub(crate) fn containers(&mut self) -> Result<(), Failure> {
        let store = self.store;
        for directory in self.entries("containers")? {
            let Some(id) = name_of(&directory).parse::<ContainerId>().ok().filter(|_| directory.is_dir()) else {
                self.remove(&directory, "is not a container");
                continue;
            };
            match Container::load(store, &id) {
                Ok(container) => self.container(&container)?,
                Err(error) => self.unreadable(&directory, &id, &error),
            }
        }
        for path in self.entries("container-names")? {
            let name = name_of(&path);
            if path.is_file() && name.starts_with('.') {
                continue;
            }
            let names_one = record::said_id(&path).is_some_and(|id| match Container::load(store, &id) {
                Ok(container) => container.record.name == name,
                Err(_) => store.path("containers").join(id).exists(),
            });
            if !names_one {
                self.remove(&path, "does not name a container");
            }
        }
        Ok(())
    }

    /// Removes a container whose record cannot be read, if it has written nothing: only that could not be recovered.
    fn unreadable(&mut self, directory: &Path, id: &ContainerId, error: &RecordError) {
        let (path, damage) = (directory.join("container.json"), why(error));
        let upper = directory.join("upper");
        if store::is_empty(&upper).unwrap_or(false) {
            let store = self.store;
            self.mend(&path, damage, "remove the container, which has written nothing", || {
                Ok(stop_all::remove_damaged(store, id)?)
            });
        } else {
            let advice = format!("copy what you need from {}, then: minirun rm -f {id}", upper.display());
            self.leave(&path, damage, advice);
        }
    }

    fn container(&mut self, container: &Container) -> Result<(), Failure> {
        let store = self.store;
        let (record, directory) = (&container.record, &container.directory);
        if let Some(damage) = container.damage_of_state() {
            self.mend(&directory.join("state.json"), damage, "write it again from the monitor's answer", || {
                let state = container.asked_state();
                Ok(container.write_state(&state)?)
            });
        }
        let config = directory.join("config.json");
        if let Err(error) = container.spec() {
            let damage = why(&error);
            self.mend(&config, damage, "create it again from the container's record", || {
                let image = Image::open(store, &record.image_id)?;
                let gone = || ImageError::Damaged { image: record.image_id, what: "it is gone".into() };
                let spec = create::spec_of(store, &image.ok_or_else(gone)?, record)?;
                let text = serde_json::to_vec(&spec).map_err(create::CreateError::from)?;
                Ok(store::write_durably(&config, &text)?)
            });
        }
        for part in ["upper", "work", "rootfs"] {
            self.directory(&directory.join(part));
        }
        // Loaded again, since the cached specification was damaged.
        if let Ok(spec) = Container::load(store, &record.id).and_then(|container| container.spec().cloned()) {
            for (name, text) in create::own_files(&spec, &record.request, None) {
                let path = directory.join(name);
                if !path.is_file() || fs::metadata(&path).is_ok_and(|found| found.len() == 0 && !text.is_empty()) {
                    self.mend(&path, "is empty or not a file", "write it again", || {
                        store::remove_tree(&path)?;
                        Ok(fs::write(&path, text).on("write", &path)?)
                    });
                }
            }
        }
        if !store::lists_are_whole(directory) {
            let path = directory.join("belongings.json");
            self.mend(&path, "the lists of this container's belongings cannot be read", "create them again", || {
                Ok(record::note_belongings(directory, record)?)
            });
        }
        for log in entries(directory)?.into_iter().filter(|path| name_of(path).starts_with("log.json")) {
            if !log.is_file() {
                self.remove(&log, "is not a file");
            }
        }
        let path = store.path("container-names").join(&record.name);
        if record::id_of_name(store, &record.name).is_none() {
            self.mend(&path, "does not name its container", "write it again", || {
                store::remove_tree(&path)?;
                Ok(store::write_quickly(&path, record.id.as_str().as_bytes())?)
            });
        }
        let hold = store.path(image::hold_path(&record.image_id, record.id.as_str()));
        if !hold.exists()
            && let Ok(Some(image)) = Image::open(store, &record.image_id)
        {
            self.mend(&hold, "the image does not list this container", "add it", || {
                Ok(image::hold(store, &image, record.id.as_str())?)
            });
        }
        Ok(())
    }
}
