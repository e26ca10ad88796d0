//! Locks: on one thing for as long as its file is open. A reserve of empty files becomes locks where the disk has no inode left:
//! whoever frees something must need nothing.

use super::layout::{RESERVE, Store};
use super::removal::remove_tree;
use crate::sys::{On, SysError};
use std::fs::{File, OpenOptions, TryLockError};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The number of files in the reserve: some more than one command holds at once.
const RESERVED: usize = 12;

/// The number of files that this process has taken from the reserve.
static OWED: AtomicUsize = AtomicUsize::new(0);

impl Store {
    /// Opens a lock file, and makes it if it is missing: where the disk has no inode left, from the reserve.
    pub fn open_lock(&self, path: &Path) -> Result<File, SysError> {
        match lock_file(path) {
            Err(full) if full.is_full() => {
                if (0..RESERVED).any(|number| rename_to_nothing(&self.reserved(number), path).is_ok()) {
                    OWED.fetch_add(1, Ordering::Relaxed);
                }
                // Another process may have made it meanwhile.
                lock_file(path).map_err(|error| if error.is_full() { full } else { error })
            }
            other => other,
        }
    }

    /// Removes a lock file, or gives it back to the reserve.
    pub fn retire_lock(&self, path: &Path) {
        let owes = OWED.load(Ordering::Relaxed) > 0;
        if owes && (0..RESERVED).any(|number| rename_to_nothing(path, &self.reserved(number)).is_ok()) {
            OWED.fetch_sub(1, Ordering::Relaxed);
        } else {
            let _ = remove_tree(path);
        }
    }

    fn reserved(&self, number: usize) -> PathBuf {
        self.root.join(RESERVE).join(number.to_string())
    }

    /// Fills the reserve with what a process that was killed did not give back.
    pub fn fill_reserve(&self) -> Result<(), SysError> {
        (0..RESERVED).map(|number| self.reserved(number)).try_for_each(|path| lock_file(&path).map(drop))
    }

    /// [`Store::fill_reserve`] if this process has taken from it: a lock may have gone with the directory that it was in.
    pub(crate) fn settle_reserve(&self) {
        if OWED.load(Ordering::Relaxed) > 0 {
            let _ = self.fill_reserve();
        }
    }
}

/// A lock on one thing, held until dropped or until the process dies.
#[must_use]
pub(crate) struct Lock(File);

impl Lock {
    /// Returns the lock for another process. It is released when both have dropped it.
    pub(crate) fn share(&self) -> Result<OwnedFd, SysError> {
        self.0.try_clone().map(OwnedFd::from).on("dup", "a lock")
    }

    /// Waits for the lock at `path`, and makes its file if it is missing.
    pub(crate) fn exclusive(path: &Path) -> Result<Self, SysError> {
        Self::of(lock_file(path)?, path)
    }

    /// [`Lock::exclusive`] that needs no inode.
    pub(crate) fn from_reserve(store: &Store, path: &Path) -> Result<Self, SysError> {
        Self::of(store.open_lock(path)?, path)
    }

    fn of(file: File, path: &Path) -> Result<Self, SysError> {
        file.lock().on("flock", path)?;
        Ok(Self(file))
    }

    /// Takes the lock if it is free. Returns `None` if another process holds it.
    pub(crate) fn attempt(path: &Path) -> Result<Option<Self>, SysError> {
        let file = lock_file(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).on("flock", path),
        }
    }

    /// Waits for a shared lock, which excludes exclusive ones.
    pub(crate) fn shared(path: &Path) -> Result<Self, SysError> {
        let file = lock_file(path)?;
        file.lock_shared().on("flock", path)?;
        Ok(Self(file))
    }
}

fn lock_file(path: &Path) -> Result<File, SysError> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).on("open", path)
}

/// Renames a file to a name that nothing has.
fn rename_to_nothing(from: &Path, to: &Path) -> Result<(), SysError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).on("renameat2", to)
}
