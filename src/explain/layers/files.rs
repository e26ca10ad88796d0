//! The files that one layer, or the writable layer, adds, changes and removes.

use super::stack::{Layer, beneath};
use crate::container::stored::record::Container;
use crate::diag::Failure;
use crate::image::overlay::diff;
use crate::image::overlay::diff::ChangeKind;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

#[derive(Debug, Serialize)]
pub(crate) struct LayerChanges {
    /// `None`: the writable layer.
    pub layer: Option<usize>,
    pub files: Vec<ChangedFile>,
}

#[derive(Debug, Serialize)]
pub(crate) struct ChangedFile {
    pub what: FileChange,
    pub path: PathBuf,
    /// The bytes of its contents in this layer; `None` for a directory and for a removed file.
    pub size: Option<u64>,
    /// The bytes of its contents in the layers below; of a directory, those of all its files.
    pub size_below: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum FileChange {
    Added,
    Changed,
    Removed,
}

/// Returns the changes of the layer with this number.
///
/// # Errors
/// When a layer cannot be read.
pub(crate) fn of_layer(layers: &[Layer], number: usize) -> Result<LayerChanges, Failure> {
    let directories: Vec<PathBuf> = layers.iter().map(|layer| layer.directory.clone()).collect();
    let (below, own) = directories.split_at(number.saturating_sub(1).min(directories.len()));
    let files = match own.first() {
        Some(own) => changes(own, below, &[])?,
        None => Vec::new(),
    };
    Ok(LayerChanges { layer: Some(number), files })
}

/// Returns the changes of a container's writable layer.
///
/// # Errors
/// When a layer cannot be read.
pub(crate) fn of_container(container: &Container, layers: &[Layer]) -> Result<LayerChanges, Failure> {
    let below: Vec<PathBuf> = layers.iter().map(|layer| layer.directory.clone()).collect();
    let files = changes(&container.directory.join("upper"), &below, &container.mount_targets()?)?;
    Ok(LayerChanges { layer: None, files })
}

fn changes(own: &Path, below: &[PathBuf], leave_out: &[PathBuf]) -> Result<Vec<ChangedFile>, Failure> {
    let all = diff::changes(own, below, leave_out)?;
    // A directory changes with each entry in it; it is listed only where no entry explains the change.
    let parents: BTreeSet<PathBuf> = all.iter().filter_map(|change| Some(change.path.parent()?.to_owned())).collect();
    let is_news = |change: &diff::Change| change.kind != ChangeKind::Changed || !parents.contains(&change.path);
    let tell = |change: diff::Change| {
        let here = beneath(own, &change.path).symlink_metadata().ok().filter(|_| change.kind != ChangeKind::Deleted);
        let what = match change.kind {
            ChangeKind::Added => FileChange::Added,
            ChangeKind::Changed => FileChange::Changed,
            ChangeKind::Deleted => FileChange::Removed,
        };
        let size = here.filter(fs::Metadata::is_file).map(|metadata| metadata.len());
        let size_below = if what == FileChange::Added { None } else { size_in(below, &change.path) };
        ChangedFile { what, path: change.path, size, size_below }
    };
    Ok(all.into_iter().filter(is_news).map(tell).collect())
}

/// Returns the bytes of a file's contents, or of all files in a directory, in the topmost of these layers that has it.
fn size_in(layers: &[PathBuf], path: &Path) -> Option<u64> {
    let found = layers.iter().rev().find_map(|layer| {
        let file = beneath(layer, path);
        let metadata = file.symlink_metadata().ok()?;
        let is_whiteout = metadata.file_type().is_char_device() && metadata.rdev() == 0;
        (!is_whiteout).then_some((file, metadata))
    });
    let (file, metadata) = found?;
    if metadata.is_dir() { Some(in_directory(&file)) } else { metadata.is_file().then_some(metadata.len()) }
}

fn in_directory(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => in_directory(&entry.path()),
        Ok(metadata) if metadata.is_file() => metadata.len(),
        _ => 0,
    };
    entries.map(size).sum()
}
