//! `rmi`: taking names away, and the image with the last of them.

use super::claim::{self, ImageClaim};
use super::digest::Digest;
use super::reference::Reference;
use super::{Image, ImageError, layer, names};
use crate::store::{self, Store};

/// What was done, in order.
pub enum Removed {
    Untagged(Reference),
    Deleted(Digest),
}

/// By name: the name, and the image if it was its last. By id: the image with its names, if that is unambiguous.
pub fn remove(store: &Store, name_or_id: &str, force: bool) -> Result<Vec<Removed>, ImageError> {
    claim::recover(store)?;
    let (id, name) = super::lookup(store, name_or_id)?;
    let mut claim = ImageClaim::take(store, id)?;
    let all = names::of_image(store, &id)?;
    let going = match &name {
        Some(name) => vec![name.reference.clone()],
        None => all.iter().map(|n| n.reference.clone()).collect(),
    };
    let last = all.iter().all(|n| going.contains(&n.reference));
    let users = super::containers(store, &id);
    // Docker lets a name be forced off an image in use, but nobody loses the image itself.
    if last && !users.is_empty() && !(force && name.is_some()) {
        return Err(ImageError::InUse { image: id, containers: users });
    }
    let mut repositories: Vec<String> = going.iter().map(Reference::name).collect();
    repositories.dedup();
    if repositories.len() > 1 && !force {
        return Err(ImageError::ManyNames { image: id, names: going.iter().map(Reference::familiar).collect() });
    }
    let mut removed = Vec::new();
    for reference in going {
        if names::remove(store, &claim, &reference)? {
            removed.push(Removed::Untagged(reference));
        }
    }
    if !last || !users.is_empty() {
        return Ok(removed);
    }
    let layers = match Image::open(store, &id) {
        Ok(Some(image)) => image.layers,
        // A damaged image does not say what its layers are; they do.
        _ => layer::used_by(store, &id)?,
    };
    claim.intend_removal(&layers)?;
    // Removed as this ends; `None`: another process was faster.
    let Some(_withdrawn) = store.withdraw(&super::directory(store, &id))? else { return Ok(removed) };
    store::sync_dir(&store.path("images"))?;
    removed.push(Removed::Deleted(id));
    removed.extend(claim.give_back().into_iter().rev().map(Removed::Deleted));
    Ok(removed)
}
