//! What was decided when a container was created, each setting under a name.

use crate::container::request::{Network, Request, Tmpfs, Ulimit};
use crate::container::stored::record::Container;
use crate::diag::Failure;
use crate::image::stored::usage::blocks;
use serde_json::{Map, Value, json};

/// Fields of the request that a fact below tells in its own words, or that only say what another does.
const TOLD: [&str; 31] = [
    "image",
    "name",
    "command",
    "entrypoint",
    "env",
    "workdir",
    "user",
    "groups",
    "hostname",
    "labels",
    "volumes",
    "tmpfs",
    "ports",
    "network",
    "hosts",
    "dns",
    "read_only",
    "cap_add",
    "cap_drop",
    "privileged",
    "no_new_privileges",
    "seccomp_unconfined",
    "init",
    "terminal",
    "stdin",
    "auto_remove",
    "limits",
    "ulimits",
    "shm_size",
    "stop_signal",
    "stop_timeout",
];

/// # Errors
/// When the container's records or its writable layer cannot be read.
pub(super) fn facts(container: &Container) -> Result<Map<String, Value>, Failure> {
    let (record, request) = (&container.record, &container.record.request);
    let process = container.spec()?.process().clone().unwrap_or_default();
    let mode = match request.network {
        Network::Private => "bridge",
        Network::None => "none",
        Network::Host => "host",
    };
    let volumes = record.volumes.iter().map(|volume| {
        let source = volume.name.as_ref().unwrap_or(&volume.source);
        format!("{source} → {}{}", volume.target, if volume.read_only { " (ro)" } else { "" })
    });
    let published = request.ports.iter().map(|port| {
        let host = port.host_ip.map_or(String::new(), |ip| format!("{ip}:"));
        format!("{host}{} → {}/{}", port.host_port, port.container_port, port.protocol)
    });
    let pairs = |pairs: &[(String, String)], between: &str| -> Vec<String> {
        pairs.iter().map(|(name, value)| format!("{name}{between}{value}")).collect()
    };
    let tmpfs = request.tmpfs.iter().map(|Tmpfs { target, options }| match options.as_str() {
        "" => target.clone(),
        options => format!("{target} ({options})"),
    });
    let limit = |number: u64| if number == u64::MAX { "unlimited".into() } else { number.to_string() };
    let ulimits = request.ulimits.iter().map(|Ulimit { name, soft, hard }| {
        format!("{}={}:{}", name.trim_start_matches("RLIMIT_").to_lowercase(), limit(*soft), limit(*hard))
    });
    let user = process.user();
    let mut facts = super::compare::facts([
        ("container_id", json!(record.id)),
        ("container_name", json!(record.name)),
        ("container_created", json!(record.created)),
        ("image", json!(record.image)),
        ("entrypoint_option", json!(request.entrypoint)),
        ("command", json!(process.args())),
        ("added_env", json!(request.env)),
        ("added_labels", json!(pairs(&request.labels, "="))),
        ("ids", json!(format!("{}:{}", user.uid(), user.gid()))),
        ("groups", json!(request.groups)),
        ("workdir", json!(process.cwd())),
        ("hostname", json!(container.spec()?.hostname())),
        ("network", json!(mode)),
        ("published_ports", json!(published.collect::<Vec<_>>())),
        ("dns_servers", json!(request.dns)),
        (
            "added_hosts",
            json!(request.hosts.iter().map(|host| format!("{} → {}", host.name, host.address)).collect::<Vec<_>>()),
        ),
        ("mounts", json!(volumes.collect::<Vec<_>>())),
        ("tmpfs_mounts", json!(tmpfs.collect::<Vec<_>>())),
        ("shm_size", json!(request.shm_size)),
        ("read_only_root", yes(request.read_only)),
        ("privileged", yes(request.privileged)),
        ("capabilities_added", json!(request.cap_add)),
        ("capabilities_dropped", json!(request.cap_drop)),
        ("no_new_privileges", yes(request.no_new_privileges)),
        ("seccomp_unconfined", yes(request.seccomp_unconfined)),
        ("memory_limit", json!(request.limits.memory)),
        ("cpus_limit", json!(request.limits.cpus)),
        ("processes_limit", json!(request.limits.pids)),
        ("ulimits", json!(ulimits.collect::<Vec<_>>())),
        ("reaping_init", yes(request.init)),
        ("terminal", yes(request.terminal)),
        ("stdin_open", yes(request.stdin)),
        ("stop_signal", json!(request.stop_signal)),
        ("stop_timeout", json!(request.stop_timeout)),
        ("goes_when_it_ends", yes(request.auto_remove)),
        ("writable_directory", json!(container.directory.join("upper"))),
        ("writable_on_disk", json!(blocks(&container.directory.join("upper"))?)),
    ]);
    facts.extend(others(request));
    Ok(facts)
}

/// A switch that is off is the default, and not worth a line.
fn yes(is_set: bool) -> Value {
    if is_set { json!(true) } else { Value::Null }
}

/// Settings that none of the facts tells, where they are not the default.
fn others(request: &Request) -> Map<String, Value> {
    let fields = |request: &Request| match serde_json::to_value(request) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    let default = fields(&Request::default());
    let decided = fields(request).into_iter().filter(|(name, value)| default.get(name) != Some(value));
    decided.filter(|(name, _)| !TOLD.contains(&name.as_str())).collect()
}
