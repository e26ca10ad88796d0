//! Notifications of changes in directories (inotify(7)), which make walking them unnecessary.
//!
//! Watches on the writable layer report names that come and go. Writes to its files are reported by watches on the same
//! directories as the container sees them: an overlay writes to its upper directory without inotify events there.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A path in a watched place, and the place's number.
pub(super) type WatchedPath = (usize, PathBuf);

pub(super) struct Notifier {
    inotify: OwnedFd,
    /// The watched paths by the numbers of their watches.
    watched: HashMap<i32, WatchedPath>,
}

/// Notifications that the kernel sent.
#[derive(Default)]
pub(super) struct Notifications {
    /// Paths that changed.
    pub touched: BTreeSet<WatchedPath>,
    /// Those among them that were created, directories excepted.
    pub came: BTreeSet<WatchedPath>,
    /// The kernel's queue overflowed, so everything must be examined.
    pub overflowed: bool,
}

pub(super) const NAMES: WatchFlags =
    WatchFlags::CREATE.union(WatchFlags::DELETE).union(WatchFlags::MOVE).union(WatchFlags::ATTRIB);
pub(super) const CONTENTS: WatchFlags = WatchFlags::MODIFY.union(WatchFlags::ATTRIB);

impl Notifier {
    /// `None`: the user's limit of inotify instances is reached.
    pub(super) fn new() -> Option<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
        Some(Self { inotify, watched: HashMap::new() })
    }

    /// Watches a directory or file. Returns false if the limit of watches is reached; a path that is covered by a mount or has
    /// been removed needs no watch.
    pub(super) fn add(&mut self, directory: &Path, what: WatchFlags, name: WatchedPath) -> bool {
        match inotify::add_watch(&self.inotify, directory, what | WatchFlags::DONT_FOLLOW) {
            Ok(watch) => {
                self.watched.insert(watch, name);
                true
            }
            Err(error) => error != rustix::io::Errno::NOSPC,
        }
    }

    /// Waits for notifications, and for the end of those that come together. `None`: there was none in this time.
    pub(super) fn wait(&mut self, limit: Duration) -> Option<Notifications> {
        let mut heard = None;
        let mut patience = limit;
        // One change makes several events; its result is visible after the last.
        const CALM: Duration = Duration::from_millis(40);
        const MOST: u32 = 5;
        for _ in 0..MOST {
            let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(patience.subsec_nanos()) };
            let ready = poll(&mut [PollFd::new(&self.inotify, PollFlags::IN)], Some(&timeout));
            if !ready.is_ok_and(|count| count > 0) {
                break;
            }
            self.read(heard.get_or_insert_default());
            if patience == CALM {
                std::thread::sleep(CALM);
            }
            patience = CALM;
        }
        heard
    }

    fn read(&mut self, heard: &mut Notifications) {
        let mut buffer = [MaybeUninit::uninit(); 1 << 16];
        let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
        while let Ok(event) = events.next() {
            heard.overflowed |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
            let Some((place, directory)) = self.watched.get(&event.wd()) else { continue };
            let path = match event.file_name() {
                Some(name) => directory.join(OsStr::from_bytes(name.to_bytes())),
                None => directory.clone(),
            };
            let made = event.events().contains(ReadFlags::CREATE) && !event.events().contains(ReadFlags::ISDIR);
            if made {
                heard.came.insert((*place, path.clone()));
            }
            heard.touched.insert((*place, path));
            if event.events().contains(ReadFlags::IGNORED) {
                self.watched.remove(&event.wd());
            }
        }
    }
}
