//! Networks and ports of a container.

use crate::container::request::Network;
use crate::container::stored::record::{Phase, Record, State};
use crate::network::CONTAINER;
use crate::network::ports::PortSpec;
use crate::network::shared::{self, BRIDGE, Endpoint};
use crate::store::Store;
use serde_json::{Map, Value, json};
use std::net::Ipv4Addr;

/// Returns a container's `NetworkSettings`.
pub(super) fn settings(store: &Store, record: &Record, state: &State, exposed: &Value) -> Value {
    let is_running = state.phase == Phase::Running;
    let has_network = is_running && record.request.network == Network::Private;
    let mut ports = bindings(&state.ports);
    if has_network {
        // Those that are exposed and not published.
        for port in exposed.as_object().into_iter().flatten().map(|(port, _)| port) {
            let port = if port.contains('/') { port.clone() } else { format!("{port}/tcp") };
            ports.as_object_mut().map(|ports| ports.entry(port).or_insert(Value::Null));
        }
    }
    let mut networks = Map::new();
    for endpoint in &record.request.endpoints {
        networks.insert(endpoint.network.clone(), member(store, endpoint, record, is_running));
    }
    if record.request.endpoints.is_empty() {
        let own = has_network.then_some((CONTAINER.v4, CONTAINER.gateway_v4, 24));
        networks.insert(record.request.network.to_string(), described(own));
    }
    // What stands here is meant for the network `bridge`, as with Docker.
    let first = networks.get(BRIDGE).or_else(|| networks.values().next());
    let of_first = |key: &str| first.map_or(Value::Null, |first| first[key].clone());
    json!({
        "Bridge": "",
        "SandboxID": "",
        "SandboxKey": if is_running { format!("/proc/{}/ns/net", state.pid) } else { String::new() },
        "Ports": ports,
        "HairpinMode": false,
        "EndpointID": "",
        "Gateway": of_first("Gateway"),
        "GlobalIPv6Address": of_first("GlobalIPv6Address"),
        "GlobalIPv6PrefixLen": of_first("GlobalIPv6PrefixLen"),
        "IPAddress": of_first("IPAddress"),
        "IPPrefixLen": of_first("IPPrefixLen"),
        "IPv6Gateway": of_first("IPv6Gateway"),
        "MacAddress": of_first("MacAddress"),
        "Networks": networks,
    })
}

/// Returns an endpoint with these of address, gateway and bits.
fn described(own: Option<(Ipv4Addr, Ipv4Addr, u8)>) -> Value {
    json!({
        "IPAMConfig": null, "Links": null, "Aliases": null, "MacAddress": "", "DriverOpts": null, "NetworkID": "",
        "EndpointID": "",
        "Gateway": own.map(|(_, gateway, _)| gateway.to_string()).unwrap_or_default(),
        "IPAddress": own.map(|(address, ..)| address.to_string()).unwrap_or_default(),
        "IPPrefixLen": own.map_or(0, |(.., bits)| bits),
        "IPv6Gateway": "", "GlobalIPv6Address": "", "GlobalIPv6PrefixLen": 0, "DNSNames": null,
    })
}

/// Returns a container's place on a network: what it asked for and, while it runs, what it has.
fn member(store: &Store, endpoint: &Endpoint, record: &Record, is_running: bool) -> Value {
    let network = shared::find(store, &endpoint.network).ok();
    let lease = network.as_ref().filter(|_| is_running);
    let lease = lease.and_then(|network| shared::of_container(store, network, record.id.as_str()));
    let own = lease.as_ref().zip(network.as_ref());
    let own = own.map(|(lease, network)| (lease.v4, network.gateway, network.subnet.prefix_len()));
    let mut shown = described(own);
    let asked = [
        ("IPv4Address", endpoint.v4.map(|address| address.to_string())),
        ("IPv6Address", endpoint.v6.map(|address| address.to_string())),
    ];
    let asked: Map<String, Value> =
        asked.into_iter().filter_map(|(key, address)| Some((key.to_owned(), json!(address?)))).collect();
    if !asked.is_empty() {
        shown["IPAMConfig"] = Value::Object(asked);
    }
    if !endpoint.aliases.is_empty() {
        shown["Aliases"] = json!(endpoint.aliases);
    }
    let names = std::iter::once(record.name.as_str()).chain(endpoint.aliases.iter().map(String::as_str));
    shown["DNSNames"] = json!(names.chain([record.id.short()]).collect::<Vec<_>>());
    shown["NetworkID"] = json!(network.as_ref().map(|network| &network.id));
    if let Some(lease) = &lease {
        shown["MacAddress"] = json!(lease.mac);
        if let Some((address, v6)) = lease.v6.zip(network.and_then(|network| network.v6)) {
            shown["GlobalIPv6Address"] = json!(address);
            shown["GlobalIPv6PrefixLen"] = json!(v6.subnet.prefix_len());
            shown["IPv6Gateway"] = json!(v6.gateway);
        }
    }
    shown
}

/// `{"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]}`.
pub(super) fn bindings(ports: &[PortSpec]) -> Value {
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
