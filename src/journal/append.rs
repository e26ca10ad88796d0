//! The writing side: one append for each note, and a bound.

use super::Event;
use super::read::{LOG, OLDER, directory};
use crate::store::Store;
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// The size in bytes from which on a file becomes the older one.
const FULL: u64 = 1 << 20;

/// Writes events. What fails is left out: nothing that was done may fail because it could not be noted.
pub(crate) fn note(store: &Store, events: &[Event]) {
    let _ = append(CWD, &directory(store), &lines(events));
}

/// A journal that was opened, for a process that leaves the file system it lies in.
pub(crate) struct Journal(OwnedFd);

impl Journal {
    /// Opens the journal of a store that has one.
    pub(crate) fn open(store: &Store) -> Option<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(directory(store), flags, Mode::empty()).ok().map(Self)
    }

    /// Writes events, as [`note`] does.
    pub(crate) fn note(&self, events: &[Event]) {
        let _ = append(self.0.as_fd(), Path::new("."), &lines(events));
    }
}

fn lines(events: &[Event]) -> Vec<u8> {
    let mut text = Vec::new();
    for event in events {
        if serde_json::to_writer(&mut text, event).is_ok() {
            text.push(b'\n');
        }
    }
    text
}

/// Appends to the newest file of the journal in a directory, whose path begins at `at`.
fn append(at: BorrowedFd, directory: &Path, text: &[u8]) -> io::Result<()> {
    let path = directory.join(LOG);
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
    let open = || rustix::fs::openat(at, &path, flags, Mode::from_raw_mode(0o600));
    let opened = match open() {
        Err(Errno::NOENT) => {
            match rustix::fs::mkdirat(at, directory, Mode::from_raw_mode(0o700)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            open()?
        }
        other => other?,
    };
    let mut file = File::from(opened);
    let written = file.write(text)?;
    if written < text.len() {
        // A full disk: no event of somebody else may continue this line.
        let _ = file.write(b"\n");
    }
    let metadata = file.metadata()?;
    if metadata.len() < FULL {
        return Ok(());
    }
    // A full file becomes the older one. Of several that want to, the one with the file's lock does it.
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    if rustix::fs::statat(at, &path, AtFlags::empty())?.st_ino == metadata.ino() {
        rustix::fs::renameat(at, &path, at, directory.join(OLDER))?;
    }
    Ok(())
}
