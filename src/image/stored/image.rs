//! Images in the store: immutable and content-addressed.
//!
//! `images/<digest of the config>/` holds `config.json` and `manifests/<digest>` byte for byte as they came, an empty file
//! per name in `names/`, per container in `containers/`, and per index that lists it in `indexes/`.

use super::document::digests_in;
use super::layer;
use crate::image::error::ImageError;
use crate::image::name::digest::{Digest, InvalidDigest};
use crate::store::{self, Store};
use crate::sys::On;
use oci_spec::image::ImageConfiguration;
use serde_json::Value;
use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

/// An image in the store, which never changes.
#[derive(Debug, Clone)]
pub struct Image {
    /// The digest of its config.
    pub id: Digest,
    /// The diff IDs of its layers, bottom first.
    pub layers: Vec<Digest>,
    raw: Value,
    config: ImageConfiguration,
}

impl Image {
    /// Returns the config as the specification defines it.
    pub fn config(&self) -> &ImageConfiguration {
        &self.config
    }

    /// Returns the config with all its fields, also those that only Docker knows.
    pub fn raw_config(&self) -> &Value {
        &self.raw
    }

    /// Returns the lower directories for overlayfs, relative to the store, bottom first.
    pub fn layer_dirs(&self) -> Vec<PathBuf> {
        // It refuses a directory twice. Where a layer comes twice, the upper one hides the lower one.
        let mut above = HashSet::new();
        let visible = self.layers.iter().rev().filter(|layer| above.insert(**layer));
        let mut directories: Vec<PathBuf> = visible.map(|layer| layer::relative(layer).join("fs")).collect();
        directories.reverse();
        directories
    }

    /// Opens the image with this id. `None`: there is none.
    pub fn open(store: &Store, id: &Digest) -> Result<Option<Self>, ImageError> {
        let path = directory(store, id).join("config.json");
        let text = match fs::read(&path) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
            Err(e) => return Err(ImageError::Damaged { image: *id, what: format!("its config cannot be read: {e}") }),
            Ok(text) => text,
        };
        if Digest::of(&text) != *id {
            return Err(ImageError::Damaged { image: *id, what: "its config has another digest".into() });
        }
        Self::parse(*id, &text).map(Some)
    }

    /// Makes an image of the bytes of its config.
    pub fn parse(id: Digest, config: &[u8]) -> Result<Self, ImageError> {
        let invalid = |source: serde_json::Error| ImageError::Config { image: id, source: source.into() };
        let raw: Value = serde_json::from_slice(config).map_err(invalid)?;
        let config: ImageConfiguration = serde_json::from_slice(config).map_err(invalid)?;
        let layers = config.rootfs().diff_ids().iter().map(|text| text.parse());
        let layers = layers
            .collect::<Result<_, _>>()
            .map_err(|e: InvalidDigest| ImageError::Damaged { image: id, what: e.to_string() })?;
        Ok(Self { id, layers, raw, config })
    }

    /// Returns the bytes of the files in all layers together.
    pub fn size(&self, store: &Store) -> Result<u64, ImageError> {
        let mut size = 0;
        for layer in &self.layers {
            let info = layer::info(store, layer).unwrap_or_else(|error| {
                let path = layer::directory(store, layer).join("info.json");
                store::tell_damage(&path, &crate::diag::why(&error));
                None
            });
            size += info.map_or(0, |info| info.size);
        }
        Ok(size)
    }
}

/// Returns the directory of an image, which need not be there.
pub(crate) fn directory(store: &Store, id: &Digest) -> PathBuf {
    store.path("images").join(id.hex())
}

/// Returns the ids of all images. For listings only: all else looks up one name.
pub(crate) fn all(store: &Store) -> Result<Vec<Digest>, ImageError> {
    digests_in(&store.path("images"))
}

/// Returns the config of an image, byte for byte.
pub(crate) fn config_bytes(store: &Store, id: &Digest) -> Result<Vec<u8>, ImageError> {
    let path = directory(store, id).join("config.json");
    Ok(fs::read(&path).on("read", &path)?)
}

/// Returns a manifest of an image, byte for byte.
pub(crate) fn manifest_bytes(store: &Store, id: &Digest, manifest: &Digest) -> Result<Vec<u8>, ImageError> {
    let path = directory(store, id).join("manifests").join(manifest.hex());
    Ok(fs::read(&path).on("read", &path)?)
}

/// Returns the digests of the manifests of an image.
pub(crate) fn manifests(store: &Store, id: &Digest) -> Result<Vec<Digest>, ImageError> {
    digests_in(&directory(store, id).join("manifests"))
}

/// Opens an image that something in the store refers to.
pub(crate) fn must_open(store: &Store, id: &Digest) -> Result<Image, ImageError> {
    let gone = || ImageError::Damaged { image: *id, what: "its directory is gone".into() };
    Image::open(store, id)?.ok_or_else(gone)
}
