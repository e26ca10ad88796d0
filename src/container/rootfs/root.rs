//! A container's root while it is set up: every path is resolved as if the root were `/` already, so that no symbolic link
//! in an image leads out of it.

use super::copy;
use crate::container::request::mount::MOUNTABLE_IN_PROC;
use crate::store::Lock;
use crate::sys::fs::openat2;
use crate::sys::{On, SysError, mount};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

pub struct Root(OwnedFd);

/// A callback for each new directory or file, with its parent and its name.
pub(crate) type Made<'a> = dyn FnMut(BorrowedFd, &Path) -> Result<(), SysError> + 'a;

const HANDLE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

impl Root {
    pub fn open(path: &str) -> Result<Self, SysError> {
        rustix::fs::open(path, HANDLE | OFlags::DIRECTORY, Mode::empty()).map(Self).on("open", path)
    }

    /// Wraps a tree that is mounted nowhere yet.
    pub fn of(tree: OwnedFd) -> Self {
        Self(tree)
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    pub fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, SysError> {
        openat2(&self.0, path, flags | OFlags::CLOEXEC, ResolveFlags::IN_ROOT).on("openat2", path)
    }

    pub fn is_directory(&self, path: &str) -> bool {
        self.resolve(path, HANDLE | OFlags::DIRECTORY).is_ok()
    }

    /// Opens the directory or file to mount on, and makes it if it is missing.
    fn mount_point(&self, path: &str, is_directory: bool) -> Result<OwnedFd, SysError> {
        self.make(path, is_directory, &mut |_, _| Ok(()))
    }

    /// Opens a directory, and makes it if it is missing with all above it; `made` is called for each new one.
    pub fn directory(&self, path: &str, made: &mut Made) -> Result<OwnedFd, SysError> {
        self.make(path, true, made)
    }

    fn make(&self, path: &str, is_directory: bool, told: &mut Made) -> Result<OwnedFd, SysError> {
        match self.resolve(path, HANDLE) {
            Err(error) if error.errno == libc::ENOENT => {}
            other => return other,
        }
        let (parent, name) = self.parent(path, told)?;
        let made = if is_directory {
            rustix::fs::mkdirat(&parent, &name, Mode::from_raw_mode(0o755)).on("mkdir", path)
        } else {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            rustix::fs::openat(&parent, &name, flags, Mode::from_raw_mode(0o644)).map(drop).on("open", path)
        };
        match made {
            // A link to what is not there yet: that is made instead.
            Err(error) if error.errno == libc::EEXIST => {
                let link = rustix::fs::readlinkat(&parent, &name, Vec::new()).on("readlink", path)?;
                let target = Path::new(path).with_file_name(std::ffi::OsStr::from_bytes(link.as_bytes()));
                self.make(&target.to_string_lossy(), is_directory, told)
            }
            made => {
                made?;
                told(parent.as_fd(), &name)?;
                self.resolve(path, HANDLE)
            }
        }
    }

    /// Opens the directory that holds `path`, made with all above it if it is missing. Returns it and the last name.
    fn parent(&self, path: &str, told: &mut Made) -> Result<(OwnedFd, PathBuf), SysError> {
        let path = Path::new(path);
        let name = path.file_name().map(PathBuf::from).unwrap_or_default();
        match path.parent().filter(|p| !p.as_os_str().is_empty()) {
            Some(parent) => Ok((self.make(&parent.to_string_lossy(), true, told)?, name)),
            None => Ok((self.resolve("/", HANDLE)?, name)),
        }
    }

    /// Mounts a tree at `path`.
    pub fn attach(&self, tree: &OwnedFd, path: &str, is_directory: bool) -> Result<(), SysError> {
        let target = self.mount_point(path, is_directory)?;
        // What hides the container's own /proc would take its masks away, by whatever links it got there.
        let is_on_proc = rustix::fs::fstatfs(&target).on("fstatfs", path)?.f_type == rustix::fs::PROC_SUPER_MAGIC;
        if is_on_proc && !MOUNTABLE_IN_PROC.contains(&path) {
            return Err(SysError { call: "move_mount", subject: path.into(), errno: libc::EPERM });
        }
        let found_directory = rustix::fs::fstat(&target).on("fstat", path)?.st_mode & libc::S_IFMT == libc::S_IFDIR;
        if found_directory != is_directory {
            // The kernel says EINVAL, which says nothing.
            let errno = if found_directory { libc::EISDIR } else { libc::ENOTDIR };
            return Err(SysError { call: "move_mount", subject: path.into(), errno });
        }
        attach_at(tree.as_fd(), target.as_fd(), path)
    }

    /// Makes a symbolic link. An errno says why there was nothing to do, as with the methods below.
    pub fn link(&self, path: &str, to: &str) -> Result<Option<i32>, SysError> {
        let (parent, name) = self.parent(path, &mut |_, _| Ok(()))?;
        match rustix::fs::symlinkat(to, &parent, &name) {
            Err(rustix::io::Errno::EXIST) => Ok(Some(libc::EEXIST)),
            other => other.map(|()| None).on("symlink", path),
        }
    }

    /// Opens a new terminal of the container's own devpts. Returns the payload's side and the master.
    pub fn open_terminal(&self, console: bool) -> Result<(OwnedFd, Option<OwnedFd>), SysError> {
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let ours = self.resolve("dev/pts/ptmx", flags)?;
        rustix::pty::unlockpt(&ours).on("ioctl", "TIOCSPTLCK")?;
        let peer =
            rustix::pty::OpenptFlags::RDWR | rustix::pty::OpenptFlags::NOCTTY | rustix::pty::OpenptFlags::CLOEXEC;
        let theirs = rustix::pty::ioctl_tiocgptpeer(&ours, peer).on("ioctl", "TIOCGPTPEER")?;
        if console {
            let name = rustix::pty::ptsname(&ours, Vec::new()).on("ioctl", "TIOCGPTN")?;
            let number = name.to_string_lossy().rsplit('/').next().unwrap_or_default().to_owned();
            let tree = self.clone_of(&format!("dev/pts/{number}"))?;
            self.attach(&tree, "/dev/console", false)?;
        }
        Ok((theirs, Some(ours)))
    }

    fn clone_of(&self, path: &str) -> Result<OwnedFd, SysError> {
        self.clone_with(path, OpenTreeFlags::empty())
    }

    fn clone_with(&self, path: &str, flags: OpenTreeFlags) -> Result<OwnedFd, SysError> {
        let found = self.resolve(path, HANDLE)?;
        let flags =
            flags | OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_EMPTY_PATH;
        rustix::mount::open_tree(&found, "", flags).on("open_tree", path)
    }

    /// Hides a file behind /dev/null, a directory behind an empty one.
    pub fn mask(&self, path: &str) -> Result<Option<i32>, SysError> {
        let found = match self.resolve(path, HANDLE) {
            Err(error) if is_absent(&error) => return Ok(Some(error.errno)),
            other => other?,
        };
        let is_directory = rustix::fs::fstat(&found).on("fstat", path)?.st_mode & libc::S_IFMT == libc::S_IFDIR;
        let cover = if is_directory {
            let context =
                rustix::mount::fsopen("tmpfs", rustix::mount::FsOpenFlags::FSOPEN_CLOEXEC).on("fsopen", "tmpfs")?;
            rustix::mount::fsconfig_set_string(context.as_fd(), "size", "0").on("fsconfig", "size=0")?;
            rustix::mount::fsconfig_create(context.as_fd()).on("fsconfig", "tmpfs")?;
            let flags = rustix::mount::MountAttrFlags::MOUNT_ATTR_RDONLY;
            rustix::mount::fsmount(context.as_fd(), rustix::mount::FsMountFlags::FSMOUNT_CLOEXEC, flags)
                .on("fsmount", "tmpfs")?
        } else {
            self.clone_of("dev/null")?
        };
        attach_at(cover.as_fd(), found.as_fd(), path).map(|()| None)
    }

    pub fn read_only(&self, path: &str) -> Result<Option<i32>, SysError> {
        // With what is mounted in it: nobody can take that away where the tree is the host's.
        let tree = match self.clone_with(path, OpenTreeFlags::AT_RECURSIVE) {
            Err(error) if is_absent(&error) => return Ok(Some(error.errno)),
            other => other?,
        };
        mount::mount_setattr(tree.as_fd(), libc::MOUNT_ATTR_RDONLY, 0, true)?;
        let target = self.resolve(path, HANDLE)?;
        attach_at(tree.as_fd(), target.as_fd(), path).map(|()| None)
    }

    /// Makes it `/`, and detaches the host's tree.
    pub fn pivot(&self) -> Result<(), SysError> {
        rustix::process::fchdir(&self.0).on("fchdir", "the container's root")?;
        rustix::process::pivot_root(".", ".").on("pivot_root", ".")?;
        rustix::mount::unmount(".", UnmountFlags::DETACH).on("umount2", "the host's tree")?;
        std::env::set_current_dir("/").on("chdir", "/")
    }

    /// Copies the image's directory at `path` into the volume `volume`, if that is empty or a killed process has left it half
    /// filled.
    pub fn copy_out(&self, path: &str, volume: &str) -> Result<Option<i32>, SysError> {
        // Relative to the store, where this process is: shifted ids know no other way there.
        let here = std::env::current_dir().unwrap_or_default();
        let volume = Path::new(volume);
        let volume = volume.strip_prefix(&here).unwrap_or(volume);
        let unfinished = volume.with_file_name("filling");
        let wants = || -> Result<bool, SysError> {
            Ok(unfinished.exists() || fs::read_dir(volume).on("opendir", volume)?.next().is_none())
        };
        let found = match self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(found) => found,
            Err(error) => return Ok(Some(error.errno)),
        };
        if !wants()? {
            return Ok(Some(libc::ENOTEMPTY));
        }
        // Of two containers that start at once, one fills it and the other waits.
        let _lock = Lock::exclusive(&volume.with_file_name("lock"))?;
        if wants()? {
            fs::write(&unfinished, "").on("write", &unfinished)?;
            copy::lay_over(&PathBuf::from(format!("/proc/self/fd/{}", found.as_raw_fd())), volume)?;
            fs::remove_file(&unfinished).on("unlink", &unfinished)?;
        }
        Ok(None)
    }
}

/// Whether a path is missing, or out of reach for everybody in the container: it needs no mask then.
fn is_absent(error: &SysError) -> bool {
    matches!(error.errno, libc::ENOENT | libc::ENOTDIR | libc::EACCES)
}

fn attach_at(tree: BorrowedFd, target: BorrowedFd, path: &str) -> Result<(), SysError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    rustix::mount::move_mount(tree, "", target, "", flags).on("move_mount", path)
}
