//! A step of a plan: what it does to the kernel, how it reads, what its failure means.
//!
//! Running, explaining and the text of an error read this one type, and so cannot drift apart.

use super::rootfs::Root;
use super::shift;
use crate::container::live::streams;
use crate::container::probe;
use crate::container::probe::Targets;
use crate::container::stored::layering::Overlay;
use crate::sys::descriptor;
use crate::sys::process::{self, Fork};
use crate::sys::{SysError, keyring, mount, netlink};
use crate::userns::IdRange;
use oci_spec::runtime::LinuxNamespaceType;
use rustix::fs::{Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, mount_change, open_tree,
};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

/// One mount, as a line of fstab would say it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Mount {
    /// `proc`, `tmpfs`, …; `bind` for a part of the host's tree.
    pub kind: String,
    pub source: String,
    /// Beneath the container's root.
    pub target: String,
    /// `ro`, `nosuid`, …, and the file system's own `size=64m`.
    pub options: Vec<String>,
    /// It comes made by the host's root, for the container's could not make it.
    #[serde(default)]
    pub is_brought: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Step {
    // Outside, by the monitor.
    NetworkNamespace,
    LoopbackUp,
    Address {
        network: crate::network::ContainerNetwork,
    },
    Device {
        network: crate::network::ContainerNetwork,
    },
    Sysctl {
        key: String,
        value: String,
    },
    CgroupLimit {
        file: String,
        value: String,
    },
    Clone {
        namespaces: Vec<LinuxNamespaceType>,
    },
    FuseOverlay(Overlay),
    JoinNamespaces {
        pid: i32,
        namespaces: Vec<LinuxNamespaceType>,
    },

    // Inside, by the container's first process.
    /// `required`: nothing else keeps the payload from the caller's keys.
    SessionKeyring {
        required: bool,
    },
    CgroupNamespace,
    Detach,
    /// From here on as the root of shifted ids, to whom the store's files belong through this mount.
    ShiftedStore {
        store: String,
        ids: IdRange,
    },
    /// The same where nothing of the store is needed.
    ShiftedRoot,
    Overlay(Overlay),
    CopyLayers(Overlay),
    /// What `FuseOverlay` has mounted outside.
    Root {
        target: String,
    },
    FillVolume {
        volume: String,
        target: String,
    },
    Mount(Mount),
    Link {
        path: String,
        to: String,
    },
    /// `console`: also as /dev/console, for a container's first process.
    Terminal {
        console: bool,
    },
    Mask {
        path: String,
    },
    ReadOnly {
        path: String,
    },
    ReadOnlyRoot,
    PivotRoot,
    Hostname {
        name: String,
    },
    MakeDirectory {
        path: String,
    },
    Session {
        terminal: bool,
    },
    Limit {
        name: String,
        soft: u64,
        hard: u64,
    },
    BoundCapabilities {
        keep: Vec<String>,
    },
    Filter {
        /// It answers for the kernel where there is one id only; else it forbids.
        answers: bool,
        calls: usize,
        program: Vec<u64>,
        flags: u64,
    },
    User {
        uid: u32,
        gid: u32,
        groups: Option<Vec<u32>>,
    },
    SetCapabilities {
        keep: Vec<String>,
    },
    NoNewPrivileges,
    Directory {
        path: String,
    },
    /// Born into the container's PID namespace with nothing left to take away, for a process that is seen there can be traced
    /// there.
    Sibling,
    ReapingInit,
    Exec {
        argv: Vec<String>,
        env: Vec<String>,
    },
    /// In the place of a program.
    Probe {
        targets: Targets,
    },
}

