//! The user namespace of a user that is not root, where there is one id only: the id of the caller bears that user's number.

use super::map::parse_map;
use crate::sys::process;
use crate::sys::{On, SysError};
use std::fs;
use std::os::fd::OwnedFd;

/// Makes a user namespace whose only user and group are these. This process keeps its own; it needs CAP_SETFCAP there.
pub(crate) fn of_user(uid: u32, gid: u32) -> Result<OwnedFd, SysError> {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).on("pipe2", "")?;
    let Some(child) = process::clone3(libc::CLONE_NEWUSER, None)? else {
        process::die_with_parent(libc::SIGKILL);
        // Its files in /proc must be its own, whatever its parent is.
        process::set_dumpable(true);
        let _ = rustix::io::write(&write, b"u");
        drop(write);
        loop {
            std::thread::park();
        }
    };
    drop(write);
    let is_there = rustix::io::read(&read, &mut [0]) == Ok(1);
    let made = if is_there { map(child.pid, uid, gid) } else { Err(lost(child.pid)) };
    let _ = process::kill_pidfd(std::os::fd::AsFd::as_fd(&child.pidfd), libc::SIGKILL);
    let _ = process::wait(child.pid);
    made
}

fn lost(pid: i32) -> SysError {
    SysError { call: "clone3", subject: format!("process {pid} was killed"), errno: libc::ESRCH }
}

fn map(pid: i32, uid: u32, gid: u32) -> Result<OwnedFd, SysError> {
    let write = |file: &str, text: &str| {
        let path = format!("/proc/{pid}/{file}");
        fs::write(&path, text).on("write", path)
    };
    // It is denied already, since the namespace around it has one id only.
    let _ = write("setgroups", "deny");
    write("uid_map", &format!("{uid} {} 1", rustix::process::geteuid().as_raw()))?;
    write("gid_map", &format!("{gid} {} 1", rustix::process::getegid().as_raw()))?;
    Ok(process::namespace(pid, "user")?.into())
}

/// Returns the user namespace of a process if its only user and group are these.
pub(crate) fn of_same_user(pid: i32, uid: u32, gid: u32) -> Option<OwnedFd> {
    let namespace = process::namespace(pid, "user").ok()?;
    (only_id(pid, "uid_map") == Some(uid) && only_id(pid, "gid_map") == Some(gid)).then(|| namespace.into())
}

/// Returns the only user of a process's namespace, if that is not root.
pub(crate) fn user_of(pid: i32) -> Option<u32> {
    only_id(pid, "uid_map").filter(|uid| *uid != 0)
}

fn only_id(pid: i32, file: &str) -> Option<u32> {
    match parse_map(&fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?)[..] {
        [range] if range.count == 1 => Some(range.inside),
        _ => None,
    }
}

/// Opens the user namespace of the container of a process: the one around it, where the process is a user of its own.
pub(crate) fn of_container(pid: i32) -> Result<fs::File, SysError> {
    let namespace = process::namespace(pid, "user")?;
    match user_of(pid) {
        Some(_) => process::parent_namespace(&namespace),
        None => Ok(namespace),
    }
}
