//! Memory of the allocator.

/// Returns free pages of the allocator to the kernel: for a process that does much at its start and little afterwards.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: glibc's own function; it frees only what is not in use.
    unsafe {
        libc::malloc_trim(0);
    }
}
