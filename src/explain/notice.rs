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

pub struct Notice {
    inotify: OwnedFd,
    /// The directories, by their watches; `None`: names in it are of no interest.
    watched: HashMap<i32, Option<PathBuf>>,
    known: BTreeSet<PathBuf>,
}

const NAMES: WatchFlags =
    WatchFlags::CREATE.union(WatchFlags::DELETE).union(WatchFlags::MOVE).union(WatchFlags::ATTRIB);
const CONTENTS: WatchFlags = WatchFlags::MODIFY.union(WatchFlags::ATTRIB);

impl Notice {
    /// `None`: the kernel gives no more of these.
    pub fn new() -> Option<Self> {
        let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok()?;
        Some(Self { inotify, watched: HashMap::new(), known: BTreeSet::new() })
    }

    /// Listens to a directory of the writable layer, `name` to the container, which sees it at `merged`. Whether it can.
    pub fn layer(&mut self, name: &Path, directory: &Path, merged: &Path) -> bool {
        if !self.known.insert(directory.to_owned()) {
            return true;
        }
        // One that a mount covers, or that has gone again, is seen by nobody.
        let _ = self.add(merged, CONTENTS, None);
        self.add(directory, NAMES, Some(name.to_owned()))
    }

    /// Listens to a directory of a volume. Whether it can.
    pub fn volume(&mut self, directory: &Path) -> bool {
        !self.known.insert(directory.to_owned()) || self.add(directory, NAMES | CONTENTS, None)
    }

    fn add(&mut self, directory: &Path, what: WatchFlags, name: Option<PathBuf>) -> bool {
        match inotify::add_watch(&self.inotify, directory, what | WatchFlags::ONLYDIR | WatchFlags::DONT_FOLLOW) {
            Ok(watch) => {
                self.watched.insert(watch, name);
                true
            }
            Err(error) => error != rustix::io::Errno::NOSPC,
        }
    }

    /// Waits so long for a word. `None`: there was none; else the names that came into the writable layer.
    pub fn wait(&mut self, limit: Duration) -> Option<BTreeSet<PathBuf>> {
        let mut came = BTreeSet::new();
        let mut heard = false;
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
            (heard, patience) = (true, CALM);
            let mut buffer = [MaybeUninit::uninit(); 4096];
            let mut events = inotify::Reader::new(&self.inotify, &mut buffer);
            while let Ok(event) = events.next() {
                let directory = self.watched.get(&event.wd()).and_then(Option::as_ref);
                if let (Some(directory), Some(name)) = (directory, event.file_name())
                    && event.events().contains(ReadFlags::CREATE)
                    && !event.events().contains(ReadFlags::ISDIR)
                {
                    came.insert(directory.join(OsStr::from_bytes(name.to_bytes())));
                }
                if event.events().contains(ReadFlags::IGNORED) {
                    // Its directory has gone; another may come in its place.
                    self.watched.remove(&event.wd());
                    self.known.clear();
                }
            }
        }
        heard.then_some(came)
    }
}
