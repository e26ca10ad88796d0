//! The layers of a root: an overlay of the kernel, one of fuse-overlayfs where the kernel refuses, or a copy.

use super::copy;
use crate::store;
use crate::store::Store;
use crate::sys::{On, SysError};
use crate::userns::attempt::{Refusal, attempt, enter_namespaces};
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

/// The layers of a container's root.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Overlay {
    /// The lower directories, the lowest first, relative to the store. An image may have none: then the empty target is one.
    pub lower: Vec<String>,
    /// The upper directory. Empty: the layers are only read, and there are two of them at least.
    pub upper: String,
    pub work: String,
    pub target: String,
    /// What is written need not reach the disk (overlayfs, "Volatile mount"): the kernel ignores the payload's fsync, and
    /// does not flush the whole file system at the end.
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

    /// Returns the overlay as a tree that is mounted nowhere, and that goes with its last descriptor.
    pub fn tree(&self) -> Result<OwnedFd, SysError> {
        match self.tree_by_parts() {
            Err(error) if error.errno == libc::EINVAL => {
                self.mount_at_once()?;
                self.taken_down()
            }
            other => other,
        }
    }

    /// [`Overlay::tree`] by fuse-overlayfs, which ends with it.
    pub fn tree_by_fuse(&self) -> Result<OwnedFd, SysError> {
        self.mount_by_fuse()?;
        self.taken_down()
    }

    /// Takes the mount at the target off its path.
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
        for layer in self.lowers() {
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

    /// Returns the lower directories, the highest first, and at least one, which the kernel needs.
    fn lowers(&self) -> impl Iterator<Item = &str> {
        let none = self.lower.is_empty().then_some(self.target.as_str());
        self.lower.iter().rev().map(String::as_str).chain(none)
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
            self.lowers().map(|l| format!("lowerdir+={l}, ")).collect::<String>(),
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
        let lower = format!("lowerdir={}", self.lowers().collect::<Vec<_>>().join(":"));
        if self.upper.is_empty() { lower } else { format!("{lower},upperdir={},workdir={}", self.upper, self.work) }
    }

    /// Mounts by fuse-overlayfs, whose process serves the files and ends with the mount.
    pub fn mount_by_fuse(&self) -> Result<(), SysError> {
        let program = crate::userns::program(FUSE).unwrap_or_else(|| FUSE.into());
        let status =
            Command::new(&program).args(["-o", &self.options(), &self.target]).status().on("execve", &program)?;
        if status.success() { Ok(()) } else { Err(SysError { call: "mount", subject: FUSE.into(), errno: libc::EIO }) }
    }

    /// [`Overlay::tree`] as a copy of the layers in the target.
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

    /// Fills the root with the image's files, if it is empty, and makes it a mount that can become `/`.
    pub fn copy(&self) -> Result<(), SysError> {
        let root = Path::new(&self.target);
        self.fill(root)?;
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        attach(&open_tree(rustix::fs::CWD, root, flags).on("open_tree", root)?, &self.target)
    }
}

const FUSE: &str = "fuse-overlayfs";

/// The way in which this host puts the layers of a root together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layering {
    /// The kernel's overlay.
    Kernel,
    /// The overlay of fuse-overlayfs.
    Fuse,
    /// No overlay: every container has a copy of its image.
    Copy,
}

/// The file that notes how layers are put together where the kernel refuses overlays, and in which boot that was found:
/// the next kernel may allow them.
const REMEMBERED: &str = "layering";

impl Layering {
    /// Returns the layering of new containers in this store.
    pub fn of(store: &Store) -> Self {
        let Some((remembered, boot)) = Self::read(&store.path(REMEMBERED)) else { return Self::Kernel };
        if boot == this_boot(store) {
            return remembered;
        }
        match Self::probe(store) {
            Some(Ok(())) => Self::take_back(store),
            Some(Err(_)) => drop(remembered.remember(store)),
            None => {}
        }
        Self::read(&store.path(REMEMBERED)).map_or(Self::Kernel, |(remembered, _)| remembered)
    }

