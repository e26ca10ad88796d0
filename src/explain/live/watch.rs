//! Copy-on-write, live: what appears, changes and vanishes in a container's writable layer, volumes and tmpfs mounts.
//!
//! The kernel names the changed paths, and only those are examined. Now and then all paths are, for changes that the kernel
//! does not report, such as writes through a mapping. Nothing runs while nobody watches.

use super::notice::{self, Notifications, Notifier};
use crate::container::processes;
use crate::container::stored::record::{Container, Phase};
use crate::diag::Failure;
use crate::explain::layers::mounts;
use crate::explain::layers::stack::{self, Layer, beneath};
use crate::image;
use crate::image::overlay::mark::{self, Mark};
use crate::store::Store;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Event {
    /// The time at which it was noticed.
    pub noticed: String,
    pub what: EventKind,
    pub place: PlaceKind,
    /// The path in the container.
    pub path: PathBuf,
    /// The bytes of the file; of a copied-up file, in the layer that it came from.
    pub size: Option<u64>,
    /// The layer that a file was copied up from.
    pub layer: Option<usize>,
    /// The process that has it open for writing.
    pub by: Option<Writer>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Writer {
    pub command: String,
    /// The process ID on the host.
    pub pid: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EventKind {
    Create,
    CopyUp,
    Write,
    /// Deleted by a whiteout, since a layer still has it.
    Delete,
    /// Removed without a whiteout, since no layer has it.
    Remove,
    /// Created and removed between two polls.
    CameAndWent,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PlaceKind {
    WritableLayer,
    /// A volume or bind mount: not in the layer.
    Volume,
    /// Memory: not in the layer, and freed when the container stops.
    Tmpfs,
}

/// A directory that is watched, or a single file that is mounted.
#[derive(Debug, Serialize)]
pub(crate) struct Place {
    pub kind: PlaceKind,
    /// The path in the container.
    pub target: PathBuf,
    /// The path on the host.
    pub source: PathBuf,
    /// The device of its file system: another one that is mounted in it is another place.
    #[serde(skip)]
    device: u64,
    #[serde(skip)]
    seen: BTreeMap<PathBuf, Snapshot>,
}

pub(crate) struct Watch<'a> {
    container: &'a Container,
    layers: Vec<Layer>,
    /// The writable layer first.
    places: Vec<Place>,
    /// `None`: without inotify, all paths are polled.
    notice: Option<Notifier>,
    heard: Notifications,
    /// The first poll is done: what it found is not an event.
    has_begun: bool,
    polled_all: Instant,
    /// The duration of polling all paths.
    cost: Duration,
}

/// The time between two polls of all paths, with inotify.
const UNTOLD: Duration = Duration::from_millis(800);
/// The same without inotify.
const UNHEARD: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy)]
struct Snapshot {
    inode: u64,
    /// The time of creation, where the file system records it: inode numbers are reused.
    born: Option<SystemTime>,
    links: u64,
    size: u64,
    on_disk: u64,
    /// Its mode, owner and group.
    access: (u32, u32, u32),
    changed: (i64, i64),
    modified: (i64, i64),
    is_directory: bool,
    is_file: bool,
    is_whiteout: bool,
}

