//! Where else a layer lies: the repositories that a blob of it came from or went to. A push to the same registry need not
//! send it again.

#![deny(clippy::indexing_slicing)]

use super::claim::Claim;
use super::layer;
use super::layer::Blob;
use crate::image::name::digest::Digest;
use crate::image::{ImageError, Reference};
use crate::store;
use crate::store::Store;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

/// The newest are kept.
const MOST: usize = 24;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Location {
    pub registry: String,
    pub repository: String,
    /// In which form it lies there.
    pub blob: Blob,
}

impl Location {
    pub(crate) fn new(reference: &Reference, blob: Blob) -> Self {
        Self { registry: reference.registry.clone(), repository: reference.repository.clone(), blob }
    }
}

/// Newest first. None is known of a layer that is not here.
pub(crate) fn of(store: &Store, diff_id: &Digest) -> Vec<Location> {
    let text = fs::read(layer::directory(store, diff_id).join(layer::LOCATIONS)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Whether what is noted in a layer's directory can be read.
pub(crate) fn are_whole(directory: &Path) -> bool {
    let text = fs::read(directory.join(layer::LOCATIONS));
    text.is_ok_and(|text| serde_json::from_slice::<Vec<Location>>(&text).is_ok())
}

/// Notes it for a layer that is here.
pub(crate) fn note(store: &Store, diff_id: &Digest, location: Location) -> Result<(), ImageError> {
    if of(store, diff_id).first() == Some(&location) {
        return Ok(());
    }
    let _claim = Claim::layer(store, diff_id)?;
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
