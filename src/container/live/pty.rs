//! The monitor's side of a container's terminal.

use crate::sys::{On, SysError};
use rustix::event::Timespec;
use rustix::event::epoll;
use rustix::io::Errno;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The master of a pseudoterminal.
///
/// While no process has the other side open, poll(2) reports a hang-up without end (pty(7)), so the monitor waits for an
/// edge instead, which the next write to the other side causes (epoll(7), EPOLLET).
pub(crate) struct Pty {
    master: OwnedFd,
    /// Reports changes of the master only.
    edges: OwnedFd,
    is_held: bool,
}

/// What a read from a terminal gave.
pub(super) enum Read {
    Bytes(usize),
    Nothing,
    /// No process has the other side open.
    HungUp,
}

impl Pty {
    pub(crate) fn new(master: OwnedFd) -> Result<Self, SysError> {
        let edges = epoll::create(epoll::CreateFlags::CLOEXEC).on("epoll_create1", "")?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&edges, &master, epoll::EventData::new_u64(0), flags).on("epoll_ctl", "the terminal")?;
        Ok(Self { master, edges, is_held: true })
    }

    pub(super) fn master(&self) -> &OwnedFd {
        &self.master
    }

    /// Whether a process has the other side open, as far as is known.
    pub(super) fn is_held(&self) -> bool {
        self.is_held
    }

    /// Looks at the master itself again: what was written last is still to be read.
    pub(super) fn assume_held(&mut self) {
        self.is_held = true;
    }

    /// The descriptor to poll for output of the container.
    pub(super) fn to_poll(&self) -> BorrowedFd<'_> {
        if self.is_held { self.master.as_fd() } else { self.edges.as_fd() }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Read {
        if !self.is_held {
            // Takes the edge before the read, so that a later one is not lost.
            let mut events = Vec::with_capacity(1);
            let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
            let _ = epoll::wait(&self.edges, rustix::buffer::spare_capacity(&mut events), Some(&at_once));
        }
        match rustix::io::read(&self.master, buffer) {
            Ok(length) if length > 0 => {
                self.is_held = true;
                Read::Bytes(length)
            }
            Err(Errno::AGAIN) => {
                self.is_held = true;
                Read::Nothing
            }
            Err(Errno::INTR) => Read::Nothing,
            // EIO, as pty(7) has it.
            Ok(_) | Err(_) => {
                self.is_held = false;
                Read::HungUp
            }
        }
    }
}
