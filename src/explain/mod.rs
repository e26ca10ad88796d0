//! Reads everything, changes nothing.

pub mod disk;
pub mod host;
