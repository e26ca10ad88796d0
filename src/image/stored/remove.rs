//! `rmi`: takes names from images and indexes, and removes each with its last name.

use super::claim::{self, ImageClaim};
use super::find::lookup;
use super::image::{self, Image};
use super::index::{self, Index};
use super::layer;
use super::names::{self, Name};
use super::users::containers;
use crate::image::error::ImageError;
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use crate::image::note_image;
use crate::store::{self, Store};
use std::collections::BTreeSet;
use std::fs;

/// One thing that was done.
pub(crate) enum Removed {
    Untagged(Reference),
    Deleted(Digest),
}

/// Removes a name, and with the last one the image. By id, removes the image with all its names, if these are of one
/// repository. An index goes with its last name, and with it the images that nothing else needs.
pub(crate) fn remove(store: &Store, name_or_id: &str, force: bool) -> Result<Vec<Removed>, ImageError> {
    claim::recover(store)?;
    let found = lookup(store, name_or_id)?;
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
    // As with Docker, -f takes the names from an image in use; but never removes the image.
    if last && (!force || going.is_empty()) {
        let mut images = vec![id];
        for index in &indexes {
            images.extend(index::images(store, index)?);
        }
        for image in images {
            let containers = containers(store, &image);
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
            note_image(store, "untag", &id, Some(&name.reference));
            removed.push(Removed::Untagged(name.reference.clone()));
        }
    }
    // Indexes are claimed before their images.
    drop(claim);
    for index in indexes {
        removed.extend(remove_unused_index(store, &index)?);
    }
    if last {
        removed.extend(unused(store, &id)?);
    }
    Ok(removed)
}

/// Returns the indexes that list an image. Refuses an image that goes only with its index: any but the one that stands for all.
fn refuse_listed(store: &Store, image: &Digest) -> Result<Vec<Digest>, ImageError> {
    let holding = index::holding(store, image);
    for index in &holding {
        // A damaged index does not hold its images.
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
        || !containers(store, id).is_empty()
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
    let Some(_withdrawn) = store.withdraw(&image::directory(store, id))? else { return Ok(Vec::new()) };
    store::sync_dir(&store.path("images"))?;
    note_image(store, "delete", id, None);
    let mut removed = vec![Removed::Deleted(*id)];
    removed.extend(claim.give_back().into_iter().rev().map(Removed::Deleted));
    Ok(removed)
}

/// Returns the names of an index of these images.
fn names_of(store: &Store, index: &Digest, images: &[Digest]) -> Result<Vec<Name>, ImageError> {
    let mut found = Vec::new();
    for image in images {
        found.extend(names::of_image(store, image)?.into_iter().filter(|name| name.manifest == *index));
    }
    Ok(found)
}

/// Removes an index that has no name and no container of an image of it, and with it the images that nothing else needs. Other
/// indexes of the same images go too if they have no name: they are forms of the same one, as from before a push.
fn remove_unused_index(store: &Store, digest: &Digest) -> Result<Vec<Removed>, ImageError> {
    let removing = ImageClaim::take(store, *digest)?;
    let images = index::images(store, digest)?;
    // In the order of their digests, so that nobody who claims several waits in a circle, and each once.
    let in_order: BTreeSet<_> = images.iter().copied().collect();
    let claims = in_order.into_iter().map(|image| ImageClaim::take(store, image)).collect::<Result<Vec<_>, _>>()?;
    let has_users = images.iter().any(|image| !containers(store, image).is_empty());
    if has_users || !names_of(store, digest, &images)?.is_empty() {
        return Ok(Vec::new());
    }
    let Some(withdrawn) = store.withdraw(&index::directory(store, digest))? else { return Ok(Vec::new()) };
    store::sync_dir(&store.path(index::DIRECTORY))?;
    for image in &images {
        let _ = fs::remove_file(index::note(store, image, digest));
    }
    drop((withdrawn, claims, removing));
    let mut removed = vec![Removed::Deleted(*digest)];
    for other in images.first().map(|image| index::holding(store, image)).unwrap_or_default() {
        if index::images(store, &other)? == images {
            removed.extend(remove_unused_index(store, &other)?);
        }
    }
    for image in &images {
        removed.extend(unused(store, image)?);
    }
    Ok(removed)
}
