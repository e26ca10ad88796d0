//! Namespaces, a new /proc, overlay, and devices of networks: what is tried in a child.

use super::finding::{Finding, Subject};
use super::refusal::{self, HostSigns};
use crate::container::rootfs::layering::Layering;
use crate::explain::words::{Words, place};
use crate::store::Store;
use crate::sys::netlink::{Batch, Device};
use crate::sys::process::{self, Fork};
use crate::sys::{On, SysError};
use crate::userns::attempt::{Refusal, attempt, enter_namespaces};
use rustix::mount::{MountFlags, mount};
use std::fs::File;
use std::os::fd::AsFd;

const KINDS: [(&str, i32); 6] = [
    ("mount", libc::CLONE_NEWNS),
    ("pid", libc::CLONE_NEWPID),
    ("net", libc::CLONE_NEWNET),
    ("uts", libc::CLONE_NEWUTS),
    ("ipc", libc::CLONE_NEWIPC),
    ("cgroup", libc::CLONE_NEWCGROUP),
];

pub(super) fn examine(words: &Words) -> Vec<Finding> {
    let subject = Subject::UserNamespace;
    // Some hosts allow the namespace, but no privileges in it: only using it shows that.
    if let Err(refusal) = attempt(|| enter_namespaces(libc::CLONE_NEWNS)) {
        let (found, mend) = refusal::explain(&refusal, &HostSigns::of_this_host(), words);
        return vec![Finding::lacks(subject, found, mend)];
    }
    let user = Finding::ok(subject, words.host_namespace_used);
    let refused: Vec<(&str, Refusal)> =
        KINDS.iter().filter_map(|(name, kind)| Some((*name, attempt(|| enter_namespaces(*kind)).err()?))).collect();
    let subject = Subject::Namespaces;
    let others = if refused.is_empty() {
        Finding::ok(subject, KINDS.map(|(name, _)| name).join(" "))
    } else {
        let named: Vec<String> = refused.iter().map(|(name, refusal)| format!("{name}: {}", refusal.what)).collect();
        Finding::lacks(subject, named.join("; "), words.host_kernel_with_namespaces.to_owned())
    };
    vec![user, others]
}

/// Mounts a new /proc, which the kernel refuses where an outer container masks parts of its own.
pub(super) fn proc(words: &Words) -> Finding {
    let tried = attempt(|| {
        enter_namespaces(libc::CLONE_NEWNS | libc::CLONE_NEWPID)?;
        // Only children enter the new PID namespace.
        match process::fork()? {
            Fork::Child => {
                let mounted = mount("proc", "/proc", "proc", MountFlags::empty(), None).on("mount", "/proc");
                process::exit_now(mounted.map_or_else(|error| error.errno, |()| 0))
            }
            Fork::Parent(child) => match process::wait(child)? {
                0 => Ok(()),
                errno => Err(SysError { call: "mount", subject: "/proc".into(), errno }),
            },
        }
    });
    match tried {
        Ok(()) => Finding::ok(Subject::Proc, words.host_proc),
        Err(refusal) if refusal.errno == libc::EPERM => Finding::lacks(
            Subject::Proc,
            words.host_no_proc,
            place(words.host_start_with, &[("option", "systempaths=unconfined")]),
        ),
        Err(refusal) => Finding::lacks(Subject::Proc, refusal.what, None),
    }
}

/// Makes what networks are made of: a pair of devices, and a bridge.
pub(super) fn networks(words: &Words) -> Finding {
    let subject = Subject::Networks;
    let device = |name: &str| Device { name: name.into(), hardware: None };
    let pair = attempt(|| {
        enter_namespaces(libc::CLONE_NEWNET)?;
        let own = File::open("/proc/self/ns/net").on("open", "/proc/self/ns/net")?;
        let mut batch = Batch::default();
        batch.add_pair(&device("one"), &device("other"), own.as_fd());
        batch.send()
    });
    if let Err(refusal) = pair {
        let found = place(words.host_no_pairs, &[("error", &refusal.what)]);
        return Finding::note(subject, found, "sudo modprobe veth".to_owned());
    }
    let bridge = attempt(|| {
        enter_namespaces(libc::CLONE_NEWNET)?;
        let mut batch = Batch::default();
        batch.add_bridge(&device("bridge"));
        batch.send()
    });
    match bridge {
        Ok(()) => Finding::ok(subject, words.host_networks),
        Err(refusal) => {
            let found = place(words.host_no_bridge, &[("error", &refusal.what)]);
            Finding::note(subject, found, "sudo modprobe bridge".to_owned())
        }
    }
}

pub(super) fn overlay(store: &Store, words: &Words) -> Finding {
    let subject = Subject::Overlay;
    let remembered = Layering::remembered(store);
    match (Layering::probe(store), remembered) {
        (None, _) => Finding::lacks(subject, words.host_no_room, None),
        (Some(Ok(())), None) => Finding::ok(subject, words.host_overlay),
        (Some(Ok(())), Some(_)) => {
            Layering::take_back(store);
            Finding::ok(subject, words.host_overlay_again)
        }
        (Some(Err(refusal)), remembered) => {
            let instead = match remembered {
                Some(Layering::Fuse) => words.host_by_fuse,
                Some(_) => words.host_by_copy,
                None => words.host_by_either,
            };
            let found = place(words.host_no_overlay, &[("error", &refusal.what), ("instead", instead)]);
            Finding::note(subject, found, words.host_mend_overlay.to_owned())
        }
    }
}
