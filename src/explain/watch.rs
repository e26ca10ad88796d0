//! Copy-on-write, live: what appears, changes and vanishes in a container's writable layer and volumes.
//!
//! Two looks at the directories are held against each other, the second when the kernel says that there is something to see,
//! and now and then for what it does not tell, as writes through a mapping. Nothing is asked of it while nobody watches.

use super::notice::Notice;
use super::subject::{self, Layer};
use crate::container::processes;
use crate::container::record::{Container, Phase};
use crate::diag::Failure;
use crate::image::{self, diff};
use crate::store::Store;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Debug, Clone, Serialize)]
pub struct Event {
    pub what: What,
    /// As the container names it.
    pub path: PathBuf,
    /// The bytes of the file now.
    pub size: u64,
    /// Who has it open for writing.
    pub by: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    Create,
    /// From the layer of this number.
    CopyUp {
        layer: usize,
    },
    Write,
    /// A whiteout, since a layer still has it.
    Delete,
    /// Nothing of it is left, since no layer has it.
    Remove,
    /// It was there between two looks only.
    CameAndWent,
    /// In a volume, or a directory of the host: not in the layer.
    VolumeWrite,
}

pub struct Watch<'a> {
    container: &'a Container,
    layers: Vec<Layer>,
    upper: PathBuf,
    seen: BTreeMap<PathBuf, Seen>,
    /// Each volume: where it lies, where it is mounted, what was in it.
    volumes: Vec<(PathBuf, PathBuf, BTreeMap<PathBuf, Seen>)>,
    /// `None`: only looking tells.
    notice: Option<Notice>,
    came: BTreeSet<PathBuf>,
    looked: Instant,
    /// How long looking takes.
    cost: Duration,
}

/// The longest time between two looks: a change is told within a second.
const UNTOLD: Duration = Duration::from_millis(800);
/// The same where the kernel tells nothing.
const UNHEARD: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    inode: u64,
    size: u64,
    changed: (i64, i64),
    is_directory: bool,
    is_whiteout: bool,
}

impl<'a> Watch<'a> {
    /// # Errors
    /// When the image's records cannot be read. Must run inside the user namespace.
    pub fn new(store: &Store, container: &'a Container) -> Result<Self, Failure> {
        let image = image::find(store, &container.record.image_id.to_string())?;
        let upper = container.directory.join("upper");
        let volumes = container.record.volumes.iter().map(|volume| {
            let source = PathBuf::from(&volume.source);
            let seen = snapshot(&source);
            (source, PathBuf::from(&volume.target), seen)
        });
        let mut watch = Self {
            layers: subject::layers(store, &image)?,
            seen: snapshot(&upper),
            volumes: volumes.collect(),
            container,
            upper,
            notice: None,
            came: BTreeSet::new(),
            looked: Instant::now(),
            cost: Duration::ZERO,
        };
        watch.notice = Notice::new();
        watch.listen();
        Ok(watch)
    }

