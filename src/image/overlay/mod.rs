//! Directories that the kernel lays on top of each other: how one hides what lies below, what differs, who owns files.

pub(crate) mod creator;
pub(crate) mod diff;
pub(crate) mod mark;
pub(crate) mod owner;
pub(crate) mod reduce;
pub(crate) mod stack;
