//! Documents in an archive, and the descriptors by which they refer to each other.

use super::archive::Archive;
use crate::image::error::LoadError;
use crate::image::install::expect_digest;
use crate::image::name::digest::Digest;
use oci_spec::image::Descriptor;
use serde::Deserialize;

/// Parses a document. `name` is for the error.
pub(crate) fn parse<T: for<'de> Deserialize<'de>>(archive: &Archive, name: &str, text: &[u8]) -> Result<T, LoadError> {
    serde_json::from_slice(text).map_err(|source| LoadError::Document {
        archive: archive.name.clone(),
        name: name.to_owned(),
        source,
    })
}

/// Returns the digest in a descriptor.
pub(crate) fn digest(archive: &Archive, descriptor: &Descriptor) -> Result<Digest, LoadError> {
    let text = descriptor.digest().to_string();
    text.parse().map_err(|_| LoadError::Algorithm { archive: archive.name.clone(), digest: text })
}

/// Returns the name of the file that a descriptor leads to.
pub(crate) fn blob_name(archive: &Archive, descriptor: &Descriptor) -> Result<String, LoadError> {
    Ok(format!("blobs/sha256/{}", digest(archive, descriptor)?.hex()))
}

/// Compares the digest of a document with that in its descriptor.
pub(crate) fn check(
    archive: &Archive,
    what: &'static str,
    descriptor: &Descriptor,
    bytes: &[u8],
) -> Result<(), LoadError> {
    Ok(expect_digest(what, digest(archive, descriptor)?, Digest::of(bytes))?)
}