    /// To every directory that it has seen.
    fn listen(&mut self) {
        let Some(notice) = &mut self.notice else { return };
        let merged = PathBuf::from(format!("/proc/{}/root", self.container.state().pid));
        let beneath = |above: &Path, path: &Path| above.join(path.strip_prefix("/").unwrap_or(path));
        let root = Path::new("/");
        let directories = |seen: &'_ BTreeMap<PathBuf, Seen>| {
            let found = seen.iter().filter(|(_, seen)| seen.is_directory).map(|(path, _)| path.clone());
            found.chain([root.to_owned()]).collect::<Vec<_>>()
        };
        let layer = directories(&self.seen);
        let mut can = layer.iter().all(|path| notice.layer(path, &beneath(&self.upper, path), &beneath(&merged, path)));
        for (source, _, seen) in &self.volumes {
            can = can && directories(seen).iter().all(|path| notice.volume(&beneath(source, path)));
        }
        if !can {
            self.notice = None;
        }
    }

    /// Until there is something to look for, or it is time to see whether the container still runs. Whether to look.
    pub fn wait(&mut self) -> bool {
        // A look that takes long must not follow upon the other.
        std::thread::sleep((self.cost * 4).saturating_sub(self.looked.elapsed()));
        let Some(notice) = &mut self.notice else {
            std::thread::sleep(UNHEARD);
            return true;
        };
        match notice.wait(UNHEARD) {
            Some(came) => {
                self.came.extend(came);
                true
            }
            None => self.looked.elapsed() >= UNTOLD,
        }
    }

    pub fn is_running(&self) -> bool {
        self.container.state().phase == Phase::Running
    }

    /// The writable layer: the bytes of its files' contents.
    pub fn size(&self) -> u64 {
        self.seen.values().map(|seen| seen.size).sum()
    }

    /// What has happened since the last look.
    pub fn look(&mut self) -> Vec<Event> {
        let begun = Instant::now();
        let mut events = Vec::new();
        let now = snapshot(&self.upper);
        for path in std::mem::take(&mut self.came) {
            if !now.contains_key(&path) && !self.seen.contains_key(&path) {
                events.push(Event { what: What::CameAndWent, path, size: 0, by: None });
            }
        }
        for (path, seen) in &now {
            let before = self.seen.get(path);
            let what = match before {
                _ if seen.is_whiteout => (!before.is_some_and(|before| before.is_whiteout)).then_some(What::Delete),
                Some(before) if seen.is_directory && before.is_directory => None,
                Some(before) if before == seen => None,
                Some(before) if before.inode == seen.inode => Some(What::Write),
                _ => self.appeared(path, seen),
            };
            events.extend(what.map(|what| self.event(what, path, seen.size)));
        }
        for (path, before) in &self.seen {
            if !now.contains_key(path) && !before.is_whiteout {
                events.push(Event { what: What::Remove, path: path.clone(), size: 0, by: None });
            }
        }
        self.seen = now;
        let mut volumes = std::mem::take(&mut self.volumes);
        for (source, target, before) in &mut volumes {
            let now = snapshot(source);
            for (path, seen) in now.iter().filter(|(path, seen)| before.get(*path) != Some(seen) && !seen.is_directory)
            {
                let path = target.join(path.strip_prefix("/").unwrap_or(path));
                events.push(self.event(What::VolumeWrite, &path, seen.size));
            }
            *before = now;
        }
        self.volumes = volumes;
        self.listen();
        (self.looked, self.cost) = (Instant::now(), begun.elapsed());
        events
    }

    /// A directory that overlayfs copies up for what is in it says nothing of its own.
    fn appeared(&self, path: &Path, seen: &Seen) -> Option<What> {
        let name = path.strip_prefix("/").unwrap_or(path);
        let below = self.layers.iter().rev().find(|layer| layer.directory.join(name).symlink_metadata().is_ok());
        match below {
            Some(_) if seen.is_directory => None,
            Some(layer) if diff::was_copied_up(&self.upper.join(name)) => Some(What::CopyUp { layer: layer.number }),
            _ => Some(What::Create),
        }
    }

    fn event(&self, what: What, path: &Path, size: u64) -> Event {
        Event { what, path: path.to_owned(), size, by: self.writer(path) }
    }

    /// A process of the container that has the file open for writing now.
    fn writer(&self, path: &Path) -> Option<String> {
        let state = self.container.state();
        processes::pids(state.pid).into_iter().find_map(|pid| {
            let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten().any(|fd| {
                let number = fd.file_name();
                let flags = fs::read_to_string(format!("/proc/{pid}/fdinfo/{}", number.to_string_lossy()));
                let flags = flags.unwrap_or_default();
                let flags =
                    flags.lines().find_map(|line| i32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
                let writes = flags.is_some_and(|flags| flags & libc::O_ACCMODE != libc::O_RDONLY);
                writes && fs::read_link(fd.path()).is_ok_and(|link| link == path)
            });
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
            open.then(|| format!("{} ({pid})", name.trim()))
        })
    }
}

/// All that is in a directory, by its path there.
fn snapshot(directory: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut found = BTreeMap::new();
    let mut waiting = vec![directory.to_owned()];
    while let Some(at) = waiting.pop() {
        for entry in fs::read_dir(&at).into_iter().flatten().flatten() {
            let (path, Ok(metadata)) = (entry.path(), entry.metadata()) else { continue };
            let kind = metadata.file_type();
            if kind.is_dir() {
                waiting.push(path.clone());
            }
            let name = Path::new("/").join(path.strip_prefix(directory).unwrap_or(&path));
            let seen = Seen {
                inode: metadata.ino(),
                size: if kind.is_file() { metadata.len() } else { 0 },
                changed: (metadata.ctime(), metadata.ctime_nsec()),
                is_directory: kind.is_dir(),
                is_whiteout: kind.is_char_device() && metadata.rdev() == 0,
            };
            found.insert(name, seen);
        }
    }
    found
}
