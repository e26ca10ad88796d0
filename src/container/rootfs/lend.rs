//! A mount of one container, lent to another that shares a namespace with it.

use super::shift::CLONE;
use crate::sys::process::{self, Fork};
use crate::sys::{On, SysError, socket};
use rustix::fs::CWD;
use rustix::mount::open_tree;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Clones what is mounted at `path` in the mount namespace of a process. Another process enters that namespace for it,
/// because this one could not come back.
pub(crate) fn borrow(pid: i32, path: &str) -> Result<OwnedFd, SysError> {
    let namespace = process::namespace(pid, "mnt")?;
    let (ours, theirs) = socket::pair()?;
    let child = match process::fork()? {
        Fork::Parent(child) => child,
        Fork::Child => {
            drop(ours);
            let cloned = process::setns(&namespace, libc::CLONE_NEWNS, "the container's mount namespace")
                .and_then(|()| open_tree(CWD, path, CLONE).on("open_tree", path));
            let _ = match cloned {
                Ok(tree) => socket::send(theirs.as_fd(), &[0; 4], &[tree.as_raw_fd()]),
                Err(error) => socket::send(theirs.as_fd(), &error.errno.to_ne_bytes(), &[]),
            };
            process::exit_now(0)
        }
    };
    drop(theirs);
    let mut errno = [0; 4];
    let answer = socket::receive(ours.as_fd(), &mut errno);
    let _ = process::wait(child);
    let refused = |errno| SysError { call: "open_tree", subject: path.to_owned(), errno };
    match answer? {
        Some((4, mut trees)) => trees.pop().ok_or_else(|| refused(i32::from_ne_bytes(errno))),
        _ => Err(refused(libc::ECONNRESET)),
    }
}
