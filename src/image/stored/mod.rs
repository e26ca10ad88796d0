//! What the store keeps of images: layers, manifests, names, and the claims on them.

pub mod claim;
pub mod index;
pub mod layer;
pub mod location;
pub mod manifest;
pub mod names;
pub mod remove;
pub mod usage;
pub mod verify;
