//! A container as Docker's `inspect` shows it: programs read these names.

mod network;

use super::decide::settings::settings;
use super::request::{Device, Limits, LogOptions, Request, Source, VolumesFrom};
use super::stored::record::{Container, Phase, RecordError, State};
use crate::image::Image;
use crate::network::egress::COMPLAINT;
use crate::store::Store;
use oci_spec::runtime::Spec;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Docker's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Docker's settings of a host that no container here has: each with Docker's value for "not set".
const UNSET: &str = r#"{
    "ContainerIDFile": "", "VolumeDriver": "", "ConsoleSize": [0, 0], "Cgroup": "", "Links": null, "Isolation": "",
    "CgroupParent": "", "BlkioWeightDevice": [], "BlkioDeviceReadBps": [], "BlkioDeviceWriteBps": [],
    "BlkioDeviceReadIOps": [], "BlkioDeviceWriteIOps": [], "CpuRealtimePeriod": 0, "CpuRealtimeRuntime": 0,
    "DeviceCgroupRules": null, "DeviceRequests": null, "MemorySwappiness": null, "OomKillDisable": null, "CpuCount": 0,
    "CpuPercent": 0, "IOMaximumIOps": 0, "IOMaximumBandwidth": 0
}"#;

pub(crate) fn json(store: &Store, container: &Container) -> Result<Value, RecordError> {
    let (record, state) = (&container.record, container.state());
    let spec = container.spec()?;
    let process = spec.process().clone().unwrap_or_default();
    let argv = process.args().clone().unwrap_or_default();
    // A damaged image is told by others; its container is shown without it.
    let image = Image::open(store, &record.image_id).ok().flatten();
    let config = config(container, spec, image.as_ref());
    let path = |part: &str| container.directory.join(part);
    let absolute = |layer: &String| store.path(layer).to_string_lossy().into_owned();
    let layers: Vec<String> = record.layers.iter().rev().map(absolute).collect();
    let mut shown = json!({
        "Id": record.id,
        "Created": record.created,
        "Path": argv.first(),
        "Args": argv.get(1..).unwrap_or_default(),
        "Image": record.image_id.to_string(),
        "ResolvConfPath": path("resolv.conf"),
        "HostnamePath": path("hostname"),
        "HostsPath": path("hosts"),
        "LogPath": container.log(),
        "Name": format!("/{}", record.name),
        "RestartCount": state.restarts,
        "Driver": "overlay",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": null,
        "GraphDriver": {
            "Name": "overlay",
            "Data": {
                "LowerDir": layers.join(":"),
                "MergedDir": path("rootfs"),
                "UpperDir": path("upper"),
                "WorkDir": path("work"),
            },
        },
    });
    shown["State"] = state_json(container, &state);
    shown["HostConfig"] = host_config(&record.request, spec);
    shown["Mounts"] = mounts(container);
    shown["NetworkSettings"] = network::settings(store, record, &state, &config["ExposedPorts"]);
    shown["Config"] = config;
    Ok(shown)
}

fn state_json(container: &Container, state: &State) -> Value {
    let is_running = state.phase == Phase::Running;
    // Docker counts a container that is about to be started again as running.
    let is_restarting = state.phase == Phase::Restarting;
    let time = |text: &str| if text.is_empty() { NEVER.to_owned() } else { text.to_owned() };
    // What cannot be told at the start any more, since it is tried later.
    let complaint = || std::fs::read_to_string(container.runtime.join(COMPLAINT)).unwrap_or_default();
    let mut shown = json!({
        "Status": state.status(),
        "Running": is_running || is_restarting,
        "Paused": state.is_paused,
        "Restarting": is_restarting,
        "OOMKilled": state.oom_killed,
        "Dead": false,
        "Pid": if is_running { state.pid } else { 0 },
        "ExitCode": if is_running { 0 } else { state.exit_code },
        "Error": if state.error.is_empty() { complaint() } else { state.error.clone() },
        "StartedAt": time(&state.started),
        "FinishedAt": time(&state.finished),
    });
    if let Some(health) = &state.health {
        shown["Health"] = json!(health);
    }
    shown
}

