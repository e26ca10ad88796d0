//! What was decided when a container was created.

use super::fact::{Fact, Facts, collect};
use crate::container::request::{HealthCheck, LogOptions, Network, OnUnhealthy, Request, RestartPolicy, Tmpfs, Ulimit};
use crate::container::stored::record::Container;
use crate::diag::Failure;
use crate::image::stored::usage::blocks;
use serde_json::{Value, json};

/// Returns what was decided when a container was created.
///
/// # Errors
/// When the container's records or its writable layer cannot be read.
pub(super) fn facts(container: &Container) -> Result<Facts, Failure> {
    let record = &container.record;
    // Without `..`: a new field of the request compiles only when it is a fact too.
    let Request {
        image: _,
        name: _,
        command: _,
        entrypoint,
        env,
        workdir: _,
        user: _,
        groups,
        hostname: _,
        labels,
        volumes: _,
        volumes_from: _,
        tmpfs,
        ports,
        network,
        way_out,
        hosts,
        dns,
        read_only,
        cap_add,
        cap_drop,
        privileged,
        no_new_privileges,
        seccomp_unconfined,
        init,
        terminal,
        stdin,
        keeps_stdin: _,
        auto_remove,
        limits,
        ulimits,
        shm_size,
        stop_signal,
        stop_timeout,
        log,
        restart,
        health,
        on_unhealthy,
        host_ids,
    } = &record.request;
    let process = container.spec()?.process().clone().unwrap_or_default();
    let mode = match network {
        Network::Private => format!("bridge{way_out}"),
        Network::None => "none".into(),
        Network::Host => "host".into(),
    };
    let volumes = record.volumes.iter().map(|volume| {
        let source = volume.name.as_ref().unwrap_or(&volume.source);
        format!("{source} → {}{}", volume.target, if volume.read_only { " (ro)" } else { "" })
    });
    let published = ports.iter().map(|port| {
        let host = port.host_ip.map_or(String::new(), |ip| format!("{ip}:"));
        format!("{host}{} → {}/{}", port.host_port, port.container_port, port.protocol)
    });
    let pairs = |pairs: &[(String, String)], between: &str| -> Vec<String> {
        pairs.iter().map(|(name, value)| format!("{name}{between}{value}")).collect()
    };
    let tmpfs = tmpfs.iter().map(|Tmpfs { target, options }| match options.as_str() {
        "" => target.clone(),
        options => format!("{target} ({options})"),
    });
    let limit = |number: u64| if number == u64::MAX { "unlimited".into() } else { number.to_string() };
    let ulimits = ulimits.iter().map(|Ulimit { name, soft, hard }| {
        format!("{}={}:{}", name.trim_start_matches("RLIMIT_").to_lowercase(), limit(*soft), limit(*hard))
    });
    let user = process.user();
    Ok(collect([
        (Fact::ContainerId, json!(record.id)),
        (Fact::ContainerName, json!(record.name)),
        (Fact::ContainerCreated, json!(record.created)),
        (Fact::Image, json!(record.image)),
        (Fact::EntrypointOption, json!(entrypoint)),
        (Fact::Command, json!(process.args())),
        (Fact::AddedEnv, json!(env)),
        (Fact::AddedLabels, json!(pairs(labels, "="))),
        (Fact::Ids, json!(format!("{}:{}", user.uid(), user.gid()))),
        (Fact::Groups, json!(groups)),
        (Fact::Workdir, json!(process.cwd())),
        (Fact::Hostname, json!(container.spec()?.hostname())),
        (Fact::Network, json!(mode)),
        (Fact::PublishedPorts, json!(published.collect::<Vec<_>>())),
        (Fact::DnsServers, json!(dns)),
        (
            Fact::AddedHosts,
            json!(hosts.iter().map(|host| format!("{} → {}", host.name, host.address)).collect::<Vec<_>>()),
        ),
        (Fact::Mounts, json!(volumes.collect::<Vec<_>>())),
        (Fact::TmpfsMounts, json!(tmpfs.collect::<Vec<_>>())),
        (Fact::ShmSize, json!(shm_size)),
        (Fact::ReadOnlyRoot, yes(*read_only)),
        (Fact::Privileged, yes(*privileged)),
        (Fact::HostIds, yes(*host_ids)),
        (Fact::CapabilitiesAdded, json!(cap_add)),
        (Fact::CapabilitiesDropped, json!(cap_drop)),
        (Fact::NoNewPrivileges, yes(*no_new_privileges)),
        (Fact::SeccompUnconfined, yes(*seccomp_unconfined)),
        (Fact::MemoryLimit, json!(limits.memory)),
        (Fact::CpusLimit, json!(limits.cpus)),
        (Fact::ProcessesLimit, json!(limits.pids)),
        (Fact::Ulimits, json!(ulimits.collect::<Vec<_>>())),
        (Fact::ReapingInit, yes(*init)),
        (Fact::Terminal, yes(*terminal)),
        (Fact::StdinOpen, yes(*stdin)),
        (Fact::Log, if *log == LogOptions::default() { Value::Null } else { json!(log) }),
        (Fact::StopSignal, json!(stop_signal)),
        (Fact::StopTimeout, json!(stop_timeout)),
        (Fact::HealthCheck, if *health == HealthCheck::default() { Value::Null } else { json!(health) }),
        (Fact::OnUnhealthy, if *on_unhealthy == OnUnhealthy::None { Value::Null } else { json!(on_unhealthy) }),
        (Fact::RestartPolicy, if *restart == RestartPolicy::No { Value::Null } else { json!(restart.to_string()) }),
        (Fact::GoesWhenItEnds, yes(*auto_remove)),
        (Fact::WritableDirectory, json!(container.directory.join("upper"))),
        (Fact::WritableOnDisk, json!(blocks(&container.directory.join("upper"))?)),
    ]))
}

/// Returns no value for a switch that is off, which is the default.
fn yes(is_set: bool) -> Value {
    if is_set { json!(true) } else { Value::Null }
}
