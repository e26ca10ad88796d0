//! The sources of COPY: files of a context or of another stage, found without leaving that tree, hashed by content, and
//! copied into a layer.

use super::glob::{Glob, Ignore, clean, is_pattern};
use super::memo::{Memo, Seen};
use super::mode::Chmod;
use crate::container::rootfs::root::Root;
use crate::diag::Diagnose;
use crate::image::name::digest::{Digest, Hasher};
use crate::image::overlay::owner;
use crate::image::overlay::owner::{NotGiven, Owners, Stat};
use crate::image::tar::unpack::is_applied;
use crate::sys::{On, SysError, fs as sys};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    #[error("`{path}` is not in {tree}")]
    Missing { path: String, tree: String },
    #[error("`{path}` is in {tree}, but .dockerignore excludes it")]
    Ignored { path: String, tree: String },
    #[error("nothing in {tree} matches `{pattern}`")]
    NoMatch { pattern: String, tree: String },
    #[error("invalid pattern `{0}`: a [ in it is never closed")]
    Pattern(String),
    #[error("`{0}` is a directory in the image, and a file cannot take its place")]
    OverDirectory(String),
    #[error("`{0}` is not a directory in the image, and a directory cannot take its place")]
    OverFile(String),
    #[error("`{path}` would belong to {kind} {id}, but only {owned} can be used here")]
    Unmapped { path: String, kind: &'static str, id: u64, owned: String },
    #[error("invalid owner `{0}`")]
    Owner(String, #[source] crate::container::decide::users::UserError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for TreeError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        match self {
            Self::Owner(_, error) => Some(error),
            Self::Sys(error) => Some(error),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Ignored { .. } => Some("bring it back with a line `!NAME` in .dockerignore".into()),
            _ => self.inner().and_then(Diagnose::hint),
        }
    }
}

/// A tree to copy from.
pub(crate) struct Tree {
    root: OwnedFd,
    /// Its name in messages.
    pub name: String,
    ignore: Ignore,
    /// Whether files keep their owners, as those of a stage or image do. Files of a context become root's.
    owned: bool,
}

/// A file or directory that a source names, with everything in it.
pub(crate) struct Selected {
    /// The last part of its path; empty for the root of the tree.
    pub name: String,
    /// The path from the root of its tree.
    pub path: String,
    pub is_directory: bool,
    /// The directory itself, or the file.
    base: OwnedFd,
    entries: Vec<Entry>,
}

struct Entry {
    /// The path below `base`; empty for `base` itself.
    path: PathBuf,
    kind: FileType,
    stat: Stat,
    seen: Seen,
    time: Timespec,
    /// Whether the file has several hard links.
    has_links: bool,
    device: u64,
}

/// The name of the build's own context in messages.
pub(crate) const CONTEXT: &str = "the build context";

/// The kernel's limit for symbolic links in a path.
const MOST_LINKS: usize = 40;
const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const WITHIN: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

impl Tree {
    pub(crate) fn context(path: &Path, ignore: Ignore) -> Result<Self, SysError> {
        let root = rustix::fs::open(path, PATH | OFlags::DIRECTORY, Mode::empty()).on("open", path)?;
        Ok(Self { root, name: CONTEXT.into(), ignore, owned: false })
    }

    pub(crate) fn of(root: OwnedFd, name: String) -> Self {
        Self { root, name, ignore: Ignore::default(), owned: true }
    }

