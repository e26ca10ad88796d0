//! Makes a whole tree an upper directory: removes what the layers below have too, and hides what they have alone.
//! It is for hosts without overlays, where a step of a build works in a copy of all that lies below.

use super::diff::{Attributes, Below, below, merged_names};
use super::mark;
use crate::store;
use crate::sys::{On, SysError, fs as sys};
use rustix::fs::{Timespec, Timestamps};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Reduces `tree` to its differences. `lowers` are the layers' directories, bottom first.
pub(crate) fn reduce(tree: &Path, lowers: &[PathBuf]) -> Result<(), SysError> {
    let lowers: Vec<PathBuf> = lowers.iter().rev().cloned().collect();
    directory(tree, &lowers)
}

/// `lowers`: the directories that the layers below have here, top first.
fn directory(tree: &Path, lowers: &[PathBuf]) -> Result<(), SysError> {
    let opened = File::open(tree).on("open", tree)?;
    let before = rustix::fs::fstat(&opened).on("fstat", tree)?;
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(tree).on("opendir", tree)? {
        let name = entry.on("readdir", tree)?.file_name();
        let path = tree.join(&name);
        let found = fs::symlink_metadata(&path).on("stat", &path)?;
        names.insert(name.as_bytes().to_vec());
        let below = below(lowers, name.as_bytes())?;
        if found.is_dir() && !below.directories.is_empty() {
            directory(&path, &below.directories)?;
            if is_same_directory(&path, &below)? {
                fs::remove_dir(&path).on("rmdir", &path)?;
            }
        } else if let Some(lower) = &below.other
            && is_same(&path, &found, lower)?
        {
            fs::remove_file(&path).on("unlink", &path)?;
        }
    }
    for name in merged_names(lowers)?.difference(&names) {
        mark::make_whiteout(opened.as_fd(), name).on("mknodat", tree.join(OsStr::from_bytes(name)))?;
    }
    // The changes here must not show in the time of the directory.
    let times = Timestamps {
        last_access: Timespec { tv_sec: before.st_atime, tv_nsec: before.st_atime_nsec as _ },
        last_modification: Timespec { tv_sec: before.st_mtime, tv_nsec: before.st_mtime_nsec as _ },
    };
    rustix::fs::futimens(&opened, &times).on("futimens", tree)
}

/// Returns whether a directory has no differences in it, and is the same as the one below.
fn is_same_directory(path: &Path, below: &Below) -> Result<bool, SysError> {
    let is_empty = store::is_empty(path)?;
    let Some(lower) = below.directories.first().filter(|_| is_empty) else { return Ok(false) };
    is_same_opened(&File::open(path).on("open", path)?, &File::open(lower).on("open", lower)?).on("fstat", path)
}

fn is_same(path: &Path, found: &Metadata, lower: &Path) -> Result<bool, SysError> {
    let other = fs::symlink_metadata(lower).on("stat", lower)?;
    let looks = |m: &Metadata| (m.mode(), m.uid(), m.gid(), m.size(), m.rdev(), m.mtime(), m.mtime_nsec());
    if looks(found) != looks(&other) {
        return Ok(false);
    }
    if found.is_symlink() {
        return Ok(fs::read_link(path).on("readlink", path)? == fs::read_link(lower).on("readlink", lower)?);
    }
    if !found.is_file() {
        return Ok(true);
    }
    let (ours, theirs) = (File::open(path).on("open", path)?, File::open(lower).on("open", lower)?);
    Ok(is_same_opened(&ours, &theirs).on("fstat", path)? && has_same_bytes(ours, theirs).on("read", path)?)
}

fn is_same_opened(ours: &File, theirs: &File) -> Result<bool, rustix::io::Errno> {
    let attributes = |file: &File| -> Result<_, rustix::io::Errno> {
        let mut all = Vec::new();
        for name in sys::flistxattr(file)? {
            all.extend((!mark::is_note(&name)).then_some((sys::fgetxattr(file, &name)?, name)));
        }
        all.sort();
        Ok(all)
    };
    Ok(Attributes::of(ours)? == Attributes::of(theirs)? && attributes(ours)? == attributes(theirs)?)
}

fn has_same_bytes(mut ours: File, mut theirs: File) -> std::io::Result<bool> {
    let mut pieces = [vec![0; 64 << 10], vec![0; 64 << 10]];
    loop {
        let length = ours.read(&mut pieces[0])?;
        if length == 0 {
            return Ok(theirs.read(&mut pieces[1])? == 0);
        }
        if theirs.read_exact(&mut pieces[1][..length]).is_err() || pieces[0][..length] != pieces[1][..length] {
            return Ok(false);
        }
    }
}
