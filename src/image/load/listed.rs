//! Loads an index with all that it lists, where the archive holds all of it.

use super::archive::Archive;
use super::candidate::ArchivedImage;
use super::document::{blob_name, check, digest, parse};
use crate::image::attestation;
use crate::image::error::LoadError;
use crate::image::install::Candidate;
use crate::image::name::digest::Digest;
use crate::image::name::platform;
use crate::image::nature;
use crate::image::stored::index::NewIndex;
use oci_spec::image::{Descriptor, ImageConfiguration, ImageIndex, ImageManifest};
use serde_json::Value;

/// Returns the index that a descriptor leads to, and its images. `None`: it leads to something else, or a part is not in the archive.
pub(crate) fn index(
    archive: &Archive,
    descriptor: &Descriptor,
) -> Result<Option<(Vec<ArchivedImage>, NewIndex)>, LoadError> {
    let Some(bytes) = document(archive, descriptor)? else { return Ok(None) };
    let fields: Value = parse(archive, "an index", &bytes)?;
    if fields.get("manifests").is_none() || fields.get("layers").is_some() {
        return Ok(None);
    }
    let index: ImageIndex = parse(archive, "an index", &bytes)?;
    let mut made = NewIndex { bytes, members: Vec::new(), blobs: Vec::new() };
    let mut images: Vec<ArchivedImage> = Vec::new();
    for entry in index.manifests() {
        let Some(manifest) = document(archive, entry)? else { return Ok(None) };
        match image(archive, entry, &manifest)? {
            Some(found) => {
                made.members.push((Digest::of(&found.image.config), manifest));
                images.push(found);
            }
            None if !add_other(archive, manifest, &mut made) => return Ok(None),
            None => {}
        }
    }
    Ok((!images.is_empty()).then_some((images, made)))
}

/// Reads the document that a descriptor leads to. `None`: the archive does not hold it.
fn document(archive: &Archive, descriptor: &Descriptor) -> Result<Option<Vec<u8>>, LoadError> {
    let name = blob_name(archive, descriptor)?;
    if !archive.has(&name) {
        return Ok(None);
    }
    let bytes = archive.document(&name)?;
    check(archive, "manifest", descriptor, &bytes)?;
    Ok(Some(bytes))
}

/// Reads the image of an entry. `None`: it is not an image, or not all of it is in the archive.
fn image(archive: &Archive, entry: &Descriptor, document: &[u8]) -> Result<Option<ArchivedImage>, LoadError> {
    let fields: Value = parse(archive, "a manifest", document)?;
    let is_image = platform::is_image(entry) && fields.get("layers").is_some() && nature::of(&fields).is_none();
    if !is_image || fields.get("manifests").is_some() {
        return Ok(None);
    }
    let manifest: ImageManifest = parse(archive, "a manifest", document)?;
    let Some(config) = self::document(archive, manifest.config())? else { return Ok(None) };
    if serde_json::from_slice::<ImageConfiguration>(&config).is_err() {
        return Ok(None);
    }
    let (mut layers, mut files) = (Vec::new(), Vec::new());
    for layer in manifest.layers() {
        let file = blob_name(archive, layer)?;
        if !archive.has(&file) {
            return Ok(None);
        }
        layers.push(Some(digest(archive, layer)?));
        files.push(file);
    }
    let manifest = Some(document.to_vec());
    let image = Candidate { config, manifest, index: None, layers, names: Vec::new() };
    Ok(Some(ArchivedImage { image, files, invalid_names: Vec::new(), is_listed: true }))
}

/// Adds a manifest of documents, such as those of attestations. `false`: one of them is not in the archive, or is not a document.
fn add_other(archive: &Archive, manifest: Vec<u8>, made: &mut NewIndex) -> bool {
    let parts = attestation::parts(&manifest);
    for part in &parts {
        match archive.document(&format!("blobs/sha256/{}", part.hex())) {
            Ok(bytes) if Digest::of(&bytes) == *part => made.blobs.push((*part, bytes)),
            _ => return false,
        }
    }
    made.blobs.push((Digest::of(&manifest), manifest));
    !parts.is_empty()
}
