//! Where a path of an image or a container comes from: every layer that has it, and which one is visible.
//!
//! The rules are overlayfs's (kernel documentation, "Overlay Filesystem"): the topmost file hides those below, directories
//! are merged, a whiteout hides what is below it, and so does a directory marked opaque.

use super::mounts;
use super::stack::{Layer, beneath};
use crate::container::stored::record::{Container, Phase};
use crate::diag::Failure;
use crate::image::overlay::mark::{self, Mark};
use crate::sys::{On, SysError};
use serde::Serialize;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::unix::fs::FileTypeExt;
use std::path::{Component, Path, PathBuf};

/// A layer or mount that has, hides or deletes a path.
#[derive(Debug, Serialize)]
pub(crate) struct Occurrence {
    pub place: Place,
    pub what: OccurrenceKind,
    /// The bytes of a file's contents.
    pub size: Option<u64>,
    /// Programs see this one.
    pub is_seen: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum Place {
    /// A mount of the host or of the kernel over the layers.
    Mount {
        file_system: String,
        /// The path on the host; `None`: the kernel makes the content.
        source: Option<PathBuf>,
        target: PathBuf,
    },
    WritableLayer,
    Layer {
        number: usize,
        instruction: Option<String>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(crate) enum OccurrenceKind {
    File,
    Directory,
    /// A directory that hides directories of the same name below.
    OpaqueDirectory,
    Link {
        target: PathBuf,
    },
    Device,
    PipeOrSocket,
    /// A whiteout of this path or of a directory above it.
    Deleted {
        path: PathBuf,
    },
    /// The path is not here, and the directory of this name, which is opaque, hides those below.
    HiddenBy {
        path: PathBuf,
    },
    /// A directory of the lower layers is replaced by another type of file.
    ReplacedBy {
        path: PathBuf,
    },
    /// The mount does not have the path, and hides what is below.
    NotInMount,
    /// The kernel makes the file while the container runs.
    OnlyWhileItRuns,
    /// A file that overlayfs copied up from a layer so that it could be changed.
    CopiedUp {
        from: usize,
    },
    /// A new file that replaced one of a layer.
    WrittenAnew {
        over: usize,
    },
}

impl OccurrenceKind {
    /// Whether the path exists here, visible or not.
    pub(crate) fn is_there(&self) -> bool {
        !matches!(self, Self::Deleted { .. } | Self::HiddenBy { .. } | Self::ReplacedBy { .. } | Self::NotInMount)
    }
}

/// Every occurrence of a path.
#[derive(Debug, Serialize)]
pub(crate) struct Lookup {
    /// The path as it was asked for.
    pub path: PathBuf,
    /// Symbolic links that were followed.
    pub through: Vec<Through>,
    /// The path after following these links.
    pub resolved: PathBuf,
    /// The topmost first.
    pub sightings: Vec<Occurrence>,
}

#[derive(Debug, Serialize)]
pub(crate) struct Through {
    pub link: PathBuf,
    pub target: PathBuf,
}

impl Lookup {
    /// Returns the occurrence that programs see.
    pub(crate) fn visible(&self) -> Option<&Occurrence> {
        self.sightings.iter().find(|sighting| sighting.is_seen)
    }

    /// Returns the topmost occurrence of a path that is visible nowhere.
    pub(crate) fn topmost_hidden(&self) -> Option<&Occurrence> {
        self.sightings.iter().find(|sighting| sighting.what.is_there())
    }
}

/// The number of links that the kernel follows (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Finds a path in an image's layers, and in a container's writable layer and mounts.
///
/// # Errors
/// When a layer cannot be read.
pub(crate) fn lookup(path: &Path, layers: &[Layer], container: Option<&Container>) -> Result<Lookup, Failure> {
    let stack = Stack { layers, container, mounts: container.map_or(Ok(Vec::new()), mounted)? };
    let mut resolved = PathBuf::from("/");
    let mut through = Vec::new();
    let mut waiting: Vec<OsString> = names(path);
    // Each directory on the way may be a link, and `..` leaves the directory that the link leads to. The last name is not
    // followed.
    while let Some(name) = waiting.pop() {
        if name == ".." {
            resolved.pop();
            continue;
        }
        let next = resolved.join(&name);
        let is_link = |sighting: Occurrence| match sighting.what {
            OccurrenceKind::Link { target } if sighting.is_seen => Some(target),
            _ => None,
        };
        let is_last = waiting.is_empty() || through.len() >= MOST_LINKS;
        let target = if is_last { None } else { stack.occurrences(&next)?.into_iter().find_map(is_link) };
        match target {
            Some(target) => {
                waiting.extend(names(&target));
                if target.is_absolute() {
                    resolved = PathBuf::from("/");
                }
                through.push(Through { link: next, target });
            }
            None => resolved = next,
        }
    }
    let sightings = stack.occurrences(&resolved)?;
    Ok(Lookup { path: path.to_owned(), through, resolved, sightings })
}

/// Returns the names in a path, the last first.
fn names(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut names: Vec<OsString> = names.collect();
    names.reverse();
    names
}

/// A mount over the layers.
struct MountOver {
    file_system: String,
    /// On the host; `None`: the kernel makes it.
    source: Option<PathBuf>,
    target: PathBuf,
}

/// Returns the mounts over a container's layers: those of the kernel while it runs, else those of its specification.
fn mounted(container: &Container) -> Result<Vec<MountOver>, Failure> {
    let specified = container.spec()?.mounts().iter().flatten().map(|mount| {
        let source = mount.source().clone().filter(|source| source.is_absolute());
        let file_system = mount.typ().clone().unwrap_or_else(|| "bind".into());
        MountOver { file_system, source, target: mount.destination().clone() }
    });
    let specified: Vec<MountOver> = specified.collect();
    let state = container.state();
    if state.phase != Phase::Running {
        return Ok(specified);
    }
    let now = mounts::of_process(state.pid).into_iter().filter(|mount| mount.target != Path::new("/"));
    let over = now.map(|mount| {
        let named = specified.iter().find(|over| over.target == mount.target);
        // A single device of the host, bind-mounted.
        let device = (mount.kind == "devtmpfs").then(|| beneath(Path::new("/dev"), &mount.root));
        let source = named.and_then(|over| over.source.clone()).or(device);
        MountOver { file_system: mount.kind, source, target: mount.target }
    });
    Ok(over.collect())
}

struct Stack<'a> {
    layers: &'a [Layer],
    container: Option<&'a Container>,
    mounts: Vec<MountOver>,
}

impl Stack<'_> {
    fn occurrences(&self, path: &Path) -> Result<Vec<Occurrence>, Failure> {
        let mut found = Vec::new();
        let mut hidden = false;
        if let Some(container) = self.container {
            if let Some(sighting) = self.in_mount(container, path)? {
                found.push(sighting);
                hidden = true;
            }
            if let Some(what) = in_directory(&container.directory.join("upper"), path, &mut hidden)? {
                found.push(Occurrence { place: Place::WritableLayer, ..what });
            }
        }
        for layer in self.layers.iter().rev() {
            if let Some(what) = in_directory(&layer.directory, path, &mut hidden)? {
                let place = Place::Layer { number: layer.number, instruction: layer.instruction.clone() };
                found.push(Occurrence { place, ..what });
            }
        }
        self.set_origin(path, &mut found);
        // A path that never existed is neither deleted nor hidden.
        Ok(if found.iter().any(|sighting| sighting.what.is_there()) { found } else { Vec::new() })
    }

    /// Returns the occurrence in the innermost mount that contains the path.
    fn in_mount(&self, container: &Container, path: &Path) -> Result<Option<Occurrence>, Failure> {
        let covering = self.mounts.iter().filter(|over| path.starts_with(&over.target));
        // Of several mounts at one path, the last covers the others.
        let Some(over) = covering.max_by_key(|over| over.target.components().count()) else { return Ok(None) };
        let rest = path.strip_prefix(&over.target).unwrap_or(Path::new(""));
        let on_host = over
            .source
            .as_ref()
            .map(|source| if rest.as_os_str().is_empty() { source.clone() } else { source.join(rest) });
        let state = container.state();
        let shown = match (&on_host, state.phase) {
            (_, Phase::Running) => Some(beneath(&PathBuf::from(format!("/proc/{}/root", state.pid)), path)),
            (on_host, _) => on_host.clone(),
        };
        let (what, size) = match &shown {
            None => (OccurrenceKind::OnlyWhileItRuns, None),
            Some(file) => match file.symlink_metadata() {
                Ok(metadata) => (kind(file, &metadata)?, metadata.is_file().then_some(metadata.len())),
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => (OccurrenceKind::File, None),
                Err(_) => (OccurrenceKind::NotInMount, None),
            },
        };
        let is_seen = what.is_there();
        let place =
            Place::Mount { file_system: over.file_system.clone(), source: on_host, target: over.target.clone() };
        Ok(Some(Occurrence { place, what, size, is_seen }))
    }

    /// Distinguishes files of the writable layer that were copied up from those that replaced a layer's file. The kernel
    /// marks the former.
    fn set_origin(&self, path: &Path, found: &mut [Occurrence]) {
        let below = found.iter().find_map(|sighting| match (&sighting.place, &sighting.what) {
            (Place::Layer { number, .. }, OccurrenceKind::File) => Some(*number),
            _ => None,
        });
        let upper = found.iter_mut().find(|s| s.place == Place::WritableLayer && s.what == OccurrenceKind::File);
        if let (Some(upper), Some(number), Some(container)) = (upper, below, self.container) {
            let file = beneath(&container.directory.join("upper"), path);
            upper.what = if mark::is_copied_up(&file) {
                OccurrenceKind::CopiedUp { from: number }
            } else {
                OccurrenceKind::WrittenAnew { over: number }
            };
        }
    }
}

/// Returns the occurrence of a path in one directory of the overlay. `hidden`: whether a higher layer hides the path; set if
/// this layer hides it from the lower ones.
fn in_directory(directory: &Path, path: &Path, hidden: &mut bool) -> Result<Option<Occurrence>, SysError> {
    let names: Vec<&OsStr> = path.iter().skip(1).collect();
    let was_hidden = *hidden;
    let mut at = directory.to_owned();
    let mut made_anew = None;
    let sighting = |what: OccurrenceKind, size| {
        let is_seen = !was_hidden && what.is_there();
        Some(Occurrence { place: Place::WritableLayer, what, size, is_seen })
    };
    for (index, name) in names.iter().enumerate() {
        let parent = std::mem::replace(&mut at, directory.to_owned());
        at = parent.join(name);
        let prefix = || Path::new("/").join(names[..=index].iter().collect::<PathBuf>());
        let is_last = index + 1 == names.len();
        match mark::mark(&parent, name)? {
            Mark::Nothing => {
                return Ok(made_anew.and_then(|path| sighting(OccurrenceKind::HiddenBy { path }, None)));
            }
            Mark::Whiteout => {
                *hidden = true;
                return Ok(sighting(OccurrenceKind::Deleted { path: prefix() }, None));
            }
            Mark::Directory { opaque } => {
                if opaque {
                    *hidden = true;
                    made_anew = Some(prefix());
                }
                if is_last {
                    return Ok(sighting(
                        if opaque { OccurrenceKind::OpaqueDirectory } else { OccurrenceKind::Directory },
                        None,
                    ));
                }
            }
            Mark::Other(metadata) => {
                *hidden = true;
                if !is_last {
                    return Ok(if was_hidden {
                        None
                    } else {
                        sighting(OccurrenceKind::ReplacedBy { path: prefix() }, None)
                    });
                }
                return Ok(sighting(kind(&at, &metadata)?, metadata.is_file().then_some(metadata.len())));
            }
        }
    }
    Ok(sighting(OccurrenceKind::Directory, None))
}

fn kind(path: &Path, metadata: &Metadata) -> Result<OccurrenceKind, SysError> {
    let kind = metadata.file_type();
    Ok(if kind.is_symlink() {
        OccurrenceKind::Link { target: fs::read_link(path).on("readlink", path)? }
    } else if kind.is_dir() {
        OccurrenceKind::Directory
    } else if kind.is_file() {
        OccurrenceKind::File
    } else if kind.is_char_device() || kind.is_block_device() {
        OccurrenceKind::Device
    } else {
        OccurrenceKind::PipeOrSocket
    })
}
