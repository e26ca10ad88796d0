//! System calls: one thin typed function each, under the call's own name; the only module that may hold `unsafe`.
#![allow(unsafe_code)]

pub(crate) mod descriptor;
pub(crate) mod forbidden;
pub(crate) mod fs;
pub(crate) mod inet;
pub(crate) mod keyring;
pub(crate) mod memfd;
pub(crate) mod memory;
pub(crate) mod mount;
pub(crate) mod netlink;
pub(crate) mod other;
pub(crate) mod process;
pub(crate) mod seccomp;
pub(crate) mod socket;
pub(crate) mod trace;
pub(crate) mod tun;

use std::path::Path;

/// A system call that failed: which one, on what, and what the kernel said.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{call}{}{subject}: {}", if subject.is_empty() { "" } else { " " }, describe(*errno))]
pub struct SysError {
    /// The call's own name, as in its manual page.
    pub call: &'static str,
    /// The path, process or address it was about.
    pub subject: String,
    /// The kernel's answer.
    pub errno: i32,
}

use crate::diag::ErrorCode;
impl SysError {
    /// The disk has no room, or no inodes.
    pub fn is_full(&self) -> bool {
        self.errno == libc::ENOSPC || self.errno == libc::EDQUOT
    }
}

impl crate::diag::Diagnose for SysError {
    fn code(&self) -> Option<ErrorCode> {
        self.is_full().then_some(ErrorCode::DiskFull)
    }

    fn hint(&self) -> Option<String> {
        if self.errno == libc::EROFS {
            return Some(
                "mount the file system for writing; if the kernel has made it read-only after a fault, dmesg says so"
                    .into(),
            );
        }
        self.is_full().then(|| "the disk is full; see what minirun holds: minirun system df".into())
    }
}

fn describe(errno: i32) -> String {
    let text = std::io::Error::from_raw_os_error(errno).to_string();
    let mut chars = text.split(" (os error").next().unwrap_or_default().chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => format!("error {errno}"),
    }
}

/// Names the call and the subject of a failure: `File::open(p).on("open", p)?`.
pub(crate) trait On<T> {
    fn on(self, call: &'static str, subject: impl AsRef<Path>) -> Result<T, SysError>;
}

impl<T, E: Into<std::io::Error>> On<T> for Result<T, E> {
    fn on(self, call: &'static str, subject: impl AsRef<Path>) -> Result<T, SysError> {
        self.map_err(|error| {
            let error: std::io::Error = error.into();
            SysError {
                call,
                subject: subject.as_ref().display().to_string(),
                errno: error.raw_os_error().unwrap_or(libc::EIO),
            }
        })
    }
}
