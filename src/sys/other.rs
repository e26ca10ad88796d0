//! What a process with power over another learns of it: memory, capabilities.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Reads memory of another process into `buffer`: process_vm_readv(2). Returns how many bytes could be read.
pub(crate) fn read_memory(pid: i32, address: u64, buffer: &mut [u8]) -> usize {
    let local = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: buffer.len() };
    // SAFETY: the kernel writes to `buffer` only, and checks the other process's addresses itself.
    let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(read).unwrap_or(0)
}

/// Returns the effective capabilities of another process as a set of bits: capget(2).
pub(crate) fn effective_capabilities(pid: i32) -> Option<u64> {
    const VERSION_3: u32 = 0x2008_0522;
    let mut header = (VERSION_3, pid);
    // Effective, permitted, inheritable; the lower 32 bits, then the upper ones.
    let mut sets = [[0u32; 3]; 2];
    // SAFETY: header and sets have the sizes of this version.
    let answer = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) };
    (answer == 0).then(|| u64::from(sets[0][0]) | u64::from(sets[1][0]) << 32)
}

/// A descriptor's number in the arguments of a call, of which the kernel reads 32 bits.
pub(crate) fn descriptor(argument: u64) -> RawFd {
    (argument as u32).cast_signed()
}

/// Keeps a number with a process and all that it starts from now on: as its limit of file locks, which Linux has not enforced since
/// 2.4.
pub(crate) fn keep_number(pid: i32, number: u64) {
    if let Some(limit) = limit_of_locks(pid, None) {
        let _ = limit_of_locks(pid, Some(libc::rlimit64 { rlim_cur: number, ..limit }));
    }
}

/// Returns the number of [`keep_number`].
pub(crate) fn kept_number(pid: i32) -> Option<u64> {
    limit_of_locks(pid, None).map(|limit| limit.rlim_cur)
}

fn limit_of_locks(pid: i32, new: Option<libc::rlimit64>) -> Option<libc::rlimit64> {
    let mut old = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let new = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: both limits are live or null.
    let answer = unsafe { libc::prlimit64(pid, libc::RLIMIT_LOCKS, new, &raw mut old) };
    (answer == 0).then_some(old)
}

/// Writes memory of another process: process_vm_writev(2). `false`: not all of it could be written.
pub(crate) fn write_memory(pid: i32, address: u64, bytes: &[u8]) -> bool {
    let local = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    let remote = libc::iovec { iov_base: address as *mut libc::c_void, iov_len: bytes.len() };
    // SAFETY: the kernel reads `bytes` only, and checks the other process's addresses itself.
    let written = unsafe { libc::process_vm_writev(pid, &raw const local, 1, &raw const remote, 1, 0) };
    usize::try_from(written) == Ok(bytes.len())
}

/// Takes a copy of another process's descriptor: pidfd_getfd(2).
pub(crate) fn take_descriptor(pidfd: BorrowedFd, number: RawFd) -> Option<OwnedFd> {
    // SAFETY: the call touches no memory.
    match unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0u32) } {
        -1 => None,
        // SAFETY: the kernel has just made the descriptor for this call.
        fd => Some(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }),
    }
}

/// Returns the pidfd of a socket's peer: SO_PEERPIDFD (Linux 6.5). `None`: it has ended and is gone, or the kernel is older.
pub(crate) fn peer(socket: BorrowedFd) -> Option<OwnedFd> {
    const SO_PEERPIDFD: i32 = 77;
    let (mut fd, mut length): (RawFd, libc::socklen_t) = (-1, 4);
    let (to, room) = ((&raw mut fd).cast(), &raw mut length);
    // SAFETY: the kernel writes at most 4 bytes to a live number.
    let answer = unsafe { libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PEERPIDFD, to, room) };
    // SAFETY: the kernel has just made the descriptor for this call.
    (answer == 0 && fd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(fd) })
}
