//! Limits: a control group of its own for a container that has any (kernel: Documentation/admin-guide/cgroup-v2.rst).
//!
//! A group is made only when a limit needs it, because systemd takes milliseconds to make one. systemd makes it as a scope
//! that is delegated to the user, asked over D-Bus; without systemd, it is made in the nearest group above our own that may
//! be divided.

use crate::container::request::Limits;
use crate::container::request::id::ContainerId;
use crate::sys::{On, SysError};
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The group of a container, and notes on limits that have no effect on this host.
pub(crate) struct Placed {
    pub group: Option<PathBuf>,
    pub notes: Vec<String>,
}

/// Makes the group of container `id`, whose monitor is process `monitor`.
pub(crate) fn place(limits: &Limits, id: &ContainerId, monitor: i32) -> Placed {
    let mut placed = Placed { group: None, notes: Vec::new() };
    let wanted = limits.flags();
    if wanted.is_empty() {
        return placed;
    }
    let Some(mount) = mount_point() else {
        let remedy = if has_systemd() { "boot it with systemd.unified_cgroup_hierarchy=1" } else { DOCTOR };
        placed.notes.push(format!("limits have no effect: this host has no cgroup v2; {remedy}"));
        return placed;
    };
    let parent = match scope(&mount, id, monitor) {
        Some(scope) => Some(scope),
        None => own_ground(&mount, &wanted),
    };
    let given = parent.as_ref().map(|p| words(&p.join("cgroup.controllers"))).unwrap_or_default();
    let is_given = |controller: &str| given.iter().any(|given| given == controller);
    let (usable, refused): (Vec<_>, Vec<_>) = wanted.into_iter().partition(|(_, controller)| is_given(controller));
    placed.notes.extend(refusal(&refused));
    let Some(parent) = parent.filter(|_| !usable.is_empty()) else { return placed };
    let mut enable: Vec<String> = usable.iter().map(|(_, controller)| format!("+{controller}")).collect();
    enable.dedup();
    match divide(&parent, id, &enable) {
        Ok(group) => {
            if limits.io_weight.is_some() && is_given("io") && !group.join(WEIGHT).exists() {
                placed.notes.push("--blkio-weight has no effect: this kernel does not weigh disk time".into());
            }
            placed.group = Some(group);
        }
        Err(error) => placed.notes.push(format!("limits have no effect: {error}")),
    }
    placed
}

/// Sets the limits of a group whose container runs. Returns notes on those that the host does not give.
pub(crate) fn change(
    group: &Path,
    limits: &Limits,
    settings: &[(&'static str, String)],
) -> Result<Vec<String>, SysError> {
    let has_files = |controller: &str| {
        settings.iter().any(|(file, _)| file.starts_with(&format!("{controller}.")) && group.join(file).exists())
    };
    let mut refused = limits.flags();
    for (_, controller) in &refused {
        if let Some(parent) = group.parent().filter(|_| !has_files(controller)) {
            let _ = fs::write(parent.join("cgroup.subtree_control"), format!("+{controller}"));
        }
    }
    refused.retain(|(_, controller)| !has_files(controller));
    for (file, value) in settings {
        let path = group.join(file);
        if path.exists() {
            fs::write(&path, value).on("write", &path)?;
        }
    }
    Ok(refusal(&refused).into_iter().collect())
}

/// The file of `--blkio-weight`, which only a kernel with CONFIG_BLK_CGROUP_IOCOST has.
const WEIGHT: &str = "io.weight";

/// Returns one sentence for all flags whose controllers this user is not given.
fn refusal(refused: &[(&str, &str)]) -> Option<String> {
    let flags: Vec<&str> = refused.iter().map(|(flag, _)| *flag).collect();
    let mut controllers: Vec<&str> = refused.iter().map(|(_, controller)| *controller).collect();
    controllers.dedup();
    let verb = if flags.len() == 1 { "has" } else { "have" };
    let noun = if controllers.len() == 1 { "controller" } else { "controllers" };
    (!flags.is_empty()).then(|| {
        format!(
            "{} {verb} no effect: this host does not give you the {noun} {}; {DOCTOR}",
            flags.join(", "),
            controllers.join(", ")
        )
    })
}

/// What helps without systemd is several commands, which `doctor` prints.
const DOCTOR: &str = "see what to type: minirun doctor";

fn has_systemd() -> bool {
    Path::new("/run/systemd/system").exists()
}

/// Returns the mount point of cgroup v2, alone or beside the older controllers.
pub(crate) fn mount_point() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().find_map(|line| {
        let (head, tail) = line.split_once(" - ")?;
        tail.starts_with("cgroup2 ").then(|| head.split(' ').nth(4).map(PathBuf::from)).flatten()
    })
}

/// Returns the group of a process.
pub(crate) fn group_of(pid: i32) -> Option<String> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    groups.lines().find_map(|l| l.strip_prefix("0::")).map(str::to_owned)
}

fn words(file: &Path) -> Vec<String> {
    fs::read_to_string(file).unwrap_or_default().split_whitespace().map(str::to_owned).collect()
}

