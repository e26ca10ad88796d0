//! The user and the programs of this host.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// Returns the name of a user, from `/etc/passwd` alone: a static binary must not load the host's NSS modules.
pub(crate) fn listed_user_name(uid: u32) -> Option<String> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = uid.to_string();
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    })
}

/// Returns the name of the caller.
pub(crate) fn user_name(uid: u32) -> Option<String> {
    // A user of a directory service is not in the file; the session says who it is.
    listed_user_name(uid).or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty()))
}

/// Finds a program of the host in `PATH` and in the directories of system programs.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/bin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
}
