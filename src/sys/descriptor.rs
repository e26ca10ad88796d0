//! Descriptors by their numbers: the standard streams, and the one by which a program hands a socket to the next.
//!
//! A number says nothing about who owns the descriptor. So what closes or takes over numbers is either private to this room
//! and unsafe, or bound to a moment at which nothing in the process can own them.

use super::process::{self, pointers};
use super::{On, SysError};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The number by which a program gets a descriptor from the one before it, or a child from its parent.
pub(crate) const HANDED: RawFd = 3;

/// The standard streams, whose numbers nothing in a Rust program owns.
pub(crate) const STREAMS: [Stream; 3] = [Stream::Input, Stream::Output, Stream::Error];

#[derive(Debug, Clone, Copy)]
pub(crate) enum Stream {
    Input,
    Output,
    Error,
}

impl Stream {
    /// Makes the stream another name of an open file, which the next program gets too.
    pub(crate) fn replace(self, fd: BorrowedFd) -> Result<(), SysError> {
        // SAFETY: nothing owns the number of a standard stream.
        unsafe { dup_to(fd, self as RawFd) }
    }
}

/// dup2(2); the copy stays open in the next program.
///
/// # Safety
///
/// No value may own the descriptor `number`, which is closed.
unsafe fn dup_to(fd: BorrowedFd, number: RawFd) -> Result<(), SysError> {
    let result = if fd.as_raw_fd() == number {
        // dup2 onto itself would keep the close-on-exec flag.
        // SAFETY: changes a flag of an open descriptor.
        unsafe { libc::fcntl(number, libc::F_SETFD, 0) }
    } else {
        // SAFETY: the caller says that nothing owns the number.
        unsafe { libc::dup2(fd.as_raw_fd(), number) }
    };
    if result == -1 { Err(io::Error::last_os_error()).on("dup2", number.to_string()) } else { Ok(()) }
}

/// Closes all descriptors from `first` on.
///
/// # Safety
///
/// No value that is used or dropped later may own one of them.
unsafe fn close_from(first: RawFd) {
    // SAFETY: the caller says that nothing owns them.
    unsafe { libc::syscall(libc::SYS_close_range, first as u32, u32::MAX, 0) };
}

/// Takes a descriptor that is known by its number. `None`: it is not open.
///
/// # Safety
///
/// No other value may own the descriptor.
unsafe fn adopt(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: asks whether the number is a descriptor.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return None;
    }
    // SAFETY: it is open, and the caller says that nothing else owns it.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Marks all descriptors from `first` on to be closed by the next exec.
pub(crate) fn close_on_exec_from(first: RawFd) -> Result<(), SysError> {
    // SAFETY: the call changes flags of descriptors only.
    match unsafe { libc::syscall(libc::SYS_close_range, first as u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) } {
        -1 => Err(io::Error::last_os_error()).on("close_range", ""),
        _ => Ok(()),
    }
}

/// [`HANDED`] was taken, which is possible once.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The first act of a program that was started with a descriptor: takes that, and closes all others but the standard streams.
/// `None`: there is none, or it was taken already.
pub(crate) fn keep_handed_alone() -> Option<OwnedFd> {
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: this is done once, before the program has opened anything.
    unsafe {
        close_from(HANDED + 1);
        adopt(HANDED)
    }
}

/// The first act of a program that was started with a descriptor and goes on with others that its caller has opened: takes
/// that one. `None`: there is none, or it was taken already.
pub(crate) fn take_handed() -> Option<OwnedFd> {
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: this is done once, before the program has opened anything.
    let handed = unsafe { adopt(HANDED) }?;
    rustix::io::fcntl_setfd(&handed, rustix::io::FdFlags::CLOEXEC).ok()?;
    Some(handed)
}

/// Closes all descriptors but the standard streams, runs `act`, and ends the process with its result: for a child that has
/// nothing to do with what its parent has opened. `act` is `Copy`, so it owns no descriptor.
pub(crate) fn run_without_descriptors(act: impl FnOnce() -> i32 + Copy) -> ! {
    // SAFETY: whatever owns descriptors here is never used or dropped, since this does not return.
    unsafe { close_from(HANDED) };
    process::exit_now(act())
}

/// [`run_without_descriptors`], but for one.
pub(crate) fn run_with_one_descriptor(kept: OwnedFd, act: impl FnOnce(&OwnedFd) + Copy) -> ! {
    // SAFETY: as above.
    let kept = unsafe {
        let moved = dup_to(kept.as_fd(), HANDED);
        std::mem::forget(kept);
        close_from(HANDED + 1);
        moved.ok().and_then(|()| adopt(HANDED))
    };
    if let Some(kept) = &kept {
        act(kept);
    }
    process::exit_now(0)
}

/// execveat(2) of an open file with this process's environment; the program gets `handed` under its number. Returns only if it
/// failed, with everything as before.
pub(crate) fn fexecve(file: BorrowedFd, argv: &[CString], handed: BorrowedFd) -> SysError {
    // The number may have an owner, who gets it back if the program cannot be started.
    // SAFETY: the call makes a descriptor that nothing else owns.
    let saved = match unsafe { libc::fcntl(HANDED, libc::F_DUPFD_CLOEXEC, HANDED + 1) } {
        -1 => None,
        // SAFETY: as above.
        saved => Some(unsafe { OwnedFd::from_raw_fd(saved) }),
    };
    let file = match &saved {
        Some(saved) if file.as_raw_fd() == HANDED => saved.as_fd(),
        _ => file,
    };
    // SAFETY: the owner of the number, if there is one, cannot use it before this returns.
    if let Err(error) = unsafe { dup_to(handed, HANDED) } {
        return error;
    }
    let error = execveat(file, argv);
    // SAFETY: as above; now the number is what it was.
    unsafe {
        match &saved {
            Some(saved) => libc::dup3(saved.as_raw_fd(), HANDED, libc::O_CLOEXEC),
            None => libc::close(HANDED),
        };
    }
    error
}

unsafe extern "C" {
    /// environ(7).
    static environ: *const *const libc::c_char;
}

fn execveat(file: BorrowedFd, argv: &[CString]) -> SysError {
    let argv = pointers(argv);
    // SAFETY: both arrays end with a null pointer and point to strings that outlive the call, since nothing in this program
    // changes the environment; the empty path with AT_EMPTY_PATH means the descriptor itself.
    unsafe {
        libc::syscall(libc::SYS_execveat, file.as_raw_fd(), c"".as_ptr(), argv.as_ptr(), environ, libc::AT_EMPTY_PATH)
    };
    let errno = io::Error::last_os_error().raw_os_error().unwrap_or(0);
    SysError { call: "execveat", subject: String::new(), errno }
}
