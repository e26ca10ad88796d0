//! Word from the kernel that something changed beneath directories (inotify(7)), so that nobody has to walk them to find out.
//!
//! The writable layer tells of names that come and go. What is written into its files is told by the same directories as the
//! container sees them: an overlay writes to its upper directory behind inotify's back.

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A path of one of the places that are watched, by the place's number.
pub(super) type WatchedPath = (usize, PathBuf);

pub(super) struct Notifier {
    inotify: OwnedFd,
    /// What is watched, by the number of the watch.
    watched: HashMap<i32, WatchedPath>,
}

/// What the kernel told.
#[derive(Default)]
pub(super) struct Notifications {
    /// Paths that something happened to.
    pub touched: BTreeSet<WatchedPath>,
    /// Those among them that were made anew, and are no directories.
    pub came: BTreeSet<WatchedPath>,
    /// There was more than the kernel keeps: look at everything.
    pub overflowed: bool,
}

pub(super) const NAMES: WatchFlags =
    WatchFlags::CREATE.union(WatchFlags::DELETE).union(WatchFlags::MOVE).union(WatchFlags::ATTRIB);
pub(super) const CONTENTS: WatchFlags = WatchFlags::MODIFY.union(WatchFlags::ATTRIB);

impl Notifier {
    /// `None`: the kernel gives no more of these.
    pub(super) fn new() -> Option<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
        Some(Self { inotify, watched: HashMap::new() })
    }

    /// Listens to a directory or file, which has this name. Returns whether there was room for it; one that a mount covers,
    /// or that has gone again, is seen by nobody and needs none.
    pub(super) fn add(&mut self, directory: &Path, what: WatchFlags, name: WatchedPath) -> bool {
        match inotify::add_watch(&self.inotify, directory, what | WatchFlags::DONT_FOLLOW) {
            Ok(watch) => {
                self.watched.insert(watch, name);
                true
            }
            Err(error) => error != rustix::io::Errno::NOSPC,
        }
    }

    /// Waits so long for a word, and for the end of what comes at once. `None`: there was none.
    pub(super) fn wait(&mut self, limit: Duration) -> Option<Notifications> {
        let mut heard = None;
        let mut patience = limit;
        // One change makes several events; what it is shows after the last.
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
