//! Checks of volumes: their records, and the containers that they list.

use super::report::{Check, entries, name_of};
use crate::container::request::id::ContainerId;
use crate::container::stored::record::Container;
use crate::container::stored::volumes;
use crate::diag::Failure;
use crate::store;
use crate::volume;

impl Check<'_> {
    pub(crate) fn volumes(&mut self) -> Result<(), Failure> {
        let store = self.store;
        for directory in self.entries("volumes")? {
            let name = name_of(&directory).to_owned();
            if name.starts_with('.') && directory.is_file() {
                continue;
            }
            if volume::find(store, &name).is_err() {
                self.remove(&directory, "is not a volume");
                continue;
            }
            if let Some((path, damage)) = volume::damage(&directory) {
                self.mend(&path, damage, "remove it; the volume loses its labels and options", || {
                    Ok(store::remove_tree(&path)?)
                });
            }
            for note in entries(&directory.join(volume::USERS))? {
                let id = name_of(&note).parse::<ContainerId>().ok();
                if !id.is_some_and(|id| store.path("containers").join(id).exists())
                    && !self.is_in_work(name_of(&note))?
                {
                    self.remove(&note, "a container that does not exist holds this volume");
                }
            }
        }
        for container in Container::all(store) {
            for name in container.record.volumes.iter().filter_map(|mounted| mounted.name.as_ref()) {
                let note = store.path(volume::hold_path(name, container.record.id.as_str()));
                if volume::find(store, name).is_ok() && !volume::lacks_users(store, name) && !note.exists() {
                    self.mend(&note, "the volume does not list this container", "add it", || {
                        Ok(volumes::adopt(store, &container, name)?)
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether a command that still works makes the container with this id.
    fn is_in_work(&self, id: &str) -> Result<bool, Failure> {
        let scratches = self.entries("tmp")?;
        let text =
            |path: &std::path::PathBuf| std::fs::read_to_string(path.join("belongings.json")).unwrap_or_default();
        Ok(scratches.iter().any(|scratch| text(scratch).contains(id)))
    }
}
