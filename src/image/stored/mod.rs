//! Images in the store: layers, manifests, indexes, names, and the claims on them.

pub(crate) mod claim;
pub(crate) mod document;
pub(crate) mod find;
pub(crate) mod image;
pub(crate) mod index;
pub(crate) mod layer;
pub(crate) mod location;
pub(crate) mod manifest;
pub(crate) mod names;
pub(crate) mod publish;
pub(crate) mod remove;
pub(crate) mod usage;
pub(crate) mod users;
pub(crate) mod verify;
