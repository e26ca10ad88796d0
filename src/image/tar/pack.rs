//! Packs the changes of a container as the archive of a layer. The same changes give the same bytes.

use super::header::{self, Header};
use super::sparse;
use super::stream::Outlet;
use super::unpack::is_applied;
use crate::diag::{Diagnose, inner_of};
use crate::image::overlay::diff::{ChangeKind, Item};
use crate::image::overlay::mark;
use crate::image::overlay::owner;
use crate::image::overlay::owner::Stat;
use crate::sys::{On, SysError, fs as sys};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tar::EntryType;

#[derive(Debug, thiserror::Error)]
pub enum PackError {
    #[error("cannot pack the changes")]
    Write(#[source] io::Error),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for PackError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Sys)
    }
}

impl PackError {
    /// Returns whether the reader of the archive has given up, which knows the reason.
    pub(crate) fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Write(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

/// An archive that is being written.
pub(crate) trait Sink: Write {
    /// A header follows.
    fn entry(&mut self) {}

    /// The contents of a file follow, up to [`Sink::contents_end`].
    fn contents(&mut self, _path: &[u8], _size: u64) -> io::Result<()> {
        Ok(())
    }

    fn contents_end(&mut self) {}
}

impl Sink for Outlet {}

impl<W: Write> Sink for io::BufWriter<W> {}

/// Writes the changes in `upper`, at a cost that depends on them alone.
pub(crate) fn pack(upper: &Path, items: &[Item], output: &mut impl Sink) -> Result<(), PackError> {
    pack_below(upper, items, None, output)?;
    end(output)
}

/// Writes what [`pack`] does, without the end of the archive, and below a new directory if one is named.
pub(crate) fn pack_below(
    upper: &Path,
    items: &[Item],
    directory: Option<&str>,
    output: &mut impl Sink,
) -> Result<(), PackError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(upper, flags, Mode::empty()).on("open", upper)?;
    let mut packer = Packer::new(root, output);
    if let Some(directory) = directory {
        let stat = rustix::fs::fstat(&packer.root).on("fstat", upper)?;
        packer.header(format!("{directory}/").as_bytes(), b"", 0, Entry::of_stat(&stat, EntryType::Directory))?;
        packer.prefix = format!("{directory}/").into_bytes();
    }
    items.iter().try_for_each(|item| packer.item(item))
}

/// Ends an archive.
pub(crate) fn end(output: &mut impl Write) -> Result<(), PackError> {
    header::write_end(output).map_err(PackError::Write)
}

/// Packs what lies below a directory, file by file.
pub(super) struct Packer<'a, W> {
    root: OwnedFd,
    output: &'a mut W,
    /// The directory that all names are put below, with its slash; else empty.
    pub prefix: Vec<u8>,
    pub owner: Owner,
    /// The first name of each file with several names.
    links: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
}

/// The owners that an archive names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Those of the files.
    Kept,
    /// Root in place of this user and group, and nobody in place of all others.
    RootFor(u32, u32),
}

impl<'a, W: Sink> Packer<'a, W> {
    pub(super) fn new(root: OwnedFd, output: &'a mut W) -> Self {
        let (prefix, links) = (Vec::new(), HashMap::new());
        Self { root, output, prefix, owner: Owner::Kept, links, buffer: vec![0; 128 << 10] }
    }

    /// Packs the directory that names are relative to, under a name.
    pub(super) fn root(&mut self, name: &[u8]) -> Result<(), PackError> {
        let directory = self.open(b".", OFlags::RDONLY | OFlags::DIRECTORY).on("openat2", ".")?;
        let stat = rustix::fs::fstat(&directory).on("fstat", ".")?;
        let entry = Entry::of(&directory, &stat, EntryType::Directory).on("fgetxattr", ".")?;
        self.header(name, b"", 0, entry)
    }

