//! Memory of the allocator.

/// Returns free pages of the allocator to the kernel: for a process that does much at its start and little afterwards.
pub(crate) fn give_back() {
    #[cfg(target_env = "gnu")]
    // SAFETY: glibc's own function; it frees only what is not in use.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Gives each large block of the allocator pages of its own, which go back to the kernel with it, and which the kernel fills
/// only when they are written to. By default glibc stops doing so once such a block has been freed (mallopt(3)).
pub(crate) fn map_large_blocks() {
    #[cfg(target_env = "gnu")]
    // SAFETY: glibc's own function; it sets a number.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 128 * 1024);
    }
}
