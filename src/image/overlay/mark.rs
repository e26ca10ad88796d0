//! The marks by which one directory of an overlay hides what lies below it.
//!
//! A whiteout hides one name. The kernel's is a character device 0:0 under that name (kernel documentation, "Overlay
//! Filesystem"); an archive and fuse-overlayfs have an empty file `.wh.NAME` beside it (OCI image specification, "Image
//! Layer Filesystem Changeset"). An opaque directory hides all that lies below it: by the attribute `user.overlay.opaque`,
//! or by a file `.wh..wh..opq` in it.

use crate::sys::{On, SysError, fs as sys};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// The attribute of an opaque directory. Its value is `y`.
pub(crate) const OPAQUE: &str = "user.overlay.opaque";
/// The file that makes the directory opaque in which it lies.
pub(crate) const OPAQUE_FILE: &[u8] = b".wh..wh..opq";
const PREFIX: &[u8] = b".wh.";
/// The attribute that notes from which file of a lower directory the kernel has copied this one.
const ORIGIN: &str = "user.overlay.origin";
/// Prefixes of the attributes in which the kernel and fuse-overlayfs keep their notes.
const ATTRIBUTES: [&[u8]; 3] = [b"user.overlay.", b"trusted.overlay.", b"user.fuseoverlayfs."];

/// A name that stands for a mark, as archives and fuse-overlayfs have it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum MarkName<'a> {
    /// The directory that has it is opaque.
    Opaque,
    /// A note that aufs has left for itself.
    Aufs,
    /// The whiteout of this name, which may be one that no file can have.
    Whiteout(&'a [u8]),
}

impl<'a> MarkName<'a> {
    /// Returns `None` for the name of an ordinary file.
    pub(crate) fn of(name: &'a [u8]) -> Option<Self> {
        let hidden = name.strip_prefix(PREFIX)?;
        Some(match hidden {
            _ if name == OPAQUE_FILE => Self::Opaque,
            _ if hidden.starts_with(PREFIX) => Self::Aufs,
            _ => Self::Whiteout(hidden),
        })
    }
}

/// Returns the name of the file that is a whiteout of `name`.
pub(crate) fn whiteout_name(name: &[u8]) -> Vec<u8> {
    [PREFIX, name].concat()
}

/// Returns whether a file is the kernel's whiteout.
pub(crate) fn is_whiteout(metadata: &fs::Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

/// [`is_whiteout`] of a file whose status was read through a descriptor.
pub(crate) fn is_whiteout_stat(stat: &rustix::fs::Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// [`is_whiteout`] of a name in a directory.
pub(crate) fn is_whiteout_at(parent: BorrowedFd, name: &[u8]) -> bool {
    rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|stat| is_whiteout_stat(&stat))
}

/// Makes a whiteout. The kernel lets everybody make this one device, but not in an overlay, where it would have no use: there
/// the file is made that fuse-overlayfs understands.
pub(crate) fn make_whiteout(parent: BorrowedFd, name: &[u8]) -> Result<(), Errno> {
    match rustix::fs::mknodat(parent, name, FileType::CharacterDevice, Mode::empty(), rustix::fs::makedev(0, 0)) {
        Err(Errno::PERM) => {
            let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(parent, whiteout_name(name), flags, Mode::empty()).map(drop)
        }
        other => other,
    }
}

/// Makes a directory opaque.
pub(crate) fn set_opaque(directory: &impl AsFd) -> Result<(), Errno> {
    sys::fsetxattr(directory, OPAQUE.as_bytes(), b"y")
}

/// Returns whether a directory hides what lies below it.
pub(crate) fn is_opaque(directory: &impl AsFd) -> Result<bool, Errno> {
    let has_file = rustix::fs::statat(directory, OPAQUE_FILE, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    Ok(has_file || sys::fgetxattr(directory, OPAQUE.as_bytes())?.is_some_and(|value| value == b"y"))
}

/// [`is_opaque`] of the directory at a path.
pub(crate) fn is_opaque_at(directory: &Path) -> Result<bool, SysError> {
    let opened = File::open(directory).on("open", directory)?;
    is_opaque(&opened).on("fgetxattr", directory)
}

/// Returns whether the kernel has copied a file up from a lower directory. A file that a program has made anew under the same
/// name has no such note.
pub(crate) fn is_copied_up(file: &Path) -> bool {
    let mut nothing = [0u8; 0];
    rustix::fs::lgetxattr(file, ORIGIN, &mut nothing).is_ok()
}

/// Returns whether an extended attribute is a note of an overlay.
pub(crate) fn is_note(attribute: &[u8]) -> bool {
    ATTRIBUTES.iter().any(|prefix| attribute.starts_with(prefix))
}

/// What one directory of an overlay has under a name.
pub(crate) enum Mark {
    Nothing,
    Whiteout,
    /// A directory, which is merged with those below it unless it is opaque.
    Directory {
        opaque: bool,
    },
    /// A file of another type, which hides what lies below it.
    Other(fs::Metadata),
}

/// Returns what `directory` has under `name`.
pub(crate) fn mark(directory: &Path, name: &OsStr) -> Result<Mark, SysError> {
    let path = directory.join(name);
    let metadata = match fs::symlink_metadata(&path) {
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => {
            let is_hidden = directory.join(OsStr::from_bytes(&whiteout_name(name.as_bytes()))).exists();
            return Ok(if is_hidden { Mark::Whiteout } else { Mark::Nothing });
        }
        other => other.on("stat", &path)?,
    };
    Ok(if metadata.is_dir() {
        Mark::Directory { opaque: is_opaque_at(&path)? }
    } else if is_whiteout(&metadata) {
        Mark::Whiteout
    } else {
        Mark::Other(metadata)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_marks() {
        assert_eq!(MarkName::of(b"a.wh."), None);
        assert_eq!(MarkName::of(b".wh.a"), Some(MarkName::Whiteout(b"a")));
        assert_eq!(MarkName::of(b".wh."), Some(MarkName::Whiteout(b"")));
        assert_eq!(MarkName::of(b".wh..wh..opq"), Some(MarkName::Opaque));
        assert_eq!(MarkName::of(b".wh..wh.plnk"), Some(MarkName::Aufs));
        assert_eq!(MarkName::of(&whiteout_name(b"a")), Some(MarkName::Whiteout(b"a")));
    }
}
