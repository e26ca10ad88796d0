//! getsockopt(SO_PEERCRED): to the kernel all users of the container are one; who really is at the other end, its user namespace tells.

use super::caller::Caller;
use crate::sys::other;
use crate::sys::process;
use rustix::fs::{AtFlags, Mode, OFlags, openat, statat};
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};

/// The user and group of whom nothing is known.
const NOBODY: u32 = 65534;

pub(super) enum Peer {
    /// It was written to the caller's memory.
    Told,
    /// The kernel knows as much.
    Unknown,
    Fault,
}

/// Tells the caller who its socket's peer is.
pub(super) fn tell(caller: &Caller) -> Peer {
    let [number, _, _, to, room, _] = caller.call.arguments;
    let Some(credential) = find(caller, other::descriptor(number)) else { return Peer::Unknown };
    let mut length = [0; 4];
    if other::read_memory(caller.call.pid, room, &mut length) != length.len() {
        return Peer::Fault;
    }
    let bytes: Vec<u8> = credential.iter().flat_map(|number| number.to_ne_bytes()).collect();
    let Ok(length) = usize::try_from(i32::from_ne_bytes(length)) else { return Peer::Unknown };
    let bytes = bytes.get(..length).unwrap_or(&bytes);
    if !caller.still_waits() {
        return Peer::Unknown;
    }
    let told = other::write_memory(caller.call.pid, to, bytes)
        && other::write_memory(caller.call.pid, room, &(bytes.len() as u32).to_ne_bytes());
    if told { Peer::Told } else { Peer::Fault }
}

/// Returns pid, user and group of a socket's peer. `None`: it is no socket with a peer that is a process.
fn find(caller: &Caller, number: i32) -> Option<[u32; 3]> {
    let process = status(caller.proc, caller.call.pid, "Tgid:")?.parse().ok()?;
    let pidfd = process::pidfd_open(process).ok()?;
    let socket = other::take_descriptor(pidfd.as_fd(), number)?;
    let credential = rustix::net::sockopt::socket_peercred(&socket).ok()?;
    let pid = credential.pid.as_raw_nonzero().get();
    let ids = |file| only_id(caller.proc, pid, file);
    let (uid, gid) = (ids("uid_map"), ids("gid_map"));
    let inside = number_inside(caller, pid);
    // Its number may be another's by now: then nobody knows who it was.
    let lives = other::peer(socket.as_fd()).is_some_and(|peer| process::is_alive(peer.as_fd()));
    match (uid, gid) {
        (Some(uid), Some(gid)) if lives => Some([inside, uid, gid]),
        // It has more than one id: it is of the host.
        (None, None) if lives => Some([inside, credential.uid.as_raw(), credential.gid.as_raw()]),
        _ => Some([inside, NOBODY, NOBODY]),
    }
}

/// Returns a process's number in the PID namespace of the caller; 0 if it has none there.
fn number_inside(caller: &Caller, pid: i32) -> u32 {
    let namespace = |pid: i32| statat(caller.proc, format!("{pid}/ns/pid"), AtFlags::empty()).map(|found| found.st_ino);
    if namespace(pid).ok() != namespace(caller.call.pid).ok() {
        return 0;
    }
    let numbers = status(caller.proc, pid, "NSpid:").unwrap_or_default();
    numbers.split_whitespace().next_back().and_then(|number| number.parse().ok()).unwrap_or(0)
}

fn read(proc: BorrowedFd, path: String) -> Option<String> {
    let file = openat(proc, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = String::new();
    File::from(file).read_to_string(&mut text).ok()?;
    Some(text)
}

fn status(proc: BorrowedFd, pid: i32, field: &str) -> Option<String> {
    let text = read(proc, format!("{pid}/status"))?;
    text.lines().find_map(|line| line.strip_prefix(field)).map(|rest| rest.trim().to_owned())
}

/// Returns the only id that a process's namespace maps.
pub(super) fn only_id(proc: BorrowedFd, pid: i32, file: &str) -> Option<u32> {
    match crate::userns::parse_map(&read(proc, format!("{pid}/{file}"))?)[..] {
        [range] if range.count == 1 => Some(range.inside),
        _ => None,
    }
}
