//! What the store takes on disk, as `du` counts it: blocks, and a file with several names once.

use crate::container::record::Container;
use crate::container::stop_all;
use crate::diag::Failure;
use crate::image::{self, digest::Digest};
use crate::store::Store;
use serde::Serialize;
use std::collections::HashSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// One kind of thing in the store.
#[derive(Debug, Serialize)]
pub struct Share {
    pub kind: &'static str,
    pub total: usize,
    /// Those in use: by a container, or running.
    pub active: usize,
    pub size: u64,
    /// What removing those not in use would free.
    pub reclaimable: u64,
}

/// Images, containers, volumes, and what is left of the store. Must run inside the user namespace, where all of it can be
/// read.
pub fn usage(store: &Store) -> Result<Vec<Share>, Failure> {
    let mut disk = Disk::default();
    let shares = vec![images(store, &mut disk)?, containers(store, &mut disk), volumes(store, &mut disk)];
    let counted: u64 = shares.iter().map(|share| share.size).sum();
    let rest = Disk::default().size(&store.root).saturating_sub(counted);
    Ok(shares.into_iter().chain([Share { kind: "Records", total: 0, active: 0, size: rest, reclaimable: 0 }]).collect())
}

fn images(store: &Store, disk: &mut Disk) -> Result<Share, Failure> {
    let ids = image::all(store)?;
    let in_use: HashSet<Digest> = ids.iter().filter(|id| !image::containers(store, id).is_empty()).copied().collect();
    let mut share = Share { kind: "Images", total: ids.len(), active: in_use.len(), size: 0, reclaimable: 0 };
    for directory in entries(&store.path("images")) {
        let used = name(&directory).and_then(Digest::from_hex).is_some_and(|id| in_use.contains(&id));
        share.add(disk.size(&directory), used);
    }
    // A layer is in use as long as one of its images is.
    for directory in entries(&store.path("layers")) {
        let users = entries(&directory.join("images"));
        let used = users.iter().filter_map(|user| Digest::from_hex(name(user)?)).any(|id| in_use.contains(&id));
        share.add(disk.size(&directory), used);
    }
    Ok(share)
}

fn containers(store: &Store, disk: &mut Disk) -> Share {
    let running: HashSet<String> = stop_all::running(store).into_iter().collect();
    let directories = entries(&store.path("containers"));
    let mut share = Share { kind: "Containers", total: directories.len(), active: 0, size: 0, reclaimable: 0 };
    for directory in &directories {
        let runs = name(directory).is_some_and(|id| running.contains(id));
        share.active += usize::from(runs);
        share.add(disk.size(directory), runs);
    }
    share
}

fn volumes(store: &Store, disk: &mut Disk) -> Share {
    let used: HashSet<String> =
        Container::all(store).into_iter().flat_map(|c| c.record.volumes).filter_map(|volume| volume.name).collect();
    let directories = entries(&store.path("volumes"));
    let mut share = Share { kind: "Volumes", total: directories.len(), active: 0, size: 0, reclaimable: 0 };
    for directory in &directories {
        let in_use = name(directory).is_some_and(|name| used.contains(name));
        share.active += usize::from(in_use);
        share.add(disk.size(directory), in_use);
    }
    share
}

impl Share {
    fn add(&mut self, size: u64, in_use: bool) {
        self.size += size;
        if !in_use {
            self.reclaimable += size;
        }
    }
}

/// Remembers the files with several names that were counted already.
#[derive(Default)]
struct Disk {
    counted: HashSet<(u64, u64)>,
}

impl Disk {
    /// What vanishes while we look counts nothing.
    fn size(&mut self, path: &Path) -> u64 {
        let Ok(meta) = fs::symlink_metadata(path) else { return 0 };
        if !meta.is_dir() && meta.nlink() > 1 && !self.counted.insert((meta.dev(), meta.ino())) {
            return 0;
        }
        let below: u64 = if meta.is_dir() { entries(path).iter().map(|entry| self.size(entry)).sum() } else { 0 };
        meta.blocks() * 512 + below
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect()
}

fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}
