//! Directories that the kernel lays over each other: what differs, what hides, who owns.

pub mod diff;
pub mod freeze;
pub mod owner;
pub mod reduce;
