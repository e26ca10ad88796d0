//! Makes a layer of an archive. One thread reads, hashes, decompresses and hashes again, another unpacks.

use super::name::digest::{Digest, Hasher, Hashing};
use super::overlay::owner::Owners;
use super::stored::layer::{Blob, Info};
use super::tar::record::{self, Recorder};
use super::tar::stream::{self, Compression, Feed};
use super::tar::tape::{Tape, TapeError};
use super::tar::tree::{Displaced, Tree};
use super::tar::unpack::{Limits, UnpackError, Unpacker};
use crate::sys::{On, SysError};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A complete layer that nobody sees yet.
pub(crate) struct Ingested {
    /// The directory to be published by [`super::stored::layer::publish`].
    pub entry: PathBuf,
    pub info: Info,
}

/// Says whether a manifest names the archive by the digest of its compressed form.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum NamedByBlob {
    Yes,
    No,
}

/// Unpacks an archive, compressed or not, into the new directory `entry`.
pub(crate) fn ingest(
    entry: PathBuf,
    mut source: impl Read + Send,
    owners: &Owners,
    limits: Limits,
    created: &str,
    named: NamedByBlob,
) -> Result<Ingested, UnpackError> {
    let fs = entry.join("fs");
    fs::create_dir_all(&fs).on("mkdir", &fs)?;
    let limits = limits.on_disk_of(&fs)?;
    // An archive need not name its root, and the umask may close it.
    fs::set_permissions(&fs, fs::Permissions::from_mode(0o755)).on("chmod", &fs)?;
    let mut magic = [0; stream::MAGIC];
    let known = stream::fill(&mut source, &mut magic).map_err(TapeError::Read)?;
    let compression = Compression::of(&magic[..known]).map_err(UnpackError::Compression)?;
    let keeps_blob = match compression {
        Compression::None => false,
        Compression::Gzip | Compression::Zstd => true,
        // Registries need not take these, so they are kept only where a manifest names them.
        Compression::Xz | Compression::Bzip2 => named == NamedByBlob::Yes,
    };
    let (recorder, displaced) = if keeps_blob {
        (None, None)
    } else {
        let path = entry.join(record::FILE_NAME);
        (Some(Recorder::new(&path).on("open", &path)?), Some(Displaced::new(entry.join(record::DISPLACED))))
    };
    let blob = if keeps_blob { Some(BlobFile::create(&entry)?) } else { None };
    let source = Source { reader: (&magic[..known]).chain(source), blob, count: &AtomicU64::new(0) };
    let tree = Tree::new(&fs, limits.depth, displaced)?;
    let (feed, intake) = stream::channel();

    let (unpacked, produced) = std::thread::scope(|scope| {
        let producer = scope.spawn(|| produce(source, compression, &limits, feed));
        let mut tape = Tape::new(intake, recorder);
        let unpacked = Unpacker::new(tree, owners, limits).unpack(&mut tape);
        // Dropping its end of the stream stops the producer where the unpacker gave up.
        let (_, recorder) = tape.into_parts();
        (unpacked.map(|done| (done, recorder)), producer.join())
    });
    // If reading failed, the error of the unpacker follows from that.
    let produced = produced.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let ((totals, tree), recorder) = unpacked?;
    let Some(Produced { diff_id, archive, blob }) = produced else {
        return Err(TapeError::Read(io::ErrorKind::BrokenPipe.into()).into());
    };
    if let Some(recorder) = recorder {
        recorder.finish().on("write", entry.join(record::FILE_NAME))?;
    }
    if let Some(displaced) = tree.into_displaced().filter(|d| !d.moved.is_empty()) {
        record::write_index(&entry, &displaced.moved).on("write", entry.join(record::DISPLACED))?;
    }
    let media_type = compression.media_type();
    let blob = blob.map(|blob| blob.finish(media_type)).transpose()?;
    let info = Info { diff_id, size: totals.size, entries: totals.entries, archive, blob, created: created.to_owned() };
    let path = entry.join("info.json");
    fs::write(&path, crate::store::format::to_record(&info)).on("write", &path)?;
    Ok(Ingested { entry, info })
}

/// The result of the reading thread.
struct Produced {
    diff_id: Digest,
    archive: u64,
    blob: Option<BlobFile>,
}

/// Feeds the unpacker. `None`: the unpacker gave up, and returns the reason itself.
fn produce<R: Read + Send>(
    mut source: Source<'_, R>,
    compression: Compression,
    limits: &Limits,
    feed: Feed,
) -> Result<Option<Produced>, UnpackError> {
    let count = source.count;
    let mut decoder = compression.decode(&mut source).map_err(TapeError::Read)?;
    let (mut hasher, mut archive) = (Hasher::default(), 0);
    loop {
        let mut piece = feed.piece();
        let n = match stream::fill(&mut decoder, &mut piece) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(TapeError::Truncated(archive).into()),
            other => other.map_err(TapeError::Read)?,
        };
        archive += n as u64;
        limits.check(count.load(Ordering::Relaxed), archive)?;
        piece.truncate(n);
        hasher.update(&piece);
        if feed.send(piece).is_err() {
            return Ok(None);
        }
        if n == 0 {
            break;
        }
    }
    drop(decoder);
    // A decoder may stop before the last bytes of the blob, which are hashed all the same.
    io::copy(&mut source, &mut io::sink()).map_err(TapeError::Read)?;
    Ok(Some(Produced { diff_id: hasher.finish(), archive, blob: source.blob }))
}

/// Counts the bytes of the archive, and keeps them if they are a blob.
struct Source<'a, R> {
    reader: R,
    blob: Option<BlobFile>,
    /// The number of bytes, which the producer reads while the decoder holds the source.
    count: &'a AtomicU64,
}

impl<R: Read> Read for Source<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.reader.read(buffer)?;
        if let Some(blob) = &mut self.blob {
            blob.file.write_all(&buffer[..n])?;
        }
        self.count.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

struct BlobFile {
    file: Hashing<File>,
    path: PathBuf,
}

impl BlobFile {
    fn create(entry: &Path) -> Result<Self, SysError> {
        let directory = entry.join("blobs");
        fs::create_dir(&directory).on("mkdir", &directory)?;
        let path = directory.join("new");
        let file = Hashing::new(File::create_new(&path).on("open", &path)?);
        Ok(Self { file, path })
    }

    /// Names the file by its digest.
    fn finish(self, media_type: &str) -> Result<Blob, SysError> {
        let (_, digest, size) = self.file.finish();
        let path = self.path.with_file_name(digest.hex());
        fs::rename(&self.path, &path).on("rename", &path)?;
        Ok(Blob { digest, size, media_type: media_type.to_owned() })
    }
}
