//! The store on disk: where things lie, how they are written so that a crash leaves nothing half-done, and the locks.
//!
//! Everything that grows under a temporary name lives in `tmp/`, each entry held by a lock of the process that fills it.
//! A process that dies lets go of its lock, and the next command that writes sweeps what it left.

pub(crate) mod format;

use crate::sys::{On, SysError};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("no place for the store: neither --root, MINIRUN_ROOT, XDG_DATA_HOME nor HOME is set")]
    NoHome,
    #[error("{} cannot be closed to other users: it belongs to uid {owner}", path.display())]
    Open {
        path: PathBuf,
        owner: u32,
        #[source]
        source: SysError,
    },
    #[error(
        "the store {} has format {found}, made by a newer minirun; this version reads formats up to {}",
        path.display(),
        format::FORMAT
    )]
    Newer { path: PathBuf, found: u32 },
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl crate::diag::Diagnose for StoreError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoHome => Some("give one: minirun --root DIR …".into()),
            Self::Open { .. } => Some("keep the store in a directory of your own: minirun --root DIR …".into()),
            Self::Newer { .. } => Some("use that minirun, or another store: minirun --root DIR …".into()),
            Self::Sys(error) => error.hint(),
        }
    }
}

/// The directories that are always there; the last one is made last.
pub(crate) const PARTS: [&str; 11] = [
    "images",
    "names",
    "layers",
    "containers",
    "container-names",
    "volumes",
    "tmp",
    "pending",
    "builds",
    RUNTIME,
    RESERVE,
];

/// What else may lie beside them.
const OTHERS: [&str; 6] = ["ids", "shift", "layering", "manifest-lists", "indexes", format::FILE];

/// Empty files that become locks where the disk has no inode left: whoever frees something must need nothing.
const RESERVE: &str = "reserve";
/// As many as one command holds at once, and some more.
const RESERVED: usize = 12;

/// What this process has taken from the reserve.
static OWED: AtomicUsize = AtomicUsize::new(0);

/// What lasts as long as a container runs, in a directory per boot.
const RUNTIME: &str = "run";

/// The two directories everything lies in.
#[derive(Debug, Clone)]
pub struct Store {
    /// What lasts: images, layers, containers, volumes.
    pub root: PathBuf,
    /// What lasts as long as a container runs: sockets, process ids. It lies in the store, not in `XDG_RUNTIME_DIR`, which
    /// goes with the log-in session while a container may stay, and need not be the same for the next command.
    pub runtime: PathBuf,
}

impl Store {
    /// `--root`, `MINIRUN_ROOT`, `$XDG_DATA_HOME/minirun`, or `~/.local/share/minirun`; made if missing.
    pub fn open(root: Option<&Path>) -> Result<Self, StoreError> {
        let var = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let root = root
            .map(Path::to_owned)
            .or_else(|| var("MINIRUN_ROOT"))
            .or_else(|| var("XDG_DATA_HOME").map(|d| d.join("minirun")))
            .or_else(|| var("HOME").or_else(home).map(|d| d.join(".local/share/minirun")))
            .ok_or(StoreError::NoHome)?;
        let root = std::path::absolute(&root).on("open", &root)?;
        let found = format::of(&root);
        if let format::Found::Format(found) = found
            && found > format::FORMAT
        {
            return Err(StoreError::Newer { path: root, found });
        }
        let runtime = root.join(RUNTIME).join(boot());
        let store = Self { root, runtime };
        if !store.root.join(RESERVE).exists() {
            make_private_dirs(&store.root)?;
            store.write_format()?;
            for part in PARTS {
                make_dir(&store.root.join(part))?;
            }
            store.fill_reserve()?;
        }
        store.close()?;
        store.make_runtime()?;
        if found == format::Found::Damaged {
            tell_damage(&store.path(format::FILE), &"it says no format");
        }
        Ok(store)
    }

    /// Notes the format that everything in the store has.
    pub fn write_format(&self) -> Result<(), SysError> {
        write_durably(&self.path(format::FILE), format::text().as_bytes())
    }

