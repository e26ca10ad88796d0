//! Layers: unpacked once, shared read-only, freed when the last image that uses them goes.
//!
//! `layers/<first 24 digits of the diff ID>/` holds `fs/` (a lower directory for overlayfs), `info.json`, the archive it
//! came from (`blobs/<digest>` if that was compressed, else `record.zst`), and in `images/` an empty file per user.

use super::document::{self, sync};
use crate::image::error::ImageError;
use crate::image::name::digest::Digest;
use crate::image::tar::record::Replay;
use crate::image::tar::stream::{self, Compression};
use crate::store::{self, Claim, Scratch, Store};
use crate::sys::{On, SysError};
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

/// The file that names the other places of a layer (see [`super::location`]).
pub(crate) const LOCATIONS: &str = "locations.json";

/// The record of a layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Info {
    /// The digest of the uncompressed archive.
    pub diff_id: Digest,
    /// The bytes of its files' contents.
    pub size: u64,
    /// The number of entries of its archive.
    pub entries: u64,
    /// The length of the uncompressed archive.
    pub archive: u64,
    /// The compressed archive that it came as, if it was compressed.
    pub blob: Option<Blob>,
    pub created: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Blob {
    pub digest: Digest,
    pub size: u64,
    pub media_type: String,
}

/// Returns the directory of a layer relative to the store: a short path, since those of all layers must fit in the options of
/// one mount.
pub(crate) fn relative(diff_id: &Digest) -> PathBuf {
    Path::new("layers").join(diff_id.hex_prefix(12))
}

pub(crate) fn directory(store: &Store, diff_id: &Digest) -> PathBuf {
    store.path(relative(diff_id))
}

/// Claims a layer, so that nobody else makes, uses or removes it.
pub(crate) fn claim(store: &Store, diff_id: &Digest) -> Result<Claim, SysError> {
    Claim::take(store, &format!("layer-{}", diff_id.hex()))
}

/// Reads the record in the directory of a layer.
pub(crate) fn info_at(directory: &Path) -> Result<Option<Info>, ImageError> {
    document::read(&directory.join("info.json"))
}

/// Reads the record of a layer. `None`: there is no such layer.
pub(crate) fn info(store: &Store, diff_id: &Digest) -> Result<Option<Info>, ImageError> {
    let Some(info) = info_at(&directory(store, diff_id))? else { return Ok(None) };
    if info.diff_id != *diff_id {
        return Err(ImageError::Collision { wanted: *diff_id, found: info.diff_id });
    }
    Ok(Some(info))
}

/// Returns whether a layer is there and has a record that can be read.
pub(crate) fn is_here(store: &Store, diff_id: &Digest) -> bool {
    info(store, diff_id).is_ok_and(|info| info.is_some())
}

/// Reads the record of a layer that must be there.
pub(crate) fn known(store: &Store, diff_id: &Digest) -> Result<Info, ImageError> {
    info(store, diff_id)?.ok_or(ImageError::NoLayer { layer: *diff_id })
}

/// Returns the layers that an image uses, found in the directories of all layers.
pub(crate) fn used_by(store: &Store, image: &Digest) -> Result<Vec<Digest>, ImageError> {
    let layers = store.path("layers");
    let mut used = Vec::new();
    for entry in fs::read_dir(&layers).on("opendir", &layers)? {
        let directory = entry.on("readdir", &layers)?.path();
        if directory.join("images").join(image.hex()).exists() {
            used.extend(info_at(&directory).ok().flatten().map(|info| info.diff_id));
        }
    }
    Ok(used)
}

/// Returns the number of images that use a layer.
pub(crate) fn images_on(store: &Store, diff_id: &Digest) -> Result<usize, SysError> {
    let users = directory(store, diff_id).join("images");
    Ok(fs::read_dir(&users).on("opendir", &users)?.count())
}

/// Opens the archive of a layer in the form that has this digest: its blob, or the uncompressed archive.
pub(crate) fn archive(store: &Store, info: &Info, digest: &Digest) -> Result<Box<dyn Read + Send>, ImageError> {
    let directory = directory(store, &info.diff_id);
    let broken = |source| ImageError::LayerArchive { layer: info.diff_id, source };
    let layer = info.diff_id;
    let Some(blob) = &info.blob else {
        return Ok(Box::new(NamedArchive { layer, archive: Replay::new(&directory).map_err(broken)? }));
    };
    let path = directory.join("blobs").join(blob.digest.hex());
    let mut file = File::open(&path).on("open", &path)?;
    if blob.digest == *digest {
        return Ok(Box::new(file));
    }
    let mut magic = [0; stream::MAGIC];
    let known = stream::fill(&mut file, &mut magic).map_err(broken)?;
    file.rewind().map_err(broken)?;
    let compression = Compression::of(&magic[..known]).unwrap_or(Compression::None);
    Ok(Box::new(NamedArchive { layer, archive: compression.decode(file).map_err(broken)? }))
}

