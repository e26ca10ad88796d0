//! The control socket of a monitor.

use crate::sys::{On, SysError, socket};
use std::fs;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// The socket that everybody who wants to talk to a monitor connects to.
pub(crate) struct Control {
    path: PathBuf,
    listener: OwnedFd,
}

const UNANNOUNCED: &str = "early";

impl Control {
    /// Listens under a name that nobody looks for.
    pub(crate) fn prepare(path: PathBuf) -> Result<Self, SysError> {
        let listener = socket::listen(&path.with_file_name(UNANNOUNCED))?;
        Ok(Self { path, listener })
    }

    /// Gives the socket its name. The state is written before, so a state that is missing beside a socket was lost.
    pub(crate) fn announce(&self) -> Result<(), SysError> {
        fs::rename(self.path.with_file_name(UNANNOUNCED), &self.path).on("rename", &self.path)
    }

    /// Listens at the same path again, after somebody has removed the socket.
    pub(super) fn listen_again(&mut self) {
        let _ = fs::remove_file(&self.path);
        if let Ok(listener) = socket::listen(&self.path) {
            self.listener = listener;
        }
    }

    /// Returns a connection that waits.
    pub(super) fn accept(&self) -> Option<OwnedFd> {
        socket::accept(self.listener.as_fd())
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}
