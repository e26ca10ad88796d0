//! Claims: locks on things of the store that are being made, changed or removed. A claim can hold a note, which tells whoever
//! finds it without its holder what to undo.

#![deny(clippy::indexing_slicing)]

use super::layout::Store;
use crate::sys::{On, SysError};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const DIRECTORY: &str = "pending";

/// A locked file under `pending/`, which is removed when its holder drops it. The lock is gone when the process dies, and the
/// file stays.
#[must_use]
pub(crate) struct Claim {
    store: Store,
    path: PathBuf,
    file: File,
    /// There may be a note in the file.
    is_written: bool,
}

impl Claim {
    /// Waits for the claim called `name`.
    pub(crate) fn take(store: &Store, name: &str) -> Result<Self, SysError> {
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

    /// Takes the claims whose holders have died, each with its name, one after the other: finishing the work of one may need
    /// another. Costs one `readdir` of a directory that is normally empty.
    pub(crate) fn abandoned(store: &Store) -> impl Iterator<Item = Result<(String, Self), SysError>> {
        let entries = fs::read_dir(store.path(DIRECTORY)).into_iter().flatten().flatten();
        entries.filter_map(|entry| {
            let path = entry.path();
            let file = OpenOptions::new().read(true).write(true).open(&path).ok()?;
            match file.try_lock() {
                Err(TryLockError::WouldBlock) => return None,
                Err(TryLockError::Error(e)) => return Some(Err(e).on("flock", &path)),
                Ok(()) if !still_there(&file, &path) => return None,
                Ok(()) => {}
            }
            let claim = Self { store: store.clone(), path, file, is_written: true };
            Some(Ok((entry.file_name().to_string_lossy().into_owned(), claim)))
        })
    }

    /// Returns whether a living process has the claim called `name`.
    pub(crate) fn is_held(store: &Store, name: &str) -> bool {
        let file = File::open(store.path(DIRECTORY).join(name));
        file.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
    }

    /// Writes the note, in place of an earlier one.
    pub(crate) fn note(&mut self, text: &[u8]) -> Result<(), SysError> {
        self.is_written = true;
        self.file.set_len(0).on("ftruncate", &self.path)?;
        self.file.rewind().on("lseek", &self.path)?;
        self.file.write_all(text).on("write", &self.path)?;
        self.file.sync_all().on("fsync", &self.path)
    }

    /// Reads the note of an earlier holder that died. Empty: there is none.
    pub(crate) fn read_note(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        match self.file.read_to_end(&mut text) {
            Ok(length) => self.is_written = length > 0,
            Err(_) => text.clear(),
        }
        text
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
