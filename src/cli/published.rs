//! Published ports as Docker prints them.

use crate::network::ports::PortSpec;

/// `0.0.0.0:8080`.
pub(super) fn host_side(port: &PortSpec) -> String {
    let host = port.host_ip.map_or("0.0.0.0".into(), |ip| ip.to_string());
    if host.contains(':') { format!("[{host}]:{}", port.host_port) } else { format!("{host}:{}", port.host_port) }
}

/// `0.0.0.0:8080->80/tcp, …`.
pub(super) fn ports(ports: &[PortSpec]) -> String {
    let each = ports.iter().map(|p| format!("{}->{}/{}", host_side(p), p.container_port, p.protocol));
    each.collect::<Vec<_>>().join(", ")
}
