//! Compares the upper directory of a container with the layers below.

use super::mark::{self, Mark, MarkName};
use super::owner;
use super::owner::Stat;
use crate::sys::{On, SysError, fs as sys};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ChangeKind {
    Added,
    Changed,
    Deleted,
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Added => "A",
            Self::Changed => "C",
            Self::Deleted => "D",
        })
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The absolute path in the container.
    pub path: PathBuf,
    pub kind: ChangeKind,
}

/// Returns what was added, changed and deleted, in the order of the paths. `lowers` are the layers' directories, bottom first;
/// `leave_out` are paths in the container that the engine itself has made, as places to mount something on.
pub fn changes(upper: &Path, lowers: &[PathBuf], leave_out: &[PathBuf]) -> Result<Vec<Change>, SysError> {
    let items = items(upper, lowers, leave_out)?.into_iter();
    let mut changes: Vec<Change> = items.map(|item| Change { path: item.path, kind: item.kind }).collect();
    changes.sort_by(|a, b| a.path.as_os_str().cmp(b.path.as_os_str()));
    Ok(changes)
}

/// A [`Change`], with what `commit` needs to know of it.
pub(crate) struct Item {
    pub path: PathBuf,
    pub kind: ChangeKind,
    /// A directory whose lower contents are hidden all at once.
    pub opaque: bool,
    /// The opaque directory above has deleted it.
    pub implied: bool,
    /// It was a regular file.
    pub is_file: bool,
}

/// Directories come before what is in them, and names in order.
pub(crate) fn items(upper: &Path, lowers: &[PathBuf], leave_out: &[PathBuf]) -> Result<Vec<Item>, SysError> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(upper, flags, Mode::empty()).on("open", upper)?;
    let mut walk = Walk { leave_out, items: Vec::new() };
    // The upper ones hide the lower ones.
    let lowers: Vec<PathBuf> = lowers.iter().rev().cloned().collect();
    walk.directory(&root, Path::new("/"), &lowers, false)?;
    Ok(walk.items)
}

struct Walk<'a> {
    leave_out: &'a [PathBuf],
    items: Vec<Item>,
}

/// A result for the parent of a directory.
struct Visit {
    /// Something was left out that the engine had made, which changed the time of the directory.
    left_out: bool,
}

impl Walk<'_> {
    /// `lowers`: the directories that the layers below have here, top first.
    fn directory(
        &mut self,
        directory: &OwnedFd,
        path: &Path,
        lowers: &[PathBuf],
        opaque: bool,
    ) -> Result<Visit, SysError> {
        let mut found = Visit { left_out: false };
        let mut names = BTreeSet::new();
        for entry in Dir::read_from(directory).on("opendir", path)? {
            let name = entry.on("readdir", path)?.file_name().to_bytes().to_vec();
            if let Some(mark) = MarkName::of(&name) {
                self.marked(&mark, path, lowers)?;
            } else if name != b"." && name != b".." {
                names.insert(name);
            }
        }
        for name in &names {
            let child = path.join(OsStr::from_bytes(name));
            found.left_out |= self.entry(directory, name, child, lowers)?;
        }
        if opaque {
            for name in merged_names(lowers)?.difference(&names) {
                let path = path.join(OsStr::from_bytes(name));
                self.items.push(Item { path, kind: ChangeKind::Deleted, opaque: false, implied: true, is_file: false });
            }
        }
        Ok(found)
    }

    /// Notes what is deleted by a whiteout of fuse-overlayfs.
    fn marked(&mut self, mark: &MarkName, path: &Path, lowers: &[PathBuf]) -> Result<(), SysError> {
        if let MarkName::Whiteout(hidden) = mark
            && !matches!(hidden, &(b"" | b"." | b".."))
            && below(lowers, hidden)?.exists
        {
            let path = path.join(OsStr::from_bytes(hidden));
            self.items.push(Item { path, kind: ChangeKind::Deleted, opaque: false, implied: false, is_file: false });
        }
        Ok(())
    }

    /// `true`: it was left out.
    fn entry(&mut self, directory: &OwnedFd, name: &[u8], path: PathBuf, lowers: &[PathBuf]) -> Result<bool, SysError> {
        let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            // The container goes on meanwhile.
            Err(Errno::NOENT) => return Ok(false),
            other => other.on("fstatat", &path)?,
        };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let below = below(lowers, name)?;
        if mark::is_whiteout_stat(&stat) {
            if below.exists {
                self.items.push(Item {
                    path,
                    kind: ChangeKind::Deleted,
                    opaque: false,
                    implied: false,
                    is_file: false,
                });
            }
            return Ok(false);
        }
        let left_out = self.leave_out.contains(&path);
        if kind != FileType::Directory {
            // Only what is still as the engine made it: empty, and new.
            if left_out && !below.exists && stat.st_size == 0 {
                return Ok(true);
            }
            let is_file = kind == FileType::RegularFile;
            let kind = if below.exists { ChangeKind::Changed } else { ChangeKind::Added };
            self.items.push(Item { path, kind, opaque: false, implied: false, is_file });
            return Ok(false);
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let child = match rustix::fs::openat(directory, name, flags, Mode::empty()) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(false),
            other => other.on("openat", &path)?,
        };
        let opaque = mark::is_opaque(&child).on("fgetxattr", &path)? && !below.directories.is_empty();
        let place = self.items.len();
        let kind = if below.exists { ChangeKind::Changed } else { ChangeKind::Added };
        self.items.push(Item { path: path.clone(), kind, opaque, implied: false, is_file: false });
        let found = self.directory(&child, &path, &below.directories, opaque)?;
        let alone = self.items.len() == place + 1;
        if alone && left_out | found.left_out && !below.exists {
            self.items.truncate(place);
            return Ok(true);
        }
        if alone
            && !opaque
            && let Some(lower) = below.directories.first()
        {
            let (ours, theirs) = (Attributes::of(&child), Attributes::of_path(lower));
            let (ours, theirs) = (ours.on("fstat", &path)?, theirs?);
            // It was copied up without a change, or only because the engine made something in it.
            if ours.stat == theirs.stat && (ours.time == theirs.time || found.left_out) {
                self.items.truncate(place);
            }
        }
        Ok(false)
    }
}

