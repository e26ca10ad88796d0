//! What the store keeps of a container: its record and its writable layer.

pub mod copy;
pub mod layering;
pub mod record;