/// What steps hand on to later ones.
#[derive(Default)]
pub struct Walk {
    pub root: Option<Root>,
    /// The payload's terminal, and the other side of it on its way to the monitor.
    pub terminal: Option<(OwnedFd, Option<OwnedFd>)>,
    /// Rows and columns that the terminal has from the first moment.
    pub size: Option<(u16, u16)>,
    /// The other side of the device that leads out, the monitor's.
    pub device: Option<OwnedFd>,
    /// The process whose namespaces are joined.
    pub joined: Option<OwnedFd>,
    /// The process that goes on in this one's place.
    pub successor: Option<i32>,
    /// What the host's root has mounted for steps that cannot, in their order.
    pub trees: VecDeque<OwnedFd>,
    /// Why the last step had nothing to do, as an errno: it must not be told as done.
    pub skipped: Option<i32>,
}

const LAYER_FLAGS: OpenTreeFlags = OpenTreeFlags::OPEN_TREE_CLONE.union(OpenTreeFlags::OPEN_TREE_CLOEXEC);

impl Step {
    /// Carries the step out in this process.
    pub fn apply(&self, walk: &mut Walk) -> Result<(), SysError> {
        match self {
            Self::NetworkNamespace => process::unshare(libc::CLONE_NEWNET, "CLONE_NEWNET"),
            Self::LoopbackUp => netlink::link_up(netlink::LOOPBACK, None),
            Self::Address { network } => network.set_up(),
            Self::Device { network } => {
                walk.device = network.open_device()?;
                Ok(())
            }
            Self::Sysctl { key, value } => write(&format!("/proc/sys/{}", key.replace('.', "/")), value),
            Self::CgroupLimit { file, value } => write(file, value),
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
                    crate::container::live::supervise::resize(Some(&slave), rows.into(), columns.into());
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
            Self::MakeDirectory { path } if std::path::Path::new(path).is_dir() => {
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
            Self::BoundCapabilities { keep } => crate::container::decide::capability::bound(keep),
            Self::Filter { program, flags, .. } => {
                let program: Vec<_> = program.iter().copied().map(unpack).collect();
                crate::sys::seccomp::set_mode_filter(&program, *flags)
            }
            Self::User { uid, gid, groups } => {
                if *uid != 0 {
                    streams::give_to(*uid);
                }
                if let Some(groups) = groups {
                    process::setgroups(groups)?;
                }
                process::setresgid(*gid)?;
                process::setresuid(*uid)
            }
            Self::SetCapabilities { keep } => crate::container::decide::capability::set(keep),
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
            Self::ReapingInit => crate::container::live::init::reap_for_child(),
            Self::Exec { argv, env } => Err(exec(argv, env)),
            Self::Probe { targets } => {
                probe::print(targets);
                Ok(())
            }
        }
    }

    /// The host's root must have mounted something for it.
    pub fn wants_tree(&self) -> bool {
        matches!(self, Self::ShiftedStore { .. } | Self::Mount(Mount { is_brought: true, .. }))
    }

    /// The system call and its arguments.
    pub fn call(&self) -> String {
        match self {
            Self::NetworkNamespace => "unshare(CLONE_NEWNET)".into(),
            Self::LoopbackUp => "sendto(rtnetlink, RTM_NEWLINK lo up)".into(),
            Self::Address { network } => network.call(),
            Self::Device { network } => network.device_call(),
            Self::Sysctl { key, value } => format!("write(/proc/sys/{}, {value:?})", key.replace('.', "/")),
            Self::CgroupLimit { file, value } => format!("write({file}, {value})"),
            Self::Clone { namespaces } => format!("clone3({})", flag_names(namespaces)),
            Self::JoinNamespaces { pid, namespaces } => format!("setns(pidfd of {pid}, {})", flag_names(namespaces)),
            Self::SessionKeyring { .. } => "keyctl(KEYCTL_JOIN_SESSION_KEYRING)".into(),
            Self::CgroupNamespace => "unshare(CLONE_NEWCGROUP)".into(),
            Self::ShiftedStore { store, .. } => {
                format!("open_tree({store}) mount_setattr(MOUNT_ATTR_IDMAP) move_mount({store}) setresuid(0)")
            }
            Self::ShiftedRoot => "setgroups([]) setresgid(0) setresuid(0)".into(),
            Self::Detach => "mount(/, MS_REC|MS_PRIVATE)".into(),
            Self::Overlay(overlay) => overlay.call(),
            Self::FuseOverlay(overlay) => overlay.fuse_call(),
            Self::CopyLayers(overlay) => format!("copy {} to {}", overlay.lower.join(", "), overlay.target),
            Self::Root { target } => format!("open({target}, O_PATH)"),
            Self::FillVolume { volume, target } => format!("copy {target} to {volume}, if that is empty"),
            Self::Mount(mount) => mount.call(),
            Self::Link { path, to } => format!("symlink({to}, {path})"),
            Self::Terminal { console: true } => "open(/dev/pts/ptmx) move_mount(/dev/console)".into(),
            Self::Terminal { console: false } => "open(/dev/pts/ptmx)".into(),
            Self::Mask { path } => format!("move_mount(/dev/null or an empty tmpfs, {path})"),
            Self::ReadOnly { path } => format!("mount_setattr({path}, MOUNT_ATTR_RDONLY)"),
            Self::ReadOnlyRoot => "mount_setattr(/, MOUNT_ATTR_RDONLY)".into(),
            Self::PivotRoot => "pivot_root(., .) and umount2(., MNT_DETACH)".into(),
            Self::Hostname { name } => format!("sethostname({name})"),
            Self::MakeDirectory { path } => format!("mkdir({path})"),
            Self::Session { terminal: true } => "setsid() and ioctl(TIOCSCTTY)".into(),
            Self::Session { terminal: false } => "setsid()".into(),
            Self::Limit { name, soft, hard } => format!("setrlimit({name}, {soft}, {hard})"),
            Self::BoundCapabilities { keep } => {
                format!("prctl(PR_CAPBSET_DROP) of all but {} capabilities", keep.len())
            }
            Self::Filter { calls, program, .. } => {
                format!("seccomp(SECCOMP_SET_MODE_FILTER, {calls} calls, {} instructions)", program.len())
            }
            Self::User { uid, gid, groups } => format!(
                "{}setresgid({gid}) setresuid({uid})",
                groups.as_ref().map(|g| format!("setgroups({g:?}) ")).unwrap_or_default()
            ),
            Self::SetCapabilities { keep } => format!("capset({})", short_capabilities(keep)),
            Self::NoNewPrivileges => "prctl(PR_SET_NO_NEW_PRIVS)".into(),
            Self::Directory { path } => format!("chdir({path})"),
            Self::Sibling => "clone(CLONE_PARENT)".into(),
            Self::ReapingInit => "fork()".into(),
            Self::Exec { argv, .. } => format!("execve({})", argv.join(" ")),
            Self::Probe { .. } => probe::ATTEMPTS.iter().map(|attempt| attempt.call).collect::<Vec<_>>().join(" "),
        }
    }

    /// What its failure means, and what to do about it.
    pub fn hint(&self, errno: i32) -> Option<String> {
        let said = |text: &str| Some(text.to_owned());
        match (self, errno) {
            (Self::Exec { .. }, libc::ENOTDIR) => said("a part of that path is a file, not a directory"),
            (Self::Exec { argv, .. }, libc::ENOENT) if argv[0].is_empty() => {
                said("the command is an empty word, perhaps of a variable that is not set")
            }
            (Self::Exec { argv, .. }, libc::ENOENT) if argv[0].contains('/') => {
                said("there is no such file in the image, or the interpreter that its first line names is missing")
            }
            (Self::Exec { .. }, libc::ENOENT) => {
                said("no directory of the container's PATH has it; look inside: minirun run --rm -it IMAGE sh")
            }
            (Self::Exec { .. }, libc::EACCES) => said("it is a directory, or not executable: chmod +x it in the image"),
            (Self::Exec { .. }, libc::ENOEXEC) => {
                said("it is no program for this machine: another architecture, or a script without #! line")
            }
            (Self::Exec { .. }, libc::E2BIG) => said("arguments and environment together are too long"),
            (Self::Overlay(_), libc::EINVAL | libc::ENODEV | libc::EPERM) => {
                said("the kernel refuses an overlay in a user namespace here; see: minirun doctor")
            }
            (Self::Mount(mount), _) => mount.hint(errno),
            (Self::Mask { .. }, libc::ENOENT) => said("a mount hides the container's own /dev; choose another target"),
            (Self::Directory { .. }, libc::ENOTDIR) => said("the working directory is a file; choose another: -w DIR"),
            (Self::Directory { .. }, libc::EXDEV) => said("it lies outside of the container; choose another: -w DIR"),
            (Self::Directory { .. }, libc::EACCES) => said("the user has no right to enter it; choose another: -w DIR"),
            (Self::User { .. }, libc::EINVAL) => {
                said("that id is outside your subordinate range; compare /etc/subuid with: minirun doctor")
            }
            (Self::Limit { .. }, libc::EPERM) => said("above your own hard limit; see it: ulimit -H -a"),
            (Self::CgroupLimit { .. }, _) => said("see which controllers this host gives you: minirun doctor"),
            (Self::Clone { .. }, libc::ENOSPC | libc::EUSERS) => said("too many namespaces; see: sysctl user"),
            (Self::Clone { .. } | Self::NetworkNamespace, libc::EPERM) => {
                said("see what this host forbids: minirun doctor")
            }
            (Self::SessionKeyring { .. }, libc::EDQUOT) => said(
                "your keyrings are as many as you may have; see /proc/key-users, and as root: sysctl kernel.keys.maxkeys",
            ),
            (Self::JoinNamespaces { .. }, libc::ESRCH) => said("the container ended meanwhile"),
            _ => None,
        }
    }

    /// What it was about, for the sentence of an error.
    pub fn subject(&self) -> String {
        match self {
            Self::Exec { argv, .. } => format!("run {:?} in the container", argv[0]),
            Self::Mount(mount) if mount.kind == "bind" => format!("mount {} on {}", mount.source, mount.target),
            Self::Mount(mount) => format!("mount {} on {}", mount.kind, mount.target),
            Self::Overlay(_) => "lay the image's layers over each other".into(),
            Self::Directory { path } => format!("work in {path}"),
            Self::CgroupLimit { file, value } => format!("set {file} to {value}"),
            Self::Clone { .. } => "give birth to its first process".into(),
            Self::JoinNamespaces { .. } => "enter its namespaces".into(),
            other => other.call(),
        }
    }
}

impl Walk {
    fn enter(&mut self, root: &str) -> Result<(), SysError> {
        self.root = Some(Root::open(root)?);
        Ok(())
    }