/// The attributes in which a changed directory differs from the one that it was copied from.
#[derive(PartialEq, Eq)]
pub(crate) struct Attributes {
    stat: Stat,
    time: (i64, i64),
}

impl Attributes {
    pub(crate) fn of(file: &impl AsFd) -> Result<Self, Errno> {
        let found = rustix::fs::fstat(file)?;
        let noted = sys::fgetxattr(file, owner::STAT.as_bytes())?;
        let stat = Stat::of_file(found.st_uid, found.st_gid, found.st_mode, noted.as_deref());
        Ok(Self { stat, time: (found.st_mtime, i64::try_from(found.st_mtime_nsec).unwrap_or_default()) })
    }

    fn of_path(path: &Path) -> Result<Self, SysError> {
        Self::of(&File::open(path).on("open", path)?).on("fstat", path)
    }
}

/// The files that the layers below have under a name.
pub(crate) struct Below {
    pub exists: bool,
    /// The directories that are merged, top first.
    pub directories: Vec<PathBuf>,
    /// The file of another type.
    pub other: Option<PathBuf>,
}

pub(crate) fn below(lowers: &[PathBuf], name: &[u8]) -> Result<Below, SysError> {
    let mut below = Below { exists: false, directories: Vec::new(), other: None };
    for lower in lowers {
        let name = OsStr::from_bytes(name);
        match mark::mark(lower, name)? {
            Mark::Nothing => {}
            Mark::Whiteout => break,
            Mark::Other(_) => {
                if below.directories.is_empty() {
                    below.exists = true;
                    below.other = Some(lower.join(name));
                }
                break;
            }
            Mark::Directory { opaque } => {
                below.exists = true;
                below.directories.push(lower.join(name));
                if opaque {
                    break;
                }
            }
        }
    }
    Ok(below)
}

pub(crate) fn merged_names(lowers: &[PathBuf]) -> Result<BTreeSet<Vec<u8>>, SysError> {
    let mut candidates = BTreeSet::new();
    for lower in lowers {
        for entry in fs::read_dir(lower).on("opendir", lower)? {
            candidates.insert(entry.on("readdir", lower)?.file_name().as_bytes().to_vec());
        }
    }
    let mut shown = BTreeSet::new();
    for name in candidates {
        if below(lowers, &name)?.exists {
            shown.insert(name);
        }
    }
    Ok(shown)
}
