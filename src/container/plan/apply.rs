//! Carries steps out.

use super::filter::{unpack, without_agent};
use super::namespaces::namespace_flags;
use super::reap;
use super::step::{Mount, Step};
use super::terminal;
use crate::container::agent::Agent;
use crate::container::probe;
use crate::container::request::{capability, limit};
use crate::container::rootfs::lend;
use crate::container::rootfs::options::{split_options, subdirectory};
use crate::container::rootfs::root::Root;
use crate::container::rootfs::shift;
use crate::network::shared::Attached;
use crate::sys::descriptor;
use crate::sys::process::{self, Fork};
use crate::sys::tun::Kind;
use crate::sys::{On, SysError, keyring, mount, netlink, seccomp};
use crate::userns;
use rustix::fs::{Mode, OFlags, Uid, fchown};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountPropagationFlags, OpenTreeFlags, fsconfig_create, fsconfig_set_flag,
    fsconfig_set_string, fsmount, fsopen, mount_change, open_tree,
};
use std::collections::VecDeque;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// The state that steps hand on to later ones.
#[derive(Default)]
pub struct Walk {
    pub root: Option<Root>,
    /// The payload's terminal, and its master until the monitor has it.
    pub terminal: Option<(OwnedFd, Option<OwnedFd>)>,
    /// The terminal's rows and columns at its start.
    pub size: Option<(u16, u16)>,
    /// The monitor's side of the network device.
    pub device: Option<(OwnedFd, Kind)>,
    /// The networks that the container is on.
    pub(crate) networks: Vec<Attached>,
    /// The process whose namespaces are joined.
    pub joined: Option<OwnedFd>,
    /// The user namespace of a user that is not root, where there is one id only.
    pub user: Option<OwnedFd>,
    /// The process that answers system calls about owners.
    pub(crate) agent: Option<Agent>,
    /// The process that continues in place of this one.
    pub successor: Option<i32>,
    /// Mounts that the host's root has made for steps that cannot, in their order.
    pub trees: VecDeque<OwnedFd>,
    /// Mounts that `Step::Borrow` has cloned, in their order.
    pub lent: VecDeque<OwnedFd>,
    /// The errno that says why the last step had nothing to do; such a step is not reported as done.
    pub skipped: Option<i32>,
}

const LAYER_FLAGS: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE.union(OpenTreeFlags::OPEN_TREE_CLOEXEC);

