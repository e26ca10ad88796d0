use super::damage::tell_damage;
use super::error::StoreError;
use super::format;
use super::removal::remove_tree;
use super::write::write_durably;
use crate::sys::{On, SysError};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

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

/// Other files and directories of the store.
const OTHERS: [&str; 8] = ["networks", "events", "ids", "shift", "layering", "manifest-lists", "indexes", format::FILE];

/// The directory for what lasts as long as a container runs, with a directory in it for each boot.
const RUNTIME: &str = "run";

/// The directory of empty files that become locks where the disk has no inode left.
pub(crate) const RESERVE: &str = "reserve";

/// The two directories of a store.
#[derive(Debug, Clone)]
pub struct Store {
    /// The directory for what lasts: images, layers, containers, volumes.
    pub root: PathBuf,
    /// The directory for what lasts as long as a container runs: sockets, process ids. It lies in the store, not in `XDG_RUNTIME_DIR`, which
    /// goes with the log-in session while a container may stay, and need not be the same for the next command.
    pub runtime: PathBuf,
}

impl Store {
    /// Opens the store at `--root`, `MINIRUN_ROOT`, `$XDG_DATA_HOME/minirun`, or `~/.local/share/minirun`, and makes it if it is
    /// missing.
    pub fn open(root: Option<&Path>) -> Result<Self, StoreError> {
        let root = place(root)?;
        let found = format::of(&root);
        if let format::StoreFormat::Number(found) = found
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
        if found == format::StoreFormat::Damaged {
            tell_damage(&store.path(format::FILE), &"it does not name a format");
        }
        Ok(store)
    }

    /// Returns the store if there is one, and makes none.
    pub fn existing(root: Option<&Path>) -> Option<Self> {
        let root = place(root).ok()?;
        let runtime = root.join(RUNTIME).join(boot());
        root.join(RESERVE).exists().then_some(Self { root, runtime })
    }

    /// Notes the format that everything in the store has.
    pub fn write_format(&self) -> Result<(), SysError> {
        write_durably(&self.path(format::FILE), format::text().as_bytes())
    }

    /// Closes the store to other users, also where the directory existed before: layers hold set-user-ID programs, and records
    /// secrets.
    fn close(&self) -> Result<(), StoreError> {
        if is_closed(&self.root) {
            return Ok(());
        }
        let entries = fs::read_dir(&self.root).on("opendir", &self.root)?.flatten();
        let is_ours = |name: &OsStr| PARTS.iter().chain(&OTHERS).any(|part| name == *part);
        let all_ours = entries.into_iter().all(|entry| is_ours(&entry.file_name()));
        // With `--root /home/me`, files of others are left as they are.
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
        // Remove another file of this name, and what earlier boots have left.
        if !all.is_dir() {
            let _ = fs::remove_file(&all);
        }
        for entry in fs::read_dir(&all).into_iter().flatten().flatten() {
            let _ = remove_tree(&entry.path());
        }
        match make_private_dirs(&self.runtime) {
            // Removal must work on a full disk, too, and nothing runs yet since this boot.
            Err(full) if full.is_full() => Ok(()),
            other => other,
        }
    }

    /// Removes the store part by part, never its directory as a whole: that may be `--root /home/me`.
    pub fn remove(&self) -> Result<(), SysError> {
        for part in PARTS.iter().chain(&OTHERS) {
            remove_tree(&self.root.join(part))?;
        }
        // The directory goes too if it is empty.
        let _ = fs::remove_dir(&self.root);
        Ok(())
    }

    /// Returns the path of a file of the store.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }
}

fn place(root: Option<&Path>) -> Result<PathBuf, StoreError> {
    let var = |name| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let root = root
        .map(Path::to_owned)
        .or_else(|| var("MINIRUN_ROOT"))
        .or_else(|| var("XDG_DATA_HOME").map(|d| d.join("minirun")))
        .or_else(|| var("HOME").or_else(home).map(|d| d.join(".local/share/minirun")))
        .ok_or(StoreError::NoHome)?;
    Ok(std::path::absolute(&root).on("open", &root)?)
}

/// Returns this user's home directory by `/etc/passwd`: a static binary must not load the host's NSS modules.
fn home() -> Option<PathBuf> {
    let uid = rustix::process::getuid().as_raw().to_string();
    let passwd = fs::read_to_string("/etc/passwd").ok()?;
    let mut entries = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let entry = entries.find(|fields| fields.get(2) == Some(&uid.as_str()))?;
    entry.get(5).filter(|home| home.starts_with('/')).map(PathBuf::from)
}

/// Returns the id of this boot: process ids and sockets of an earlier one mean nothing.
fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    if id.trim().is_empty() { "boot".into() } else { id.trim().into() }
}

/// Returns whether only its owner can list or change a directory. Its group may traverse it.
fn is_closed(directory: &Path) -> bool {
    fs::metadata(directory).is_ok_and(|found| found.mode() & 0o067 == 0)
}

fn close(directory: &Path) -> Result<(), StoreError> {
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
