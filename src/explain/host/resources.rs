//! Limits: cgroup v2, what of it is ours, and the systemd that gives it.

use super::{Finding, read};
use crate::container::cgroup::{mount_point, user_bus};
use crate::container::session::{self, Ending};
use nix::unistd::AccessFlags;
use std::path::{Path, PathBuf};

const WANTED: [&str; 5] = ["cpu", "memory", "pids", "io", "cpuset"];

const DELEGATE: &str = "sudo mkdir -p /etc/systemd/system/user@.service.d
printf '[Service]\\nDelegate=cpu cpuset io memory pids\\n' | sudo tee /etc/systemd/system/user@.service.d/delegate.conf
sudo systemctl daemon-reload   # then log out and in again";

pub fn look() -> Vec<Finding> {
    let booted = Path::new("/run/systemd/system").is_dir();
    let mut findings = vec![cgroup(booted)];
    if !rustix::process::geteuid().is_root() {
        findings.push(session(booted));
    }
    findings
}

fn cgroup(booted: bool) -> Finding {
    let subject = "limits";
    let unlimited = "--memory, --cpus and --pids-limit have no effect";
    let unified =
        booted.then(|| "boot with systemd.unified_cgroup_hierarchy=1 on the kernel's command line".to_owned());
    let Some(mount) = mount_point() else {
        return Finding::note(subject, format!("no cgroup v2: {unlimited}"), unified);
    };
    if mount != Path::new("/sys/fs/cgroup") {
        return Finding::note(subject, format!("cgroup v1 has the controllers: {unlimited}"), unified);
    }
    let Some(own) = delegated(&mount) else {
        let mend = if booted {
            "log in as this user (ssh, machinectl shell), so that a user session starts"
        } else {
            DELEGATE
        };
        return Finding::note(subject, format!("no cgroup is delegated to you: {unlimited}"), mend.to_owned());
    };
    let controllers = read(&own.join("cgroup.controllers").display().to_string()).unwrap_or_default();
    let (given, missing): (Vec<&str>, Vec<&str>) =
        WANTED.iter().partition(|wanted| controllers.split_whitespace().any(|given| given == **wanted));
    if missing.is_empty() {
        return Finding::ok(subject, format!("cgroup v2: {}", given.join(" ")));
    }
    let given = if given.is_empty() { "nothing".to_owned() } else { given.join(" ") };
    let mend = (booted && !rustix::process::geteuid().is_root()).then(|| DELEGATE.to_owned());
    Finding::note(subject, format!("cgroup v2 gives {given}, not {}", missing.join(" ")), mend)
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

fn session(booted: bool) -> Finding {
    let subject = "user session";
    let uid = rustix::process::geteuid().as_raw();
    if !booted {
        return Finding::note(subject, "no systemd on this host: limits need a cgroup delegated by hand", None);
    }
    let linger = format!("sudo {}", Ending::WithLastSession.mend());
    if user_bus().is_none() {
        return Finding::note(subject, "the user's systemd does not answer, and limits are asked of it", linger);
    }
    if session::kills(uid) {
        let found = "logind ends what a session leaves behind, containers too (KillUserProcesses=yes in logind.conf)";
        return Finding::note(subject, found, Ending::WithEachSession.mend());
    }
    if !session::lingers(uid) {
        let found = "the user's systemd answers; it ends at the last log-out, and containers that have limits with it";
        return Finding::note(subject, found, linger);
    }
    Finding::ok(subject, "the user's systemd answers, and lingers after the last log-out")
}
