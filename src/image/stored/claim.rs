//! The claim on an image or index: who may change it, and what to undo when the process that did has died.
//!
//! Claiming an image that is being made or removed notes the image's layers in the claim first: whoever finds the note
//! without its holder finishes the work.

#![deny(clippy::indexing_slicing)]

use super::image;
use super::layer;
use crate::image::error::ImageError;
use crate::image::name::digest::Digest;
use crate::store::{Claim, Store};
use crate::sys::SysError;

/// The right to make, use, rename or remove one image.
#[must_use]
pub(crate) struct ImageClaim {
    store: Store,
    pub image: Digest,
    layers: Vec<Digest>,
    claim: Claim,
}

impl ImageClaim {
    /// Waits for the claim, and finishes what an earlier holder has left undone.
    pub(crate) fn take(store: &Store, image: Digest) -> Result<Self, SysError> {
        let mut claim = Claim::take(store, &claim_name(&image))?;
        let layers = layers_of_note(&mut claim);
        let mut claimed = Self { store: store.clone(), image, layers, claim };
        claimed.settle();
        Ok(claimed)
    }

    /// Notes the layers of the image, before any of them is published for it or taken from it.
    pub(crate) fn intend(&mut self, layers: &[Digest]) -> Result<(), SysError> {
        self.claim.note(&note_of(layers))?;
        self.layers = layers.to_vec();
        Ok(())
    }

    /// [`ImageClaim::intend`] before the image is removed, which must work on a full disk, too: there, `system check` finds
    /// what a killed process has left.
    pub(crate) fn intend_removal(&mut self, layers: &[Digest]) -> Result<(), SysError> {
        self.layers = layers.to_vec();
        match self.claim.note(&note_of(layers)) {
            Err(full) if full.is_full() => Ok(()),
            other => other,
        }
    }

    /// Gives back the layers of an image that is not there: not finished, or already removed.
    fn settle(&mut self) -> Vec<Digest> {
        let layers = std::mem::take(&mut self.layers);
        if layers.is_empty() || image::directory(&self.store, &self.image).exists() {
            return Vec::new();
        }
        layers.into_iter().filter(|layer| layer::release(&self.store, layer, &self.image).unwrap_or(false)).collect()
    }

    /// Gives back the layers of a removed image. Returns those that were removed with it.
    pub(crate) fn give_back(mut self) -> Vec<Digest> {
        self.settle()
    }
}

impl Drop for ImageClaim {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Returns the name of the claim on an image.
fn claim_name(image: &Digest) -> String {
    format!("image-{}", image.hex())
}

fn note_of(layers: &[Digest]) -> Vec<u8> {
    serde_json::to_vec(layers).unwrap_or_default()
}

fn layers_of_note(claim: &mut Claim) -> Vec<Digest> {
    serde_json::from_slice(&claim.read_note()).unwrap_or_default()
}

/// Returns whether an image is being made or removed.
pub(crate) fn is_held(store: &Store, image: &Digest) -> bool {
    Claim::is_held(store, &claim_name(image))
}

/// Finishes the work of processes that have died.
pub(crate) fn recover(store: &Store) -> Result<(), ImageError> {
    for abandoned in Claim::abandoned(store) {
        let (name, mut claim) = abandoned?;
        if let Some(image) = name.strip_prefix("image-").and_then(Digest::from_hex) {
            let layers = layers_of_note(&mut claim);
            drop(ImageClaim { store: store.clone(), image, layers, claim });
        }
    }
    Ok(())
}
