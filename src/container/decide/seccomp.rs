//! The system calls that a container may make: the default policy, after a survey of Docker's.
//!
//! - A call that needs no privilege is allowed; one that a capability guards is allowed to a container that has it.
//! - A known call that is not listed fails with EPERM. A call newer than the list fails with ENOSYS, so that a C library
//!   falls back to the older call (runc does the same).
//! - `clone3` hides its flags behind a pointer that a filter cannot follow: ENOSYS sends the C library to `clone`.
//!
//! The policy is data of the OCI runtime specification, so another runtime can run the same bundle; [`compile`] turns
//! that data, ours or any bundle's, into a BPF program.

pub(crate) mod bpf;
mod profile;
mod table;

pub(crate) use bpf::{SeccompError, compile, compile_asking};
pub(crate) use profile::of_profile;

use crate::container::request::Request;
use caps::Capability;
use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompOperator};
use oci_spec::runtime::{LinuxSeccompArgBuilder, LinuxSyscall};
use std::collections::HashMap;

/// Calls that need no privilege, or that check it themselves, by subject.
const ALWAYS: &[&str] = &[
    // files by name
    "access chdir chmod chown chown32 creat faccessat faccessat2 fchmodat fchmodat2 fchownat fstatat64 futimesat \
     getcwd getxattrat lchown lchown32 link linkat listxattrat lstat lstat64 mkdir mkdirat mknod mknodat \
     name_to_handle_at newfstatat open openat openat2 readlink readlinkat removexattrat rename renameat renameat2 \
     rmdir setxattrat stat stat64 statfs statfs64 statx symlink symlinkat truncate truncate64 umask unlink unlinkat \
     utime utimensat utimensat_time64 utimes",
    "getxattr lgetxattr listxattr llistxattr lremovexattr lsetxattr removexattr setxattr",
    // files by descriptor
    "_llseek arm_fadvise64_64 arm_sync_file_range cachestat close close_range copy_file_range dup dup2 dup3 fadvise64 \
     fadvise64_64 fallocate fchdir fchmod fchown fchown32 fcntl fcntl64 fdatasync fgetxattr flistxattr flock \
     fremovexattr fsetxattr fstat fstat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 getdents getdents64 ioctl \
     lseek pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readv sendfile sendfile64 \
     splice sync sync_file_range sync_file_range2 syncfs tee vmsplice write writev",
    // waiting for them
    "_newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old \
     eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch poll ppoll \
     ppoll_time64 pselect6 pselect6_time64 select",
    "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit",
    // mounts, looked at
    "listmount statmount",
    // memory
    "brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 \
     mprotect mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease \
     remap_file_pages",
    // processes and threads
    "arch_prctl breakpoint cacheflush capget capset execve execveat exit exit_group fork futex futex_requeue \
     futex_time64 futex_wait futex_waitv futex_wake get_robust_list get_thread_area getcpu getpgid getpgrp getpid \
     getppid getpriority getrandom getrlimit getrusage getsid gettid ioprio_get ioprio_set landlock_add_rule \
     landlock_create_ruleset landlock_restrict_self modify_ldt pidfd_open prctl prlimit64 restart_syscall rseq \
     sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler \
     sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam \
     sched_setscheduler sched_yield seccomp set_robust_list set_thread_area set_tid_address set_tls setpgid \
     setpriority setrlimit setsid sysinfo times ugetrlimit uname uretprobe vfork wait4 waitid waitpid",
    // another process of the container, as far as the kernel's own check lets it (sound since Linux 4.8)
    "process_vm_readv process_vm_writev ptrace",
    // users and groups
    "getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32 getresuid \
     getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 \
     setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32",
    // signals
    "alarm kill pause pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn \
     rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack signalfd signalfd4 \
     sigprocmask sigreturn tgkill tkill",
    // time
    "adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 \
     clock_nanosleep clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create \
     timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create \
     timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64",
    // sockets; `socket` itself is below
    "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 \
     recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair",
    // System V and POSIX messages, semaphores, shared memory
    "ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 \
     mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget",
];

