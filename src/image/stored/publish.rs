//! Makes images visible in one step, once all that they need is there.

use super::claim::ImageClaim;
use super::image::directory;
use crate::image::error::ImageError;
use crate::image::name::digest::Digest;
use crate::store::{self, Scratch, Store};
use crate::sys::On;
use std::fs;
use std::path::{Path, PathBuf};

/// Makes the directory of an image where nobody sees it yet.
pub(crate) fn prepare(scratch: &Scratch, config: &[u8], manifest: &[u8]) -> Result<PathBuf, ImageError> {
    let entry = scratch.path().join("image");
    for part in ["manifests", "names", "containers"] {
        fs::create_dir_all(entry.join(part)).on("mkdir", &entry)?;
    }
    let manifest_name = Digest::of(manifest).hex();
    for (path, bytes) in [(entry.join("config.json"), config), (entry.join("manifests").join(manifest_name), manifest)]
    {
        fs::write(&path, bytes).on("write", &path)?;
    }
    Ok(entry)
}

/// Makes a [`prepare`]d image visible, whose layers must all be there. If the image is there too, adds the manifest.
pub(crate) fn publish(
    store: &Store,
    scratch: &Scratch,
    claim: &ImageClaim,
    entry: &Path,
    manifest: &[u8],
) -> Result<(), ImageError> {
    let target = directory(store, &claim.image);
    if !scratch.publish(entry, &target)? {
        add_manifest(store, claim, manifest)?;
    }
    Ok(())
}

/// Adds a manifest to the claimed image.
pub(crate) fn add_manifest(store: &Store, claim: &ImageClaim, manifest: &[u8]) -> Result<(), ImageError> {
    let path = directory(store, &claim.image).join("manifests").join(Digest::of(manifest).hex());
    if path.exists() { Ok(()) } else { Ok(store::write_durably(&path, manifest)?) }
}
