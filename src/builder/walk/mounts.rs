//! `RUN --mount`: the mounts of a RUN.

use super::cache;
use super::shared::Shared;
use super::stage::Stage;
use crate::builder::error::StepError;
use crate::builder::files::copier::{Copier, not_given};
use crate::builder::files::glob::{Ignore, clean};

use crate::builder::read::mount::{InvalidMount, Mount, MountKind, Sharing};
use crate::container::decide::spec::Bind;
use crate::container::request::Tmpfs;
use crate::container::rootfs::layering::Layering;
use crate::container::rootfs::root::Root;
use crate::image::name::digest::Digest;
use crate::image::overlay::owner::Stat;
use crate::store::Lock;
use crate::sys::On;
use rustix::fs::{CWD, OFlags};
use rustix::mount::{MoveMountFlags, UnmountFlags};
use std::fs::{self, File};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The mounts and variables of a RUN.
#[derive(Default)]
pub(crate) struct Beside {
    /// Directories and files of the host.
    pub binds: Vec<Bind>,
    pub tmpfs: Vec<Tmpfs>,
    pub env: Vec<String>,
    /// Overlays to unmount when the RUN ends.
    views: Vec<PathBuf>,
    locks: Vec<Lock>,
}

impl Drop for Beside {
    fn drop(&mut self) {
        for view in &self.views {
            let _ = rustix::mount::unmount(view, UnmountFlags::DETACH);
        }
    }
}

pub(crate) fn add(shared: &mut Shared, stage: &Stage, mount: &Mount, beside: &mut Beside) -> Result<(), StepError> {
    let target = |default: String| match &mount.target {
        Some(target) => target.clone(),
        None => default,
    };
    match mount.kind {
        MountKind::Tmpfs => {
            let target = absolute(stage, &target(String::new()));
            let options = mount.size.as_ref().map(|size| format!("size={size}")).unwrap_or_default();
            beside.tmpfs.push(Tmpfs { target, options });
        }
        MountKind::Cache => {
            let target = absolute(stage, &target(String::new()));
            let source = cache_directory(shared, stage, mount, &target, beside)?;
            beside.binds.push(Bind { source, target, read_only: !mount.writable, ..Bind::default() });
        }
        MountKind::Secret => {
            let id = mount.id()?;
            let Some(secret) = shared.options.secrets.iter().find(|secret| secret.id == id) else {
                return if mount.required { Err(InvalidMount::NoSecret(id).into()) } else { Ok(()) };
            };
            if let Some(name) = &mount.env {
                beside.env.push(format!("{name}={}", String::from_utf8_lossy(&secret.contents)));
                if mount.target.is_none() {
                    return Ok(());
                }
            }
            let contents = secret.contents.clone();
            let directory = shared.new_directory()?;
            let file = shared.store.path(directory).join("upper").join("secret");
            fs::write(&file, contents).on("write", &file)?;
            let stat = Stat { uid: mount.owner.0, gid: mount.owner.1, mode: mount.mode.unwrap_or(0o400) };
            set_owner(shared, &file, stat, false)?;
            let target = target(format!("/run/secrets/{id}"));
            let target = absolute(stage, &target);
            let source = file.to_string_lossy().into_owned();
            beside.binds.push(Bind { source, target, read_only: true, ..Bind::default() });
        }
        MountKind::Ssh => {
            let id = mount.id()?;
            let Some((_, socket)) = shared.options.agents.iter().find(|(name, _)| *name == id) else {
                return if mount.required { Err(InvalidMount::NoAgent(id).into()) } else { Ok(()) };
            };
            let socket = socket.to_string_lossy().into_owned();
            let place = format!("/run/buildkit/ssh_agent.{}", beside.env.len());
            let target = absolute(stage, &target(place));
            beside.env.push(format!("SSH_AUTH_SOCK={target}"));
            beside.binds.push(Bind { source: socket, target, read_only: false, ..Bind::default() });
        }
        MountKind::Bind => {
            let target = absolute(stage, &target(String::new()));
            let source = match &mount.from {
                // Changes go to a copy and are discarded.
                _ if mount.writable => copy_files(shared, stage, mount)?,
                Some(from) if shared.plan.named.files(from).is_none() => {
                    stage_files(shared, stage, from, &mount.source, beside)?
                }
                _ => context_files(shared, stage, mount)?,
            };
            beside.binds.push(Bind { source, target, read_only: !mount.writable, ..Bind::default() });
        }
    }
    Ok(())
}

fn absolute(stage: &Stage, target: &str) -> String {
    let whole = Path::new(stage.state.working_directory()).join(target);
    format!("/{}", clean(&whole.to_string_lossy()))
}

fn set_owner(shared: &mut Shared, path: &Path, stat: Stat, is_directory: bool) -> Result<(), StepError> {
    let owners = shared.room()?.owners.clone();
    let file = File::open(path).on("open", path)?;
    owners.give(&file, stat, is_directory).map_err(|error| not_given(error, path).into())
}

