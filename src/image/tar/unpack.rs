//! Unpacks a tar stream to a directory that overlayfs takes as a layer.

use super::record::Recorder;
use super::sparse;
use super::stream;
use super::stream::Compression;
use super::tape::{Entry, Kind, Run, Tape, TapeError, printable};
use super::tree;
use super::tree::{Components, Tree, TreeError};
use crate::diag::Diagnose;
use crate::image::overlay::mark::{self, MarkName};
use crate::image::overlay::owner::{NotGiven, Owners, Stat};
use crate::sys::{On, SysError, fs as sys};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    #[error(transparent)]
    Tape(#[from] TapeError),
    #[error(transparent)]
    Tree(#[from] TreeError),
    #[error("`{name}` is a hard link to `{target}`, which is not in the layer")]
    HardLink { name: String, target: String },
    #[error("the whiteout `{0}` names nothing that it could hide")]
    Whiteout(String),
    #[error("the archive is compressed by {0}, which minirun does not support")]
    Compression(&'static str),
    #[error("the root of the archive is not a directory")]
    Root,
    #[error("cannot overwrite {} `{name}` with {}", if *was_directory { "directory" } else { "non-directory" }, if *was_directory { "a non-directory" } else { "a directory" })]
    Kind { name: String, was_directory: bool },
    #[error("`{name}` belongs to {kind} {id}, but only {owned} can be used here")]
    Unmapped { name: String, kind: &'static str, id: u64, owned: String },
    #[error("the archive has more than {0} bytes")]
    Bytes(u64),
    #[error("the archive has more than the {0} bytes that are free on the disk it is unpacked to")]
    Space(u64),
    #[error("the archive has more than {0} entries")]
    Entries(u64),
    #[error("the archive unpacks to more than {ratio} times its size")]
    Ratio { ratio: u64 },
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for UnpackError {
    fn hint(&self) -> Option<String> {
        let raise = |name: &str, value: u64| {
            Some(format!(
                "if you trust it, raise the limit: {name}={value} minirun …",
                value = value.saturating_mul(10)
            ))
        };
        match self {
            Self::Tape(TapeError::Truncated(_)) => Some("the file is incomplete: fetch it again".into()),
            Self::Tree(TreeError::Sys(error)) | Self::Sys(error) => error.hint(),
            Self::Tree(TreeError::Deep(_, limit)) => raise(Limits::DEPTH, *limit as u64),
            Self::Unmapped { id, .. } => Some(format!(
                "give yourself a range of subordinate ids that is longer than {id}, in /etc/subuid and /etc/subgid:\n\
                 sudo usermod --add-subuids 100000-{last} --add-subgids 100000-{last} $USER",
                last = 100_000 + id.next_power_of_two().max(65_536) - 1
            )),
            Self::Compression(by) => {
                Some(format!("decompress it first, or use gzip, bzip2, xz or zstd instead of {by}"))
            }
            Self::Bytes(limit) => raise(Limits::BYTES, *limit),
            Self::Space(_) => Some("the disk is full; see what minirun holds: minirun system df".into()),
            Self::Entries(limit) => raise(Limits::ENTRIES, *limit),
            Self::Ratio { ratio } => raise(Limits::RATIO, *ratio),
            _ => None,
        }
    }
}

/// The limits of what an archive may ask for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// The uncompressed archive, and the lengths of its files together.
    pub bytes: u64,
    /// The bytes that are free on the disk: the uncompressed archive may have no more. The holes of files take none.
    pub free: u64,
    pub entries: u64,
    pub depth: usize,
    /// The most times that the uncompressed archive may be as long as the compressed one; checked beyond
    /// [`Limits::RATIO_FROM`].
    pub ratio: u64,
}

impl Limits {
    const BYTES: &str = "MINIRUN_MAX_LAYER_BYTES";
    const ENTRIES: &str = "MINIRUN_MAX_LAYER_ENTRIES";
    const DEPTH: &str = "MINIRUN_MAX_LAYER_DEPTH";
    const RATIO: &str = "MINIRUN_MAX_LAYER_RATIO";
    /// Zeros compress a thousandfold, and a small layer of zeros harms nobody.
    const RATIO_FROM: u64 = 1 << 30;

    pub(crate) fn from_env() -> Self {
        let read = |name, default| std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default);
        Self {
            bytes: read(Self::BYTES, 128 << 30),
            free: u64::MAX,
            entries: read(Self::ENTRIES, 10_000_000),
            depth: usize::try_from(read(Self::DEPTH, 256)).unwrap_or(256),
            ratio: read(Self::RATIO, 500),
        }
    }

    /// Returns limits for an archive of files from this disk.
    pub(crate) fn unlimited() -> Self {
        Self { bytes: u64::MAX, free: u64::MAX, entries: u64::MAX, depth: usize::MAX, ratio: u64::MAX }
    }

    /// The same, but no more than fits on the disk that a directory is on, unless there is no limit at all.
    pub(crate) fn on_disk_of(self, directory: &Path) -> Result<Self, SysError> {
        if self.bytes == u64::MAX {
            return Ok(self);
        }
        let found = rustix::fs::statvfs(directory).on("statvfs", directory)?;
        Ok(Self { free: found.f_bavail.saturating_mul(found.f_frsize), ..self })
    }

    /// Checks the number of bytes while the archive is being read.
    pub(crate) fn check(&self, compressed: u64, uncompressed: u64) -> Result<(), UnpackError> {
        if uncompressed > self.bytes {
            return Err(UnpackError::Bytes(self.bytes));
        }
        if uncompressed > self.free {
            return Err(UnpackError::Space(self.free));
        }
        // An archive that is not compressed is never larger than itself.
        if uncompressed > Self::RATIO_FROM && uncompressed / self.ratio.max(1) > compressed {
            return Err(UnpackError::Ratio { ratio: self.ratio });
        }
        Ok(())
    }
}

/// The totals of one unpacked archive.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub size: u64,
    pub entries: u64,
}

/// A directory's time changes with every entry made in it, so it is set last.
struct Dated {
    path: Vec<u8>,
    times: Timestamps,
    /// The mode, where its owner could not make anything in it.
    mode: Option<Mode>,
}

pub(crate) struct Unpacker<'a> {
    tree: Tree,
    owners: &'a Owners,
    limits: Limits,
    totals: Totals,
    directories: Vec<Dated>,
    placing: Placing<'a>,
}

