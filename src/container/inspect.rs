//! A container as Docker's `inspect` shows it: programs read these names.

use super::request::{LogOptions, Network, Source};
use super::stored::record::{Container, Phase, RecordError};
use crate::network::egress::COMPLAINT;
use crate::network::ports::PortSpec;
use crate::store::Store;
use serde_json::{Map, Value, json};

/// Docker's zero time.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(crate) fn json(store: &Store, container: &Container) -> Result<Value, RecordError> {
    let (record, state) = (&container.record, container.state());
    let request = &record.request;
    let spec = container.spec()?;
    let process = spec.process().clone().unwrap_or_default();
    let linux = spec.linux().clone().unwrap_or_default();
    let argv = process.args().clone().unwrap_or_default();
    // Docker counts a container that is about to be started again as running.
    let restarting = state.phase == Phase::Restarting;
    let running = state.phase == Phase::Running;
    let time = |text: &str| if text.is_empty() { NEVER.to_owned() } else { text.to_owned() };
    let path = |part: &str| container.directory.join(part);
    let absolute = |layer: &String| store.path(layer).to_string_lossy().into_owned();
    let layers: Vec<String> = record.layers.iter().rev().map(absolute).collect();
    let mode = match request.network {
        Network::Private => "bridge",
        Network::None => "none",
        Network::Host => "host",
    };
    // What cannot be told at the start any more, since it is tried later.
    let complaint = || std::fs::read_to_string(container.runtime.join(COMPLAINT)).unwrap_or_default();
    let error = if state.error.is_empty() { complaint() } else { state.error.clone() };
    let address = if running && request.network == Network::Private {
        crate::network::CONTAINER.v4.to_string()
    } else {
        String::new()
    };
    let mounts: Vec<Value> = record
        .volumes
        .iter()
        .map(|v| {
            json!({
                "Type": if v.name.is_some() { "volume" } else { "bind" },
                "Name": v.name.clone().unwrap_or_default(),
                "Source": v.source,
                "Destination": v.target,
                "Driver": if v.name.is_some() { "local" } else { "" },
                "Mode": if v.read_only { "ro" } else { "" },
                "RW": !v.read_only,
                "Propagation": "rprivate",
            })
        })
        .collect();
    let binds: Vec<String> = request
        .volumes
        .iter()
        .filter_map(|v| match &v.source {
            Source::Host(source) | Source::Named(source) => {
                Some(format!("{source}:{}{}", v.target, if v.read_only { ":ro" } else { "" }))
            }
            Source::Anonymous => None,
        })
        .collect();
    let mut state_shown = json!({
            "Status": state.status(),
            "Running": running || restarting,
            "Paused": state.is_paused,
            "Restarting": restarting,
            "OOMKilled": state.oom_killed,
            "Dead": false,
            "Pid": if running { state.pid } else { 0 },
            "ExitCode": if running { 0 } else { state.exit_code },
            "Error": error,
            "StartedAt": time(&state.started),
            "FinishedAt": time(&state.finished),
    });
    if let Some(health) = &state.health {
        state_shown["Health"] = json!(health);
    }
    Ok(json!({
        "Id": record.id,
        "Created": record.created,
        "Path": argv.first(),
        "Args": argv.get(1..),
        "State": state_shown,
        "Image": record.image_id.to_string(),
        "ResolvConfPath": path("resolv.conf"),
        "HostnamePath": path("hostname"),
        "HostsPath": path("hosts"),
        "LogPath": container.log(),
        "Name": format!("/{}", record.name),
        "RestartCount": state.restarts,
        "Driver": "overlay",
        "Platform": "linux",
        "ExecIDs": null,
        "HostConfig": {
            "Binds": binds,
            "NetworkMode": mode,
            "LogConfig": log_config(&request.log),
            "PortBindings": bindings(&request.ports),
            "RestartPolicy": {"Name": request.restart.name(), "MaximumRetryCount": request.restart.most_retries()},
            "AutoRemove": request.auto_remove,
            "CapAdd": request.cap_add,
            "CapDrop": request.cap_drop,
            "Dns": request.dns,
            "ExtraHosts": request.hosts.iter().map(|host| format!("{}:{}", host.name, host.address)).collect::<Vec<_>>(),
            "GroupAdd": request.groups,
            "Privileged": request.privileged,
            "ReadonlyRootfs": request.read_only,
            "Tmpfs": request.tmpfs.iter().cloned().map(<(String, String)>::from).collect::<std::collections::BTreeMap<_, _>>(),
            "ShmSize": request.shm_size.unwrap_or(64 << 20),
            "Init": request.init,
            "Memory": request.limits.memory.unwrap_or(0),
            "NanoCpus": (request.limits.cpus.unwrap_or(0.0) * 1e9) as u64,
            "PidsLimit": request.limits.pids,
            "MaskedPaths": linux.masked_paths(),
            "ReadonlyPaths": linux.readonly_paths(),
        },
        "GraphDriver": {
            "Name": "overlay",
            "Data": {
                "LowerDir": layers.join(":"),
                "MergedDir": path("rootfs"),
                "UpperDir": path("upper"),
                "WorkDir": path("work"),
            },
        },
        "Mounts": mounts,
        "Config": {
            "Hostname": spec.hostname(),
            "Domainname": "",
            "User": request.user.clone().unwrap_or_else(|| user_of_image(&process)),
            "AttachStdin": request.stdin,
            "AttachStdout": true,
            "AttachStderr": true,
            "Tty": request.terminal,
            "OpenStdin": request.stdin,
            "Env": process.env(),
            "Cmd": request.command,
            "Image": record.image,
            "WorkingDir": process.cwd(),
            "Entrypoint": request.entrypoint.as_ref().map(|e| vec![e]),
            "Labels": request.labels.iter().cloned().collect::<std::collections::BTreeMap<_, _>>(),
            "StopSignal": request.stop_signal,
            "StopTimeout": request.stop_timeout,
            "Healthcheck": Some(&request.health).filter(|health| !health.test.is_empty()),
        },
        "NetworkSettings": {
            "Ports": bindings(&state.ports),
            "IPAddress": address,
            "Gateway": if address.is_empty() { String::new() } else { crate::network::CONTAINER.gateway_v4.to_string() },
            "SandboxKey": if running { format!("/proc/{}/ns/net", state.pid) } else { String::new() },
            "Networks": {mode: {"IPAddress": address}},
        },
    }))
}

fn user_of_image(process: &oci_spec::runtime::Process) -> String {
    match (process.user().uid(), process.user().gid()) {
        (0, 0) => String::new(),
        (uid, gid) => format!("{uid}:{gid}"),
    }
}

/// `{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}`.
fn bindings(ports: &[PortSpec]) -> Value {
    let mut all: Map<String, Value> = Map::new();
    for port in ports {
        let host = port.host_ip.map_or("0.0.0.0".into(), |ip| ip.to_string());
        let binding = json!({"HostIp": host, "HostPort": port.host_port.to_string()});
        let key = format!("{}/{}", port.container_port, port.protocol);
        if let Value::Array(list) = all.entry(key).or_insert_with(|| json!([])) {
            list.push(binding);
        }
    }
    Value::Object(all)
}

fn log_config(log: &LogOptions) -> Value {
    if log.is_off {
        return json!({"Type": "none", "Config": {}});
    }
    let size = log.max_size.map_or_else(|| "-1".to_owned(), |bytes| bytes.to_string());
    json!({"Type": "json-file", "Config": {"max-size": size, "max-file": log.max_files.to_string()}})
}
