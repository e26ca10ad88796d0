//! How a step reads: its system calls, its failure, and what to do about that.

use super::namespaces::flag_names;
use super::step::{Mount, Step};
use crate::container::probe;
use crate::container::request::capability::short_name;
use caps::Capability;

/// The option that lets a new /proc be mounted in an outer container.
pub(crate) const WHOLE_PROC: &str = "start that container with: --security-opt systempaths=unconfined";

impl Step {
    /// Returns its system calls and their arguments.
    pub fn call(&self) -> String {
        match self {
            Self::NetworkNamespace => "unshare(CLONE_NEWNET)".into(),
            Self::LoopbackUp => "sendto(rtnetlink, RTM_NEWLINK lo up)".into(),
            Self::Address { network } => network.call(),
            Self::Device { network, kind } => network.device_call(*kind),
            Self::Member(member) => member.call(),
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
            Self::DomainName { name } => format!("setdomainname({name})"),
            Self::Umask { mask } => format!("umask({mask:04o})"),
            Self::OomScore { value } => format!("write(/proc/self/oom_score_adj, {value})"),
            Self::Borrow { pid, path } => format!("setns(mount namespace of {pid}) open_tree({path}, OPEN_TREE_CLONE)"),
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

    /// Returns what to do about its failure, where something helps.
    pub fn hint(&self, errno: i32) -> Option<String> {
        let hint = match self {
            Self::Exec { argv, .. } => exec_hint(argv, errno)?,
            Self::Overlay(_) => match errno {
                libc::EINVAL | libc::ENODEV | libc::EPERM => {
                    "the kernel refuses an overlay in a user namespace here; see: minirun doctor"
                }
                _ => return None,
            },
            Self::Mount(mount) => return mount.hint(errno),
            Self::Mask { .. } => match errno {
                libc::ENOENT => "a mount hides the container's own /dev; choose another target",
                _ => return None,
            },
            Self::Directory { .. } => match errno {
                libc::ENOTDIR => "the working directory is a file; choose another: -w DIR",
                libc::EXDEV => "it lies outside of the container; choose another: -w DIR",
                libc::EACCES => "the user may not enter it; choose another: -w DIR",
                _ => return None,
            },
            Self::User { .. } => match errno {
                libc::EINVAL => "that id is outside your subordinate range; compare /etc/subuid with: minirun doctor",
                _ => return None,
            },
            Self::Limit { .. } => match errno {
                libc::EPERM => "above your own hard limit; see it: ulimit -H -a",
                _ => return None,
            },
            Self::CgroupLimit { .. } => "see which controllers this host gives you: minirun doctor",
            Self::Clone { .. } => match errno {
                libc::ENOSPC | libc::EUSERS => "too many namespaces; see: sysctl user",
                libc::EPERM => FORBIDDEN,
                _ => return None,
            },
            Self::NetworkNamespace => match errno {
                libc::ENOSPC | libc::EUSERS => "too many namespaces; see: sysctl user",
                libc::EPERM => FORBIDDEN,
                _ => return None,
            },
            Self::SessionKeyring { .. } => match errno {
                libc::EDQUOT => {
                    "you have as many keyrings as you may; see /proc/key-users, and as root: sysctl kernel.keys.maxkeys"
                }
                _ => return None,
            },
            Self::Member(_) => match errno {
                libc::EOPNOTSUPP => "this kernel has no veth devices; as root: modprobe veth",
                libc::EPERM => {
                    "the network belongs to another user namespace; stop the containers on it, and start them again"
                }
                libc::ENOSPC | libc::EUSERS => "too many namespaces; see: sysctl user",
                _ => return None,
            },
            Self::Sysctl { .. } => match errno {
                libc::EACCES | libc::EPERM => "this kernel lets only the host's root change it",
                libc::ENOENT => "this kernel has no such setting",
                libc::EINVAL | libc::ERANGE => "the kernel does not take that value",
                _ => return None,
            },
            Self::OomScore { .. } => match errno {
                libc::EACCES | libc::EPERM => {
                    "an ordinary user cannot make a process less likely to be killed: 0 and up"
                }
                _ => return None,
            },
            Self::Borrow { .. } => match errno {
                libc::ENOENT => "the container ended meanwhile",
                _ => return None,
            },
            Self::JoinNamespaces { .. } => match errno {
                libc::ESRCH => "the container ended meanwhile",
                _ => return None,
            },
            Self::LoopbackUp
            | Self::Address { .. }
            | Self::Device { .. }
            | Self::FuseOverlay(_)
            | Self::CgroupNamespace
            | Self::Detach
            | Self::ShiftedStore { .. }
            | Self::ShiftedRoot
            | Self::CopyLayers(_)
            | Self::Root { .. }
            | Self::FillVolume { .. }
            | Self::Link { .. }
            | Self::Terminal { .. }
            | Self::ReadOnly { .. }
            | Self::ReadOnlyRoot
            | Self::PivotRoot
            | Self::Hostname { .. }
            | Self::DomainName { .. }
            | Self::Umask { .. }
            | Self::MakeDirectory { .. }
            | Self::Session { .. }
            | Self::BoundCapabilities { .. }
            | Self::Filter { .. }
            | Self::SetCapabilities { .. }
            | Self::NoNewPrivileges
            | Self::Sibling
            | Self::ReapingInit
            | Self::Probe { .. } => return None,
        };
        Some(hint.to_owned())
    }

    /// Returns what it does, for the sentence "cannot …".
    pub fn subject(&self) -> String {
        let subject = match self {
            Self::NetworkNamespace => "make a network namespace",
            Self::LoopbackUp => "set the loopback device up",
            Self::Address { .. } => "give the container its address",
            Self::Device { .. } => "make the container's network device",
            Self::Member(member) => return format!("put the container on network {}", member.network),
            Self::Sysctl { key, value } => return format!("set the kernel's {key} to {value:?}"),
            Self::CgroupLimit { file, value } => return format!("set {file} to {value}"),
            Self::Clone { .. } => "create its first process",
            Self::FuseOverlay(_) => "mount the image's layers with fuse-overlayfs",
            Self::JoinNamespaces { .. } => "enter its namespaces",
            Self::SessionKeyring { .. } => "make a session keyring",
            Self::CgroupNamespace => "make a cgroup namespace",
            Self::Detach => "make its mounts private",
            Self::ShiftedStore { .. } => "mount the store with the container's ids",
            Self::ShiftedRoot => "become root of the container's user namespace",
            Self::Overlay(_) => "mount an overlay of the image's layers",
            Self::CopyLayers(_) => "copy the image's layers",
            Self::Root { .. } => "open the container's root directory",
            Self::FillVolume { target, .. } => return format!("copy {target} from the image to its volume"),
            Self::Mount(mount) if mount.kind == "bind" => return format!("mount {} on {}", mount.source, mount.target),
            Self::Mount(mount) => return format!("mount {} on {}", mount.kind, mount.target),
            Self::Link { path, to } => return format!("link {path} to {to}"),
            Self::Terminal { .. } => "open a terminal",
            Self::Mask { path } => return format!("mask {path}"),
            Self::ReadOnly { path } => return format!("make {path} read-only"),
            Self::ReadOnlyRoot => "make the root directory read-only",
            Self::PivotRoot => "change the root directory",
            Self::Hostname { name } => return format!("set the host name to {name:?}"),
            Self::DomainName { name } => return format!("set the domain name to {name:?}"),
            Self::Umask { mask } => return format!("set the umask to {mask:04o}"),
            Self::OomScore { value } => return format!("set the process's oom_score_adj to {value}"),
            Self::Borrow { path, .. } => return format!("take {path} of another container"),
            Self::MakeDirectory { path } => return format!("make the working directory {path}"),
            Self::Session { .. } => "start a session",
            Self::Limit { name, soft, hard } => return format!("set {name} to {soft}:{hard}"),
            Self::BoundCapabilities { .. } => "drop capabilities from the bounding set",
            Self::Filter { .. } => "load the system call filter",
            Self::User { uid, gid, .. } => return format!("become user {uid}:{gid}"),
            Self::SetCapabilities { .. } => "set capabilities",
            Self::NoNewPrivileges => "set no_new_privs",
            Self::Directory { path } => return format!("work in {path}"),
            Self::Sibling => "create a process in the container's PID namespace",
            Self::ReapingInit => "start the program below its init",
            Self::Exec { argv, .. } => return format!("run {:?} in the container", argv[0]),
            Self::Probe { .. } => "try forbidden operations",
        };
        subject.to_owned()
    }
}

const FORBIDDEN: &str = "see what this host forbids: minirun doctor";

fn exec_hint(argv: &[String], errno: i32) -> Option<&'static str> {
    Some(match errno {
        libc::ENOTDIR => "a part of that path is a file, not a directory",
        libc::ENOENT if argv[0].is_empty() => "the command is an empty word, perhaps from a variable that is not set",
        libc::ENOENT if argv[0].contains('/') => {
            "there is no such file in the image, or the interpreter that its first line names is missing"
        }
        libc::ENOENT => "no directory of the container's PATH has it; look inside: minirun run --rm -it IMAGE sh",
        libc::EACCES => "it is a directory, or not executable: chmod +x it in the image",
        libc::ENOEXEC => "it is not a program for this machine: another architecture, or a script without #! line",
        libc::E2BIG => "arguments and environment together are too long",
        _ => return None,
    })
}

impl Mount {
    fn call(&self) -> String {
        let options = self.options.join(",");
        if self.is_lent {
            return format!("move_mount({})", self.target);
        }
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
            ("bind", libc::ENOENT) => Some(format!("no such file or directory on the host: {}", self.source)),
            ("bind", libc::EACCES) => Some(format!("your user may not enter a directory above {}", self.source)),
            (_, libc::ENOTDIR | libc::EISDIR) => {
                Some("one side is a file and the other a directory: give two files or two directories".into())
            }
            ("proc", libc::EPERM) => {
                Some(format!("an outer container hides parts of /proc, so the kernel gives no new one; {}", WHOLE_PROC))
            }
            ("sysfs", libc::EPERM) => Some("the network namespace is not the container's own".into()),
            _ => None,
        }
    }
}

fn short_capabilities(set: &[Capability]) -> String {
    set.iter().map(|capability| short_name(*capability)).collect::<Vec<_>>().join(" ")
}
