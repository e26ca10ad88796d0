//! Compares an unpacked layer with its archive.

use crate::image::name::digest::{Digest, Hashing};
use crate::image::overlay::mark::MarkName;
use crate::image::tar::tape::{Entry, Kind, Run, Tape, TapeError};
use crate::image::tar::tree;
use crate::image::tar::tree::Components;
use crate::image::tar::unpack::Limits;
use crate::sys::fs::openat2;
use crate::sys::{On, SysError};
use rustix::fs::{AtFlags, FileType, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    #[error(transparent)]
    Tape(#[from] TapeError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

/// Reads an uncompressed archive to its end. Returns its digest, and the entries that differ in a directory it was unpacked
/// to: contents of files, targets of links, and what is missing. What went through links of the archive's own is passed over.
pub(crate) fn differences(directory: &Path, archive: impl Read) -> Result<(Digest, Vec<PathBuf>), VerifyError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(directory, flags, rustix::fs::Mode::empty()).on("open", directory)?;
    let mut tape = Tape::new(BufReader::with_capacity(256 << 10, Hashing::new(archive)), ());
    let mut differing = BTreeSet::new();
    while let Some(entry) = tape.entry()? {
        let Ok(components) = tree::components(&entry.path, Limits::unlimited().depth) else { continue };
        let is_mark = components.last().is_none_or(|name| MarkName::of(name).is_some());
        if is_mark || entry.kind == Kind::Device {
            continue;
        }
        // The later of two entries wins, and takes what was below a directory along.
        if entry.kind != Kind::Directory {
            differing.retain(|path: &Components| !path.starts_with(&components));
        }
        match is_same(&root, &entry, &components, &mut tape) {
            Ok(true) => drop(differing.remove(&components)),
            Ok(false) => drop(differing.insert(components)),
            Err(error) => return Err(error.into()),
        }
    }
    tape.rest()?;
    let (_, digest, _) = tape.into_parts().0.into_inner().finish();
    let path = |components: &Components| PathBuf::from(OsString::from_vec(tree::join(components)));
    Ok((digest, differing.iter().map(path).collect()))
}

fn is_same<R: BufRead>(
    root: &OwnedFd,
    entry: &Entry,
    components: &Components,
    tape: &mut Tape<R, ()>,
) -> Result<bool, TapeError> {
    let Some((name, above)) = components.split_last() else { return Ok(true) };
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    let open = |path: &[u8], flags| openat2(root, path, flags | OFlags::CLOEXEC, resolve);
    let above = if above.is_empty() { b".".to_vec() } else { tree::join(above) };
    let parent = match open(&above, OFlags::PATH | OFlags::DIRECTORY) {
        Ok(parent) => parent,
        Err(errno) => return Ok(matches!(errno, Errno::LOOP)),
    };
    let Ok(found) = rustix::fs::statat(&parent, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) else { return Ok(false) };
    let kind = FileType::from_raw_mode(found.st_mode);
    match entry.kind {
        Kind::Directory => Ok(kind == FileType::Directory),
        Kind::Fifo => Ok(kind == FileType::Fifo),
        Kind::HardLink | Kind::Device => Ok(true),
        Kind::Symlink => {
            let target = rustix::fs::readlinkat(&parent, name.as_slice(), Vec::new());
            Ok(target.is_ok_and(|target| target.as_bytes() == entry.link))
        }
        Kind::File if kind != FileType::RegularFile || u64::try_from(found.st_size) != Ok(entry.size) => Ok(false),
        Kind::File => match open(&tree::join(components), OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK) {
            Ok(file) => has_contents(&File::from(file), entry, tape),
            Err(_) => Ok(false),
        },
    }
}

fn has_contents<R: BufRead>(file: &File, entry: &Entry, tape: &mut Tape<R, ()>) -> Result<bool, TapeError> {
    let whole = [Run { offset: 0, length: entry.size }];
    let mut buffer = vec![0; 256 << 10];
    for run in entry.sparse.as_deref().unwrap_or(&whole) {
        let (mut offset, end) = (run.offset, run.offset + run.length);
        while offset < end {
            let bytes = tape.contents()?;
            let n = bytes.len().min(buffer.len()).min(usize::try_from(end - offset).unwrap_or(usize::MAX));
            if n == 0 || file.read_exact_at(&mut buffer[..n], offset).is_err() || buffer[..n] != bytes[..n] {
                return Ok(false);
            }
            tape.consume(n);
            offset += n as u64;
        }
    }
    Ok(true)
}
