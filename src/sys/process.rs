//! Processes: fork, clone3, exec, waiting, and what a process may know of another.

use super::{On, SysError};
use std::ffi::{CStr, CString};
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// `<linux/sched.h>`; libc's own constant has too small a type.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Which side of a `fork` this is.
pub(crate) enum Fork {
    Parent(i32),
    Child,
}

/// fork(2). Fails if the process has several threads: the locks of another thread would stay locked in the child for ever.
pub(crate) fn fork() -> Result<Fork, SysError> {
    one_thread("fork")?;
    // SAFETY: there is one thread, so the child's memory is consistent and it may run any code.
    match unsafe { libc::fork() } {
        -1 => Err(last("fork", "")),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid)),
    }
}

/// fork(2), but the child's parent is this process's own (CLONE_PARENT): who waits for this process waits for the child
/// too. By clone(2), since a container's filter allows nobody to call clone3. Fails if the process has several threads.
pub(crate) fn fork_sibling() -> Result<Fork, SysError> {
    one_thread("clone")?;
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: without CLONE_VM and with no stack of its own the child has a copy of this single thread's memory, as after
    // fork.
    match unsafe { libc::syscall(libc::SYS_clone, flags as libc::c_ulong, 0usize, 0usize, 0usize, 0usize) } {
        -1 => Err(last("clone", "CLONE_PARENT")),
        0 => Ok(Fork::Child),
        pid => Ok(Fork::Parent(pid as i32)),
    }
}

/// A child born by [`clone3`], seen from its parent.
pub(crate) struct Cloned {
    pub pid: i32,
    pub pidfd: OwnedFd,
}

/// clone3(2) with its own copy of the memory, as fork, into the namespaces of `flags` and, if given, a cgroup.
/// `None` is the child. Fails if the process has several threads.
pub(crate) fn clone3(flags: i32, cgroup: Option<BorrowedFd>) -> Result<Option<Cloned>, SysError> {
    one_thread("clone3")?;
    let mut pidfd: RawFd = -1;
    let mut arguments = libc::clone_args {
        flags: (flags | libc::CLONE_PIDFD) as u64,
        pidfd: &raw mut pidfd as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: libc::SIGCHLD as u64,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    if let Some(cgroup) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: without CLONE_VM the child has a copy of this single thread's memory, as after fork; `arguments` and
    // `pidfd` outlive the call.
    match unsafe { libc::syscall(libc::SYS_clone3, &raw const arguments, size_of_val(&arguments)) } {
        -1 => Err(last("clone3", "")),
        0 => Ok(None),
        // SAFETY: CLONE_PIDFD made the kernel store a new descriptor that nobody else owns.
        pid => Ok(Some(Cloned { pid: pid as i32, pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) } })),
    }
}

/// Ends a forked child at once: no destructor of the parent's state, no flushing of the parent's buffers.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: _exit touches nothing of this program.
    unsafe { libc::_exit(code) }
}

/// Returns the array of a program's arguments or variables, which ends with a null pointer and borrows the strings.
pub(super) fn pointers(strings: &[CString]) -> Vec<*const libc::c_char> {
    strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect()
}

/// execve(2). Returns only if it failed.
pub(crate) fn execve(path: &CStr, argv: &[CString], env: &[CString]) -> SysError {
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both arrays end with a null pointer and point to strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    last("execve", &path.to_string_lossy())
}

/// Lets every signal act as it does in a new process: Rust ignores SIGPIPE, and `execve` would hand that on.
pub(crate) fn reset_signals() {
    // SAFETY: SIG_DFL installs no handler, and an empty mask is always valid.
    unsafe {
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut empty = std::mem::zeroed();
        libc::sigemptyset(&raw mut empty);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const empty, std::ptr::null_mut());
    }
}

/// Lets a signal act by default again.
pub(crate) fn default_signal(signal: i32) {
    // SAFETY: SIG_DFL installs no handler.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Ignores a signal.
pub(crate) fn ignore_signal(signal: i32) {
    // SAFETY: SIG_IGN installs no handler.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Waits for a child to end, and returns its exit status as a shell has it: its code, or 128 + the signal.
pub(crate) fn wait(pid: i32) -> Result<i32, SysError> {
    wait_for_exit(pid).map(Exit::shell_status)
}

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

impl Exit {
    fn of(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signal(libc::WTERMSIG(status))
        } else {
            Self::Code(libc::WEXITSTATUS(status))
        }
    }

    /// Returns the exit status as a shell has it in `$?`, where a signal and an exit look alike.
    pub(crate) fn shell_status(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
        }
    }
}

/// Waits for a child to end.
///
/// # Errors
///
/// ECHILD: the process is not a child of this one.
pub(crate) fn wait_for_exit(pid: i32) -> Result<Exit, SysError> {
    loop {
        let mut status = 0;
        // SAFETY: `status` outlives the call.
        match unsafe { libc::waitpid(pid, &raw mut status, 0) } {
            -1 if errno() == libc::EINTR => {}
            -1 => return Err(last("waitpid", &pid.to_string())),
            _ => return Ok(Exit::of(status)),
        }
    }
}

