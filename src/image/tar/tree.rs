//! A directory that is filled from an archive which is not trusted: nothing outside it is ever reached.
//!
//! A name is split into components first; `..` may not lead above the root. Then each directory is opened from the one
//! before it, never through a symbolic link; where an archive goes through a link of its own, the kernel resolves that
//! link as if the tree were the whole file system (`RESOLVE_IN_ROOT`).

use super::tape::printable;
use crate::image::overlay::mark;
use crate::sys::{On, SysError, fs as sys};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    #[error("`{0}` leads out of the layer")]
    Escape(String),
    #[error("`{0}` is not a name a file can have")]
    Name(String),
    #[error("`{0}` lies deeper than {1} directories")]
    Deep(String, usize),
    #[error("`{0}` is longer than {LONGEST_PATH} bytes")]
    Long(String),
    #[error("`{name}` lies below `{parent}`, which is not a directory")]
    BelowFile { name: String, parent: String },
    #[error("`{name}` lies below `{parent}`, a symbolic link that leads nowhere")]
    BelowLink { name: String, parent: String },
    #[error(transparent)]
    Sys(#[from] SysError),
}

/// The kernel takes 4096 bytes with the terminating zero; the rest is for the place where the tree is mounted.
const LONGEST_PATH: usize = 4000;
const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A name beneath the root, in components; empty: the root itself.
pub(crate) type Components = Vec<Vec<u8>>;

/// Splits a name into components. Takes an absolute name beneath the root, as Docker does.
pub(crate) fn components(name: &[u8], deepest: usize) -> Result<Components, TreeError> {
    if name.contains(&0) {
        return Err(TreeError::Name(printable(name)));
    }
    if name.len() > LONGEST_PATH {
        return Err(TreeError::Long(shortened(name)));
    }
    let mut components: Components = Vec::new();
    for part in name.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                components.pop().ok_or_else(|| TreeError::Escape(printable(name)))?;
            }
            _ if part.len() > 255 => return Err(TreeError::Name(printable(name))),
            _ => components.push(part.to_vec()),
        }
        if components.len() > deepest {
            return Err(TreeError::Deep(shortened(name), deepest));
        }
    }
    Ok(components)
}

fn shortened(name: &[u8]) -> String {
    let shown = printable(&name[..name.len().min(60)]);
    if name.len() > 60 { shown + "…" } else { shown }
}

pub(crate) fn join(components: &[Vec<u8>]) -> Vec<u8> {
    components.join(&b'/')
}

struct Level {
    name: Vec<u8>,
    directory: OwnedFd,
    /// It was reached by way of a symbolic link, here or above.
    through_link: bool,
    /// The number of directories that it really lies below the root.
    depth: usize,
}

pub(crate) struct Tree {
    root: OwnedFd,
    path: PathBuf,
    deepest: usize,
    /// The directories from the root to the parent of the last name: the next name is mostly beside it.
    levels: Vec<Level>,
    /// The directory that keeps replaced files, where they are needed later.
    keep: Option<Displaced>,
}

/// Files whose names a later entry of the same archive took.
pub(crate) struct Displaced {
    directory: PathBuf,
    pub moved: Vec<Moved>,
}

pub(crate) struct Moved {
    pub path: Vec<u8>,
    /// The entry that took the name.
    pub by: u64,
}

impl Displaced {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self { directory, moved: Vec::new() }
    }
}

impl Tree {
    /// `path` must be an empty directory that nobody else changes.
    pub(crate) fn new(path: &Path, deepest: usize, keep: Option<Displaced>) -> Result<Self, TreeError> {
        let root = rustix::fs::open(path, DIRECTORY, Mode::empty()).on("open", path)?;
        Ok(Self { root, path: path.to_owned(), deepest, levels: Vec::new(), keep })
    }

    /// Takes an open directory; `path` is how errors name it.
    pub(crate) fn of(root: OwnedFd, path: &Path, deepest: usize) -> Self {
        Self { root, path: path.to_owned(), deepest, levels: Vec::new(), keep: None }
    }

    pub(crate) fn into_displaced(self) -> Option<Displaced> {
        self.keep
    }

    /// Returns whether the last parent was reached through a symbolic link.
    pub(crate) fn through_link(&self) -> bool {
        self.levels.last().is_some_and(|l| l.through_link)
    }

