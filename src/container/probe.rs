//! Forbidden operations that `probe` tries inside a container.

use crate::sys::forbidden;
use caps::Capability;
use serde::{Deserialize, Serialize};
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

/// An operation.
pub(crate) struct Attempt {
    pub name: &'static str,
    /// The system call.
    pub call: &'static str,
    /// The capability that allows it, if one does.
    pub capability: Option<Capability>,
    /// Errnos of a kernel that would have done it: the arguments are invalid, so that it does no harm.
    pub through: &'static [i32],
    act: fn(&Targets) -> i32,
}

pub(crate) const REBOOT: &str = "reboot";

/// In the order in which they are tried.
pub(crate) const ATTEMPTS: &[Attempt] = &[
    Attempt {
        name: "load_a_module",
        call: "init_module",
        capability: Some(Capability::CAP_SYS_MODULE),
        through: &[libc::ENOEXEC, libc::EFAULT, libc::EINVAL],
        act: |_| forbidden::load_module(),
    },
    Attempt {
        name: "boot_another_kernel",
        call: "kexec_load",
        capability: Some(Capability::CAP_SYS_BOOT),
        through: &[libc::EINVAL],
        act: |_| forbidden::load_kernel(),
    },
    Attempt {
        name: REBOOT,
        call: "reboot",
        capability: Some(Capability::CAP_SYS_BOOT),
        through: &[libc::EINVAL],
        act: |_| forbidden::reboot(),
    },
    Attempt {
        name: "set_the_clock",
        call: "clock_settime",
        capability: Some(Capability::CAP_SYS_TIME),
        through: &[],
        act: |_| forbidden::set_clock(),
    },
    Attempt {
        name: "mount",
        call: "mount",
        capability: Some(Capability::CAP_SYS_ADMIN),
        through: &[],
        act: |_| forbidden::mount(Path::new("/dev/shm")),
    },
    Attempt {
        name: "make_a_device",
        call: "mknod",
        capability: Some(Capability::CAP_MKNOD),
        through: &[],
        act: |_| forbidden::make_device(Path::new("/dev/shm/minirun-probe")),
    },
    Attempt {
        name: "open_a_disk",
        call: "open",
        capability: None,
        through: &[],
        act: |targets| forbidden::read_a_byte(&targets.disk),
    },
    Attempt {
        name: "signal_a_host_process",
        call: "kill",
        capability: None,
        through: &[],
        act: |targets| forbidden::signal(targets.process),
    },
    Attempt {
        name: "write_into_a_layer",
        call: "open",
        capability: None,
        through: &[],
        act: |targets| forbidden::open_for_writing(&targets.layer),
    },
    Attempt {
        name: "set_a_kernel_parameter",
        call: "open",
        capability: None,
        through: &[],
        act: |_| forbidden::open_for_writing(Path::new("/proc/sys/kernel/core_pattern")),
    },
    Attempt {
        name: "see_the_interrupts",
        call: "read",
        capability: None,
        through: &[],
        act: |_| forbidden::read_a_byte(Path::new("/proc/interrupts")),
    },
    Attempt {
        name: "change_its_network",
        call: "sendto",
        capability: Some(Capability::CAP_NET_ADMIN),
        through: &[],
        act: |_| forbidden::change_network(),
    },
    Attempt {
        name: "raise_a_limit",
        call: "setrlimit",
        capability: Some(Capability::CAP_SYS_RESOURCE),
        through: &[],
        act: |_| forbidden::raise_limit(),
    },
    Attempt {
        name: "load_a_bpf_program",
        call: "bpf",
        capability: Some(Capability::CAP_BPF),
        through: &[libc::EINVAL, libc::E2BIG],
        act: |_| forbidden::load_bpf(),
    },
    // What a container may do by default, and what takes that away.
    Attempt {
        name: "write_into_its_root",
        call: "open",
        capability: None,
        // File systems without files that have no name.
        through: &[libc::EOPNOTSUPP, libc::EISDIR],
        act: |_| forbidden::make_a_file(Path::new("/")),
    },
    Attempt {
        name: "give_a_file_away",
        call: "fchown",
        capability: Some(Capability::CAP_CHOWN),
        through: &[],
        act: |_| forbidden::change_owner(Path::new("/dev/shm")),
    },
    Attempt {
        name: "become_another_user",
        call: "setresuid",
        capability: Some(Capability::CAP_SETUID),
        through: &[],
        act: |_| forbidden::become_another_user(),
    },
    Attempt {
        name: "open_a_raw_socket",
        call: "socket",
        capability: Some(Capability::CAP_NET_RAW),
        through: &[],
        act: |_| forbidden::open_raw_socket(),
    },
    // The last: it changes what this process may.
    Attempt {
        name: "be_root_of_a_namespace",
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

/// The attempts to exceed the limits of the control group: name and system call.
pub(crate) const TOO_MANY_PROCESSES: (&str, &str) = ("too_many_processes", "clone");
pub(crate) const TOO_MUCH_MEMORY: (&str, &str) = ("too_much_memory", "mmap");

/// Tries all and prints a line for each: its name and an errno, or the negative number of the signal that ended it.
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
