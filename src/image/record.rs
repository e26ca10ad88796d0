//! The recording of a tar stream whose files lie unpacked beside it: everything but their contents, from which the same
//! stream comes back byte for byte, at a fraction of the room.

use super::tape::Record;
use super::tree::Moved;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

pub const FILE_NAME: &str = "record.zst";
/// Files whose names were taken by later entries; `index` says from whom.
pub const DISPLACED: &str = "displaced";
const LITERAL: u8 = 0;
const CONTENTS: u8 = 1;
const END: u8 = 2;
/// A reference to less is no shorter than the bytes.
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

    /// From here on come the contents of a file of the tree. `false`: too short to be worth it, record them.
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

/// Which files had to make way, in which order, and for which entries.
pub fn write_index(layer: &Path, moved: &[Moved]) -> io::Result<()> {
    let mut index = Vec::new();
    for one in moved {
        index.extend_from_slice(&one.by.to_le_bytes());
        write_bytes(&mut index, &one.path)?;
    }
    std::fs::write(layer.join(DISPLACED).join("index"), index)
}
