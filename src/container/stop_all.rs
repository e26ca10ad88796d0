//! Ending whatever runs in a store, also where its records cannot be read any more: only the monitors' sockets are asked.

use super::protocol::{End, Message};
use crate::store::Store;
use crate::sys::{process, socket};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::fs;
use std::os::fd::{AsFd, OwnedFd};

/// So long may a monitor take to bury its container.
const PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// The ids of the containers whose monitor answers.
pub fn running(store: &Store) -> Vec<String> {
    let entries = fs::read_dir(store.runtime.join("run")).into_iter().flatten().flatten();
    let ids = entries.filter_map(|entry| entry.file_name().into_string().ok());
    ids.filter(|id| connect(store, id).is_some()).collect()
}

/// Kills every container, and each monitor that does not end with its container.
pub fn stop_all(store: &Store) {
    let monitors: Vec<OwnedFd> = running(store).iter().filter_map(|id| kill(store, id)).collect();
    monitors.iter().for_each(outlive);
}

/// The same for one.
pub fn stop(store: &Store, id: &str) {
    kill(store, id).iter().for_each(outlive);
}

fn outlive(monitor: &OwnedFd) {
    let ended = poll(&mut [PollFd::new(monitor, PollFlags::IN)], Some(&PATIENCE));
    if ended != Ok(1) {
        let _ = process::kill_pidfd(monitor.as_fd(), libc::SIGKILL);
    }
}

/// Asks the monitor to kill its container; gives the monitor, if there is one.
fn kill(store: &Store, id: &str) -> Option<OwnedFd> {
    let socket = connect(store, id)?;
    let monitor = process::pidfd_open(getsockopt(&socket, PeerCredentials).ok()?.pid()).ok()?;
    // One that does not listen is killed itself in the end.
    let _ = End::new(socket).send(&Message::Signal(libc::SIGKILL.unsigned_abs()));
    Some(monitor)
}

fn connect(store: &Store, id: &str) -> Option<OwnedFd> {
    socket::connect(&store.runtime.join("run").join(id).join("control")).ok()
}
