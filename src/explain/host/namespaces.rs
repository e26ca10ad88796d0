//! Namespaces, a new /proc and overlay: the ground a container stands on.

use super::Finding;
use super::refusal::{self, Signs};
use crate::container::layering::Layering;
use crate::container::plan::WHOLE_PROC;
use crate::store::Store;
use crate::sys::process::{self, Fork};
use crate::sys::{On, SysError};
use crate::userns::attempt::{Refusal, attempt, enter_namespaces};
use rustix::mount::{MountFlags, mount};

const KINDS: [(&str, i32); 6] = [
    ("mount", libc::CLONE_NEWNS),
    ("pid", libc::CLONE_NEWPID),
    ("net", libc::CLONE_NEWNET),
    ("uts", libc::CLONE_NEWUTS),
    ("ipc", libc::CLONE_NEWIPC),
    ("cgroup", libc::CLONE_NEWCGROUP),
];

pub fn look() -> Vec<Finding> {
    let subject = "user namespace";
    // Some hosts let it be made and then give it no power: only using it shows.
    if let Err(refusal) = attempt(|| enter_namespaces(libc::CLONE_NEWNS)) {
        let (found, mend) = refusal::explain(&refusal, &Signs::of_this_host());
        return vec![Finding::lacks(subject, found, mend)];
    }
    let user = Finding::ok(subject, "made and used, in a child");
    let refused: Vec<(&str, Refusal)> =
        KINDS.iter().filter_map(|(name, kind)| Some((*name, attempt(|| enter_namespaces(*kind)).err()?))).collect();
    let subject = "namespaces";
    let others = if refused.is_empty() {
        Finding::ok(subject, KINDS.map(|(name, _)| name).join(" "))
    } else {
        let named: Vec<String> = refused.iter().map(|(name, refusal)| format!("{name}: {}", refusal.what)).collect();
        Finding::lacks(subject, named.join("; "), "a kernel built with CONFIG_NAMESPACES and all its kinds".to_owned())
    };
    vec![user, others]
}

/// Where an outer container hides parts of /proc, the kernel lets nobody mount a whole one.
pub fn proc() -> Finding {
    let tried = attempt(|| {
        enter_namespaces(libc::CLONE_NEWNS | libc::CLONE_NEWPID)?;
        // The new pid namespace is the children's.
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
        Ok(()) => Finding::ok("/proc", "a new one can be mounted"),
        Err(refusal) if refusal.errno == libc::EPERM => Finding::lacks(
            "/proc",
            "no new one can be mounted, as in a container of another engine that hides parts of its own",
            WHOLE_PROC.to_owned(),
        ),
        Err(refusal) => Finding::lacks("/proc", refusal.what, None),
    }
}

pub fn overlay(store: &Store) -> Finding {
    let subject = "overlay";
    let remembered = Layering::remembered(store);
    match (Layering::probe(store), remembered) {
        (None, _) => Finding::lacks(subject, "not tried: nothing can be made in the store", None),
        (Some(Ok(())), None) => Finding::ok(subject, "mounted in a user namespace"),
        (Some(Ok(())), Some(_)) => {
            Layering::take_back(store);
            Finding::ok(subject, "mounted in a user namespace; that this store did without is forgotten")
        }
        (Some(Err(refusal)), remembered) => {
            let instead = match remembered {
                Some(Layering::Fuse) => "fuse-overlayfs lays the layers instead, more slowly",
                Some(_) => "each container gets a copy of its image instead, which costs time and disk",
                None => {
                    "fuse-overlayfs will do it instead if it is there, else each container gets a copy of its image"
                }
            };
            Finding::note(
                subject,
                format!("{}; {instead}", refusal.what),
                "a kernel from 5.11 on, or the store on ext4, xfs or btrfs: minirun --root DIR …".to_owned(),
            )
        }
    }
}
