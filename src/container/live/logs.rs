//! A container's log: one JSON object a line, as Docker's json-file driver writes it. `log.json` is the newest file, before
//! it come `log.json.1`, `log.json.2`, …: a bounded number of files of a bounded size.

mod read;

pub use read::{Reader, last};

use crate::container::protocol::Stream;
use crate::container::request::LogOptions;
use crate::sys::{On, SysError};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    /// The line with its newline, unless it was longer than [`LONGEST`] or the last one.
    pub log: String,
    pub stream: String,
    pub time: String,
}

/// The longest entry in bytes; a longer line becomes several entries.
const LONGEST: usize = 16 * 1024;

/// The writing side of a log.
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    /// The size of the file in bytes.
    size: u64,
    options: LogOptions,
    partial: [Vec<u8>; 2],
    /// Lines that found no room on the disk.
    lost: u64,
    /// The place of the notice that counts them, once it is written.
    notice: Option<u64>,
}

impl Log {
    pub(crate) fn append_to(path: PathBuf, options: LogOptions) -> Result<Self, SysError> {
        let file = OpenOptions::new().append(true).create(true).open(&path).on("open", &path)?;
        let size = file.metadata().on("fstat", &path)?.len();
        let mut log = Self { path, file, size, options, partial: [Vec::new(), Vec::new()], lost: 0, notice: None };
        // A monitor that was killed may have left half an entry, which must not spoil the next one.
        let mut end = [b'\n'];
        let read = File::open(&log.path).and_then(|file| file.read_at(&mut end, size.saturating_sub(1)));
        if read.is_ok() && end != [b'\n'] {
            log.write(b"\n");
        }
        Ok(log)
    }

    /// Writes whole entries, as many into each file as fit. A full disk does not stop the container.
    fn write(&mut self, mut lines: &[u8]) {
        if self.lost > 0 && self.notice.is_none() {
            self.tell_loss();
        }
        while !lines.is_empty() {
            let room = self.options.max_size.map_or(u64::MAX, |most| most.saturating_sub(self.size));
            let fitting = lines.len().min(usize::try_from(room).unwrap_or(usize::MAX));
            let is_newline = |byte: &u8| *byte == b'\n';
            let length = match lines[..fitting].iter().rposition(is_newline) {
                Some(end) => end + 1,
                None if self.size > 0 && self.rotate() => continue,
                // Too long for any file, or the old file goes on.
                None => lines.iter().position(is_newline).map_or(lines.len(), |end| end + 1),
            };
            if self.file.write_all(&lines[..length]).is_err() {
                // No half entry stays before the next one.
                let _ = self.file.set_len(self.size);
                self.lost += lines.iter().copied().filter(|byte| is_newline(byte)).count() as u64;
                return self.tell_loss();
            }
            self.size += length as u64;
            if self.notice.take().is_some() {
                self.lost = 0;
            }
            lines = &lines[length..];
        }
    }

    /// Writes how many lines are missing into what is left of the file's last block, or in place of the last entries. Later
    /// notices overwrite the first, which takes no room.
    fn tell_loss(&mut self) {
        let Ok(file) = OpenOptions::new().read(true).write(true).open(&self.path) else { return };
        let text = notice(self.lost);
        if let Some(place) = self.notice {
            let _ = file.write_all_at(&text, place);
            return;
        }
        let mut fits = file.write_all_at(&text, self.size).is_ok();
        if !fits {
            // No half notice stays where no entry can make room.
            let _ = file.set_len(self.size);
            let Some((place, lines)) = last_entries(&file, self.size, text.len()) else { return };
            self.lost += lines;
            self.size = place;
            fits = file.set_len(place).is_ok() && file.write_all_at(&notice(self.lost), place).is_ok();
        }
        if fits {
            self.notice = Some(self.size);
            self.size += text.len() as u64;
        } else {
            let _ = file.set_len(self.size);
        }
    }

    /// Begins a new file. After each of its steps the log can be read; if one fails, the old file continues.
    fn rotate(&mut self) -> bool {
        let oldest = self.options.max_files.saturating_sub(1);
        for number in (1..oldest).rev() {
            let _ = fs::rename(rotated(&self.path, number), rotated(&self.path, number + 1));
        }
        let away = match oldest {
            0 => fs::remove_file(&self.path),
            _ => fs::rename(&self.path, rotated(&self.path, 1)),
        };
        // One that was taken away already, when the new one could not be made.
        if away.is_err_and(|error| error.kind() != ErrorKind::NotFound) {
            return false;
        }
        let new = OpenOptions::new().append(true).create(true).open(&self.path);
        let begun = new.is_ok();
        if let Ok(file) = new {
            (self.file, self.size) = (file, 0);
            if self.notice.take().is_some() {
                self.lost = 0;
            }
        }
        begun
    }

