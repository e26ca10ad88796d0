//! seccomp(2).

use super::{On, SysError};
use std::io;

/// Puts a filter on the calling thread and on all that it starts; it can never be taken off.
/// The kernel wants `no_new_privs` or CAP_SYS_ADMIN first.
pub(crate) fn set_mode_filter(program: &[libc::sock_filter], flags: u64) -> Result<(), SysError> {
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: `program` points at `len` live instructions, which the kernel copies and does not write to.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()).on("seccomp", "filter") }
}