/// The settings that the container starts with: its image's, overridden by its own.
fn config(container: &Container, spec: &Spec, image: Option<&Image>) -> Value {
    let request = &container.record.request;
    let mut config = json!({
        "Hostname": spec.hostname().clone().unwrap_or_default(),
        "Domainname": request.domainname.clone().unwrap_or_default(),
        "User": request.user.clone().unwrap_or_default(),
        "AttachStdin": request.stdin,
        "AttachStdout": true,
        "AttachStderr": true,
        "Tty": request.terminal,
        "OpenStdin": request.stdin,
        "StdinOnce": false,
        "Env": null,
        "Cmd": null,
        "Image": container.record.image,
        "Volumes": null,
        "WorkingDir": "",
        "Entrypoint": null,
        "OnBuild": null,
        "Labels": {},
    });
    let settings = match image {
        Some(image) => settings(image, request),
        None => json!({
            "Cmd": request.command,
            "Labels": request.labels.iter().cloned().collect::<BTreeMap<_, _>>(),
        }),
    };
    for (key, value) in settings.as_object().into_iter().flatten() {
        if !value.is_null() {
            config[key] = value.clone();
        }
    }
    // As Docker lists them: those of the command line, then those of the image.
    let of_image = config["Env"].as_array().cloned().unwrap_or_default();
    let others =
        of_image.into_iter().filter(|entry| request.env.iter().all(|own| Some(own.as_str()) != entry.as_str()));
    config["Env"] = request.env.iter().map(|entry| json!(entry)).chain(others).collect();
    if let Some(seconds) = request.stop_timeout {
        config["StopTimeout"] = json!(seconds);
    }
    config
}

fn host_config(request: &Request, spec: &Spec) -> Value {
    let linux = spec.linux().clone().unwrap_or_default();
    let list = |values: Vec<String>| if values.is_empty() { Value::Null } else { json!(values) };
    let binds = request.volumes.iter().filter(|v| !v.is_of_mount).filter_map(|v| match &v.source {
        Source::Host(source) | Source::Named(source) => {
            let mode = mode_of(&v.mode, v.read_only);
            Some(format!("{source}:{}{}{mode}", v.target, if mode.is_empty() { "" } else { ":" }))
        }
        Source::Anonymous => None,
    });
    let from = |from: &VolumesFrom| format!("{}{}", from.container, if from.is_read_only { ":ro" } else { "" });
    let mut config: Value = serde_json::from_str(UNSET).unwrap_or_default();
    let mut add = |fields: Value| {
        for (key, value) in fields.as_object().into_iter().flatten() {
            config[key] = value.clone();
        }
    };
    add(json!({
        "Binds": list(binds.collect()),
        "VolumesFrom": list(request.volumes_from.iter().map(from).collect()),
        "NetworkMode": request.network_names().first(),
        "LogConfig": log_config(&request.log),
        "PortBindings": network::bindings(&request.ports),
        "RestartPolicy": {"Name": request.restart.name(), "MaximumRetryCount": request.restart.most_retries()},
        "AutoRemove": request.auto_remove,
        "CapAdd": list(request.cap_add.iter().map(ToString::to_string).collect()),
        "CapDrop": list(request.cap_drop.iter().map(ToString::to_string).collect()),
        "Dns": request.dns,
        "ExtraHosts": list(request.hosts.iter().map(|host| format!("{}:{}", host.name, host.address)).collect()),
        "GroupAdd": list(request.groups.clone()),
        "Privileged": request.privileged,
        "ReadonlyRootfs": request.read_only,
        "SecurityOpt": list(security(request)),
    }));
    add(json!({
        "ShmSize": request.shm_size.unwrap_or(64 << 20),
        "Runtime": "minirun",
        "Ulimits": ulimits(request),
        "MaskedPaths": linux.masked_paths(),
        "ReadonlyPaths": linux.readonly_paths(),
    }));
    add(limits(&request.limits));
    add(asked(request));
    if !request.tmpfs.is_empty() {
        let tmpfs = request.tmpfs.iter().cloned().map(<(String, String)>::from);
        add(json!({ "Tmpfs": tmpfs.collect::<BTreeMap<_, _>>() }));
    }
    if request.init {
        add(json!({ "Init": true }));
    }
    config
}