    fn tree(&mut self) -> Result<OwnedFd, SysError> {
        let missing = || SysError { call: "open_tree", subject: "what was brought".into(), errno: libc::EBADF };
        self.trees.pop_front().ok_or_else(missing)
    }

    fn root(&self) -> Result<&Root, SysError> {
        self.root.as_ref().ok_or(SysError { call: "open", subject: "the container's root".into(), errno: libc::EBADF })
    }
}

/// Splits fstab's options into the flags of a mount and the settings of a file system.
pub(crate) fn split_options(options: &[String]) -> (MountAttrFlags, bool, Vec<&str>) {
    let (mut flags, mut recursive, mut settings) = (MountAttrFlags::empty(), false, Vec::new());
    for option in options {
        match option.as_str() {
            "ro" => flags |= MountAttrFlags::MOUNT_ATTR_RDONLY,
            "nosuid" => flags |= MountAttrFlags::MOUNT_ATTR_NOSUID,
            "nodev" => flags |= MountAttrFlags::MOUNT_ATTR_NODEV,
            "noexec" => flags |= MountAttrFlags::MOUNT_ATTR_NOEXEC,
            "noatime" => flags |= MountAttrFlags::MOUNT_ATTR_NOATIME,
            "strictatime" => flags |= MountAttrFlags::MOUNT_ATTR_STRICTATIME,
            // The last word counts: `--tmpfs /bin:exec` takes a default back.
            "rw" => flags -= MountAttrFlags::MOUNT_ATTR_RDONLY,
            "suid" => flags -= MountAttrFlags::MOUNT_ATTR_NOSUID,
            "dev" => flags -= MountAttrFlags::MOUNT_ATTR_NODEV,
            "exec" => flags -= MountAttrFlags::MOUNT_ATTR_NOEXEC,
            "rbind" => recursive = true,
            "bind" | "relatime" | "private" | "rprivate" => {}
            other => settings.push(other),
        }
    }
    (flags, recursive, settings)
}

impl Mount {
    fn apply(&self, root: &Root) -> Result<(), SysError> {
        let (flags, recursive, settings) = split_options(&self.options);
        if self.kind == "bind" {
            let mut how = LAYER_FLAGS;
            if recursive {
                how |= OpenTreeFlags::AT_RECURSIVE;
            }
            let tree = on(open_tree(rustix::fs::CWD, self.source.as_str(), how), "open_tree", &self.source)?;
            if !flags.is_empty() {
                // What a host's mount forbids stays forbidden: flags are added, never cleared.
                mount::mount_setattr(tree.as_fd(), u64::from(flags.bits()), 0, recursive)?;
            }
            return self.attach(&tree, root);
        }
        let context = on(fsopen(self.kind.as_str(), FsOpenFlags::FSOPEN_CLOEXEC), "fsopen", &self.kind)?;
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

    fn call(&self) -> String {
        let options = self.options.join(",");
        if self.is_brought && self.kind == "bind" {
            format!("open_tree({}) mount_setattr(MOUNT_ATTR_IDMAP) move_mount({}) {options}", self.source, self.target)
        } else if self.is_brought {
            format!("fsopen({}) fsmount({options}) mknodat(device nodes) move_mount({})", self.kind, self.target)
        } else if self.kind == "bind" {
            format!("open_tree({}, OPEN_TREE_CLONE) move_mount({}) {options}", self.source, self.target)
        } else {
            format!("fsopen({}) fsmount({options}) move_mount({})", self.kind, self.target)
        }
    }

    fn hint(&self, errno: i32) -> Option<String> {
        match (self.kind.as_str(), errno) {
            ("bind" | "tmpfs", libc::EPERM) => {
                Some("nothing may hide the container's own /proc; choose another target".into())
            }
            ("bind", libc::ENOENT) => Some(format!("{} is not there", self.source)),
            ("bind", libc::EACCES) => Some(format!("you may not reach {}", self.source)),
            (_, libc::ENOTDIR | libc::EISDIR) => {
                Some("one side is a file and the other a directory: give two files or two directories".into())
            }
            ("proc", libc::EPERM) => Some(format!(
                "an outer container hides parts of /proc, so the kernel gives no new one; {}",
                super::WHOLE_PROC
            )),
            ("sysfs", libc::EPERM) => Some("the network namespace is not the container's own".into()),
            _ => None,
        }
    }
}

/// A BPF instruction as one number, on its way to the monitor.
pub(crate) fn pack(instruction: &libc::sock_filter) -> u64 {
    let libc::sock_filter { code, jt, jf, k } = *instruction;
    u64::from(code) << 48 | u64::from(jt) << 40 | u64::from(jf) << 32 | u64::from(k)
}

fn unpack(number: u64) -> libc::sock_filter {
    libc::sock_filter {
        code: (number >> 48) as u16,
        jt: (number >> 40) as u8,
        jf: (number >> 32) as u8,
        k: number as u32,
    }
}

/// As the kernel has it in memory.
pub(crate) fn bytes(number: u64) -> [u8; 8] {
    let libc::sock_filter { code, jt, jf, k } = unpack(number);
    let mut bytes = [0; 8];
    bytes[..2].copy_from_slice(&code.to_ne_bytes());
    bytes[2..4].copy_from_slice(&[jt, jf]);
    bytes[4..].copy_from_slice(&k.to_ne_bytes());
    bytes
}

const NAMESPACES: [(LinuxNamespaceType, i32, &str); 7] = [
    (LinuxNamespaceType::User, libc::CLONE_NEWUSER, "CLONE_NEWUSER"),
    (LinuxNamespaceType::Mount, libc::CLONE_NEWNS, "CLONE_NEWNS"),
    (LinuxNamespaceType::Pid, libc::CLONE_NEWPID, "CLONE_NEWPID"),
    (LinuxNamespaceType::Network, libc::CLONE_NEWNET, "CLONE_NEWNET"),
    (LinuxNamespaceType::Uts, libc::CLONE_NEWUTS, "CLONE_NEWUTS"),
    (LinuxNamespaceType::Ipc, libc::CLONE_NEWIPC, "CLONE_NEWIPC"),
    (LinuxNamespaceType::Cgroup, libc::CLONE_NEWCGROUP, "CLONE_NEWCGROUP"),
];

/// The `CLONE_NEW…` flags of namespaces.
pub(crate) fn namespace_flags(kinds: &[LinuxNamespaceType]) -> i32 {
    NAMESPACES.iter().filter(|(kind, ..)| kinds.contains(kind)).fold(0, |flags, (_, flag, _)| flags | flag)
}

fn flag_names(kinds: &[LinuxNamespaceType]) -> String {
    let chosen = NAMESPACES.iter().filter(|(kind, ..)| kinds.contains(kind));
    chosen.map(|(_, _, flag)| *flag).collect::<Vec<_>>().join("|")
}

fn short_capabilities(names: &[String]) -> String {
    names.iter().map(|n| n.trim_start_matches("CAP_").to_lowercase()).collect::<Vec<_>>().join(" ")
}

/// Names and numbers of getrlimit(2).
pub(crate) const LIMITS: [(&str, u32); 16] = [
    ("RLIMIT_CPU", 0),
    ("RLIMIT_FSIZE", 1),
    ("RLIMIT_DATA", 2),
    ("RLIMIT_STACK", 3),
    ("RLIMIT_CORE", 4),
    ("RLIMIT_RSS", 5),
    ("RLIMIT_NPROC", 6),
    ("RLIMIT_NOFILE", 7),
    ("RLIMIT_MEMLOCK", 8),
    ("RLIMIT_AS", 9),
    ("RLIMIT_LOCKS", 10),
    ("RLIMIT_SIGPENDING", 11),
    ("RLIMIT_MSGQUEUE", 12),
    ("RLIMIT_NICE", 13),
    ("RLIMIT_RTPRIO", 14),
    ("RLIMIT_RTTIME", 15),
];

fn set_limit(name: &str, soft: u64, hard: u64) -> Result<(), SysError> {
    match LIMITS.iter().find(|(n, _)| *n == name) {
        Some((_, number)) => process::setrlimit(*number, soft, hard),
        None => Err(SysError { call: "setrlimit", subject: name.into(), errno: libc::EINVAL }),
    }
}

/// Through a descriptor that somebody left open a path could lead out of the container (CVE-2024-21626): then the kernel
/// cannot say where in it this is.
fn work_in(path: &str) -> Result<(), SysError> {
    on(std::env::set_current_dir(path), "chdir", path)?;
    let now = on(rustix::process::getcwd(Vec::new()), "getcwd", path)?;
    if now.as_bytes().starts_with(b"/") {
        return Ok(());
    }
    Err(SysError { call: "chdir", subject: path.to_owned(), errno: libc::EXDEV })
}

fn write(path: &str, value: &str) -> Result<(), SysError> {
    use crate::sys::On;
    // Not `fs::write`: these files must not be created.
    let file = on(rustix::fs::open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()), "open", path)?;
    rustix::io::write(file, value.as_bytes()).map(drop).on("write", path)
}

/// Becomes the payload, looking for it where its own `PATH` says. Returns only the reason why not.
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
    use crate::sys::On;
    result.on(call, subject)
}
