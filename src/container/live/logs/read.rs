//! The reading side of a log, across its files and while they are being rotated.

use super::{Entry, rotated};
use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Reads from the oldest entry on, and skips an entry that a killed monitor has left unfinished.
pub struct Reader {
    path: PathBuf,
    /// The files from the oldest on; the first is being read.
    files: VecDeque<BufReader<File>>,
    /// The beginning of an entry that has no newline yet.
    line: Vec<u8>,
}

impl Reader {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), files: newer_than(path, None), line: Vec::new() }
    }

    /// Returns the next entry, if there is one yet.
    pub fn entry(&mut self) -> io::Result<Option<Entry>> {
        loop {
            if self.files.is_empty() {
                self.files = newer_than(&self.path, None);
            }
            let Some(file) = self.files.front_mut() else { return Ok(None) };
            let read = file.read_until(b'\n', &mut self.line)?;
            if self.line.last() == Some(&b'\n') {
                let entry = serde_json::from_slice(&self.line);
                self.line.clear();
                match entry {
                    Ok(entry) => return Ok(Some(entry)),
                    Err(_) => continue,
                }
            }
            if read > 0 {
                continue;
            }
            let inode = file.get_ref().metadata()?.ino();
            if self.files.len() == 1 {
                if fs::metadata(&self.path).is_ok_and(|now| now.ino() == inode) {
                    return Ok(None);
                }
                let newer = newer_than(&self.path, Some(inode));
                if newer.is_empty() {
                    return Ok(None);
                }
                self.files.extend(newer);
                // It was written to until it got its new name: whatever that was is there now.
                continue;
            }
            // Nobody writes to it any more.
            self.files.pop_front();
            self.line.clear();
        }
    }
}

/// Returns the files of a log from the oldest on, or those after the one with this inode.
fn newer_than(path: &Path, inode: Option<u64>) -> VecDeque<BufReader<File>> {
    loop {
        let found = opened(path, inode);
        // A rotation meanwhile gives the files other names; one is told by its first file, which is another now.
        let newest = fs::metadata(path).map(|now| now.ino()).ok();
        if found.back().is_none_or(|(own, _)| newest.is_none_or(|newest| newest == *own)) {
            return found.into_iter().map(|(_, file)| file).collect();
        }
    }
}

fn opened(path: &Path, inode: Option<u64>) -> VecDeque<(u64, BufReader<File>)> {
    let mut found: VecDeque<(u64, BufReader<File>)> = VecDeque::new();
    // Between two renames one number is missing.
    let mut missing = 0;
    for number in 0.. {
        match File::open(rotated(path, number)).and_then(|file| Ok((file.metadata()?.ino(), file))) {
            Ok((own, _)) if Some(own) == inode => break,
            Ok((own, _)) if found.iter().any(|(other, _)| *other == own) => {}
            Ok((own, file)) => found.push_front((own, BufReader::new(file))),
            Err(_) if missing == 1 => break,
            Err(_) => missing += 1,
        }
    }
    found
}

/// Returns the last entries of a log.
pub fn last(path: &Path, most: usize) -> Vec<Entry> {
    let mut last = VecDeque::new();
    for number in 0..2 {
        for entry in end_of(&rotated(path, number)).into_iter().rev() {
            if last.len() < most {
                last.push_front(entry);
            }
        }
    }
    last.into()
}

fn end_of(path: &Path) -> Vec<Entry> {
    const ENOUGH: u64 = 64 * 1024;
    let Ok(mut file) = File::open(path) else { return Vec::new() };
    let length = file.seek(SeekFrom::End(0)).unwrap_or(0);
    let mut text = Vec::new();
    let _ = file.seek(SeekFrom::Start(length.saturating_sub(ENOUGH))).and_then(|_| file.read_to_end(&mut text));
    text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}
