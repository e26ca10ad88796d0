//! Sparse files: reads them without reading their holes, and writes holes in place of zeros.

use rustix::fs::SeekFrom;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};

/// The block size of file systems. A shorter run of zeros saves no space.
const BLOCK: usize = 4096;
static ZEROS: [u8; BLOCK] = [0; BLOCK];

/// Reads the first `size` bytes of a file, or fewer if the file was truncated.
pub(crate) struct Reader {
    file: File,
    at: u64,
    size: u64,
    /// The end of the data or of the hole at `at`.
    until: u64,
    is_hole: bool,
}

impl Reader {
    pub(crate) fn new(file: File, size: u64) -> io::Result<Self> {
        // A file that occupies as much space as it is long has no holes.
        let has_holes = file.metadata()?.blocks() * 512 < size;
        Ok(Self { file, at: 0, size, until: if has_holes { 0 } else { size }, is_hole: false })
    }

    /// Returns the number of bytes that were not read yet.
    pub(crate) fn left(&self) -> u64 {
        self.size - self.at
    }

    /// Looks up what comes next. A file system without sparse files reports everything as data.
    fn look(&mut self) {
        self.until = match rustix::fs::seek(&self.file, SeekFrom::Data(self.at)) {
            Ok(data) if data > self.at => data,
            Ok(_) => {
                self.is_hole = false;
                self.until = rustix::fs::seek(&self.file, SeekFrom::Hole(self.at)).unwrap_or(self.size);
                return;
            }
            Err(rustix::io::Errno::NXIO) if self.file.metadata().is_ok_and(|now| now.len() >= self.size) => self.size,
            Err(_) => {
                (self.until, self.is_hole) = (self.size, false);
                return;
            }
        };
        self.is_hole = true;
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.size {
            return Ok(0);
        }
        if self.at >= self.until {
            self.look();
        }
        let left = self.until.min(self.size) - self.at;
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = if self.is_hole {
            buffer[..most].fill(0);
            most
        } else {
            self.file.read_at(&mut buffer[..most], self.at)?
        };
        self.at += n as u64;
        Ok(n)
    }
}

/// Fills a new file from its beginning; blocks of zeros become holes.
pub(crate) struct Writer<'a> {
    file: &'a File,
    at: u64,
    /// It ends with a hole, so its length must still be set.
    short: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(file: &'a File) -> Self {
        Self { file, at: 0, short: false }
    }

    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            // Bytes that are never written read as zeros, so a block may arrive in several pieces.
            let mut n = (BLOCK - (self.at % BLOCK as u64) as usize).min(bytes.len());
            let is_hole = is_zeros(&bytes[..n]);
            while n < bytes.len() {
                let next = &bytes[n..(n + BLOCK).min(bytes.len())];
                if is_zeros(next) != is_hole {
                    break;
                }
                n += next.len();
            }
            if !is_hole {
                self.file.write_all_at(&bytes[..n], self.at)?;
            }
            self.short = is_hole;
            self.at += n as u64;
            bytes = &bytes[n..];
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> io::Result<()> {
        if self.short { self.file.set_len(self.at) } else { Ok(()) }
    }
}

/// Takes one block at most.
fn is_zeros(bytes: &[u8]) -> bool {
    bytes == &ZEROS[..bytes.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_takes_the_room_it_needs() {
        let block = |byte| vec![byte; BLOCK];
        for (parts, blocks) in [
            (vec![block(0), block(1), block(0), block(0), block(2)[..100].to_vec()], 2),
            (vec![block(1), vec![0; 10 * BLOCK]], 1),
            (vec![vec![0; 10 * BLOCK + 7]], 1),
            (vec![vec![1; 3], vec![0; 2 * BLOCK], vec![1; 3]], 3),
            (vec![vec![]], 0),
        ] {
            let whole = parts.concat();
            for piece in [512, 1000, BLOCK, 1 << 20] {
                let file = tempfile::tempfile().unwrap();
                let mut writer = Writer::new(&file);
                whole.chunks(piece).for_each(|piece| writer.write(piece).unwrap());
                writer.finish().unwrap();
                assert!(file.metadata().unwrap().blocks() * 512 <= blocks * BLOCK as u64);
                let mut read = Vec::new();
                let size = whole.len() as u64;
                Reader::new(file.try_clone().unwrap(), size).unwrap().read_to_end(&mut read).unwrap();
                assert_eq!(read, whole, "in pieces of {piece}");
                // Cut while it is read.
                let mut reader = Reader::new(file.try_clone().unwrap(), size).unwrap();
                file.set_len(0).unwrap();
                read.clear();
                reader.read_to_end(&mut read).unwrap();
                assert_eq!(read, [0; 0]);
            }
        }
    }
}
