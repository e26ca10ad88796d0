//! This program, started again inside the user namespace.

use super::capability::keep_capabilities;
use super::error::UsernsError;
use super::here::{is_inside, is_of_own_namespace};
use super::map::{IdMap, KINDS, Mapping};
use super::register::{live_monitor, register, registry};
use super::user::of_container;
use crate::store::{Lock, Store};
use crate::sys::process::{self, Fork};
use crate::sys::{On, SysError, descriptor, mount, socket};
use rustix::mount::{MountPropagationFlags, OpenTreeFlags, mount_change, open_tree};
use serde::{Deserialize, Serialize};
use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// How this program is started inside the namespace.
pub(crate) struct Inside<'a> {
    pub arguments: Vec<CString>,
    /// Becomes descriptor 3, by which it is told its job.
    pub socket: &'a OwnedFd,
    /// Whether it will enter containers: it then gets a mount namespace, and runs from a copy of the binary that nobody can write to
    /// (a container's root is the caller on the host, and could reach the binary through `/proc/PID/exe`).
    pub enters_containers: bool,
    /// Whether it outlives this command, and others may join its namespace through it. It starts while its ids are being
    /// mapped, and must not need them before it is told its job.
    pub is_monitor: bool,
    /// The ids of the namespace if it is made.
    pub ids: IdMap,
    pub place: Place,
}

/// The user namespace that a process goes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// The namespace of any live monitor of the store, else a new one that others will join.
    Shared,
    /// The namespace of the container of this process.
    Beside(i32),
    /// A new namespace that is joined only by [`Place::Beside`].
    Own,
}

/// How a process came into its user namespace, as `run --explain` shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Origin {
    Joined { monitor: i32 },
    Made(IdMap),
}

/// This program on its way into the user's namespace. Killed if it is dropped before [`Spawning::finish`].
pub(crate) struct Spawning {
    pid: i32,
    socket: OwnedFd,
    map: IdMap,
    joined: Option<(i32, File)>,
    note: Option<&'static str>,
    /// Whether the caller is in the namespace already.
    here: bool,
    mapping: Mapping,
    is_monitor: bool,
    /// The register in which a monitor leaves its name, so that others join it.
    registry: Option<PathBuf>,
    lock: Option<Lock>,
}

/// Starts this program inside the user's namespace, or once more there. The programs that map subordinate ids work on
/// while the caller does.
pub(crate) fn begin(store: &Store, inside: &Inside) -> Result<Spawning, UsernsError> {
    let map = inside.ids.clone();
    let here = is_inside();
    let note = if here { None } else { check_map(store, &map)? };
    let registry = registry(store, map.is_shifted());
    let executable = fs::read_link("/proc/self/exe").on("readlink", "/proc/self/exe")?;
    let program = File::open(&executable).on("open", &executable)?;

    // Two that find no namespace must not make one each.
    let take = || {
        fs::create_dir_all(&registry).on("mkdir", &registry)?;
        Lock::from_reserve(store, &registry.with_extension("lock"))
    };
    let lock = match inside.place {
        Place::Shared => match take() {
            // Whoever removes something must be able to on a full disk, too; and look, where it is read-only.
            Err(full) if full.is_full() && !inside.is_monitor => None,
            Err(refused) if refused.errno == libc::EROFS && !inside.is_monitor => None,
            other => Some(other?),
        },
        Place::Beside(_) | Place::Own => None,
    };
    let joined = match inside.place {
        Place::Beside(pid) if !is_of_own_namespace(pid) => Some((pid, of_container(pid)?)),
        Place::Shared if !here => live_monitor(&registry),
        _ => None,
    };
    let (ours, theirs) = socket::pair()?;
    let parent = rustix::process::getpid();
    let pid = match process::fork()? {
        Fork::Parent(pid) => pid,
        Fork::Child => {
            drop(ours);
            let namespace = joined.as_ref().map(|(_, namespace)| namespace);
            let Err((socket, error)) = become_inside(inside, here, namespace, theirs, (&executable, &program), parent);
            let _ = socket::send(socket.as_fd(), &error.errno.to_ne_bytes(), &[]);
            // Nothing of the parent's is dropped here: the lock would be let go.
            process::exit_now(125);
        }
    };
    drop(theirs);
    let mut spawning = Spawning {
        pid,
        socket: ours,
        map,
        mapping: Mapping::Done,
        is_monitor: inside.is_monitor,
        registry: (inside.is_monitor && inside.place == Place::Shared).then_some(registry),
        lock,
        joined,
        note,
        here,
    };
    if spawning.joined.is_none() && !here {
        spawning.hear_unshared().map_err(|error| or_killed(pid, error))?;
        spawning.mapping = spawning.map.begin(pid).map_err(|error| or_killed(pid, error))?;
    }
    Ok(spawning)
}

impl Spawning {
    fn hear_unshared(&self) -> Result<(), UsernsError> {
        let mut buffer = [0u8; 4];
        match socket::receive(self.socket.as_fd(), &mut buffer)? {
            Some((1, _)) => Ok(()),
            _ => {
                let errno = i32::from_ne_bytes(buffer);
                Err(UsernsError::Create(SysError { call: "unshare", subject: "CLONE_NEWUSER".into(), errno }))
            }
        }
    }

