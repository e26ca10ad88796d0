//! Copies the sources of COPY into a layer.

use super::memo::Seen;
use super::mode::Chmod;
use super::tree::{BENEATH, DIRECTORY, Entry, MOST_LINKS, Selected, TreeError, reopen};
use crate::container::rootfs::root::Root;
use crate::image::overlay::owner::{NotGiven, Owners, Stat};
use crate::image::tar::unpack::is_applied;
use crate::sys::{On, SysError, fs as sys};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Owner, mode and time of copied files.
pub(crate) struct Copier<'a> {
    /// The upper directory of the overlay that is written to. New directories have nothing below them, so they are filled
    /// there directly, which takes half the time.
    pub upper: Option<OwnedFd>,
    pub owners: &'a Owners,
    /// `--chown`
    pub owner: Option<(u64, u64)>,
    /// `--chmod`
    pub chmod: Option<&'a Chmod>,
    /// The mode of directories that are made because they are missing.
    pub mode: u32,
    /// The time of directories that are made because they are missing.
    pub now: Timespec,
}

impl Copier<'_> {
    /// Opens a directory, made with its parents if it is missing.
    pub(crate) fn directory(&self, root: &Root, path: &str) -> Result<OwnedFd, TreeError> {
        Ok(self.directory_new(root, path)?.0)
    }

    /// Opens a directory as [`Copier::directory`] does, and returns whether it was missing.
    fn directory_new(&self, root: &Root, path: &str) -> Result<(OwnedFd, bool), TreeError> {
        let mut is_new = false;
        let (uid, gid) = self.owner.unwrap_or((0, 0));
        let mut unmapped = None;
        let made = root.directory(path, &mut |parent, name| {
            is_new = true;
            let directory = rustix::fs::openat(parent, name, DIRECTORY, Mode::empty()).on("openat", name)?;
            match self.owners.give(&directory, Stat { uid, gid, mode: self.mode }, true) {
                Err(NotGiven::Unmapped { kind, id, owned }) => {
                    unmapped = Some(TreeError::Unmapped { path: path.to_owned(), kind, id, owned });
                    Ok(())
                }
                Err(NotGiven::Call { call, errno }) => Err(errno).on(call, name),
                Ok(()) => date(&directory, self.now).on("futimens", name),
            }
        });
        if let Some(error) = unmapped {
            return Err(error);
        }
        let made = made?;
        let found = rustix::fs::fstat(&made).on("fstat", path)?;
        if FileType::from_raw_mode(found.st_mode) == FileType::Directory {
            Ok((made, is_new))
        } else {
            Err(TreeError::OverFile(path.to_owned()))
        }
    }

    /// Copies a source as Docker does: a directory's content into the target, a file into it or in its place.
    pub(crate) fn copy(&self, root: &Root, source: &Selected, target: &str) -> Result<(), TreeError> {
        if source.is_directory {
            let (directory, is_new) = self.directory_new(root, target)?;
            let beneath = self.beneath(&directory);
            return self.contents(source, directory, beneath, is_new);
        }
        let mut target = Path::new(target).to_owned();
        let names_directory = target.as_os_str().as_encoded_bytes().ends_with(b"/");
        let shown = target.to_string_lossy().into_owned();
        let is_directory = names_directory || root.is_directory(&shown);
        if is_directory {
            target.push(&source.name);
        }
        let (mut parent, mut name) = self.place(root, &target)?;
        // A link in the place of the file is followed, as when a program writes to it.
        for _ in 0..MOST_LINKS {
            if is_directory {
                break;
            }
            let Ok(link) = rustix::fs::readlinkat(&parent, &name, Vec::new()) else { break };
            target.set_file_name(OsStr::from_bytes(link.as_bytes()));
            (parent, name) = self.place(root, &target)?;
        }
        self.put(source, &source.entries[0], &parent, &name, None)
    }

    /// Opens the parent directory of a path, made if it is missing, and returns the last part of the path too.
    fn place(&self, root: &Root, path: &Path) -> Result<(OwnedFd, PathBuf), TreeError> {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        Ok((self.directory(root, &parent.to_string_lossy())?, name))
    }

    /// Makes a directory with the attributes of the source's, but not its content; an existing one stays as it is.
    pub(crate) fn parent(&self, root: &Root, source: &Selected, target: &str) -> Result<(), TreeError> {
        let (directory, is_new) = self.directory_new(root, target)?;
        if is_new {
            let entry = &source.entries[0];
            let opened = reopen(&directory, OFlags::RDONLY | OFlags::DIRECTORY).on("open", target)?;
            self.attributes(source, entry, &opened)?;
            date(&opened, entry.time).on("futimens", target)?;
        }
        Ok(())
    }

    /// Returns the upper directory's counterpart of a directory of the overlay, if there is one.
    fn beneath(&self, directory: &OwnedFd) -> Option<OwnedFd> {
        let upper = self.upper.as_ref()?;
        let path = rustix::fs::readlink(format!("/proc/self/fd/{}", directory.as_raw_fd()), Vec::new()).ok()?;
        let below = path.to_bytes().strip_prefix(b"/").filter(|below| !below.is_empty())?;
        sys::openat2(upper, below, DIRECTORY, BENEATH).ok()
    }

    fn contents(
        &self,
        source: &Selected,
        top: OwnedFd,
        beneath: Option<OwnedFd>,
        is_new: bool,
    ) -> Result<(), TreeError> {
        let mut links = Links { top: &top, first: HashMap::new() };
        let is_beneath = is_new && beneath.is_some();
        let top = beneath.as_ref().filter(|_| is_new).unwrap_or(&top);
        // The directories from the top to the current one; their times are set when they are complete.
        let mut open: Vec<(&Entry, OwnedFd, bool)> = Vec::new();
        for entry in &source.entries[1..] {
            let parent = entry.path.parent().unwrap_or(Path::new(""));
            while open.last().is_some_and(|(directory, ..)| directory.path != parent) {
                self.close(&mut open)?;
            }
            let (into, mut is_beneath) =
                open.last().map_or((top, is_beneath), |(_, directory, beneath)| (directory, *beneath));
            let name = entry.path.file_name().map(Path::new).unwrap_or(Path::new(""));
            if entry.kind != FileType::Directory {
                self.put(source, entry, into, name, Some(&mut links))?;
                continue;
            }
            let is_new = match rustix::fs::mkdirat(into, name, Mode::from_raw_mode(0o700)) {
                Ok(()) => true,
                Err(Errno::EXIST) => false,
                Err(other) => return Err(other).on("mkdirat", &entry.path)?,
            };
            let mut directory = match rustix::fs::openat(into, name, DIRECTORY, Mode::empty()) {
                Err(Errno::NOTDIR | Errno::LOOP) => {
                    return Err(TreeError::OverFile(entry.path.display().to_string()));
                }
                other => other.on("openat", &entry.path)?,
            };
            if is_new
                && !is_beneath
                && let Some(beneath) = self.beneath(&directory)
            {
                (directory, is_beneath) = (beneath, true);
            }
            self.attributes(source, entry, &directory)?;
            open.push((entry, directory, is_beneath));
        }
        while !open.is_empty() {
            self.close(&mut open)?;
        }
        Ok(())
    }

    fn close(&self, open: &mut Vec<(&Entry, OwnedFd, bool)>) -> Result<(), TreeError> {
        match open.pop() {
            Some((entry, directory, _)) => Ok(date(&directory, entry.time).on("futimens", &entry.path)?),
            None => Ok(()),
        }
    }

    fn put(
        &self,
        source: &Selected,
        entry: &Entry,
        into: &OwnedFd,
        name: &Path,
        links: Option<&mut Links>,
    ) -> Result<(), TreeError> {
        if entry.kind == FileType::RegularFile && !entry.has_links {
            return self.file(source, entry, into, name);
        }
        clear(into, name)?;
        match entry.kind {
            FileType::RegularFile => {
                let Some(links) = links else {
                    return self.file(source, entry, into, name);
                };
                if let Some(first) = links.first.get(&entry.seen) {
                    let link = |top: &OwnedFd| rustix::fs::linkat(top, first, into, name, AtFlags::empty()).is_ok();
                    // Both names must be on the same side of the overlay.
                    if self.beneath(links.top).is_some_and(|top| link(&top)) || link(links.top) {
                        return Ok(());
                    }
                }
                self.file(source, entry, into, name)?;
                links.first.insert(entry.seen, entry.path.clone());
                Ok(())
            }
            FileType::Symlink => {
                let to = source.link(entry)?;
                rustix::fs::symlinkat(to, into, name).on("symlinkat", name)?;
                self.unopened(entry, into, name)
            }
            FileType::Fifo => {
                let mode = Mode::from_raw_mode(self.mode(entry));
                rustix::fs::mknodat(into, name, FileType::Fifo, mode, 0).on("mknodat", name)?;
                // The umask may have changed the mode.
                rustix::fs::chmodat(into, name, mode, AtFlags::empty()).on("fchmodat", name)?;
                self.unopened(entry, into, name)
            }
            // Devices cannot be made in a user namespace.
            _ => Ok(()),
        }
    }

    fn file(&self, source: &Selected, entry: &Entry, into: &OwnedFd, name: &Path) -> Result<(), TreeError> {
        let from = source.open(entry, OFlags::RDONLY).on("open", source.shown(entry))?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let make = || rustix::fs::openat(into, name, flags, Mode::from_raw_mode(0o600));
        let to = match make() {
            // Usually the name is free.
            Err(Errno::EXIST) => {
                clear(into, name)?;
                make()
            }
            made => made,
        };
        let (from, to) = (File::from(from), File::from(to.on("openat", name)?));
        copy_contents(&from, &to, entry.seen.size).on("copy_file_range", name)?;
        self.attributes_from(&from, entry, &to)?;
        Ok(date(&to, entry.time).on("futimens", name)?)
    }

    fn attributes(&self, source: &Selected, entry: &Entry, made: &OwnedFd) -> Result<(), TreeError> {
        let from = source.open(entry, OFlags::RDONLY | OFlags::DIRECTORY).on("open", source.shown(entry))?;
        self.attributes_from(&from, entry, made)
    }

    fn attributes_from(&self, from: &impl AsFd, entry: &Entry, made: &impl AsFd) -> Result<(), TreeError> {
        let (uid, gid) = self.owner.unwrap_or((entry.stat.uid, entry.stat.gid));
        let stat = Stat { uid, gid, mode: self.mode(entry) };
        let is_directory = entry.kind == FileType::Directory;
        self.owners.give(made, stat, is_directory).map_err(|error| not_given(error, &entry.path))?;
        for name in sys::flistxattr(from).on("flistxattr", &entry.path)?.iter().filter(|name| is_applied(name)) {
            let Some(value) = sys::fgetxattr(from, name).on("fgetxattr", &entry.path)? else { continue };
            match sys::fsetxattr(made, name, &value) {
                Err(Errno::OPNOTSUPP | Errno::PERM) => {}
                other => other.on("fsetxattr", &entry.path)?,
            }
        }
        Ok(())
    }

    fn mode(&self, entry: &Entry) -> u32 {
        let mode = entry.stat.mode;
        self.chmod.map_or(mode, |chmod| chmod.apply(mode, entry.kind == FileType::Directory))
    }

    fn unopened(&self, entry: &Entry, into: &OwnedFd, name: &Path) -> Result<(), TreeError> {
        let (uid, gid) = self.owner.unwrap_or((entry.stat.uid, entry.stat.gid));
        let given = self.owners.give_link(into, name.as_os_str().as_encoded_bytes(), uid, gid);
        given.map_err(|error| not_given(error, &entry.path))?;
        let times = Timestamps { last_access: entry.time, last_modification: entry.time };
        Ok(rustix::fs::utimensat(into, name, &times, AtFlags::SYMLINK_NOFOLLOW).on("utimensat", name)?)
    }
}

