//! Owners of files: the ids that the user namespace maps, and the notes that replace them where it maps one id only.

use crate::sys::{On, SysError, fs as sys};
use rustix::fs::{AtFlags, Gid, Mode, Uid};
use rustix::io::Errno;
use std::fmt;
use std::os::fd::AsFd;
use std::str::FromStr;

/// The attribute that notes the owner and mode of a file in its image, in one-id mode. Overlayfs copies it up with the file.
pub(crate) const STAT: &str = "user.minirun.stat";

/// `uid:gid:mode`, the mode in octal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    pub uid: u64,
    pub gid: u64,
    pub mode: u32,
}

impl Stat {
    /// Returns the mode bits that a user with one id needs to use a file.
    pub(crate) fn needed(is_directory: bool) -> u32 {
        if is_directory { 0o700 } else { 0o600 }
    }

    /// Returns the owner and mode of a file in its image, by its note if it has one.
    pub(crate) fn of_file(uid: u32, gid: u32, raw_mode: u32, note: Option<&[u8]>) -> Self {
        let mode = raw_mode & 0o7777;
        let found = Self { uid: u64::from(uid), gid: u64::from(gid), mode };
        let Some(noted) = note.and_then(|n| std::str::from_utf8(n).ok()).and_then(|n| n.parse::<Self>().ok()) else {
            return found;
        };
        let is_directory = raw_mode & libc::S_IFMT == libc::S_IFDIR;
        // A mode that does not follow from the note was set later, by chmod.
        if noted.mode | Self::needed(is_directory) == mode { noted } else { Self { mode, ..noted } }
    }
}

impl fmt::Display for Stat {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}:{:o}", self.uid, self.gid, self.mode)
    }
}

impl FromStr for Stat {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split(':');
        let mut next = || parts.next().ok_or(());
        let (uid, gid, mode) = (next()?, next()?, next()?);
        let number = |text: &str| text.parse().map_err(|_| ());
        Ok(Self { uid: number(uid)?, gid: number(gid)?, mode: u32::from_str_radix(mode, 8).map_err(|_| ())? })
    }
}

/// Ranges of ids that exist in this user namespace: first, how many.
#[derive(Debug, Clone)]
pub(crate) struct Ids(Vec<(u64, u64)>);

impl Ids {
    fn read(path: &str) -> Result<Self, SysError> {
        let text = std::fs::read_to_string(path).on("read", path)?;
        let range = |line: &str| {
            let mut numbers = line.split_whitespace().map(str::parse);
            Some((numbers.next()?.ok()?, numbers.nth(1)?.ok()?))
        };
        Ok(Self(text.lines().filter_map(range).collect()))
    }

    pub(crate) fn get(&self, id: u64) -> Option<u32> {
        let known = self.0.iter().any(|(first, count)| id >= *first && id - first < *count);
        // The last number of all means "leave as it is" to chown.
        u32::try_from(id).ok().filter(|id| known && *id != u32::MAX)
    }

    fn count(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Ids {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let range = |(first, count): &(u64, u64)| match count {
            0 | 1 => first.to_string(),
            _ => format!("{first} to {}", first + count - 1),
        };
        write!(f, "{}", self.0.iter().map(range).collect::<Vec<_>>().join(", "))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Owners {
    pub uids: Ids,
    pub gids: Ids,
    /// One-id mode: owners are noted, since files cannot be given to others.
    pub only_one: bool,
    /// The owner of all files, whatever owners an archive gives.
    pub always: Option<(u64, u64)>,
}

/// The reason why a file could not be given an owner.
#[derive(Debug)]
pub(crate) enum NotGiven {
    Unmapped { kind: &'static str, id: u64, owned: String },
    Call { call: &'static str, errno: Errno },
}

impl Owners {
    pub(crate) fn here() -> Result<Self, SysError> {
        let (uids, gids) = (Ids::read("/proc/self/uid_map")?, Ids::read("/proc/self/gid_map")?);
        let only_one = uids.count() == 1;
        Ok(Self { uids, gids, only_one, always: None })
    }

    /// Gives a file its owner and mode, or notes them.
    pub(crate) fn give(&self, file: &impl AsFd, stat: Stat, is_directory: bool) -> Result<(), NotGiven> {
        let failed = |call| move |errno| NotGiven::Call { call, errno };
        let (uid, gid) = self.always.unwrap_or((stat.uid, stat.gid));
        let stat = Stat { uid, gid, ..stat };
        let mut mode = stat.mode;
        if self.only_one {
            mode |= Stat::needed(is_directory);
            if (stat.uid, stat.gid, stat.mode) != (0, 0, mode) {
                sys::fsetxattr(file, STAT.as_bytes(), stat.to_string().as_bytes()).map_err(failed("fsetxattr"))?;
            }
        } else {
            let (uid, gid) = self.real(stat.uid, stat.gid)?;
            rustix::fs::fchown(file, Some(uid), Some(gid)).map_err(failed("fchown"))?;
        }
        rustix::fs::fchmod(file, Mode::from_raw_mode(mode)).map_err(failed("fchmod"))
    }

    /// [`Owners::give`] for a symbolic link, which has no mode of its own.
    pub(crate) fn give_link(&self, parent: impl AsFd, name: &[u8], uid: u64, gid: u64) -> Result<(), NotGiven> {
        if self.only_one {
            return Ok(());
        }
        let (uid, gid) = self.always.unwrap_or((uid, gid));
        let (uid, gid) = self.real(uid, gid)?;
        let given = rustix::fs::chownat(parent, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
        given.map_err(|errno| NotGiven::Call { call: "fchownat", errno })
    }

    fn real(&self, uid: u64, gid: u64) -> Result<(Uid, Gid), NotGiven> {
        let unmapped = |kind, id, ids: &Ids| NotGiven::Unmapped { kind, id, owned: ids.to_string() };
        let real_uid = self.uids.get(uid).ok_or_else(|| unmapped("user", uid, &self.uids))?;
        let real_gid = self.gids.get(gid).ok_or_else(|| unmapped("group", gid, &self.gids))?;
        Ok((Uid::from_raw(real_uid), Gid::from_raw(real_gid)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_within_and_outside_of_ranges() {
        let ids = Ids(vec![(0, 1), (1, 65536)]);
        assert_eq!((ids.get(0), ids.get(65536), ids.get(65537)), (Some(0), Some(65536), None));
        assert_eq!(ids.to_string(), "0, 1 to 65536");
        assert_eq!(Ids(vec![(0, 1 << 32)]).get(u64::from(u32::MAX)), None);
    }

    #[test]
    fn a_noted_owner_reads_as_written() {
        let stat = Stat { uid: 101, gid: 102, mode: 0o4755 };
        assert_eq!(stat.to_string(), "101:102:4755");
        assert_eq!("101:102:4755".parse(), Ok(stat));
        assert!("101:102".parse::<Stat>().is_err());
        let of = |mode| Stat::of_file(0, 0, libc::S_IFREG | mode, Some(b"101:102:440"));
        assert_eq!(of(0o640), Stat { uid: 101, gid: 102, mode: 0o440 });
        assert_eq!(of(0o644).mode, 0o644);
    }
}
