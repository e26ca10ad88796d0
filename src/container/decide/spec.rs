//! Request and image → OCI runtime specification: every default that Docker has, in one place.
//!
//! The specification is kept as the container's `config.json`, and is all that a plan is made from; any runtime that
//! follows the OCI specification can run it.

use super::sharing;
use super::sharing::mount;
use super::users::User;
use crate::container::request::id::ContainerId;
use crate::container::request::{Ipc, KEPT_GROUPS, Limits, Namespaces, Network, PERIOD, Request, Sysctl, Tmpfs};
use caps::Capability;
use indexmap::IndexMap;
use oci_spec::image::ImageConfiguration;
use oci_spec::runtime::Spec;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

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
    /// The name of the container whose network it shares.
    pub shared_name: Option<String>,
}

/// The settings for apt of a container with one id, because apt changes its user to fetch packages and checks that it has.
/// They lie in /dev, so that no layer gets them.
pub(crate) const APT_CONFIG: &str = "/dev/apt.conf";

const LOCALTIME: &str = "/etc/localtime";

/// The annotation by which crun, too, is told that a process keeps the groups of its caller.
pub(crate) const KEEP_GROUPS: &str = "run.oci.keep_original_groups";

/// The annotation that turns the agent of a container with one id off.
pub(crate) const AGENT: &str = "minirun.agent";
pub(crate) const OFF: &str = "off";

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
    let mut all: IndexMap<String, String> = IndexMap::new();
    let mut set = |name: &str, value: &str| drop(all.insert(name.to_owned(), value.to_owned()));
    set("PATH", DEFAULT_PATH);
    set("HOSTNAME", hostname);
    if request.terminal {
        set("TERM", "xterm");
    }
    set("HOME", &facts.user.home);
    if facts.sets_apt {
        set("APT_CONFIG", APT_CONFIG);
    }
    let pairs = |entries: &[String]| -> Vec<(String, String)> {
        let pair = |entry: &String| entry.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        entries.iter().filter_map(pair).collect()
    };
    all.extend(pairs(&request.host_env));
    all.extend(pairs(&image.config().as_ref().and_then(|c| c.env().clone()).unwrap_or_default()));
    all.retain(|name, _| !request.unset_all_env && !request.unset_env.contains(name));
    all.extend(pairs(&request.env));
    if let Some(home) = all.get_mut("HOME").filter(|home| home.is_empty()) {
        // As runc has it: an empty one is none.
        home.clone_from(&facts.user.home);
    }
    all.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
}

fn mounts(request: &Request, facts: &Facts) -> Vec<Value> {
    let shm = format!("size={}", request.shm_size.unwrap_or(SHM_SIZE));
    let mut pts = vec!["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"];
    if !facts.ids.is_single() {
        // Group tty, as everywhere; with a single id there is no such group.
        pts.push("gid=5");
    }
    let Namespaces { pid, ipc, cgroup_of_host, .. } = &request.namespaces;
    // A new sysfs needs a network namespace of one's own.
    let has_sysfs = request.network != Network::Host;
    let guarded = ["nosuid", "noexec", "nodev"];
    let readable = [&guarded[..], &[if request.privileged { "rw" } else { "ro" }]].concat();
    let own = [
        pid.is_own().then(|| mount("proc", "proc", "/proc", &guarded)),
        Some(mount("tmpfs", "tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"])),
        Some(mount("devpts", "devpts", "/dev/pts", &pts)),
        (ipc.is_own() && *ipc != Ipc::None)
            .then(|| mount("tmpfs", "shm", "/dev/shm", &[&guarded[..], &["mode=1777", &shm]].concat())),
        (*ipc != Ipc::Host).then(|| mount("mqueue", "mqueue", "/dev/mqueue", &guarded)),
        has_sysfs.then(|| mount("sysfs", "sysfs", "/sys", &readable)),
        (!has_sysfs).then(|| mount("bind", "/sys", "/sys", &[&["rbind"], &readable[..]].concat())),
        (has_sysfs && !cgroup_of_host).then(|| mount("cgroup", "cgroup", "/sys/fs/cgroup", &readable)),
    ];
    let mut mounts: Vec<Value> = own.into_iter().flatten().chain(sharing::mounts(request)).collect();
    if !facts.ids.is_shifted() {
        mounts.extend(sharing::devices(&request.devices));
    }
    // Who shares a network has the names that belong to it.
    let own = Path::new(facts.directory);
    let named = if let Network::Container(id) = &request.network { own.with_file_name(id) } else { own.to_owned() };
    let own_files =
        ["resolv.conf", "hostname", "hosts"].into_iter().filter(|file| *file != "hosts" || !request.no_hosts);
    for file in own_files {
        let target = format!("/etc/{file}");
        let is_given = facts.binds.iter().any(|bind| bind.target == target);
        if !is_given && !request.tmpfs.iter().any(|tmpfs| tmpfs.target == target) {
            let source = named.join(file).to_string_lossy().into_owned();
            mounts.push(mount("bind", &source, &target, &["rbind", "private"]));
        }
    }
    if let Some(file) = request.timezone.as_ref().filter(|_| !facts.binds.iter().any(|bind| bind.target == LOCALTIME)) {
        mounts.push(mount("bind", file, LOCALTIME, &["bind", "nosuid", "nodev", "noexec", "ro"]));
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
    let mut set = |part: &str, name: &str, value: Option<Value>| {
        if let Some(value) = value {
            resources[part][name] = value;
        }
    };
    set("memory", "limit", limits.memory.map(Into::into));
    set("memory", "swap", limits.memory.map(|bytes| limits.swap.unwrap_or(bytes as i64).into()));
    set("memory", "reservation", limits.reservation.map(Into::into));
    let period = limits.cpu_period.unwrap_or(PERIOD);
    set("cpu", "quota", limits.cpus.map(|cpus| ((cpus * period as f64) as i64).into()));
    set("cpu", "period", limits.cpus.map(|_| period.into()));
    set("cpu", "shares", limits.cpu_shares.map(Into::into));
    set("cpu", "cpus", limits.cpuset_cpus.clone().map(Into::into));
    set("cpu", "mems", limits.cpuset_mems.clone().map(Into::into));
    set("blockIO", "weight", limits.io_weight.map(Into::into));
    set("pids", "limit", limits.pids.map(Into::into));
    resources
}

