//! Request and image → OCI runtime specification: every default that Docker has, in one place.
//!
//! The specification is kept as the container's `config.json`, and is all that a plan is made from; any runtime that
//! follows the OCI specification can run it.

use super::users::User;
use crate::container::request::id::ContainerId;
use crate::container::request::{Limits, Network, Request, Tmpfs};
use caps::Capability;
use oci_spec::image::ImageConfiguration;
use oci_spec::runtime::Spec;
use serde_json::{Value, json};

/// The `PATH` of a container if neither the image nor the user sets one.
pub(crate) const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Files that show the whole host, and are hidden.
const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/system/cpu/cpu0/thermal_throttle",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Files that change the whole host, and are read-only.
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// A directory or file of the host, mounted in the container.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bind {
    pub source: String,
    pub target: String,
    pub read_only: bool,
    /// What is mounted below it stays out.
    pub is_shallow: bool,
    /// A tmpfs in place of a directory of the host.
    pub is_in_memory: bool,
    /// Further options of mount(8).
    pub options: Vec<String>,
}

/// The facts of a container beside its request.
pub(crate) struct Facts<'a> {
    pub id: &'a ContainerId,
    /// The container's own directory, absolute.
    pub directory: &'a str,
    pub user: &'a User,
    pub capabilities: &'a [Capability],
    /// Its volumes.
    pub binds: &'a [Bind],
    pub ids: &'a crate::userns::IdMap,
    pub sets_apt: bool,
}

/// The settings for apt of a container with one id, because apt changes its user to fetch packages and checks that it has.
/// They lie in /dev, so that no layer gets them.
pub(crate) const APT_CONFIG: &str = "/dev/apt.conf";

/// The source of a word of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Origin {
    /// `--entrypoint`.
    EntrypointOption,
    ImageEntrypoint,
    CommandLine,
    ImageCmd,
}

/// Bytes of /dev/shm, as with Docker.
pub(crate) const SHM_SIZE: u64 = 64 << 20;

/// Returns the words of the command and their sources. `--entrypoint` drops the image's CMD.
pub(crate) fn argv(request: &Request, image: &ImageConfiguration) -> Vec<(String, Origin)> {
    let config = image.config().as_ref();
    let of_image = |list: Option<&Option<Vec<String>>>| list.cloned().flatten().unwrap_or_default();
    let (entrypoint, first) = match &request.entrypoint {
        Some(text) if text.is_empty() => (Vec::new(), Origin::EntrypointOption),
        Some(text) => (vec![text.clone()], Origin::EntrypointOption),
        None => (of_image(config.map(oci_spec::image::Config::entrypoint)), Origin::ImageEntrypoint),
    };
    let (command, then) = if !request.command.is_empty() || request.entrypoint.is_some() {
        (request.command.clone(), Origin::CommandLine)
    } else {
        (of_image(config.map(oci_spec::image::Config::cmd)), Origin::ImageCmd)
    };
    let from = |words: Vec<String>, origin| words.into_iter().map(move |word| (word, origin));
    from(entrypoint, first).chain(from(command, then)).collect()
}

fn environment(request: &Request, image: &ImageConfiguration, facts: &Facts, hostname: &str) -> Vec<String> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: &str| match all.iter_mut().find(|(n, _)| n == name) {
        Some(found) => found.1 = value.to_owned(),
        None => all.push((name.to_owned(), value.to_owned())),
    };
    set("PATH", DEFAULT_PATH);
    set("HOSTNAME", hostname);
    if request.terminal {
        set("TERM", "xterm");
    }
    set("HOME", &facts.user.home);
    if facts.sets_apt {
        set("APT_CONFIG", APT_CONFIG);
    }
    let of_image = image.config().as_ref().and_then(|c| c.env().clone()).unwrap_or_default();
    for entry in of_image.iter().chain(&request.env) {
        if let Some((name, value)) = entry.split_once('=') {
            set(name, value);
        }
    }
    all.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn mount(kind: &str, source: &str, target: &str, options: &[&str]) -> Value {
    json!({"destination": target, "type": kind, "source": source, "options": options})
}

