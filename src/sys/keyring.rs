//! keyctl(2): the kernel's keys.

use super::{On, SysError};
use std::io;

/// Leaves the session keyring that this process was started with for a new, empty one (KEYCTL_JOIN_SESSION_KEYRING).
pub(crate) fn join_new_session() -> Result<(), SysError> {
    // SAFETY: a null name asks for a keyring without one; the kernel reads no memory.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_JOIN_SESSION_KEYRING, std::ptr::null::<u8>()) };
    if result >= 0 { Ok(()) } else { Err(io::Error::last_os_error()).on("keyctl", "a new session keyring") }
}
