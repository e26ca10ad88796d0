//! Compresses layers piece by piece on several processors. The pieces are whole gzip members or zstd frames, cut at fixed
//! places: the same archive gives the same bytes on every machine.

use super::stream;
use super::stream::{Compression, Feed, Intake};
use std::io::{self, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Much longer than gzip looks back, and short enough for several to be in memory.
const PIECE: usize = 512 << 10;
/// Twice as fast as zlib's default, and no longer.
const GZIP_LEVEL: i32 = 4;
const ZSTD_LEVEL: i32 = 3;

/// Reads `archive` to its end on threads of `scope`. Returns the compressed stream, which the reader must drain or drop, and
/// which returns the errors of reading.
pub(crate) fn compress<'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    archive: impl Read + Send + 'scope,
    compression: Compression,
    threads: usize,
) -> Compressed {
    let (feed, intake) = stream::channel();
    let (failed, failure) = sync_channel(1);
    scope.spawn(move || {
        if let Err(error) = run(archive, compression, threads.max(1), feed) {
            let _ = failed.send(error);
        }
    });
    Compressed { intake, failure }
}

pub(crate) struct Compressed {
    intake: Intake,
    failure: Receiver<io::Error>,
}

impl Read for Compressed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // A stream that breaks off does so for a reason.
        self.intake.read(buffer).map_err(|broken| self.failure.recv().unwrap_or(broken))
    }
}

/// Each worker has a queue of its own and they take turns, so that what they give comes in order.
fn run(mut archive: impl Read, compression: Compression, threads: usize, feed: Feed) -> io::Result<()> {
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| sync_channel::<Vec<u8>>(1)).collect();
        let (pieces, inputs): (Vec<_>, Vec<_>) = workers.into_iter().unzip();
        let mut outputs = Vec::new();
        for input in inputs {
            let (done, output) = sync_channel::<io::Result<Vec<u8>>>(1);
            scope.spawn(move || work(&input, &done, compression));
            outputs.push(output);
        }
        let writer = scope.spawn(move || collect(&outputs, feed));
        let mut number = 0;
        let read = loop {
            let mut piece = vec![0; PIECE];
            let n = match stream::fill(&mut archive, &mut piece) {
                Ok(n) => n,
                Err(error) => break Err(error),
            };
            piece.truncate(n);
            // An empty archive has one piece, too.
            if n == 0 && number > 0 || pieces[number % threads].send(piece).is_err() {
                break Ok(());
            }
            number += 1;
        };
        drop(pieces);
        let feed = writer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        read?;
        // Without this last, empty piece the stream has broken off.
        let _ = feed.send(Vec::new());
        Ok(())
    })
}

fn work(input: &Receiver<Vec<u8>>, done: &SyncSender<io::Result<Vec<u8>>>, compression: Compression) {
    let mut encoder = Encoder::new(compression);
    while let Ok(piece) = input.recv() {
        if done.send(encoder.encode(piece)).is_err() {
            return;
        }
    }
}

/// The encoder of one worker, for whole pieces in memory.
enum Encoder {
    None,
    Gzip(Box<libdeflater::Compressor>),
    Zstd,
    Unsuited,
}

impl Encoder {
    fn new(compression: Compression) -> Self {
        match compression {
            Compression::None => Self::None,
            Compression::Gzip => {
                let level = libdeflater::CompressionLvl::new(GZIP_LEVEL).unwrap_or_default();
                Self::Gzip(Box::new(libdeflater::Compressor::new(level)))
            }
            Compression::Zstd => Self::Zstd,
            Compression::Xz | Compression::Bzip2 => Self::Unsuited,
        }
    }

    fn encode(&mut self, piece: Vec<u8>) -> io::Result<Vec<u8>> {
        match self {
            Self::None => Ok(piece),
            Self::Gzip(compressor) => {
                let mut member = vec![0; compressor.gzip_compress_bound(piece.len())];
                let length = compressor.gzip_compress(&piece, &mut member).map_err(io::Error::other)?;
                member.truncate(length);
                Ok(member)
            }
            Self::Zstd => zstd::bulk::compress(&piece, ZSTD_LEVEL),
            Self::Unsuited => Err(io::Error::other("layers are compressed by gzip or zstd only")),
        }
    }
}

fn collect(outputs: &[Receiver<io::Result<Vec<u8>>>], feed: Feed) -> io::Result<Feed> {
    for output in outputs.iter().cycle() {
        let Ok(piece) = output.recv() else { break };
        if feed.send(piece?).is_err() {
            break;
        }
    }
    Ok(feed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn through(archive: &[u8], compression: Compression, threads: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        std::thread::scope(|scope| {
            compress(scope, Cursor::new(archive), compression, threads).read_to_end(&mut bytes).unwrap();
        });
        bytes
    }

    #[test]
    fn the_same_bytes_on_any_number_of_processors() {
        let archive: Vec<u8> = (0..3 * PIECE + 17).map(|i| (i / 5 % 251) as u8).collect();
        for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
            for archive in [&archive[..], &[]] {
                let compressed = through(archive, compression, 1);
                assert_eq!(compressed, through(archive, compression, 3));
                let mut back = Vec::new();
                compression.decode(Cursor::new(compressed)).unwrap().read_to_end(&mut back).unwrap();
                assert_eq!(back, archive);
            }
        }
    }

    #[test]
    fn what_cannot_be_read_does_not_end_well() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("gone"))
            }
        }
        std::thread::scope(|scope| {
            let mut stream = compress(scope, [0; 100].as_slice().chain(Broken), Compression::Gzip, 2);
            let error = stream.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.to_string(), "gone");
        });
    }
}