/// What an archive is unpacked as.
#[derive(Clone, Copy)]
pub(crate) enum Placing<'a> {
    /// A layer: names may be marks of overlayfs.
    Layer,
    /// Files, over those that are there: a directory stays a directory, and a file a file.
    Tree,
    /// The same, but the directory itself stays as it is.
    Files,
    /// Files, the first part of whose names is replaced.
    Under(&'a [u8]),
    /// Files, without the first part of their names.
    Contents,
}

impl Placing<'_> {
    /// Returns the place of a name. `None`: it is the directory itself that is unpacked into.
    fn put(self, mut components: Components) -> Option<Components> {
        match self {
            Self::Layer | Self::Tree => {}
            Self::Files if components.is_empty() => return None,
            Self::Files => {}
            Self::Under(name) => *components.first_mut()? = name.to_vec(),
            Self::Contents => {
                components = components.get(1..).unwrap_or_default().to_vec();
                if components.is_empty() {
                    return None;
                }
            }
        }
        Some(components)
    }
}

impl<'a> Unpacker<'a> {
    pub(crate) fn new(tree: Tree, owners: &'a Owners, limits: Limits) -> Self {
        Self::placing(tree, owners, limits, Placing::Layer)
    }

    fn placing(tree: Tree, owners: &'a Owners, limits: Limits, placing: Placing<'a>) -> Self {
        Self { tree, owners, limits, totals: Totals::default(), directories: Vec::new(), placing }
    }

