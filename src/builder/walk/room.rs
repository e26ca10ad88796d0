//! The workspace of a build: scratch space, a mount namespace of its own, and the locks that protect both.

use super::cache;
use crate::builder::error::BuildError;
use crate::container::rootfs::layering::Layering;
use crate::image;
use crate::image::Image;
use crate::image::overlay::owner::Owners;
use crate::image::stored::claim;
use crate::store;
use crate::store::{Belonging, Lock, Scratch, Store};
use crate::sys::{On, SysError, process};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The signals that interrupt a build. What is done by then is kept; while a transfer from or to another host runs, they end
/// the process at once.
pub(crate) const SIGNALS: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// The resources of a build that executes steps; one that finds everything in the cache does without.
pub(crate) struct Room {
    pub scratch: Scratch,
    pub owners: Owners,
    pub layering: Layering,
    pub signals: OwnedFd,
    /// The build's share of the cache's lock, dropped at its end.
    pub lock: Option<Lock>,
    directories: usize,
}

impl Room {
    /// Prepares this process to execute steps. `bases` stay in the store until the build ends.
    pub(crate) fn new<'a>(store: &Store, bases: impl Iterator<Item = &'a Image>) -> Result<Self, BuildError> {
        claim::recover(store)?;
        cache::sweep(store)?;
        // Files that a RUN makes get the modes that Docker gives them, whatever the caller's umask is.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        process::unshare(libc::CLONE_NEWNS, "CLONE_NEWNS")?;
        let private = rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC;
        rustix::mount::mount_change("/", private).on("mount", "/")?;
        // Paths of layers stay short if they are relative to the store.
        std::env::set_current_dir(&store.root).on("chdir", &store.root)?;
        let layering = Layering::of(store);
        let scratch = store.scratch()?;
        hold(store, &scratch, bases)?;
        Ok(Self {
            scratch,
            owners: Owners::here()?,
            layering,
            signals: process::signalfd(&SIGNALS)?,
            lock: Some(cache::lock(store)?),
            directories: 0,
        })
    }

    /// Makes a directory with empty `upper`, `work` and `rootfs` in it.
    pub(crate) fn new_directory(&mut self) -> Result<PathBuf, SysError> {
        self.directories += 1;
        let path = self.scratch.path().join(self.directories.to_string());
        for part in ["", "upper", "work", "rootfs"] {
            store_directory(&path.join(part))?;
        }
        Ok(path)
    }
}

/// Protects images from removal until this build ends or its remains are swept.
fn hold<'a>(store: &Store, scratch: &Scratch, images: impl Iterator<Item = &'a Image>) -> Result<(), BuildError> {
    let images: Vec<&Image> = images.collect();
    let id = store::random_hex(32);
    let holds = images.iter().map(|base| Belonging::Tree(image::hold_path(&base.id, &id)));
    store::note_belongings(scratch.path(), "belongings.json", &holds.collect::<Vec<_>>())?;
    Ok(images.iter().try_for_each(|base| image::hold(store, base, &id))?)
}

/// Makes a directory that everybody can enter, whatever the umask is.
pub(crate) fn store_directory(path: &Path) -> Result<(), SysError> {
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path).on("mkdir", path)
}
