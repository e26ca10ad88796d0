//! Amounts of what a container uses.

/// One look at a container.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Processor time since its start, in microseconds.
    pub processor: u64,
    /// Bytes of memory, without what the kernel could drop at once.
    pub memory: u64,
    /// The most bytes that it may have: its own limit, or all that the host has.
    pub memory_limit: u64,
    /// Bytes that its network interfaces received and sent; the loopback device is not counted.
    pub received: u64,
    pub sent: u64,
    /// Bytes that it read from and wrote to block devices.
    pub read: u64,
    pub written: u64,
    pub threads: u64,
    /// The kernel counted memory, for the processes together.
    pub is_counted: bool,
}
