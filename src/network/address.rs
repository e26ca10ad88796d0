//! The addresses that a container sees.

use serde::{Deserialize, Serialize};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The name of the container's device.
pub(crate) const DEVICE: &str = "eth0";
/// The longest packet of that device; the most that slirp4netns takes.
pub(crate) const MTU: u32 = 65520;

/// The addresses that a container sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerNetwork {
    pub v4: Ipv4Addr,
    pub v6: Ipv6Addr,
    /// The host, as the container sees it.
    pub gateway_v4: Ipv4Addr,
    pub gateway_v6: Ipv6Addr,
    /// The name server of the way out.
    pub dns: Ipv4Addr,
    /// The container's addresses belong to its loopback device: no way out will bring a device that has them.
    pub on_loopback: bool,
}

/// Every container has the same addresses, in a network of its own: those of slirp4netns.
pub(crate) const CONTAINER: ContainerNetwork = ContainerNetwork {
    v4: Ipv4Addr::new(10, 0, 2, 100),
    v6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100),
    gateway_v4: Ipv4Addr::new(10, 0, 2, 2),
    gateway_v6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2),
    dns: Ipv4Addr::new(10, 0, 2, 3),
    on_loopback: true,
};