fn limits(limits: &Limits) -> Value {
    let (memory, cpus) = (limits.memory.unwrap_or(0), limits.cpus.unwrap_or(0.0));
    json!({
        "Memory": memory,
        "MemorySwap": limits.swap.unwrap_or(0),
        "MemoryReservation": limits.reservation.unwrap_or(0),
        "NanoCpus": if limits.cpu_period.is_none() { (cpus * 1e9) as u64 } else { 0 },
        "CpuPeriod": limits.cpu_period.unwrap_or(0),
        "CpuQuota": limits.cpu_period.map_or(0, |period| (cpus * period as f64) as i64),
        "CpuShares": limits.cpu_shares.unwrap_or(0),
        "CpusetCpus": limits.cpuset_cpus.clone().unwrap_or_default(),
        "CpusetMems": limits.cpuset_mems.clone().unwrap_or_default(),
        "BlkioWeight": limits.io_weight.unwrap_or(0),
        "PidsLimit": limits.pids,
    })
}

/// Returns options of `run` that Docker shows under HostConfig.
fn asked(request: &Request) -> Value {
    json!({
        "PublishAllPorts": request.publish_all,
        "PidMode": request.namespaces.pid.to_string(),
        "IpcMode": request.namespaces.ipc.to_string(),
        "UTSMode": if request.namespaces.uts_of_host { "host" } else { "" },
        "CgroupnsMode": if request.namespaces.cgroup_of_host { "host" } else { "private" },
        "UsernsMode": if request.host_ids { "host" } else { "" },
        "Sysctls": request.sysctls.iter().map(|sysctl| (&sysctl.name, &sysctl.value)).collect::<BTreeMap<_, _>>(),
        "Devices": request.devices.iter().map(device).collect::<Vec<_>>(),
        "OomScoreAdj": request.oom_score_adj.unwrap_or(0),
        "DnsSearch": request.dns_search,
        "DnsOptions": request.dns_options,
        "Annotations": request.annotations.iter().cloned().collect::<BTreeMap<_, _>>(),
    })
}

fn ulimits(request: &Request) -> Vec<Value> {
    let name = |name: &str| name.strip_prefix("RLIMIT_").unwrap_or(name).to_lowercase();
    let limits = request.ulimits.iter();
    limits.map(|limit| json!({ "Name": name(&limit.name), "Soft": limit.soft, "Hard": limit.hard })).collect()
}

fn mounts(container: &Container) -> Value {
    let mounts = container.record.volumes.iter().map(|v| {
        json!({
            "Type": if v.name.is_some() { "volume" } else { "bind" },
            "Name": v.name.clone().unwrap_or_default(),
            "Source": v.source,
            "Destination": v.target,
            "Driver": if v.name.is_some() { "local" } else { "" },
            "Mode": mode_of(&v.mode, v.read_only),
            "RW": !v.read_only,
            "Propagation": "rprivate",
        })
    });
    mounts.collect()
}

/// Returns the options of a mount as they were typed, or what they come to.
fn mode_of(typed: &str, read_only: bool) -> &str {
    if typed.is_empty() && read_only { "ro" } else { typed }
}

fn log_config(log: &LogOptions) -> Value {
    if log.is_off {
        return json!({"Type": "none", "Config": {}});
    }
    let size = log.max_size.map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string());
    json!({"Type": "json-file", "Config": {"max-size": size, "max-file": log.max_files.to_string()}})
}

fn device(device: &Device) -> Value {
    json!({"PathOnHost": device.source, "PathInContainer": device.target, "CgroupPermissions": device.access})
}

/// Returns the security options as they can be typed.
fn security(request: &Request) -> Vec<String> {
    let profile = || request.seccomp_profile.as_ref().and_then(|profile| serde_json::to_string(profile).ok());
    let seccomp = if request.seccomp_unconfined { Some("unconfined".to_owned()) } else { profile() };
    let paths = |name: &str, paths: &[String]| (!paths.is_empty()).then(|| format!("{name}={}", paths.join(":")));
    let all = [
        request.no_new_privileges.then(|| "no-new-privileges".to_owned()),
        seccomp.map(|seccomp| format!("seccomp={seccomp}")),
        paths("mask", &request.masks.hidden),
        paths("unmask", &request.masks.shown),
    ];
    all.into_iter().flatten().collect()
}