    /// Returns what a source names: one path, or all that match its pattern, which may be none. `deep`: `**` matches any
    /// number of directories.
    pub(crate) fn select(&self, source: &str, exclude: &Ignore, deep: bool) -> Result<Vec<Selected>, TreeError> {
        let source = clean(source);
        if !is_pattern(&source) {
            return Ok(vec![self.select_one(&source, exclude)?]);
        }
        // A file may have this very name.
        if let Ok(found) = self.select_one(&source, exclude) {
            return Ok(vec![found]);
        }
        let mut reached = vec![String::new()];
        let mut rest = &*source;
        for part in source.split('/') {
            if deep && part.contains("**") {
                let glob = Glob::new(rest).ok_or_else(|| TreeError::Pattern(source.clone()))?;
                let mut next = Vec::new();
                for directory in reached {
                    self.search(&directory, &directory, &glob, &mut next)?;
                }
                reached = next;
                break;
            }
            rest = rest.get(part.len() + 1..).unwrap_or_default();
            let mut next = Vec::new();
            let glob = Glob::new(part).ok_or_else(|| TreeError::Pattern(source.clone()))?;
            for directory in reached {
                let join = |name: &str| if directory.is_empty() { name.into() } else { format!("{directory}/{name}") };
                if !is_pattern(part) {
                    next.push(join(part));
                    continue;
                }
                let place = if directory.is_empty() { "." } else { &directory };
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let Ok(opened) = sys::openat2(&self.root, place, flags, WITHIN) else { continue };
                let names = names(&opened, Path::new(place))?;
                next.extend(names.iter().filter_map(|n| n.to_str()).filter(|n| glob.matches(n)).map(join));
            }
            reached = next;
        }
        let found = reached.into_iter().filter(|path| !exclude.ignores(path)).filter_map(|path| {
            match self.select_one(&path, exclude) {
                Err(TreeError::Missing { .. } | TreeError::Ignored { .. }) => None,
                other => Some(other),
            }
        });
        found.collect()
    }

    /// Collects everything below a directory that matches. A directory that matches comes with its content.
    fn search(&self, from: &str, directory: &str, glob: &Glob, found: &mut Vec<String>) -> Result<(), TreeError> {
        let place = if directory.is_empty() { "." } else { directory };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(opened) = sys::openat2(&self.root, place, flags, WITHIN) else { return Ok(()) };
        for name in names(&opened, Path::new(place))?.iter().filter_map(|name| name.to_str()) {
            let path = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
            if self.ignore.ignores(&path) && self.ignore.is_final() {
                continue;
            }
            let below = path.strip_prefix(from).map_or(path.as_str(), |below| below.trim_start_matches('/'));
            if glob.matches(below) {
                found.push(path);
                continue;
            }
            // Links are not followed while searching.
            let entry = rustix::fs::statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW);
            if entry.is_ok_and(|entry| FileType::from_raw_mode(entry.st_mode) == FileType::Directory) {
                self.search(from, &path, glob, found)?;
            }
        }
        Ok(())
    }

    /// Returns a directory without its content.
    pub(crate) fn directory(&self, path: &str) -> Result<Selected, TreeError> {
        let base = sys::openat2(&self.root, if path.is_empty() { "." } else { path }, PATH | OFlags::DIRECTORY, WITHIN);
        let base = base.on("openat2", path)?;
        let entry = self.entry(&base, PathBuf::new(), path)?;
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Selected { name, path: path.to_owned(), is_directory: true, base, entries: vec![entry] })
    }

    fn select_one(&self, path: &str, exclude: &Ignore) -> Result<Selected, TreeError> {
        let tree = || self.name.clone();
        let place = if path.is_empty() { "." } else { path };
        let base = match sys::openat2(&self.root, place, PATH, WITHIN) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                return Err(TreeError::Missing { path: path.to_owned(), tree: tree() });
            }
            other => other.on("openat2", path)?,
        };
        let first = self.entry(&base, PathBuf::new(), "")?;
        let is_directory = first.kind == FileType::Directory;
        let is_ignored = self.ignore.ignores(path);
        let ignored = || TreeError::Ignored { path: path.to_owned(), tree: tree() };
        if is_ignored && (!is_directory || self.ignore.is_final()) {
            return Err(ignored());
        }
        let mut selected = Selected {
            name: path.rsplit('/').next().unwrap_or_default().to_owned(),
            path: path.to_owned(),
            is_directory,
            base,
            entries: vec![first],
        };
        if is_directory {
            let opened = rustix::fs::openat(&selected.base, ".", DIRECTORY, Mode::empty()).on("openat", path)?;
            let any = self.walk(&opened, Path::new(""), path, exclude, &mut selected.entries)?;
            if is_ignored && !any {
                return Err(ignored());
            }
        }
        Ok(selected)
    }

    /// Collects everything below a directory, each directory before its content, names in order. Returns whether there is any.
    fn walk(
        &self,
        directory: &OwnedFd,
        below: &Path,
        root_path: &str,
        exclude: &Ignore,
        entries: &mut Vec<Entry>,
    ) -> Result<bool, TreeError> {
        let mut any = false;
        for name in names(directory, below)? {
            let path = below.join(&name);
            let shown = path.to_string_lossy();
            let full = if root_path.is_empty() { shown.to_string() } else { format!("{root_path}/{shown}") };
            let left_out = self.ignore.ignores(&full) || exclude.ignores(&shown);
            if left_out && self.ignore.is_final() && exclude.is_final() {
                continue;
            }
            let Some(entry) = self.entry_in(directory, &name, path.clone(), &full)? else { continue };
            let kind = entry.kind;
            if kind == FileType::Directory {
                let at = entries.len();
                entries.push(entry);
                let child = rustix::fs::openat(directory, &name, DIRECTORY, Mode::empty()).on("openat", &path)?;
                // An ignored directory is kept only as the parent of paths that are included again.
                if !self.walk(&child, &path, root_path, exclude, entries)? && left_out {
                    entries.truncate(at);
                } else {
                    any = true;
                }
            } else if !left_out && !matches!(kind, FileType::Socket) {
                entries.push(entry);
                any = true;
            }
        }
        Ok(any)
    }

    /// `None`: the file has been removed in the meantime.
    fn entry_in(
        &self,
        directory: &OwnedFd,
        name: &OsStr,
        path: PathBuf,
        shown: &str,
    ) -> Result<Option<Entry>, TreeError> {
        if !self.owned {
            return match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => Ok(None),
                found => Ok(Some(Entry::new(path, &found.on("fstatat", shown)?, None))),
            };
        }
        match rustix::fs::openat(directory, name, PATH | OFlags::NOFOLLOW, Mode::empty()) {
            Err(Errno::NOENT) => Ok(None),
            found => self.entry(&found.on("openat", shown)?, path, shown).map(Some),
        }
    }

    fn entry(&self, found: &OwnedFd, path: PathBuf, shown: &str) -> Result<Entry, TreeError> {
        let stat = rustix::fs::fstat(found).on("fstat", shown)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let owner = if self.owned && matches!(kind, FileType::RegularFile | FileType::Directory) {
            // Attributes cannot be read through an O_PATH descriptor.
            let opened = reopen(found, OFlags::RDONLY | OFlags::NONBLOCK);
            let noted = opened.and_then(|file| sys::fgetxattr(&file, owner::STAT.as_bytes())).ok().flatten();
            Some(Stat::of_file(stat.st_uid, stat.st_gid, stat.st_mode, noted.as_deref()))
        } else {
            self.owned.then(|| Stat::of_file(stat.st_uid, stat.st_gid, stat.st_mode, None))
        };
        Ok(Entry::new(path, &stat, owner))
    }
}