    pub(crate) fn failed(
        &self,
        call: &'static str,
        components: &[Vec<u8>],
        error: impl Into<std::io::Error>,
    ) -> SysError {
        let subject = format!("{}/{}", self.path.display(), printable(&join(components)));
        SysError { call, subject, errno: error.into().raw_os_error().unwrap_or(libc::EIO) }
    }

    /// Returns the parent directory of a name. Makes missing ones, since archives may leave them out.
    pub(crate) fn parent(&mut self, components: &[Vec<u8>]) -> Result<BorrowedFd<'_>, TreeError> {
        let Some((_, above)) = components.split_last() else { return Ok(self.root.as_fd()) };
        let shared = self.levels.iter().zip(above).take_while(|(level, name)| level.name == **name).count();
        self.levels.truncate(shared);
        for depth in shared..above.len() {
            let level = self.descend(&components[..=depth], components)?;
            self.levels.push(level);
        }
        Ok(self.levels.last().map_or(self.root.as_fd(), |l| l.directory.as_fd()))
    }

    fn descend(&mut self, directory: &[Vec<u8>], whole: &[Vec<u8>]) -> Result<Level, TreeError> {
        let (name, _) = directory.split_last().ok_or_else(|| TreeError::Name(String::new()))?;
        let (parent, through_link, depth) = match self.levels.last() {
            Some(level) => (level.directory.as_fd(), level.through_link, level.depth + 1),
            None => (self.root.as_fd(), false, 1),
        };
        if depth > self.deepest {
            return Err(TreeError::Deep(shortened(&join(whole)), self.deepest));
        }
        let level = |directory, through_link, depth| Level { name: name.clone(), directory, through_link, depth };
        let name = name.as_slice();
        match rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()) {
            Ok(found) => return Ok(level(found, through_link, depth)),
            Err(Errno::NOENT) => {
                make_directory(parent, name).map_err(|e| self.failed("mkdirat", directory, e))?;
            }
            Err(Errno::NOTDIR) if mark::is_whiteout_at(parent, name) => {
                let removed = rustix::fs::unlinkat(parent, name, AtFlags::empty());
                removed.map_err(|e| self.failed("unlinkat", directory, e))?;
                make_directory(parent, name).map_err(|e| self.failed("mkdirat", directory, e))?;
                let made = open_directory(parent, name).map_err(|e| self.failed("openat", directory, e))?;
                mark::set_opaque(&made).map_err(|e| self.failed("fsetxattr", directory, e))?;
            }
            Err(Errno::NOTDIR | Errno::LOOP) => {
                let found = self.resolve(directory).map_err(|errno| {
                    let (name, parent) = (printable(&join(whole)), printable(&join(directory)));
                    match errno {
                        Errno::NOTDIR => TreeError::BelowFile { name, parent },
                        _ => TreeError::BelowLink { name, parent },
                    }
                })?;
                // Links upon links could stack directories without end.
                let depth = self.depth_of(&found).map_err(|e| self.failed("readlink", directory, e))?;
                return Ok(level(found, true, depth));
            }
            Err(errno) => return Err(self.failed("openat", directory, errno).into()),
        }
        let made = rustix::fs::openat(parent, name, DIRECTORY, Mode::empty());
        let made = made.map_err(|e| self.failed("openat", directory, e))?;
        Ok(level(made, through_link, depth))
    }

    fn depth_of(&self, directory: &OwnedFd) -> Result<usize, Errno> {
        Ok(self.real_path(directory)?.split(|b| *b == b'/').filter(|part| !part.is_empty()).count())
    }

    /// Returns the path of a directory beneath the root, whatever links led to it.
    fn real_path(&self, directory: &OwnedFd) -> Result<Vec<u8>, Errno> {
        let real = |fd: &OwnedFd| rustix::fs::readlink(format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new());
        let (root, directory) = (real(&self.root)?, real(directory)?);
        let below = directory.as_bytes().strip_prefix(root.as_bytes()).ok_or(Errno::XDEV)?;
        Ok(below.strip_prefix(b"/").unwrap_or(below).to_vec())
    }

    /// Opens a directory by way of links that the archive has made, none of which leads out.
    fn resolve(&self, directory: &[Vec<u8>]) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path = join(directory);
        sys::openat2(&self.root, path.as_slice(), flags, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
    }

    /// Opens the parent of something that must be there, such as the target of a hard link. Makes nothing.
    pub(crate) fn existing_parent(&self, components: &[Vec<u8>]) -> Result<OwnedFd, Errno> {
        match components.split_last() {
            Some((_, [])) | None => rustix::io::dup(&self.root),
            Some((_, above)) => self.resolve(above),
        }
    }

    /// Opens a directory as the archive left it, for its attributes, through no link at all. `None`: it is gone.
    pub(crate) fn directory(&self, path: &[u8]) -> Option<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        let path = if path.is_empty() { b"." } else { path };
        sys::openat2(&self.root, path, flags, resolve).ok()
    }

    /// Removes what has the name of a new entry, or puts it aside. `entry` is the number of the new one.
    pub(crate) fn displace(&mut self, components: &[Vec<u8>], entry: u64) -> Result<(), TreeError> {
        let Some(name) = components.last() else { return Err(TreeError::Name("/".into())) };
        let name = name.as_slice();
        let parent = rustix::io::dup(self.parent(components)?).map_err(|e| self.failed("dup", components, e))?;
        let Ok(found) = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) else { return Ok(()) };
        let kind = FileType::from_raw_mode(found.st_mode);
        let holds_contents = matches!(kind, FileType::RegularFile | FileType::Directory);
        if let Some(keep) = self.keep.as_ref().filter(|_| holds_contents) {
            let mut path = self.real_path(&parent).map_err(|e| self.failed("readlink", components, e))?;
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name);
            let target = keep.directory.join(keep.moved.len().to_string());
            std::fs::create_dir_all(&keep.directory).on("mkdir", &keep.directory)?;
            let moved = rustix::fs::renameat(&parent, name, CWD, &target);
            moved.map_err(|e| self.failed("renameat", components, e))?;
            self.keep.iter_mut().for_each(|keep| keep.moved.push(Moved { path: path.clone(), by: entry }));
            return Ok(());
        }
        let removed = match kind {
            FileType::Directory => remove_directory(parent.as_fd(), name),
            _ => rustix::fs::unlinkat(&parent, name, AtFlags::empty()),
        };
        Ok(removed.map_err(|e| self.failed("unlinkat", components, e))?)
    }
}

