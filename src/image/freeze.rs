//! Makes a writable directory a layer as it stands: copies nothing, and reads it once for its digest.

use super::error::ImageError;
use super::ingest::Ingested;
use super::name::digest::Hasher;
use super::overlay::creator;
use super::overlay::diff::{self, ChangeKind, Item};
use super::overlay::mark::{self, MarkName};
use super::stored::layer::Info;
use super::tar::pack::{self, PackError, Sink};
use super::tar::record::{self, Recorder};
use super::tar::tape::Record;
use crate::store;
use crate::sys::{On, SysError};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT};
use std::collections::HashMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

pub(crate) struct Options<'a> {
    /// The layers below, bottom first.
    pub lowers: &'a [PathBuf],
    /// Paths that the engine itself has made, as places to mount something on.
    pub leave_out: &'a [PathBuf],
    pub created: &'a str,
    /// The user whose new files are, where that must be noted.
    pub creator: Option<(u32, u32)>,
    /// No file is newer than this: a build at another time is to come out the same.
    pub latest: Option<i64>,
}

/// Takes `upper` away and makes it a layer in the new directory `entry`. Nobody may use `upper` any more.
pub(crate) fn freeze(upper: &Path, entry: PathBuf, options: &Options) -> Result<Ingested, ImageError> {
    let items = diff::items(upper, options.lowers, options.leave_out)?;
    creator::note(upper, &items, options.creator)?;
    let kept: HashMap<&Path, &Item> = items.iter().map(|item| (item.path.as_path(), item)).collect();
    tidy(upper, Path::new("/"), &kept, options.latest)?;
    fs::create_dir(&entry).on("mkdir", &entry)?;
    let tree = entry.join("fs");
    fs::rename(upper, &tree).on("rename", upper)?;
    let path = entry.join(record::FILE_NAME);
    let mut sealer = Sealer {
        hasher: Hasher::default(),
        recorder: Some(Recorder::new(&path).on("open", &path)?),
        refers: false,
        archive: 0,
        size: 0,
        entries: 0,
    };
    pack::pack(&tree, &items, &mut sealer)?;
    if let Some(recorder) = sealer.recorder.take() {
        recorder.finish().on("write", &path)?;
    }
    let info = Info {
        diff_id: sealer.hasher.finish(),
        size: sealer.size,
        entries: sealer.entries,
        archive: sealer.archive,
        blob: None,
        created: options.created.to_owned(),
    };
    let path = entry.join("info.json");
    fs::write(&path, store::format::to_record(&info)).on("write", &path)?;
    Ok(Ingested { entry, info })
}

/// The part of an archive that one root file system of several takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Share<'a> {
    /// The directory that this one lies in; `None`: it is the only one.
    pub directory: Option<&'a str>,
    pub is_last: bool,
}

/// Writes all that is in a directory as an archive of a root file system.
pub(crate) fn archive(tree: &Path, share: Share, output: impl Write) -> Result<(), ImageError> {
    let items = diff::items(tree, &[], &[])?;
    let mut output = Plain(output);
    pack::pack_below(tree, &items, share.directory, &mut output)?;
    if share.is_last {
        pack::end(&mut output)?;
    }
    Ok(output.flush().map_err(PackError::Write)?)
}

struct Plain<W>(W);

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<W: Write> Sink for Plain<W> {}

/// Removes what is not a change, and the notes of overlayfs.
fn tidy(directory: &Path, shown: &Path, kept: &HashMap<&Path, &Item>, latest: Option<i64>) -> Result<(), SysError> {
    for entry in fs::read_dir(directory).on("opendir", directory)? {
        let entry = entry.on("readdir", directory)?;
        let (path, shown) = (entry.path(), shown.join(entry.file_name()));
        let found = fs::symlink_metadata(&path).on("stat", &path)?;
        let whiteout = mark::is_whiteout(&found);
        let item = kept.get(shown.as_path());
        // fuse-overlayfs hides things by files of such names.
        let marked = MarkName::of(entry.file_name().as_bytes()).is_some();
        match item {
            _ if marked => continue,
            Some(item) if whiteout == (item.kind == ChangeKind::Deleted) && !found.file_type().is_socket() => {
                if whiteout {
                    continue;
                }
                strip(&path, item.opaque)?;
                if found.is_dir() {
                    tidy(&path, &shown, kept, latest)?;
                }
                date(&path, &found, latest)?;
            }
            _ => store::remove_tree(&path)?,
        }
    }
    Ok(())
}

fn strip(path: &Path, opaque: bool) -> Result<(), SysError> {
    let mut names = vec![0; 4096];
    let length = match rustix::fs::llistxattr(path, &mut names[..]) {
        Ok(0) | Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::RANGE) => return Ok(()),
        other => other.on("llistxattr", path)?,
    };
    for name in names[..length].split(|b| *b == 0).filter(|name| mark::is_note(name)) {
        if !(opaque && name == mark::OPAQUE.as_bytes()) {
            rustix::fs::lremovexattr(path, name).on("lremovexattr", path)?;
        }
    }
    Ok(())
}

/// Cuts times to whole seconds, as an archive has them, so that the layer is the same here and where it is pulled.
fn date(path: &Path, found: &fs::Metadata, latest: Option<i64>) -> Result<(), SysError> {
    let seconds = latest.map_or(found.mtime(), |latest| latest.min(found.mtime()));
    // A directory may have lost something just now, which changed its time.
    if !found.is_dir() && (found.mtime(), found.mtime_nsec()) == (seconds, 0) {
        return Ok(());
    }
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: seconds, tv_nsec: 0 },
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).on("utimensat", path)
}

/// The archive of the layer, which is nowhere kept whole: its digest, and the recording that gives it again.
struct Sealer {
    hasher: Hasher,
    recorder: Option<Recorder>,
    /// The bytes to come are the contents of a file, which need not be recorded.
    refers: bool,
    archive: u64,
    size: u64,
    entries: u64,
}

impl Write for Sealer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hasher.update(bytes);
        self.archive += bytes.len() as u64;
        if !self.refers {
            self.recorder.literal(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for Sealer {
    fn entry(&mut self) {
        self.entries += 1;
    }

    fn contents(&mut self, path: &[u8], size: u64) -> io::Result<()> {
        self.size += size;
        if let Some(recorder) = &mut self.recorder {
            self.refers = recorder.file(path, size, self.entries)?;
        }
        Ok(())
    }

    fn contents_end(&mut self) {
        self.refers = false;
    }
}
