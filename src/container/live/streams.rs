//! The standard streams of a process without a terminal: its own ends, and the monitor's.

use crate::container::protocol::Stream;
use crate::sys::{On, SysError};
use crate::userns::IdMap;
use rustix::fs::{Gid, Uid, fchown};
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

pub(crate) struct Streams {
    pub theirs: [OwnedFd; 3],
    pub stdin: Option<OwnedFd>,
    pub outputs: Vec<(OwnedFd, Stream)>,
}

impl Streams {
    /// Makes the pipes. The client does it, because it alone may give a pipe to a container's root with shifted ids.
    pub(crate) fn new(wants_stdin: bool, ids: &IdMap) -> Result<Self, SysError> {
        let root = |ranges: Vec<crate::userns::IdRange>| ranges.first().map_or(0, |range| range.outside);
        let owner = (Uid::from_raw(root(ids.uids())), Gid::from_raw(root(ids.gids())));
        let pipe = || {
            let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).on("pipe2", "")?;
            if ids.is_shifted() {
                // Both ends are one inode. Opened again by its name in /proc, its owner counts.
                fchown(&read, Some(owner.0), Some(owner.1)).on("fchown", "a pipe")?;
            }
            Ok((read, write))
        };
        let (read_stdin, stdin) = if wants_stdin {
            let (read, write) = pipe()?;
            (read, Some(write))
        } else {
            (File::open("/dev/null").on("open", "/dev/null")?.into(), None)
        };
        let ((stdout, write_stdout), (stderr, write_stderr)) = (pipe()?, pipe()?);
        Ok(Self {
            theirs: [read_stdin, write_stdout, write_stderr],
            stdin,
            outputs: vec![(stdout, Stream::Stdout), (stderr, Stream::Stderr)],
        })
    }

    /// Returns the number of descriptors.
    pub(crate) fn count(wants_stdin: bool) -> usize {
        5 + usize::from(wants_stdin)
    }

    /// Returns the descriptors in the order of [`Streams::from_parts`].
    pub(crate) fn descriptors(&self) -> Vec<RawFd> {
        let outputs = self.outputs.iter().map(|(fd, _)| fd);
        self.theirs.iter().chain(outputs).chain(&self.stdin).map(AsRawFd::as_raw_fd).collect()
    }

    /// Takes the descriptors from the front of a list.
    pub(crate) fn from_parts(descriptors: &mut Vec<OwnedFd>, wants_stdin: bool) -> Result<Self, SysError> {
        let short = || SysError { call: "recvmsg", subject: "standard streams".into(), errno: libc::EPROTO };
        let count = Self::count(wants_stdin);
        if descriptors.len() < count {
            return Err(short());
        }
        let rest = descriptors.split_off(count);
        let mut own = std::mem::replace(descriptors, rest).into_iter();
        let mut next = || own.next().ok_or_else(short);
        Ok(Self {
            theirs: [next()?, next()?, next()?],
            outputs: vec![(next()?, Stream::Stdout), (next()?, Stream::Stderr)],
            stdin: own.next(),
        })
    }
}