/// Removes the file that has a name which another one is to get.
fn clear(into: &OwnedFd, name: &Path) -> Result<(), TreeError> {
    match rustix::fs::unlinkat(into, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(Errno::ISDIR) => Err(TreeError::OverDirectory(name.display().to_string())),
        other => Ok(other.on("unlinkat", name)?),
    }
}

/// Copies the content of a file whose size was `size` when it was selected.
fn copy_contents(from: &File, to: &File, size: u64) -> std::io::Result<()> {
    const AT_ONCE: u64 = 64 << 10;
    if size < AT_ONCE {
        // One read and one write cost half of copy_file_range. The extra byte detects a file that has grown.
        let mut bytes = Vec::with_capacity(size as usize + 1);
        rustix::io::read(from, rustix::buffer::spare_capacity(&mut bytes))?;
        (&mut &*to).write_all(&bytes)?;
        if bytes.len() as u64 == size {
            return Ok(());
        }
    }
    // Shares blocks where the file system supports it.
    std::io::copy(&mut &*from, &mut &*to).map(drop)
}

/// The first names of files with several hard links, relative to the target.
struct Links<'a> {
    top: &'a OwnedFd,
    first: HashMap<Seen, PathBuf>,
}

pub(crate) fn not_given(error: NotGiven, path: &Path) -> TreeError {
    match error {
        NotGiven::Unmapped { kind, id, owned } => {
            TreeError::Unmapped { path: path.display().to_string(), kind, id, owned }
        }
        NotGiven::Call { call, errno } => {
            SysError { call, subject: path.display().to_string(), errno: errno.raw_os_error() }.into()
        }
    }
}

fn date(file: &impl AsFd, time: Timespec) -> Result<(), Errno> {
    rustix::fs::futimens(file, &Timestamps { last_access: time, last_modification: time })
}
