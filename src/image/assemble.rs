//! Makes an image of its layers and its config: the last steps of import, load and commit.

use super::error::ImageError;
use super::ingest::Ingested;
use super::name::digest::Digest;
use super::name::reference::Reference;
use super::overlay::stack::check_layers;
use super::stored::claim::ImageClaim;
use super::stored::document::sync;
use super::stored::{layer, manifest, names, publish};
use crate::store::{Scratch, Store};

/// The parts of an image.
pub(crate) struct Parts<'a> {
    pub config: &'a [u8],
    /// All its layers, bottom first.
    pub layers: &'a [Digest],
    /// Those that are not in the store yet.
    pub new: Vec<Ingested>,
    /// The manifest, byte for byte; made if there is none.
    pub manifest: Option<Vec<u8>>,
    pub names: &'a [Reference],
}

/// Publishes new layers, then the image, then its names. `claim` must be [`ImageClaim::intend`]ed for all layers, and
/// those that are not new must be [`layer::adopt`]ed.
pub(crate) fn assemble(store: &Store, scratch: &Scratch, claim: &ImageClaim, parts: Parts) -> Result<(), ImageError> {
    check_layers(&format!("image {}", claim.image), parts.layers.len())?;
    for new in &parts.new {
        layer::prepare(&new.entry, &claim.image)?;
    }
    let manifest = match parts.manifest {
        Some(manifest) => manifest,
        None => {
            let known = |layer: &Digest| match layer::info(store, layer)? {
                // One that was there before may have come as another blob.
                Some(info) => Ok(info),
                None => {
                    let new = parts.new.iter().find(|new| new.info.diff_id == *layer);
                    new.map(|new| new.info.clone()).ok_or(ImageError::NoLayer { layer: *layer })
                }
            };
            manifest::make(parts.config, &parts.layers.iter().map(known).collect::<Result<Vec<_>, _>>()?)
        }
    };
    let image = publish::prepare(scratch, parts.config, &manifest)?;
    // All at once: after a power failure, nothing that a rename has made visible may be empty.
    sync(store)?;
    for new in parts.new {
        layer::publish(store, scratch, &new.entry, &new.info.diff_id, &claim.image)?;
    }
    publish::publish(store, scratch, claim, &image, &manifest)?;
    for name in parts.names {
        names::set(store, claim, name, Digest::of(&manifest))?;
    }
    Ok(())
}
