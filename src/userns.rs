//! The one user namespace of a store: joined through a live monitor, else made; and going on inside it.
//!
//! The containers of a store share one user namespace, since a namespace of a sibling could not be plugged into their
//! networks; but for those that could change what the namespace as a whole has, as its binary formats ([`Place::Own`]). Nothing keeps it alive but the monitors in it: each leaves a name in `userns/`, `PID-STARTTIME`, and whoever
//! comes next joins through the first one that still lives, or makes a new namespace with the same map of ids.

pub(crate) mod attempt;
pub(crate) mod shift;

use crate::diag::Diagnose;
use crate::store::{Lock, Store};
use crate::sys::descriptor;
use crate::sys::process::{self, Fork};
use crate::sys::{On, SysError, mount, socket};
use caps::CapSet;
use caps::errors::CapsError;
use rustix::mount::{MountPropagationFlags, OpenTreeFlags, mount_change, open_tree};
use serde::{Deserialize, Serialize};
use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};

#[derive(Debug, thiserror::Error)]
pub enum UsernsError {
    #[error("cannot make a user namespace")]
    Create(#[source] SysError),
    #[error("{program} refused to map the subordinate ids of {subject}: {said}")]
    Helper { program: &'static str, subject: String, said: String },
    #[error("cannot map ids into the user namespace")]
    Map(#[source] SysError),
    #[error("{} was made with the ids of a {store} user, but now there is {now}", path.display())]
    OtherMap { path: PathBuf, store: String, now: &'static str },
    #[error("cannot go on inside the user namespace")]
    Inside(#[source] SysError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for UsernsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Create(error) => Some(why_no_namespace(error.errno)),
            Self::Helper { .. } => Some("compare /etc/subuid and /etc/subgid with: minirun doctor".into()),
            Self::Map(_) => Some("see what this host lacks: minirun doctor".into()),
            Self::OtherMap { .. } => {
                Some("give back what changed (minirun doctor tells), or use another store: minirun --root DIR …".into())
            }
            Self::Inside(_) | Self::Sys(_) => None,
        }
    }
}

fn why_no_namespace(errno: i32) -> String {
    let sysctl = |name: &str| fs::read_to_string(format!("/proc/sys/{name}")).unwrap_or_default().trim().to_owned();
    if sysctl("user/max_user_namespaces") == "0" {
        "this host allows none; as root: sysctl -w user.max_user_namespaces=15000".into()
    } else if sysctl("kernel/unprivileged_userns_clone") == "0" {
        "this host keeps them for root; as root: sysctl -w kernel.unprivileged_userns_clone=1".into()
    } else if sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1" {
        "AppArmor restricts them here; minirun doctor prints the profile that allows minirun's".into()
    } else if errno == libc::EPERM {
        "an outer container's seccomp policy forbids it; see minirun doctor".into()
    } else {
        "see what this host lacks: minirun doctor".into()
    }
}

/// A run of ids: `inside` is 0 for the container's root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdRange {
    pub inside: u32,
    pub outside: u32,
    pub count: u32,
}

/// Every [`IdMap::kind`].
const KINDS: [&str; 3] = ["subordinate range", "root", "single id"];

/// How the ids of a container become ids of the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum IdMap {
    /// The caller is the container's root, and a subordinate range follows: `newuidmap` and `newgidmap`.
    Range { uids: Vec<IdRange>, gids: Vec<IdRange> },
    /// Root's containers: ids that nobody else has; owners on disk stay what they are, through idmapped mounts.
    Shifted { uids: IdRange, gids: IdRange },
    /// Root: every id is itself.
    Identity { uids: Vec<IdRange>, gids: Vec<IdRange> },
    /// The caller is the container's root, and there is no other id.
    Single { uid: u32, gid: u32 },
}

impl IdMap {
    /// The best map this user can have.
    pub fn of_caller() -> Self {
        static FOUND: OnceLock<IdMap> = OnceLock::new();
        FOUND.get_or_init(Self::find).clone()
    }