    /// Unpacks the whole stream, whatever follows the archive in it included.
    pub(crate) fn unpack<R: BufRead>(
        mut self,
        tape: &mut Tape<R, Option<Recorder>>,
    ) -> Result<(Totals, Tree), UnpackError> {
        while let Some(entry) = tape.entry()? {
            self.totals.entries += 1;
            if self.totals.entries > self.limits.entries {
                return Err(UnpackError::Entries(self.limits.entries));
            }
            self.totals.size = self.totals.size.saturating_add(entry.size);
            if self.totals.size > self.limits.bytes {
                return Err(UnpackError::Bytes(self.limits.bytes));
            }
            let components = tree::components(&entry.path, self.limits.depth)?;
            if let Some(components) = self.placing.put(components) {
                self.make(tape, &entry, &components)?;
            }
        }
        tape.rest()?;
        for dated in self.directories.iter().rev() {
            if let Some(directory) = self.tree.directory(&dated.path) {
                let path = [dated.path.clone()];
                if let Some(mode) = dated.mode {
                    rustix::fs::fchmod(&directory, mode).map_err(|e| self.tree.failed("fchmod", &path, e))?;
                }
                rustix::fs::futimens(&directory, &dated.times).map_err(|e| self.tree.failed("futimens", &path, e))?;
            }
        }
        Ok((self.totals, self.tree))
    }

    fn make<R: BufRead>(
        &mut self,
        tape: &mut Tape<R, Option<Recorder>>,
        entry: &Entry,
        components: &Components,
    ) -> Result<(), UnpackError> {
        let Some(name) = components.last() else {
            return if entry.kind == Kind::Directory { self.root(entry) } else { Err(UnpackError::Root) };
        };
        if let Some(mark) = MarkName::of(name).filter(|_| matches!(self.placing, Placing::Layer)) {
            return self.mark(entry, components, &mark);
        }
        match entry.kind {
            Kind::File => self.file(tape, entry, components),
            Kind::Directory => self.directory(entry, components),
            Kind::Symlink => self.symlink(entry, components),
            Kind::HardLink => self.hard_link(entry, components),
            Kind::Fifo => self.fifo(entry, components),
            // No user namespace may make one; a container gets those it needs in its own /dev.
            Kind::Device => Ok(()),
        }
    }

