//! The system calls that a start can fail with, as numbers that cross from one process to another.

use crate::sys::SysError;

macro_rules! calls {
    ($($call:ident = $name:literal,)*) => {
        /// A system call, or a request of rtnetlink(7) or ioctl(2).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Call {
            /// A call that this list lacks; `every_call_of_the_sources_has_a_number` keeps it unused.
            Other,
            $($call,)*
        }

        impl Call {
            const ALL: &[Call] = &[Self::Other, $(Self::$call,)*];

            /// The call's name, as in its manual page.
            pub fn name(self) -> &'static str {
                match self {
                    Self::Other => "system call",
                    $(Self::$call => $name,)*
                }
            }

            /// The call that failed.
            pub fn of(error: &SysError) -> Self {
                match error.call {
                    $($name => Self::$call,)*
                    _ => Self::Other,
                }
            }
        }
    };
}

calls! {
    Bind = "bind",
    Bpf = "bpf",
    Capset = "capset",
    Chdir = "chdir",
    Chmod = "chmod",
    Chown = "chown",
    ClockSettime = "clock_settime",
    Clone = "clone",
    Clone3 = "clone3",
    CloseRange = "close_range",
    Connect = "connect",
    CopyFileRange = "copy_file_range",
    Dup = "dup",
    Dup2 = "dup2",
    EpollCreate1 = "epoll_create1",
    EpollCtl = "epoll_ctl",
    Execve = "execve",
    Execveat = "execveat",
    Fchdir = "fchdir",
    Fchmodat = "fchmodat",
    Fchown = "fchown",
    Fchownat = "fchownat",
    Fcntl = "fcntl",
    Fgetxattr = "fgetxattr",
    Flistxattr = "flistxattr",
    Flock = "flock",
    Fork = "fork",
    Fsconfig = "fsconfig",
    Fsetxattr = "fsetxattr",
    Fsmount = "fsmount",
    Fsopen = "fsopen",
    Fstat = "fstat",
    Fstatat = "fstatat",
    Fstatfs = "fstatfs",
    Fsync = "fsync",
    Ftruncate = "ftruncate",
    Futimens = "futimens",
    Getcwd = "getcwd",
    Getxattr = "getxattr",
    InitModule = "init_module",
    InotifyAddWatch = "inotify_add_watch",
    InotifyInit1 = "inotify_init1",
    Ioctl = "ioctl",
    KexecLoad = "kexec_load",
    Keyctl = "keyctl",
    Kill = "kill",
    Lchown = "lchown",
    Link = "link",
    Listen = "listen",
    Llistxattr = "llistxattr",
    Lremovexattr = "lremovexattr",
    Lseek = "lseek",
    Lsetxattr = "lsetxattr",
    MemfdCreate = "memfd_create",
    Mkdir = "mkdir",
    Mkdirat = "mkdirat",
    Mknod = "mknod",
    Mknodat = "mknodat",
    Mount = "mount",
    MountSetattr = "mount_setattr",
    MoveMount = "move_mount",
    Open = "open",
    OpenTree = "open_tree",
    Openat = "openat",
    Openat2 = "openat2",
    Opendir = "opendir",
    PidfdOpen = "pidfd_open",
    PidfdSendSignal = "pidfd_send_signal",
    Pipe2 = "pipe2",
    PivotRoot = "pivot_root",
    Poll = "poll",
    Prctl = "prctl",
    Read = "read",
    Readdir = "readdir",
    Readlink = "readlink",
    Readlinkat = "readlinkat",
    Realpath = "realpath",
    Reboot = "reboot",
    Recvmsg = "recvmsg",
    Rename = "rename",
    Renameat2 = "renameat2",
    Rmdir = "rmdir",
    Seccomp = "seccomp",
    Sendmsg = "sendmsg",
    Sendto = "sendto",
    Setgroups = "setgroups",
    Setdomainname = "setdomainname",
    Sethostname = "sethostname",
    Setns = "setns",
    Setresgid = "setresgid",
    Setresuid = "setresuid",
    Setrlimit = "setrlimit",
    Setsid = "setsid",
    Setsockopt = "setsockopt",
    Signalfd = "signalfd",
    Socket = "socket",
    Socketpair = "socketpair",
    Stat = "stat",
    Statvfs = "statvfs",
    Statx = "statx",
    Symlink = "symlink",
    Symlinkat = "symlinkat",
    Syncfs = "syncfs",
    Tcsetattr = "tcsetattr",
    Umount2 = "umount2",
    Unlink = "unlink",
    Unlinkat = "unlinkat",
    Unshare = "unshare",
    Utimensat = "utimensat",
    Waitpid = "waitpid",
    Write = "write",
    RtmNewAddr = "RTM_NEWADDR",
    RtmNewLink = "RTM_NEWLINK",
    RtmNewRoute = "RTM_NEWROUTE",
    RtmNewRule = "RTM_NEWRULE",
    RtmNewNeigh = "RTM_NEWNEIGH",
    RtmDelLink = "RTM_DELLINK",
    RtmGetLink = "RTM_GETLINK",
    Siocgifindex = "SIOCGIFINDEX",
    Tunsetiff = "TUNSETIFF",
    EpollWait = "epoll_wait",
}

impl Call {
    pub fn number(self) -> u32 {
        self as u32
    }

    pub fn from_number(number: u32) -> Self {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        Self::ALL.get(index).copied().unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::Call;
    use crate::sys::SysError;
    use std::fs;
    use std::path::Path;

    #[test]
    fn a_call_keeps_its_number() {
        for call in Call::ALL {
            assert_eq!(Call::from_number(call.number()), *call);
        }
        assert_eq!(Call::from_number(u32::MAX), Call::Other);
    }

    /// The rooms that a step of a plan reaches.
    const REACHED: [&str; 5] = ["src/sys", "src/container", "src/network", "src/store", "src/userns"];

    #[test]
    fn every_call_of_the_sources_has_a_number() {
        let mut seen = 0;
        for room in REACHED {
            let mut paths = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(room)];
            paths.push(paths[0].with_extension("rs"));
            while let Some(path) = paths.pop() {
                if path.is_dir() {
                    paths.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
                    continue;
                }
                let text = fs::read_to_string(&path).unwrap_or_default();
                for call in calls(&text) {
                    seen += 1;
                    let error = SysError { call: String::from(call).leak(), subject: String::new(), errno: 0 };
                    assert_ne!(Call::of(&error), Call::Other, "{}: {call}", path.display());
                }
            }
        }
        assert!(seen > 100, "{seen}");
    }

    /// The literals that name a call: `call: "x"`, `.on("x", …)`, `last("x", …)`, `refused("x", …)`, `.ask("x", …)`.
    fn calls(text: &str) -> Vec<&str> {
        // Not this file's own examples.
        let text = text.split("#[cfg(test)]").next().unwrap();
        let openings = ["call: \"", ".on(\"", " last(\"", "(last(\"", "refused(\"", ".ask(\""];
        let literal = |opening: &&'static str| text.split(*opening).skip(1).filter_map(|rest| rest.split('"').next());
        openings.iter().flat_map(literal).collect()
    }
}
