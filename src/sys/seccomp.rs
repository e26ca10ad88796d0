//! seccomp(2).

use super::{On, SysError};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Puts a filter on the calling thread and on all that it starts; it can never be taken off.
/// The kernel wants `no_new_privs` or CAP_SYS_ADMIN first.
pub(crate) fn set_mode_filter(program: &[libc::sock_filter], flags: u64) -> Result<(), SysError> {
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: `program` points at `len` live instructions, which the kernel copies and does not write to.
    let result = unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &program) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()).on("seccomp", "filter") }
}

/// [`set_mode_filter`] for a filter that asks an agent. Returns the descriptor by which the agent hears (seccomp_unotify(2)). A call
/// that the agent has heard is interrupted by nothing but death (Linux 5.19).
///
/// # Errors
///
/// `EBUSY`: a filter of this process asks an agent already. `EINVAL`: the kernel is too old.
pub(crate) fn listen(program: &[libc::sock_filter], flags: u64) -> Result<OwnedFd, SysError> {
    let flags = flags | libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: as above.
    match unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &program) } {
        -1 => Err(io::Error::last_os_error()).on("seccomp", "listener"),
        // SAFETY: the kernel has just made the descriptor for this call.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) }),
    }
}

/// A system call that waits for the agent's answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Notification {
    id: u64,
    /// The thread, as this process numbers it.
    pub pid: i32,
    pub arch: u32,
    pub nr: u32,
    pub arguments: [u64; 6],
}

/// The answer to a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The kernel does it.
    Continue,
    /// It returns this.
    Value(i64),
    /// It fails with this errno.
    Fails(i32),
}

/// The descriptor of [`listen`].
pub(crate) struct Listener(OwnedFd);

impl Listener {
    pub(crate) fn new(fd: OwnedFd) -> Self {
        /// `<linux/seccomp.h>`: the agent wakes on the caller's processor, which is faster where it is the only one at work
        /// (Linux 6.6).
        const SYNC_WAKE_UP: libc::c_ulong = 1;
        // SAFETY: the argument is a number.
        unsafe { libc::ioctl(fd.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
        Self(fd)
    }

    /// Waits for the next call. `None`: the caller was killed meanwhile.
    pub(crate) fn receive(&self) -> Option<Notification> {
        // SAFETY: a struct of numbers, which the kernel wants to be zero.
        let mut found: libc::seccomp_notif = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel fills a struct of the size that is part of the request's number.
        if unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &raw mut found) } != 0 {
            return None;
        }
        let libc::seccomp_notif { id, pid, data, .. } = found;
        Some(Notification {
            id,
            pid: pid.cast_signed(),
            arch: data.arch,
            nr: data.nr.cast_unsigned(),
            arguments: data.args,
        })
    }

    /// Whether the caller still waits: then what was found under its pid was its own.
    pub(crate) fn is_waiting(&self, call: &Notification) -> bool {
        // SAFETY: the kernel reads a number.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const call.id) == 0 }
    }

    /// Answers, if the caller still waits.
    pub(crate) fn answer(&self, call: &Notification, answer: Answer) {
        let (val, error, flags) = match answer {
            Answer::Continue => (0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32),
            Answer::Value(value) => (value, 0, 0),
            Answer::Fails(errno) => (0, -errno, 0),
        };
        let response = libc::seccomp_notif_resp { id: call.id, val, error, flags };
        // SAFETY: the kernel reads a struct of the size that is part of the request's number.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw const response) };
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
