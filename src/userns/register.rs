//! The register of monitors by which the namespace of a store is found again.

use super::here::is_above;
use super::map::parse_map;
use crate::store::Store;
use crate::sys::{On, SysError, process};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Returns the directory of the live monitors' names. Monitors with shifted ids have one of their own.
pub(super) fn registry(store: &Store, is_shifted: bool) -> PathBuf {
    store.runtime.join(if is_shifted { "userns-shifted" } else { "userns" })
}

pub(super) fn register(registry: &Path, pid: i32, started: u64) -> Result<(), SysError> {
    let name = registry.join(format!("{pid}-{started}"));
    fs::write(&name, "").on("write", name)
}

/// Registers a monitor again whose name somebody has removed, so that others join its namespace.
pub(crate) fn register_again(store: &Store, pid: i32, started: u64) -> Result<(), SysError> {
    let map = parse_map(&fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap_or_default());
    let is_shifted = is_above(store) && map.first().is_some_and(|range| range.outside != range.inside);
    let registry = registry(store, is_shifted);
    fs::create_dir_all(&registry).on("mkdir", &registry)?;
    register(&registry, pid, started)
}

/// Removes the name of this monitor, which ends.
pub(crate) fn leave(store: &Store) {
    let pid = outer_pid();
    let name = format!("{pid}-{}", process::start_time(pid).unwrap_or_default());
    for is_shifted in [false, true] {
        let _ = fs::remove_file(registry(store, is_shifted).join(&name));
    }
}

fn outer_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// Returns the user namespace of the first registered monitor that still lives, and removes the names of dead ones.
pub(super) fn live_monitor(registry: &Path) -> Option<(i32, File)> {
    for entry in fs::read_dir(registry).ok()?.flatten() {
        let name = entry.file_name();
        let found = name.to_str().and_then(|n| n.split_once('-')).and_then(|(pid, start)| {
            let (pid, start) = (pid.parse().ok()?, start.parse::<u64>().ok()?);
            // Opened first, compared afterwards: the namespace of a process that ended meanwhile is still the right one.
            let namespace = process::namespace(pid, "user").ok()?;
            (process::start_time(pid) == Some(start)).then_some((pid, namespace))
        });
        if found.is_some() {
            return found;
        }
        let _ = fs::remove_file(entry.path());
    }
    None
}
