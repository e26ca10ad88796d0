//! The allocator's memory.

/// Gives pages that the allocator keeps back to the kernel: for a process that did much at its start and little after.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: glibc's own function; it frees only what is not in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
