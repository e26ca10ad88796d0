//! Directories under `tmp/` that are being filled or removed, each with a lock of the process that does it. A process that dies
//! releases its lock, and the next command that writes removes what it has left.

use super::error::StoreError;
use super::layout::Store;
use super::random::random_hex;
use super::write::{or_over_directory, sync_dir};
use crate::sys::{On, SysError};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

impl Store {
    /// Makes a directory under `tmp/`, which is removed when dropped unless it was [`Scratch::publish`]ed.
    pub fn scratch(&self) -> Result<Scratch, StoreError> {
        let scratch = self.scratch_place()?;
        fs::create_dir(&scratch.path).on("mkdir", &scratch.path)?;
        Ok(scratch)
    }

    /// Moves a directory to `tmp/`, out of sight, to be removed with everything that its lists name.
    /// `None`: another process was faster.
    pub fn withdraw(&self, directory: &Path) -> Result<Option<Scratch>, StoreError> {
        let scratch = self.scratch_place()?;
        match fs::rename(directory, &scratch.path) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            other => Ok(other.on("rename", directory).map(|()| Some(scratch))?),
        }
    }

    /// Locks a name under `tmp/` that nothing has.
    fn scratch_place(&self) -> Result<Scratch, StoreError> {
        self.sweep();
        loop {
            let path = self.root.join("tmp").join(random_hex(8));
            let lock = path.with_extension("lock");
            let file = self.open_lock(&lock)?;
            file.lock().on("flock", &lock)?;
            // Between creation and lock another process may have taken it for abandoned.
            if fs::metadata(&lock).is_ok_and(|m| m.nlink() == 1 && file.metadata().is_ok_and(|f| f.ino() == m.ino())) {
                return Ok(Scratch { store: self.clone(), path, lock, _held: file });
            }
        }
    }

    /// Removes what dead processes have left under `tmp/`. Costs one `readdir` of a directory that is normally empty.
    pub fn sweep(&self) {
        let Ok(entries) = fs::read_dir(self.root.join("tmp")) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|e| e != "lock") {
                // Its lock is gone: whoever was removing it died.
                if !path.with_extension("lock").exists() {
                    let _ = self.bury(&path);
                }
                continue;
            }
            let Ok(file) = File::open(&path) else { continue };
            if file.try_lock().is_ok() {
                let _ = self.bury(&path.with_extension(""));
                self.retire_lock(&path);
            }
        }
    }
}

/// A directory under `tmp/` that is being filled or removed, out of sight of other processes.
pub struct Scratch {
    store: Store,
    path: PathBuf,
    lock: PathBuf,
    _held: File,
}

impl Scratch {
    /// Returns the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what its lists name, before its files.
    pub fn let_go(&self) -> Result<(), SysError> {
        self.store.remove_belongings(&self.path)
    }

    /// Removes the directory and all that its lists name.
    pub fn discard(&self) -> Result<(), SysError> {
        self.store.bury(&self.path)
    }

    /// Renames the directory, or an entry in it, to `target` and flushes the parent of that. `false`: `target` exists.
    pub fn publish(&self, entry: &Path, target: &Path) -> Result<bool, StoreError> {
        let published = self.publish_quickly(entry, target)?;
        if published {
            sync_dir(target.parent().unwrap_or(target))?;
        }
        Ok(published)
    }

    /// [`Scratch::publish`] for what a power failure may take.
    pub fn publish_quickly(&self, entry: &Path, target: &Path) -> Result<bool, StoreError> {
        match fs::rename(entry, target) {
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOTEMPTY | libc::EEXIST)) => Ok(false),
            other => Ok(or_over_directory(other, entry, target).on("rename", target).map(|()| true)?),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.discard();
        self.store.retire_lock(&self.lock);
        self.store.settle_reserve();
    }
}