    /// Lets nobody else in, also where the directory existed before: layers hold set-user-ID programs, and records secrets.
    fn close(&self) -> Result<(), StoreError> {
        if is_closed(&self.root) {
            return Ok(());
        }
        let entries = fs::read_dir(&self.root).on("opendir", &self.root)?.flatten();
        let is_ours = |name: &std::ffi::OsStr| PARTS.iter().chain(&OTHERS).any(|part| name == *part);
        let all_ours = entries.into_iter().all(|entry| is_ours(&entry.file_name()));
        // Somebody may have said `--root /home/me`: what is not ours is left as it is.
        if all_ours {
            return close(&self.root);
        }
        let parts = PARTS.iter().chain(&OTHERS).map(|part| self.root.join(part));
        parts.filter(|part| part.is_dir() && !is_closed(part)).try_for_each(|part| close(&part))
    }

    fn make_runtime(&self) -> Result<(), SysError> {
        if self.runtime.is_dir() {
            return Ok(());
        }
        let all = self.root.join(RUNTIME);
        // Whatever else has this name, and what earlier boots left.
        if !all.is_dir() {
            let _ = fs::remove_file(&all);
        }
        for entry in fs::read_dir(&all).into_iter().flatten().flatten() {
            let _ = remove_tree(&entry.path());
        }
        match make_private_dirs(&self.runtime) {
            // Whoever removes something must be able to on a full disk, too; nothing runs since this boot.
            Err(full) if full.is_full() => Ok(()),
            other => other,
        }
    }

    /// Removes all of it part by part, never the directory as such: somebody may have said `--root /home/me`.
    pub fn remove(&self) -> Result<(), SysError> {
        for part in PARTS.iter().chain(&OTHERS) {
            remove_tree(&self.root.join(part))?;
        }
        // It goes too if nothing of anybody else's is in it.
        let _ = fs::remove_dir(&self.root);
        Ok(())
    }

    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// A new directory under `tmp/`, removed when dropped unless it was [`Scratch::publish`]ed.
    pub fn scratch(&self) -> Result<Scratch, StoreError> {
        let scratch = self.scratch_place()?;
        fs::create_dir(&scratch.path).on("mkdir", &scratch.path)?;
        Ok(scratch)
    }

