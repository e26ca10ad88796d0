//! Writes that a crash leaves done or undone, never half-done.

use super::random::random_hex;
use crate::sys::{On, SysError};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

/// Renames a file, also over a directory: where a file belongs, that is damage.
pub(crate) fn or_over_directory(renamed: std::io::Result<()>, from: &Path, to: &Path) -> std::io::Result<()> {
    match renamed {
        Err(error) if error.raw_os_error() == Some(libc::EISDIR) => {
            fs::remove_dir_all(to)?;
            fs::rename(from, to)
        }
        other => other,
    }
}

/// Replaces `path` in one step: temporary name, `fsync`, `rename`, `fsync` of the directory.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), SysError> {
    write_atomically(path, bytes, true)
}

/// Replaces `path` in one step as every reader sees it; a power failure may lose the newest version.
pub(crate) fn write_quickly(path: &Path, bytes: &[u8]) -> Result<(), SysError> {
    write_atomically(path, bytes, false)
}

fn write_atomically(path: &Path, bytes: &[u8], durable: bool) -> Result<(), SysError> {
    let temporary = path.with_extension(format!("{}.new", random_hex(4)));
    let result = (|| {
        let mut file = File::create_new(&temporary).on("open", &temporary)?;
        file.write_all(bytes).on("write", path)?;
        if durable {
            file.sync_all().on("fsync", path)?;
        }
        or_over_directory(fs::rename(&temporary, path), &temporary, path).on("rename", path)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result?;
    if durable { sync_dir(path.parent().unwrap_or(path)) } else { Ok(()) }
}

/// Overwrites a file in place, which needs no free space: for a last record on a full disk.
pub(crate) fn write_in_place(path: &Path, bytes: &[u8]) -> Result<(), SysError> {
    let mut file = OpenOptions::new().write(true).open(path).on("open", path)?;
    file.write_all(bytes).and_then(|()| file.set_len(bytes.len() as u64)).on("write", path)
}

/// Flushes the entries of a directory.
pub(crate) fn sync_dir(path: &Path) -> Result<(), SysError> {
    File::open(path).and_then(|d| d.sync_all()).on("fsync", path)
}