impl Step {
    /// Carries the step out in this process.
    pub fn apply(&self, walk: &mut Walk) -> Result<(), SysError> {
        match self {
            Self::NetworkNamespace => process::unshare(libc::CLONE_NEWNET, "CLONE_NEWNET"),
            Self::LoopbackUp => netlink::loopback_up(),
            Self::Address { network } => network.set_up(),
            Self::Device { network, kind } => {
                walk.device = network.open_device(*kind)?.map(|device| (device, *kind));
                Ok(())
            }
            Self::Member(member) => {
                walk.networks.push(member.join()?);
                Ok(())
            }
            Self::Sysctl { key, value } => write(&format!("/proc/sys/{}", key.replace('.', "/")), value),
            Self::CgroupLimit { file, value } => write(file, value),
            Self::UserNamespace { uid, gid, like } => {
                let shared = like.and_then(|pid| userns::of_same_user(pid, *uid, *gid));
                walk.user = Some(shared.map_or_else(|| userns::of_user(*uid, *gid), Ok)?);
                Ok(())
            }
            Self::BecomeUser { .. } => {
                let namespace = walk.user.take().ok_or_else(missing)?;
                process::setns(namespace, libc::CLONE_NEWUSER, "the user's namespace")
            }
            // The monitor does this one itself: it needs the child's pid.
            Self::Clone { .. } => Ok(()),
            Self::JoinNamespaces { pid, namespaces } => {
                let joined = match walk.joined.take() {
                    Some(joined) => joined,
                    None => process::pidfd_open(*pid)?,
                };
                let joined = walk.joined.insert(joined);
                process::setns(joined, namespace_flags(namespaces), &format!("the namespaces of process {pid}"))
            }
            Self::SessionKeyring { required } => match keyring::join_new_session() {
                // Where there are no keys, or none may be used, the payload has none of the caller's either.
                Err(error) if !required || matches!(error.errno, libc::ENOSYS | libc::EPERM | libc::EACCES) => {
                    walk.skipped = Some(error.errno);
                    Ok(())
                }
                other => other,
            },
            Self::CgroupNamespace => process::unshare(libc::CLONE_NEWCGROUP, "CLONE_NEWCGROUP"),
            Self::Detach => {
                on(mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC), "mount", "/")
            }
            Self::Overlay(overlay) => {
                overlay.mount()?;
                walk.enter(&overlay.target)
            }
            Self::CopyLayers(overlay) => {
                overlay.copy()?;
                walk.enter(&overlay.target)
            }
            Self::Root { target } => walk.enter(target),
            Self::FuseOverlay(overlay) => overlay.mount_by_fuse(),
            Self::FillVolume { volume, target } => {
                walk.skipped = walk.root()?.copy_out(target, volume)?;
                Ok(())
            }
            Self::ShiftedStore { store, .. } => shift::settle(&walk.tree()?, Path::new(store)),
            Self::ShiftedRoot => shift::become_root(),
            Self::Borrow { pid, path } => {
                walk.lent.push_back(lend::borrow(*pid, path)?);
                Ok(())
            }
            Self::Mount(mount) if mount.is_lent => {
                let tree = walk.lent.pop_front().ok_or_else(missing)?;
                mount.attach(&tree, walk.root()?)
            }
            Self::Mount(mount) if mount.is_brought => {
                let tree = walk.tree()?;
                mount.attach(&tree, walk.root()?)
            }
            Self::Mount(mount) => mount.apply(walk.root()?),
            Self::Link { path, to } => {
                walk.skipped = walk.root()?.link(path, to)?;
                Ok(())
            }
            Self::Terminal { console } => {
                let (slave, master) = walk.root()?.open_terminal(*console)?;
                if let Some((rows, columns)) = walk.size {
                    terminal::resize(Some(&slave), rows.into(), columns.into());
                }
                walk.terminal = Some((slave, master));
                Ok(())
            }
            Self::Mask { path } => {
                walk.skipped = walk.root()?.mask(path)?;
                Ok(())
            }
            Self::ReadOnly { path } => {
                walk.skipped = walk.root()?.read_only(path)?;
                Ok(())
            }
            Self::ReadOnlyRoot => {
                let root = walk.root()?;
                mount::mount_setattr(root.fd(), libc::MOUNT_ATTR_RDONLY, 0, false)
            }
            Self::PivotRoot => walk.root()?.pivot(),
            Self::Hostname { name } => {
                on(nix::unistd::sethostname(name).map_err(std::io::Error::from), "sethostname", name)
            }
            Self::DomainName { name } => on(rustix::system::setdomainname(name.as_bytes()), "setdomainname", name),
            Self::Umask { mask } => {
                rustix::process::umask(Mode::from_raw_mode(*mask));
                Ok(())
            }
            Self::OomScore { value } => write("/proc/self/oom_score_adj", &value.to_string()),
            Self::MakeDirectory { path } if Path::new(path).is_dir() => {
                walk.skipped = Some(libc::EEXIST);
                Ok(())
            }
            Self::MakeDirectory { path } => match std::fs::create_dir_all(path) {
                // A dangling link or a file in the way is told when the process wants to work there.
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
                other => on(other, "mkdir", path),
            },
            Self::Session { terminal } => {
                on(rustix::process::setsid(), "setsid", "")?;
                match (&walk.terminal, terminal) {
                    (Some((slave, _)), true) => {
                        process::set_controlling_terminal(slave.as_fd())?;
                        descriptor::STREAMS.into_iter().try_for_each(|stream| stream.replace(slave.as_fd()))
                    }
                    _ => Ok(()),
                }
            }
            Self::Limit { name, soft, hard } => set_limit(name, *soft, *hard),
            Self::BoundCapabilities { keep } => capability::bound(keep),
            Self::Agent => {
                walk.agent = Some(Agent::fork()?);
                Ok(())
            }
            Self::Filter { answers: true, program, flags, .. } => {
                let unpacked = |program: &[u64]| program.iter().copied().map(unpack).collect::<Vec<_>>();
                let plain = || seccomp::set_mode_filter(&unpacked(&without_agent(program)), *flags);
                let Some(agent) = &walk.agent else { return plain() };
                match seccomp::listen(&unpacked(program), *flags) {
                    Ok(listener) => agent.hand_over(&listener),
                    // In another engine's container that asks an agent, or on an old kernel.
                    Err(error) if matches!(error.errno, libc::EBUSY | libc::EINVAL) => {
                        walk.skipped = Some(error.errno);
                        plain()
                    }
                    Err(error) => Err(error),
                }
            }
            Self::Filter { program, flags, .. } => {
                let program: Vec<_> = program.iter().copied().map(unpack).collect();
                seccomp::set_mode_filter(&program, *flags)
            }
            Self::User { uid, gid, groups } => {
                if *uid != 0 {
                    give_streams_to(*uid);
                }
                if let Some(groups) = groups {
                    process::setgroups(groups)?;
                }
                process::setresgid(*gid)?;
                process::setresuid(*uid)
            }
            Self::SetCapabilities { keep } => capability::set(keep),
            Self::NoNewPrivileges => process::no_new_privileges(),
            Self::Directory { path } => work_in(path),
            Self::Sibling => {
                // A change of user may have made it dumpable again.
                process::set_dumpable(false);
                if let Fork::Parent(pid) = process::fork_sibling()? {
                    walk.successor = Some(pid);
                }
                Ok(())
            }
            Self::ReapingInit => reap::reap_for_child(),
            Self::Exec { argv, env } => Err(exec(argv, env)),
            Self::Probe { targets } => {
                probe::report(targets);
                Ok(())
            }
        }
    }
}

