//! What goes over the wire: manifests and blobs, both ways.

pub(crate) mod download;
pub(crate) mod manifest;
pub(crate) mod publish;
pub(crate) mod upload;