fn mounts(request: &Request, facts: &Facts) -> Vec<Value> {
    let shm = format!("size={}", request.shm_size.unwrap_or(SHM_SIZE));
    let mut pts = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    if !facts.ids.is_single() {
        // Group tty, as everywhere; with a single id there is no such group.
        pts.push("gid=5");
    }
    let readable = if request.privileged { "rw" } else { "ro" };
    let mut mounts = vec![
        mount("proc", "proc", "/proc", &["nosuid", "noexec", "nodev"]),
        mount("tmpfs", "tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("devpts", "devpts", "/dev/pts", &pts),
        mount("tmpfs", "shm", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", &shm]),
        mount("mqueue", "mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"]),
    ];
    if request.network == Network::Host {
        // A new sysfs needs a network namespace of one's own.
        mounts.push(mount("bind", "/sys", "/sys", &["rbind", "nosuid", "noexec", "nodev", readable]));
    } else {
        mounts.push(mount("sysfs", "sysfs", "/sys", &["nosuid", "noexec", "nodev", readable]));
        mounts.push(mount("cgroup", "cgroup", "/sys/fs/cgroup", &["nosuid", "noexec", "nodev", readable]));
    }
    for file in ["resolv.conf", "hostname", "hosts"] {
        let target = format!("/etc/{file}");
        let is_given = facts.binds.iter().any(|bind| bind.target == target);
        if !is_given && !request.tmpfs.iter().any(|tmpfs| tmpfs.target == target) {
            mounts.push(mount("bind", &format!("{}/{file}", facts.directory), &target, &["rbind", "private"]));
        }
    }
    if facts.sets_apt {
        mounts.push(mount("bind", &format!("{}/apt.conf", facts.directory), APT_CONFIG, &["rbind", "private"]));
    }
    for Tmpfs { target, options } in &request.tmpfs {
        let given: Vec<&str> = options.split(',').filter(|o| !o.is_empty()).collect();
        let all = [vec!["nosuid", "nodev", "noexec"], given].concat();
        mounts.push(mount("tmpfs", "tmpfs", target, &all));
    }
    for Bind { source, target, read_only, is_shallow, is_in_memory, options } in facts.binds {
        let mut words = match (is_in_memory, is_shallow) {
            (true, _) => vec!["nosuid", "nodev"],
            (false, true) => vec!["bind", "private"],
            (false, false) => vec!["rbind", "private"],
        };
        words.push(if *read_only { "ro" } else { "rw" });
        words.extend(options.iter().map(String::as_str));
        let (kind, source) = if *is_in_memory { ("tmpfs", "tmpfs") } else { ("bind", source.as_str()) };
        mounts.push(mount(kind, source, target, &words));
    }
    // A mount below another comes after it; the engine's own come first where the target is the same.
    mounts.sort_by_key(|mount| mount["destination"].as_str().unwrap_or_default().split('/').count());
    mounts
}

/// Returns the limits as the specification has them.
pub(crate) fn resources(limits: &Limits) -> Value {
    let mut resources = json!({});
    if let Some(bytes) = limits.memory {
        resources["memory"] = json!({"limit": bytes, "swap": limits.swap.unwrap_or(bytes as i64)});
    }
    if let Some(cpus) = limits.cpus {
        resources["cpu"] = json!({"quota": (cpus * 100_000.0) as i64, "period": 100_000});
    }
    if let Some(pids) = limits.pids {
        resources["pids"] = json!({"limit": pids});
    }
    resources
}

/// Builds the specification.
pub(crate) fn build(request: &Request, image: &ImageConfiguration, facts: &Facts) -> Result<Spec, serde_json::Error> {
    let hostname = match (&request.hostname, &request.network) {
        (Some(name), _) => name.clone(),
        // Who shares the host's network is found under the host's name.
        (None, Network::Host) => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        (None, _) => facts.id.short().to_owned(),
    };
    let workdir = image.config().as_ref().and_then(|c| c.working_dir().clone()).filter(|d| !d.is_empty());
    let cwd = request.workdir.clone().or(workdir).unwrap_or_else(|| "/".into());
    let cwd = if cwd.starts_with('/') { cwd } else { format!("/{cwd}") };
    let mut namespaces = vec!["user", "mount", "pid", "uts", "ipc", "cgroup"];
    if request.network != Network::Host {
        namespaces.push("network");
    }
    let mappings = |ranges: Vec<crate::userns::IdRange>| -> Vec<Value> {
        ranges.iter().map(|r| json!({"containerID": r.inside, "hostID": r.outside, "size": r.count})).collect()
    };
    let capabilities = facts.capabilities;
    let (masked, read_only) =
        if request.privileged { (&MASKED[..0], &READ_ONLY[..0]) } else { (&MASKED[..], &READ_ONLY[..]) };
    // A user who is not root starts without capabilities, as with Docker; the bounding set is what he could ever get.
    let effective = if facts.user.uid == 0 { capabilities } else { &capabilities[..0] };
    let mut spec = json!({
        "ociVersion": "1.0.2",
        "root": {"path": "rootfs", "readonly": request.read_only},
        "hostname": hostname,
        "process": {
            "terminal": request.terminal,
            "user": {"uid": facts.user.uid, "gid": facts.user.gid, "additionalGids": facts.user.groups},
            "args": argv(request, image).into_iter().map(|(word, _)| word).collect::<Vec<_>>(),
            "env": environment(request, image, facts, &hostname),
            "cwd": cwd,
            "capabilities": {"bounding": capabilities, "effective": effective, "permitted": effective},
            "noNewPrivileges": request.no_new_privileges,
            "rlimits": request.ulimits.iter().map(|limit| json!({"type": limit.name, "soft": limit.soft, "hard": limit.hard})).collect::<Vec<_>>(),
        },
        "mounts": mounts(request, facts),
        "linux": {
            "namespaces": namespaces.iter().map(|kind| json!({"type": kind})).collect::<Vec<_>>(),
            "uidMappings": mappings(facts.ids.uids()),
            "gidMappings": mappings(facts.ids.gids()),
            "maskedPaths": masked,
            "readonlyPaths": read_only,
            "resources": resources(&request.limits),
        },
    });
    if request.network != Network::Host {
        spec["linux"]["sysctl"] = json!({
            "net.ipv4.ip_unprivileged_port_start": "0",
            "net.ipv4.ping_group_range": if facts.ids.is_single() { "0 0" } else { "0 65535" },
        });
    }
    if !request.privileged && !request.seccomp_unconfined {
        spec["linux"]["seccomp"] = serde_json::to_value(super::seccomp::policy(capabilities))?;
    }
    serde_json::from_value(spec)
}
