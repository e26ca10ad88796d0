//! What the store keeps of a container: its record and its writable layer.

pub(crate) mod copy;
pub(crate) mod layering;
pub(crate) mod record;
