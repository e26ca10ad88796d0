//! Layers laid over each other: by the kernel, by a program where the kernel does not, or by copying.

use super::copy;
use crate::store::{self, Store};
use crate::sys::{On, SysError};
use rustix::fs::OFlags;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::Command;

/// What is laid over what to be a container's root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Overlay {
    /// Layers, the lowest first, relative to the store.
    pub lower: Vec<String>,
    /// Empty: they are only looked at, and then there are two of them at least.
    pub upper: String,
    pub work: String,
    pub target: String,
    /// What is written need not reach the disk (overlayfs, "Volatile mount"): neither as the payload asks for it, nor at the
    /// end, where the kernel would wait for all that the whole file system still holds back.
    pub volatile: bool,
}

impl Overlay {
    pub fn mount(&self) -> Result<(), SysError> {
        if self.volatile {
            // The kernel's mark of an earlier such mount, which it would refuse to follow: it cannot know whether the host
            // went down meanwhile.
            store::remove_tree(&Path::new(&self.work).join("work/incompat"))?;
        }
        match self.mount_by_parts() {
            // Kernels before 6.8 know no `lowerdir+`.
            Err(error) if error.errno == libc::EINVAL => self.mount_at_once(),
            other => other,
        }
    }

    fn mount_by_parts(&self) -> Result<(), SysError> {
        attach(&self.tree_by_parts()?, &self.target)
    }

    /// Laid over each other and mounted nowhere; gone when the last descriptor of it is closed.
    pub fn tree(&self) -> Result<OwnedFd, SysError> {
        match self.tree_by_parts() {
            Err(error) if error.errno == libc::EINVAL => {
                self.mount_at_once()?;
                self.taken_down()
            }
            other => other,
        }
    }

    /// [`Overlay::tree`] by a program, which ends with it.
    pub fn tree_by_fuse(&self) -> Result<OwnedFd, SysError> {
        self.mount_by_fuse()?;
        self.taken_down()
    }

