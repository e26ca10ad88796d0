//! Forbidden operations, really tried from inside a container: what `probe` does in the place of a program.

use crate::sys::forbidden;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What of the host is reached for.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Targets {
    /// A process of the host, as the host numbers it.
    pub process: i32,
    /// A file of the image, where it lies on the host.
    pub layer: PathBuf,
    /// A disk of the host.
    pub disk: PathBuf,
    /// More births than the container's limit allows, if that is to be tried.
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
    /// The capability that it takes, if one can allow it.
    pub capability: &'static str,
    /// Answers of a kernel that would have done it: what was asked for makes no sense, so that it does no harm.
    pub through: &'static [i32],
    act: fn(&Targets) -> i32,
}

/// In the order in which they are tried.
pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        operation: Operation::LoadAModule,
        call: "init_module",
        capability: "CAP_SYS_MODULE",
        through: &[libc::ENOEXEC, libc::EFAULT, libc::EINVAL],
        act: |_| forbidden::load_module(),
    },
    Attempt {
        operation: Operation::BootAnotherKernel,
        call: "kexec_load",
        capability: "CAP_SYS_BOOT",
        through: &[libc::EINVAL],
        act: |_| forbidden::load_kernel(),
    },
    Attempt {
        operation: Operation::Reboot,
        call: "reboot",
        capability: "CAP_SYS_BOOT",
        through: &[libc::EINVAL],
        act: |_| forbidden::reboot(),
    },
    Attempt {
        operation: Operation::SetTheClock,
        call: "clock_settime",
        capability: "CAP_SYS_TIME",
        through: &[],
        act: |_| forbidden::set_clock(),
    },
    Attempt {
        operation: Operation::Mount,
        call: "mount",
        capability: "CAP_SYS_ADMIN",
        through: &[],
        act: |_| forbidden::mount(Path::new("/dev/shm")),
    },
    Attempt {
        operation: Operation::MakeADevice,
        call: "mknod",
        capability: "CAP_MKNOD",
        through: &[],
        act: |_| forbidden::make_device(Path::new("/dev/shm/minirun-probe")),
    },
    Attempt {
        operation: Operation::OpenADisk,
        call: "open",
        capability: "",
        through: &[],
        act: |targets| forbidden::read_a_byte(&targets.disk),
    },
    Attempt {
        operation: Operation::SignalAHostProcess,
        call: "kill",
        capability: "",
        through: &[],
        act: |targets| forbidden::signal(targets.process),
    },
    Attempt {
        operation: Operation::WriteIntoALayer,
        call: "open",
        capability: "",
        through: &[],
        act: |targets| forbidden::open_for_writing(&targets.layer),
    },
    Attempt {
        operation: Operation::SetAKernelParameter,
        call: "open",
        capability: "",
        through: &[],
        act: |_| forbidden::open_for_writing(Path::new("/proc/sys/kernel/core_pattern")),
    },
    Attempt {
        operation: Operation::SeeTheInterrupts,
        call: "read",
        capability: "",
        through: &[],
        act: |_| forbidden::read_a_byte(Path::new("/proc/interrupts")),
    },
    Attempt {
        operation: Operation::ChangeItsNetwork,
        call: "sendto",
        capability: "CAP_NET_ADMIN",
        through: &[],
        act: |_| forbidden::change_network(),
    },
    Attempt {
        operation: Operation::RaiseALimit,
        call: "setrlimit",
        capability: "CAP_SYS_RESOURCE",
        through: &[],
        act: |_| forbidden::raise_limit(),
    },
    Attempt {
        operation: Operation::LoadABpfProgram,
        call: "bpf",
        capability: "CAP_BPF",
        through: &[libc::EINVAL, libc::E2BIG],
        act: |_| forbidden::load_bpf(),
    },
    // What a container may do by default, and what takes that away.
    Attempt {
        operation: Operation::WriteIntoItsRoot,
        call: "open",
        capability: "",
        // File systems without files that have no name.
        through: &[libc::EOPNOTSUPP, libc::EISDIR],
        act: |_| forbidden::make_a_file(Path::new("/")),
    },
    Attempt {
        operation: Operation::GiveAFileAway,
        call: "fchown",
        capability: "CAP_CHOWN",
        through: &[],
        act: |_| forbidden::change_owner(Path::new("/dev/shm")),
    },
    Attempt {
        operation: Operation::BecomeAnotherUser,
        call: "setresuid",
        capability: "CAP_SETUID",
        through: &[],
        act: |_| forbidden::become_another_user(),
    },
    Attempt {
        operation: Operation::OpenARawSocket,
        call: "socket",
        capability: "CAP_NET_RAW",
        through: &[],
        act: |_| forbidden::open_raw_socket(),
    },
    // The last: it changes what this process may.
    Attempt {
        operation: Operation::BeRootOfANamespace,
        call: "unshare",
        capability: "CAP_SYS_ADMIN",
        through: &[],
        act: |_| forbidden::new_user_namespace(),
    },
];

/// What is taken away from a container's confinement, to see what it was that stopped an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Without {
    pub seccomp: bool,
    pub capabilities: bool,
}

/// The system calls that go beyond the limits of the container's control group.
pub(crate) const TOO_MANY_PROCESSES_CALL: &str = "clone";
pub(crate) const TOO_MUCH_MEMORY_CALL: &str = "mmap";

/// Tries all operations and prints a line for each: its number in [`Operation`], and an errno, or the number of the signal
/// that ended it below zero.
pub(crate) fn print(targets: &Targets) {
    if let Some(most) = targets.births {
        println!("{} {}", Operation::TooManyProcesses as u8, forbidden::bear(most));
    }
    if let Some(bytes) = targets.bytes {
        println!("{} {}", Operation::TooMuchMemory as u8, forbidden::take_memory(bytes));
    }
    for attempt in ATTEMPTS {
        println!("{} {}", attempt.operation as u8, (attempt.act)(targets));
    }
}
