//! How the ids of a container become ids of the host, and how a namespace gets them.

use super::error::UsernsError;
use super::host::{program, user_name};
use crate::sys::On;
use serde::{Deserialize, Serialize};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A range of ids: `inside` is 0 for the container's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    pub inside: u32,
    pub outside: u32,
    pub count: u32,
}

/// Every [`IdMap::kind`].
pub(super) const KINDS: [&str; 3] = ["subordinate range", "root", "single id"];

/// How the ids of a container become ids of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdMap {
    /// The caller is the container's root, and a subordinate range follows: `newuidmap` and `newgidmap`.
    Range { uids: Vec<IdRange>, gids: Vec<IdRange> },
    /// Root's containers: unused ids; idmapped mounts keep the owners on disk unchanged.
    Shifted { uids: IdRange, gids: IdRange },
    /// Root: every id is itself.
    Identity { uids: Vec<IdRange>, gids: Vec<IdRange> },
    /// The caller is the container's root, and there is no other id.
    Single { uid: u32, gid: u32 },
}

impl IdMap {
    /// Returns the best map that this user can have.
    pub fn of_caller() -> Self {
        static FOUND: OnceLock<IdMap> = OnceLock::new();
        FOUND.get_or_init(Self::find).clone()
    }

    fn find() -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if uid == 0 {
            let own = |file| parse_map(&fs::read_to_string(file).unwrap_or_default());
            let identity =
                |ranges: Vec<IdRange>| ranges.into_iter().map(|r| IdRange { outside: r.inside, ..r }).collect();
            let uids: Vec<IdRange> = identity(own("/proc/self/uid_map"));
            let gids: Vec<IdRange> = identity(own("/proc/self/gid_map"));
            // Root of a namespace that has no other id has no more than a user without a range.
            let alone = |ranges: &[IdRange]| ranges.iter().map(|r| r.count).fold(0, u32::saturating_add) <= 1;
            return if alone(&uids) || alone(&gids) {
                Self::Single { uid, gid }
            } else {
                Self::Identity { uids, gids }
            };
        }
        let user = user_name(uid);
        let range = |file, own| {
            let mut inside = 1;
            let mut ranges = vec![IdRange { inside: 0, outside: own, count: 1 }];
            for (outside, count) in subordinate(&fs::read_to_string(file).unwrap_or_default(), user.as_deref(), uid) {
                ranges.push(IdRange { inside, outside, count });
                inside += count;
            }
            ranges
        };
        let (uids, gids) = (range("/etc/subuid", uid), range("/etc/subgid", gid));
        if uids.len() > 1 && gids.len() > 1 && program("newuidmap").is_some() && program("newgidmap").is_some() {
            Self::Range { uids, gids }
        } else {
            Self::Single { uid, gid }
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Range { .. } => "subordinate range",
            Self::Identity { .. } | Self::Shifted { .. } => "root",
            Self::Single { .. } => "single id",
        }
    }

    pub fn uids(&self) -> Vec<IdRange> {
        match self {
            Self::Range { uids, .. } | Self::Identity { uids, .. } => uids.clone(),
            Self::Shifted { uids, .. } => vec![*uids],
            Self::Single { uid, .. } => vec![IdRange { inside: 0, outside: *uid, count: 1 }],
        }
    }

    pub fn gids(&self) -> Vec<IdRange> {
        match self {
            Self::Range { gids, .. } | Self::Identity { gids, .. } => gids.clone(),
            Self::Shifted { gids, .. } => vec![*gids],
            Self::Single { gid, .. } => vec![IdRange { inside: 0, outside: *gid, count: 1 }],
        }
    }

    pub fn is_single(&self) -> bool {
        matches!(self, Self::Single { .. })
    }

    pub fn is_shifted(&self) -> bool {
        matches!(self, Self::Shifted { .. })
    }

    /// Maps the ids of a process that has just unshared its user namespace.
    pub fn write(&self, pid: i32) -> Result<(), UsernsError> {
        self.begin(pid)?.finish()
    }

    pub(super) fn begin(&self, pid: i32) -> Result<Mapping, UsernsError> {
        let proc = |file: &str, text: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::write(&path, text).on("write", path).map_err(UsernsError::Map)
        };
        match self {
            Self::Identity { .. } | Self::Shifted { .. } => {
                proc("uid_map", &map_text(&self.uids()))?;
                proc("gid_map", &map_text(&self.gids()))?;
                Ok(Mapping::Done)
            }
            Self::Single { .. } => {
                proc("setgroups", "deny")?;
                proc("uid_map", &map_text(&self.uids()))?;
                proc("gid_map", &map_text(&self.gids()))?;
                Ok(Mapping::Done)
            }
            // Both at once: each is a process of its own, and they do not wait for each other.
            Self::Range { uids, gids } => {
                Ok(Mapping::Helped([start_helper("newuidmap", pid, uids)?, start_helper("newgidmap", pid, gids)?]))
            }
        }
    }
}

/// The mapping of ids: done, or two set-user-ID programs are at it.
pub(super) enum Mapping {
    Done,
    Helped([Child; 2]),
}

impl Mapping {
    pub(super) fn finish(self) -> Result<(), UsernsError> {
        if let Self::Helped([uids, gids]) = self {
            finish_helper("newuidmap", uids)?;
            finish_helper("newgidmap", gids)?;
        }
        Ok(())
    }
}

fn map_text(ranges: &[IdRange]) -> String {
    ranges.iter().map(|r| format!("{} {} {}\n", r.inside, r.outside, r.count)).collect()
}

/// Parses the text of `/proc/PID/uid_map` (user_namespaces(7)).
pub(crate) fn parse_map(text: &str) -> Vec<IdRange> {
    text.lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(|n| n.parse().ok());
            Some(IdRange { inside: numbers.next()??, outside: numbers.next()??, count: numbers.next()?? })
        })
        .collect()
}

/// Returns the ranges of a user in the text of `/etc/subuid` or `/etc/subgid` (subuid(5)): first id and count.
pub(crate) fn subordinate(text: &str, user: Option<&str>, uid: u32) -> Vec<(u32, u32)> {
    let number = uid.to_string();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            if Some(owner) != user && owner != number {
                return None;
            }
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .filter(|(_, count)| *count > 0)
        .collect()
}

fn start_helper(name: &'static str, pid: i32, ranges: &[IdRange]) -> Result<Child, UsernsError> {
    let path = program(name).unwrap_or_else(|| name.into());
    let numbers = ranges.iter().flat_map(|r| [r.inside, r.outside, r.count]).map(|n| n.to_string());
    Command::new(&path)
        .arg(pid.to_string())
        .args(numbers)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .on("execve", path)
        .map_err(UsernsError::Map)
}

fn finish_helper(program: &'static str, child: Child) -> Result<(), UsernsError> {
    let output = child.wait_with_output().on("waitpid", program).map_err(UsernsError::Map)?;
    if output.status.success() {
        return Ok(());
    }
    let subject = user_name(rustix::process::getuid().as_raw()).unwrap_or_default();
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(UsernsError::Helper { program, subject, said })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subordinate_ranges_by_name_or_number() {
        let text = "root:1:2\nann:100000:65536\n1000:300000:10\nann:bad:1\nann:5:0\n";
        assert_eq!(subordinate(text, Some("ann"), 1000), [(100_000, 65536), (300_000, 10)]);
        assert_eq!(subordinate(text, None, 1001), []);
    }
}
