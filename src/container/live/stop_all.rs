//! Ends the containers of a store, also those whose records are damaged, through their monitors' sockets.

use crate::container::protocol::{End, Message};
use crate::container::request::id::ContainerId;
use crate::container::stored::record::State;
use crate::store;
use crate::store::{Store, StoreError};
use crate::sys::{process, socket};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};

/// How long a monitor may take to end its container.
const PATIENCE: Timespec = Timespec { tv_sec: 5, tv_nsec: 0 };

/// Returns the ids of the containers whose monitor answers or lives.
pub(crate) fn running(store: &Store) -> Vec<String> {
    let places = [store.runtime.join("run"), store.path("containers")];
    let entries = places.iter().filter_map(|place| fs::read_dir(place).ok()).flatten().flatten();
    let ids: BTreeSet<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    ids.into_iter().filter(|id| connect(store, id).is_some() || noted_monitor(store, id).is_some()).collect()
}

/// Kills every container, and each monitor that does not end with its container.
pub(crate) fn stop_all(store: &Store) {
    let monitors: Vec<OwnedFd> = running(store).iter().filter_map(|id| kill(store, id)).collect();
    monitors.iter().for_each(outlive);
}

/// Kills one container, and its monitor if that does not end with it.
pub(crate) fn stop(store: &Store, id: &str) {
    kill(store, id).iter().for_each(outlive);
}

fn outlive(monitor: &OwnedFd) {
    let ended = poll(&mut [PollFd::new(monitor, PollFlags::IN)], Some(&PATIENCE));
    if ended != Ok(1) {
        let _ = process::kill_pidfd(monitor.as_fd(), libc::SIGKILL);
    }
}

/// Asks the monitor to kill its container. Returns the monitor, if there is one.
fn kill(store: &Store, id: &str) -> Option<OwnedFd> {
    let Some(socket) = connect(store, id) else {
        // Its socket was removed. Its container dies with it.
        let monitor = noted_monitor(store, id)?;
        let _ = process::kill_pidfd(monitor.as_fd(), libc::SIGKILL);
        return Some(monitor);
    };
    let monitor = process::pidfd_open(getsockopt(&socket, PeerCredentials).ok()?.pid()).ok()?;
    // One that does not listen is killed itself in the end.
    let _ = End::new(socket).send(&Message::Signal(libc::SIGKILL.unsigned_abs()));
    Some(monitor)
}

/// Returns the monitor that the container's state names, if it lives.
fn noted_monitor(store: &Store, id: &str) -> Option<OwnedFd> {
    let text = fs::read(store.path("containers").join(id).join("state.json")).ok()?;
    let state: State = store::format::from_record(&text).ok()?;
    let monitor = process::pidfd_open(state.monitor.0).ok()?;
    (state.phase.has_monitor() && state.monitor_lives()).then_some(monitor)
}

fn connect(store: &Store, id: &str) -> Option<OwnedFd> {
    socket::connect(&store.runtime.join("run").join(id).join("control")).ok()
}

/// Removes a container whose record is damaged, whether it runs or not.
pub(crate) fn remove_damaged(store: &Store, id: &ContainerId) -> Result<(), StoreError> {
    let runtime = store.runtime.join("run").join(id);
    stop(store, id.as_str());
    let _ = store::remove_tree(&runtime);
    match store.withdraw(&store.path("containers").join(id))? {
        Some(withdrawn) => Ok(withdrawn.discard()?),
        None => Ok(()),
    }
}
