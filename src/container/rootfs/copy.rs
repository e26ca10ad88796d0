//! Copies a tree over another: for new volumes, which start with the files of the image, and for hosts without overlay.

use crate::image::overlay::mark::{self, MarkName};
use crate::store;
use crate::sys::{On, SysError};
use rustix::fs::{AtFlags, CWD, XattrFlags};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, lchown, symlink};
use std::path::Path;

/// Copies the content of `from` into `to` and replaces what is there. Owners, modes, times and links are kept, whiteouts
/// remove what they name. Nothing runs yet that could change the trees meanwhile.
pub(crate) fn lay_over(from: &Path, to: &Path) -> Result<(), SysError> {
    let entries: Vec<_> = fs::read_dir(from).on("opendir", from)?.flatten().map(|e| e.file_name()).collect();
    // First what is hidden, by either kind of whiteout: the same layer may have something new under the name.
    let (hidden, shown): (Vec<_>, Vec<_>) = entries.iter().partition(|name| MarkName::of(name.as_bytes()).is_some());
    for name in hidden {
        if let Some(MarkName::Whiteout(hidden)) = MarkName::of(name.as_bytes()) {
            store::remove_tree(&to.join(OsStr::from_bytes(hidden)))?;
        }
    }
    for name in shown {
        let (source, target) = (from.join(name), to.join(name));
        let meta = fs::symlink_metadata(&source).on("stat", &source)?;
        let there = fs::symlink_metadata(&target).ok();
        let gives_way = match there {
            None => false,
            Some(there) => !there.is_dir() || !meta.is_dir() || mark::is_opaque_at(&source)?,
        };
        if gives_way {
            store::remove_tree(&target)?;
        }
        if meta.is_dir() {
            match fs::create_dir(&target) {
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                other => other.on("mkdir", &target)?,
            }
            lay_over(&source, &target)?;
        } else if meta.is_symlink() {
            symlink(fs::read_link(&source).on("readlink", &source)?, &target).on("symlink", &target)?;
            like(&source, &meta, &target)?;
        } else if meta.is_file() {
            // Shares the blocks where the file system can.
            fs::copy(&source, &target).on("copy_file_range", &target)?;
            like(&source, &meta, &target)?;
        } else if meta.file_type().is_fifo() {
            rustix::fs::mknodat(CWD, &target, rustix::fs::FileType::Fifo, 0o600.into(), 0).on("mknod", &target)?;
            like(&source, &meta, &target)?;
        }
    }
    like(from, &fs::metadata(from).on("stat", from)?, to)
}

/// Copies owner, attributes, mode and times, without the attributes of overlayfs.
pub(crate) fn like(source: &Path, meta: &fs::Metadata, target: &Path) -> Result<(), SysError> {
    match lchown(target, Some(meta.uid()), Some(meta.gid())) {
        // An id that is not mapped here stands for nobody, and nothing can be given to nobody.
        Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {}
        other => other.on("lchown", target)?,
    }
    let mut names = vec![0; 4096];
    let length = rustix::fs::llistxattr(source, &mut names[..]).unwrap_or(0);
    let names = names[..length].split(|b| *b == 0).filter(|name| !name.is_empty());
    for name in names.filter(|name| !mark::is_note(name)) {
        let mut value = vec![0; 64 << 10];
        let Ok(length) = rustix::fs::lgetxattr(source, name, &mut value[..]) else { continue };
        match rustix::fs::lsetxattr(target, name, &value[..length], XattrFlags::empty()) {
            // Some are for the host's root alone to give.
            Err(Errno::PERM | Errno::OPNOTSUPP) => {}
            other => other.on("lsetxattr", target)?,
        }
    }
    if !meta.is_symlink() {
        fs::set_permissions(target, meta.permissions()).on("chmod", target)?;
    }
    let time = |seconds, nanoseconds| rustix::fs::Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = rustix::fs::Timestamps {
        last_access: time(meta.atime(), meta.atime_nsec() as _),
        last_modification: time(meta.mtime(), meta.mtime_nsec() as _),
    };
    rustix::fs::utimensat(CWD, target, &times, AtFlags::SYMLINK_NOFOLLOW).on("utimensat", target)
}
