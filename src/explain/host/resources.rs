//! Limits: cgroup v2, what of it is ours, and the systemd that gives it.

use super::Finding;
use crate::container::live::cgroup::{mount_point, user_bus};
use crate::container::live::session;
use crate::container::live::session::Ending;
use crate::explain::proc::read;
use crate::explain::words::{Words, place};
use nix::unistd::AccessFlags;
use std::path::{Path, PathBuf};

const WANTED: [&str; 5] = ["cpu", "memory", "pids", "io", "cpuset"];

const DELEGATE: &str = "sudo mkdir -p /etc/systemd/system/user@.service.d
printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf
sudo systemctl daemon-reload   # then log out and in again";

pub(super) fn examine(words: &Words) -> Vec<Finding> {
    let booted = Path::new("/run/systemd/system").is_dir();
    let mut findings = vec![cgroup(booted, words)];
    if !rustix::process::geteuid().is_root() {
        findings.push(session(booted, words));
    }
    findings
}

fn cgroup(booted: bool, words: &Words) -> Finding {
    let subject = "limits";
    let unified = booted.then(|| words.host_boot_unified.to_owned());
    let Some(mount) = mount_point() else {
        return Finding::note(subject, words.host_no_cgroup_v2, unified);
    };
    if mount != Path::new("/sys/fs/cgroup") {
        return Finding::note(subject, words.host_cgroup_v1, unified);
    }
    let Some(own) = delegated(&mount) else {
        let mend = if booted { words.host_log_in } else { DELEGATE };
        return Finding::note(subject, words.host_no_cgroup_delegated, mend.to_owned());
    };
    let controllers = read(&own.join("cgroup.controllers").display().to_string()).unwrap_or_default();
    let (given, missing): (Vec<&str>, Vec<&str>) =
        WANTED.iter().partition(|wanted| controllers.split_whitespace().any(|given| given == **wanted));
    if missing.is_empty() {
        return Finding::ok(subject, format!("cgroup v2: {}", given.join(" ")));
    }
    let given = if given.is_empty() { words.host_nothing.to_owned() } else { given.join(" ") };
    let found = place(words.host_cgroup_lacks, &[("given", &given), ("missing", &missing.join(" "))]);
    let mend = (booted && !rustix::process::geteuid().is_root()).then(|| DELEGATE.to_owned());
    Finding::note(subject, found, mend)
}

/// The cgroup in which this user may make others: the user manager's, or the topmost writable one that we are in.
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
    let subject = "user session";
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
