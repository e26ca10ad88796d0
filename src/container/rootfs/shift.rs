//! Shifted ids: root's containers with ids of their own. The store is mounted with its ids mapped (mount_setattr(2),
//! MOUNT_ATTR_IDMAP), so that owners on disk stay what they are, and /dev has device nodes of the container's own. Only the
//! host's root can make these mounts.

use super::layering::{Layering, Overlay};
use super::options::split_options;
use crate::store::Store;
use crate::sys::process;
use crate::sys::process::Fork;
use crate::sys::{On, SysError, mount, socket};
use crate::userns;
use crate::userns::shift;
pub(crate) use crate::userns::shift::Finding;
use crate::userns::{IdMap, IdRange};
use oci_spec::runtime::{LinuxDevice, LinuxDeviceType};
use rustix::fs::{CWD, FileType, Gid, Mode, Uid};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, open_tree,
};
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

/// Returns the ids of a new container. `wants_host`: `--userns=host`.
pub(crate) fn ids(store: &Store, wants_host: bool) -> Result<IdMap, SysError> {
    let of_caller = IdMap::of_caller();
    let may_shift = matches!(of_caller, IdMap::Identity { .. }) && !wants_host && !userns::is_inside();
    if !may_shift || Layering::of(store) != Layering::Kernel {
        return Ok(of_caller);
    }
    let finding = match Finding::recorded(store) {
        Some(finding) => finding,
        None => find_out(store)?,
    };
    Ok(finding.map().unwrap_or(of_caller))
}

/// Tries shifted ids as a container's start would use them, and writes down the result.
pub(crate) fn find_out(store: &Store) -> Result<Finding, SysError> {
    let chosen = shift::choose();
    let finding = match (attempt(store, &chosen), chosen) {
        (Ok(()), IdMap::Shifted { uids, gids }) => Finding::Shifted { uids, gids },
        (Err(error), _) => Finding::Refused(error.to_string()),
        (Ok(()), _) => Finding::Refused("there are no ids to shift to".into()),
    };
    finding.write_down(store)?;
    Ok(finding)
}

fn attempt(store: &Store, ids: &IdMap) -> Result<(), SysError> {
    let scratch = store.scratch().map_err(|_| refused("mkdir", "the store", libc::EACCES))?;
    for part in ["lower", "upper", "work", "root"] {
        fs::create_dir(scratch.path().join(part)).on("mkdir", scratch.path().join(part))?;
    }
    fs::write(scratch.path().join("lower/file"), "").on("write", scratch.path())?;
    let place = scratch.path().strip_prefix(&store.root).unwrap_or(scratch.path());

    let (ours, theirs) = socket::pair()?;
    match process::fork()? {
        Fork::Child => {
            drop(ours);
            let errno = try_inside(&theirs, store, place).map_or_else(|error| error.errno, |()| 0);
            let _ = socket::send(theirs.as_fd(), &errno.to_ne_bytes(), &[]);
            process::exit_now(0)
        }
        Fork::Parent(child) => {
            drop(theirs);
            let answer = (|| {
                let mut buffer = [0u8; 4];
                match socket::receive(ours.as_fd(), &mut buffer)? {
                    Some((1, _)) => {}
                    _ => return Err(refused("unshare", "CLONE_NEWUSER", i32::from_ne_bytes(buffer))),
                }
                ids.write(child).map_err(|_| refused("write", "uid_map", libc::EPERM))?;
                let namespace = process::namespace(child, "user")?;
                let tree = mapped(&store.root, &namespace)?;
                drop(devices(ids, &[], &[])?);
                socket::send(ours.as_fd(), b"t", &[tree.as_raw_fd()])?;
                match socket::receive(ours.as_fd(), &mut buffer)? {
                    Some((4, _)) if buffer == [0; 4] => Ok(()),
                    Some((4, _)) => Err(refused("mount", "an overlay of idmapped layers", i32::from_ne_bytes(buffer))),
                    _ => Err(refused("recvmsg", "the attempt", libc::ECONNRESET)),
                }
            })();
            drop(ours);
            let _ = process::wait(child);
            answer
        }
    }
}

/// Does the child's side of an attempt.
fn try_inside(socket: &OwnedFd, store: &Store, place: &Path) -> Result<(), SysError> {
    process::unshare(libc::CLONE_NEWUSER, "CLONE_NEWUSER")?;
    socket::send(socket.as_fd(), b"u", &[])?;
    let received = socket::receive(socket.as_fd(), &mut [0u8; 1])?;
    let tree = received.and_then(|(_, mut trees)| trees.pop());
    let tree = tree.ok_or_else(|| refused("recvmsg", "the store", libc::ECONNRESET))?;
    process::unshare(libc::CLONE_NEWNS, "CLONE_NEWNS")?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).on("mount", "/")?;
    settle(&tree, &store.root)?;
    let part = |name: &str| place.join(name).to_string_lossy().into_owned();
    let overlay = Overlay {
        lower: vec![part("lower")],
        upper: part("upper"),
        work: part("work"),
        target: part("root"),
        volatile: false,
    };
    overlay.mount()?;
    // Where the kernel only half knows how, it is mounted read-only without a word; and copying up is what fails.
    let file = place.join("root/file");
    rustix::fs::chown(&file, Some(Uid::from_raw(1)), Some(Gid::from_raw(1))).on("chown", &file)?;
    fs::write(place.join("root/new"), "").on("write", &file)
}

