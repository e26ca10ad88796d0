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

/// One operation.
pub(crate) struct Attempt {
    pub name: &'static str,
    /// The system call.
    pub call: &'static str,
    /// The capability that it takes, if one can allow it.
    pub capability: &'static str,
    /// Answers of a kernel that would have done it: what was asked for makes no sense, so that it does no harm.
    pub through: &'static [i32],
    act: fn(&Targets) -> i32,
}

pub(crate) const REBOOT: &str = "reboot";

/// In the order in which they are tried.
pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "load_a_module",
        call: "init_module",
        capability: "CAP_SYS_MODULE",
        through: &[libc::ENOEXEC, libc::EFAULT, libc::EINVAL],
        act: |_| forbidden::load_module(),
    },
    Attempt {
        name: "boot_another_kernel",
        call: "kexec_load",
        capability: "CAP_SYS_BOOT",
        through: &[libc::EINVAL],
        act: |_| forbidden::load_kernel(),
    },
    Attempt {
        name: REBOOT,
        call: "reboot",
        capability: "CAP_SYS_BOOT",
        through: &[libc::EINVAL],
        act: |_| forbidden::reboot(),
    },
    Attempt {
        name: "set_the_clock",
        call: "clock_settime",
        capability: "CAP_SYS_TIME",
        through: &[],
        act: |_| forbidden::set_clock(),
    },
    Attempt {
        name: "mount",
        call: "mount",
        capability: "CAP_SYS_ADMIN",
        through: &[],
        act: |_| forbidden::mount(Path::new("/dev/shm")),
    },
    Attempt {
        name: "make_a_device",
        call: "mknod",
        capability: "CAP_MKNOD",
        through: &[],
        act: |_| forbidden::make_device(Path::new("/dev/shm/minirun-probe")),
    },
    Attempt {
        name: "open_a_disk",
        call: "open",
        capability: "",
        through: &[],
        act: |targets| forbidden::read_a_byte(&targets.disk),
    },
    Attempt {
        name: "signal_a_host_process",
        call: "kill",
        capability: "",
        through: &[],
        act: |targets| forbidden::signal(targets.process),
    },
    Attempt {
        name: "write_into_a_layer",
        call: "open",
        capability: "",
        through: &[],
        act: |targets| forbidden::open_for_writing(&targets.layer),
    },
    Attempt {
        name: "set_a_kernel_parameter",
        call: "open",
        capability: "",
        through: &[],
        act: |_| forbidden::open_for_writing(Path::new("/proc/sys/kernel/core_pattern")),
    },
    Attempt {
        name: "see_the_interrupts",
        call: "read",
        capability: "",
        through: &[],
        act: |_| forbidden::read_a_byte(Path::new("/proc/interrupts")),
    },
    Attempt {
        name: "change_its_network",
        call: "sendto",
        capability: "CAP_NET_ADMIN",
        through: &[],
        act: |_| forbidden::change_network(),
    },
    Attempt {
        name: "raise_a_limit",
        call: "setrlimit",
        capability: "CAP_SYS_RESOURCE",
        through: &[],
        act: |_| forbidden::raise_limit(),
    },
    Attempt {
        name: "load_a_bpf_program",
        call: "bpf",
        capability: "CAP_BPF",
        through: &[libc::EINVAL, libc::E2BIG],
        act: |_| forbidden::load_bpf(),
    },
    // What a container may do by default, and what takes that away.
    Attempt {
        name: "write_into_its_root",
        call: "open",
        capability: "",
        // File systems without files that have no name.
        through: &[libc::EOPNOTSUPP, libc::EISDIR],
        act: |_| forbidden::make_a_file(Path::new("/")),
    },
    Attempt {
        name: "give_a_file_away",
        call: "fchown",
        capability: "CAP_CHOWN",
        through: &[],
        act: |_| forbidden::change_owner(Path::new("/dev/shm")),
    },
    Attempt {
        name: "become_another_user",
        call: "setresuid",
        capability: "CAP_SETUID",
        through: &[],
        act: |_| forbidden::become_another_user(),
    },
    Attempt {
        name: "open_a_raw_socket",
        call: "socket",
        capability: "CAP_NET_RAW",
        through: &[],
        act: |_| forbidden::open_raw_socket(),
    },
    // The last: it changes what this process may.
    Attempt {
        name: "be_root_of_a_namespace",
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

/// What goes beyond the limits of the container's control group: names, and the system calls.
pub(crate) const TOO_MANY_PROCESSES: (&str, &str) = ("too_many_processes", "clone");
pub(crate) const TOO_MUCH_MEMORY: (&str, &str) = ("too_much_memory", "mmap");

/// Tries all and prints a line for each: its name and an errno, or the number of the signal that ended it below zero.
pub(crate) fn print(targets: &Targets) {
    if let Some(most) = targets.births {
        println!("{} {}", TOO_MANY_PROCESSES.0, forbidden::bear(most));
    }
    if let Some(bytes) = targets.bytes {
        println!("{} {}", TOO_MUCH_MEMORY.0, forbidden::take_memory(bytes));
    }
    for attempt in ATTEMPTS {
        println!("{} {}", attempt.name, (attempt.act)(targets));
    }
}
