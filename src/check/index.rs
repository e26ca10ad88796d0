//! Checks of indexes, which list the images of several platforms.

use super::report::{Check, entries, name_of};
use crate::diag::{Failure, why};
use crate::image::name::digest::Digest;
use crate::image::stored::index;
use crate::image::stored::index::Index;
use crate::image::{self, attestation};
use crate::store;
use crate::sys::On;
use std::fs::{self, File};
use std::path::Path;

impl Check<'_> {
    /// Checks all indexes. Runs after the images, of which some may have been removed.
    pub(crate) fn indexes(&mut self) -> Result<(), Failure> {
        for directory in self.entries(index::DIRECTORY)? {
            match Digest::from_hex(name_of(&directory)) {
                Some(digest) if directory.is_dir() => self.index(&directory, digest)?,
                _ => self.remove(&directory, "is not an index"),
            }
        }
        for image in self.entries("images")? {
            for note in entries(&image.join(index::DIRECTORY))? {
                let digest = Digest::from_hex(name_of(&note));
                let is_held = |digest: Digest| {
                    index::exists(self.store, &digest) || image::stored::claim::is_held(self.store, &digest)
                };
                if !digest.is_some_and(is_held) {
                    self.remove(&note, "an index that does not exist holds this image");
                }
            }
        }
        Ok(())
    }

    fn index(&mut self, directory: &Path, digest: Digest) -> Result<(), Failure> {
        let store = self.store;
        let index = match Index::open(store, &digest) {
            Ok(Some(index)) => index,
            Ok(None) => return Ok(()),
            Err(error) => {
                self.drop_index(directory, &directory.join("index.json"), &why(&error));
                return Ok(());
            }
        };
        for member in &index.members {
            let image = image::directory(store, &member.image);
            if !image.exists() {
                self.drop_index(directory, &image, "is missing, but an index lists it");
                return Ok(());
            }
            let note = image.join(index::DIRECTORY).join(digest.hex());
            if !note.exists() {
                self.mend(&note, "the image does not list this index", "add it", || {
                    fs::create_dir_all(image.join(index::DIRECTORY)).on("mkdir", &image)?;
                    Ok(File::create(&note).map(drop).on("open", &note)?)
                });
            }
        }
        for attested in index.others() {
            let manifest = index.blob(store, &attested);
            let parts = manifest.as_ref().map(|bytes| attestation::parts(bytes)).unwrap_or_default();
            let damage = manifest.err().or_else(|| parts.iter().find_map(|part| index.blob(store, part).err()));
            if let Some(error) = damage {
                self.drop_index(directory, &directory.join("blobs"), &why(&error));
                return Ok(());
            }
        }
        Ok(())
    }

    /// Removes an index. Its names refer to the image for this machine from then on.
    fn drop_index(&mut self, directory: &Path, path: &Path, damage: &str) {
        self.mend(path, damage, "drop the index; the images that it lists stay", || Ok(store::remove_tree(directory)?));
    }
}
