//! Names of images: one small file each, so that looking one up opens one file, however many there are.

#![deny(clippy::indexing_slicing)]

use super::claim::ImageClaim;
use super::document;
use super::image;
use crate::image::error::ImageError;
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use crate::store::{self, Claim, Store};
use crate::sys::{On, SysError};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

/// A name with the image that it stands for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Name {
    pub reference: Reference,
    pub image: Digest,
    pub manifest: Digest,
}

const DIRECTORY: &str = "names";
const LONGEST_FILE_NAME: usize = 255;

/// Returns the name of the file for a reference. No reference has a `+`, so this can be undone; what is too long for a file
/// name is replaced by its digest.
pub(crate) fn file_name(reference: &Reference) -> String {
    let escaped = reference.to_string().replace('/', "+");
    if escaped.len() > LONGEST_FILE_NAME { Digest::of(escaped.as_bytes()).to_string() } else { escaped }
}

/// Returns the reference whose file has this name. `None`: the reference was too long for a file name.
pub(crate) fn reference_of(file_name: &str) -> Option<Reference> {
    let reference: Reference = file_name.replace('+', "/").parse().ok()?;
    (self::file_name(&reference) == file_name).then_some(reference)
}

/// Claims a name, so that nobody else gives or takes it.
fn claim_name(store: &Store, file_name: &str) -> Result<Claim, SysError> {
    Claim::take(store, &format!("name-{}", Digest::of(file_name.as_bytes()).hex()))
}

/// Looks a reference up.
pub(crate) fn resolve(store: &Store, reference: &Reference) -> Result<Option<Name>, ImageError> {
    read(&store.path(DIRECTORY).join(file_name(reference)))
}

/// Reads the file of a name.
pub(crate) fn read(path: &Path) -> Result<Option<Name>, ImageError> {
    document::read(path)
}

/// Reads the file of a name. `None`: it is not there, or damaged, which is printed.
fn read_or_tell(path: &Path) -> Option<Name> {
    read(path).unwrap_or_else(|error| {
        store::tell_damage(path, &crate::diag::why(&error));
        None
    })
}

/// Returns all names, in order. For listings only.
pub(crate) fn all(store: &Store) -> Result<Vec<Name>, ImageError> {
    let directory = store.path(DIRECTORY);
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).on("opendir", &directory)? {
        // It may have been removed meanwhile.
        names.extend(read_or_tell(&entry.on("readdir", &directory)?.path()));
    }
    names.sort_by(|a, b| a.reference.cmp(&b.reference));
    Ok(names)
}

/// Returns the names of an image, in order.
pub(crate) fn of_image(store: &Store, image: &Digest) -> Result<Vec<Name>, ImageError> {
    let directory = image::directory(store, image).join(DIRECTORY);
    let mut names = Vec::new();
    for entry in fs::read_dir(&directory).into_iter().flatten() {
        let entry = entry.on("readdir", &directory)?;
        // The name may stand for another image since.
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
    let back = image::directory(store, &claim.image).join(DIRECTORY);
    fs::create_dir_all(&back).on("mkdir", &back)?;
    let back = back.join(&file);
    File::create(&back).on("open", &back)?;
    let _claim = claim_name(store, &file)?;
    let path = store.path(DIRECTORY).join(&file);
    let before = read(&path).unwrap_or_default();
    let name = Name { reference: reference.clone(), image: claim.image, manifest };
    let text = store::format::to_record(&name);
    // Written in `tmp/`, since whatever a killed process leaves in `names/` would pass for a name.
    let scratch = store.scratch()?;
    let new = scratch.path().join("name");
    File::create(&new).and_then(|mut f| f.write_all(&text).and_then(|()| f.sync_all())).on("write", &new)?;
    scratch.publish(&new, &path)?;
    if let Some(before) = before.filter(|b| b.image != claim.image) {
        let _ = fs::remove_file(image::directory(store, &before.image).join(DIRECTORY).join(&file));
    }
    Ok(())
}

/// Takes a name from the claimed image. `false`: the image does not have it.
pub(crate) fn remove(store: &Store, claim: &ImageClaim, reference: &Reference) -> Result<bool, ImageError> {
    let file = file_name(reference);
    let _claim = claim_name(store, &file)?;
    let path = store.path(DIRECTORY).join(&file);
    let ours = read(&path)?.is_some_and(|n| n.image == claim.image);
    if ours {
        fs::remove_file(&path).on("unlink", &path)?;
        store::sync_dir(&store.path(DIRECTORY))?;
    }
    let _ = fs::remove_file(image::directory(store, &claim.image).join(DIRECTORY).join(&file));
    Ok(ours)
}

/// Returns the time at which the image got its newest name: Docker's `LastTagTime`.
pub(crate) fn last_given(store: &Store, image: &Digest) -> Option<String> {
    let entries = fs::read_dir(image::directory(store, image).join(DIRECTORY)).ok()?;
    let newest = entries.flatten().filter_map(|e| e.metadata().ok()?.modified().ok()).max()?;
    jiff::Timestamp::try_from(newest).ok().map(|time| time.to_string())
}