/// Reaps a child if it has ended.
pub(crate) fn reap_if_ended(pid: i32) {
    // SAFETY: nothing is written for a null status.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) };
}

/// Reaps one child that has ended: its pid and how it ended. `Ok(None)`: none has ended; `Err`: there are no children.
pub(crate) fn reap() -> Result<Option<(i32, Exit)>, SysError> {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    match unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) } {
        -1 => Err(last("waitpid", "-1")),
        0 => Ok(None),
        pid => Ok(Some((pid, Exit::of(status)))),
    }
}

/// Returns the time at which a process was started, in clock ticks since boot (proc_pid_stat(5), field 22): with the pid it names a
/// process for ever, even after the number was used again.
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // A zombie counts as ended.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    if matches!(fields.next(), Some("Z" | "X")) {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

/// prctl(PR_SET_PDEATHSIG).
pub(crate) fn die_with_parent(signal: i32) {
    // SAFETY: sets an attribute of this process.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal) };
}

/// prctl(PR_SET_NAME): what `ps` and /proc/PID/comm show; 15 bytes.
pub(crate) fn set_name(name: &CStr) {
    // SAFETY: the kernel copies at most 16 bytes of the string.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// prctl(PR_SET_DUMPABLE): whether others of the same user may trace this process or open its /proc entries.
pub(crate) fn set_dumpable(dumpable: bool) {
    // SAFETY: sets an attribute of this process.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(dumpable)) };
}

/// prctl(PR_SET_NO_NEW_PRIVS).
pub(crate) fn no_new_privileges() -> Result<(), SysError> {
    // SAFETY: sets an attribute of this process.
    match unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(last("prctl", "PR_SET_NO_NEW_PRIVS")),
    }
}

/// prctl(PR_CAPBSET_DROP): no program run from here on can gain the capability. One that the kernel does not know is
/// ignored: there is nothing to drop.
pub(crate) fn drop_from_bounding_set(capability: u8) -> Result<(), SysError> {
    // SAFETY: sets an attribute of this process.
    match unsafe { libc::prctl(libc::PR_CAPBSET_DROP, libc::c_ulong::from(capability)) } {
        -1 if errno() != libc::EINVAL => Err(last("prctl", "PR_CAPBSET_DROP")),
        _ => Ok(()),
    }
}

/// setresuid(2) on this thread, which is the only one.
pub(crate) fn setresuid(uid: u32) -> Result<(), SysError> {
    // SAFETY: changes credentials only.
    match unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) } {
        0 => Ok(()),
        _ => Err(last("setresuid", &uid.to_string())),
    }
}

/// setresgid(2) on this thread, which is the only one.
pub(crate) fn setresgid(gid: u32) -> Result<(), SysError> {
    // SAFETY: changes credentials only.
    match unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) } {
        0 => Ok(()),
        _ => Err(last("setresgid", &gid.to_string())),
    }
}

/// setgroups(2) on this thread, which is the only one.
pub(crate) fn setgroups(groups: &[u32]) -> Result<(), SysError> {
    // SAFETY: the kernel reads `groups.len()` numbers from a slice that long.
    match unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) } {
        0 => Ok(()),
        _ => Err(last("setgroups", &format!("{groups:?}"))),
    }
}

/// signalfd(2), after blocking the signals that it will read.
pub(crate) fn signalfd(signals: &[i32]) -> Result<OwnedFd, SysError> {
    // SAFETY: the set is initialised by sigemptyset before use; the new descriptor has no other owner.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, *signal);
        }
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        match libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) {
            -1 => Err(last("signalfd", "")),
            fd => Ok(OwnedFd::from_raw_fd(fd)),
        }
    }
}

/// Reads the next signal of a [`signalfd`], if there is one.
pub(crate) fn read_signal(fd: BorrowedFd) -> Option<i32> {
    read_signal_and_sender(fd).map(|(signal, _)| signal)
}

/// [`read_signal`], and whether the kernel has sent the signal, as a terminal does to a whole process group.
pub(crate) fn read_signal_and_sender(fd: BorrowedFd) -> Option<(i32, bool)> {
    let mut buffer = [0u8; size_of::<libc::signalfd_siginfo>()];
    let read = rustix::io::read(fd, &mut buffer).ok()?;
    // Numbers of four bytes: the signal, an errno, the code.
    let number = |at: usize| i32::from_ne_bytes([buffer[at], buffer[at + 1], buffer[at + 2], buffer[at + 3]]);
    (read == buffer.len()).then(|| (number(0), number(8) == libc::SI_KERNEL))
}

/// Signals that a [`signalfd`] would read act by default as long as this lives.
pub(crate) struct LetThrough(libc::sigset_t);

