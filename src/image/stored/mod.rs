//! What the store keeps of images: layers, manifests, names, and the claims on them.

pub(crate) mod claim;
pub(crate) mod index;
pub(crate) mod layer;
pub(crate) mod location;
pub(crate) mod manifest;
pub(crate) mod names;
pub(crate) mod remove;
pub(crate) mod usage;
pub(crate) mod verify;
