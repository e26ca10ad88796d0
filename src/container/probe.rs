//! Forbidden operations that `probe` tries inside a container.

use crate::sys::forbidden;
use caps::Capability;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The things of the host that are tried.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Targets {
    /// The pid of a process on the host.
    pub process: i32,
    /// The path of an image's file on the host.
    pub layer: PathBuf,
    /// A disk of the host.
    pub disk: PathBuf,
    /// More processes than the container's limit allows, if that is to be tried.
    pub births: Option<u64>,
    /// More bytes than the container's limit allows, if that is to be tried.
    pub bytes: Option<u64>,
}

/// A forbidden operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Operation {
    TooManyProcesses,
    TooMuchMemory,
    LoadAModule,
    BootAnotherKernel,
    Reboot,
    SetTheClock,
    Mount,
    MakeADevice,
    OpenADisk,
    SignalAHostProcess,
    WriteIntoALayer,
    SetAKernelParameter,
    SeeTheInterrupts,
    ChangeItsNetwork,
    RaiseALimit,
    LoadABpfProgram,
    WriteIntoItsRoot,
    GiveAFileAway,
    BecomeAnotherUser,
    OpenARawSocket,
    BeRootOfANamespace,
}

/// How one operation is tried.
pub(crate) struct Attempt {
    pub operation: Operation,
    /// The system call.
    pub call: &'static str,
    /// The capability that allows it, if one does.
    pub capability: Option<Capability>,
    /// Errnos of a kernel that would have done it: the arguments are invalid, so that it does no harm.
    pub through: &'static [i32],
    act: fn(&Targets) -> i32,
}

/// In the order in which they are tried.
pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        operation: Operation::LoadAModule,
        call: "init_module",
        capability: Some(Capability::CAP_SYS_MODULE),
        through: &[libc::ENOEXEC, libc::EFAULT, libc::EINVAL],
        act: |_| forbidden::load_module(),
    },
    Attempt {
        operation: Operation::BootAnotherKernel,
        call: "kexec_load",
        capability: Some(Capability::CAP_SYS_BOOT),
        through: &[libc::EINVAL],
        act: |_| forbidden::load_kernel(),
    },
    Attempt {
        operation: Operation::Reboot,
        call: "reboot",
        capability: Some(Capability::CAP_SYS_BOOT),
        through: &[libc::EINVAL],
        act: |_| forbidden::reboot(),
    },
    Attempt {
        operation: Operation::SetTheClock,
        call: "clock_settime",
        capability: Some(Capability::CAP_SYS_TIME),
        through: &[],
        act: |_| forbidden::set_clock(),
    },
    Attempt {
        operation: Operation::Mount,
        call: "mount",
        capability: Some(Capability::CAP_SYS_ADMIN),
        through: &[],
        act: |_| forbidden::mount(Path::new("/dev/shm")),
    },
    Attempt {
        operation: Operation::MakeADevice,
        call: "mknod",
        capability: Some(Capability::CAP_MKNOD),
        through: &[],
        act: |_| forbidden::make_device(Path::new("/dev/shm/minirun-probe")),
    },
    Attempt {
        operation: Operation::OpenADisk,
        call: "open",
        capability: None,
        through: &[],
        act: |targets| forbidden::read_a_byte(&targets.disk),
    },
    Attempt {
        operation: Operation::SignalAHostProcess,
        call: "kill",
        capability: None,
        through: &[],
        act: |targets| forbidden::signal(targets.process),
    },
    Attempt {
        operation: Operation::WriteIntoALayer,
        call: "open",
        capability: None,
        through: &[],
        act: |targets| forbidden::open_for_writing(&targets.layer),
    },
    Attempt {
        operation: Operation::SetAKernelParameter,
        call: "open",
        capability: None,
        through: &[],
        act: |_| forbidden::open_for_writing(Path::new("/proc/sys/kernel/core_pattern")),
    },
    Attempt {
        operation: Operation::SeeTheInterrupts,
        call: "read",
        capability: None,
        through: &[],
        act: |_| forbidden::read_a_byte(Path::new("/proc/interrupts")),
    },
    Attempt {
        operation: Operation::ChangeItsNetwork,
        call: "sendto",
        capability: Some(Capability::CAP_NET_ADMIN),
        through: &[],
        act: |_| forbidden::change_network(),
    },
    Attempt {
        operation: Operation::RaiseALimit,
        call: "setrlimit",
        capability: Some(Capability::CAP_SYS_RESOURCE),
        through: &[],
        act: |_| forbidden::raise_limit(),
    },
    Attempt {
        operation: Operation::LoadABpfProgram,
        call: "bpf",
        capability: Some(Capability::CAP_BPF),
        through: &[libc::EINVAL, libc::E2BIG],
        act: |_| forbidden::load_bpf(),
    },
    // What a container may do by default, and what takes that away.
    Attempt {
        operation: Operation::WriteIntoItsRoot,
        call: "open",
        capability: None,
        // File systems without files that have no name.
        through: &[libc::EOPNOTSUPP, libc::EISDIR],
        act: |_| forbidden::make_a_file(Path::new("/")),
    },
    Attempt {
        operation: Operation::GiveAFileAway,
        call: "fchown",
        capability: Some(Capability::CAP_CHOWN),
        through: &[],
        act: |_| forbidden::change_owner(Path::new("/dev/shm")),
    },
    Attempt {
        operation: Operation::BecomeAnotherUser,
        call: "setresuid",
        capability: Some(Capability::CAP_SETUID),
        through: &[],
        act: |_| forbidden::become_another_user(),
    },
    Attempt {
        operation: Operation::OpenARawSocket,
        call: "socket",
        capability: Some(Capability::CAP_NET_RAW),
        through: &[],
        act: |_| forbidden::open_raw_socket(),
    },
    // The last: it changes what this process may.
    Attempt {
        operation: Operation::BeRootOfANamespace,
        call: "unshare",
        capability: Some(Capability::CAP_SYS_ADMIN),
        through: &[],
        act: |_| forbidden::new_user_namespace(),
    },
];

/// The parts of a container's confinement that are left out, to see which one stopped an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Without {
    pub seccomp: bool,
    pub capabilities: bool,
}

/// The system calls that go beyond the limits of the container's control group.
pub(crate) const TOO_MANY_PROCESSES_CALL: &str = "clone";
pub(crate) const TOO_MUCH_MEMORY_CALL: &str = "mmap";

/// Tries all operations and writes a line on each to standard output, the caller's pipe: its number in [`Operation`], and an errno, or the number of the signal
/// that ended it below zero.
pub(crate) fn report(targets: &Targets) {
    // Nobody is left to tell that the pipe is closed.
    let report = |operation: Operation, answer: i32| drop(writeln!(std::io::stdout(), "{} {answer}", operation as u8));
    if let Some(most) = targets.births {
        report(Operation::TooManyProcesses, forbidden::bear(most));
    }
    if let Some(bytes) = targets.bytes {
        report(Operation::TooMuchMemory, forbidden::take_memory(bytes));
    }
    for attempt in ATTEMPTS {
        report(attempt.operation, (attempt.act)(targets));
    }
}