    fn find() -> Self {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        if uid == 0 {
            let own = |file| parse_map(&fs::read_to_string(file).unwrap_or_default());
            let identity =
                |ranges: Vec<IdRange>| ranges.into_iter().map(|r| IdRange { outside: r.inside, ..r }).collect();
            let uids: Vec<IdRange> = identity(own("/proc/self/uid_map"));
            let gids: Vec<IdRange> = identity(own("/proc/self/gid_map"));
            // Root of a namespace that has no other id has no more than a user without a range.
            let alone = |ranges: &[IdRange]| ranges.iter().map(|r| r.count).fold(0, u32::saturating_add) <= 1;
            return if alone(&uids) || alone(&gids) {
                Self::Single { uid, gid }
            } else {
                Self::Identity { uids, gids }
            };
        }
        let user = user_name(uid);
        let range = |file, own| {
            let mut inside = 1;
            let mut ranges = vec![IdRange { inside: 0, outside: own, count: 1 }];
            for (outside, count) in subordinate(&fs::read_to_string(file).unwrap_or_default(), user.as_deref(), uid) {
                ranges.push(IdRange { inside, outside, count });
                inside += count;
            }
            ranges
        };
        let (uids, gids) = (range("/etc/subuid", uid), range("/etc/subgid", gid));
        if uids.len() > 1 && gids.len() > 1 && program("newuidmap").is_some() && program("newgidmap").is_some() {
            Self::Range { uids, gids }
        } else {
            Self::Single { uid, gid }
        }
    }

    pub fn kind(&self) -> &'static str {
        match self {
            Self::Range { .. } => "subordinate range",
            Self::Identity { .. } | Self::Shifted { .. } => "root",
            Self::Single { .. } => "single id",
        }
    }

    pub fn uids(&self) -> Vec<IdRange> {
        match self {
            Self::Range { uids, .. } | Self::Identity { uids, .. } => uids.clone(),
            Self::Shifted { uids, .. } => vec![*uids],
            Self::Single { uid, .. } => vec![IdRange { inside: 0, outside: *uid, count: 1 }],
        }
    }

    pub fn gids(&self) -> Vec<IdRange> {
        match self {
            Self::Range { gids, .. } | Self::Identity { gids, .. } => gids.clone(),
            Self::Shifted { gids, .. } => vec![*gids],
            Self::Single { gid, .. } => vec![IdRange { inside: 0, outside: *gid, count: 1 }],
        }
    }

    pub fn is_single(&self) -> bool {
        matches!(self, Self::Single { .. })
    }

    pub fn is_shifted(&self) -> bool {
        matches!(self, Self::Shifted { .. })
    }

    /// Gives the process, which has just unshared its user namespace, its ids.
    pub fn write(&self, pid: i32) -> Result<(), UsernsError> {
        self.begin(pid)?.finish()
    }

    fn begin(&self, pid: i32) -> Result<Mapping, UsernsError> {
        let proc = |file: &str, text: &str| {
            let path = format!("/proc/{pid}/{file}");
            fs::write(&path, text).on("write", path).map_err(UsernsError::Map)
        };
        match self {
            Self::Identity { .. } | Self::Shifted { .. } => {
                proc("uid_map", &map_text(&self.uids()))?;
                proc("gid_map", &map_text(&self.gids()))?;
                Ok(Mapping::Done)
            }
            Self::Single { .. } => {
                proc("setgroups", "deny")?;
                proc("uid_map", &map_text(&self.uids()))?;
                proc("gid_map", &map_text(&self.gids()))?;
                Ok(Mapping::Done)
            }
            // Both at once: each is a process of its own, and they do not wait for each other.
            Self::Range { uids, gids } => {
                Ok(Mapping::Helped([start_helper("newuidmap", pid, uids)?, start_helper("newgidmap", pid, gids)?]))
            }
        }
    }
}

/// The ids are given, or two set-user-ID programs are about to.
enum Mapping {
    Done,
    Helped([std::process::Child; 2]),
}

impl Mapping {
    fn finish(self) -> Result<(), UsernsError> {
        if let Self::Helped([uids, gids]) = self {
            finish_helper("newuidmap", uids)?;
            finish_helper("newgidmap", gids)?;
        }
        Ok(())
    }
}

fn map_text(ranges: &[IdRange]) -> String {
    ranges.iter().map(|r| format!("{} {} {}\n", r.inside, r.outside, r.count)).collect()
}

/// The text of `/proc/PID/uid_map` (user_namespaces(7)).
pub(crate) fn parse_map(text: &str) -> Vec<IdRange> {
    text.lines()
        .filter_map(|line| {
            let mut numbers = line.split_whitespace().map(|n| n.parse().ok());
            Some(IdRange { inside: numbers.next()??, outside: numbers.next()??, count: numbers.next()?? })
        })
        .collect()
}

