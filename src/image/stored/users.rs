//! The containers that use an image. Each is noted, so that the image is not removed while it is there.

use super::claim::ImageClaim;
use super::find;
use super::image::{Image, directory};
use crate::image::error::ImageError;
use crate::image::name::digest::Digest;
use crate::store::Store;
use crate::sys::On;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Notes that a container uses the image.
pub(crate) fn hold(store: &Store, image: &Image, container: &str) -> Result<(), ImageError> {
    let _claim = ImageClaim::take(store, image.id)?;
    let directory = directory(store, &image.id);
    if !directory.exists() {
        return Err(find::not_found(store, &image.id.short()));
    }
    let users = directory.join("containers");
    fs::create_dir_all(&users).on("mkdir", &users)?;
    File::create(users.join(container)).on("open", &users)?;
    Ok(())
}

/// Returns the path of the note that [`hold`] makes, relative to the store.
pub(crate) fn hold_path(image: &Digest, container: &str) -> PathBuf {
    Path::new("images").join(image.hex()).join("containers").join(container)
}

/// Returns the ids of the containers that use the image, in order.
pub(crate) fn containers(store: &Store, image: &Digest) -> Vec<String> {
    let entries = fs::read_dir(directory(store, image).join("containers")).into_iter().flatten().flatten();
    let mut ids: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    ids.sort();
    ids
}