fn missing() -> SysError {
    SysError { call: "open_tree", subject: "what was brought".into(), errno: libc::EBADF }
}

impl Walk {
    fn enter(&mut self, root: &str) -> Result<(), SysError> {
        self.root = Some(Root::open(root)?);
        Ok(())
    }

    fn tree(&mut self) -> Result<OwnedFd, SysError> {
        self.trees.pop_front().ok_or_else(missing)
    }

    fn root(&self) -> Result<&Root, SysError> {
        self.root.as_ref().ok_or(SysError { call: "open", subject: "the container's root".into(), errno: libc::EBADF })
    }
}

impl Mount {
    pub(crate) fn apply(&self, root: &Root) -> Result<(), SysError> {
        let (flags, recursive, settings) = split_options(&self.options);
        if self.kind == "bind" {
            let mut how = LAYER_FLAGS;
            if recursive {
                how |= OpenTreeFlags::AT_RECURSIVE;
            }
            let tree = match subdirectory(&self.options) {
                None => on(open_tree(rustix::fs::CWD, self.source.as_str(), how), "open_tree", &self.source)?,
                // A link in a volume must not lead out of it.
                Some(below) => {
                    let found = Root::open(&self.source)?.resolve(below, OFlags::PATH)?;
                    on(open_tree(&found, "", how | OpenTreeFlags::AT_EMPTY_PATH), "open_tree", below)?
                }
            };
            if !flags.is_empty() {
                // What a host's mount forbids stays forbidden: flags are added, never cleared.
                mount::mount_setattr(tree.as_fd(), u64::from(flags.bits()), 0, recursive)?;
            }
            return self.attach(&tree, root);
        }
        let context = on(fsopen(self.kind.as_str(), FsOpenFlags::FSOPEN_CLOEXEC), "fsopen", &self.kind)?;
        // Else it is listed as `none`.
        on(fsconfig_set_string(context.as_fd(), "source", self.source.as_str()), "fsconfig", "source")?;
        for setting in settings {
            match setting.split_once('=') {
                Some((key, value)) => on(fsconfig_set_string(context.as_fd(), key, value), "fsconfig", setting)?,
                None => on(fsconfig_set_flag(context.as_fd(), setting), "fsconfig", setting)?,
            }
        }
        on(fsconfig_create(context.as_fd()), "fsconfig", &self.kind)?;
        let mount = on(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags), "fsmount", &self.kind)?;
        root.attach(&mount, &self.target, true)
    }

    fn attach(&self, tree: &OwnedFd, root: &Root) -> Result<(), SysError> {
        let is_directory = on(rustix::fs::fstat(tree), "fstat", &self.source)?.st_mode & libc::S_IFMT == libc::S_IFDIR;
        root.attach(tree, &self.target, is_directory)
    }
}

