//! The disk usage of the store, as `du` counts it.

use crate::builder::walk::cache;
use crate::container::live::stop_all;
use crate::container::stored::volumes;
use crate::diag::Failure;
use crate::image::stored::usage::{blocks, disk_usage};
use crate::store::Store;
use crate::sys::SysError;
use crate::volume;
use serde::Serialize;
use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StorePart {
    Images,
    Containers,
    Volumes,
    BuildCache,
    Records,
}

/// The disk usage of one part of the store.
#[derive(Debug, Serialize)]
pub(crate) struct Share {
    pub kind: StorePart,
    pub total: usize,
    /// How many are in use by a container or running.
    pub active: usize,
    pub size: u64,
    /// The bytes that removing those not in use would free.
    pub reclaimable: u64,
}

/// Returns the disk usage of images, containers, volumes, the build cache, and the rest of the store. Must run inside the
/// user namespace, where all files can be read.
pub(crate) fn usage(store: &Store) -> Result<Vec<Share>, Failure> {
    let images = disk_usage(store)?;
    let running: HashSet<String> = stop_all::running(store).into_iter().collect();
    let mut mounted = HashSet::new();
    for volume in volume::all(store) {
        if !volumes::users(store, &volume.name)?.is_empty() {
            mounted.insert(volume.name);
        }
    }
    // Layers that only the cache holds are counted among the images' layers.
    let cached = cache::usage(store)?;
    let mut shares = vec![
        Share {
            kind: StorePart::Images,
            total: images.images.len(),
            active: images.images.iter().filter(|image| !image.containers.is_empty()).count(),
            size: images.total.saturating_sub(cached.layers),
            reclaimable: images.reclaimable.saturating_sub(cached.layers),
        },
        directories(store, StorePart::Containers, "containers", &running)?,
        directories(store, StorePart::Volumes, "volumes", &mounted)?,
        Share {
            kind: StorePart::BuildCache,
            total: cached.entries,
            active: 0,
            size: cached.size,
            reclaimable: cached.size,
        },
    ];
    let counted: u64 = shares.iter().map(|share| share.size).sum();
    let rest = blocks(&store.root)?.saturating_sub(counted);
    shares.push(Share { kind: StorePart::Records, total: 0, active: 0, size: rest, reclaimable: 0 });
    Ok(shares)
}

/// Returns the usage of a part of the store that has one directory for each item.
fn directories(store: &Store, kind: StorePart, part: &str, in_use: &HashSet<String>) -> Result<Share, SysError> {
    let entries = fs::read_dir(store.path(part)).into_iter().flatten().flatten();
    let directories: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    let mut share = Share { kind, total: directories.len(), active: 0, size: 0, reclaimable: 0 };
    for directory in directories {
        let size = blocks(&directory)?;
        share.size += size;
        if directory.file_name().and_then(|name| name.to_str()).is_some_and(|name| in_use.contains(name)) {
            share.active += 1;
        } else {
            share.reclaimable += size;
        }
    }
    Ok(share)
}