impl Snapshot {
    fn of(metadata: &Metadata) -> Self {
        let kind = metadata.file_type();
        Self {
            inode: metadata.ino(),
            born: metadata.created().ok(),
            links: metadata.nlink(),
            size: if kind.is_file() { metadata.len() } else { 0 },
            on_disk: metadata.blocks() * 512,
            access: (metadata.mode(), metadata.uid(), metadata.gid()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            is_directory: kind.is_dir(),
            is_file: kind.is_file(),
            is_whiteout: kind.is_char_device() && metadata.rdev() == 0,
        }
    }

    fn is_same_file(&self, other: &Self) -> bool {
        (self.inode, self.born) == (other.inode, other.born)
    }

    /// Whether the file did not change between two snapshots. Of a directory, names in it and its times do not count.
    fn is_unchanged(&self, other: &Self) -> bool {
        let is_equal = match self.is_directory && other.is_directory {
            true => self.access == other.access,
            false => (self.size, self.changed) == (other.size, other.changed),
        };
        self.is_same_file(other) && is_equal
    }
}

impl<'a> Watch<'a> {
    /// Begins to watch a container. Must run inside the user namespace.
    ///
    /// # Errors
    /// When the image's or the container's records cannot be read.
    pub(crate) fn new(store: &Store, container: &'a Container) -> Result<Self, Failure> {
        let image = image::find(store, &container.record.image_id.to_string())?;
        let place = |kind, target: &Path, source: PathBuf| {
            let device = source.symlink_metadata().map_or(0, |metadata| metadata.dev());
            Place { kind, target: target.to_owned(), source, device, seen: BTreeMap::new() }
        };
        let mut places = vec![place(PlaceKind::WritableLayer, Path::new("/"), container.directory.join("upper"))];
        let kept: Vec<_> = container.record.volumes.iter().filter(|volume| !volume.is_in_memory).collect();
        for volume in &kept {
            places.push(place(PlaceKind::Volume, Path::new(&volume.target), PathBuf::from(&volume.source)));
        }
        let pid = container.state().pid;
        let root = PathBuf::from(format!("/proc/{pid}/root"));
        // The masks of /proc and /sys are tmpfs too, but read-only; and so may be the file system that volumes are on.
        let is_volume = |target: &PathBuf| kept.iter().any(|volume| Path::new(&volume.target) == target);
        let tmpfs = mounts::of_process(pid).into_iter().filter(|mount| mount.kind == "tmpfs" && !mount.is_read_only);
        let targets: BTreeSet<PathBuf> = tmpfs.map(|mount| mount.target).filter(|target| !is_volume(target)).collect();
        places.extend(targets.into_iter().map(|target| place(PlaceKind::Tmpfs, &target, beneath(&root, &target))));
        let mut watch = Self {
            layers: stack::layers(store, &image)?,
            places,
            container,
            notice: Notifier::new(),
            heard: Notifications::default(),
            has_begun: false,
            polled_all: Instant::now(),
            cost: Duration::ZERO,
        };
        for place in 0..watch.places.len() {
            watch.poll_path(place, Path::new("/"), &mut Vec::new());
        }
        (watch.has_begun, watch.cost) = (true, watch.polled_all.elapsed());
        Ok(watch)
    }

    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// Waits until there is something to poll, or it is time to check that the container still runs. Returns whether to poll.
    pub(crate) fn wait(&mut self) -> bool {
        // Polling takes a small part of the time, however many paths there are.
        let is_time = |pause: Duration| self.polled_all.elapsed() >= pause.max(self.cost * 10);
        let Some(notice) = &mut self.notice else {
            std::thread::sleep(UNHEARD);
            self.heard.overflowed = is_time(UNHEARD);
            return self.heard.overflowed;
        };
        let is_time = is_time(UNTOLD);
        let heard = notice.wait(UNHEARD);
        let is_due = heard.is_some() || is_time;
        self.heard = heard.unwrap_or_default();
        self.heard.overflowed |= is_time;
        is_due
    }

    pub(crate) fn is_running(&self) -> bool {
        self.container.state().phase == Phase::Running
    }

    /// Returns the disk usage of the writable layer, as `du` counts it.
    pub(crate) fn size(&self) -> u64 {
        let mut linked = HashSet::new();
        let seen = self.places[0].seen.values();
        seen.filter(|seen| seen.is_directory || seen.links < 2 || linked.insert(seen.inode)).map(|s| s.on_disk).sum()
    }

    /// Returns the events since the last poll.
    pub(crate) fn poll(&mut self) -> Vec<Event> {
        let Notifications { touched, came, overflowed } = std::mem::take(&mut self.heard);
        let mut events = Vec::new();
        for (place, path) in came {
            let is_there = beneath(&self.places[place].source, &path).symlink_metadata().is_ok();
            if !is_there && !self.places[place].seen.contains_key(&path) {
                events.push(self.event(EventKind::CameAndWent, place, &path, None));
            }
        }
        if overflowed {
            events.extend(self.poll_all());
        } else {
            // A directory's size on disk changes with the names in it.
            let parents = touched.iter().filter_map(|(place, path)| Some((*place, path.parent()?.to_owned())));
            let all: BTreeSet<_> = parents.chain(touched.iter().cloned()).collect();
            for (place, path) in all {
                self.poll_path(place, &path, &mut events);
            }
        }
        if !events.is_empty() {
            self.add_writers(&mut events);
        }
        events
    }