    /// Packs a directory or file that something else is mounted on, as empty.
    pub(super) fn empty(&mut self, name: &[u8], is_directory: bool) -> Result<(), PackError> {
        let (kind, mode) = if is_directory { (EntryType::Directory, 0o755) } else { (EntryType::Regular, 0o644) };
        let stat = Stat { uid: 0, gid: 0, mode };
        let name = if is_directory { [name, b"/"].concat() } else { name.to_vec() };
        self.header(&name, b"", 0, Entry { kind, stat, time: 0, device: 0, xattrs: Vec::new() })
    }

    pub(super) fn item(&mut self, item: &Item) -> Result<(), PackError> {
        let name = item.path.as_os_str().as_bytes();
        let name = name.strip_prefix(b"/").unwrap_or(name);
        if item.kind == ChangeKind::Deleted {
            // What is implied is hidden by the directory above.
            return if item.implied { Ok(()) } else { self.whiteout(&whiteout_path(name)) };
        }
        if item.is_file && self.file(name, item)? {
            return Ok(());
        }
        let found = match self.open(name, OFlags::PATH | OFlags::NOFOLLOW) {
            // The container goes on meanwhile.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(()),
            other => other.on("openat2", &item.path)?,
        };
        let stat = rustix::fs::fstat(&found).on("fstat", &item.path)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => self.file(name, item).map(drop),
            FileType::Directory => {
                let directory = self.open(name, OFlags::RDONLY | OFlags::DIRECTORY).on("openat2", &item.path)?;
                let stat = rustix::fs::fstat(&directory).on("fstat", &item.path)?;
                let entry = Entry::of(&directory, &stat, EntryType::Directory).on("fgetxattr", &item.path)?;
                self.header(&[name, b"/"].concat(), b"", 0, entry)?;
                if item.opaque { self.whiteout(&[name, b"/", mark::OPAQUE_FILE].concat()) } else { Ok(()) }
            }
            _ => self.without_contents(&found, &stat, name, &item.path),
        }
    }

    /// Packs what is neither a file nor a directory.
    pub(super) fn without_contents(
        &mut self,
        found: &OwnedFd,
        stat: &rustix::fs::Stat,
        name: &[u8],
        shown: &Path,
    ) -> Result<(), PackError> {
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => {
                let link = rustix::fs::readlinkat(found, "", Vec::new()).on("readlinkat", shown)?;
                self.header(name, link.as_bytes(), 0, Entry::of_stat(stat, EntryType::Symlink))
            }
            FileType::Fifo => self.header(name, b"", 0, Entry::of_stat(stat, EntryType::Fifo)),
            FileType::CharacterDevice => self.header(name, b"", 0, Entry::of_stat(stat, EntryType::Char)),
            FileType::BlockDevice => self.header(name, b"", 0, Entry::of_stat(stat, EntryType::Block)),
            // A socket means nothing without the process that listens at it.
            _ => Ok(()),
        }
    }

    fn open(&self, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        sys::openat2(&self.root, name, flags | OFlags::CLOEXEC, resolve)
    }

    /// Packs a regular file. `false`: it has become something else.
    fn file(&mut self, name: &[u8], item: &Item) -> Result<bool, PackError> {
        let file = match self.open(name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(false),
            other => File::from(other.on("openat2", &item.path)?),
        };
        self.opened(file, name, &item.path)
    }

    /// Packs an open file. `false`: it is not a regular one.
    pub(super) fn opened(&mut self, file: File, name: &[u8], shown: &Path) -> Result<bool, PackError> {
        let stat = rustix::fs::fstat(&file).on("fstat", shown)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(false);
        }
        let entry = Entry::of(&file, &stat, EntryType::Regular).on("fgetxattr", shown)?;
        if stat.st_nlink > 1 {
            let inode = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.links.get(&inode).cloned() {
                self.header(name, &first, 0, Entry { kind: EntryType::Link, xattrs: Vec::new(), ..entry })?;
                return Ok(true);
            }
            self.links.insert(inode, name.to_vec());
        }
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        self.header(name, b"", size, entry)?;
        // The length must be that in the header, though the container may write on.
        self.contents(file, name, size).map_err(PackError::Write)?;
        Ok(true)
    }

    fn contents(&mut self, file: File, name: &[u8], size: u64) -> io::Result<()> {
        self.output.contents(name, size)?;
        let mut contents = sparse::Reader::new(file, size)?;
        loop {
            let n = contents.read(&mut self.buffer)?;
            if n == 0 {
                break;
            }
            self.output.write_all(&self.buffer[..n])?;
        }
        // The file may have become shorter.
        io::copy(&mut io::repeat(0).take(contents.left()), self.output)?;
        self.output.contents_end();
        header::write_padding(size, self.output)
    }

    fn whiteout(&mut self, name: &[u8]) -> Result<(), PackError> {
        let stat = Stat { uid: 0, gid: 0, mode: 0o600 };
        self.header(name, b"", 0, Entry { kind: EntryType::Regular, stat, time: 0, device: 0, xattrs: Vec::new() })
    }

    fn header(&mut self, name: &[u8], link: &[u8], size: u64, entry: Entry) -> Result<(), PackError> {
        self.output.entry();
        let put = |name: &[u8]| [&self.prefix, name].concat();
        let name = put(name);
        // The target of a symbolic link is no name in the archive.
        let link = if entry.kind == EntryType::Link { put(link) } else { link.to_vec() };
        let Entry { kind, stat: Stat { uid, gid, mode }, time, device, xattrs } = entry;
        let root_for = |id: u64, own: u32| if id == u64::from(own) { 0 } else { NOBODY };
        let (uid, gid) = match self.owner {
            Owner::Kept => (uid, gid),
            Owner::RootFor(user, group) => (root_for(uid, user), root_for(gid, group)),
        };
        let header =
            Header { kind, name: &name, link: &link, mode, uid, gid, size, mtime: time, device, xattrs: &xattrs };
        header.write(self.output).map_err(PackError::Write)
    }
}

