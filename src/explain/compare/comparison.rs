//! The comparison of an image and a container, or of two of a kind: what they share, and what each has alone.

use super::fact::Facts;
use super::{decided, frozen, running};
use crate::container::processes;
use crate::container::rootfs::layering::Layering;
use crate::container::stored::record::{Container, Phase};
use crate::diag::Failure;
use crate::explain::layers::anatomy::{self, Anatomy, LayerFacts};
use crate::explain::layers::stack;
use crate::explain::layers::subject::Subject;
use crate::image;
use crate::image::stored::layer;
use crate::image::stored::usage::blocks;
use crate::store::Store;
use crate::sys::fs as sys;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Comparison {
    ImageAndContainer(ImageAndContainer),
    Alike(Pair),
}

/// An image and a container. Each fact is in one of the three groups only.
#[derive(Debug, Serialize)]
pub(crate) struct ImageAndContainer {
    /// The container was created from this image.
    pub is_made_from: bool,
    pub gist: Summary,
    pub frozen: Facts,
    pub decided: Facts,
    pub while_it_runs: Facts,
}

/// The container in one sentence.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub container: String,
    /// The name of the image that it was created from.
    pub image: String,
    pub layers: usize,
    /// The container has a copy of the layers, since this host has no overlay file system.
    pub is_copied: bool,
    /// The container's own bytes on disk.
    pub writable_on_disk: u64,
    /// 0: the container does not run.
    pub processes: usize,
    /// The release of this machine's kernel, which the container's processes use.
    pub kernel: String,
    /// A kernel in the image, which is an ordinary file there.
    pub kernel_file: Option<PathBuf>,
}

/// Two containers, or two images.
#[derive(Debug, Serialize)]
pub(crate) struct Pair {
    /// Layers that both have: they are on disk, and in the page cache, once.
    pub shared: Vec<LayerFacts>,
    pub shared_on_disk: u64,
    /// Bytes of these layers' files in the page cache; `None`: the kernel cannot report it (before Linux 6.5).
    pub shared_in_page_cache: Option<u64>,
    pub sides: [Side; 2],
}

#[derive(Debug, Serialize)]
pub(crate) struct Side {
    pub name: String,
    /// Layers that the other does not have.
    pub layers: Vec<LayerFacts>,
    /// The disk usage of a container's writable layer.
    pub writable_on_disk: Option<u64>,
    /// The disk usage of these layers and of the writable layer.
    pub private_on_disk: u64,
    /// Of an image: the settings that differ from the other's.
    pub frozen: Facts,
    /// Of a container: the decisions that differ from the other's.
    pub decided: Facts,
    pub while_it_runs: Facts,
}

/// Compares an image and a container, or two of a kind. Must run inside the user namespace.
///
/// # Errors
/// When a layer or a record cannot be read.
pub(crate) fn compare(store: &Store, names: [&str; 2], subjects: [&Subject; 2]) -> Result<Comparison, Failure> {
    match subjects {
        [Subject::Image(image), Subject::Container(container)]
        | [Subject::Container(container), Subject::Image(image)] => {
            Ok(Comparison::ImageAndContainer(ImageAndContainer {
                is_made_from: container.record.image_id == image.id,
                gist: summary(store, container)?,
                frozen: frozen::facts(image, &anatomy::examine(store, &Subject::Image(image.clone()))?),
                decided: decided::facts(container)?,
                while_it_runs: running::facts(store, container),
            }))
        }
        _ => Ok(Comparison::Alike(pair(store, names, subjects)?)),
    }
}

fn summary(store: &Store, container: &Container) -> Result<Summary, Failure> {
    let (record, state) = (&container.record, container.state());
    let image = image::find(store, &record.image_id.to_string())?;
    let layers = stack::layers(store, &image)?;
    let is_copied = Layering::of(store) == Layering::Copy;
    let own = container.directory.join(if is_copied { "rootfs" } else { "upper" });
    let name = Subject::Container(Box::new(container.clone()));
    Ok(Summary {
        container: record.name.clone(),
        image: anatomy::shown_name(&anatomy::examine(store, &name)?, &record.image),
        kernel_file: layers.iter().rev().find_map(|layer| kernel_file(&layer.directory)),
        layers: layers.len(),
        is_copied,
        writable_on_disk: blocks(&own)?,
        processes: if state.phase == Phase::Running { processes::pids(state.pid).len() } else { 0 },
        kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
    })
}

/// Returns a kernel in a layer, by the names that distributions use.
fn kernel_file(layer: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(layer.join("boot")).into_iter().flatten().flatten();
    let names =
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file())).map(|entry| entry.file_name());
    let mut kernels = names.filter(|name| name.to_str().is_some_and(|name| name.starts_with("vmlinu")));
    kernels.next().map(|name| Path::new("/boot").join(name))
}

/// Returns the bytes in the page cache of all files in a directory.
fn in_page_cache(directory: &Path) -> Option<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => sum += in_page_cache(&entry.path())?,
            Ok(kind) if kind.is_file() => sum += sys::in_page_cache(fs::File::open(entry.path()).ok()?)?,
            _ => {}
        }
    }
    Some(sum)
}

fn pair(store: &Store, names: [&str; 2], subjects: [&Subject; 2]) -> Result<Pair, Failure> {
    let [left, right] = [anatomy::examine(store, subjects[0])?, anatomy::examine(store, subjects[1])?];
    let stands_on = |anatomy: &Anatomy, layer: &LayerFacts| anatomy.layers.iter().any(|l| l.diff_id == layer.diff_id);
    let shared: Vec<LayerFacts> = left.layers.iter().filter(|layer| stands_on(&right, layer)).cloned().collect();
    let side = |index: usize, own: &Anatomy, other: &Anatomy| -> Result<Side, Failure> {
        let layers: Vec<LayerFacts> = own.layers.iter().filter(|layer| !stands_on(other, layer)).cloned().collect();
        let writable_on_disk = own.container.as_ref().map(|container| container.writable.on_disk);
        let of_layers: u64 = layers.iter().map(|layer| layer.on_disk).sum();
        let (frozen, decided, while_it_runs) = match subjects[index] {
            Subject::Container(container) => {
                (Facts::new(), decided::facts(container)?, running::facts(store, container))
            }
            Subject::Image(image) => (frozen::facts(image, own), Facts::new(), Facts::new()),
        };
        let private_on_disk = of_layers + writable_on_disk.unwrap_or(0);
        let name = names[index].to_owned();
        Ok(Side { name, private_on_disk, layers, writable_on_disk, frozen, decided, while_it_runs })
    };
    let (mut one, mut two) = (side(0, &left, &right)?, side(1, &right, &left)?);
    keep_differences(&mut one.decided, &mut two.decided);
    keep_differences(&mut one.frozen, &mut two.frozen);
    let cached = shared.iter().map(|shared| in_page_cache(&layer::directory(store, &shared.diff_id).join("fs")));
    Ok(Pair {
        shared_on_disk: shared.iter().map(|layer| layer.on_disk).sum(),
        shared_in_page_cache: cached.sum(),
        shared,
        sides: [one, two],
    })
}

fn keep_differences(one: &mut Facts, two: &mut Facts) {
    let both = one.clone();
    one.retain(|name, value| two.get(name) != Some(value));
    two.retain(|name, value| both.get(name) != Some(value));
}
