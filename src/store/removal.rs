//! Removal of trees.

use crate::sys::{On, SysError};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Returns whether a directory is empty.
pub(crate) fn is_empty(directory: &Path) -> Result<bool, SysError> {
    Ok(fs::read_dir(directory).on("opendir", directory)?.next().is_none())
}

/// Removes a file, or a directory with all that is in it, also where the modes of directories forbid it.
pub(crate) fn remove_tree(path: &Path) -> Result<(), SysError> {
    let Err(first) = fs::remove_dir_all(path).or_else(|e| match e.raw_os_error() {
        Some(libc::ENOENT) => Ok(()),
        Some(libc::ENOTDIR) => fs::remove_file(path),
        _ => Err(e),
    }) else {
        return Ok(());
    };
    if first.raw_os_error() != Some(libc::EACCES) {
        return Err(first).on("rmdir", path);
    }
    open_up(path);
    fs::remove_dir_all(path).on("rmdir", path)
}

fn open_up(dir: &Path) {
    let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            open_up(&entry.path());
        }
    }
}