impl Entry {
    /// Describes a file. `owner` is its owner in an image; files of a context become root's.
    fn new(path: PathBuf, found: &rustix::fs::Stat, owner: Option<Stat>) -> Self {
        Self {
            path,
            kind: FileType::from_raw_mode(found.st_mode),
            stat: owner.unwrap_or(Stat { uid: 0, gid: 0, mode: found.st_mode & 0o7777 }),
            seen: Seen::of(found),
            // Layers have this mode already, so it need not be set again.
            time: Timespec { tv_sec: found.st_mtime, tv_nsec: 0 },
            has_links: found.st_nlink > 1,
            device: found.st_rdev,
        }
    }
}

fn names(directory: &OwnedFd, shown: &Path) -> Result<Vec<std::ffi::OsString>, SysError> {
    use std::os::unix::ffi::OsStringExt;
    let mut names = Vec::new();
    for entry in Dir::read_from(directory).on("opendir", shown)? {
        let name = entry.on("readdir", shown)?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(std::ffi::OsString::from_vec(name));
        }
    }
    names.sort();
    Ok(names)
}

fn reopen(found: &OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::open(format!("/proc/self/fd/{}", found.as_raw_fd()), flags | OFlags::CLOEXEC, Mode::empty())
}

impl Selected {
    /// Opens the file itself.
    pub(crate) fn file(&self) -> Result<File, SysError> {
        reopen(&self.base, OFlags::RDONLY).map(File::from).on("open", &self.path)
    }