/// The ranges of a user in the text of `/etc/subuid` or `/etc/subgid` (subuid(5)).
pub(crate) fn subordinate(text: &str, user: Option<&str>, uid: u32) -> Vec<(u32, u32)> {
    let number = uid.to_string();
    text.lines()
        .filter_map(|line| {
            let mut fields = line.trim().split(':');
            let owner = fields.next()?;
            if Some(owner) != user && owner != number {
                return None;
            }
            Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        })
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// The caller's name, from `/etc/passwd` alone: a static binary must not load the host's NSS modules.
pub(crate) fn user_name(uid: u32) -> Option<String> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let number = uid.to_string();
    let found = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == number).then(|| name.to_owned())
    });
    // A user of a directory service is not in the file; the session says who it is.
    found.or_else(|| std::env::var("USER").ok().filter(|name| !name.is_empty()))
}

/// A program of the host, looked for where `PATH` says and where system programs lie.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/bin", "/usr/sbin", "/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(name))
        .find(|file| fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0))
}

fn start_helper(name: &'static str, pid: i32, ranges: &[IdRange]) -> Result<std::process::Child, UsernsError> {
    let path = program(name).unwrap_or_else(|| name.into());
    let numbers = ranges.iter().flat_map(|r| [r.inside, r.outside, r.count]).map(|n| n.to_string());
    Command::new(&path)
        .arg(pid.to_string())
        .args(numbers)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .on("execve", path)
        .map_err(UsernsError::Map)
}

fn finish_helper(program: &'static str, child: std::process::Child) -> Result<(), UsernsError> {
    let output = child.wait_with_output().on("waitpid", program).map_err(UsernsError::Map)?;
    if output.status.success() {
        return Ok(());
    }
    let subject = user_name(rustix::process::getuid().as_raw()).unwrap_or_default();
    let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
    Err(UsernsError::Helper { program, subject, said })
}

/// What goes on inside the namespace.
pub(crate) struct Inside<'a> {
    pub arguments: Vec<CString>,
    /// Becomes descriptor 3.
    pub socket: Option<&'a OwnedFd>,
    /// It will enter containers: it gets a mount namespace, and runs from a copy of the binary that nobody can write to
    /// (a container's root is the caller on the host, and could reach the binary through `/proc/PID/exe`).
    pub enters_containers: bool,
    /// It outlives this command, and others may join its namespace through it. It starts while its ids are being mapped:
    /// what needs them must wait until it is told something.
    pub is_monitor: bool,
    /// The ids that the namespace has if it is made.
    pub ids: IdMap,
    pub place: Place,
}

/// The user namespace that a process goes into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// That of any monitor of the store that lives, else a new one that others will join.
    Shared,
    /// That of this process.
    Beside(i32),
    /// A new one that nobody joins but by [`Place::Beside`].
    Own,
}

/// How a process came into its user namespace; what `run --explain` tells of it.
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
    /// It was born in the namespace already.
    here: bool,
    mapping: Mapping,
    is_monitor: bool,
    /// Where a monitor leaves its name, so that others join it.
    registry: Option<PathBuf>,
    lock: Option<Lock>,
}

