//! A process that waits for the answer to a system call, and what its arguments mean to it.

use crate::sys::other;
use crate::sys::seccomp::{Listener, Notification};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat};
use rustix::io::Errno;
use std::ffi::CString;
use std::os::fd::{BorrowedFd, OwnedFd};

/// The longest path, with its end: PATH_MAX.
const LONGEST_PATH: usize = 4096;

/// A page at least: reads of another's memory stop at the end of what is mapped.
const PIECE: u64 = 4096;

pub(super) struct Caller<'a> {
    /// The host's /proc.
    pub proc: BorrowedFd<'a>,
    pub listener: &'a Listener,
    pub call: Notification,
}

impl Caller<'_> {
    /// Whether it is in the user namespace with this inode. In another one, the kernel knows more than the agent.
    pub(super) fn is_in(&self, namespace: u64) -> bool {
        let found = rustix::fs::statat(self.proc, self.path("ns/user"), rustix::fs::AtFlags::empty());
        found.is_ok_and(|found| found.st_ino == namespace)
    }

    /// Whether it still waits: else its number may be another's by now, and what was opened, too.
    pub(super) fn still_waits(&self) -> bool {
        self.listener.is_waiting(&self.call)
    }

    pub(super) fn has(&self, capability: caps::Capability) -> bool {
        other::effective_capabilities(self.call.pid).is_some_and(|set| set & capability.bitmask() != 0)
    }

    /// Opens the file of a path as the caller would: from its root, its working directory or one of its descriptors.
    pub(super) fn open(&self, directory: i32, path: &CString, follows: bool) -> Result<OwnedFd, Errno> {
        self.enter("root")?;
        rustix::process::chroot(".")?;
        if directory == libc::AT_FDCWD {
            self.enter("cwd")?;
        } else if path.as_bytes().first() != Some(&b'/') {
            self.enter_descriptor(directory)?;
        }
        let mut flags = OFlags::PATH | OFlags::CLOEXEC;
        flags.set(OFlags::NOFOLLOW, !follows);
        // Links of /proc would lead where they lead the agent.
        crate::sys::fs::openat2(CWD, path, flags, ResolveFlags::NO_MAGICLINKS)
    }

    /// Opens what a descriptor of the caller stands for.
    pub(super) fn open_descriptor(&self, number: i32) -> Result<OwnedFd, Errno> {
        let path = match number {
            libc::AT_FDCWD => self.path("cwd"),
            number => self.path(&format!("fd/{number}")),
        };
        let opened = openat(self.proc, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        opened.map_err(|errno| if errno == Errno::NOENT { Errno::BADF } else { errno })
    }

    fn enter_descriptor(&self, number: i32) -> Result<(), Errno> {
        rustix::process::fchdir(self.open_descriptor(number)?)
    }

    fn enter(&self, file: &str) -> Result<(), Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(self.proc, self.path(file), flags, Mode::empty()).map_err(|_| Errno::SRCH)?;
        rustix::process::fchdir(directory)
    }

    fn path(&self, file: &str) -> String {
        format!("{}/{file}", self.call.pid)
    }

    /// Reads the path at an address of the caller.
    pub(super) fn read_path(&self, address: u64) -> Result<CString, Errno> {
        let mut path = Vec::new();
        let mut buffer = [0; PIECE as usize];
        while path.len() < LONGEST_PATH {
            let at = address.checked_add(path.len() as u64).ok_or(Errno::FAULT)?;
            let wanted = (PIECE - at % PIECE) as usize;
            let piece = buffer.get_mut(..wanted).ok_or(Errno::FAULT)?;
            let read = other::read_memory(self.call.pid, at, piece);
            let piece = piece.get(..read).filter(|piece| !piece.is_empty()).ok_or(Errno::FAULT)?;
            match piece.iter().position(|byte| *byte == 0) {
                Some(end) => {
                    path.extend(piece.iter().take(end));
                    let is_short = path.len() < LONGEST_PATH;
                    return CString::new(path).ok().filter(|_| is_short).ok_or(Errno::NAMETOOLONG);
                }
                None => path.extend(piece),
            }
        }
        Err(Errno::NAMETOOLONG)
    }
}