    fn open(&self, entry: &Entry, flags: OFlags) -> Result<OwnedFd, Errno> {
        if entry.path.as_os_str().is_empty() {
            return reopen(&self.base, flags);
        }
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        sys::openat2(&self.base, &entry.path, flags, BENEATH)
    }

    /// Returns the path of an entry for messages.
    fn shown(&self, entry: &Entry) -> PathBuf {
        let path = Path::new(&self.path);
        match entry.path.as_os_str().is_empty() {
            true if self.path.is_empty() => PathBuf::from("."),
            true => path.to_owned(),
            false => path.join(&entry.path),
        }
    }

    /// Returns a description of each entry as far as it matters to an image: all but its time.
    pub(crate) fn digests(&self, memo: &mut Memo) -> Result<Vec<(String, String)>, TreeError> {
        let unknown: Vec<&Entry> = self
            .entries
            .iter()
            .filter(|entry| entry.kind == FileType::RegularFile && memo.get(&entry.seen).is_none())
            .collect();
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(8);
        let share = unknown.len().div_ceil(threads).max(64);
        let hashed: Vec<Result<Vec<(Seen, Digest)>, SysError>> = std::thread::scope(|scope| {
            let workers: Vec<_> = unknown.chunks(share).map(|part| scope.spawn(|| self.hash(part))).collect();
            workers.into_iter().map(|w| w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
        });
        for part in hashed {
            for (seen, digest) in part? {
                memo.insert(seen, digest);
            }
        }
        let mut all = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let what = match entry.kind {
                FileType::RegularFile => memo.get(&entry.seen).map(|digest| digest.hex()).unwrap_or_default(),
                FileType::Symlink => {
                    let link = self.link(entry)?;
                    format!("-> {}", String::from_utf8_lossy(&link))
                }
                FileType::Directory => "/".into(),
                _ => format!("device {}", entry.device),
            };
            let Stat { uid, gid, mode } = entry.stat;
            let mut path = Path::new("/").join(&self.path);
            // Joining an empty path would append a slash.
            if !entry.path.as_os_str().is_empty() {
                path.push(&entry.path);
            }
            all.push((path.to_string_lossy().into_owned(), format!("{mode:o} {uid}:{gid} {what}")));
        }
        Ok(all)
    }

    fn hash(&self, part: &[&Entry]) -> Result<Vec<(Seen, Digest)>, SysError> {
        let mut buffer = vec![0; 128 << 10];
        let mut all = Vec::with_capacity(part.len());
        for entry in part {
            let mut file = File::from(self.open(entry, OFlags::RDONLY).on("open", self.shown(entry))?);
            let mut hasher = Hasher::default();
            loop {
                let n = file.read(&mut buffer).on("read", self.shown(entry))?;
                if n == 0 {
                    break;
                }
                hasher.update(&buffer[..n]);
            }
            all.push((entry.seen, hasher.finish()));
        }
        Ok(all)
    }

    fn link(&self, entry: &Entry) -> Result<Vec<u8>, SysError> {
        let found = if entry.path.as_os_str().is_empty() {
            rustix::fs::readlinkat(&self.base, "", Vec::new())
        } else {
            let link = sys::openat2(&self.base, &entry.path, PATH | OFlags::NOFOLLOW, BENEATH);
            link.and_then(|link| rustix::fs::readlinkat(&link, "", Vec::new()))
        };
        found.map(std::ffi::CString::into_bytes).on("readlinkat", self.shown(entry))
    }
}

/// Owner, mode and time of copied files.
pub(crate) struct Laying<'a> {
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

impl Laying<'_> {
    /// Opens a directory, made with its parents if it is missing.
    pub(crate) fn directory(&self, root: &Root, path: &str) -> Result<OwnedFd, TreeError> {
        Ok(self.directory_new(root, path)?.0)
    }

    /// Opens a directory as [`Laying::directory`] does, and returns whether it was missing.
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
    pub(crate) fn lay(&self, root: &Root, source: &Selected, target: &str) -> Result<(), TreeError> {
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
