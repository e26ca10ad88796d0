//! A container's log: one JSON object a line, as Docker's json-file driver writes it.

use super::protocol::Stream;
use crate::sys::{On, SysError};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

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
pub struct Log {
    file: File,
    partial: [Vec<u8>; 2],
}

impl Log {
    pub fn append_to(path: &Path) -> Result<Self, SysError> {
        let file = OpenOptions::new().append(true).create(true).open(path).on("open", path)?;
        Ok(Self { file, partial: [Vec::new(), Vec::new()] })
    }

    pub fn append(&mut self, stream: Stream, bytes: &[u8]) {
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
        // A full disk must not stop the container.
        let _ = self.file.write_all(&lines);
    }

    /// Writes what has no newline yet.
    pub fn finish(&mut self) {
        let mut lines = Vec::new();
        for stream in [Stream::Stdout, Stream::Stderr] {
            let rest = std::mem::take(&mut self.partial[stream as usize]);
            if !rest.is_empty() {
                entry(&mut lines, stream, &rest);
            }
        }
        let _ = self.file.write_all(&lines);
    }
}

/// The last entries of a log.
pub fn last(path: &Path, most: usize) -> Vec<Entry> {
    const ENOUGH: u64 = 64 * 1024;
    let Ok(mut file) = File::open(path) else { return Vec::new() };
    let length = file.seek(SeekFrom::End(0)).unwrap_or(0);
    let mut text = Vec::new();
    let _ = file.seek(SeekFrom::Start(length.saturating_sub(ENOUGH))).and_then(|_| file.read_to_end(&mut text));
    let entries = text.split(|byte| *byte == b'\n').rev().filter_map(|line| serde_json::from_slice(line).ok());
    let mut last: Vec<Entry> = entries.take(most).collect();
    last.reverse();
    last
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
