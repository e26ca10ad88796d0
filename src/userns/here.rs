//! Where this process is: in the user namespace of its store, or outside.

use super::map::{IdMap, parse_map};
use super::shift;
use super::user::of_container;
use crate::store::Store;
use crate::sys::SysError;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The user namespace in which the command was typed, if this process was started by [`begin`](super::begin) in another one.
static OUTSIDE: OnceLock<PathBuf> = OnceLock::new();

/// Notes in which user namespace the command was typed.
///
/// # Errors
/// `EPERM` where this process is in that namespace.
pub(super) fn note_outside(namespace: PathBuf) -> Result<(), SysError> {
    if own_namespace().is_none_or(|own| own == namespace) || OUTSIDE.set(namespace).is_err() {
        return Err(SysError { call: "readlink", subject: OWN.into(), errno: libc::EPERM });
    }
    Ok(())
}

const OWN: &str = "/proc/self/ns/user";

fn own_namespace() -> Option<PathBuf> {
    fs::read_link(OWN).ok()
}

/// Whether this process was started by [`begin`](super::begin), so that the command was typed in another user namespace.
pub(crate) fn is_inside() -> bool {
    OUTSIDE.get().is_some()
}

/// Whether a container's process belongs to the user namespace of this process.
pub(crate) fn is_of_own_namespace(pid: i32) -> bool {
    let inode = |file: fs::Metadata| file.ino();
    let of_process = of_container(pid).ok().and_then(|namespace| namespace.metadata().ok()).map(inode);
    of_process.is_some() && fs::metadata(OWN).ok().map(inode) == of_process
}

/// Returns the user id of this process in the namespace where the command was typed.
pub(crate) fn uid_outside() -> u32 {
    let uid = rustix::process::geteuid().as_raw();
    if !is_inside() {
        return uid;
    }
    let map = parse_map(&fs::read_to_string("/proc/self/uid_map").unwrap_or_default());
    let range = map.iter().find(|range| (range.inside..range.inside.saturating_add(range.count)).contains(&uid));
    range.map_or(uid, |range| range.outside + (uid - range.inside))
}

/// Whether the ids of an image are real ids to this process: it went inside, or is the host's root and need not.
pub(crate) fn has_ids(store: &Store) -> bool {
    is_inside() || is_above(store)
}

/// Whether the caller is root and its containers have ids of their own: the store then has the real ids.
pub(super) fn is_above(store: &Store) -> bool {
    matches!(IdMap::of_caller(), IdMap::Identity { .. })
        && matches!(shift::Finding::recorded(store), Some(shift::Finding::Shifted { .. }))
}

/// Returns the user namespace in which the command was typed, as its link in `/proc` names it.
pub(crate) fn of_host() -> Option<PathBuf> {
    OUTSIDE.get().cloned().or_else(own_namespace)
}
