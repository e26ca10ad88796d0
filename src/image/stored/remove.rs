//! `rmi`: taking names away, and the image with the last of them.

use super::claim;
use super::claim::ImageClaim;
use super::index;
use super::index::Index;
use super::layer;
use super::names;
use super::names::Name;
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use crate::image::{Image, ImageError};
use crate::store;
use crate::store::Store;

/// What was done, in order.
pub(crate) enum Removed {
    Untagged(Reference),
    Deleted(Digest),
}

/// By name: the name, and the image if it was its last. By id: the image with its names, if that is unambiguous. An index goes
/// with its last name, and with it the images that nothing else needs.
pub(crate) fn remove(store: &Store, name_or_id: &str, force: bool) -> Result<Vec<Removed>, ImageError> {
    claim::recover(store)?;
    let found = crate::image::lookup(store, name_or_id)?;
    let id = found.image;
    let claim = ImageClaim::take(store, id)?;
    let all = names::of_image(store, &id)?;
    let going: Vec<&Name> = match (&found.name, &found.manifest) {
        (Some(name), _) => all.iter().filter(|one| one.reference == name.reference).collect(),
        (None, Some(index)) => all.iter().filter(|one| one.manifest == *index).collect(),
        (None, None) => all.iter().collect(),
    };
    let mut indexes: Vec<Digest> = going.iter().map(|name| name.manifest).chain(found.manifest).collect();
    if found.manifest.is_none() {
        indexes.extend(refuse_listed(store, &id)?);
    }
    indexes.retain(|index| index::exists(store, index));
    indexes.sort();
    indexes.dedup();
    let last = all.iter().all(|name| going.iter().any(|one| one.reference == name.reference));
    // Docker lets a name be forced off an image in use, but nobody loses the image itself.
    if last && !(force && found.name.is_some()) {
        let mut images = vec![id];
        for index in &indexes {
            images.extend(index::images(store, index)?);
        }
        for image in images {
            let containers = crate::image::containers(store, &image);
            if !containers.is_empty() {
                return Err(ImageError::InUse { image, containers });
            }
        }
    }
    let mut repositories: Vec<String> = going.iter().map(|name| name.reference.name()).collect();
    repositories.dedup();
    if repositories.len() > 1 && !force {
        let names = going.iter().map(|name| name.reference.familiar()).collect();
        return Err(ImageError::ManyNames { image: id, names });
    }
    let mut removed = Vec::new();
    for name in going {
        if names::remove(store, &claim, &name.reference)? {
            removed.push(Removed::Untagged(name.reference.clone()));
        }
    }
    // Indexes are claimed before their images.
    drop(claim);
    for index in indexes {
        removed.extend(index::remove_unused(store, &index)?);
    }
    if last {
        removed.extend(unused(store, &id)?);
    }
    Ok(removed)
}

/// An image of an index goes with the index, unless it is the one that stands for all of them.
fn refuse_listed(store: &Store, image: &Digest) -> Result<Vec<Digest>, ImageError> {
    let holding = index::holding(store, image);
    for index in &holding {
        // A damaged one holds nothing back.
        if Index::open(store, index).is_ok_and(|index| index.is_some_and(|index| index.main().image != *image)) {
            return Err(ImageError::Listed { image: *image, index: *index });
        }
    }
    Ok(holding)
}

/// Removes an image that has no name, and that no container and no index uses.
pub(crate) fn unused(store: &Store, id: &Digest) -> Result<Vec<Removed>, ImageError> {
    let mut claim = ImageClaim::take(store, *id)?;
    let is_used = !names::of_image(store, id)?.is_empty()
        || !crate::image::containers(store, id).is_empty()
        || !index::holding(store, id).is_empty();
    if is_used {
        return Ok(Vec::new());
    }
    let layers = match Image::open(store, id) {
        Ok(Some(image)) => image.layers,
        // A damaged image does not say what its layers are; they do.
        _ => layer::used_by(store, id)?,
    };
    claim.intend_removal(&layers)?;
    // Removed as this ends; `None`: another process was faster.
    let Some(_withdrawn) = store.withdraw(&crate::image::directory(store, id))? else { return Ok(Vec::new()) };
    store::sync_dir(&store.path("images"))?;
    let mut removed = vec![Removed::Deleted(*id)];
    removed.extend(claim.give_back().into_iter().rev().map(Removed::Deleted));
    Ok(removed)
}