fn set_limit(name: &str, soft: u64, hard: u64) -> Result<(), SysError> {
    match limit::LIMITS.iter().find(|(n, _)| *n == name) {
        Some((_, number)) => process::setrlimit(*number, soft, hard),
        None => Err(SysError { call: "setrlimit", subject: name.into(), errno: libc::EINVAL }),
    }
}

/// Changes the working directory. A path through a descriptor that was left open could lead out of the container
/// (CVE-2024-21626): then getcwd(2) gives a path that does not begin with a slash.
fn work_in(path: &str) -> Result<(), SysError> {
    on(std::env::set_current_dir(path), "chdir", path)?;
    let now = on(rustix::process::getcwd(Vec::new()), "getcwd", path)?;
    if now.as_bytes().starts_with(b"/") {
        return Ok(());
    }
    Err(SysError { call: "chdir", subject: path.to_owned(), errno: libc::EXDEV })
}

fn write(path: &str, value: &str) -> Result<(), SysError> {
    // Not `fs::write`: these files must not be created.
    let file = on(rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()), "open", path)?;
    rustix::io::write(file, value.as_bytes()).map(drop).on("write", path)
}

/// Becomes the payload, which is looked up in its own `PATH`. Returns only if that fails.
fn exec(argv: &[String], env: &[String]) -> SysError {
    process::reset_signals();
    let strings = |list: &[String]| list.iter().filter_map(|s| CString::new(s.as_str()).ok()).collect::<Vec<_>>();
    let (argv_c, env_c) = (strings(argv), strings(env));
    let name = &argv[0];
    if name.is_empty() {
        return SysError { call: "execve", subject: name.clone(), errno: libc::ENOENT };
    }
    if name.contains('/') {
        return process::execve(&argv_c[0], &argv_c, &env_c);
    }
    let path = env.iter().find_map(|e| e.strip_prefix("PATH=")).unwrap_or(crate::container::decide::spec::DEFAULT_PATH);
    let mut answer = SysError { call: "execve", subject: name.clone(), errno: libc::ENOENT };
    for directory in path.split(':') {
        let directory = if directory.is_empty() { "." } else { directory };
        let Ok(candidate) = CString::new(format!("{directory}/{name}")) else { continue };
        let error = process::execve(&candidate, &argv_c, &env_c);
        if !matches!(error.errno, libc::ENOENT | libc::ENOTDIR) {
            answer = error;
        }
        if !matches!(answer.errno, libc::ENOENT | libc::EACCES) {
            break;
        }
    }
    answer
}

fn on<T, E: Into<std::io::Error>>(result: Result<T, E>, call: &'static str, subject: &str) -> Result<T, SysError> {
    result.on(call, subject)
}

/// Gives the standard streams to the user that the process becomes, who could not open /dev/stdout otherwise. The null
/// device stays as it is.
fn give_streams_to(user: u32) {
    let null = rustix::fs::stat("/dev/null").map(|found| found.st_rdev).ok();
    for stream in [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()] {
        if rustix::fs::fstat(stream).is_ok_and(|found| Some(found.st_rdev) != null) {
            let _ = fchown(stream, Some(Uid::from_raw(user)), None);
        }
    }
}
