//! The stack of a container's files: read-only layers, the writable layer, and the mounts over them.

use super::ghosts;
use super::stack::{self, Instruction, Layer};
use super::subject::Subject;
use crate::container::stored::record::{Container, Phase};
use crate::diag::Failure;
use crate::explain::networks::{NamedPlace, places};
use crate::image;
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use crate::image::overlay::diff;
use crate::image::overlay::diff::ChangeKind;
use crate::image::stored::names;
use crate::image::stored::usage::blocks;
use crate::store::Store;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Debug, Serialize)]
pub(crate) struct Anatomy {
    pub image: Digest,
    /// The names of the image.
    pub names: Vec<String>,
    /// The lowest first.
    pub layers: Vec<LayerFacts>,
    /// The instructions that made the image, in order; those that only change metadata made no layer.
    pub instructions: Vec<Instruction>,
    /// Files of one layer that a later layer deletes or replaces: they take space and are visible to nobody.
    pub wasted: Wasted,
    /// The IDs of all containers that use this image.
    pub containers: Vec<String>,
    pub container: Option<ContainerFacts>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Wasted {
    /// The bytes of the files' contents.
    pub size: u64,
    /// The largest first.
    pub files: Vec<WastedFile>,
}

#[derive(Debug, Serialize)]
pub(crate) struct WastedFile {
    pub path: PathBuf,
    pub size: u64,
    /// Numbers of layers.
    pub added_in: usize,
    pub hidden_in: usize,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct LayerFacts {
    pub number: usize,
    pub diff_id: Digest,
    /// The bytes of its files' contents.
    pub size: u64,
    /// Bytes on disk, as `du` counts them.
    pub on_disk: u64,
    pub entries: u64,
    pub instruction: Option<String>,
    /// How many other images contain it.
    pub other_images: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct ContainerFacts {
    pub id: String,
    pub name: String,
    pub is_running: bool,
    pub writable: Writable,
    /// The mounts over the layers that the user asked for.
    pub mounts: Vec<Mounted>,
    /// Where it is on its networks, while it runs.
    pub networks: Vec<NamedPlace>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Writable {
    pub added: usize,
    pub changed: usize,
    pub deleted: usize,
    pub on_disk: u64,
    pub directory: PathBuf,
}

#[derive(Debug, Serialize)]
pub(crate) struct Mounted {
    pub target: String,
    pub source: String,
    /// The volume is removed with the container (`rm -v`).
    pub is_own: bool,
}

/// Returns the image's name; of several, the one that was typed, now or when the container was created.
pub(crate) fn shown_name(anatomy: &Anatomy, typed: &str) -> String {
    let typed = typed.parse().map_or_else(|_| String::new(), |name: Reference| name.or_latest().familiar());
    let name = anatomy.names.iter().find(|name| **name == typed).or(anatomy.names.first());
    name.cloned().unwrap_or_else(|| anatomy.image.short())
}

/// Examines an image or a container. Must run inside the user namespace.
///
/// # Errors
/// When a layer cannot be read.
pub(crate) fn examine(store: &Store, subject: &Subject) -> Result<Anatomy, Failure> {
    let image = subject.image(store)?;
    let layers = stack::layers(store, &image)?;
    let container = subject.container().map(|container| container_facts(store, container, &layers)).transpose()?;
    let facts = |layer: Layer| -> Result<LayerFacts, Failure> {
        Ok(LayerFacts {
            number: layer.number,
            size: layer.size,
            on_disk: blocks(layer.directory.parent().unwrap_or(&layer.directory))?,
            entries: layer.entries,
            instruction: layer.instruction,
            other_images: image::stored::layer::images_on(store, &layer.diff_id)?.saturating_sub(1),
            diff_id: layer.diff_id,
        })
    };
    let ghosts = ghosts::ghosts(store, &image.layers)?;
    let wasted = |ghost: &ghosts::Ghost| WastedFile {
        path: ghost.path.clone(),
        size: ghost.size,
        added_in: ghost.added + 1,
        hidden_in: ghost.hidden + 1,
    };
    Ok(Anatomy {
        image: image.id,
        instructions: stack::instructions(store, &image)?,
        wasted: Wasted {
            size: ghosts.iter().map(|ghost| ghost.size).sum(),
            files: ghosts.iter().map(wasted).collect(),
        },
        names: names::of_image(store, &image.id)?.into_iter().map(|name| name.reference.familiar()).collect(),
        layers: layers.into_iter().map(facts).collect::<Result<_, _>>()?,
        containers: image::containers(store, &image.id),
        container,
    })
}

fn container_facts(store: &Store, container: &Container, layers: &[Layer]) -> Result<ContainerFacts, Failure> {
    let upper = container.directory.join("upper");
    let lowers: Vec<PathBuf> = layers.iter().map(|layer| layer.directory.clone()).collect();
    let changes = diff::changes(&upper, &lowers, &container.mount_targets()?)?;
    let count = |kind| changes.iter().filter(|change| change.kind == kind).count();
    let writable = Writable {
        added: count(ChangeKind::Added),
        changed: count(ChangeKind::Changed),
        deleted: count(ChangeKind::Deleted),
        on_disk: blocks(&upper)?,
        directory: upper,
    };
    let record = &container.record;
    let mounts = record.volumes.iter().map(|volume| Mounted {
        target: volume.target.clone(),
        source: volume.name.clone().filter(|_| !volume.own).unwrap_or_else(|| volume.source.clone()),
        is_own: volume.own,
    });
    Ok(ContainerFacts {
        id: record.id.to_string(),
        name: record.name.clone(),
        is_running: container.state().phase == Phase::Running,
        writable,
        mounts: mounts.collect(),
        networks: places(store, container),
    })
}
