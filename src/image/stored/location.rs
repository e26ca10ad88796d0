//! The repositories that a blob of a layer came from or went to. A push to the same registry need not send it again.

#![deny(clippy::indexing_slicing)]

use super::layer;
use super::layer::Blob;
use crate::image::error::ImageError;
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use crate::store::{self, Store};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// The number of locations that are kept: the newest.
const MOST: usize = 24;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Location {
    pub registry: String,
    pub repository: String,
    /// The form of the layer in that repository.
    pub blob: Blob,
}

impl Location {
    pub(crate) fn new(reference: &Reference, blob: Blob) -> Self {
        Self { registry: reference.registry.clone(), repository: reference.repository.clone(), blob }
    }
}

/// Returns the locations of a layer, newest first.
pub(crate) fn of(store: &Store, diff_id: &Digest) -> Vec<Location> {
    let text = fs::read(layer::directory(store, diff_id).join(layer::LOCATIONS)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Returns whether the locations in the directory of a layer can be read.
pub(crate) fn are_whole(directory: &Path) -> bool {
    let text = fs::read(directory.join(layer::LOCATIONS));
    text.is_ok_and(|text| serde_json::from_slice::<Vec<Location>>(&text).is_ok())
}

/// Notes a location of a layer, if the layer is here.
pub(crate) fn note(store: &Store, diff_id: &Digest, location: Location) -> Result<(), ImageError> {
    if of(store, diff_id).first() == Some(&location) {
        return Ok(());
    }
    let _claim = layer::claim(store, diff_id)?;
    // One that was removed meanwhile must not come back as a directory with nothing but this.
    if layer::info(store, diff_id)?.is_none() {
        return Ok(());
    }
    let mut known = of(store, diff_id);
    known.retain(|other| *other != location);
    known.insert(0, location);
    known.truncate(MOST);
    let text = serde_json::to_vec(&known).unwrap_or_default();
    Ok(store::write_quickly(&layer::directory(store, diff_id).join(layer::LOCATIONS), &text)?)
}
