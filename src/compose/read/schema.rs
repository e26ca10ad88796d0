//! The keys of a compose file, and what may stand under each: the Compose Specification as tables.

use super::node::Node;
use super::short;

/// What may stand at a place, and so how it is checked, brought into its long form and merged.
pub(crate) enum Shape {
    Any,
    /// A text; other scalars are taken as they are written.
    Text,
    Bool,
    Int,
    Decimal,
    /// `64m` or a number of bytes; becomes a number.
    Size,
    /// `1m30s`
    Duration,
    Word(&'static [&'static str]),
    /// A text that is split as a shell does, or a list.
    Command,
    /// A list, whose elements are appended to those of the files before.
    List(&'static Self, Key),
    /// A list, or one element of it.
    Lines(&'static Self),
    /// `NAME=VALUE` as a list, or a map of scalars.
    Pairs,
    /// `NAME:IP` as a list, or a map; becomes a list of `NAME=IP`.
    Hosts,
    Object(&'static Object),
    /// Any names, each with this.
    Map(&'static Self),
    /// A list of names, or a map of names.
    Names(&'static Object),
    /// A number, or `soft` and `hard`.
    Ulimit,
    /// True, false, or a map with a name.
    External,
}

/// What makes two elements of a list one: the later takes the place of the earlier.
pub(crate) type Key = fn(&Node) -> Option<String>;

/// A map whose keys are known.
pub(crate) struct Object {
    /// How a message calls it.
    pub name: &'static str,
    pub keys: &'static [(&'static str, Shape)],
    /// Makes the long form of the short one, of a scalar.
    pub short: Option<Short>,
}

/// Returns several where one short form stands for several elements of a list.
pub(crate) type Short = fn(&Node) -> Result<Vec<Node>, short::Wrong>;

use Shape::{
    Any, Bool, Command, Decimal, Duration, External, Hosts, Int, Lines, List, Map, Names, Pairs, Size, Text, Ulimit,
    Word,
};

const TEXT: &Shape = &Text;

const fn object(name: &'static str, keys: &'static [(&'static str, Shape)]) -> Object {
    Object { name, keys, short: None }
}

fn each(_: &Node) -> Option<String> {
    None
}

fn same(node: &Node) -> Option<String> {
    node.scalar().map(str::to_owned)
}

fn target(node: &Node) -> Option<String> {
    node.text("target").map(|target| target.trim_end_matches('/').to_owned())
}

fn port(node: &Node) -> Option<String> {
    let part = |key| node.text(key).unwrap_or_default();
    Some([part("host_ip"), part("published"), part("target"), part("protocol")].join(":"))
}

fn grant(node: &Node) -> Option<String> {
    Some([node.text("source"), node.text("target")].map(Option::unwrap_or_default).join(":"))
}

fn path(node: &Node) -> Option<String> {
    node.text("path").map(str::to_owned)
}

pub(crate) const FILE: Object = object(
    "a compose file",
    &[
        ("name", Text),
        ("version", Any),
        ("include", List(&Shape::Object(&INCLUDE), each)),
        ("services", Map(&Shape::Object(&SERVICE))),
        ("networks", Map(&Shape::Object(&NETWORK))),
        ("volumes", Map(&Shape::Object(&VOLUME))),
        ("secrets", Map(&Shape::Object(&SECRET))),
        ("configs", Map(&Shape::Object(&CONFIG))),
        ("models", Any),
    ],
);

const INCLUDE: Object = Object {
    name: "include",
    keys: &[("path", Lines(TEXT)), ("project_directory", Text), ("env_file", Lines(TEXT))],
    short: Some(short::include),
};

pub(crate) const SERVICE: Object = object(
    "a service",
    &[
        ("annotations", Pairs),
        ("attach", Bool),
        ("blkio_config", Shape::Object(&BLKIO)),
        ("build", Shape::Object(&BUILD)),
        ("cap_add", List(TEXT, same)),
        ("cap_drop", List(TEXT, same)),
        ("cgroup", Word(&["host", "private"])),
        ("cgroup_parent", Text),
        ("command", Command),
        ("configs", List(&Shape::Object(&GRANT), grant)),
        ("container_name", Text),
        ("cpu_count", Int),
        ("cpu_percent", Decimal),
        ("cpu_period", Int),
        ("cpu_quota", Int),
        ("cpu_rt_period", Any),
        ("cpu_rt_runtime", Any),
        ("cpu_shares", Int),
        ("cpus", Decimal),
        ("cpuset", Text),
        ("credential_spec", Any),
        ("depends_on", Names(&DEPENDENCY)),
        ("deploy", Shape::Object(&DEPLOY)),
        ("develop", Shape::Object(&DEVELOP)),
        ("device_cgroup_rules", List(TEXT, same)),
        ("devices", List(&Shape::Object(&DEVICE), target)),
        ("dns", Lines(TEXT)),
        ("dns_opt", List(TEXT, same)),
        ("dns_search", Lines(TEXT)),
        ("domainname", Text),
        ("entrypoint", Command),
        ("env_file", Lines(&Shape::Object(&ENV_FILE))),
        ("environment", Pairs),
        ("expose", List(TEXT, same)),
        ("extends", Shape::Object(&EXTENDS)),
        ("external_links", List(TEXT, same)),
        ("extra_hosts", Hosts),
        ("gpus", Any),
        ("group_add", List(TEXT, same)),
        ("healthcheck", Shape::Object(&HEALTH)),
        ("hostname", Text),
        ("image", Text),
        ("init", Bool),
        ("ipc", Text),
        ("isolation", Text),
        ("label_file", Lines(TEXT)),
        ("labels", Pairs),
        ("links", List(TEXT, same)),
        ("logging", Shape::Object(&LOGGING)),
        ("mac_address", Text),
        ("mem_limit", Size),
        ("mem_reservation", Size),
        ("mem_swappiness", Int),
        ("memswap_limit", Size),
        ("models", Any),
        ("network_mode", Text),
        ("networks", Names(&ATTACHMENT)),
        ("oom_kill_disable", Bool),
        ("oom_score_adj", Int),
        ("pid", Text),
        ("pids_limit", Int),
        ("platform", Text),
        ("ports", List(&Shape::Object(&PORT), port)),
        ("post_start", List(&Shape::Object(&HOOK), each)),
        ("pre_stop", List(&Shape::Object(&HOOK), each)),
        ("privileged", Bool),
        ("profiles", List(TEXT, same)),
        ("provider", Any),
        ("pull_policy", Text),
        ("pull_refresh_after", Text),
        ("read_only", Bool),
        ("restart", Text),
        ("runtime", Text),
        ("scale", Int),
        ("secrets", List(&Shape::Object(&GRANT), grant)),
        ("security_opt", List(TEXT, same)),
        ("shm_size", Size),
        ("stdin_open", Bool),
        ("stop_grace_period", Duration),
        ("stop_signal", Text),
        ("storage_opt", Any),
        ("sysctls", Pairs),
        ("tmpfs", Lines(TEXT)),
        ("tty", Bool),
        ("ulimits", Map(&Ulimit)),
        ("use_api_socket", Bool),
        ("user", Text),
        ("userns_mode", Text),
        ("uts", Text),
        ("volumes", List(&Shape::Object(&MOUNT), target)),
        ("volumes_from", List(TEXT, same)),
        ("working_dir", Text),
    ],
);

const BLKIO: Object = object(
    "blkio_config",
    &[
        ("weight", Int),
        ("weight_device", Any),
        ("device_read_bps", Any),
        ("device_read_iops", Any),
        ("device_write_bps", Any),
        ("device_write_iops", Any),
    ],
);

const BUILD: Object = Object {
    name: "build",
    keys: &[
        ("additional_contexts", Pairs),
        ("args", Pairs),
        ("cache_from", List(TEXT, same)),
        ("cache_to", List(TEXT, same)),
        ("context", Text),
        ("dockerfile", Text),
        ("dockerfile_inline", Text),
        ("entitlements", List(TEXT, same)),
        ("extra_hosts", Hosts),
        ("isolation", Text),
        ("labels", Pairs),
        ("network", Text),
        ("no_cache", Bool),
        ("no_cache_filter", Lines(TEXT)),
        ("platforms", List(TEXT, same)),
        ("privileged", Bool),
        ("provenance", Text),
        ("pull", Bool),
        ("sbom", Text),
        ("secrets", List(&Shape::Object(&GRANT), grant)),
        ("shm_size", Size),
        ("ssh", Pairs),
        ("tags", List(TEXT, same)),
        ("target", Text),
        ("ulimits", Map(&Ulimit)),
    ],
    short: Some(short::build),
};

const DEPENDENCY: Object = object(
    "a dependency",
    &[
        ("condition", Word(&["service_started", "service_healthy", "service_completed_successfully"])),
        ("required", Bool),
        ("restart", Bool),
    ],
);

const DEPLOY: Object = object(
    "deploy",
    &[
        ("endpoint_mode", Text),
        ("labels", Pairs),
        ("mode", Text),
        ("placement", Any),
        ("replicas", Int),
        ("resources", Shape::Object(&RESOURCES)),
        ("restart_policy", Shape::Object(&RESTART)),
        ("rollback_config", Any),
        ("update_config", Any),
    ],
);

const RESOURCES: Object =
    object("resources", &[("limits", Shape::Object(&AMOUNTS)), ("reservations", Shape::Object(&AMOUNTS))]);

const AMOUNTS: Object = object(
    "an amount of resources",
    &[("cpus", Decimal), ("devices", Any), ("generic_resources", Any), ("memory", Size), ("pids", Int)],
);

const RESTART: Object = object(
    "restart_policy",
    &[
        ("condition", Word(&["none", "on-failure", "any"])),
        ("delay", Duration),
        ("max_attempts", Int),
        ("window", Duration),
    ],
);

const DEVELOP: Object = object("develop", &[("watch", List(&Shape::Object(&WATCH), path))]);

const WATCH: Object = object(
    "watch",
    &[
        ("action", Word(&["rebuild", "restart", "sync", "sync+exec", "sync+restart"])),
        ("exec", Shape::Object(&HOOK)),
        ("ignore", Lines(TEXT)),
        ("include", Lines(TEXT)),
        ("initial_sync", Bool),
        ("path", Text),
        ("target", Text),
    ],
);

const HOOK: Object = object(
    "a hook",
    &[("command", Command), ("environment", Pairs), ("privileged", Bool), ("user", Text), ("working_dir", Text)],
);

const DEVICE: Object = Object {
    name: "a device",
    keys: &[("permissions", Text), ("source", Text), ("target", Text)],
    short: Some(short::device),
};

const ENV_FILE: Object = Object {
    name: "env_file",
    keys: &[("format", Word(&["raw"])), ("path", Text), ("required", Bool)],
    short: Some(short::env_file),
};

const EXTENDS: Object =
    Object { name: "extends", keys: &[("file", Text), ("service", Text)], short: Some(short::extends) };

const HEALTH: Object = object(
    "healthcheck",
    &[
        ("disable", Bool),
        ("interval", Duration),
        ("retries", Int),
        ("start_interval", Duration),
        ("start_period", Duration),
        ("test", Command),
        ("timeout", Duration),
    ],
);

const LOGGING: Object = object("logging", &[("driver", Text), ("options", Pairs)]);

const ATTACHMENT: Object = object(
    "a network of a service",
    &[
        ("aliases", List(TEXT, same)),
        ("driver_opts", Pairs),
        ("gw_priority", Int),
        ("interface_name", Text),
        ("ipv4_address", Text),
        ("ipv6_address", Text),
        ("link_local_ips", List(TEXT, same)),
        ("mac_address", Text),
        ("priority", Int),
    ],
);

const PORT: Object = Object {
    name: "a port",
    keys: &[
        ("app_protocol", Text),
        ("host_ip", Text),
        ("mode", Text),
        ("name", Text),
        ("protocol", Text),
        ("published", Text),
        ("target", Int),
    ],
    short: Some(short::port),
};

const GRANT: Object = Object {
    name: "a secret or config of a service",
    keys: &[("gid", Text), ("mode", Text), ("source", Text), ("target", Text), ("uid", Text)],
    short: Some(short::grant),
};

const MOUNT: Object = Object {
    name: "a volume of a service",
    keys: &[
        ("bind", Shape::Object(&BIND)),
        ("consistency", Text),
        ("image", Shape::Object(&object("image", &[("subpath", Text)]))),
        ("read_only", Bool),
        ("source", Text),
        ("target", Text),
        ("tmpfs", Shape::Object(&object("tmpfs", &[("mode", Text), ("size", Size)]))),
        ("type", Word(&["bind", "cluster", "image", "npipe", "tmpfs", "volume"])),
        ("volume", Shape::Object(&OF_VOLUME)),
    ],
    short: Some(short::mount),
};

const BIND: Object =
    object("bind", &[("create_host_path", Bool), ("propagation", Text), ("recursive", Text), ("selinux", Text)]);

const OF_VOLUME: Object = object("volume", &[("labels", Pairs), ("nocopy", Bool), ("subpath", Text)]);

const NETWORK: Object = object(
    "a network",
    &[
        ("attachable", Bool),
        ("driver", Text),
        ("driver_opts", Pairs),
        ("enable_ipv4", Bool),
        ("enable_ipv6", Bool),
        ("external", External),
        ("internal", Bool),
        ("ipam", Shape::Object(&IPAM)),
        ("labels", Pairs),
        ("name", Text),
    ],
);

const IPAM: Object =
    object("ipam", &[("config", List(&Shape::Object(&POOL), each)), ("driver", Text), ("options", Pairs)]);

const POOL: Object =
    object("an address pool", &[("aux_addresses", Pairs), ("gateway", Text), ("ip_range", Text), ("subnet", Text)]);

const VOLUME: Object = object(
    "a volume",
    &[("driver", Text), ("driver_opts", Pairs), ("external", External), ("labels", Pairs), ("name", Text)],
);

const SECRET: Object = object(
    "a secret",
    &[
        ("driver", Text),
        ("driver_opts", Pairs),
        ("environment", Text),
        ("external", External),
        ("file", Text),
        ("labels", Pairs),
        ("name", Text),
        ("template_driver", Text),
    ],
);

const CONFIG: Object = object(
    "a config",
    &[
        ("content", Text),
        ("environment", Text),
        ("external", External),
        ("file", Text),
        ("labels", Pairs),
        ("name", Text),
        ("template_driver", Text),
    ],
);