    pub(crate) fn append(&mut self, stream: Stream, bytes: &[u8]) {
        let partial = &mut self.partial[stream as usize];
        partial.extend_from_slice(bytes);
        let mut lines = Vec::new();
        let mut begin = 0;
        while begin < partial.len() {
            let end = match partial[begin..].iter().position(|b| *b == b'\n') {
                Some(at) if at < LONGEST => begin + at + 1,
                _ if partial.len() - begin >= LONGEST => begin + whole_characters(&partial[begin..begin + LONGEST]),
                _ => break,
            };
            entry(&mut lines, stream, &partial[begin..end]);
            begin = end;
        }
        partial.drain(..begin);
        self.write(&lines);
    }

    /// Writes what has no newline yet.
    pub(crate) fn finish(&mut self) {
        let mut lines = Vec::new();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = std::mem::take(&mut self.partial[stream as usize]);
            if !rest.is_empty() {
                entry(&mut lines, stream, &rest);
            }
        }
        self.write(&lines);
    }
}

/// The beginning of a notice.
const NOTICE: &str = "minirun: ";

/// Returns an entry that tells how many lines are missing. It takes as much room whatever the number is.
fn notice(lost: u64) -> Vec<u8> {
    const ROOM: usize = 160;
    let mut text = Vec::new();
    let lines = if lost == 1 { "line" } else { "lines" };
    entry(&mut text, Stream::Stderr, format!("{NOTICE}{lost} {lines} found no room on the disk\n").as_bytes());
    text.pop();
    text.resize(ROOM.max(text.len()), b' ');
    text.push(b'\n');
    text
}

/// Returns how many lines a notice tells of. `None`: it is an entry of the container, which no spaces end.
fn lost_before(line: &[u8]) -> Option<u64> {
    if line.last() != Some(&b' ') {
        return None;
    }
    let entry: Entry = serde_json::from_slice(line).ok()?;
    entry.log.strip_prefix(NOTICE)?.split(' ').next()?.parse().ok()
}

/// Returns where the last entries begin that take so much room together, and how many lines they stand for: a notice
/// among them stands for those that it tells of.
fn last_entries(file: &File, size: u64, room: usize) -> Option<(u64, u64)> {
    let mut text = vec![0; usize::try_from(size).unwrap_or(usize::MAX).min(64 * 1024)];
    let first = size - text.len() as u64;
    file.read_exact_at(&mut text, first).ok()?;
    let last = text.len().checked_sub(room)?;
    let begin = match text[..last].iter().rposition(|byte| *byte == b'\n') {
        Some(end) => end + 1,
        None if first == 0 => 0,
        None => return None,
    };
    let lines = text[begin..].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    Some((first + begin as u64, lines.map(|line| lost_before(line).unwrap_or(1)).sum()))
}

/// Returns the name of an older file, by how many files it is back.
fn rotated(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    if number > 0 {
        name.push(format!(".{number}"));
    }
    name.into()
}

/// Returns the length of a piece that ends with a whole character of UTF-8.
fn whole_characters(piece: &[u8]) -> usize {
    let starts = |byte: &u8| byte & 0b1100_0000 != 0b1000_0000;
    match piece.iter().rev().take(4).position(starts) {
        // The last character may be whole; the next piece begins with it all the same.
        Some(back) if piece[piece.len() - 1 - back] >= 0x80 => piece.len() - 1 - back,
        _ => piece.len(),
    }
}

fn entry(lines: &mut Vec<u8>, stream: Stream, bytes: &[u8]) {
    let entry = Entry {
        log: String::from_utf8_lossy(bytes).into_owned(),
        stream: if stream == Stream::Stdout { "stdout" } else { "stderr" }.into(),
        time: jiff::Timestamp::now().to_string(),
    };
    if serde_json::to_writer(&mut *lines, &entry).is_ok() {
        lines.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::{Stream, entry, last_entries, lost_before, notice};
    use std::fs::File;
    use std::io::Write;

    #[test]
    fn a_notice_that_makes_room_hands_on_its_lines() {
        let path = std::env::temp_dir().join(format!("minirun-log-{}", std::process::id()));
        let mut text = Vec::new();
        entry(&mut text, Stream::Stdout, b"kept\n");
        let kept = text.len() as u64;
        text.extend(notice(12));
        entry(&mut text, Stream::Stdout, b"minirun: 7 lines found no room on the disk\n");
        File::create(&path).unwrap().write_all(&text).unwrap();
        let file = File::open(&path).unwrap();
        assert_eq!(last_entries(&file, text.len() as u64, notice(1).len()), Some((kept, 13)));
        std::fs::remove_file(&path).unwrap();
        assert_eq!(lost_before(notice(950).trim_ascii_end()), None);
    }
}