    /// Polls all paths, whatever the kernel reported.
    pub(crate) fn poll_everything(&mut self) -> Vec<Event> {
        self.heard.overflowed = true;
        self.poll()
    }

    fn poll_all(&mut self) -> Vec<Event> {
        let begun = Instant::now();
        let mut events = Vec::new();
        for place in 0..self.places.len() {
            let mut found = BTreeSet::from([PathBuf::from("/")]);
            let mut waiting = vec![PathBuf::from("/")];
            while let Some(at) = waiting.pop() {
                for entry in fs::read_dir(beneath(&self.places[place].source, &at)).into_iter().flatten().flatten() {
                    let path = at.join(entry.file_name());
                    let device = self.places[place].device;
                    if entry.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.dev() == device) {
                        waiting.push(path.clone());
                    }
                    found.insert(path);
                }
            }
            found.extend(self.places[place].seen.keys().cloned());
            for path in &found {
                self.poll_path(place, path, &mut events);
                if self.places[place].seen.get(path).is_some_and(|seen| seen.is_directory) {
                    self.listen(place, path);
                }
            }
        }
        (self.polled_all, self.cost) = (Instant::now(), begun.elapsed());
        events
    }

    /// Polls one path, and all below it if it is a directory that was created or removed.
    fn poll_path(&mut self, place: usize, path: &Path, events: &mut Vec<Event>) {
        let full = beneath(&self.places[place].source, path);
        let found = full.symlink_metadata().ok().filter(|metadata| metadata.dev() == self.places[place].device);
        let now = found.map(|metadata| Snapshot::of(&metadata));
        let before = self.places[place].seen.get(path).copied();
        let Some(now) = now else {
            // A directory sorts before its content.
            let below = self.places[place].seen.range(path.to_owned()..);
            let gone: Vec<PathBuf> =
                below.map(|(name, _)| name).take_while(|name| name.starts_with(path)).cloned().collect();
            for name in gone {
                let was = self.places[place].seen.remove(&name);
                if was.is_some_and(|was| !was.is_whiteout) {
                    events.push(self.event(EventKind::Remove, place, &name, None));
                }
            }
            return;
        };
        self.places[place].seen.insert(path.to_owned(), now);
        if !self.has_begun {
            // The first poll only takes snapshots.
        } else if self.places[place].kind == PlaceKind::WritableLayer {
            self.changed_in_layer(path, before.as_ref(), &now, events);
        } else {
            let what = match before {
                None => Some(EventKind::Create),
                Some(before) if before.is_unchanged(&now) => None,
                Some(before) if before.is_same_file(&now) => Some(EventKind::Write),
                Some(_) => Some(EventKind::Create),
            };
            events.extend(what.map(|what| self.event(what, place, path, Some(&now))));
        }
        if now.is_directory && before.is_none_or(|before| !before.is_same_file(&now)) {
            self.enter(place, path, events);
        } else if before.is_none() && path == Path::new("/") {
            self.listen(place, path);
        }
    }

    /// Adds a new directory: it is watched first and read then, so that nothing is missed in between.
    fn enter(&mut self, place: usize, path: &Path, events: &mut Vec<Event>) {
        self.listen(place, path);
        let entries = fs::read_dir(beneath(&self.places[place].source, path)).into_iter().flatten().flatten();
        let mut names: Vec<PathBuf> = entries.map(|entry| path.join(entry.file_name())).collect();
        names.sort();
        names.iter().for_each(|name| self.poll_path(place, name, events));
    }

    fn listen(&mut self, place: usize, path: &Path) {
        let Some(notice) = &mut self.notice else { return };
        let watched = &self.places[place];
        let (directory, name) = (beneath(&watched.source, path), (place, path.to_owned()));
        let can = if watched.kind == PlaceKind::WritableLayer {
            let root = PathBuf::from(format!("/proc/{}/root", self.container.state().pid));
            notice.add(&beneath(&root, path), notice::CONTENTS, name.clone())
                && notice.add(&directory, notice::NAMES, name)
        } else {
            notice.add(&directory, notice::NAMES | notice::CONTENTS, name)
        };
        if !can {
            self.notice = None;
        }
    }

