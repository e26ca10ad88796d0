//! The sources of COPY: files of a context or of another stage, found without leaving that tree, and hashed by
//! content.

use super::glob::{Glob, Ignore, clean, is_pattern};
use super::memo::{Memo, Seen};
use crate::diag::Diagnose;
use crate::image::name::digest::{Digest, Hasher};
use crate::image::overlay::owner;
use crate::image::overlay::owner::Stat;
use crate::sys::{On, SysError, fs as sys};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Timespec};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
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
    pub(super) entries: Vec<Entry>,
}

/// A file of a selection.
pub(super) struct Entry {
    /// The path below `base`; empty for `base` itself.
    pub(super) path: PathBuf,
    pub(super) kind: FileType,
    pub(super) stat: Stat,
    pub(super) seen: Seen,
    pub(super) time: Timespec,
    /// Whether the file has several hard links.
    pub(super) has_links: bool,
    pub(super) device: u64,
}

/// The name of the build's own context in messages.
pub(crate) const CONTEXT: &str = "the build context";

/// The kernel's limit for symbolic links in a path.
pub(super) const MOST_LINKS: usize = 40;
const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
pub(super) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const WITHIN: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);
pub(super) const BENEATH: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

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

    /// Collects everything below a directory, in the order of names. Returns whether there is any.
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

pub(super) fn reopen(found: &OwnedFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    rustix::fs::open(format!("/proc/self/fd/{}", found.as_raw_fd()), flags | OFlags::CLOEXEC, Mode::empty())
}

impl Selected {
    /// Opens the file itself.
    pub(crate) fn file(&self) -> Result<File, SysError> {
        reopen(&self.base, OFlags::RDONLY).map(File::from).on("open", &self.path)
    }

    pub(super) fn open(&self, entry: &Entry, flags: OFlags) -> Result<OwnedFd, Errno> {
        if entry.path.as_os_str().is_empty() {
            return reopen(&self.base, flags);
        }
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        sys::openat2(&self.base, &entry.path, flags, BENEATH)
    }

    /// Returns the path of an entry for messages.
    pub(super) fn shown(&self, entry: &Entry) -> PathBuf {
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

    pub(super) fn link(&self, entry: &Entry) -> Result<Vec<u8>, SysError> {
        let found = if entry.path.as_os_str().is_empty() {
            rustix::fs::readlinkat(&self.base, "", Vec::new())
        } else {
            let link = sys::openat2(&self.base, &entry.path, PATH | OFlags::NOFOLLOW, BENEATH);
            link.and_then(|link| rustix::fs::readlinkat(&link, "", Vec::new()))
        };
        found.map(std::ffi::CString::into_bytes).on("readlinkat", self.shown(entry))
    }
}