/// Builds the specification.
pub(crate) fn build(request: &Request, image: &ImageConfiguration, facts: &Facts) -> Result<Spec, serde_json::Error> {
    let hostname = sharing::hostname(request, facts.id, facts.shared_name.as_deref());
    let workdir = image.config().as_ref().and_then(|c| c.working_dir().clone()).filter(|d| !d.is_empty());
    let cwd = request.workdir.clone().or(workdir).unwrap_or_else(|| "/".into());
    let cwd = if cwd.starts_with('/') { cwd } else { format!("/{cwd}") };
    let mappings = |ranges: Vec<crate::userns::IdRange>| -> Vec<Value> {
        ranges.iter().map(|r| json!({"containerID": r.inside, "hostID": r.outside, "size": r.count})).collect()
    };
    let capabilities = facts.capabilities;
    let keeps = |path: &&&str| !request.privileged && request.masks.keeps(path);
    let hidden = request.masks.hidden.iter().map(String::as_str);
    let masked: Vec<&str> = MASKED.iter().filter(keeps).copied().chain(hidden).collect();
    let read_only: Vec<&str> = READ_ONLY.iter().filter(keeps).copied().collect();
    let annotations = request.annotations.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let keeps_groups = request.groups.iter().any(|group| group == KEPT_GROUPS);
    let annotations: BTreeMap<&str, &str> = annotations.chain(keeps_groups.then_some((KEEP_GROUPS, "1"))).collect();
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
        "annotations": annotations,
        "mounts": mounts(request, facts),
        "linux": {
            "namespaces": sharing::namespaces(request),
            "devices": if facts.ids.is_shifted() { sharing::nodes(&request.devices) } else { Vec::new() },
            "uidMappings": mappings(facts.ids.uids()),
            "gidMappings": mappings(facts.ids.gids()),
            "maskedPaths": masked,
            "readonlyPaths": read_only,
            "resources": resources(&request.limits),
        },
    });
    let mut sysctls = json!({});
    if request.network.is_own() {
        sysctls = json!({
            "net.ipv4.ip_unprivileged_port_start": "0",
            "net.ipv4.ping_group_range": if facts.ids.is_single() { "0 0" } else { "0 65535" },
        });
    }
    for Sysctl { name, value } in &request.sysctls {
        sysctls[name] = json!(value);
    }
    spec["linux"]["sysctl"] = sysctls;
    if request.namespaces.uts_of_host {
        spec["hostname"] = Value::Null;
    }
    if let Some(name) = &request.domainname {
        spec["domainname"] = json!(name);
    }
    if let Some(mask) = request.umask {
        spec["process"]["user"]["umask"] = json!(mask);
    }
    if let Some(value) = request.oom_score_adj {
        spec["process"]["oomScoreAdj"] = json!(value);
    }
    if let Some(profile) = request.seccomp_profile.as_ref().filter(|_| !request.privileged) {
        spec["linux"]["seccomp"] = serde_json::to_value(super::seccomp::of_profile(profile, capabilities))?;
    } else if !request.privileged && !request.seccomp_unconfined {
        spec["linux"]["seccomp"] = serde_json::to_value(super::seccomp::policy(capabilities))?;
    }
    serde_json::from_value(spec)
}