pub(crate) fn make_directory(parent: BorrowedFd, name: &[u8]) -> Result<(), Errno> {
    rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
    // The umask may have taken bits from it.
    rustix::fs::chmodat(parent, name, Mode::from_raw_mode(0o755), AtFlags::empty())
}

/// Opens a directory for its attributes; does not follow a link.
pub(crate) fn open_directory(parent: BorrowedFd, name: &[u8]) -> Result<File, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty()).map(File::from)
}

fn remove_directory(parent: BorrowedFd, name: &[u8]) -> Result<(), Errno> {
    let directory = open_directory(parent, name)?;
    let mut entries = rustix::fs::Dir::read_from(&directory)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let child = entry.file_name().to_bytes();
        if child == b"." || child == b".." {
            continue;
        }
        match rustix::fs::unlinkat(&directory, child, AtFlags::empty()) {
            Err(Errno::ISDIR) => remove_directory(directory.as_fd(), child)?,
            other => other?,
        }
    }
    rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_beneath_the_root() {
        let shown = |name: &[u8]| components(name, 4).map(|c| String::from_utf8(join(&c)).unwrap());
        assert_eq!(shown(b"./a//b/").unwrap(), "a/b");
        assert_eq!(shown(b"/etc/passwd").unwrap(), "etc/passwd");
        assert_eq!(shown(b"a/../b").unwrap(), "b");
        assert_eq!(shown(b"./").unwrap(), "");
        assert!(matches!(shown(b"../a"), Err(TreeError::Escape(_))));
        assert!(matches!(shown(b"a/../../b"), Err(TreeError::Escape(_))));
        assert!(matches!(shown(b"a\0b"), Err(TreeError::Name(_))));
        assert!(matches!(shown(b"a/b/c/d/e"), Err(TreeError::Deep(..))));
    }
}
