//! Where a path of an image or a container comes from: every layer that has it, and which one is seen.
//!
//! The rules are overlayfs's (kernel documentation, "Overlay Filesystem"): the topmost file hides those below, directories
//! are merged, a whiteout hides what is below it, and so does a directory marked opaque.

use super::subject::Layer;
use crate::container::record::Container;
use crate::diag::Failure;
use crate::image::diff::{self, Mark};
use crate::sys::{On, SysError};
use serde::Serialize;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};

/// One place that has something to say about a path.
#[derive(Debug, Serialize)]
pub struct Sighting {
    pub place: Place,
    pub what: What,
    /// The bytes of a file's contents.
    pub size: u64,
    /// This is what programs see under the path.
    pub is_seen: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Place {
    /// Something of the host, or of the kernel, lies over the layers.
    Mount {
        kind: String,
        source: PathBuf,
        target: PathBuf,
    },
    WritableLayer,
    /// By its number, and by that of the layer in `layers`.
    Layer {
        number: usize,
        instruction: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum What {
    File,
    Directory,
    /// A directory that hides those of the same name below.
    OpaqueDirectory,
    Link(PathBuf),
    Device,
    PipeOrSocket,
    /// A whiteout; of this path, or of a directory that it would be in.
    Deleted(PathBuf),
    /// Not here, and the directory of this name, made anew here, hides those below.
    HiddenBy(PathBuf),
    /// What a mount shows.
    Mounted,
    /// A file that was copied here from a layer so that it could be changed.
    CopiedUp {
        from: usize,
    },
    /// A file that took the place of one in a layer.
    WrittenAnew {
        over: usize,
    },
}

/// All that is known of a path.
#[derive(Debug, Serialize)]
pub struct Sight {
    /// As it was asked for.
    pub path: PathBuf,
    /// Symbolic links on the way: their own path, and where they lead.
    pub through: Vec<(PathBuf, PathBuf)>,
    /// Where these lead in the end.
    pub resolved: PathBuf,
    /// The topmost first.
    pub sightings: Vec<Sighting>,
}

impl Sight {
    pub fn seen(&self) -> Option<&Sighting> {
        self.sightings.iter().find(|sighting| sighting.is_seen)
    }
}

/// As many as the kernel follows (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Looks for a path in an image's layers, and in what a container has above them.
///
/// # Errors
/// When a layer cannot be read.
pub fn look(path: &Path, layers: &[Layer], container: Option<&Container>) -> Result<Sight, Failure> {
    let stack = Stack { layers, container };
    let mut resolved = clean(Path::new("/"), path);
    let mut through = Vec::new();
    let mut done = 1;
    // Each directory on the way may be a link; the last name is told as what it is.
    while done < resolved.components().count() - 1 && through.len() < MOST_LINKS {
        let prefix: PathBuf = resolved.components().take(done + 1).collect();
        done += 1;
        let sightings = stack.look(&prefix)?;
        let Some(What::Link(target)) = sightings.into_iter().find(|s| s.is_seen).map(|s| s.what) else { continue };
        let rest: PathBuf = resolved.components().skip(done).collect();
        through.push((prefix.clone(), target.clone()));
        resolved = clean(prefix.parent().unwrap_or(Path::new("/")), &target.join(rest));
        done = 1;
    }
    let sightings = stack.look(&resolved)?;
    Ok(Sight { path: path.to_owned(), through, resolved, sightings })
}

/// Absolute, without `.` and `..`.
fn clean(from: &Path, path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for component in from.join(path).components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    clean
}

struct Stack<'a> {
    layers: &'a [Layer],
    container: Option<&'a Container>,
}

impl Stack<'_> {
    fn look(&self, path: &Path) -> Result<Vec<Sighting>, Failure> {
        let mut found = Vec::new();
        let mut hidden = false;
        if let Some(container) = self.container {
            if let Some(sighting) = covering_mount(container, path)? {
                found.push(sighting);
                hidden = true;
            }
            if let Some(what) = in_directory(&container.directory.join("upper"), path, &mut hidden)? {
                found.push(Sighting { place: Place::WritableLayer, ..what });
            }
        }
        for layer in self.layers.iter().rev() {
            if let Some(what) = in_directory(&layer.directory, path, &mut hidden)? {
                let place = Place::Layer { number: layer.number, instruction: layer.instruction.clone() };
                found.push(Sighting { place, ..what });
            }
        }
        self.tell_origin(path, &mut found);
        Ok(found)
    }

    /// A file in the writable layer that a layer has too was copied up, or written anew: the kernel marks the former.
    fn tell_origin(&self, path: &Path, found: &mut [Sighting]) {
        let below = found.iter().find_map(|sighting| match (&sighting.place, &sighting.what) {
            (Place::Layer { number, .. }, What::File) => Some(*number),
            _ => None,
        });
        let upper = found.iter_mut().find(|s| s.place == Place::WritableLayer && s.what == What::File);
        if let (Some(upper), Some(number), Some(container)) = (upper, below, self.container) {
            let file = beneath(&container.directory.join("upper"), path);
            upper.what = if diff::was_copied_up(&file) {
                What::CopiedUp { from: number }
            } else {
                What::WrittenAnew { over: number }
            };
        }
    }
}

fn beneath(directory: &Path, path: &Path) -> PathBuf {
    directory.join(path.strip_prefix("/").unwrap_or(path))
}

/// What one directory of the overlay has under the path. `hidden`: something above has hidden it; set if this hides what is
/// below.
fn in_directory(directory: &Path, path: &Path, hidden: &mut bool) -> Result<Option<Sighting>, SysError> {
    let names: Vec<&OsStr> = path.iter().skip(1).collect();
    let was_hidden = *hidden;
    let mut at = directory.to_owned();
    let mut made_anew = None;
    let sighting = |what, size| Some(Sighting { place: Place::WritableLayer, what, size, is_seen: !was_hidden });
    for (index, name) in names.iter().enumerate() {
        let parent = std::mem::replace(&mut at, directory.to_owned());
        at = parent.join(name);
        let prefix = || Path::new("/").join(names[..=index].iter().collect::<PathBuf>());
        let is_last = index + 1 == names.len();
        match diff::mark(&parent, name)? {
            Mark::Nothing => {
                return Ok(made_anew
                    .and_then(|directory| sighting(What::HiddenBy(directory), 0))
                    .map(|hiding| Sighting { is_seen: false, ..hiding }));
            }
            Mark::Whiteout => {
                *hidden = true;
                return Ok(sighting(What::Deleted(prefix()), 0).map(|deleted| Sighting { is_seen: false, ..deleted }));
            }
            Mark::Directory { opaque } => {
                if opaque {
                    *hidden = true;
                    made_anew = Some(prefix());
                }
                if is_last {
                    return Ok(sighting(if opaque { What::OpaqueDirectory } else { What::Directory }, 0));
                }
            }
            Mark::Other(metadata) => {
                *hidden = true;
                if !is_last {
                    return Ok(None);
                }
                return Ok(sighting(kind(&at, &metadata)?, metadata.len()));
            }
        }
    }
    Ok(sighting(What::Directory, 0))
}

fn kind(path: &Path, metadata: &Metadata) -> Result<What, SysError> {
    let kind = metadata.file_type();
    Ok(if kind.is_symlink() {
        What::Link(fs::read_link(path).on("readlink", path)?)
    } else if kind.is_file() {
        What::File
    } else if kind.is_char_device() || kind.is_block_device() {
        What::Device
    } else {
        What::PipeOrSocket
    })
}

/// The innermost mount of the container's specification that the path is in or under.
fn covering_mount(container: &Container, path: &Path) -> Result<Option<Sighting>, Failure> {
    let mounts = container.spec()?.mounts().iter().flatten().filter(|mount| path.starts_with(mount.destination()));
    let Some(mount) = mounts.max_by_key(|mount| mount.destination().components().count()) else { return Ok(None) };
    let rest = path.strip_prefix(mount.destination()).unwrap_or(Path::new(""));
    let source = mount.source().clone().unwrap_or_default();
    let source = if rest.as_os_str().is_empty() || !source.is_absolute() { source } else { source.join(rest) };
    let size = fs::metadata(&source).ok().filter(|m| source.is_absolute() && m.is_file()).map_or(0, |m| m.len());
    let kind = mount.typ().clone().unwrap_or_else(|| "bind".into());
    let place = Place::Mount { kind, source, target: mount.destination().clone() };
    Ok(Some(Sighting { place, what: What::Mounted, size, is_seen: true }))
}
