//! Remembers the digests of files: a file with the same inode, size and times has the same content.

use crate::image::name::digest::Digest;
use crate::store;
use crate::sys::SysError;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The attributes that identify a version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Seen {
    device: u64,
    inode: u64,
    pub size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Seen {
    pub(crate) fn of(stat: &rustix::fs::Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size as u64,
            modified: (stat.st_mtime, stat.st_mtime_nsec as i64),
            changed: (stat.st_ctime, stat.st_ctime_nsec as i64),
        }
    }

    fn numbers(&self) -> [u64; 7] {
        let (modified, changed) = (self.modified, self.changed);
        [self.device, self.inode, self.size, modified.0 as u64, modified.1 as u64, changed.0 as u64, changed.1 as u64]
    }

    fn of_numbers(numbers: [u64; 7]) -> Self {
        let [device, inode, size, m, mn, c, cn] = numbers;
        Self { device, inode, size, modified: (m as i64, mn as i64), changed: (c as i64, cn as i64) }
    }
}

const RECORD: usize = 7 * 8 + 32;
/// The limit for entries; above it, those not used for the longest time are dropped.
const MOST: usize = 1 << 18;

/// The known digests of the files of one context.
#[derive(Default)]
pub(crate) struct Memo {
    path: Option<PathBuf>,
    known: HashMap<Seen, Digest>,
    /// The digests that this build used.
    used: HashMap<Seen, Digest>,
    grown: bool,
    begun: (i64, i64),
}

impl Memo {
    /// Loads the digests that earlier builds saved at `path`; an incomplete file counts as missing.
    pub(crate) fn load(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_default();
        let record = |bytes: &[u8]| {
            let (numbers, digest) = bytes.split_at(7 * 8);
            let mut all = [0; 7];
            for (number, bytes) in all.iter_mut().zip(numbers.chunks_exact(8)) {
                *number = u64::from_le_bytes(bytes.try_into().ok()?);
            }
            Some((Seen::of_numbers(all), Digest::from_bytes(digest.try_into().ok()?)))
        };
        let known = bytes.chunks_exact(RECORD).filter_map(record).collect();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let begun = (now.as_secs() as i64, i64::from(now.subsec_nanos()));
        Self { path: Some(path.to_owned()), known, begun, ..Self::default() }
    }

    pub(crate) fn get(&mut self, seen: &Seen) -> Option<Digest> {
        if let Some(digest) = self.used.get(seen) {
            return Some(*digest);
        }
        let digest = *self.known.get(seen)?;
        self.used.insert(*seen, digest);
        Some(digest)
    }

    pub(crate) fn insert(&mut self, seen: Seen, digest: Digest) {
        self.used.insert(seen, digest);
        self.grown = true;
    }

    /// Returns how many files this build has used, and their bytes.
    pub(crate) fn used(&self) -> (u64, u64) {
        (self.used.len() as u64, self.used.keys().map(|seen| seen.size).sum())
    }

    /// Saves the digests. A file that changed just before the build began is left out: it could change again within the
    /// resolution of its times.
    fn is_settled(&self, seen: &Seen) -> bool {
        // Some file systems have a resolution of one or two seconds.
        let grain = if seen.changed.1 == 0 { 2_500_000_000 } else { 50_000_000 };
        (self.begun.0 - seen.changed.0) * 1_000_000_000 + self.begun.1 - seen.changed.1 > grain
    }

    pub(crate) fn save(&self) -> Result<(), SysError> {
        let Some(path) = self.path.as_ref().filter(|_| self.grown) else { return Ok(()) };
        let old = self.known.iter().filter(|(seen, _)| !self.used.contains_key(seen)).take(MOST);
        let all = self.used.iter().filter(|(seen, _)| self.is_settled(seen)).chain(old);
        let mut bytes = Vec::new();
        for (seen, digest) in all {
            seen.numbers().iter().for_each(|number| bytes.extend(number.to_le_bytes()));
            bytes.extend(digest.bytes());
        }
        store::write_quickly(path, &bytes)
    }
}
