//! The agent's life: born, given a listener, and gone with the last process that has the filter.

use super::becoming::{self, Change, User};
use super::caller::Caller;
use super::calls::{Calls, Next};
use super::moving::{self, Waiting};
use super::owner::{self, Files};
use super::peer::{self, Peer};
use crate::container::decide::seccomp;
use crate::sys::process::{self, Exit, Fork};
use crate::sys::seccomp::{self as filters, Answer, Listener};
use crate::sys::{On, SysError, descriptor, socket};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, StatxFlags, open, statx};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// An agent, as its monitor and the container's first process see it.
pub(crate) struct Agent {
    pidfd: OwnedFd,
    pid: i32,
    /// `None`: another process gives it the listener.
    socket: Option<OwnedFd>,
}

impl AsFd for Agent {
    /// Readable when it has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Agent {
    /// The caller has one thread. The agent ends when nobody can give it a listener any more.
    pub(crate) fn fork() -> Result<Self, SysError> {
        let (ours, theirs) = socket::pair()?;
        match process::fork()? {
            Fork::Parent(pid) => Ok(Self { pidfd: process::pidfd_open(pid)?, pid, socket: Some(ours) }),
            Fork::Child => {
                process::set_name(c"minirun: agent");
                process::set_dumpable(false);
                descriptor::run_with_one_descriptor(theirs, |socket| drop(serve(socket)))
            }
        }
    }

    /// Leaves it to a child of this process to give it the listener.
    pub(crate) fn leave_to_child(&mut self) {
        self.socket = None;
    }

    /// Waits for its end, and tells whether that came before its time. For its parent.
    pub(crate) fn was_killed(&self) -> bool {
        process::wait_for_exit(self.pid).is_ok_and(|exit| exit != Exit::Code(0))
    }

    /// Gives it the listener of a container whose root is `/`.
    pub(crate) fn hand_over(&self, listener: &OwnedFd) -> Result<(), SysError> {
        let mask = StatxFlags::from_bits_retain(libc::STATX_MNT_ID);
        let root = statx(CWD, "/", AtFlags::empty(), mask).on("statx", "/")?.stx_mnt_id;
        let Some(socket) = &self.socket else { return Ok(()) };
        socket::send(socket.as_fd(), &root.to_ne_bytes(), &[listener.as_raw_fd()])
    }
}

impl Drop for Agent {
    /// It may outlive its parent, by the processes that it serves; a parent that outlives it leaves no zombie.
    fn drop(&mut self) {
        process::reap_if_ended(self.pid);
    }
}

/// Returns why no agent can be asked here.
pub(crate) fn refusal() -> Option<std::io::Error> {
    let child = match process::fork() {
        Ok(Fork::Child) => {
            // What is not asked about needs no answer.
            let all = [libc::sock_filter {
                code: (libc::BPF_RET | libc::BPF_K) as u16,
                jt: 0,
                jf: 0,
                k: libc::SECCOMP_RET_ALLOW,
            }];
            let listens = process::no_new_privileges().and_then(|()| filters::listen(&all, 0));
            process::exit_now(listens.map_or_else(|error| error.errno, |_| 0))
        }
        Ok(Fork::Parent(child)) => child,
        Err(error) => return Some(std::io::Error::from_raw_os_error(error.errno)),
    };
    process::wait(child).ok().filter(|errno| *errno != 0).map(std::io::Error::from_raw_os_error)
}

fn serve(socket: &OwnedFd) -> Result<(), SysError> {
    let directory = |path: &str| {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        open(path, flags, Mode::empty()).on("open", path)
    };
    let (proc, own) = (directory("/proc")?, directory("/proc/self")?);
    let mut root = [0; 8];
    let Some((8, mut received)) = socket::receive(socket.as_fd(), &mut root)? else { return Ok(()) };
    let Some(listener) = received.pop() else { return Ok(()) };
    let listener = Listener::new(listener);
    let namespace = rustix::fs::statat(&own, "ns/user", AtFlags::empty()).on("stat", "/proc/self/ns/user")?.st_ino;
    let names = seccomp::asked_numbers();
    let files = Files { own: own.as_fd(), root: u64::from_ne_bytes(root) };
    let mut calls = Calls::new(proc.as_fd(), &listener)?;
    let mut waiting = Waiting::default();
    loop {
        match calls.next() {
            Next::Call(call) => {
                let name = names.get(&(call.arch, call.nr));
                let caller = Caller { proc: proc.as_fd(), listener: &listener, call };
                match answer(name.copied().unwrap_or_default(), &caller, namespace, &files) {
                    Ok(answer) => calls.answer(&call, answer),
                    Err(user) => moving::move_caller(&mut calls, &mut waiting, &call, user),
                }
            }
            Next::Event => moving::follow(&mut calls, &mut waiting),
            Next::End => return Ok(()),
        }
    }
}

/// Returns the answer to a call, or the user that its caller becomes.
fn answer(name: &str, caller: &Caller, namespace: u64, files: &Files) -> Result<Answer, User> {
    let is_root = caller.is_in(namespace);
    Ok(match name {
        "getsockopt" if is_root || peer::only_id(caller.proc, caller.call.pid, "uid_map").is_some() => {
            match peer::tell(caller) {
                Peer::Told => Answer::Value(0),
                Peer::Unknown => Answer::Continue,
                Peer::Fault => Answer::Fails(libc::EFAULT),
            }
        }
        // The policy refuses it; it is asked about only so that the agent can have it made.
        "unshare" => Answer::Fails(libc::EPERM),
        _ if !is_root => Answer::Continue,
        name if name.contains("chown") => match owner::change(name, caller, files) {
            Ok(()) => Answer::Value(0),
            Err(errno) => Answer::Fails(errno.raw_os_error()),
        },
        name if name.starts_with("set") => match becoming::change(name, caller) {
            Ok(Change::Nothing) => Answer::Value(0),
            Ok(Change::User(user)) => return Err(user),
            Err(errno) => Answer::Fails(errno.raw_os_error()),
        },
        _ => Answer::Continue,
    })
}
