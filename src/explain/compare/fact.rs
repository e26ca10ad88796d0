//! The facts that are compared, each with its name in every language.

use crate::explain::words::Words;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// Facts with their values. Facts without a value are left out.
pub(crate) type Facts = BTreeMap<Fact, Value>;

/// Makes the facts, in the order in which they are printed, and gives each its text.
macro_rules! facts {
    ($($fact:ident => $text:ident;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub(crate) enum Fact { $($fact,)* }

        impl Fact {
            /// Returns the fact's name as a person reads it.
            pub(crate) fn text(self, words: &Words) -> &'static str {
                match self { $(Self::$fact => words.$text,)* }
            }
        }
    };
}

facts! {
    ImageId => image_id;
    ImageNames => image_names;
    ImageCreated => image_created;
    Platform => platform;
    Layers => layers;
    LayersOnDisk => layers_on_disk;
    Entrypoint => entrypoint;
    Cmd => cmd;
    DefaultEnv => default_env;
    DefaultUser => default_user;
    DefaultWorkdir => default_workdir;
    ExposedPorts => exposed_ports;
    DeclaredVolumes => declared_volumes;
    Labels => labels;
    ContainerId => container_id;
    ContainerName => container_name;
    ContainerCreated => container_created;
    Image => image;
    EntrypointOption => entrypoint_option;
    Command => command;
    AddedEnv => added_env;
    AddedLabels => added_labels;
    Ids => ids;
    Groups => groups;
    Workdir => workdir;
    Hostname => hostname;
    Network => network;
    PublishedPorts => published_ports;
    DnsServers => dns_servers;
    AddedHosts => added_hosts;
    Mounts => mounts;
    TmpfsMounts => tmpfs_mounts;
    ShmSize => shm_size;
    ReadOnlyRoot => read_only_root;
    Privileged => privileged;
    HostIds => host_ids;
    CapabilitiesAdded => capabilities_added;
    CapabilitiesDropped => capabilities_dropped;
    NoNewPrivileges => no_new_privileges;
    SeccompUnconfined => seccomp_unconfined;
    MemoryLimit => memory_limit;
    CpusLimit => cpus_limit;
    ProcessesLimit => processes_limit;
    Ulimits => ulimits;
    ReapingInit => reaping_init;
    Terminal => terminal;
    StdinOpen => stdin_open;
    Log => log;
    FurtherOptions => further_options;
    StopSignal => stop_signal;
    StopTimeout => stop_timeout;
    HealthCheck => health_check;
    OnUnhealthy => on_unhealthy;
    RestartPolicy => restart_policy;
    GoesWhenItEnds => goes_when_it_ends;
    WritableDirectory => writable_directory;
    WritableOnDisk => writable_on_disk;
    FirstProcess => first_process;
    FirstProcessInside => first_process_inside;
    Processes => processes;
    Started => started;
    Monitor => monitor;
    Namespaces => namespaces;
    Networks => networks;
    Addresses => addresses;
    Listening => listening;
    Memory => memory;
    Cgroup => cgroup;
}

impl Fact {
    /// Whether the value is a number of bytes.
    pub(crate) fn is_size(self) -> bool {
        matches!(self, Self::LayersOnDisk | Self::WritableOnDisk | Self::Memory | Self::MemoryLimit | Self::ShmSize)
    }
}

/// Collects facts, without those that have no value.
pub(super) fn collect<const N: usize>(facts: [(Fact, Value); N]) -> Facts {
    let has_value = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => true,
    };
    facts.into_iter().filter(|(_, value)| has_value(value)).collect()
}
