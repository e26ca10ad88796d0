//! Kernel, seccomp, the way out, ports, and the disk under the store.

use super::{Finding, read};
use crate::network::egress::{EgressError, Way};
use crate::store::Store;
use crate::sys::tun;

/// The first with all that is used: overlay with user.* attributes in user namespaces (5.11), idmapped `mount_setattr` (5.12).
const OLDEST: (u32, u32) = (5, 12);

/// Less than this is soon full.
const LITTLE_DISK: u64 = 2_000_000_000;

pub fn kernel() -> Finding {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= OLDEST {
        return Finding::ok("kernel", format!("{release} {}", name.machine().to_string_lossy()));
    }
    Finding::lacks("kernel", format!("{release} is too old"), format!("a kernel from {}.{} on", OLDEST.0, OLDEST.1))
}

pub fn seccomp() -> Finding {
    let Some(actions) = read("/proc/sys/kernel/seccomp/actions_avail") else {
        let found = "not in this kernel: containers may use every system call";
        return Finding::note("seccomp", found, "a kernel built with CONFIG_SECCOMP_FILTER".to_owned());
    };
    if actions.split_whitespace().any(|action| action == "user_notif") {
        return Finding::ok("seccomp", "filters, and notifications");
    }
    Finding::note("seccomp", "filters, but no notifications, which a user with one id needs for chown", None)
}

pub fn way_out() -> Finding {
    let subject = "way out";
    match Way::find() {
        Ok(Way::Slirp(program) | Way::Pasta(program)) => {
            Finding::ok(subject, format!("{}, through {}", program.display(), tun::PATH))
        }
        Err(error @ EgressError::NotInstalled) => {
            let found = format!("{error}; published ports work");
            Finding::note(subject, found, "sudo apt-get install slirp4netns".to_owned())
        }
        Err(EgressError::NoTun(error)) if error.errno == libc::EACCES => {
            let found = format!("{} may not be opened by you", tun::PATH);
            Finding::note(subject, found, format!("sudo chmod 666 {}", tun::PATH))
        }
        Err(error) => Finding::note(subject, format!("{error}: no {}", tun::PATH), "sudo modprobe tun".to_owned()),
    }
}

pub fn ports() -> Finding {
    let first: u32 = read("/proc/sys/net/ipv4/ip_unprivileged_port_start").and_then(|n| n.parse().ok()).unwrap_or(1024);
    if first <= 80 || rustix::process::geteuid().is_root() {
        return Finding::ok("ports", "80 and 443 can be published");
    }
    let found = format!("published from {first} on; -p 80:80 is not yours to open");
    Finding::note("ports", found, "sudo sysctl net.ipv4.ip_unprivileged_port_start=80".to_owned())
}

pub fn store(store: &Store) -> Finding {
    let place = store.root.display();
    let found = match rustix::fs::statfs(&store.root) {
        Ok(found) => found,
        Err(error) => return Finding::lacks("store", format!("{place}: {error}"), None),
    };
    let free = found.f_bavail.saturating_mul(found.f_bsize as u64);
    let room = format!("{:.1} GB free", free as f64 / 1e9);
    let elsewhere = "choose a local directory: minirun --root DIR …, or MINIRUN_ROOT=DIR".to_owned();
    // statfs(2); the numbers are 32 bits wide.
    match (file_system(found.f_type as u32), found.f_type as u32) {
        (Some((name, false)), _) => Finding::lacks(
            "store",
            format!("{place} is on {name}, which keeps no files for the ids of containers"),
            elsewhere,
        ),
        _ if free < LITTLE_DISK => {
            Finding::note("store", format!("{place}: only {room}"), "minirun system df shows what is used".to_owned())
        }
        (Some((name, true)), _) => Finding::ok("store", format!("{place}, on {name}, {room}")),
        (None, number) => Finding::ok("store", format!("{place}, on a file system of type {number:#x}, {room}")),
    }
}

/// Name, and whether files may belong to ids that the server or the host does not know.
fn file_system(number: u32) -> Option<(&'static str, bool)> {
    Some(match number {
        0xef53 => ("ext4", true),
        0x5846_5342 => ("xfs", true),
        0x9123_683e => ("btrfs", true),
        0x0102_1994 => ("tmpfs", true),
        0x2fc1_2fc1 => ("zfs", true),
        0xf2f5_2010 => ("f2fs", true),
        0xca45_1a4e => ("bcachefs", true),
        0x794c_7630 => ("overlay", true),
        0x6969 => ("NFS", false),
        0xff53_4d42 | 0xfe53_4d42 => ("SMB", false),
        0x0102_1997 => ("9p", false),
        0x786f_4256 => ("a VirtualBox share", false),
        0x6573_5546 => ("FUSE", false),
        _ => return None,
    })
}
