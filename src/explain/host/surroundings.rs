//! Kernel, seccomp, the outgoing network, ports, and the disk of the store.

use super::finding::{Finding, Subject};
use crate::explain::proc::read;
use crate::explain::words::{Words, place};
use crate::network::CONTAINER;
use crate::network::egress::{EgressError, Way, WayOut};
use crate::store::Store;
use crate::sys::tun;

/// The first kernel with all features in use: overlay with user.* attributes in user namespaces (5.11), idmapped
/// `mount_setattr` (5.12).
const OLDEST: (u32, u32) = (5, 12);

/// Less free space than this gets a note.
const LITTLE_DISK: u64 = 2_000_000_000;

pub(super) fn kernel(words: &Words) -> Finding {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy().into_owned();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version >= OLDEST {
        return Finding::ok(Subject::Kernel, format!("{release} {}", name.machine().to_string_lossy()));
    }
    let oldest = format!("{}.{}", OLDEST.0, OLDEST.1);
    let found = place(words.host_kernel_too_old, &[("release", &release)]);
    Finding::lacks(Subject::Kernel, found, place(words.host_kernel_from, &[("oldest", &oldest)]))
}

pub(super) fn seccomp(words: &Words) -> Finding {
    let Some(actions) = read("/proc/sys/kernel/seccomp/actions_avail") else {
        return Finding::note(Subject::Seccomp, words.host_no_seccomp, words.host_kernel_with_seccomp.to_owned());
    };
    if actions.split_whitespace().any(|action| action == "user_notif") {
        return Finding::ok(Subject::Seccomp, words.host_seccomp);
    }
    Finding::note(Subject::Seccomp, words.host_seccomp_without_notifications, None)
}

pub(super) fn outgoing_network(words: &Words) -> Finding {
    let subject = Subject::OutgoingNetwork;
    match Way::find(&WayOut::default(), CONTAINER) {
        Ok(_) => Finding::ok(subject, place(words.host_way_out, &[("device", tun::PATH)])),
        Err(EgressError::NoTun(error)) if error.errno == libc::EACCES => {
            let found = place(words.host_may_not_open, &[("device", tun::PATH)]);
            Finding::note(subject, found, format!("sudo chmod 666 {}", tun::PATH))
        }
        Err(_) => {
            let found = place(words.host_no_device, &[("device", tun::PATH)]);
            Finding::note(subject, found, "sudo modprobe tun".to_owned())
        }
    }
}

pub(super) fn ports(words: &Words) -> Finding {
    let first: u32 = read("/proc/sys/net/ipv4/ip_unprivileged_port_start").and_then(|n| n.parse().ok()).unwrap_or(1024);
    if first <= 80 || rustix::process::geteuid().is_root() {
        return Finding::ok(Subject::Ports, words.host_low_ports);
    }
    let found = place(words.host_ports_from, &[("first", &first.to_string())]);
    Finding::note(Subject::Ports, found, "sudo sysctl net.ipv4.ip_unprivileged_port_start=80".to_owned())
}

pub(super) fn store(store: &Store, words: &Words) -> Finding {
    let root = store.root.display().to_string();
    let found = match rustix::fs::statfs(&store.root) {
        Ok(found) => found,
        Err(error) => return Finding::lacks(Subject::Store, format!("{root}: {error}"), None),
    };
    let free = found.f_bavail.saturating_mul(found.f_bsize as u64);
    let free_gb = format!("{:.1}", free as f64 / 1e9);
    let said = |text, kind: &str| place(text, &[("place", &root), ("kind", kind), ("free", &free_gb)]);
    // statfs(2); the numbers are 32 bits wide.
    match (file_system(found.f_type as u32), found.f_type as u32) {
        (Some((name, false)), _) => {
            Finding::lacks(Subject::Store, said(words.host_store_without_ids, name), words.host_choose_store.to_owned())
        }
        _ if free < LITTLE_DISK => {
            Finding::note(Subject::Store, said(words.host_little_room, ""), words.host_see_usage.to_owned())
        }
        (Some((name, true)), _) => Finding::ok(Subject::Store, said(words.host_store, name)),
        (None, number) => Finding::ok(Subject::Store, said(words.host_store_of_type, &format!("{number:#x}"))),
    }
}

/// Returns a file system's name, and whether its files can belong to any ID.
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