    fn file<R: BufRead>(
        &mut self,
        tape: &mut Tape<R, Option<Recorder>>,
        entry: &Entry,
        components: &Components,
    ) -> Result<(), UnpackError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = self.place("openat", components, |parent, name| {
            rustix::fs::openat(parent, name, flags, Mode::from_raw_mode(0o600)).map(File::from)
        })?;
        match &entry.sparse {
            Some(runs) => self.sparse(tape, &file, runs, entry.size, components)?,
            None => self.contents(tape, &file, entry.size, components)?,
        }
        self.attributes(&file, entry, components)?;
        rustix::fs::futimens(&file, &times(entry)).map_err(|e| self.failed("futimens", components, e))
    }

    fn contents<R: BufRead>(
        &self,
        tape: &mut Tape<R, Option<Recorder>>,
        file: &File,
        size: u64,
        components: &Components,
    ) -> Result<(), UnpackError> {
        let referred = match &mut tape.record {
            Some(record) if !self.tree.through_link() => {
                record.file(&tree::join(components), size, self.totals.entries).map_err(TapeError::Read)?
            }
            Some(_) => false,
            None => true,
        };
        let mut writer = sparse::Writer::new(file);
        loop {
            let bytes = tape.contents()?;
            if bytes.is_empty() {
                return writer.finish().map_err(|e| self.failed("ftruncate", components, e));
            }
            let n = bytes.len();
            writer.write(bytes).map_err(|e| self.failed("pwrite", components, e))?;
            if referred { tape.consume(n) } else { tape.consume_recorded(n)? }
        }
    }

    /// Unpacks a file with holes. Records its bytes, which lie elsewhere in the file than in the archive.
    fn sparse<R: BufRead>(
        &self,
        tape: &mut Tape<R, Option<Recorder>>,
        file: &File,
        runs: &[Run],
        size: u64,
        components: &Components,
    ) -> Result<(), UnpackError> {
        for run in runs {
            let (mut offset, end) = (run.offset, run.offset + run.length);
            while offset < end {
                let bytes = tape.contents()?;
                let n = bytes.len().min(usize::try_from(end - offset).unwrap_or(usize::MAX));
                file.write_all_at(&bytes[..n], offset).map_err(|e| self.failed("pwrite", components, e))?;
                tape.consume_recorded(n)?;
                offset += n as u64;
            }
        }
        file.set_len(size).map_err(|e| self.failed("ftruncate", components, e))
    }

    fn directory(&mut self, entry: &Entry, components: &Components) -> Result<(), UnpackError> {
        let Some(name) = components.last() else { return Err(UnpackError::Root) };
        let parent = self.tree.parent(components)?;
        let hidden = mark::is_whiteout_at(parent, name);
        if hidden || tree::open_directory(parent, name).is_err() {
            self.place("mkdirat", components, tree::make_directory)?;
        }
        let directory = tree::open_directory(self.tree.parent(components)?, name);
        let directory = directory.map_err(|e| self.failed("openat", components, e))?;
        if hidden {
            mark::set_opaque(&directory).map_err(|e| self.failed("fsetxattr", components, e))?;
        }
        self.attributes(&directory, entry, components)?;
        let closed = entry.mode & 0o700 != 0o700 && !matches!(self.placing, Placing::Layer);
        let mode = closed.then(|| Mode::from_raw_mode(entry.mode));
        if closed {
            let open = Mode::from_raw_mode(entry.mode | 0o700);
            rustix::fs::fchmod(&directory, open).map_err(|e| self.failed("fchmod", components, e))?;
        }
        self.directories.push(Dated { path: tree::join(components), times: times(entry), mode });
        Ok(())
    }

    fn root(&mut self, entry: &Entry) -> Result<(), UnpackError> {
        let Some(root) = self.tree.directory(b"") else { return Err(UnpackError::Root) };
        self.attributes(&root, entry, &Vec::new())?;
        self.directories.push(Dated { path: Vec::new(), times: times(entry), mode: None });
        Ok(())
    }

    fn symlink(&mut self, entry: &Entry, components: &Components) -> Result<(), UnpackError> {
        self.place("symlinkat", components, |parent, name| rustix::fs::symlinkat(entry.link.as_slice(), parent, name))?;
        self.unopened(entry, components)
    }

    fn fifo(&mut self, entry: &Entry, components: &Components) -> Result<(), UnpackError> {
        let mode = Mode::from_raw_mode(entry.mode);
        self.place("mknodat", components, |parent, name| {
            rustix::fs::mknodat(parent, name, FileType::Fifo, mode, 0)?;
            // The umask may have taken bits from it.
            rustix::fs::chmodat(parent, name, mode, AtFlags::empty())
        })?;
        self.unopened(entry, components)
    }

    fn hard_link(&mut self, entry: &Entry, components: &Components) -> Result<(), UnpackError> {
        let target = tree::components(&entry.link, self.limits.depth)?;
        let target = self.placing.put(target).unwrap_or_default();
        let missing = || UnpackError::HardLink { name: printable(&entry.path), target: printable(&entry.link) };
        let Some(target_name) = target.last() else { return Err(missing()) };
        if target == *components {
            return Ok(());
        }
        // It would have to go before the link is made.
        if target.starts_with(components) {
            return Err(missing());
        }
        let target_parent = self.tree.existing_parent(&target).map_err(|_| missing())?;
        let found = rustix::fs::statat(&target_parent, target_name.as_slice(), AtFlags::SYMLINK_NOFOLLOW);
        let kind = FileType::from_raw_mode(found.map_err(|_| missing())?.st_mode);
        if matches!(kind, FileType::Directory | FileType::CharacterDevice) {
            return Err(missing());
        }
        let linked = self.place("linkat", components, |parent, name| {
            rustix::fs::linkat(&target_parent, target_name.as_slice(), parent, name, AtFlags::empty())
        });
        match linked {
            // The target lay in what had to make way for the link.
            Err(UnpackError::Sys(error)) if error.errno == libc::ENOENT => Err(missing()),
            other => other,
        }
    }

    fn mark(&mut self, entry: &Entry, components: &Components, mark: &MarkName) -> Result<(), UnpackError> {
        let parent = self.tree.parent(components)?;
        let hidden = match *mark {
            MarkName::Whiteout(hidden) => hidden,
            MarkName::Aufs => return Ok(()),
            MarkName::Opaque => {
                // Opened anew, since the cached descriptor is good for paths only.
                let opaque = tree::open_directory(parent, b".").and_then(|directory| mark::set_opaque(&directory));
                return opaque.map_err(|e| self.failed("fsetxattr", components, e));
            }
        };
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(UnpackError::Whiteout(printable(&entry.path)));
        }
        match mark::make_whiteout(parent, hidden) {
            // A whiteout hides what lies below this layer: what this layer itself has there stays, but alone.
            Err(Errno::EXIST) => match tree::open_directory(parent, hidden) {
                Ok(directory) => mark::set_opaque(&directory).map_err(|e| self.failed("fsetxattr", components, e)),
                Err(_) => Ok(()),
            },
            made => made.map_err(|e| self.failed("mknodat", components, e)),
        }
    }

    /// Makes something under a name; removes what an earlier entry left there.
    fn place<T>(
        &mut self,
        call: &'static str,
        components: &Components,
        make: impl Fn(BorrowedFd, &[u8]) -> Result<T, Errno>,
    ) -> Result<T, UnpackError> {
        let Some(name) = components.last() else { return Err(UnpackError::Root) };
        let mut made = make(self.tree.parent(components)?, name);
        if matches!(made, Err(Errno::EXIST)) {
            self.keep_kind(call == "mkdirat", components)?;
            self.tree.displace(components, self.totals.entries)?;
            made = make(self.tree.parent(components)?, name);
        }
        made.map_err(|e| self.failed(call, components, e))
    }

    /// Refuses a directory in place of a file, and a file in place of a directory, unless a layer is unpacked.
    fn keep_kind(&mut self, is_directory: bool, components: &Components) -> Result<(), UnpackError> {
        let (Some(name), false) = (components.last(), matches!(self.placing, Placing::Layer)) else { return Ok(()) };
        let parent = self.tree.parent(components)?;
        let was = rustix::fs::statat(parent, name.as_slice(), AtFlags::SYMLINK_NOFOLLOW);
        let was_directory = was.is_ok_and(|was| FileType::from_raw_mode(was.st_mode) == FileType::Directory);
        if is_directory || was_directory {
            return Err(UnpackError::Kind { name: printable(&tree::join(components)), was_directory });
        }
        Ok(())
    }

    /// Sets owner, mode and extended attributes, in the order in which none undoes another.
    fn attributes(&self, file: &impl AsFd, entry: &Entry, components: &Components) -> Result<(), UnpackError> {
        let stat = Stat { uid: entry.uid, gid: entry.gid, mode: entry.mode };
        let given = self.owners.give(file, stat, entry.kind == Kind::Directory);
        given.map_err(|not_given| self.not_given(entry, components, not_given))?;
        for (name, value) in entry.xattrs.iter().filter(|(name, _)| is_applied(name)) {
            match sys::fsetxattr(file, name, value) {
                // A file system without them, or a name that only the initial namespace may set.
                Err(Errno::OPNOTSUPP | Errno::PERM) if name != b"security.capability" => {}
                set => set.map_err(|e| self.failed("fsetxattr", components, e))?,
            }
        }
        Ok(())
    }

    /// Sets owner and time of what cannot be opened without a side effect.
    fn unopened(&mut self, entry: &Entry, components: &Components) -> Result<(), UnpackError> {
        let Some(name) = components.last() else { return Ok(()) };
        let parent = self.tree.parent(components)?;
        let given = self.owners.give_link(parent, name, entry.uid, entry.gid);
        let dated = || rustix::fs::utimensat(parent, name.as_slice(), &times(entry), AtFlags::SYMLINK_NOFOLLOW);
        match given {
            Ok(()) => dated().map_err(|e| self.failed("utimensat", components, e)),
            Err(not_given) => Err(self.not_given(entry, components, not_given)),
        }
    }

    fn not_given(&self, entry: &Entry, components: &Components, not_given: NotGiven) -> UnpackError {
        match not_given {
            NotGiven::Unmapped { kind, id, owned } => {
                UnpackError::Unmapped { name: printable(&entry.path), kind, id, owned }
            }
            NotGiven::Call { call, errno } => self.failed(call, components, errno),
        }
    }

    fn failed(&self, call: &'static str, components: &Components, error: impl Into<std::io::Error>) -> UnpackError {
        self.tree.failed(call, components, error).into()
    }
}