    /// Moves a directory under `tmp/`, where nobody sees it any more, to be removed with all that belongs to it.
    /// `None`: another was faster.
    pub fn withdraw(&self, directory: &Path) -> Result<Option<Scratch>, StoreError> {
        let scratch = self.scratch_place()?;
        match fs::rename(directory, &scratch.path) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            other => Ok(other.on("rename", directory).map(|()| Some(scratch))?),
        }
    }

    /// A name under `tmp/` that is locked for this process, with nothing there yet.
    fn scratch_place(&self) -> Result<Scratch, StoreError> {
        self.sweep();
        loop {
            let path = self.root.join("tmp").join(random_hex(8));
            let lock = path.with_extension("lock");
            let file = self.open_lock(&lock)?;
            file.lock().on("flock", &lock)?;
            // Between creation and lock a sweeper may have taken it for abandoned.
            if fs::metadata(&lock).is_ok_and(|m| m.nlink() == 1 && file.metadata().is_ok_and(|f| f.ino() == m.ino())) {
                return Ok(Scratch { store: self.clone(), path, lock, _held: file });
            }
        }
    }

    /// Opens a lock file, made if missing: on a disk without inodes, from the reserve.
    pub fn open_lock(&self, path: &Path) -> Result<File, SysError> {
        match lock_file(path) {
            Err(full) if full.is_full() => {
                if (0..RESERVED).any(|number| rename_to_nothing(&self.reserved(number), path).is_ok()) {
                    OWED.fetch_add(1, Ordering::Relaxed);
                }
                // Another process may have made it meanwhile.
                lock_file(path).map_err(|error| if error.is_full() { full } else { error })
            }
            other => other,
        }
    }

    /// Removes a lock file, or gives it back to the reserve.
    pub fn retire_lock(&self, path: &Path) {
        let owes = OWED.load(Ordering::Relaxed) > 0;
        if owes && (0..RESERVED).any(|number| rename_to_nothing(path, &self.reserved(number)).is_ok()) {
            OWED.fetch_sub(1, Ordering::Relaxed);
        } else {
            let _ = remove_tree(path);
        }
    }

    fn reserved(&self, number: usize) -> PathBuf {
        self.root.join(RESERVE).join(number.to_string())
    }

    /// Fills the reserve with what a process that was killed did not give back.
    pub fn fill_reserve(&self) -> Result<(), SysError> {
        (0..RESERVED).map(|number| self.reserved(number)).try_for_each(|path| lock_file(&path).map(drop))
    }

    /// Removes what dead processes left under `tmp/`. Costs one `readdir` of a directory that is normally empty.
    pub fn sweep(&self) {
        let Ok(entries) = fs::read_dir(self.root.join("tmp")) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|e| e != "lock") {
                // A directory whose lock is gone was left by a sweeper that died after unlocking it.
                if !path.with_extension("lock").exists() {
                    let _ = self.bury(&path);
                }
                continue;
            }
            let Ok(file) = File::open(&path) else { continue };
            if file.try_lock().is_ok() {
                let _ = self.bury(&path.with_extension(""));
                self.retire_lock(&path);
            }
        }
    }

    /// Removes a directory under `tmp/`, after what belongs to it. Done again it does what was left over; a file that only
    /// the user namespace's root may remove waits for one who is.
    fn bury(&self, directory: &Path) -> Result<(), SysError> {
        self.remove_belongings(directory)?;
        remove_tree(directory)
    }

    fn remove_belongings(&self, directory: &Path) -> Result<(), SysError> {
        for list in LISTS {
            let Ok(text) = fs::read(directory.join(list)) else { continue };
            let belongings: Vec<Belonging> = serde_json::from_slice(&text).unwrap_or_default();
            belongings.iter().try_for_each(|belonging| self.remove_belonging(belonging))?;
        }
        Ok(())
    }

    fn remove_belonging(&self, belonging: &Belonging) -> Result<(), SysError> {
        match belonging {
            Belonging::Tree(path) => remove_tree(&self.path(path)),
            Belonging::Name { path, id } => {
                let name = self.path(path);
                let _lock = Lock::from_reserve(self, &name.with_file_name(NAMES_LOCK))?;
                // It may be another's by now; one that says no id is nobody's.
                let is_anothers = |found: String| found.len() == id.len() && found != *id;
                if fs::read_to_string(&name).is_ok_and(is_anothers) { Ok(()) } else { remove_tree(&name) }
            }
        }
    }
}

/// What goes when the thing goes that a list of these lies in. The list is there before any of them, and wherever the thing
/// is moved to: whoever makes or removes the thing may die at any moment, and whoever finds it in `tmp/` ends the work.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Belonging {
    /// A file or directory, relative to the store.
    Tree(PathBuf),
    /// A file that says the id, guarded by the lock beside it.
    Name { path: PathBuf, id: String },
}

/// The lists of a thing's belongings.
const LISTS: [&str; 2] = ["belongings.json", "volumes.json"];

/// Guards the names in a directory.
pub(crate) const NAMES_LOCK: &str = ".lock";

/// Whether a list of belongings can be read, or is not there.
pub(crate) fn lists_are_whole(thing: &Path) -> bool {
    LISTS.iter().all(|list| match fs::read(thing.join(list)) {
        Ok(text) => serde_json::from_slice::<Vec<Belonging>>(&text).is_ok(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    })
}

/// Notes what goes with a thing; `list` is one of two that can be taken back alone.
pub(crate) fn note_belongings(thing: &Path, list: &str, belongings: &[Belonging]) -> Result<(), SysError> {
    debug_assert!(LISTS.contains(&list));
    write_quickly(&thing.join(list), &serde_json::to_vec(belongings).unwrap_or_default())
}

/// Tells once of a file that cannot be used, by a command that goes on without it.
pub(crate) fn tell_damage(path: &Path, why: &dyn std::fmt::Display) {
    static TOLD: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());
    let mut told = TOLD.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !told.iter().any(|other| other == path) {
        eprintln!("note: {} is damaged ({why}); what mends it: {CHECK}", path.display());
        told.push(path.to_owned());
    }
}

