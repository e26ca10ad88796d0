//! What a container's root file system is made of: layers, shifted ids, mounts, and paths that never lead out of it.

pub(crate) mod copy;
pub(crate) mod layering;
pub(crate) mod lend;
pub(crate) mod options;
pub(crate) mod root;
pub(crate) mod shift;
