//! The writing side: one append for each note, and a bound.

use super::Event;
use super::read::{LOG, OLDER, directory};
use crate::store::Store;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The size in bytes from which on a file becomes the older one.
const FULL: u64 = 1 << 20;

/// Writes events. What fails is left out: nothing that was done may fail because it could not be noted.
pub(crate) fn note(store: &Store, events: &[Event]) {
    let mut text = Vec::new();
    for event in events {
        if serde_json::to_writer(&mut text, event).is_ok() {
            text.push(b'\n');
        }
    }
    let _ = append(&directory(store), &text);
}

fn append(directory: &Path, text: &[u8]) -> io::Result<()> {
    let path = directory.join(LOG);
    let open = || OpenOptions::new().append(true).create(true).mode(0o600).open(&path);
    let mut file = match open() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::DirBuilder::new().mode(0o700).create(directory).or_else(|error| match error.kind() {
                ErrorKind::AlreadyExists => Ok(()),
                _ => Err(error),
            })?;
            open()?
        }
        other => other?,
    };
    let written = file.write(text)?;
    if written < text.len() {
        // A full disk: no event of somebody else may continue this line.
        let _ = file.write(b"\n");
    }
    if file.metadata()?.len() >= FULL {
        rotate(&file, &path, directory)?;
    }
    Ok(())
}

/// Makes a full file the older one. Of several that want to, the one with the file's lock does it.
fn rotate(file: &File, path: &Path, directory: &Path) -> io::Result<()> {
    if file.try_lock().is_ok() && fs::metadata(path)?.ino() == file.metadata()?.ino() {
        fs::rename(path, directory.join(OLDER))?;
    }
    Ok(())
}