    /// Returns what the user should know about the namespace, once.
    pub(crate) fn take_note(&mut self) -> Option<&'static str> {
        self.note.take()
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits until it runs inside, with its ids. Returns its pid.
    pub(crate) fn finish(mut self) -> Result<(i32, Origin), UsernsError> {
        let mapping = std::mem::replace(&mut self.mapping, Mapping::Done);
        mapping.finish().map_err(|error| or_killed(self.pid, error))?;
        // A monitor has not waited for its ids, and waits for its job.
        if self.joined.is_none() && !self.is_monitor && !self.here {
            socket::send(self.socket.as_fd(), b"m", &[])?;
        }
        // The end of the conversation is the exec that succeeded.
        let mut buffer = [0u8; 4];
        if socket::receive(self.socket.as_fd(), &mut buffer)?.is_some() {
            let errno = i32::from_ne_bytes(buffer);
            return Err(UsernsError::Inside(SysError { call: "execveat", subject: "/proc/self/exe".into(), errno }));
        }
        let pid = std::mem::take(&mut self.pid);
        if let Some(registry) = &self.registry {
            register(registry, pid, process::start_time(pid).unwrap_or_default())?;
        }
        self.lock = None;
        Ok((
            pid,
            self.joined
                .take()
                .map_or_else(|| Origin::Made(self.map.clone()), |(monitor, _)| Origin::Joined { monitor }),
        ))
    }
}

/// What goes wrong with a process that has been killed meanwhile says nothing about the host.
fn or_killed(pid: i32, error: UsernsError) -> UsernsError {
    if process::start_time(pid).is_some() { error } else { UsernsError::Killed }
}

impl Drop for Spawning {
    fn drop(&mut self) {
        if self.pid != 0 {
            let _ = process::kill(self.pid, libc::SIGKILL);
            let _ = process::wait(self.pid);
        }
    }
}

/// The child's side: enters or makes the namespace, and becomes the program again. Only system calls here.
fn become_inside(
    inside: &Inside,
    here: bool,
    joined: Option<&File>,
    socket: OwnedFd,
    (executable, program): (&Path, &File),
    parent: rustix::process::Pid,
) -> Result<std::convert::Infallible, (OwnedFd, SysError)> {
    let result = (|| {
        if !inside.enters_containers {
            process::die_with_parent(libc::SIGKILL);
            // It may have died before: nobody would wait for what is done here.
            if rustix::process::getppid() != Some(parent) {
                process::exit_now(125);
            }
        }
        // While it may still look everywhere.
        let is_shifted = inside.ids.is_shifted();
        let reached = if is_shifted { Some(unwritable_copy(executable)?) } else { None };
        match joined {
            Some(namespace) => {
                process::setns(namespace, libc::CLONE_NEWUSER, "the user namespace of a monitor")?;
                if is_shifted {
                    keep_capabilities()?;
                }
            }
            None if here => {}
            None => {
                process::unshare(libc::CLONE_NEWUSER, "CLONE_NEWUSER")?;
                socket::send(socket.as_fd(), b"u", &[])?;
                if inside.is_monitor {
                    keep_capabilities()?;
                } else {
                    let mut answer = [0u8; 1];
                    if socket::receive(socket.as_fd(), &mut answer)?.is_none() {
                        process::exit_now(125);
                    }
                }
            }
        }
        let unwritable = if inside.enters_containers {
            process::unshare(libc::CLONE_NEWNS, "CLONE_NEWNS")?;
            // Mounts and unmounts of the host still reach us, ours never reach the host.
            let propagation = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
            mount_change("/", propagation).on("mount", "/")?;
            Some(reached.map_or_else(|| unwritable_copy(executable), Ok)?)
        } else {
            None
        };
        let program = unwritable.as_ref().map_or(program.as_fd(), |mount| mount.as_fd());
        Err(descriptor::fexecve(program, &inside.arguments, inside.socket.as_fd()))
    })();
    result.map_err(|error| (socket, error))
}

/// Clones the mount of the binary read-only, which belongs to no mount namespace once the descriptor is closed, and so
/// can never be made writable again (CVE-2019-5736).
fn unwritable_copy(executable: &Path) -> Result<OwnedFd, SysError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let copy = open_tree(rustix::fs::CWD, executable, flags).on("open_tree", executable)?;
    mount::mount_setattr(copy.as_fd(), libc::MOUNT_ATTR_RDONLY, 0, false)?;
    Ok(copy)
}

const SINGLE_ID: &str = "you have no subordinate ids, so users in containers are names only: every file stays readable by all of \
                         them, and its owner is kept on record (minirun doctor tells how to get a range)";

/// Checks that the store was made with the same kind of map: its layers hold files with those ids. Returns what its user
/// should know about a new one.
fn check_map(store: &Store, map: &IdMap) -> Result<Option<&'static str>, UsernsError> {
    let path = store.path("ids");
    let text = format!("{}\n", map.kind());
    match fs::read_to_string(&path) {
        Ok(found) if found == text => Ok(None),
        Ok(found) if KINDS.contains(&found.trim_end()) => {
            Err(UsernsError::OtherMap { path: store.root.clone(), store: found.trim().into(), now: map.kind() })
        }
        found => {
            // The files do not tell the map; the user who made a store hardly ever changes.
            let is_new = found.is_err() && !path.exists();
            if !is_new {
                crate::store::tell_damage(&path, &format!("it says now: {}", map.kind()));
            }
            crate::store::write_durably(&path, text.as_bytes())?;
            Ok((is_new && map.is_single()).then_some(SINGLE_ID))
        }
    }
}
