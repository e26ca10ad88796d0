//! The shifted ids of root's containers, and the store's record of whether this host supports them.

use super::host::user_name;
use super::map::{IdMap, IdRange, subordinate};
use crate::store::{self, Store};
use crate::sys::SysError;
use serde::{Deserialize, Serialize};
use std::fs;

/// The name of the record in the store.
const FILE: &str = "shift";

/// Beyond all ids that distributions, systemd and directory services give away (systemd's "Users, Groups, UIDs and GIDs"),
/// and below those that some programs take for negative.
const FREE: IdRange = IdRange { inside: 0, outside: 0x7000_0000, count: 0x0ffe_0000 };

/// The result of an attempt to use shifted ids.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Finding {
    Shifted {
        uids: IdRange,
        gids: IdRange,
    },
    /// Not supported, with the kernel's reason.
    Refused(String),
}

#[derive(Serialize, Deserialize)]
struct Record {
    /// The kernel's release: another kernel may answer otherwise.
    kernel: String,
    finding: Finding,
}

fn kernel() -> String {
    rustix::system::uname().release().to_string_lossy().into_owned()
}

impl Finding {
    /// Reads the record of this kernel. Returns `None` if there is none, or none that can be read.
    pub(crate) fn recorded(store: &Store) -> Option<Self> {
        let record: Record = store::format::from_record(&fs::read(store.path(FILE)).ok()?).ok()?;
        (record.kernel == kernel()).then_some(record.finding)
    }

    pub(crate) fn write_down(&self, store: &Store) -> Result<(), SysError> {
        let record = Record { kernel: kernel(), finding: self.clone() };
        store::write_durably(&store.path(FILE), &store::format::to_record(&record))
    }

    /// Returns the map, or `None` if containers have the ids of their caller.
    pub(crate) fn map(self) -> Option<IdMap> {
        match self {
            Self::Shifted { uids, gids } => Some(IdMap::Shifted { uids, gids }),
            Self::Refused(_) => None,
        }
    }
}

/// Chooses the ids to try: the subordinate range of root, else a free one.
pub(crate) fn choose() -> IdMap {
    let of_root = |file: &str| {
        let text = fs::read_to_string(file).unwrap_or_default();
        subordinate(&text, user_name(0).as_deref(), 0).first().map(|(outside, count)| IdRange {
            inside: 0,
            outside: *outside,
            count: *count,
        })
    };
    match (of_root("/etc/subuid"), of_root("/etc/subgid")) {
        (Some(uids), Some(gids)) => IdMap::Shifted { uids, gids },
        _ => {
            let given = ["/etc/subuid", "/etc/subgid"].map(|file| fs::read_to_string(file).unwrap_or_default());
            let free = beyond(&given.concat());
            IdMap::Shifted { uids: free, gids: free }
        }
    }
}

/// Returns the part of [`FREE`] after every range in these files' text.
fn beyond(text: &str) -> IdRange {
    let end = FREE.outside + FREE.count;
    let ends = text.lines().filter_map(|line| {
        let mut numbers = line.split(':').skip(1).map(|n| n.trim().parse::<u32>().ok());
        let (first, count) = (numbers.next()??, numbers.next()??);
        Some(first.saturating_add(count)).filter(|last| first < end && *last > FREE.outside)
    });
    let outside = ends.max().unwrap_or(FREE.outside).min(end - 1);
    IdRange { inside: 0, outside, count: end - outside }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_others_have_are_left_alone() {
        assert_eq!(beyond("ann:100000:65536\nbob:bad:1\n"), FREE);
        let last = FREE.outside + FREE.count;
        let next = beyond(&format!("ann:{}:65536\n", FREE.outside));
        assert_eq!((next.outside, next.outside + next.count), (FREE.outside + 65536, last));
        assert_eq!(beyond(&format!("ann:{last}:65536\n")), FREE);
        assert_eq!(beyond("ann:1:4294967294\n").count, 1);
    }
}