fn refused(call: &'static str, subject: &str, errno: i32) -> SysError {
    SysError { call, subject: subject.into(), errno }
}

/// Mounts the store's mapped tree over the store, in this mount namespace, and becomes the user namespace's root, who
/// could not reach the store otherwise.
pub(crate) fn settle(tree: &OwnedFd, store: &Path) -> Result<(), SysError> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    move_mount(tree.as_fd(), "", CWD, store, flags).on("move_mount", store)?;
    std::env::set_current_dir(store).on("chdir", store)?;
    become_root()
}

/// Becomes the root of the user namespace that this process is in, instead of the host's root.
pub(crate) fn become_root() -> Result<(), SysError> {
    process::setgroups(&[])?;
    process::setresgid(0)?;
    process::setresuid(0)?;
    // A change of user may take it back.
    process::set_dumpable(false);
    Ok(())
}

/// Returns the id map of a process's user namespace, as the caller sees it. `None`: its ids are the caller's own.
pub(crate) fn of_process(pid: i32) -> Option<IdMap> {
    let first = |file: &str| {
        let text = fs::read_to_string(format!("/proc/{pid}/{file}")).ok()?;
        userns::parse_map(&text).first().copied()
    };
    let (uids, gids) = (first("uid_map")?, first("gid_map")?);
    let is_root = matches!(IdMap::of_caller(), IdMap::Identity { .. }) && !userns::is_inside();
    (is_root && uids.outside != uids.inside).then_some(IdMap::Shifted { uids, gids })
}

pub(crate) const CLONE: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE.union(OpenTreeFlags::OPEN_TREE_CLOEXEC);

pub(crate) fn mapped(path: &Path, namespace: &File) -> Result<OwnedFd, SysError> {
    let tree = open_tree(CWD, path, CLONE).on("open_tree", path)?;
    mount::make_private(tree.as_fd(), false)?;
    mount::set_idmap(tree.as_fd(), namespace.as_fd(), false)?;
    Ok(tree)
}

/// The devices of every container (OCI runtime specification, "Default Devices"), with major and minor numbers.
pub(crate) const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// Makes a /dev with nodes of the container's own: a change of owner or mode changes nothing on the host.
pub(crate) fn devices(ids: &IdMap, options: &[String], nodes: &[LinuxDevice]) -> Result<OwnedFd, SysError> {
    let (flags, _, settings) = split_options(options);
    let root = |ranges: Vec<IdRange>| ranges.first().map_or(0, |range| range.outside);
    let (uid, gid) = (root(ids.uids()), root(ids.gids()));
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).on("fsopen", "tmpfs")?;
    let set = |key: &str, value: &str| fsconfig_set_string(context.as_fd(), key, value).on("fsconfig", key);
    for setting in settings {
        match setting.split_once('=') {
            Some((key, value)) => set(key, value)?,
            None => fsconfig_set_flag(context.as_fd(), setting).on("fsconfig", setting)?,
        }
    }
    set("uid", &uid.to_string())?;
    set("gid", &gid.to_string())?;
    fsconfig_create(context.as_fd()).on("fsconfig", "tmpfs")?;
    let tree = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags).on("fsmount", "tmpfs")?;
    let _mask = crate::sys::fs::Umask::set(0);
    for (name, major, minor) in DEVICES {
        let device = rustix::fs::makedev(major, minor);
        let mode = Mode::from_raw_mode(0o666);
        rustix::fs::mknodat(&tree, name, FileType::CharacterDevice, mode, device).on("mknodat", name)?;
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        rustix::fs::chownat(&tree, name, uid, gid, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).on("fchownat", name)?;
    }
    for node in nodes {
        make_node(&tree, node, (uid, gid))?;
    }
    Ok(tree)
}

/// Makes the node of a `--device` below a new /dev, whose root user and group are given as ids of the host.
fn make_node(tree: &OwnedFd, node: &LinuxDevice, (root, root_group): (u32, u32)) -> Result<(), SysError> {
    let Ok(path) = node.path().strip_prefix("/dev") else { return Ok(()) };
    let (uid, gid) = (Some(Uid::from_raw(root)), Some(Gid::from_raw(root_group)));
    let own = |path: &Path, gid| {
        rustix::fs::chownat(tree, path, uid, gid, rustix::fs::AtFlags::SYMLINK_NOFOLLOW).on("fchownat", path)
    };
    let above: Vec<&Path> = path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()).collect();
    for directory in above.into_iter().rev() {
        match rustix::fs::mkdirat(tree, directory, Mode::from_raw_mode(0o755)) {
            Err(rustix::io::Errno::EXIST) => {}
            other => {
                other.on("mkdirat", directory)?;
                own(directory, gid)?;
            }
        }
    }
    let kind = if node.typ() == LinuxDeviceType::B { FileType::BlockDevice } else { FileType::CharacterDevice };
    let number = |number: i64| u32::try_from(number).unwrap_or_default();
    let device = rustix::fs::makedev(number(node.major()), number(node.minor()));
    let mode = Mode::from_raw_mode(node.file_mode().unwrap_or(0o666));
    // One that every container has is replaced.
    let _ = rustix::fs::unlinkat(tree, path, rustix::fs::AtFlags::empty());
    rustix::fs::mknodat(tree, path, kind, mode, device).on("mknodat", path)?;
    own(path, Some(Gid::from_raw(root_group.saturating_add(node.gid().unwrap_or_default()))))
}
