//! Where this process is: in the user namespace of its store, or outside.

use super::map::{IdMap, parse_map};
use super::shift;
use crate::store::Store;
use std::fs;
use std::path::PathBuf;

/// The variable that names the user namespace in which the command was typed, as its link in `/proc` does.
pub(super) const INSIDE_VARIABLE: &str = "MINIRUN_INSIDE";

/// Whether this process was started by [`begin`](super::begin): its user namespace is not the one it was started from.
pub(crate) fn is_inside() -> bool {
    outside().is_some_and(|outside| fs::read_link("/proc/self/ns/user").is_ok_and(|now| now != outside))
}

pub(super) fn is_of_own_namespace(pid: i32) -> bool {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/user")).ok();
    namespace("self").is_some_and(|own| namespace(&pid.to_string()) == Some(own))
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

/// Returns the user namespace in which the command was typed, if this process has left it.
fn outside() -> Option<PathBuf> {
    std::env::var_os(INSIDE_VARIABLE).map(PathBuf::from)
}

/// Returns the user namespace in which the command was typed, as its link in `/proc` names it.
pub(crate) fn of_host() -> Option<PathBuf> {
    outside().or_else(|| fs::read_link("/proc/self/ns/user").ok())
}