/// What to type where a file of the store is damaged.
pub(crate) const CHECK: &str = "minirun system check --repair";

/// A directory being filled; nobody else sees it.
pub struct Scratch {
    store: Store,
    path: PathBuf,
    lock: PathBuf,
    _held: File,
}

impl Scratch {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes what belongs to it, before its files.
    pub fn let_go(&self) -> Result<(), SysError> {
        self.store.remove_belongings(&self.path)
    }

    /// Removes all that is in it, and what belongs to it.
    pub fn discard(&self) -> Result<(), SysError> {
        self.store.bury(&self.path)
    }

    /// Renames one entry of it, or all of it, to `target` and flushes the parent directory. `false`: `target` is there
    /// already.
    pub fn publish(&self, entry: &Path, target: &Path) -> Result<bool, StoreError> {
        let published = self.publish_quickly(entry, target)?;
        if published {
            sync_dir(target.parent().unwrap_or(target))?;
        }
        Ok(published)
    }

    /// The same for what a power failure may take.
    pub fn publish_quickly(&self, entry: &Path, target: &Path) -> Result<bool, StoreError> {
        match fs::rename(entry, target) {
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENOTEMPTY | libc::EEXIST)) => Ok(false),
            other => Ok(or_over_directory(other, entry, target).on("rename", target).map(|()| true)?),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = self.discard();
        self.store.retire_lock(&self.lock);
        // A lock may have gone with the thing that it was in.
        if OWED.load(Ordering::Relaxed) > 0 {
            let _ = self.store.fill_reserve();
        }
    }
}

/// A lock on one thing, held until dropped or until the process dies.
#[must_use]
pub(crate) struct Lock(File);

impl Lock {
    /// The same lock for another process: it is let go of when both have.
    pub(crate) fn share(&self) -> Result<OwnedFd, SysError> {
        self.0.try_clone().map(OwnedFd::from).on("dup", "a lock")
    }

    /// Waits for the lock file at `path`, created if missing.
    pub(crate) fn exclusive(path: &Path) -> Result<Self, SysError> {
        Self::of(lock_file(path)?, path)
    }

    /// [`Lock::exclusive`] that needs no inode.
    pub(crate) fn from_reserve(store: &Store, path: &Path) -> Result<Self, SysError> {
        Self::of(store.open_lock(path)?, path)
    }

    fn of(file: File, path: &Path) -> Result<Self, SysError> {
        file.lock().on("flock", path)?;
        Ok(Self(file))
    }

    /// `None`: somebody else has it.
    pub(crate) fn attempt(path: &Path) -> Result<Option<Self>, SysError> {
        let file = lock_file(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(std::fs::TryLockError::WouldBlock) => Ok(None),
            Err(std::fs::TryLockError::Error(error)) => Err(error).on("flock", path),
        }
    }

    pub(crate) fn shared(path: &Path) -> Result<Self, SysError> {
        let file = lock_file(path)?;
        file.lock_shared().on("flock", path)?;
        Ok(Self(file))
    }
}

fn lock_file(path: &Path) -> Result<File, SysError> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).on("open", path)
}

/// Where a file belongs, a directory is damage.
fn or_over_directory(renamed: std::io::Result<()>, from: &Path, to: &Path) -> std::io::Result<()> {
    match renamed {
        Err(error) if error.raw_os_error() == Some(libc::EISDIR) => {
            fs::remove_dir_all(to)?;
            fs::rename(from, to)
        }
        other => other,
    }
}

/// Renames a file to a name that nothing has.
fn rename_to_nothing(from: &Path, to: &Path) -> Result<(), SysError> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).on("renameat2", to)
}

/// Replaces `path` in one step: temporary name, `fsync`, `rename`, `fsync` of the directory.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), SysError> {
    write_atomically(path, bytes, true)
}

/// Replaces `path` in one step as every reader sees it; a power failure may lose the newest version.
pub(crate) fn write_quickly(path: &Path, bytes: &[u8]) -> Result<(), SysError> {
    write_atomically(path, bytes, false)
}

