//! Recognizes and decodes compression, and passes a stream from one thread to another.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
    Zstd,
    Xz,
    Bzip2,
}

/// The number of bytes by which they are told apart.
pub(crate) const MAGIC: usize = 6;
const BUFFER: usize = 256 << 10;

impl Compression {
    /// Recognizes the compression. `Err`: the name of one that is not supported.
    pub(crate) fn of(beginning: &[u8]) -> Result<Self, &'static str> {
        match beginning {
            [0x1f, 0x8b, ..] => Ok(Self::Gzip),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Ok(Self::Zstd),
            // A skippable frame, with which eStargz-like zstd layers may begin.
            [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Ok(Self::Zstd),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Ok(Self::Xz),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Ok(Self::Bzip2),
            [0x5d, 0, 0, ..] => Err("lzma"),
            _ => Ok(Self::None),
        }
    }

    /// Returns the media type of a layer. The specification defines the first three; the others follow its pattern.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::None => "application/vnd.oci.image.layer.v1.tar",
            Self::Gzip => "application/vnd.oci.image.layer.v1.tar+gzip",
            Self::Zstd => "application/vnd.oci.image.layer.v1.tar+zstd",
            Self::Xz => "application/vnd.oci.image.layer.v1.tar+xz",
            Self::Bzip2 => "application/vnd.oci.image.layer.v1.tar+bzip2",
        }
    }

    pub(crate) fn decode<'a>(self, input: impl Read + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        let input = BufReader::with_capacity(BUFFER, input);
        Ok(match self {
            Self::None => Box::new(input),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(input)),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(input)?),
            Self::Xz => Box::new(lzma_rust2::XzReader::new(input, true)),
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(input)),
        })
    }
}

/// Reads until the buffer is full or the input ends.
pub(crate) fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}

const PIECE: usize = 512 << 10;
const PIECES: usize = 4;

/// Makes the two ends of a stream with at most [`PIECES`] pieces in it. Used pieces go back to be filled again.
pub(crate) fn channel() -> (Feed, Intake) {
    let (full, filled) = sync_channel(PIECES);
    let (empty, emptied) = sync_channel(PIECES + 2);
    let feed = Feed { full, emptied };
    (feed, Intake { filled, empty, piece: Vec::new(), used: 0, ended: false })
}

pub(crate) struct Feed {
    full: SyncSender<Vec<u8>>,
    emptied: Receiver<Vec<u8>>,
}

/// The thread at the other end has given up.
pub(crate) struct Abandoned;

impl Feed {
    /// Returns a buffer for the next piece.
    pub(crate) fn piece(&self) -> Vec<u8> {
        let mut piece = self.emptied.try_recv().unwrap_or_default();
        piece.resize(PIECE, 0);
        piece
    }

    /// Sends a piece. An empty one ends the stream, which has broken off without it.
    pub(crate) fn send(&self, piece: Vec<u8>) -> Result<(), Abandoned> {
        self.full.send(piece).map_err(|_| Abandoned)
    }
}

/// A writer to a [`Feed`].
pub(crate) struct Outlet {
    feed: Feed,
    piece: Vec<u8>,
}

impl Outlet {
    pub(crate) fn new(feed: Feed) -> Self {
        Self { feed, piece: Vec::with_capacity(PIECE) }
    }

    /// Ends the stream, which breaks off without this.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.feed.send(Vec::new()).map_err(|Abandoned| io::ErrorKind::BrokenPipe.into())
    }
}

impl Write for Outlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = bytes.len().min(PIECE - self.piece.len());
        self.piece.extend_from_slice(&bytes[..n]);
        if self.piece.len() == PIECE {
            self.flush()?;
        }
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let mut next = self.feed.emptied.try_recv().unwrap_or_default();
        next.clear();
        let full = std::mem::replace(&mut self.piece, next);
        self.feed.send(full).map_err(|Abandoned| io::ErrorKind::BrokenPipe.into())
    }
}

pub(crate) struct Intake {
    filled: Receiver<Vec<u8>>,
    empty: SyncSender<Vec<u8>>,
    piece: Vec<u8>,
    used: usize,
    ended: bool,
}

impl BufRead for Intake {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.piece.len() && !self.ended {
            let next = self.filled.recv().map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
            self.ended = next.is_empty();
            // Full only if the feeding thread is gone.
            let _ = self.empty.try_send(std::mem::replace(&mut self.piece, next));
            self.used = 0;
        }
        Ok(&self.piece[self.used..])
    }

    fn consume(&mut self, n: usize) {
        self.used += n;
    }
}

impl Read for Intake {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let n = available.len().min(buffer.len());
        buffer[..n].copy_from_slice(&available[..n]);
        self.consume(n);
        Ok(n)
    }
}