/// Calls that a capability guards, allowed to a container that holds it.
const WITH_CAPABILITY: &[(Capability, &str)] = &[
    (Capability::CAP_DAC_READ_SEARCH, "open_by_handle_at"),
    (
        Capability::CAP_SYS_ADMIN,
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr \
         lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl \
         quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
    ),
    (Capability::CAP_SYS_BOOT, "reboot"),
    (Capability::CAP_SYS_CHROOT, "chroot"),
    (Capability::CAP_SYS_MODULE, "delete_module finit_module init_module"),
    (Capability::CAP_SYS_PACCT, "acct"),
    (Capability::CAP_SYS_PTRACE, "kcmp pidfd_getfd process_madvise"),
    (Capability::CAP_SYS_RAWIO, "ioperm iopl"),
    (Capability::CAP_SYS_TIME, "clock_settime clock_settime64 settimeofday stime"),
    (Capability::CAP_SYS_TTY_CONFIG, "vhangup"),
    (Capability::CAP_SYS_NICE, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    (Capability::CAP_SYSLOG, "syslog"),
    (Capability::CAP_BPF, "bpf"),
    (Capability::CAP_PERFMON, "perf_event_open"),
];

/// Every flag of `clone` that makes a namespace.
const NAMESPACE_FLAGS: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u64;

/// Linux, Linux with 16-bit uids, the same two with UNAME26, and «only ask».
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

const AF_NFC: u64 = 39;
const AF_KCM: u64 = 41;
const AF_QIPCRTR: u64 = 42;
const AF_SMC: u64 = 43;
const AF_XDP: u64 = 44;
const AF_MCTP: u64 = 45;

/// Returns the default policy of a container whose bounding set is `capabilities`.
pub(crate) fn policy(capabilities: &[Capability]) -> LinuxSeccomp {
    use LinuxSeccompOperator::{ScmpCmpEq as Is, ScmpCmpLt as Below, ScmpCmpMaskedEq as Masked};

    let mut allowed: Vec<&str> = ALWAYS.iter().flat_map(|names| names.split_ascii_whitespace()).collect();
    for (capability, names) in WITH_CAPABILITY {
        if capabilities.contains(capability) {
            allowed.extend(names.split_ascii_whitespace());
        }
    }
    allowed.sort_unstable();
    allowed.dedup();

    let mut syscalls = vec![rule(&allowed, LinuxSeccompAction::ScmpActAllow, None, None)];
    let mut allow_if = |name, operator, value, second| {
        let condition = argument(0, operator, value, second);
        syscalls.push(rule(&[name], LinuxSeccompAction::ScmpActAllow, None, Some(condition)));
    };
    for value in PERSONALITIES {
        allow_if("personality", Is, value, 0);
    }
    // Address families of today, but for AF_ALG (the kernel's ciphers, no good record) and AF_VSOCK, which leads to
    // the hypervisor past every network namespace. A number not known yet is refused too.
    allow_if("socket", Below, libc::AF_ALG as u64, 0);
    for family in [AF_NFC, AF_KCM, AF_QIPCRTR, AF_SMC, AF_XDP, AF_MCTP] {
        allow_if("socket", Is, family, 0);
    }
    if !capabilities.contains(&Capability::CAP_SYS_ADMIN) {
        allow_if("clone", Masked, NAMESPACE_FLAGS, 0);
        syscalls.push(rule(&["clone3"], LinuxSeccompAction::ScmpActErrno, Some(libc::ENOSYS), None));
    }

    let mut policy = LinuxSeccomp::default();
    policy
        .set_default_action(LinuxSeccompAction::ScmpActErrno)
        .set_default_errno_ret(Some(libc::EPERM as u32))
        .set_architectures(Some(architectures()))
        .set_syscalls(Some(syscalls));
    policy
}

/// Checks that the profile of a request can become a filter.
pub(crate) fn check(request: &Request) -> Result<(), SeccompError> {
    match &request.seccomp_profile {
        Some(profile) => compile(&of_profile(profile, &[])).map(drop),
        None => Ok(()),
    }
}

/// The calls of a container with one id that its agent answers.
const ASKED: [&str; 25] = [
    "chown",
    "chown32",
    "fchown",
    "fchown32",
    "fchownat",
    "lchown",
    "lchown32",
    "setfsgid",
    "setfsgid32",
    "setfsuid",
    "setfsuid32",
    "setgid",
    "setgid32",
    "setgroups",
    "setgroups32",
    "setregid",
    "setregid32",
    "setresgid",
    "setresgid32",
    "setresuid",
    "setresuid32",
    "setreuid",
    "setreuid32",
    "setuid",
    "setuid32",
];

/// In the place of an errno: where there is no agent, the kernel answers.
pub(crate) const OF_KERNEL: u32 = 0xffff;

/// Those of them whose answer depends on their arguments.
const ASKED_IF: [&str; 2] = ["getsockopt", "unshare"];

/// Returns the architecture and number of each call that the agent answers, with its name.
pub(crate) fn asked_numbers() -> HashMap<(u32, u32), &'static str> {
    ASKED.into_iter().chain(ASKED_IF).flat_map(|name| bpf::numbers(name).map(move |number| (number, name))).collect()
}