/// Unpacks an archive, compressed or not, over what is in a directory that nobody else changes.
pub(crate) fn extract(
    target: &Path,
    mut source: impl Read + Send,
    owners: &Owners,
    limits: Limits,
) -> Result<Totals, UnpackError> {
    let mut magic = [0; stream::MAGIC];
    let known = stream::fill(&mut source, &mut magic).map_err(TapeError::Read)?;
    let compression = Compression::of(&magic[..known]).map_err(UnpackError::Compression)?;
    let decoder = compression.decode((&magic[..known]).chain(source)).map_err(TapeError::Read)?;
    let tree = Tree::new(target, limits.depth, None)?;
    let mut tape = Tape::new(BufReader::with_capacity(256 << 10, decoder), None);
    Ok(Unpacker::new(tree, owners, limits).unpack(&mut tape)?.0)
}

/// Unpacks an archive, compressed or not, over the files in a directory, which others may change meanwhile.
pub(crate) fn extract_files(
    target: OwnedFd,
    shown: &Path,
    mut source: impl Read + Send,
    owners: &Owners,
    placing: Placing,
) -> Result<Totals, UnpackError> {
    let mut magic = [0; stream::MAGIC];
    let known = stream::fill(&mut source, &mut magic).map_err(TapeError::Read)?;
    let compression = Compression::of(&magic[..known]).map_err(UnpackError::Compression)?;
    let decoder = compression.decode((&magic[..known]).chain(source)).map_err(TapeError::Read)?;
    let limits = Limits::from_env();
    let tree = Tree::of(target, shown, limits.depth);
    let mut tape = Tape::new(BufReader::with_capacity(256 << 10, decoder), None);
    Ok(Unpacker::placing(tree, owners, limits, placing).unpack(&mut tape)?.0)
}

