//! The one call of the mount API that rustix lacks.

use super::SysError;
use std::os::fd::{AsRawFd, BorrowedFd};

/// mount_setattr(2) on the mount that `mount` is, and with `recursive` on all below it.
pub(crate) fn mount_setattr(mount: BorrowedFd, set: u64, clear: u64, recursive: bool) -> Result<(), SysError> {
    change(mount, &libc::mount_attr { attr_set: set, attr_clr: clear, propagation: 0, userns_fd: 0 }, recursive)
}

/// Maps the ids of a mount (MOUNT_ATTR_IDMAP): the owner of a file on disk is seen as that id of the user namespace.
pub(crate) fn set_idmap(mount: BorrowedFd, namespace: BorrowedFd, recursive: bool) -> Result<(), SysError> {
    let userns_fd = namespace.as_raw_fd() as u64;
    let attributes = libc::mount_attr { attr_set: libc::MOUNT_ATTR_IDMAP, attr_clr: 0, propagation: 0, userns_fd };
    change(mount, &attributes, recursive)
}

/// Makes a mount private, and with `recursive` all below it: they neither pass mounts on to peers nor get theirs.
pub(crate) fn make_private(mount: BorrowedFd, recursive: bool) -> Result<(), SysError> {
    let propagation = libc::MS_PRIVATE;
    change(mount, &libc::mount_attr { attr_set: 0, attr_clr: 0, propagation, userns_fd: 0 }, recursive)
}

fn change(mount: BorrowedFd, attributes: &libc::mount_attr, recursive: bool) -> Result<(), SysError> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: `attributes` outlives the call and its size is given; the empty path means the descriptor itself.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attributes),
            size_of_val(attributes),
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(SysError {
            call: "mount_setattr",
            subject: String::new(),
            errno: std::io::Error::last_os_error().raw_os_error().unwrap_or(0),
        }),
    }
}
