//! What a process with power over another learns of it: memory, capabilities.

use std::os::fd::RawFd;

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