/// Returns whether a file is a tar archive, compressed or not, with an entry in it.
pub(crate) fn is_archive(mut source: impl Read + Send) -> bool {
    let mut magic = [0; stream::MAGIC];
    let Ok(known) = stream::fill(&mut source, &mut magic) else { return false };
    let Ok(compression) = Compression::of(&magic[..known]) else { return false };
    let Ok(decoder) = compression.decode((&magic[..known]).chain(source)) else { return false };
    matches!(Tape::new(BufReader::new(decoder), ()).entry(), Ok(Some(_)))
}

fn times(entry: &Entry) -> Timestamps {
    let time = Timespec { tv_sec: entry.seconds, tv_nsec: i64::from(entry.nanoseconds) };
    Timestamps { last_access: time, last_modification: time }
}

/// Returns whether an archive may set an attribute: not one that means something to an overlay, to the engine or to this host
/// alone.
pub(crate) fn is_applied(name: &[u8]) -> bool {
    let foreign: [&[u8]; 3] = [b"user.minirun.", b"security.selinux", b"security.ima"];
    !name.contains(&0) && !mark::is_note(name) && !foreign.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_matters_only_beyond_a_size_that_could_do_harm() {
        let limits = Limits { bytes: 100 << 30, free: 99 << 30, entries: 1, depth: 1, ratio: 500 };
        assert!(limits.check(1000, 1 << 30).is_ok());
        assert!(matches!(limits.check(1000, (1 << 30) + 1), Err(UnpackError::Ratio { ratio: 500 })));
        assert!(limits.check(1 << 30, 50 << 30).is_ok());
        assert!(matches!(limits.check(99 << 30, 101 << 30), Err(UnpackError::Bytes(_))));
        assert!(matches!(limits.check(99 << 30, 100 << 30), Err(UnpackError::Space(_))));
    }
}