/// Returns the directory of a cache mount.
fn cache_path(shared: &mut Shared, stage: &Stage, mount: &Mount, target: &str) -> Result<PathBuf, StepError> {
    let mounts = shared.store.path(cache::DIRECTORY).join("mounts");
    fs::create_dir_all(&mounts).on("mkdir", &mounts)?;
    let id = mount.id.as_deref().unwrap_or(target);
    // A cache with other initial files is another directory.
    let origin = match &mount.from {
        None => String::new(),
        Some(from) => match shared.plan.named.files(from) {
            Some(files) => format!("\n{}\n{}", files.directory.display(), clean(&mount.source)),
            None => format!("\n{}\n{}", shared.chain_of(stage.id, from)?, clean(&mount.source)),
        },
    };
    // So is one with another owner, who must be able to write there.
    let Mount { owner: (uid, gid), mode, .. } = mount;
    let attributes = match (uid, gid, mode) {
        (0, 0, None) => String::new(),
        (uid, gid, mode) => format!("\n{uid}:{gid}:{:o}", mode.unwrap_or(0o755)),
    };
    Ok(mounts.join(Digest::of(format!("{id}{origin}{attributes}").as_bytes()).hex()))
}

/// Returns the directory of a cache mount for this RUN, made at its first use.
fn cache_directory(
    shared: &mut Shared,
    stage: &Stage,
    mount: &Mount,
    target: &str,
    beside: &mut Beside,
) -> Result<String, StepError> {
    let directory = cache_path(shared, stage, mount, target)?;
    if mount.sharing == Sharing::Private {
        match Lock::attempt(&directory.with_extension("lock"))? {
            Some(lock) => beside.locks.push(lock),
            // A private cache in use is not shared: this RUN gets a new one.
            None => return new_cache(shared, stage, mount),
        }
    }
    if !directory.exists() {
        let new = new_cache(shared, stage, mount)?;
        match fs::rename(&new, &directory) {
            // Another build has made it in the meantime.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOTEMPTY | libc::EEXIST)) => {}
            other => other.on("rename", &directory)?,
        }
    }
    Ok(directory.to_string_lossy().into_owned())
}

/// Makes a new cache directory.
fn new_cache(shared: &mut Shared, stage: &Stage, mount: &Mount) -> Result<String, StepError> {
    let directory = match &mount.from {
        Some(_) => copy_files(shared, stage, mount)?,
        None => shared.store.path(shared.new_directory()?).join("upper").to_string_lossy().into_owned(),
    };
    let stat = Stat { uid: mount.owner.0, gid: mount.owner.1, mode: mount.mode.unwrap_or(0o755) };
    set_owner(shared, Path::new(&directory), stat, true)?;
    Ok(directory)
}

/// Returns the path of another stage's files, on an overlay that the container can bind.
fn stage_files(
    shared: &mut Shared,
    stage: &Stage,
    from: &str,
    source: &str,
    beside: &mut Beside,
) -> Result<String, StepError> {
    let layers = shared.layers_of(stage.id, from)?;
    let tree = shared.view(&layers)?;
    let directory = shared.new_directory()?;
    let place = shared.store.path(directory).join("rootfs");
    let tree = if layers.len() > 1 && shared.room()?.layering != Layering::Copy {
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(&tree, "", CWD, &place, flags).on("move_mount", &place)?;
        beside.views.push(place);
        tree
    } else {
        tree
    };
    inside(tree, source)
}

/// Resolves a path within a tree, and returns its path on the host.
fn inside(tree: OwnedFd, path: &str) -> Result<String, StepError> {
    let root = Root::of(tree);
    let path = format!("/{}", clean(path));
    let found = root.resolve(&path, OFlags::PATH | OFlags::CLOEXEC)?;
    let real = fs::read_link(format!("/proc/self/fd/{}", found.as_raw_fd())).on("readlink", &path)?;
    Ok(real.to_string_lossy().into_owned())
}

/// Returns the path of a context's files, or of a copy if .dockerignore excludes some.
fn context_files(shared: &mut Shared, stage: &Stage, mount: &Mount) -> Result<String, StepError> {
    shared.note_context(mount.from.as_deref());
    match shared.context(mount.from.as_deref())? {
        Some((path, ignore)) if ignore.is_empty() => {
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            inside(rustix::fs::open(path, flags, rustix::fs::Mode::empty()).on("open", path)?, &mount.source)
        }
        _ => copy_files(shared, stage, mount),
    }
}

/// Copies the files of a mount, and returns the path of the copy.
fn copy_files(shared: &mut Shared, stage: &Stage, mount: &Mount) -> Result<String, StepError> {
    let tree = shared.tree(stage.id, mount.from.as_deref())?;
    let directory = shared.new_directory()?;
    let upper = shared.store.path(directory).join("upper");
    let root = Root::open(&upper.to_string_lossy())?;
    let now = shared.now();
    let owners = shared.room()?.owners.clone();
    let copier = Copier { upper: None, owners: &owners, owner: None, chmod: None, mode: 0o755, now };
    let mut result = upper.clone();
    for one in tree.select(&mount.source, &Ignore::default(), false)? {
        if !one.is_directory {
            result = upper.join(&one.name);
        }
        copier.copy(&root, &one, "/")?;
    }
    Ok(result.to_string_lossy().into_owned())
}

/// Takes the locks of all cache mounts with `sharing=locked`. `None`: another RUN has one of them.
pub(crate) fn lock(shared: &mut Shared, stage: &Stage, mounts: &[Mount]) -> Result<Option<Vec<Lock>>, StepError> {
    let mut locks = Vec::new();
    for mount in mounts.iter().filter(|mount| mount.kind == MountKind::Cache && mount.sharing == Sharing::Locked) {
        let target = absolute(stage, mount.target.as_deref().unwrap_or_default());
        match Lock::attempt(&cache_path(shared, stage, mount, &target)?.with_extension("lock"))? {
            Some(lock) => locks.push(lock),
            None => return Ok(None),
        }
    }
    Ok(Some(locks))
}
