//! What was decided when a container was created.

use super::fact::{Fact, Facts, collect};
use crate::container::request::{
    HealthCheck, Ipc, Limits, LogOptions, OnUnhealthy, Request, RestartPolicy, Tmpfs, Ulimit,
};
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
        domainname,
        labels,
        volumes: _,
        volumes_from: _,
        tmpfs,
        ports,
        publish_all,
        exposed: _,
        network: _,
        way_out,
        endpoints: _,
        hosts,
        dns,
        dns_search,
        dns_options,
        no_hosts,
        annotations,
        host_env,
        unset_env,
        unset_all_env,
        read_only,
        cap_add,
        cap_drop,
        privileged,
        no_new_privileges,
        seccomp_unconfined,
        seccomp_profile,
        masks,
        devices,
        sysctls,
        namespaces,
        init,
        terminal,
        stdin,
        keeps_stdin: _,
        auto_remove,
        limits,
        require_limits,
        ulimits,
        oom_score_adj,
        umask,
        timezone,
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
    // No other network has options of a way out.
    let mode = format!("{}{way_out}", record.request.network_names().join(", "));
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
    let switches = [
        ("--publish-all", *publish_all),
        ("--no-hosts", *no_hosts),
        ("--unsetenv-all", *unset_all_env),
        ("--require-limits", *require_limits),
        ("--security-opt seccomp=FILE", seccomp_profile.is_some()),
        ("--uts host", namespaces.uts_of_host),
        ("--cgroupns host", namespaces.cgroup_of_host),
    ];
    let switches = switches.into_iter().filter(|(_, is_set)| *is_set).map(|(flag, _)| flag.to_owned());
    let annotations = pairs(annotations, "=");
    let devices: Vec<String> =
        devices.iter().map(|one| format!("{}:{}:{}", one.source, one.target, one.access)).collect();
    let sysctls: Vec<String> = sysctls.iter().map(|sysctl| format!("{}={}", sysctl.name, sysctl.value)).collect();
    let typed = |value: Option<String>| -> Vec<String> { value.into_iter().collect() };
    let (domainname, timezone) = (typed(domainname.clone()), typed(timezone.clone()));
    let pid = typed((!namespaces.pid.is_own()).then(|| namespaces.pid.to_string()));
    let ipc = typed((namespaces.ipc != Ipc::default()).then(|| namespaces.ipc.to_string()));
    let umask = typed(umask.map(|mask| format!("{mask:04o}")));
    let oom_score_adj = typed(oom_score_adj.map(|value| value.to_string()));
    let lists = [
        ("--dns-search", dns_search),
        ("--dns-option", dns_options),
        ("--unsetenv", unset_env),
        ("--annotation", &annotations),
        ("--domainname", &domainname),
        ("--pid", &pid),
        ("--ipc", &ipc),
        ("--device", &devices),
        ("--sysctl", &sysctls),
        ("--security-opt mask", &masks.hidden),
        ("--security-opt unmask", &masks.shown),
        ("--oom-score-adj", &oom_score_adj),
        ("--umask", &umask),
        ("--tz", &timezone),
    ];
    let lists = lists.into_iter().flat_map(|(flag, list)| list.iter().map(move |value| format!("{flag} {value}")));
    let further: Vec<String> = switches.chain(lists).chain(limits_beside(limits)).collect();
    Ok(collect([
        (Fact::ContainerId, json!(record.id)),
        (Fact::ContainerName, json!(record.name)),
        (Fact::ContainerCreated, json!(record.created)),
        (Fact::Image, json!(record.image)),
        (Fact::EntrypointOption, json!(entrypoint)),
        (Fact::Command, json!(process.args())),
        (Fact::AddedEnv, json!(host_env.iter().chain(env).collect::<Vec<_>>())),
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
        (Fact::FurtherOptions, json!(further)),
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

/// Returns the options of limits that have no fact of their own.
fn limits_beside(limits: &Limits) -> Vec<String> {
    let Limits { memory: _, cpus: _, pids: _, swap, reservation, cpu_period, .. } = limits;
    let Limits { cpu_shares, cpuset_cpus, cpuset_mems, io_weight, .. } = limits;
    let option = |flag: &str, value: Option<String>| value.map(|value| format!("{flag} {value}"));
    let all = [
        option("--memory-swap", swap.map(|swap| swap.to_string())),
        option("--memory-reservation", reservation.map(|bytes| bytes.to_string())),
        option("--cpu-period", cpu_period.map(|period| period.to_string())),
        option("--cpu-shares", cpu_shares.map(|shares| shares.to_string())),
        option("--cpuset-cpus", cpuset_cpus.clone()),
        option("--cpuset-mems", cpuset_mems.clone()),
        option("--blkio-weight", io_weight.map(|weight| weight.to_string())),
    ];
    all.into_iter().flatten().collect()
}

/// Returns no value for a switch that is off, which is the default.
fn yes(is_set: bool) -> Value {
    if is_set { json!(true) } else { Value::Null }
}