impl LetThrough {
    pub(crate) fn new(signals: &[i32]) -> Self {
        // SAFETY: both sets are initialised before use, by sigemptyset and by sigprocmask.
        unsafe {
            let (mut set, mut before) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigemptyset(&raw mut set);
            for signal in signals {
                libc::sigaddset(&raw mut set, *signal);
            }
            libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, &raw mut before);
            Self(before)
        }
    }
}

impl Drop for LetThrough {
    fn drop(&mut self) {
        // SAFETY: the set is the one that was found in place.
        unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

/// kill(2).
pub(crate) fn kill(pid: i32, signal: i32) -> Result<(), SysError> {
    // SAFETY: sends a signal; touches no memory.
    match unsafe { libc::kill(pid, signal) } {
        0 => Ok(()),
        _ => Err(last("kill", &pid.to_string())),
    }
}

/// pidfd_send_signal(2).
pub(crate) fn kill_pidfd(pidfd: BorrowedFd, signal: i32) -> Result<(), SysError> {
    // SAFETY: sends a signal; a null siginfo means the usual one.
    match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, 0usize, 0u32) } {
        0 => Ok(()),
        _ => Err(last("pidfd_send_signal", &signal.to_string())),
    }
}

/// Whether the process of a pidfd has not ended.
pub(crate) fn is_alive(pidfd: BorrowedFd) -> bool {
    kill_pidfd(pidfd, 0).is_ok()
}

/// pidfd_open(2).
pub(crate) fn pidfd_open(pid: i32) -> Result<OwnedFd, SysError> {
    // SAFETY: the call touches no memory.
    match unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) } {
        -1 => Err(last("pidfd_open", &pid.to_string())),
        // SAFETY: the kernel has just made the descriptor for this call.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) }),
    }
}

/// setns(2).
pub(crate) fn setns(fd: impl AsFd, kinds: i32, subject: &str) -> Result<(), SysError> {
    // SAFETY: changes the namespaces of this (only) thread.
    match unsafe { libc::setns(fd.as_fd().as_raw_fd(), kinds) } {
        0 => Ok(()),
        _ => Err(last("setns", subject)),
    }
}

/// unshare(2).
pub(crate) fn unshare(flags: i32, subject: &str) -> Result<(), SysError> {
    one_thread("unshare")?;
    // SAFETY: changes the namespaces of this (only) thread.
    match unsafe { libc::unshare(flags) } {
        0 => Ok(()),
        _ => Err(last("unshare", subject)),
    }
}

/// Makes the terminal `fd` this session's controlling terminal.
pub(crate) fn set_controlling_terminal(fd: BorrowedFd) -> Result<(), SysError> {
    // SAFETY: TIOCSCTTY takes a number, not a pointer.
    match unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCSCTTY, 0) } {
        0 => Ok(()),
        _ => Err(last("ioctl", "TIOCSCTTY")),
    }
}

/// Raises the number of descriptors that this process may have to its hard limit, and returns it: the soft one is there for
/// programs that use select(2).
pub(crate) fn raise_descriptor_limit() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit};
    let hard = getrlimit(Resource::Nofile).maximum;
    let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current: hard, maximum: hard });
    let limit = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
    limit.unwrap_or(usize::MAX)
}

/// setrlimit(2).
pub(crate) fn setrlimit(resource: u32, soft: u64, hard: u64) -> Result<(), SysError> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: `limit` outlives the call.
    match unsafe { libc::setrlimit(resource as _, &raw const limit) } {
        0 => Ok(()),
        _ => Err(last("setrlimit", &resource.to_string())),
    }
}

/// Fails if the process has several threads, as far as /proc shows them. One that was joined has ended, but is there for the
/// kernel a moment longer, so this waits for it.
fn one_thread(call: &'static str) -> Result<(), SysError> {
    for _ in 0..1000 {
        if threads() == 1 {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_micros(100));
    }
    let subject = format!("in a process of {} threads", threads());
    Err(SysError { call, subject, errno: libc::EINVAL })
}

/// Returns the number of this process's threads; 1 where /proc does not show this process.
pub(crate) fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(1, |d| d.count())
}

fn errno() -> i32 {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

fn last(call: &'static str, subject: &str) -> SysError {
    SysError { call, subject: subject.to_owned(), errno: errno() }
}

/// Opens the user namespace around another (ioctl_ns(2), NS_GET_PARENT).
pub(crate) fn parent_namespace(namespace: &fs::File) -> Result<fs::File, SysError> {
    const NS_GET_PARENT: libc::Ioctl = 0xb702;
    // SAFETY: the request takes no argument.
    match unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_PARENT) } {
        -1 => Err(last("ioctl", "NS_GET_PARENT")),
        // SAFETY: the kernel has just made the descriptor for this call.
        fd => Ok(unsafe { fs::File::from_raw_fd(fd) }),
    }
}

/// Opens a namespace of a process: `/proc/PID/ns/KIND`.
pub(crate) fn namespace(pid: i32, kind: &str) -> Result<fs::File, SysError> {
    let path = format!("/proc/{pid}/ns/{kind}");
    fs::File::open(&path).on("open", path)
}
