//! The mounts that only the host's root can make, for a container with shifted ids. They are made before the user namespace
//! is entered, and handed to the process that carries out the steps.

use super::assemble::Plan;
use super::step::{Mount, Step};
use crate::container::protocol::Failure;
use crate::container::rootfs::options::{split_options, subdirectory};
use crate::container::rootfs::root::Root;
use crate::container::rootfs::shift::{CLONE, devices, mapped, of_process};
use crate::sys::{On, SysError, mount, process};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{OpenTreeFlags, open_tree};
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// Makes the mounts that the plan's steps take, in their order.
pub(crate) fn mount_trees(plan: &Plan, monitor: i32) -> Result<Vec<OwnedFd>, Failure> {
    let mut trees = Vec::new();
    let mut namespace = None;
    for (index, step) in (0..).zip(plan.steps()) {
        if !step.wants_tree() {
            continue;
        }
        let made = (|| {
            let namespace = match &namespace {
                Some(namespace) => namespace,
                None => namespace.insert(process::namespace(monitor, "user")?),
            };
            match step {
                Step::ShiftedStore { store, .. } => mapped(Path::new(store), namespace),
                Step::Mount(mount) if mount.kind == "bind" => bind(mount, namespace),
                Step::Mount(mount) => {
                    let ids = of_process(monitor).ok_or_else(|| SysError {
                        call: "read",
                        subject: "uid_map".into(),
                        errno: libc::ESRCH,
                    })?;
                    devices(&ids, &mount.options, &mount.nodes)
                }
                _ => Err(SysError { call: "open_tree", subject: step.call(), errno: libc::EINVAL }),
            }
        })();
        trees.push(made.map_err(|error| Failure::of_step(index, &error))?);
    }
    Ok(trees)
}

/// Clones a directory or file of the host with its ids mapped. File systems that cannot map ids (overlay, proc and others)
/// stay as they are: there the container's root is nobody.
fn bind(wanted: &Mount, namespace: &File) -> Result<OwnedFd, SysError> {
    let (flags, recursive, _) = split_options(&wanted.options);
    let source = Path::new(&wanted.source);
    let how = if recursive { CLONE | OpenTreeFlags::AT_RECURSIVE } else { CLONE };
    let tree = match subdirectory(&wanted.options) {
        None => open_tree(CWD, source, how).on("open_tree", source)?,
        // A link in a volume must not lead out of it.
        Some(below) => {
            let found = Root::open(&wanted.source)?.resolve(below, OFlags::PATH)?;
            open_tree(&found, "", how | OpenTreeFlags::AT_EMPTY_PATH).on("open_tree", below)?
        }
    };
    // The host's mounts are shared with their clones, which would show it the container's.
    mount::make_private(tree.as_fd(), recursive)?;
    if mount::set_idmap(tree.as_fd(), namespace.as_fd(), recursive).is_err() {
        // One that refuses makes the whole call fail: mount by mount.
        if mount::set_idmap(tree.as_fd(), namespace.as_fd(), false).is_ok() && recursive {
            for below in mounts_below(source) {
                let flags = OFlags::PATH | OFlags::CLOEXEC;
                if let Ok(found) = rustix::fs::openat(&tree, below, flags, Mode::empty()) {
                    let _ = mount::set_idmap(found.as_fd(), namespace.as_fd(), false);
                }
            }
        }
    }
    if !flags.is_empty() {
        mount::mount_setattr(tree.as_fd(), u64::from(flags.bits()), 0, recursive)?;
    }
    Ok(tree)
}

/// Returns the host's mount points below a directory, relative to it (proc_pid_mountinfo(5), field 5).
fn mounts_below(directory: &Path) -> Vec<String> {
    let Ok(directory) = fs::canonicalize(directory) else { return Vec::new() };
    let text = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let unescape = |field: &str| field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n");
    let points = text.lines().filter_map(|line| line.split(' ').nth(4)).map(unescape);
    let below = points.filter_map(|point| Some(Path::new(&point).strip_prefix(&directory).ok()?.to_path_buf()));
    below.map(|path| path.to_string_lossy().into_owned()).filter(|path| !path.is_empty()).collect()
}
