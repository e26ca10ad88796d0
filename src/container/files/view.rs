//! The root of a container as its processes see it.
//!
//! The root of a running container is reached through one of its processes, whose mounts are crossed as the kernel has them;
//! that of another is put together as for a start. No namespace of the container is entered but that of its ids, so nothing
//! of the container is ever executed or loaded (CVE-2019-14271).

use super::error::FilesError;
use crate::container::plan::step::Mount;
use crate::container::rootfs::layering::{Layering, Overlay};
use crate::container::rootfs::root::Root;
use crate::container::rootfs::shift;
use crate::container::stored::record::{Container, Phase, State};
use crate::store::{Lock, Store};
use crate::sys::{On, SysError, process};
use crate::userns;
use rustix::fs::{Mode, OFlags};
use rustix::mount::{MountPropagationFlags, mount_change};
use std::os::fd::OwnedFd;
use std::path::Path;

/// A container's root, and what keeps it from being started meanwhile.
pub(super) struct View {
    pub root: OwnedFd,
    _lock: Option<Lock>,
}

/// Opens the root of a container. Changes the namespaces of this process, which must be there for nothing else.
pub(super) fn open(store: &Store, container: &Container) -> Result<View, FilesError> {
    let lock = container.lock()?;
    let state = container.state();
    if state.phase == Phase::Running {
        return Ok(View { root: of_process(container, &state)?, _lock: None });
    }
    Ok(View { root: put_together(store, container)?, _lock: Some(lock) })
}

fn of_process(container: &Container, state: &State) -> Result<OwnedFd, FilesError> {
    if !userns::is_of_own_namespace(state.pid) {
        let is_shifted = shift::of_process(state.pid).is_some();
        let namespace = userns::of_container(state.pid)?;
        match process::setns(namespace, libc::CLONE_NEWUSER, "the container's user namespace") {
            Err(error) if error.errno == libc::EPERM => return Err(FilesError::Apart(container.record.name.clone())),
            other => other?,
        }
        if is_shifted {
            shift::become_root()?;
        }
    }
    let path = format!("/proc/{}/root", state.pid);
    Ok(rustix::fs::open(&path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).on("open", &path)?)
}

fn put_together(store: &Store, container: &Container) -> Result<OwnedFd, FilesError> {
    process::unshare(libc::CLONE_NEWNS, "CLONE_NEWNS")?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).on("mount", "/")?;
    std::env::set_current_dir(&store.root).on("chdir", &store.root)?;
    let _mask = crate::sys::fs::Umask::set(0o022);
    let record = &container.record;
    let directory = Path::new("containers").join(&record.id);
    let part = |name: &str| directory.join(name).to_string_lossy().into_owned();
    let overlay = Overlay {
        lower: record.layers.clone(),
        upper: part("upper"),
        work: part("work"),
        target: part("rootfs"),
        volatile: record.request.auto_remove,
    };
    match Layering::of_container(store, &container.directory) {
        Layering::Kernel => overlay.mount()?,
        Layering::Fuse => overlay.mount_by_fuse()?,
        Layering::Copy => overlay.copy()?,
    }
    let root = Root::open(&overlay.target)?;
    for volume in record.volumes.iter().filter(|volume| volume.name.is_some() && !volume.is_not_filled) {
        root.copy_out(&volume.target, &volume.source)?;
    }
    for mount in container.spec()?.mounts().iter().flatten() {
        let target = mount.destination();
        let is_kernels = ["/proc", "/sys", "/dev"].iter().any(|place| target.starts_with(place));
        if mount.typ().as_deref() != Some("bind") || is_kernels {
            continue;
        }
        let bind = Mount {
            kind: "bind".into(),
            source: mount.source().as_ref().map(|source| source.to_string_lossy().into_owned()).unwrap_or_default(),
            target: target.to_string_lossy().into_owned(),
            options: mount.options().clone().unwrap_or_default(),
            ..Mount::default()
        };
        bind.apply(&root)?;
    }
    let opened: Result<OwnedFd, SysError> = rustix::io::dup(root.fd()).on("dup", &overlay.target);
    Ok(opened?)
}
