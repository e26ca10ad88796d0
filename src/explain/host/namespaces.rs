//! Namespaces, a new /proc and overlay: the ground a container stands on.

use super::Finding;
use super::attempt::{Refusal, attempt, enter_namespaces};
use super::refusal::{self, Signs};
use crate::explain::words::{Words, place};
use crate::store::Store;
use crate::sys::process::{self, Fork};
use crate::sys::{On, SysError};
use rustix::mount::{MountFlags, mount};
use std::ffi::CString;
use std::fs;
use std::path::Path;

const KINDS: [(&str, i32); 6] = [
    ("mount", libc::CLONE_NEWNS),
    ("pid", libc::CLONE_NEWPID),
    ("net", libc::CLONE_NEWNET),
    ("uts", libc::CLONE_NEWUTS),
    ("ipc", libc::CLONE_NEWIPC),
    ("cgroup", libc::CLONE_NEWCGROUP),
];

pub fn look(words: &Words) -> Vec<Finding> {
    let subject = "user namespace";
    // Some hosts let it be made and then give it no power: only using it shows.
    if let Err(refusal) = attempt(|| enter_namespaces(libc::CLONE_NEWNS)) {
        let (found, mend) = refusal::explain(&refusal, &Signs::of_this_host(), words);
        return vec![Finding::lacks(subject, found, mend)];
    }
    let user = Finding::ok(subject, words.host_namespace_used);
    let refused: Vec<(&str, Refusal)> =
        KINDS.iter().filter_map(|(name, kind)| Some((*name, attempt(|| enter_namespaces(*kind)).err()?))).collect();
    let subject = "namespaces";
    let others = if refused.is_empty() {
        Finding::ok(subject, KINDS.map(|(name, _)| name).join(" "))
    } else {
        let named: Vec<String> = refused.iter().map(|(name, refusal)| format!("{name}: {}", refusal.what)).collect();
        Finding::lacks(subject, named.join("; "), words.host_kernel_with_namespaces.to_owned())
    };
    vec![user, others]
}

/// Where an outer container hides parts of /proc, the kernel lets nobody mount a whole one.
pub fn proc(words: &Words) -> Finding {
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
        Ok(()) => Finding::ok("/proc", words.host_proc),
        Err(refusal) if refusal.errno == libc::EPERM => Finding::lacks(
            "/proc",
            words.host_no_proc,
            place(words.host_start_with, &[("option", "systempaths=unconfined")]),
        ),
        Err(refusal) => Finding::lacks("/proc", refusal.what, None),
    }
}

pub fn overlay(store: &Store, words: &Words) -> Finding {
    let subject = "overlay";
    let scratch = match store.scratch() {
        Ok(scratch) => scratch,
        Err(error) => {
            return Finding::lacks(subject, place(words.host_not_tried, &[("error", &error.to_string())]), None);
        }
    };
    match attempt(|| mount_overlay(scratch.path())) {
        Ok(()) => Finding::ok(subject, words.host_overlay),
        Err(refusal) => Finding::note(
            subject,
            place(words.host_no_overlay, &[("error", &refusal.what)]),
            words.host_mend_overlay.to_owned(),
        ),
    }
}

fn mount_overlay(directory: &Path) -> Result<(), SysError> {
    enter_namespaces(libc::CLONE_NEWNS)?;
    let at = |name: &str| directory.join(name).display().to_string();
    for name in ["lower", "upper", "work", "merged"] {
        fs::create_dir(directory.join(name)).on("mkdir", at(name))?;
    }
    let options = format!("lowerdir={},upperdir={},workdir={},userxattr", at("lower"), at("upper"), at("work"));
    let options = CString::new(options).unwrap_or_default();
    mount("overlay", at("merged"), "overlay", MountFlags::empty(), options.as_c_str()).on("mount", "overlay")?;
    let file = at("merged/file");
    fs::write(&file, "").on("write", file)
}
