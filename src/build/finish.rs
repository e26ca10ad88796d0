//! A stage that is done becomes an image: its layers, its config, its names.

use super::cache;
use super::engine::Builder;
use super::state::State;
use super::{BuildError, Built};
use crate::image::assemble::{Parts, assemble};
use crate::image::claim::ImageClaim;
use crate::image::digest::Digest;
use crate::image::reference::Reference;
use crate::image::{self, ImageError, layer, manifests, names};
use crate::store::Store;

/// Stores the image, unless it is there already, and gives it its names. `keys`: layers and the entries of the cache that
/// made them, which need not hold them any more.
pub fn store(
    store: &Store,
    state: &State,
    keys: &[(Digest, Digest)],
    wanted: &[Reference],
) -> Result<Built, BuildError> {
    let config = state.finish().to_string().into_bytes();
    let id = Digest::of(&config);
    let mut claim = ImageClaim::take(store, id)?;
    if image::directory(store, &id).exists() {
        let manifest = manifests(store, &id)?.first().copied().unwrap_or(id);
        for name in wanted {
            let known = names::resolve(store, name)?;
            if known.is_none_or(|known| known.image != id) {
                names::set(store, &claim, name, manifest)?;
            }
        }
    } else {
        claim.intend(&state.layers)?;
        for layer in &state.layers {
            if !layer::adopt(store, layer, &id)? {
                return Err(ImageError::NoLayer { layer: *layer }.into());
            }
        }
        let scratch = store.scratch()?;
        let parts = Parts { config: &config, layers: &state.layers, new: Vec::new(), manifest: None, names: wanted };
        assemble(store, &scratch, &claim, parts)?;
    }
    drop(claim);
    for (layer, key) in keys {
        cache::let_go(store, key, layer)?;
    }
    Ok(Built { image: id, layers: keys.iter().map(|(layer, _)| *layer).collect() })
}

/// Makes one layer of those that this build added.
pub fn squash(_builder: &mut Builder, _number: usize) -> Result<(), BuildError> {
    Ok(())
}
