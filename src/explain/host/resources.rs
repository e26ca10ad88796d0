//! Limits: cgroup v2, what of it this user may use, and the systemd that delegates it.

use super::finding::{Finding, Subject};
use crate::container::live::cgroup::{mount_point, user_bus};
use crate::container::live::session;
use crate::container::live::session::Ending;
use crate::explain::proc::read;
use crate::explain::words::{Words, place};
use nix::unistd::AccessFlags;
use std::path::{Path, PathBuf};

const WANTED: [&str; 5] = ["cpu", "memory", "pids", "io", "cpuset"];

const MOUNT: &str = "sudo mkdir -p /sys/fs/cgroup && sudo mount -t cgroup2 cgroup2 /sys/fs/cgroup";

/// Returns the commands that let systemd delegate controllers to its users.
fn delegate_by_systemd(words: &Words) -> String {
    format!(
        "sudo mkdir -p /etc/systemd/system/user@.service.d\n\
         printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | \
         sudo tee /etc/systemd/system/user@.service.d/delegate.conf\n\
         sudo systemctl daemon-reload   # {}",
        words.host_then_log_in_again
    )
}

/// Returns the commands that do by hand what systemd does at log-in (kernel documentation, "Control Group v2",
/// "Delegation"). Processes stand in a child group, since a group that is divided holds none itself.
fn delegate_by_hand(mount: &Path, words: &Words) -> String {
    let uid = rustix::process::geteuid().as_raw();
    let (mount, group) = (mount.display(), mount.join(format!("user-{uid}")).display().to_string());
    format!(
        "sudo mkdir -p {group}/shell\n\
         for c in cpu cpuset io memory pids; do echo +$c | sudo tee {mount}/cgroup.subtree_control; done\n\
         for f in '' cgroup.procs cgroup.subtree_control shell shell/cgroup.procs; do \
         sudo chown {uid} {group}/$f; done\n\
         echo $$ | sudo tee {group}/shell/cgroup.procs   # {}",
        words.host_in_each_shell
    )
}

pub(super) fn examine(words: &Words) -> Vec<Finding> {
    let booted = Path::new("/run/systemd/system").is_dir();
    let mut findings = vec![cgroup(booted, words)];
    if !rustix::process::geteuid().is_root() {
        findings.push(session(booted, words));
    }
    findings
}

fn cgroup(booted: bool, words: &Words) -> Finding {
    let subject = Subject::Limits;
    let unified = || if booted { words.host_boot_unified } else { words.host_boot_unified_without_systemd }.to_owned();
    let Some(mount) = mount_point() else {
        let has_v1 = read("/proc/self/cgroup").is_some_and(|groups| !groups.is_empty());
        let is_known = read("/proc/filesystems").is_some_and(|types| types.contains("cgroup2"));
        let mend = if has_v1 { Some(unified()) } else { is_known.then(|| MOUNT.to_owned()) };
        return Finding::note(subject, words.host_no_cgroup_v2, mend);
    };
    if mount != Path::new("/sys/fs/cgroup") {
        return Finding::note(subject, words.host_cgroup_v1, unified());
    }
    let is_root = rustix::process::geteuid().is_root();
    let Some(own) = delegated(&mount) else {
        let mend = match booted {
            // Its cgroup file system is read-only.
            _ if is_root => None,
            true => Some(words.host_log_in.to_owned()),
            false => Some(delegate_by_hand(&mount, words)),
        };
        return Finding::note(subject, words.host_no_cgroup_delegated, mend);
    };
    let controllers = read(&own.join("cgroup.controllers").display().to_string()).unwrap_or_default();
    let (given, missing): (Vec<&str>, Vec<&str>) =
        WANTED.iter().partition(|wanted| controllers.split_whitespace().any(|given| given == **wanted));
    if missing.is_empty() {
        return Finding::ok(subject, format!("cgroup v2: {}", given.join(" ")));
    }
    let given = if given.is_empty() { words.host_nothing.to_owned() } else { given.join(" ") };
    let found = place(words.host_cgroup_lacks, &[("given", &given), ("missing", &missing.join(" "))]);
    let delegate = || if booted { delegate_by_systemd(words) } else { delegate_by_hand(&mount, words) };
    let mend = (!is_root).then(delegate);
    Finding::note(subject, found, mend)
}

/// Returns the cgroup in which this user may make others: the user manager's, or the topmost writable one above this process.
fn delegated(mount: &Path) -> Option<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let manager = mount.join(format!("user.slice/user-{uid}.slice/user@{uid}.service"));
    if uid != 0 && manager.is_dir() {
        return Some(manager);
    }
    let own = read("/proc/self/cgroup")?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let ours = |directory: &&Path| nix::unistd::access(&directory.join("cgroup.procs"), AccessFlags::W_OK).is_ok();
    let place = mount.join(path);
    place.ancestors().take_while(|directory| directory.starts_with(mount)).take_while(ours).last().map(Path::to_owned)
}

fn session(booted: bool, words: &Words) -> Finding {
    let subject = Subject::UserSession;
    let uid = rustix::process::geteuid().as_raw();
    if !booted {
        return Finding::note(subject, words.host_no_systemd, None);
    }
    let linger = format!("sudo {}", Ending::WithLastSession.mend());
    if user_bus().is_none() {
        return Finding::note(subject, words.host_no_user_systemd, linger);
    }
    if session::kills(uid) {
        return Finding::note(subject, words.host_logind_kills, Ending::WithEachSession.mend());
    }
    if !session::lingers(uid) {
        return Finding::note(subject, words.host_no_linger, linger);
    }
    Finding::ok(subject, words.host_lingers)
}