/// Whether a policy lets a process make a user namespace.
fn allows_namespace(policy: &LinuxSeccomp) -> bool {
    let allows = |action| action == LinuxSeccompAction::ScmpActAllow;
    let rules = policy.syscalls().iter().flatten();
    allows(policy.default_action())
        || rules.clone().any(|rule| allows(rule.action()) && rule.names().iter().any(|name| name == UNSHARE))
}

const UNSHARE: &str = "unshare";

/// Returns a policy that leaves it to the agent to refuse a user namespace, since processes move into one as they change their
/// user.
pub(crate) fn leave_namespace_to_agent(policy: &LinuxSeccomp) -> LinuxSeccomp {
    let mut policy = policy.clone();
    if !allows_namespace(&policy) {
        let is = argument(0, LinuxSeccompOperator::ScmpCmpEq, libc::CLONE_NEWUSER as u64, 0);
        let mut rules = policy.syscalls().clone().unwrap_or_default();
        rules.push(rule(&[UNSHARE], LinuxSeccompAction::ScmpActAllow, None, Some(is)));
        policy.set_syscalls(Some(rules));
    }
    policy
}

/// Returns the second filter of a container with a single mapped id. Its agent notes changes of owner and sees to changes of the
/// user; making a device node succeeds and changes nothing. Ordinary packages and daemons (nginx's worker user) then work
/// unchanged. `policy`: the filter beside it.
pub(crate) fn one_id_answers(policy: Option<&LinuxSeccomp>) -> LinuxSeccomp {
    let (answer, asks) = (LinuxSeccompAction::ScmpActErrno, LinuxSeccompAction::ScmpActNotify);
    // The errno is the answer where there is no agent.
    let mut syscalls = vec![rule(&ASKED, asks, Some(0), None)];
    if policy.is_some_and(|policy| !allows_namespace(policy)) {
        let is = argument(0, LinuxSeccompOperator::ScmpCmpEq, libc::CLONE_NEWUSER as u64, 0);
        syscalls.push(rule(&[UNSHARE], asks, Some(libc::EPERM), Some(is)));
    }
    syscalls.push(peer());
    for (name, mode) in [("mknod", 1), ("mknodat", 2)] {
        for device in [libc::S_IFCHR, libc::S_IFBLK] {
            let masked = LinuxSeccompOperator::ScmpCmpMaskedEq;
            let condition = argument(mode, masked, libc::S_IFMT.into(), device.into());
            syscalls.push(rule(&[name], answer, Some(0), Some(condition)));
        }
    }
    beside_a_policy(syscalls)
}

/// Returns the second filter of a user that is not root, of whom the kernel knows all but who its peers are.
pub(crate) fn one_user_answers() -> LinuxSeccomp {
    beside_a_policy(vec![peer()])
}

fn beside_a_policy(syscalls: Vec<LinuxSyscall>) -> LinuxSeccomp {
    let mut answers = LinuxSeccomp::default();
    answers
        .set_default_action(LinuxSeccompAction::ScmpActAllow)
        .set_architectures(Some(architectures()))
        .set_syscalls(Some(syscalls));
    answers
}

/// The question who is at the other end of a socket.
fn peer() -> LinuxSyscall {
    let mut peer = rule(&["getsockopt"], LinuxSeccompAction::ScmpActNotify, Some(OF_KERNEL as i32), None);
    let is = |index, value: i32| argument(index, LinuxSeccompOperator::ScmpCmpEq, value as u64, 0);
    peer.set_args(Some(vec![is(1, libc::SOL_SOCKET), is(2, libc::SO_PEERCRED)]));
    peer
}

/// Returns the machine's own architecture, and those of other programs that it may run.
fn architectures() -> Vec<Arch> {
    bpf::ABIS.iter().flat_map(|abi| abi.columns).map(|(arch, _)| *arch).collect()
}

fn rule(
    names: &[&str],
    action: LinuxSeccompAction,
    errno: Option<i32>,
    condition: Option<LinuxSeccompArg>,
) -> LinuxSyscall {
    let mut rule = LinuxSyscall::default();
    rule.set_names(names.iter().map(|&name| name.to_owned()).collect())
        .set_action(action)
        .set_errno_ret(errno.map(|errno| errno as u32))
        .set_args(condition.map(|condition| vec![condition]));
    rule
}

fn argument(index: usize, operator: LinuxSeccompOperator, value: u64, second: u64) -> LinuxSeccompArg {
    let argument = LinuxSeccompArgBuilder::default().index(index).op(operator).value(value).value_two(second);
    argument.build().expect("every field of it is set")
}