/// Starts this program inside the user's namespace, or once more there. The programs that map subordinate ids work on
/// while the caller does.
pub(crate) fn begin(store: &Store, inside: &Inside) -> Result<Spawning, UsernsError> {
    let map = inside.ids.clone();
    let here = is_inside();
    if !here {
        check_map(store, &map)?;
    }
    let registry = registry(store, map.is_shifted());
    let executable = fs::read_link("/proc/self/exe").on("readlink", "/proc/self/exe")?;
    let program = File::open(&executable).on("open", &executable)?;
    let environment = environment(store, inside.socket);

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
        Place::Beside(pid) if !is_of_own_namespace(pid) => Some((pid, process::namespace(pid, "user")?)),
        Place::Shared if !here => live_monitor(&registry),
        _ => None,
    };
    let (ours, theirs) = socket::pair()?;
    let pid = match process::fork()? {
        Fork::Parent(pid) => pid,
        Fork::Child => {
            drop(ours);
            let namespace = joined.as_ref().map(|(_, namespace)| namespace);
            let Err((socket, error)) =
                become_inside(inside, here, namespace, theirs, &executable, &program, &environment);
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
        here,
    };
    if spawning.joined.is_none() && !here {
        spawning.hear_unshared()?;
        spawning.mapping = spawning.map.begin(pid)?;
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

    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits until it runs inside, with its ids. Returns its pid.
    pub(crate) fn finish(mut self) -> Result<(i32, Origin), UsernsError> {
        std::mem::replace(&mut self.mapping, Mapping::Done).finish()?;
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
    executable: &Path,
    program: &File,
    environment: &[CString],
) -> Result<std::convert::Infallible, (OwnedFd, SysError)> {
    let result = (|| {
        if !inside.enters_containers {
            process::die_with_parent(libc::SIGKILL);
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
        Err(descriptor::fexecve(program, &inside.arguments, environment, inside.socket.as_ref().map(AsFd::as_fd)))
    })();
    result.map_err(|error| (socket, error))
}

/// Lets a program start that is not root here, as while its ids are still being mapped: it would lose all capabilities as
/// it is executed (capabilities(7), "Ambient capability set").
pub(crate) fn keep_capabilities() -> Result<(), SysError> {
    let kept = (|| {
        let all = caps::read(None, CapSet::Permitted)?;
        caps::set(None, CapSet::Inheritable, &all)?;
        caps::set(None, CapSet::Ambient, &all)
    })();
    kept.map_err(|_: CapsError| SysError { call: "prctl", subject: "PR_CAP_AMBIENT".into(), errno: libc::EPERM })
}

/// Takes that back once the ids are mapped, and it is root.
pub(crate) fn inherit_nothing() -> Result<(), SysError> {
    let none = caps::clear(None, CapSet::Inheritable);
    none.map_err(|_| SysError { call: "capset", subject: "inheritable".into(), errno: libc::EPERM })
}

/// The binary on a read-only mount of its own, which belongs to no mount namespace once the descriptor is closed, and so
/// can never be made writable again (CVE-2019-5736).
fn unwritable_copy(executable: &Path) -> Result<OwnedFd, SysError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let copy = open_tree(rustix::fs::CWD, executable, flags).on("open_tree", executable)?;
    mount::mount_setattr(copy.as_fd(), libc::MOUNT_ATTR_RDONLY, 0, false)?;
    Ok(copy)
}

fn environment(store: &Store, socket: Option<&OwnedFd>) -> Vec<CString> {
    let own = ["MINIRUN_ROOT", "MINIRUN_INSIDE", OUTSIDE_VARIABLE];
    let socket = socket.and_then(|socket| fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok());
    let kept = std::env::vars_os().filter(|(name, _)| !own.iter().any(|o| name == o));
    let added = [
        (own[0].into(), store.root.clone().into_os_string()),
        (own[1].into(), fs::read_link("/proc/self/ns/user").unwrap_or_default().into_os_string()),
        (own[2].into(), socket.unwrap_or_default().into_os_string()),
    ];
    kept.chain(added)
        .filter_map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok())
        .collect()
}

/// Whether this process was started by [`begin`]: its user namespace is not the one it was started from.
pub(crate) fn is_inside() -> bool {
    outside().is_some_and(|outside| fs::read_link("/proc/self/ns/user").is_ok_and(|now| now != outside))
}

fn is_of_own_namespace(pid: i32) -> bool {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/user")).ok();
    namespace("self").is_some_and(|own| namespace(&pid.to_string()) == Some(own))
}

/// The number that this process's user has where it was started from.
pub(crate) fn uid_outside() -> u32 {
    let uid = rustix::process::geteuid().as_raw();
    if !is_inside() {
        return uid;
    }
    let map = parse_map(&fs::read_to_string("/proc/self/uid_map").unwrap_or_default());
    let range = map.iter().find(|range| (range.inside..range.inside.saturating_add(range.count)).contains(&uid));
    range.map_or(uid, |range| range.outside + (uid - range.inside))
}

/// Whether the ids of an image are real ids to this process: it went inside, or is the host's root and need not.
pub(crate) fn has_ids(store: &Store) -> bool {
    is_inside() || is_above(store)
}

/// The caller is root, whose containers have ids of their own and whose store has the real ones.
fn is_above(store: &Store) -> bool {
    matches!(IdMap::of_caller(), IdMap::Identity { .. })
        && matches!(shift::Finding::recorded(store), Some(shift::Finding::Shifted { .. }))
}

/// The user namespace that this process came from, as its link in `/proc` names it.
pub(crate) fn outside() -> Option<PathBuf> {
    std::env::var_os("MINIRUN_INSIDE").map(PathBuf::from)
}

/// The user namespace that the host is seen from: the one that this command was typed in.
pub(crate) fn of_host() -> Option<PathBuf> {
    outside().or_else(|| fs::read_link("/proc/self/ns/user").ok())
}

/// Goes on inside the user's namespace, where the ids of an image are real ids: outside it, this runs the same
/// command line again inside, waits, and ends this process with its exit status; inside it, this returns.
///
/// # Errors
/// When the namespace cannot be had, with the reason this host gives.
pub(crate) fn enter(store: &Store) -> Result<(), UsernsError> {
    enter_at(store, Place::Shared)
}

/// [`enter`], into a certain namespace.
pub(crate) fn enter_at(store: &Store, place: Place) -> Result<(), UsernsError> {
    go_on_inside(store, place, |_| Vec::new())
}

/// [`enter`], where the half that stays outside answers what the inner one asks it ([`ask`]).
pub(crate) fn enter_and_answer(store: &Store, answer: impl FnMut(&[u8]) -> Vec<u8>) -> Result<(), UsernsError> {
    go_on_inside(store, Place::Shared, answer)
}

fn go_on_inside(store: &Store, place: Place, answer: impl FnMut(&[u8]) -> Vec<u8>) -> Result<(), UsernsError> {
    if !has_ids(store) {
        std::process::exit(run_at(store, place, std::env::args_os().collect(), answer)?);
    }
    Ok(())
}

/// The variable that says which socket leads to the outer half.
const OUTSIDE_VARIABLE: &str = "MINIRUN_OUTSIDE";

/// What the half of this command that stayed outside answers. `None`: there is none, or it knows nothing of this.
pub(crate) fn ask(question: &[u8]) -> Option<Vec<u8>> {
    static SOCKET: OnceLock<Option<Mutex<OwnedFd>>> = OnceLock::new();
    let socket = SOCKET.get_or_init(|| descriptor::take_handed(&std::env::var_os(OUTSIDE_VARIABLE)?).map(Mutex::new));
    let socket = socket.as_ref()?.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    socket::send(socket.as_fd(), question, &[]).ok()?;
    let mut buffer = vec![0; socket::LONGEST];
    let (length, _) = socket::receive(socket.as_fd(), &mut buffer).ok()??;
    buffer.truncate(length);
    Some(buffer)
}

/// Runs this program with other arguments inside the user's namespace, answers what it asks, and gives its exit status. An
/// empty answer ends the conversation.
pub(crate) fn run_inside(
    store: &Store,
    arguments: Vec<OsString>,
    answer: impl FnMut(&[u8]) -> Vec<u8>,
) -> Result<i32, UsernsError> {
    run_at(store, Place::Shared, arguments, answer)
}

fn run_at(
    store: &Store,
    place: Place,
    arguments: Vec<OsString>,
    mut answer: impl FnMut(&[u8]) -> Vec<u8>,
) -> Result<i32, UsernsError> {
    use rustix::event::{PollFd, PollFlags, poll};
    let arguments = arguments.into_iter().filter_map(|a| CString::new(a.into_vec()).ok()).collect();
    let (ours, theirs) = socket::pair()?;
    let inside = Inside {
        arguments,
        socket: Some(&theirs),
        enters_containers: false,
        is_monitor: false,
        ids: IdMap::of_caller(),
        place,
    };
    let (pid, _) = begin(store, &inside)?.finish()?;
    drop(theirs);
    let mut ours = Some(ours);
    let signals = process::signalfd(&[libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT])?;
    let child = process::pidfd_open(pid)?;
    loop {
        let mut waiting = vec![PollFd::new(&signals, PollFlags::IN), PollFd::new(&child, PollFlags::IN)];
        waiting.extend(ours.as_ref().map(|socket| PollFd::new(socket, PollFlags::IN)));
        if poll(&mut waiting, None).is_err() {
            continue;
        }
        let ready: Vec<bool> = waiting.iter().map(|fd| !fd.revents().is_empty()).collect();
        while let Some((signal, from_kernel)) = process::read_signal_and_sender(signals.as_fd()) {
            // What the terminal sends reaches the child too: it is in the same process group.
            if !from_kernel || signal == libc::SIGHUP {
                let _ = process::kill(pid, signal);
            }
        }
        if ready[1] {
            return Ok(process::wait(pid)?);
        }
        if ready.get(2) == Some(&true) {
            ours = ours.filter(|socket| converse(socket, &mut answer));
        }
    }
}

/// Answers one question. `false`: the conversation is over.
fn converse(socket: &OwnedFd, answer: &mut impl FnMut(&[u8]) -> Vec<u8>) -> bool {
    let mut buffer = vec![0; socket::LONGEST];
    let Ok(Some((length, _))) = socket::receive(socket.as_fd(), &mut buffer) else { return false };
    let answer = answer(&buffer[..length]);
    !answer.is_empty() && socket::send(socket.as_fd(), &answer, &[]).is_ok()
}

/// Where the living monitors of a store have their names; those of root's containers with ids of their own, elsewhere.
fn registry(store: &Store, is_shifted: bool) -> PathBuf {
    store.runtime.join(if is_shifted { "userns-shifted" } else { "userns" })
}

fn register(registry: &Path, pid: i32, started: u64) -> Result<(), SysError> {
    let name = registry.join(format!("{pid}-{started}"));
    fs::write(&name, "").on("write", name)
}

/// Notes again a monitor whose name somebody has removed, so that others join its namespace.
pub(crate) fn register_again(store: &Store, pid: i32, started: u64) -> Result<(), SysError> {
    let map = parse_map(&fs::read_to_string(format!("/proc/{pid}/uid_map")).unwrap_or_default());
    let is_shifted = is_above(store) && map.first().is_some_and(|range| range.outside != range.inside);
    let registry = registry(store, is_shifted);
    fs::create_dir_all(&registry).on("mkdir", &registry)?;
    register(&registry, pid, started)
}

/// Forgets a monitor that ends.
pub(crate) fn leave(store: &Store) {
    let pid = outer_pid();
    let name = format!("{pid}-{}", process::start_time(pid).unwrap_or_default());
    for is_shifted in [false, true] {
        let _ = fs::remove_file(registry(store, is_shifted).join(&name));
    }
}

fn outer_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

/// The user namespace of the first registered monitor that still lives; the dead ones are struck off.
fn live_monitor(registry: &Path) -> Option<(i32, File)> {
    for entry in fs::read_dir(registry).ok()?.flatten() {
        let name = entry.file_name();
        let found = name.to_str().and_then(|n| n.split_once('-')).and_then(|(pid, start)| {
            let (pid, start) = (pid.parse().ok()?, start.parse::<u64>().ok()?);
            // Opened first, compared afterwards: the namespace of a process that ended meanwhile is still the right one.
            let namespace = process::namespace(pid, "user").ok()?;
            (process::start_time(pid) == Some(start)).then_some((pid, namespace))
        });
        if found.is_some() {
            return found;
        }
        let _ = fs::remove_file(entry.path());
    }
    None
}

/// Layers hold files of the ids they were unpacked with: a store keeps to one kind of map.
fn check_map(store: &Store, map: &IdMap) -> Result<(), UsernsError> {
    let path = store.path("ids");
    let text = format!("{}\n", map.kind());
    match fs::read_to_string(&path) {
        Ok(found) if found == text => Ok(()),
        Ok(found) if KINDS.contains(&found.trim_end()) => {
            Err(UsernsError::OtherMap { path: store.root.clone(), store: found.trim().into(), now: map.kind() })
        }
        found => {
            // What is on disk says nothing of the map; who makes a store hardly ever changes.
            if found.is_ok() || path.exists() {
                crate::store::tell_damage(&path, &format!("it says now: {}", map.kind()));
            } else if map.is_single() {
                eprintln!(
                    "note: you have no subordinate ids, so files in containers all belong to you; their owners are kept on record \
                     (minirun doctor tells how to get a range)"
                );
            }
            crate::store::write_durably(&path, text.as_bytes())?;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subordinate_ranges_by_name_or_number() {
        let text = "root:1:2\nann:100000:65536\n1000:300000:10\nann:bad:1\nann:5:0\n";
        assert_eq!(subordinate(text, Some("ann"), 1000), [(100_000, 65536), (300_000, 10)]);
        assert_eq!(subordinate(text, None, 1001), []);
    }
}
