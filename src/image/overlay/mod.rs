//! Directories that the kernel lays over each other: what differs, what hides, who owns.

pub(crate) mod diff;
pub(crate) mod freeze;
pub(crate) mod owner;
pub(crate) mod reduce;
