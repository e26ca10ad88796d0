//! Names: one small file each, so that looking one up opens one file however many there are.

#![deny(clippy::indexing_slicing)]

use super::claim::{Claim, ImageClaim};
use crate::image::ImageError;
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use crate::store;
use crate::store::Store;
use crate::sys::On;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// What a name stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Name {
    pub reference: Reference,
    pub image: Digest,
    pub manifest: Digest,
}

const DIRECTORY: &str = "names";
const LONGEST_FILE_NAME: usize = 255;

/// `+` is in no reference, so this can be undone; a name too long for the file system goes by its digest.
pub(crate) fn file_name(reference: &Reference) -> String {
    let escaped = reference.to_string().replace('/', "+");
    if escaped.len() > LONGEST_FILE_NAME { Digest::of(escaped.as_bytes()).to_string() } else { escaped }
}

/// The reference that a file of this name is for; `None`: the name was too long for that.
pub(crate) fn reference_of(file_name: &str) -> Option<Reference> {
    let reference: Reference = file_name.replace('+', "/").parse().ok()?;
    (self::file_name(&reference) == file_name).then_some(reference)
}

pub(crate) fn resolve(store: &Store, reference: &Reference) -> Result<Option<Name>, ImageError> {
    read(&store.path(DIRECTORY).join(file_name(reference)))
}

pub(crate) fn read(path: &Path) -> Result<Option<Name>, ImageError> {
    crate::image::document(path)
}

/// `None`: it is not there, or damaged, which is told.
fn read_or_tell(path: &Path) -> Option<Name> {
    read(path).unwrap_or_else(|error| {
        store::tell_damage(path, &crate::diag::why(&error));
        None
    })
}

/// Every name there is; for listings only.
pub(crate) fn all(store: &Store) -> Result<Vec<Name>, ImageError> {
    let directory = store.path(DIRECTORY);
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).on("opendir", &directory)? {
        // One that was removed meanwhile reads as none.
        names.extend(read_or_tell(&entry.on("readdir", &directory)?.path()));
    }
    names.sort_by(|a, b| a.reference.cmp(&b.reference));
    Ok(names)
}

/// The names of one image.
pub(crate) fn of_image(store: &Store, image: &Digest) -> Result<Vec<Name>, ImageError> {
    let directory = crate::image::directory(store, image).join(DIRECTORY);
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).into_iter().flatten() {
        let entry = entry.on("readdir", &directory)?;
        // The name may have gone on to another image since.
        names.extend(read_or_tell(&store.path(DIRECTORY).join(entry.file_name())).filter(|n| n.image == *image));
    }
    names.sort_by(|a, b| a.reference.cmp(&b.reference));
    Ok(names)
}

/// Gives the claimed image a name, taking it from another image if need be.
pub(crate) fn set(
    store: &Store,
    claim: &ImageClaim,
    reference: &Reference,
    manifest: Digest,
) -> Result<(), ImageError> {
    let file = file_name(reference);
    let back = crate::image::directory(store, &claim.image).join(DIRECTORY);
    fs::create_dir_all(&back).on("mkdir", &back)?;
    let back = back.join(&file);
    File::create(&back).on("open", &back)?;
    let _claim = Claim::name(store, &file)?;
    let path = store.path(DIRECTORY).join(&file);
    let before = read(&path).unwrap_or_default();
    let name = Name { reference: reference.clone(), image: claim.image, manifest };
    let text = store::format::to_record(&name);
    // By way of `tmp/`: whatever a killed process leaves in `names/` would pass for a name.
    let scratch = store.scratch()?;
    let new = scratch.path().join("name");
    File::create(&new).and_then(|mut f| f.write_all(&text).and_then(|()| f.sync_all())).on("write", &new)?;
    scratch.publish(&new, &path)?;
    if let Some(before) = before.filter(|b| b.image != claim.image) {
        let _ = fs::remove_file(crate::image::directory(store, &before.image).join(DIRECTORY).join(&file));
    }
    Ok(())
}

/// Takes a name from the claimed image. `false`: it does not have it.
pub(crate) fn remove(store: &Store, claim: &ImageClaim, reference: &Reference) -> Result<bool, ImageError> {
    let file = file_name(reference);
    let _claim = Claim::name(store, &file)?;
    let path = store.path(DIRECTORY).join(&file);
    let ours = read(&path)?.is_some_and(|n| n.image == claim.image);
    if ours {
        fs::remove_file(&path).on("unlink", &path)?;
        store::sync_dir(&store.path(DIRECTORY))?;
    }
    let _ = fs::remove_file(crate::image::directory(store, &claim.image).join(DIRECTORY).join(&file));
    Ok(ours)
}

/// When the image was given its newest name, as Docker's `LastTagTime` tells it.
pub(crate) fn last_given(store: &Store, image: &Digest) -> Option<String> {
    let entries = fs::read_dir(crate::image::directory(store, image).join(DIRECTORY)).ok()?;
    let newest = entries.flatten().filter_map(|e| e.metadata().ok()?.modified().ok()).max()?;
    jiff::Timestamp::try_from(newest).ok().map(|time| time.to_string())
}