/// The archive of a layer, whose errors name the layer: a program that copies it knows the target alone.
struct NamedArchive<R> {
    layer: Digest,
    archive: R,
}

impl<R: Read> Read for NamedArchive<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.archive.read(buffer).map_err(|error| {
            let mends = store::CHECK;
            std::io::Error::other(format!("layer {} is damaged: {error}; what mends it: {mends}", self.layer.short()))
        })
    }
}

/// Makes `image` a user of a layer, which lasts once the store is synced. `false`: the layer is not there.
pub(crate) fn adopt(store: &Store, diff_id: &Digest, image: &Digest) -> Result<bool, ImageError> {
    let _claim = claim(store, diff_id)?;
    adopt_claimed(store, diff_id, image)
}

fn adopt_claimed(store: &Store, diff_id: &Digest, image: &Digest) -> Result<bool, ImageError> {
    if info(store, diff_id)?.is_none() {
        return Ok(false);
    }
    let user = directory(store, diff_id).join("images").join(image.hex());
    if !user.exists() {
        File::create(&user).on("open", &user)?;
    }
    Ok(true)
}

/// Makes `image` the first user of a layer that nobody sees yet.
pub(crate) fn prepare(entry: &Path, image: &Digest) -> Result<(), SysError> {
    let users = entry.join("images");
    fs::create_dir(&users).on("mkdir", &users)?;
    File::create(users.join(image.hex())).map(drop).on("open", &users)
}

/// Makes a [`prepare`]d layer visible, whose files must be on disk already. Uses the layer that another process has made
/// meanwhile, if there is one.
pub(crate) fn publish(
    store: &Store,
    scratch: &Scratch,
    entry: &Path,
    diff_id: &Digest,
    image: &Digest,
) -> Result<(), ImageError> {
    let _claim = claim(store, diff_id)?;
    if adopt_claimed(store, diff_id, image)? {
        return Ok(store::sync_dir(&directory(store, diff_id).join("images"))?);
    }
    scratch.publish(entry, &directory(store, diff_id))?;
    Ok(())
}

/// Puts a layer that was made anew in the place of a damaged one, whose users and locations it keeps. No container may run
/// on it: what it has mounted goes.
pub(crate) fn replace(store: &Store, scratch: &Scratch, entry: &Path, diff_id: &Digest) -> Result<(), ImageError> {
    let _claim = claim(store, diff_id)?;
    let old = directory(store, diff_id);
    let users = entry.join("images");
    fs::create_dir(&users).on("mkdir", &users)?;
    for user in fs::read_dir(old.join("images")).into_iter().flatten().flatten() {
        File::create(users.join(user.file_name())).on("open", &users)?;
    }
    let _ = fs::copy(old.join(LOCATIONS), entry.join(LOCATIONS));
    sync(store)?;
    if old.exists() {
        // In one step; what was there goes with the scratch directory.
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        renameat_with(CWD, entry, CWD, &old, RenameFlags::EXCHANGE).on("renameat2", &old)?;
        Ok(store::sync_dir(&store.path("layers"))?)
    } else {
        scratch.publish(entry, &old)?;
        Ok(())
    }
}

/// Takes a user from a layer, and removes the layer with its last user. Returns whether it did.
pub(crate) fn release(store: &Store, diff_id: &Digest, image: &Digest) -> Result<bool, ImageError> {
    let claim = claim(store, diff_id)?;
    let directory = directory(store, diff_id);
    let users = directory.join("images");
    let user = users.join(image.hex());
    if !user.exists() {
        return Ok(false);
    }
    let mut others = fs::read_dir(&users).on("opendir", &users)?.flatten();
    if others.any(|other| Some(other.file_name().as_os_str()) != user.file_name()) {
        fs::remove_file(&user).on("unlink", &user)?;
        return Ok(false);
    }
    // It vanishes in one step, with its last user: whoever dies here leaves no layer that nobody uses. Its files go as this
    // ends.
    let withdrawn = store.withdraw(&directory)?;
    drop(claim);
    store::sync_dir(&store.path("layers"))?;
    Ok(withdrawn.is_some())
}
