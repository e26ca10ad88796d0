//! A container's log: one JSON object a line, as Docker's json-file driver writes it. It is `log.json`, and what came before
//! is `log.json.1`, `log.json.2`, …: a bounded number of files of a bounded size.

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
    /// With its newline, unless the line was longer than [`LONGEST`] or the last one.
    pub log: String,
    pub stream: String,
    pub time: String,
}

/// A longer line is told in pieces.
const LONGEST: usize = 16 * 1024;

/// The writing side.
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    /// Of the file.
    size: u64,
    options: LogOptions,
    partial: [Vec<u8>; 2],
    /// Lines that found no room on the disk.
    lost: u64,
    /// Where in the file that is said.
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

    /// Whole entries, as many into each file as fit. A full disk must not stop the container.
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

    /// Says how many lines are missing, in what is left of the file's last block, or in the place of the last entries; and
    /// then again and again in the same place, which takes no room.
    fn tell_loss(&mut self) {
        let Ok(file) = OpenOptions::new().read(true).write(true).open(&self.path) else { return };
        let text = notice(self.lost);
        if let Some(place) = self.notice {
            let _ = file.write_all_at(&text, place);
            return;
        }
        let mut fits = file.write_all_at(&text, self.size).is_ok();
        if !fits {
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

    /// Begins a new file. Between any two of its steps there is a log that can be read; where one fails, the old file goes on.
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

/// An entry that takes as much room whatever the number is.
fn notice(lost: u64) -> Vec<u8> {
    const ROOM: usize = 160;
    let mut text = Vec::new();
    let lines = if lost == 1 { "line" } else { "lines" };
    entry(&mut text, Stream::Stderr, format!("minirun: {lost} {lines} found no room on the disk\n").as_bytes());
    text.pop();
    text.resize(ROOM.max(text.len()), b' ');
    text.push(b'\n');
    text
}

/// Where the last entries begin that take so much room together, and how many they are.
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
    Some((first + begin as u64, text[begin..].iter().filter(|byte| **byte == b'\n').count() as u64))
}

/// The name of the file that is so many files back.
fn rotated(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    if number > 0 {
        name.push(format!(".{number}"));
    }
    name.into()
}

/// How much of a piece may be cut off without cutting a character of UTF-8 in two.
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