    /// Returns the layering of a container, which stays with the one that its files were written by.
    pub fn of_container(store: &Store, directory: &Path) -> Self {
        match Self::read(&directory.join(REMEMBERED)) {
            Some((own, _)) => own,
            None => Self::of(store),
        }
    }

    /// Returns the layering that the store has noted. `None`: the kernel's overlay is used.
    pub fn remembered(store: &Store) -> Option<Self> {
        Self::read(&store.path(REMEMBERED)).map(|(remembered, _)| remembered)
    }

    fn read(path: &Path) -> Option<(Self, String)> {
        let text = fs::read_to_string(path).ok()?;
        let (word, boot) = text.trim_end().split_once(' ').unwrap_or((text.trim_end(), ""));
        let layering = match word {
            "fuse" => Self::Fuse,
            "copy" => Self::Copy,
            _ => return None,
        };
        Some((layering, boot.to_owned()))
    }

    fn word(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Fuse => "fuse",
            Self::Copy => "copy",
        }
    }

    fn remember(self, store: &Store) -> Result<(), SysError> {
        let text = format!("{} {}", self.word(), this_boot(store));
        store::write_durably(&store.path(REMEMBERED), text.as_bytes())
    }

    /// Tries an overlay in the store, in the user namespace of a child. `None`: it could not be tried.
    pub fn probe(store: &Store) -> Option<Result<(), Refusal>> {
        let scratch = store.scratch().ok()?;
        Some(attempt(|| {
            enter_namespaces(libc::CLONE_NEWNS)?;
            std::env::set_current_dir(scratch.path()).on("chdir", scratch.path())?;
            for part in ["lower", "upper", "work", "merged"] {
                fs::create_dir(part).on("mkdir", part)?;
            }
            let part = |name: &str| name.to_owned();
            let (upper, work, target) = (part("upper"), part("work"), part("merged"));
            Overlay { lower: vec![part("lower")], upper, work, target, volatile: false }.mount()?;
            fs::write("merged/file", "").on("write", "merged/file")
        }))
    }

    /// Chooses and notes down what to use instead of an overlay that the kernel has refused. `None`: the kernel does mount
    /// overlays here, so there is another reason why it refused that one.
    pub fn instead(store: &Store) -> Result<Option<Self>, SysError> {
        let Some(Err(_)) = Self::probe(store) else { return Ok(None) };
        let can_fuse = crate::userns::program(FUSE).is_some()
            && rustix::fs::access("/dev/fuse", rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK).is_ok();
        let layering = if can_fuse { Self::Fuse } else { Self::Copy };
        layering.remember(store)?;
        Ok(Some(layering))
    }

    /// Returns what the user of this store should know about what stands in for an overlay.
    pub fn note(self, store: &Store) -> String {
        let place = store.root.display();
        match self {
            Self::Fuse => format!("the kernel gives no overlay at {place}; {FUSE} does, more slowly"),
            _ => format!(
                "the kernel gives no overlay at {place}, so each container copies its image; install {FUSE}, or keep the \
                 store elsewhere: minirun --root DIR …"
            ),
        }
    }

    /// Removes the note once the kernel mounts overlays. Existing containers keep their layering.
    pub fn take_back(store: &Store) {
        let path = store.path(REMEMBERED);
        let Some((layering, _)) = Self::read(&path) else { return drop(store::remove_tree(&path)) };
        for container in fs::read_dir(store.path("containers")).into_iter().flatten().flatten() {
            let own = container.path().join(REMEMBERED);
            let is_new =
                ["rootfs", "upper"].iter().all(|part| store::is_empty(&container.path().join(part)).unwrap_or(false));
            if !is_new && !own.exists() && store::write_quickly(&own, layering.word().as_bytes()).is_err() {
                return;
            }
        }
        let _ = store::remove_tree(&path);
    }
}

/// Returns a name of the current boot.
fn this_boot(store: &Store) -> String {
    store.runtime.file_name().unwrap_or_default().to_string_lossy().into_owned()
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