/// Asks systemd, the user's own or root's, to put the monitor into a new scope that is delegated to us.
fn scope(mount: &Path, id: &ContainerId, monitor: i32) -> Option<PathBuf> {
    if !has_systemd() {
        return None;
    }
    let unit = format!("minirun-{}.scope", id.short());
    let (description, monitor_pid) = (format!("minirun container {}", id.short()), monitor.to_string());
    let mut method = vec!["StartTransientUnit", "ssa(sv)a(sa(sv))", &unit, "fail", "4"];
    method.extend(["Description", "s", &description]);
    method.extend(["PIDs", "au", "1", &monitor_pid]);
    method.extend(["Delegate", "b", "true"]);
    method.extend(["CollectMode", "s", "inactive-or-failed"]);
    method.push("0");
    if !call_systemd(&method) {
        return None;
    }
    // The answer is a job that systemd has yet to do, which takes it long on a machine that is busy.
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        let group = group_of(monitor)?;
        if group.ends_with(&unit) {
            let scope = mount.join(group.trim_start_matches('/'));
            // A group that hands controllers on may hold no process itself.
            let own = scope.join("monitor");
            fs::create_dir(&own).ok()?;
            fs::write(own.join("cgroup.procs"), monitor.to_string()).ok()?;
            return Some(scope);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    None
}

/// Lets process `monitor` start others in `group`, the group of another monitor's container: from outside a scope, nobody
/// but systemd may move a process into it. Returns whether that succeeded.
pub(crate) fn admit(group: &str, monitor: i32) -> bool {
    let Some((unit, _)) =
        Path::new(group).parent().and_then(Path::file_name).and_then(|u| u.to_str()?.rsplit_once(".scope"))
    else {
        return true;
    };
    let unit = format!("{unit}.scope");
    let arguments = ["AttachProcessesToUnit", "ssau", &unit, "/monitor", "1", &monitor.to_string()];
    call_systemd(&arguments) && group_of(monitor).is_some_and(|g| g.contains(&unit))
}

/// Calls systemd's manager, the user's own or root's. Returns whether that succeeded.
fn call_systemd(arguments: &[&str]) -> bool {
    let Some(busctl) = crate::userns::program("busctl") else { return false };
    let manager = ["org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager"];
    let mut command = Command::new(busctl);
    if crate::userns::uid_outside() == 0 {
        command.arg("--system");
    } else {
        let Some(bus) = user_bus() else { return false };
        command.arg("--user").env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", bus.display()));
    }
    command.args(["--quiet", "call"]).args(manager).args(arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Returns the bus of the user's own systemd: the one of the session, or else logind's.
pub(crate) fn user_bus() -> Option<PathBuf> {
    let logind = PathBuf::from(format!("/run/user/{}", crate::userns::uid_outside()));
    let session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let mut buses = session.into_iter().chain([logind]).map(|directory| directory.join("bus"));
    buses.find(|bus| UnixStream::connect(bus).is_ok())
}

/// Returns the nearest group above our own that may be divided by the controllers wanted.
fn own_ground(mount: &Path, wanted: &[(&str, &str)]) -> Option<PathBuf> {
    let own = mount.join(group_of(own_pid())?.trim_start_matches('/'));
    let above = own.ancestors().take_while(|g| g.starts_with(mount)).map(Path::to_owned);
    above.into_iter().find(|group| {
        let file = group.join("cgroup.subtree_control");
        let given = words(&group.join("cgroup.controllers"));
        let writable = rustix::fs::access(&file, rustix::fs::Access::WRITE_OK).is_ok();
        // The root may hold processes and be divided all the same; no other group may.
        let may_divide = group == mount || words(&group.join("cgroup.procs")).is_empty() || !words(&file).is_empty();
        writable && may_divide && wanted.iter().any(|(_, c)| given.iter().any(|g| g == c))
    })
}

fn own_pid() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

fn divide(parent: &Path, id: &ContainerId, enable: &[String]) -> Result<PathBuf, SysError> {
    let control = parent.join("cgroup.subtree_control");
    for controller in enable {
        fs::write(&control, controller).on("write", &control)?;
    }
    let group = parent.join(format!("minirun-{}", id.short()));
    match fs::create_dir(&group) {
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
        other => other.on("mkdir", &group)?,
    }
    Ok(group)
}

/// Returns a limit of a group, if it has one.
pub(crate) fn limit(group: &Path, file: &str) -> Option<u64> {
    fs::read_to_string(group.join(file)).ok()?.trim_end().parse().ok()
}

/// Returns how often an event has happened in a group.
pub(crate) fn events(group: &Path, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(group.join(file)).unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
    count.unwrap_or(0)
}

/// Returns how many processes of a group the kernel has killed for lack of memory.
pub(crate) fn killed_for_memory(group: &Path) -> u64 {
    events(group, "memory.events", "oom_kill")
}

const PROVOKED: &str = "user.minirun.provoked";

/// Whether the kernel killed a process of the group for lack of memory, other than those killed on purpose.
pub(crate) fn was_out_of_memory(group: &Path) -> bool {
    killed_for_memory(group) > provoked(group)
}

fn provoked(group: &Path) -> u64 {
    let mut count = [0; 8];
    match rustix::fs::getxattr(group, PROVOKED, &mut count) {
        Ok(8) => u64::from_ne_bytes(count),
        _ => 0,
    }
}

/// Notes that one more process of the group was killed on purpose: its container was not out of memory.
pub(crate) fn provoked_a_kill(group: &Path) {
    let count = provoked(group) + 1;
    let _ = rustix::fs::setxattr(group, PROVOKED, &count.to_ne_bytes(), rustix::fs::XattrFlags::empty());
}

/// Removes the group of a container that ended.
pub(crate) fn remove(group: &Path) {
    // Its last process may still be on its way out.
    for _ in 0..50 {
        match fs::remove_dir(group) {
            Err(e) if e.raw_os_error() == Some(libc::EBUSY) => std::thread::sleep(Duration::from_millis(2)),
            _ => return,
        }
    }
}
