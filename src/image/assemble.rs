//! An image from its layers and its config: the last steps of import, load and commit.

use super::claim::ImageClaim;
use super::digest::Digest;
use super::ingest::Ingested;
use super::reference::Reference;
use super::{ImageError, layer, manifest, names};
use crate::store::{Scratch, Store};

/// What an image is made of.
pub struct Parts<'a> {
    pub config: &'a [u8],
    /// All its layers, bottom first.
    pub layers: &'a [Digest],
    /// Those that are not in the store yet.
    pub new: Vec<Ingested>,
    /// As it came; made if it did not.
    pub manifest: Option<Vec<u8>>,
    pub names: &'a [Reference],
}

/// Publishes new layers, then the image, then its names. `claim` must be [`ImageClaim::intend`]ed for all layers, and
/// those that are not new must be [`layer::adopt`]ed.
pub fn assemble(store: &Store, scratch: &Scratch, claim: &ImageClaim, parts: Parts) -> Result<(), ImageError> {
    super::sync(store)?;
    for new in parts.new {
        layer::publish(store, scratch, &new.entry, &new.info.diff_id, &claim.image)?;
    }
    let manifest = match parts.manifest {
        Some(manifest) => manifest,
        None => {
            // Read back, since a layer that was there before may have come as another blob.
            let infos = parts.layers.iter().map(|layer| layer::known(store, layer));
            manifest::make(parts.config, &infos.collect::<Result<Vec<_>, _>>()?)
        }
    };
    super::publish(store, scratch, claim, parts.config, &manifest)?;
    for name in parts.names {
        names::set(store, claim, name, Digest::of(&manifest))?;
    }
    Ok(())
}
