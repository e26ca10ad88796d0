//! The reading side: from the oldest event on, and across rotations.

#![deny(clippy::indexing_slicing)]

use super::Event;
use crate::store::Store;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

pub(super) const LOG: &str = "log";
pub(super) const OLDER: &str = "log.1";

/// The names of the journal's files.
pub(crate) const FILES: [&str; 2] = [LOG, OLDER];

pub(crate) const DIRECTORY: &str = "events";

/// Returns the directory of the journal.
pub(crate) fn directory(store: &Store) -> PathBuf {
    store.path(DIRECTORY)
}

/// Reads events. A line that is damaged, or that a killed command has left unfinished, is passed over.
pub(crate) struct Reader {
    directory: PathBuf,
    /// The file that is read, and the one to read after it.
    current: Option<BufReader<File>>,
    next: Option<BufReader<File>>,
    /// The beginning of a line that has no newline yet.
    line: Vec<u8>,
}

impl Reader {
    /// Begins with the oldest event.
    pub(crate) fn of_all(store: &Store) -> Self {
        let directory = directory(store);
        let newest = open(&directory.join(LOG));
        // Opened after it: a rotation in between makes both the same file.
        let older = open(&directory.join(OLDER));
        let is_same = older.as_ref().is_some_and(|older| inode(older) == newest.as_ref().and_then(inode));
        let (current, next) = match older {
            Some(older) if !is_same => (Some(older), newest),
            _ => (newest, None),
        };
        Self { directory, current, next, line: Vec::new() }
    }

    /// Begins after the newest event.
    pub(crate) fn of_new(store: &Store) -> io::Result<Self> {
        let directory = directory(store);
        let mut current = open(&directory.join(LOG));
        if let Some(file) = &mut current {
            file.seek(SeekFrom::End(0))?;
        }
        Ok(Self { directory, current, next: None, line: Vec::new() })
    }

    /// Returns the next event, if there is one yet.
    pub(crate) fn event(&mut self) -> io::Result<Option<Event>> {
        loop {
            if self.current.is_none() {
                self.current = self.next.take().or_else(|| open(&self.directory.join(LOG)));
            }
            let Some(file) = &mut self.current else { return Ok(None) };
            // Looked at before the end is seen: whoever writes after a rotation has opened the file before.
            let is_newest = self.next.is_none()
                && fs::metadata(self.directory.join(LOG)).ok().map(|found| found.ino()) == inode(file);
            let read = file.read_until(b'\n', &mut self.line)?;
            if self.line.last() == Some(&b'\n') {
                let event = serde_json::from_slice(&self.line);
                self.line.clear();
                match event {
                    Ok(event) => return Ok(Some(event)),
                    Err(_) => continue,
                }
            }
            if read > 0 {
                continue;
            }
            if is_newest {
                return Ok(None);
            }
            if self.next.is_none() && !self.directory.join(LOG).exists() {
                return Ok(None);
            }
            self.line.clear();
            self.current = None;
        }
    }
}

fn open(path: &Path) -> Option<BufReader<File>> {
    File::open(path).ok().map(BufReader::new)
}

fn inode(file: &BufReader<File>) -> Option<u64> {
    file.get_ref().metadata().ok().map(|found| found.ino())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{Kind, note};
    use std::io::Write;

    #[test]
    fn events_are_read_across_rotations_and_damage() {
        let root = std::env::temp_dir().join(format!("minirun-journal-{}", std::process::id()));
        fs::create_dir(&root).unwrap();
        let store = Store { root: root.clone(), runtime: root.join("run") };
        let mut new = Reader::of_new(&store).unwrap();
        let event = |number: usize| Event::now(Kind::Image, "tag", number.to_string()).with("name", "x".repeat(900));
        for number in 0..1500 {
            note(&store, &[event(number)]);
            if number == 700 {
                let mut log = fs::OpenOptions::new().append(true).open(directory(&store).join(LOG)).unwrap();
                log.write_all(b"{\"time\":1,\n").unwrap();
            }
        }
        let numbers = |reader: &mut Reader| -> Vec<usize> {
            std::iter::from_fn(|| reader.event().unwrap()).map(|event| event.id.parse().unwrap()).collect()
        };
        let all = numbers(&mut Reader::of_all(&store));
        assert!(all.windows(2).all(|pair| matches!(pair, [a, b] if a + 1 == *b)) && all.last() == Some(&1499));
        // One rotation has happened: both files are there, and none is larger than the bound allows.
        assert!(fs::metadata(directory(&store).join(OLDER)).unwrap().len() < (1 << 20) + 2000);
        assert_eq!(numbers(&mut new).last(), Some(&1499));
        note(&store, &[event(1500)]);
        assert_eq!(numbers(&mut new), [1500]);
        fs::remove_dir_all(&root).unwrap();
    }
}
