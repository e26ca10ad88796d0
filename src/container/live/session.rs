//! The end of a log-in session and the containers that outlive it (logind.conf(5), loginctl(1)).

use super::cgroup::group_of;
use crate::userns;
use std::fs;
use std::path::{Path, PathBuf};

/// The manager that ends a process when its user logs out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The user's systemd, which ends itself after the last session.
    WithLastSession,
    /// logind, which ends what each session leaves behind.
    WithEachSession,
}

impl Ending {
    /// Returns what ends this process. `None`: it stays.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let uid = userns::uid_outside();
        let group = group_of(pid)?;
        if group.contains(&format!("/user@{uid}.service/")) {
            return (!lingers(uid)).then_some(Self::WithLastSession);
        }
        let in_session = group.split('/').any(|part| part.starts_with("session-") && part.ends_with(".scope"));
        (in_session && kills(uid)).then_some(Self::WithEachSession)
    }

    pub(crate) fn note(self) -> &'static str {
        match self {
            Self::WithLastSession => "this container ends when you log out for the last time",
            Self::WithEachSession => "this container ends when you log out here (KillUserProcesses=yes in logind.conf)",
        }
    }

    /// Returns the command that makes it stay.
    pub(crate) fn mend(self) -> String {
        let uid = userns::uid_outside();
        let name = userns::user_name(uid).unwrap_or_else(|| uid.to_string());
        let linger = format!("loginctl enable-linger {name}");
        match self {
            Self::WithLastSession => linger,
            Self::WithEachSession if lingers(uid) => "systemd-run --user --scope minirun run -d …".into(),
            Self::WithEachSession => format!("{linger}; systemd-run --user --scope minirun run -d …"),
        }
    }
}

/// Whether the user's systemd stays after the last session.
pub(crate) fn lingers(uid: u32) -> bool {
    let name = userns::user_name(uid).unwrap_or_else(|| uid.to_string());
    Path::new("/var/lib/systemd/linger").join(name).exists()
}

/// Whether logind ends what a session of this user leaves behind. It does so only where it is configured to, and
/// never for root.
pub(crate) fn kills(uid: u32) -> bool {
    let mut files = vec![PathBuf::from("/etc/systemd/logind.conf")];
    let directories = ["/usr/lib", "/run", "/etc"].map(|above| Path::new(above).join("systemd/logind.conf.d"));
    let mut added: Vec<PathBuf> = directories
        .iter()
        .filter_map(|directory| fs::read_dir(directory).ok())
        .flatten()
        .flatten()
        .map(|e| e.path())
        .collect();
    added.sort_by_key(|path| path.file_name().map(ToOwned::to_owned));
    files.extend(added);
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    let mut told = texts.filter_map(|text| {
        let mut values = text.lines().filter_map(|line| line.trim().strip_prefix("KillUserProcesses="));
        values.next_back().map(|value| ["yes", "true", "on", "1"].contains(&value.trim()))
    });
    uid != 0 && told.next_back().unwrap_or(false)
}
