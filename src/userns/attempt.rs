//! Attempts in a child process, which takes the consequences with it when it ends.

use crate::sys::process::{self, Fork};
use crate::sys::{On, SysError};
use rustix::mount::{MountPropagationFlags, mount_change};
use std::fs;
use std::io::{Read, Write};

/// The reason why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub errno: i32,
    pub what: String,
}

impl From<SysError> for Refusal {
    fn from(error: SysError) -> Self {
        Self { errno: error.errno, what: error.to_string() }
    }
}

/// Runs `what` in a child. Returns its result.
pub(crate) fn attempt(what: impl FnOnce() -> Result<(), SysError>) -> Result<(), Refusal> {
    let (mut answer, mut tell) = std::io::pipe().on("pipe2", "")?;
    match process::fork()? {
        Fork::Child => {
            if let Err(error) = what() {
                let refusal = Refusal::from(error);
                let _ = tell.write_all(&[&refusal.errno.to_ne_bytes(), refusal.what.as_bytes()].concat());
                process::exit_now(1);
            }
            process::exit_now(0)
        }
        Fork::Parent(child) => {
            drop(tell);
            let mut bytes = Vec::new();
            answer.read_to_end(&mut bytes).on("read", "a pipe")?;
            match (process::wait(child)?, bytes.split_first_chunk()) {
                (0, _) => Ok(()),
                (_, Some((errno, what))) => {
                    let what = String::from_utf8_lossy(what).into_owned();
                    Err(Refusal { errno: i32::from_ne_bytes(*errno), what })
                }
                (status, None) => {
                    Err(Refusal { errno: 0, what: format!("the attempt was ended with status {status}") })
                }
            }
        }
    }
}

/// Enters a new user namespace with the caller's own id, and the namespaces of `kinds`.
pub(crate) fn enter_namespaces(kinds: i32) -> Result<(), SysError> {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    process::unshare(libc::CLONE_NEWUSER, "CLONE_NEWUSER")?;
    for (file, text) in
        [("setgroups", "deny".to_owned()), ("uid_map", format!("0 {uid} 1")), ("gid_map", format!("0 {gid} 1"))]
    {
        let path = format!("/proc/self/{file}");
        fs::write(&path, text).on("write", path)?;
    }
    if kinds != 0 {
        process::unshare(kinds, "the other namespaces")?;
    }
    if kinds & libc::CLONE_NEWNS != 0 {
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).on("mount", "/")?;
    }
    Ok(())
}

/// Runs `parent` with the pid of a child that waits in a user namespace of its own.
pub(crate) fn with_namespace<E: From<SysError>>(parent: impl FnOnce(i32) -> Result<(), E>) -> Result<(), E> {
    let (mut ready, mut tell) = std::io::pipe().on("pipe2", "")?;
    let (mut wait, hold) = std::io::pipe().on("pipe2", "")?;
    match process::fork()? {
        Fork::Child => {
            drop(hold);
            if process::unshare(libc::CLONE_NEWUSER, "CLONE_NEWUSER").is_ok() {
                let _ = tell.write_all(b"u");
                let _ = wait.read(&mut [0]);
            }
            process::exit_now(0)
        }
        Fork::Parent(child) => {
            drop(tell);
            let mut byte = [0];
            let result = match ready.read_exact(&mut byte) {
                Ok(()) => parent(child),
                Err(error) => Err(error).on("unshare", "CLONE_NEWUSER").map_err(E::from),
            };
            drop(hold);
            process::wait(child)?;
            result
        }
    }
}