/// The id that stands for those that are not mapped (user_namespaces(7)).
const NOBODY: u64 = 65534;

/// Returns the path of the whiteout that hides a path.
fn whiteout_path(path: &[u8]) -> Vec<u8> {
    let name = path.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    [&path[..name], &mark::whiteout_name(&path[name..])].concat()
}

struct Entry {
    kind: EntryType,
    stat: Stat,
    time: i64,
    device: u64,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// Describes an open file, with its extended attributes.
    fn of(file: &impl AsFd, found: &rustix::fs::Stat, kind: EntryType) -> Result<Self, Errno> {
        let mut names = sys::flistxattr(file)?;
        let is_noted = names.iter().any(|name| name == owner::STAT.as_bytes());
        let noted = if is_noted { sys::fgetxattr(file, owner::STAT.as_bytes())? } else { None };
        names.retain(|name| is_applied(name));
        names.sort();
        let mut xattrs = Vec::new();
        for name in names {
            // Another process may have removed it since.
            if let Some(value) = sys::fgetxattr(file, &name)? {
                xattrs.push((name, value));
            }
        }
        let stat = Stat::of_file(found.st_uid, found.st_gid, found.st_mode, noted.as_deref());
        Ok(Self { kind, stat, time: found.st_mtime, device: 0, xattrs })
    }

    /// Describes what cannot be opened without a side effect, and has no attributes of its own.
    fn of_stat(found: &rustix::fs::Stat, kind: EntryType) -> Self {
        let stat = Stat::of_file(found.st_uid, found.st_gid, found.st_mode, None);
        Self { kind, stat, time: found.st_mtime, device: found.st_rdev, xattrs: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whiteout_lies_beside_what_it_hides() {
        assert_eq!(whiteout_path(b"a/b"), b"a/.wh.b");
        assert_eq!(whiteout_path(b"b"), b".wh.b");
    }
}
