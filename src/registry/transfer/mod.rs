//! Transfers manifests and blobs, in both directions.

pub(crate) mod download;
pub(crate) mod manifest;
pub(crate) mod publish;
pub(crate) mod upload;
