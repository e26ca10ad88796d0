//! Reads everything, changes nothing.

pub mod disk;
pub mod ghosts;
pub mod host;
