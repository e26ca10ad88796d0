//! Packing: what a container has changed becomes a layer's archive, the same bytes for the same changes.

use super::sparse;
use super::stream::Outlet;
use super::unpack::is_applied;
use crate::image::ImageError;
use crate::image::overlay::diff::{Item, Kind};
use crate::image::overlay::owner;
use crate::image::overlay::owner::Stat;
use crate::sys::{On, fs as sys};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tar::{EntryType, Header};

/// Where an archive goes.
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

/// Writes the changes in `upper`. Cost: what is there, nothing below it.
pub(crate) fn pack(upper: &Path, items: &[Item], output: &mut impl Sink) -> Result<(), ImageError> {
    pack_below(upper, items, None, output)?;
    end(output)
}

/// [`pack`] without the archive's end: all of it goes below a new directory, if one is named.
pub(crate) fn pack_below(
    upper: &Path,
    items: &[Item],
    directory: Option<&str>,
    output: &mut impl Sink,
) -> Result<(), ImageError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(upper, flags, Mode::empty()).on("open", upper)?;
    let mut packer = Packer { root, output, below: Vec::new(), links: HashMap::new(), buffer: vec![0; 128 << 10] };
    if let Some(directory) = directory {
        let stat = rustix::fs::fstat(&packer.root).on("fstat", upper)?;
        packer.header(format!("{directory}/").as_bytes(), b"", 0, Entry::of_stat(&stat, EntryType::Directory))?;
        packer.below = format!("{directory}/").into_bytes();
    }
    items.iter().try_for_each(|item| packer.item(item))
}

/// What every archive ends with.
pub(crate) fn end(output: &mut impl Write) -> Result<(), ImageError> {
    output.write_all(&[0; 1024]).map_err(ImageError::Pack)
}

struct Packer<'a, W> {
    root: OwnedFd,
    output: &'a mut W,
    /// What stands before each name.
    below: Vec<u8>,
    /// Where a file of several names was packed first.
    links: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
}

impl<W: Sink> Packer<'_, W> {
    fn item(&mut self, item: &Item) -> Result<(), ImageError> {
        let name = item.path.as_os_str().as_bytes();
        let name = name.strip_prefix(b"/").unwrap_or(name);
        if item.kind == Kind::Deleted {
            // Hidden with its directory, that is.
            return if item.implied { Ok(()) } else { self.whiteout(&beside(name, b".wh.")) };
        }
        if item.is_file && self.file(name, item)? {
            return Ok(());
        }
        let found = match self.open(name, OFlags::PATH | OFlags::NOFOLLOW) {
            // The container goes on while we look.
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
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
                if item.opaque { self.whiteout(&[name, b"/.wh..wh..opq"].concat()) } else { Ok(()) }
            }
            FileType::Symlink => {
                let link = rustix::fs::readlinkat(&found, "", Vec::new()).on("readlinkat", &item.path)?;
                self.header(name, link.as_bytes(), 0, Entry::of_stat(&stat, EntryType::Symlink))
            }
            FileType::Fifo => self.header(name, b"", 0, Entry::of_stat(&stat, EntryType::Fifo)),
            FileType::CharacterDevice => self.header(name, b"", 0, Entry::of_stat(&stat, EntryType::Char)),
            FileType::BlockDevice => self.header(name, b"", 0, Entry::of_stat(&stat, EntryType::Block)),
            // A socket is the end of a conversation that is over.
            _ => Ok(()),
        }
    }

    fn open(&self, name: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        sys::openat2(&self.root, name, flags | OFlags::CLOEXEC, resolve)
    }

    /// `false`: it is none any more.
    fn file(&mut self, name: &[u8], item: &Item) -> Result<bool, ImageError> {
        let file = match self.open(name, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => return Ok(false),
            other => File::from(other.on("openat2", &item.path)?),
        };
        let stat = rustix::fs::fstat(&file).on("fstat", &item.path)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Ok(false);
        }
        let entry = Entry::of(&file, &stat, EntryType::Regular).on("fgetxattr", &item.path)?;
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
        // As long as the header says, though the container may write on.
        self.contents(file, name, size).map_err(ImageError::Pack)?;
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
        // Shorter than it was a moment ago.
        io::copy(&mut io::repeat(0).take(contents.left()), self.output)?;
        self.output.contents_end();
        self.output.write_all(&[0; 512][..size.next_multiple_of(512).abs_diff(size) as usize])
    }

    fn whiteout(&mut self, name: &[u8]) -> Result<(), ImageError> {
        let stat = Stat { uid: 0, gid: 0, mode: 0o600 };
        self.header(name, b"", 0, Entry { kind: EntryType::Regular, stat, time: 0, device: 0, xattrs: Vec::new() })
    }

    fn header(&mut self, name: &[u8], link: &[u8], size: u64, entry: Entry) -> Result<(), ImageError> {
        self.output.entry();
        let mut header = Header::new_ustar();
        let mut pax = Pax::default();
        let old = header.as_old_mut();
        pax.field(b"path", &[&self.below, name].concat(), &mut old.name);
        let below = if entry.kind == EntryType::Link { &self.below[..] } else { b"" };
        pax.field(b"linkpath", &[below, link].concat(), &mut old.linkname);
        for (key, value) in &entry.xattrs {
            pax.record(&[b"SCHILY.xattr.", key.as_slice()].concat(), value);
        }
        header.set_entry_type(entry.kind);
        header.set_mode(entry.stat.mode);
        header.set_uid(pax.number(b"uid", entry.stat.uid, 0o7_777_777));
        header.set_gid(pax.number(b"gid", entry.stat.gid, 0o7_777_777));
        header.set_size(pax.number(b"size", size, 0o77_777_777_777));
        match u64::try_from(entry.time) {
            Ok(time) => header.set_mtime(pax.number(b"mtime", time, 0o77_777_777_777)),
            Err(_) => {
                pax.record(b"mtime", entry.time.to_string().as_bytes());
                header.set_mtime(0);
            }
        }
        if matches!(entry.kind, EntryType::Char | EntryType::Block) {
            let numbers = (rustix::fs::major(entry.device), rustix::fs::minor(entry.device));
            let set = header.set_device_major(numbers.0).and_then(|()| header.set_device_minor(numbers.1));
            set.map_err(ImageError::Pack)?;
        }
        header.set_cksum();
        pax.write(self.output).and_then(|()| self.output.write_all(header.as_bytes())).map_err(ImageError::Pack)
    }
}

