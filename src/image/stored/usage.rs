//! The space that images take: the blocks on disk, as `du` counts them.

use super::image::{self, Image};
use super::users::containers;
use super::{index, layer, names};
use crate::image::error::ImageError;
use crate::image::name::digest::Digest;
use crate::store::Store;
use crate::sys::{On, SysError};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub struct ImageUsage {
    pub id: Digest,
    pub names: Vec<String>,
    pub created: Option<String>,
    /// The bytes of its layers and its documents.
    pub size: u64,
    /// The bytes that other images use too.
    pub shared: u64,
    /// The ids of the containers that use it.
    pub containers: Vec<String>,
}

pub struct Usage {
    pub images: Vec<ImageUsage>,
    /// The bytes of images, names and layers together, as `du` counts their directories.
    pub total: u64,
    /// The bytes that would be free without the images that no container uses.
    pub reclaimable: u64,
    /// Layers that no image uses, left by a crash.
    pub orphans: Vec<(String, u64)>,
}

/// Walks all images and layers, as `du` does.
pub fn disk_usage(store: &Store) -> Result<Usage, ImageError> {
    let layers = store.path("layers");
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    for entry in fs::read_dir(&layers).on("opendir", &layers)? {
        let entry = entry.on("readdir", &layers)?;
        sizes.insert(entry.file_name().to_string_lossy().into_owned(), blocks(&entry.path())?);
    }
    let mut total = own_blocks(&layers)? + sizes.values().sum::<u64>();
    total += own_blocks(&store.path("images"))? + blocks(&store.path("names"))?;
    total += blocks(&store.path(index::DIRECTORY))?;

    let mut images = Vec::new();
    let mut users: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (number, id) in image::all(store)?.into_iter().enumerate() {
        let opened = Image::open(store, &id).ok().flatten();
        let own = blocks(&image::directory(store, &id))?;
        total += own;
        for diff_id in opened.iter().flat_map(|image| &image.layers) {
            let name = layer::relative(diff_id).file_name().map(|n| n.to_string_lossy().into_owned());
            users.entry(name.unwrap_or_default()).or_default().push(number);
        }
        images.push(ImageUsage {
            id,
            names: names::of_image(store, &id)?.iter().map(|n| n.reference.familiar()).collect(),
            created: opened.and_then(|image| image.config().created().clone()),
            size: own,
            shared: 0,
            containers: containers(store, &id),
        });
    }
    let mut reclaimable: u64 = images.iter().filter(|image| image.containers.is_empty()).map(|image| image.size).sum();
    let mut orphans = Vec::new();
    for (name, size) in sizes {
        let mut users = users.remove(&name).unwrap_or_default();
        users.dedup();
        for user in &users {
            images[*user].size += size;
            images[*user].shared += if users.len() > 1 { size } else { 0 };
        }
        if users.iter().all(|user| images[*user].containers.is_empty()) {
            reclaimable += size;
        }
        if users.is_empty() {
            orphans.push((name, size));
        }
    }
    Ok(Usage { images, total, reclaimable, orphans })
}

/// Returns the bytes that the files of a tree hold, without its directories.
pub(crate) fn bytes(path: &Path) -> Result<u64, SysError> {
    let mut sum = 0;
    for entry in fs::read_dir(path).on("opendir", path)? {
        let entry = entry.on("readdir", path)?;
        match fs::symlink_metadata(entry.path()) {
            Ok(found) if found.is_dir() => sum += bytes(&entry.path())?,
            Ok(found) => sum += found.len(),
            // It may have been removed meanwhile.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).on("stat", entry.path()),
        }
    }
    Ok(sum)
}

/// Returns the bytes of the blocks of a tree. A file with several names counts once.
pub(crate) fn blocks(path: &Path) -> Result<u64, SysError> {
    let mut seen = HashSet::new();
    add_blocks(path, &mut seen)
}

fn add_blocks(path: &Path, seen: &mut HashSet<(u64, u64)>) -> Result<u64, SysError> {
    let found = match fs::symlink_metadata(path) {
        // It may have been removed meanwhile.
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => return Ok(0),
        other => other.on("stat", path)?,
    };
    if !found.is_dir() && found.nlink() > 1 && !seen.insert((found.dev(), found.ino())) {
        return Ok(0);
    }
    let mut sum = found.blocks() * 512;
    if found.is_dir() {
        for entry in fs::read_dir(path).on("opendir", path)? {
            sum += add_blocks(&entry.on("readdir", path)?.path(), seen)?;
        }
    }
    Ok(sum)
}

fn own_blocks(path: &Path) -> Result<u64, SysError> {
    Ok(fs::symlink_metadata(path).on("stat", path)?.blocks() * 512)
}
