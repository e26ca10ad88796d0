//! The recording of a tar stream whose files lie unpacked beside it: everything but their contents, from which the same
//! stream comes back byte for byte, at a fraction of the room.

use super::sparse;
use super::tape::Record;
use super::tree::Moved;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

pub(crate) const FILE_NAME: &str = "record.zst";
/// The directory of files whose names later entries took. The file `index` in it lists the names and entries.
pub(crate) const DISPLACED: &str = "displaced";
const LITERAL: u8 = 0;
const CONTENTS: u8 = 1;
const END: u8 = 2;
/// The fewest bytes that a reference is shorter than.
const SMALLEST_REFERENCE: u64 = 128;
const LONGEST_LITERAL: usize = 64 << 10;

pub struct Recorder {
    output: zstd::stream::write::Encoder<'static, BufWriter<File>>,
    literal: Vec<u8>,
}

impl Recorder {
    pub fn new(path: &Path) -> io::Result<Self> {
        let output = zstd::stream::write::Encoder::new(BufWriter::new(File::create_new(path)?), 1)?;
        Ok(Self { output, literal: Vec::new() })
    }

    /// Records a reference to a file of the tree, whose contents follow. `false`: they are too short, and must be recorded.
    pub fn file(&mut self, path: &[u8], size: u64, entry: u64) -> io::Result<bool> {
        if size < SMALLEST_REFERENCE {
            return Ok(false);
        }
        self.flush()?;
        self.output.write_all(&[CONTENTS])?;
        self.output.write_all(&entry.to_le_bytes())?;
        self.output.write_all(&size.to_le_bytes())?;
        write_bytes(&mut self.output, path)?;
        Ok(true)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.literal.is_empty() {
            self.output.write_all(&[LITERAL])?;
            write_bytes(&mut self.output, &self.literal)?;
            self.literal.clear();
        }
        Ok(())
    }

    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.output.write_all(&[END])?;
        self.output.finish()?.flush()
    }
}

impl Record for Option<Recorder> {
    fn literal(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(recorder) = self else { return Ok(()) };
        recorder.literal.extend_from_slice(bytes);
        if recorder.literal.len() >= LONGEST_LITERAL { recorder.flush() } else { Ok(()) }
    }
}

fn write_bytes(output: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    output.write_all(&(bytes.len() as u64).to_le_bytes())?;
    output.write_all(bytes)
}

/// Writes the list of files that were put aside, in their order, with the entries that took their names.
pub(crate) fn write_index(layer: &Path, moved: &[Moved]) -> io::Result<()> {
    let mut index = Vec::new();
    for one in moved {
        index.extend_from_slice(&one.by.to_le_bytes());
        write_bytes(&mut index, &one.path)?;
    }
    std::fs::write(layer.join(DISPLACED).join("index"), index)
}

/// Reads the recorded stream. The caller must compare its digest.
pub(crate) struct Replay {
    input: Decoder,
    layer: OwnedFd,
    displaced: Vec<Moved>,
    current: Source,
}

type Decoder = zstd::stream::read::Decoder<'static, BufReader<File>>;

enum Source {
    Literal(u64),
    Contents(sparse::Reader),
    Ended,
}

impl Replay {
    pub(crate) fn new(layer: &Path) -> io::Result<Self> {
        let input = zstd::stream::read::Decoder::new(File::open(layer.join(FILE_NAME))?)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let displaced = read_index(layer)?;
        let layer = rustix::fs::open(layer, flags, Mode::empty())?;
        Ok(Self { input, layer, displaced, current: Source::Literal(0) })
    }

    fn next(&mut self) -> io::Result<()> {
        let mut tag = [0];
        self.input.read_exact(&mut tag)?;
        self.current = match tag[0] {
            LITERAL => Source::Literal(read_number(&mut self.input)?),
            CONTENTS => {
                let (entry, size) = (read_number(&mut self.input)?, read_number(&mut self.input)?);
                let path = read_bytes(&mut self.input)?;
                let path = locate(&self.displaced, &path, entry);
                let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
                let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
                let file = File::from(crate::sys::fs::openat2(&self.layer, &path, flags, resolve)?);
                if file.metadata()?.len() != size {
                    return Err(io::Error::other("a file in it was changed"));
                }
                Source::Contents(sparse::Reader::new(file, size)?)
            }
            END => Source::Ended,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        Ok(())
    }
}

impl Read for Replay {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let n = match &mut self.current {
                Source::Ended => return Ok(0),
                Source::Literal(0) => 0,
                Source::Literal(left) => {
                    let most = buffer.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    let n = self.input.read(&mut buffer[..most])?;
                    if n == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    *left -= n as u64;
                    n
                }
                Source::Contents(file) => file.read(buffer)?,
            };
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            self.next()?;
        }
    }
}

/// Returns the path of the file that an entry made: in the tree, or put aside by the first later entry that took its name or
/// that of a directory above it.
fn locate(displaced: &[Moved], path: &[u8], entry: u64) -> Vec<u8> {
    let above = |moved: &[u8]| path.strip_prefix(moved).is_some_and(|rest| rest.is_empty() || rest[0] == b'/');
    let aside = displaced.iter().enumerate().filter(|(_, moved)| moved.by > entry && above(&moved.path));
    match aside.min_by_key(|(_, moved)| moved.by) {
        Some((number, moved)) => [format!("{DISPLACED}/{number}").as_bytes(), &path[moved.path.len()..]].concat(),
        None => [b"fs/", path].concat(),
    }
}

fn read_index(layer: &Path) -> io::Result<Vec<Moved>> {
    let index = match std::fs::read(layer.join(DISPLACED).join("index")) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let mut rest = &index[..];
    let mut moved = Vec::new();
    while !rest.is_empty() {
        moved.push(Moved { by: read_number(&mut rest)?, path: read_bytes(&mut rest)? });
    }
    Ok(moved)
}

fn read_number(input: &mut impl Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    input.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Reads a path or another short text.
fn read_bytes(input: &mut impl Read) -> io::Result<Vec<u8>> {
    let length = read_number(input)?;
    let mut bytes = Vec::new();
    input.take(length).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == length { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_aside_is_found_by_the_time_it_was_made() {
        let moved = |path: &[u8], by| Moved { path: path.to_vec(), by };
        let displaced = [moved(b"a/b", 7), moved(b"a", 9)];
        let at = |path: &[u8], entry| String::from_utf8(locate(&displaced, path, entry)).unwrap();
        assert_eq!(at(b"a/b", 5), "displaced/0");
        assert_eq!(at(b"a/b", 7), "displaced/1/b");
        assert_eq!(at(b"a/b", 10), "fs/a/b");
        assert_eq!(at(b"ab", 1), "fs/ab");
    }
}