    /// What is mounted at the target, and there no more: nobody comes upon it by its path.
    fn taken_down(&self) -> Result<OwnedFd, SysError> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = on(open_tree(rustix::fs::CWD, self.target.as_str(), flags), "open_tree", &self.target);
        let flags = rustix::mount::UnmountFlags::DETACH;
        on(rustix::mount::unmount(self.target.as_str(), flags), "umount2", &self.target)?;
        tree
    }

    fn tree_by_parts(&self) -> Result<OwnedFd, SysError> {
        let context = on(fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC), "fsopen", "overlay")?;
        let set = |key: &str, value: &str| on(fsconfig_set_string(context.as_fd(), key, value), "fsconfig", value);
        for layer in self.lower.iter().rev() {
            set("lowerdir+", layer)?;
        }
        if !self.upper.is_empty() {
            set("upperdir", &self.upper)?;
            set("workdir", &self.work)?;
        }
        for flag in self.flags() {
            on(fsconfig_set_flag(context.as_fd(), *flag), "fsconfig", flag)?;
        }
        on(fsconfig_create(context.as_fd()), "fsconfig", "overlay")?;
        on(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()), "fsmount", "overlay")
    }

    /// mount(2) takes one page of options: relative names keep 127 layers below that.
    fn mount_at_once(&self) -> Result<(), SysError> {
        let options = CString::new(format!("{},{}", self.options(), self.flags().join(","))).unwrap_or_default();
        on(
            rustix::mount::mount(
                "overlay",
                self.target.as_str(),
                "overlay",
                rustix::mount::MountFlags::empty(),
                options.as_c_str(),
            ),
            "mount",
            &self.target,
        )
    }

    pub fn call(&self) -> String {
        format!(
            "fsopen(overlay) fsconfig({}upperdir={}, workdir={}, {}) fsmount() move_mount({})",
            self.lower.iter().rev().map(|l| format!("lowerdir+={l}, ")).collect::<String>(),
            self.upper,
            self.work,
            self.flags().join(", "),
            self.target
        )
    }

    fn flags(&self) -> &'static [&'static str] {
        if self.volatile { &["userxattr", "volatile"] } else { &["userxattr"] }
    }

    fn options(&self) -> String {
        let lower: Vec<&str> = self.lower.iter().rev().map(String::as_str).collect();
        let lower = format!("lowerdir={}", lower.join(":"));
        if self.upper.is_empty() { lower } else { format!("{lower},upperdir={},workdir={}", self.upper, self.work) }
    }

    /// fuse-overlayfs, which stays behind to answer for the files, and ends when nobody has the mount any more.
    pub fn mount_by_fuse(&self) -> Result<(), SysError> {
        let program = crate::userns::program(FUSE).unwrap_or_else(|| FUSE.into());
        let status =
            Command::new(&program).args(["-o", &self.options(), &self.target]).status().on("execve", &program)?;
        if status.success() { Ok(()) } else { Err(SysError { call: "mount", subject: FUSE.into(), errno: libc::EIO }) }
    }

    /// [`Overlay::tree`] as a copy of what is laid over each other; what is written to it stays in the target alone.
    pub fn tree_by_copy(&self) -> Result<OwnedFd, SysError> {
        let root = Path::new(&self.target);
        self.fill(root)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(root, flags, rustix::fs::Mode::empty()).on("open", root)
    }

    fn fill(&self, root: &Path) -> Result<(), SysError> {
        if store::is_empty(root)? {
            self.lower.iter().try_for_each(|layer| copy::lay_over(Path::new(layer), root))?;
        }
        Ok(())
    }

    pub fn fuse_call(&self) -> String {
        format!("execve({FUSE} -o {} {})", self.options(), self.target)
    }

    /// Fills the root with the image's files, the first time, and makes it a mount that can become `/`.
    pub fn copy(&self) -> Result<(), SysError> {
        let root = Path::new(&self.target);
        self.fill(root)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        attach(&open_tree(rustix::fs::CWD, root, flags).on("open_tree", root)?, &self.target)
    }
}

const FUSE: &str = "fuse-overlayfs";

/// How a container's root is laid over the image's layers on this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layering {
    /// The kernel's overlay.
    Kernel,
    /// A program's.
    Fuse,
    /// None: every container has a copy of its image.
    Copy,
}

impl Layering {
    /// As it was found out when a container could not be started otherwise.
    pub fn of(store: &Store) -> Self {
        match fs::read_to_string(store.path("layering")).as_deref() {
            Ok("fuse") => Self::Fuse,
            Ok("copy") => Self::Copy,
            _ => Self::Kernel,
        }
    }

    /// What to do instead of an overlay that the kernel refused; said and remembered.
    pub fn instead(store: &Store) -> Result<Self, SysError> {
        let can_fuse = crate::userns::program(FUSE).is_some()
            && rustix::fs::access("/dev/fuse", rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK).is_ok();
        let (layering, word) = if can_fuse { (Self::Fuse, "fuse") } else { (Self::Copy, "copy") };
        store::write_durably(&store.path("layering"), word.as_bytes())?;
        let place = store.root.display();
        match layering {
            Self::Fuse => eprintln!("note: the kernel gives no overlay at {place}; {FUSE} does, more slowly"),
            _ => eprintln!(
                "note: the kernel gives no overlay at {place}, so each container copies its image; install {FUSE}, or keep \
                 the store elsewhere: minirun --root DIR …"
            ),
        }
        Ok(layering)
    }
}

fn attach(mount: &OwnedFd, target: &str) -> Result<(), SysError> {
    on(
        move_mount(mount.as_fd(), "", rustix::fs::CWD, target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH),
        "move_mount",
        target,
    )
}

fn on<T, E: Into<std::io::Error>>(result: Result<T, E>, call: &'static str, subject: &str) -> Result<T, SysError> {
    result.on(call, subject)
}
