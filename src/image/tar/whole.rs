//! Packs a file or a directory with all that is in it, as it is: nothing in it is a mark of overlayfs. Others may change it
//! meanwhile: nothing outside of the directory is reached, and what vanishes is left out.

use super::pack::{Owner, PackError, Packer, Sink};
use crate::image::overlay::diff::{ChangeKind, Item};
use crate::sys::On;
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// How a tree is packed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub owner: Owner,
    /// What is mounted in it is left out.
    pub stays_on_mount: bool,
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Packs a directory under a name; under no name, only what is in it. The end of the archive is not written.
pub(crate) fn pack_directory(
    directory: OwnedFd,
    name: &[u8],
    manner: Manner,
    output: &mut impl Sink,
) -> Result<(), PackError> {
    let top = rustix::fs::openat(&directory, ".", DIRECTORY, Mode::empty()).on("openat", ".")?;
    let mount = if manner.stays_on_mount { Some(mount_of(&directory, b"").on("statx", ".")?) } else { None };
    let mut packer = Packer::new(directory, output);
    packer.owner = manner.owner;
    if !name.is_empty() {
        let name = [name, b"/"].concat();
        packer.root(&name)?;
        packer.prefix = name;
    }
    walk(&mut packer, top, b"", mount)
}

/// Packs what was opened without its contents (`O_PATH`), and is no directory, under a name.
pub(crate) fn pack_one(found: OwnedFd, name: &[u8], owner: Owner, output: &mut impl Sink) -> Result<(), PackError> {
    let shown = Path::new(OsStr::from_bytes(name));
    let stat = rustix::fs::fstat(&found).on("fstat", shown)?;
    let mut packer = Packer::new(rustix::io::dup(&found).on("dup", shown)?, output);
    packer.owner = owner;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return packer.without_contents(&found, &stat, name, shown);
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    let file = rustix::fs::open(path, flags, Mode::empty()).on("open", shown)?;
    packer.opened(file.into(), name, shown).map(drop)
}

fn walk(packer: &mut Packer<impl Sink>, directory: OwnedFd, path: &[u8], mount: Option<u64>) -> Result<(), PackError> {
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
        if mount.is_some() && mount_of(&directory, &name).ok() != mount {
            packer.empty(&child, is_directory)?;
            continue;
        }
        packer.item(&item(&child, kind == FileType::RegularFile))?;
        if is_directory {
            match rustix::fs::openat(&directory, name.as_slice(), DIRECTORY, Mode::empty()) {
                Ok(below) => walk(packer, below, &child, mount)?,
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

/// Returns the number of the mount that a file is on.
fn mount_of(directory: &impl AsFd, name: &[u8]) -> Result<u64, Errno> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
    rustix::fs::statx(directory, name, flags, StatxFlags::MNT_ID).map(|found| found.stx_mnt_id)
}
