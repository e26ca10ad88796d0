//! Claims: who may change an image, a layer or a name right now, and what to undo when the one who did has died.
//!
//! A claim is a locked file under `pending/`, removed when its holder is done. Claiming an image that is being made or
//! removed notes the image's layers in that file first: whoever finds the note without its holder finishes the work.

#![deny(clippy::indexing_slicing)]

use super::layer;
use crate::image::ImageError;
use crate::image::name::digest::Digest;
use crate::store::Store;
use crate::sys::{On, SysError};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const DIRECTORY: &str = "pending";

/// Held until dropped, or until the process dies.
#[must_use]
pub(crate) struct Claim {
    store: Store,
    path: PathBuf,
    file: File,
    /// Something may be written in it.
    is_written: bool,
}

impl Claim {
    pub(crate) fn layer(store: &Store, diff_id: &Digest) -> Result<Self, SysError> {
        Self::take(store, &format!("layer-{}", diff_id.hex()))
    }

    pub(crate) fn name(store: &Store, file_name: &str) -> Result<Self, SysError> {
        Self::take(store, &format!("name-{}", Digest::of(file_name.as_bytes()).hex()))
    }

    fn take(store: &Store, name: &str) -> Result<Self, SysError> {
        let directory = store.path(DIRECTORY);
        let path = directory.join(name);
        loop {
            let file = match store.open_lock(&path) {
                Err(error) if error.errno == libc::ENOENT => {
                    fs::create_dir_all(&directory).on("mkdir", &directory)?;
                    continue;
                }
                other => other?,
            };
            file.lock().on("flock", &path)?;
            if still_there(&file, &path) {
                return Ok(Self { store: store.clone(), path, file, is_written: true });
            }
        }
    }

    fn note(&mut self, layers: &[Digest]) -> Result<(), SysError> {
        let text = serde_json::to_vec(layers).unwrap_or_default();
        self.is_written = true;
        self.file.set_len(0).on("ftruncate", &self.path)?;
        self.file.rewind().on("lseek", &self.path)?;
        self.file.write_all(&text).on("write", &self.path)?;
        self.file.sync_all().on("fsync", &self.path)
    }

    /// Layers noted by an earlier holder that died before it was done.
    fn noted(&mut self) -> Vec<Digest> {
        let mut text = Vec::new();
        match self.file.read_to_end(&mut text) {
            Ok(0) => {
                self.is_written = false;
                Vec::new()
            }
            Ok(_) => serde_json::from_slice(&text).unwrap_or_default(),
            Err(_) => Vec::new(),
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // No note may come to whoever takes the file from the reserve.
        if self.is_written {
            let _ = self.file.set_len(0);
        }
        // Before the lock is let go of, so that a waiter sees that its file is no longer the one at this path.
        self.store.retire_lock(&self.path);
    }
}

/// The holder before us may have removed the file between our `open` and our `flock`.
fn still_there(file: &File, path: &Path) -> bool {
    let same = |ours: fs::Metadata, there: fs::Metadata| ours.ino() == there.ino() && ours.dev() == there.dev();
    file.metadata().is_ok_and(|ours| fs::metadata(path).is_ok_and(|there| same(ours, there)))
}

/// The right to make, use, rename or remove one image.
#[must_use]
pub(crate) struct ImageClaim {
    store: Store,
    pub image: Digest,
    layers: Vec<Digest>,
    claim: Claim,
}

impl ImageClaim {
    pub(crate) fn take(store: &Store, image: Digest) -> Result<Self, SysError> {
        let mut claim = Claim::take(store, &format!("image-{}", image.hex()))?;
        let layers = claim.noted();
        let mut claimed = Self { store: store.clone(), image, layers, claim };
        claimed.settle();
        Ok(claimed)
    }

    /// Before any layer is published for the image, or taken from it.
    pub(crate) fn intend(&mut self, layers: &[Digest]) -> Result<(), SysError> {
        self.claim.note(layers)?;
        self.layers = layers.to_vec();
        Ok(())
    }

    /// [`ImageClaim::intend`] of who is about to remove the image, and must be able to on a full disk: should it be killed
    /// there, `system check` finds what is left.
    pub(crate) fn intend_removal(&mut self, layers: &[Digest]) -> Result<(), SysError> {
        self.layers = layers.to_vec();
        match self.claim.note(layers) {
            Err(full) if full.is_full() => Ok(()),
            other => other,
        }
    }

    /// Gives back the layers of an image that is not there: not finished, or already removed.
    fn settle(&mut self) -> Vec<Digest> {
        let layers = std::mem::take(&mut self.layers);
        if layers.is_empty() || crate::image::directory(&self.store, &self.image).exists() {
            return Vec::new();
        }
        layers.into_iter().filter(|layer| layer::release(&self.store, layer, &self.image).unwrap_or(false)).collect()
    }

    /// The image is gone: gives back its layers and says which of them nobody uses any more.
    pub(crate) fn give_back(mut self) -> Vec<Digest> {
        self.settle()
    }
}

impl Drop for ImageClaim {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Whether an image is being made or removed right now.
pub(crate) fn is_held(store: &Store, image: &Digest) -> bool {
    let file = File::open(store.path(DIRECTORY).join(format!("image-{}", image.hex())));
    file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}

/// Finishes what died half-way. Costs one `readdir` of a directory that is normally empty.
pub(crate) fn recover(store: &Store) -> Result<(), ImageError> {
    let Ok(entries) = fs::read_dir(store.path(DIRECTORY)) else { return Ok(()) };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(file) = OpenOptions::new().read(true).write(true).open(&path) else { continue };
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => continue,
            Err(TryLockError::Error(e)) => return Err(e).on("flock", &path)?,
            Ok(()) if !still_there(&file, &path) => continue,
            Ok(()) => {}
        }
        let mut claim = Claim { store: store.clone(), path, file, is_written: true };
        let name = entry.file_name();
        let image = name.to_str().and_then(|n| n.strip_prefix("image-")).and_then(Digest::from_hex);
        if let Some(image) = image {
            let layers = claim.noted();
            drop(ImageClaim { store: store.clone(), image, layers, claim });
        }
    }
    Ok(())
}
