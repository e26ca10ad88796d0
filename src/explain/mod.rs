//! Reads everything, changes nothing.

pub mod host;
