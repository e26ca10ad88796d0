//! Waiting for changes of directories (inotify(7)).

use crate::sys::{On, SysError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

/// The changes of some directories, from its making on.
pub(super) struct Changes(OwnedFd);

/// How long a change may stay unseen that no directory shows, such as the end of a monitor.
const LIMIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

impl Changes {
    pub(super) fn of<'a>(directories: impl IntoIterator<Item = &'a Path>) -> Result<Self, SysError> {
        let flags = inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK;
        let watch = inotify::init(flags).on("inotify_init1", "")?;
        let wanted = inotify::WatchFlags::MODIFY
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::MOVE_SELF
            | inotify::WatchFlags::DELETE_SELF;
        for directory in directories {
            inotify::add_watch(&watch, directory, wanted).on("inotify_add_watch", directory)?;
        }
        Ok(Self(watch))
    }

    /// Waits until something has changed, but no longer than 100 ms.
    pub(super) fn wait(&self) {
        self.wait_with(None);
    }

    /// [`Changes::wait`], which also ends when `other` can be read.
    pub(super) fn wait_with(&self, other: Option<BorrowedFd>) {
        let mut polled = vec![PollFd::new(&self.0, PollFlags::IN)];
        polled.extend(other.map(|other| PollFd::from_borrowed_fd(other, PollFlags::IN)));
        let _ = poll(&mut polled, Some(&LIMIT));
        let mut events = [0u8; 4096];
        while rustix::io::read(&self.0, &mut events).is_ok_and(|length| length > 0) {}
    }
}
