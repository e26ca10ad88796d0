//! Packs a file or a directory with all that is in it, as it is: nothing in it is a mark of overlayfs. Others may change it
//! meanwhile: nothing outside of the directory is reached, and what vanishes is left out.

use super::pack::{PackError, Packer, Sink};
use crate::image::overlay::diff::{ChangeKind, Item};
use crate::sys::On;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Packs a directory under a name; under no name, only what is in it. The end of the archive is not written.
pub(crate) fn pack_directory(directory: OwnedFd, name: &[u8], output: &mut impl Sink) -> Result<(), PackError> {
    let top = rustix::fs::openat(&directory, ".", DIRECTORY, Mode::empty()).on("openat", ".")?;
    let mut packer = Packer::new(directory, output);
    if !name.is_empty() {
        let name = [name, b"/"].concat();
        packer.root(&name)?;
        packer.prefix = name;
    }
    walk(&mut packer, top, b"")
}

fn walk(packer: &mut Packer<impl Sink>, directory: OwnedFd, path: &[u8]) -> Result<(), PackError> {
    let shown = |name: &[u8]| Path::new(OsStr::from_bytes(name)).to_owned();
    let mut names = BTreeSet::new();
    for entry in Dir::read_from(&directory).on("opendir", shown(path))? {
        let entry = entry.on("readdir", shown(path))?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.insert(name.to_vec());
        }
    }
    for name in names {
        let child = if path.is_empty() { name.clone() } else { [path, b"/", &name].concat() };
        let Ok(stat) = rustix::fs::statat(&directory, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_directory = kind == FileType::Directory;
        packer.item(&item(&child, kind == FileType::RegularFile))?;
        if is_directory {
            match rustix::fs::openat(&directory, name.as_slice(), DIRECTORY, Mode::empty()) {
                Ok(below) => walk(packer, below, &child)?,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                other => other.map(drop).on("openat", shown(&child))?,
            }
        }
    }
    Ok(())
}

fn item(path: &[u8], is_file: bool) -> Item {
    let path = OsStr::from_bytes(path).into();
    Item { path, kind: ChangeKind::Added, opaque: false, implied: false, is_file }
}