    fn changed_in_layer(&self, path: &Path, before: Option<&Snapshot>, now: &Snapshot, events: &mut Vec<Event>) {
        let mut tell = |what| events.push(self.event(what, 0, path, Some(now)));
        match before {
            _ if now.is_whiteout => {
                if before.is_none_or(|before| !before.is_whiteout) {
                    tell(EventKind::Delete);
                }
            }
            Some(before) if before.is_unchanged(now) => {}
            Some(before) if before.is_same_file(now) => tell(EventKind::Write),
            _ => {
                let was_deleted = before.is_some_and(|before| before.is_whiteout);
                self.appeared(path, now, was_deleted, events);
            }
        }
    }

    /// Reports a new name in the writable layer. A directory that overlayfs copied up for its content is not an event.
    /// `was_deleted`: the deletion of the layer's file was reported already.
    fn appeared(&self, path: &Path, now: &Snapshot, was_deleted: bool, events: &mut Vec<Event>) {
        let below = self.layers.iter().rev().find_map(|layer| {
            let found = beneath(&layer.directory, path).symlink_metadata().ok()?;
            Some((layer.number, Snapshot::of(&found)))
        });
        match below.filter(|(_, below)| !below.is_whiteout) {
            Some((_, below)) if (now.is_directory || below.is_directory) && self.hides(path, now, &below) => {
                // It was deleted and created again between two polls.
                if !was_deleted {
                    events.push(self.event(EventKind::Delete, 0, path, None));
                }
                events.push(self.event(EventKind::Create, 0, path, Some(now)));
            }
            Some((_, below)) if now.is_directory => {
                if now.access != below.access {
                    events.push(self.event(EventKind::Write, 0, path, Some(now)));
                }
            }
            Some((number, below)) if mark::is_copied_up(&beneath(&self.places[0].source, path)) => {
                let copied = self.event(EventKind::CopyUp, 0, path, Some(&below));
                events.push(Event { layer: Some(number), ..copied });
                // The copy keeps the original's time of modification.
                if (now.modified, now.size) != (below.modified, below.size) {
                    events.push(self.event(EventKind::Write, 0, path, Some(now)));
                }
            }
            _ => events.push(self.event(EventKind::Create, 0, path, Some(now))),
        }
    }

    /// Whether a name in the writable layer hides a directory of a layer, or differs from the layer in being a directory.
    fn hides(&self, path: &Path, now: &Snapshot, below: &Snapshot) -> bool {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return false };
        let mark = mark::mark(&beneath(&self.places[0].source, parent), name);
        now.is_directory != below.is_directory || matches!(mark, Ok(Mark::Directory { opaque: true }))
    }

    fn event(&self, what: EventKind, place: usize, path: &Path, found: Option<&Snapshot>) -> Event {
        let place = &self.places[place];
        let path = match path.strip_prefix("/") {
            Ok(name) if name.as_os_str().is_empty() => place.target.clone(),
            _ => beneath(&place.target, path),
        };
        let size = found.filter(|found| found.is_file && what != EventKind::Delete).map(|found| found.size);
        Event { noticed: String::new(), what, place: place.kind, path, size, layer: None, by: None }
    }

    /// Adds the time to events, and the processes that have the files open for writing.
    fn add_writers(&self, events: &mut [Event]) {
        let mut open: HashMap<PathBuf, Writer> = HashMap::new();
        for pid in processes::pids(self.container.state().pid) {
            for (path, writer) in written_by(pid) {
                open.entry(path).or_insert(writer);
            }
        }
        let noticed = format!("{:.3}", jiff::Timestamp::now());
        for event in events {
            event.noticed.clone_from(&noticed);
            if matches!(event.what, EventKind::Create | EventKind::CopyUp | EventKind::Write) {
                event.by = open.get(&event.path).cloned();
            }
        }
    }
}

/// Returns the files that a process has open for writing.
fn written_by(pid: i32) -> Vec<(PathBuf, Writer)> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let writer = Writer { command: name.trim().to_owned(), pid };
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let written = descriptors.filter_map(|fd| {
        let number = fd.file_name();
        let info = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy())).ok()?;
        let flags = info.lines().find_map(|line| i32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok())?;
        let path = (flags & libc::O_ACCMODE != libc::O_RDONLY).then(|| fs::read_link(fd.path()).ok())??;
        path.is_absolute().then(|| (path, writer.clone()))
    });
    written.collect()
}