fn write_atomically(path: &Path, bytes: &[u8], durable: bool) -> Result<(), SysError> {
    let temporary = path.with_extension(format!("{}.new", random_hex(4)));
    let result = (|| {
        let mut file = File::create_new(&temporary).on("open", &temporary)?;
        file.write_all(bytes).on("write", path)?;
        if durable {
            file.sync_all().on("fsync", path)?;
        }
        or_over_directory(fs::rename(&temporary, path), &temporary, path).on("rename", path)
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result?;
    if durable { sync_dir(path.parent().unwrap_or(path)) } else { Ok(()) }
}

/// Replaces what `path` holds without taking new room: for the last word about something on a full disk.
pub(crate) fn write_in_place(path: &Path, bytes: &[u8]) -> Result<(), SysError> {
    let mut file = OpenOptions::new().write(true).open(path).on("open", path)?;
    file.write_all(bytes).and_then(|()| file.set_len(bytes.len() as u64)).on("write", path)
}

/// Makes a directory's entries last.
pub(crate) fn sync_dir(path: &Path) -> Result<(), SysError> {
    File::open(path).and_then(|d| d.sync_all()).on("fsync", path)
}

/// Nothing is in a directory.
pub(crate) fn is_empty(directory: &Path) -> Result<bool, SysError> {
    Ok(fs::read_dir(directory).on("opendir", directory)?.next().is_none())
}

/// Removes a file, or a directory with all that is in it, also where directories forbid it to their owner.
pub(crate) fn remove_tree(path: &Path) -> Result<(), SysError> {
    let Err(first) = fs::remove_dir_all(path).or_else(|e| match e.raw_os_error() {
        Some(libc::ENOENT) => Ok(()),
        Some(libc::ENOTDIR) => fs::remove_file(path),
        _ => Err(e),
    }) else {
        return Ok(());
    };
    if first.raw_os_error() != Some(libc::EACCES) {
        return Err(first).on("rmdir", path);
    }
    open_up(path);
    fs::remove_dir_all(path).on("rmdir", path)
}

fn open_up(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    let _ = fs::set_permissions(dir, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            open_up(&entry.path());
        }
    }
}

/// Lower-case hexadecimal digits of `bytes` random bytes.
pub(crate) fn random_hex(bytes: usize) -> String {
    let mut buffer = [0u8; 64];
    let mut filled = 0;
    while filled < bytes {
        if let Ok(n) = rustix::rand::getrandom(&mut buffer[filled..bytes], rustix::rand::GetRandomFlags::empty()) {
            filled += n;
        }
    }
    buffer[..bytes].iter().map(|b| format!("{b:02x}")).collect()
}

/// The home of this user's entry in `/etc/passwd`: a static binary must not load the host's NSS modules.
fn home() -> Option<PathBuf> {
    let uid = rustix::process::getuid().as_raw().to_string();
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let mut entries = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let entry = entries.find(|fields| fields.get(2) == Some(&uid.as_str()))?;
    entry.get(5).filter(|home| home.starts_with('/')).map(PathBuf::from)
}

/// A name for the time since the kernel started: process ids and sockets of an earlier one mean nothing.
fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if id.trim().is_empty() { "boot".into() } else { id.trim().into() }
}

/// Nobody but its owner can list it or change it; its group may at most pass through.
fn is_closed(directory: &Path) -> bool {
    fs::metadata(directory).is_ok_and(|found| found.mode() & 0o067 == 0)
}

fn close(directory: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt;
    let closed = fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).on("chmod", directory);
    closed.map_err(|source| {
        let owner = fs::metadata(directory).map_or(0, |found| found.uid());
        StoreError::Open { path: directory.to_owned(), owner, source }
    })
}

fn make_private_dirs(path: &Path) -> Result<(), SysError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).on("mkdir", path)
}

fn make_dir(path: &Path) -> Result<(), SysError> {
    match fs::create_dir(path) {
        Err(e) if e.raw_os_error() == Some(libc::EEXIST) => Ok(()),
        other => other.on("mkdir", path),
    }
}
