//! Paths of a copy, by the rules of `docker cp`.

use super::error::FilesError;
use crate::sys::fs::openat2;
use crate::sys::{On, SysError};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

/// Where paths are looked up.
pub(super) enum Anchor {
    Host,
    /// Below a root, which no link leads out of, whoever changes it meanwhile (CVE-2018-15664).
    Root(OwnedFd),
}

const HANDLE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
const MOST_LINKS: usize = 40;

impl Anchor {
    pub(super) fn open(&self, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
        match self {
            Self::Host => rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()),
            Self::Root(root) => openat2(root, path, flags | OFlags::CLOEXEC, ResolveFlags::IN_ROOT),
        }
    }

    /// Opens a source, and returns it with its type. A link is followed where that is asked for, or where the path says that
    /// a directory is meant.
    pub(super) fn source(&self, path: &Typed, follow: bool) -> Result<(OwnedFd, FileType), FilesError> {
        let follow = follow || path.says_directory();
        let flags = if follow { HANDLE } else { HANDLE | OFlags::NOFOLLOW };
        let found = match self.open(&path.clean, flags) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Err(FilesError::NoSource(path.shown.clone())),
            other => other.on("open", &path.clean)?,
        };
        let kind = kind_of(&found, &path.clean)?;
        if path.says_directory() && kind != FileType::Directory {
            return Err(FilesError::NotDirectory(path.shown.clone()));
        }
        Ok((found, kind))
    }

    /// Finds out where a source goes.
    pub(super) fn destination(&self, path: &Typed, arriving: &Arriving) -> Result<Destination, FilesError> {
        let mut clean = path.clean.clone();
        // What the path itself links to is written, not the link.
        for _ in 0..MOST_LINKS {
            let Ok(link) = self.open(&clean, HANDLE | OFlags::NOFOLLOW) else { break };
            let Ok(target) = rustix::fs::readlinkat(&link, "", Vec::new()) else { break };
            if target.as_bytes().is_empty() {
                break;
            }
            let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
            clean = clean.parent().unwrap_or(Path::new("/")).join(target);
        }
        match self.open(&clean, HANDLE) {
            Ok(found) if kind_of(&found, &clean)? == FileType::Directory => Ok(match arriving {
                Arriving::Archive => Destination { directory: found, put: Put::Files },
                Arriving::Tree { name: Some(name), .. } => {
                    Destination { directory: found, put: Put::Under(name.clone()) }
                }
                Arriving::Tree { name: None, .. } => Destination { directory: found, put: Put::Contents },
            }),
            Ok(_) if path.says_directory() || matches!(arriving, Arriving::Archive) => {
                Err(FilesError::NotDirectory(path.shown.clone()))
            }
            Ok(_) if arriving.is_directory() => Err(FilesError::OverFile(path.shown.clone())),
            Err(Errno::NOENT) if matches!(arriving, Arriving::Archive) => {
                Err(FilesError::NoDirectory(path.shown.clone()))
            }
            Err(Errno::NOENT) if path.says_directory() && !arriving.is_directory() => {
                Err(FilesError::NoDirectory(path.shown.clone()))
            }
            Ok(_) | Err(Errno::NOENT) => {
                let parent = clean.parent().unwrap_or(Path::new("/"));
                let name = clean.file_name().map(|name| name.as_bytes().to_vec()).unwrap_or_default();
                let directory = match self.open(parent, HANDLE | OFlags::DIRECTORY) {
                    Err(Errno::NOENT | Errno::NOTDIR) => return Err(FilesError::NoDirectory(path.above())),
                    other => other.on("open", parent)?,
                };
                Ok(Destination { directory, put: Put::Under(name) })
            }
            Err(Errno::NOTDIR) => Err(FilesError::NoDirectory(path.above())),
            Err(errno) => Err(errno).on("open", &clean)?,
        }
    }
}

fn kind_of(found: &OwnedFd, path: &Path) -> Result<FileType, SysError> {
    Ok(FileType::from_raw_mode(rustix::fs::fstat(found).on("fstat", path)?.st_mode))
}

/// A path as it was typed.
#[derive(Debug, Clone)]
pub(super) struct Typed {
    /// For messages, with the container's name.
    pub shown: String,
    /// Absolute, without `.` and `..`.
    clean: PathBuf,
    ends_with_slash: bool,
    /// It ends with `/.`: what is in the directory is meant.
    ends_with_dot: bool,
}

impl Typed {
    /// Reads a path of a container, which is relative to its root, or of the host.
    pub(super) fn new(text: &str, container: Option<&str>) -> Self {
        let shown = container.map_or_else(|| text.to_owned(), |name| format!("{name}:{text}"));
        let from = if container.is_some() { PathBuf::from("/") } else { std::env::current_dir().unwrap_or_default() };
        let mut clean = PathBuf::from("/");
        for component in from.join(text).components() {
            match component {
                Component::Normal(name) => clean.push(name),
                Component::ParentDir => drop(clean.pop()),
                _ => {}
            }
        }
        let ends_with_dot = text == "." || text.ends_with("/.");
        Self { shown, clean, ends_with_slash: text.ends_with('/'), ends_with_dot }
    }

    pub(super) fn says_directory(&self) -> bool {
        self.ends_with_slash || self.ends_with_dot
    }

    /// Returns the name that a copy gets in a directory; `None`: what is in it is copied.
    pub(super) fn name(&self) -> Option<Vec<u8>> {
        let name = self.clean.file_name().map(|name| name.as_bytes().to_vec());
        name.filter(|_| !self.ends_with_dot)
    }

    fn above(&self) -> String {
        let shown = self.shown.trim_end_matches('/');
        match shown.rsplit_once('/') {
            Some(("", _)) | None => "/".into(),
            Some((above, _)) if above.ends_with(':') => format!("{above}/"),
            Some((above, _)) => above.to_owned(),
        }
    }
}

/// What comes to a destination.
pub(super) enum Arriving {
    /// Files as an archive has them.
    Archive,
    /// A file or a directory, which has this name; `None`: what is in the directory.
    Tree { is_directory: bool, name: Option<Vec<u8>> },
}

impl Arriving {
    fn is_directory(&self) -> bool {
        matches!(self, Self::Tree { is_directory: true, .. })
    }
}

/// Where it goes.
pub(super) struct Destination {
    pub directory: OwnedFd,
    pub put: Put,
}

pub(super) enum Put {
    Files,
    Under(Vec<u8>),
    Contents,
}