/// `a/b` with `.wh.` is `a/.wh.b`.
fn beside(name: &[u8], prefix: &[u8]) -> Vec<u8> {
    let place = name.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
    [&name[..place], prefix, &name[place..]].concat()
}

struct Entry {
    kind: EntryType,
    stat: Stat,
    time: i64,
    device: u64,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Entry {
    /// With its extended attributes.
    fn of(file: &impl AsFd, found: &rustix::fs::Stat, kind: EntryType) -> Result<Self, Errno> {
        let mut names = sys::flistxattr(file)?;
        let is_noted = names.iter().any(|name| name == owner::STAT.as_bytes());
        let noted = if is_noted { sys::fgetxattr(file, owner::STAT.as_bytes())? } else { None };
        names.retain(|name| is_applied(name));
        names.sort();
        let mut xattrs = Vec::new();
        for name in names {
            // One that was removed since is not there.
            if let Some(value) = sys::fgetxattr(file, &name)? {
                xattrs.push((name, value));
            }
        }
        let stat = Stat::of_file(found.st_uid, found.st_gid, found.st_mode, noted.as_deref());
        Ok(Self { kind, stat, time: found.st_mtime, device: 0, xattrs })
    }

    /// Of what cannot be opened without a side effect, nor have attributes of its own.
    fn of_stat(found: &rustix::fs::Stat, kind: EntryType) -> Self {
        let stat = Stat::of_file(found.st_uid, found.st_gid, found.st_mode, None);
        Self { kind, stat, time: found.st_mtime, device: found.st_rdev, xattrs: Vec::new() }
    }
}

/// An extended header, for what does not fit into the header itself.
#[derive(Default)]
struct Pax(Vec<u8>);

impl Pax {
    fn record(&mut self, key: &[u8], value: &[u8]) {
        // The length counts its own digits.
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while length != rest + length.to_string().len() {
            length = rest + length.to_string().len();
        }
        self.0.extend_from_slice(format!("{length} ").as_bytes());
        self.0.extend_from_slice(key);
        self.0.push(b'=');
        self.0.extend_from_slice(value);
        self.0.push(b'\n');
    }

    fn field(&mut self, key: &[u8], value: &[u8], field: &mut [u8]) {
        let fits = value.len().min(field.len());
        if fits < value.len() {
            self.record(key, value);
        }
        field[..fits].copy_from_slice(&value[..fits]);
    }

    fn number(&mut self, key: &[u8], value: u64, most: u64) -> u64 {
        if value <= most {
            return value;
        }
        self.record(key, value.to_string().as_bytes());
        0
    }

    fn write(&self, output: &mut impl Write) -> io::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..9].copy_from_slice(b"PaxHeader");
        header.set_entry_type(EntryType::XHeader);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(self.0.len() as u64);
        header.set_cksum();
        output.write_all(header.as_bytes())?;
        output.write_all(&self.0)?;
        output.write_all(&[0; 512][..self.0.len().next_multiple_of(512) - self.0.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_counts_its_own_length() {
        let mut pax = Pax::default();
        pax.record(b"path", &[b'x'; 91]);
        assert!(pax.0.starts_with(b"101 path=x"));
        assert_eq!(pax.0.len(), 101);
        assert_eq!(beside(b"a/b", b".wh."), b"a/.wh.b");
        assert_eq!(beside(b"b", b".wh."), b".wh.b");
    }
}
