//! The addresses that a container sees.

use super::shared::Member;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The name of the device that leads out, where it is the only one, and beside those of networks.
const ALONE: &str = "eth0";
const BESIDE: &str = "out0";
/// The longest packet of that device; the most that slirp4netns takes.
pub(crate) const MTU: u32 = 65520;

/// The addresses that a container sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerNetwork {
    /// The name of the device that leads out.
    pub device: Cow<'static, str>,
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

impl ContainerNetwork {
    /// That of a container which shares networks with others.
    pub(crate) fn beside_others() -> Self {
        Self { device: Cow::Borrowed(BESIDE), ..CONTAINER }
    }

    /// That of a container whose own address is the one that it has on a network.
    pub(crate) fn on(self, member: Option<&Member>) -> Self {
        let v4 = member.map_or(self.v4, |member| member.v4);
        let v6 = member.and_then(|member| member.v6).map_or(self.v6, |(address, ..)| address);
        Self { v4, v6, ..self }
    }
}

/// The way out is the same for every container, in a network of its own: the addresses are those of slirp4netns.
pub(crate) const CONTAINER: ContainerNetwork = ContainerNetwork {
    device: Cow::Borrowed(ALONE),
    v4: Ipv4Addr::new(10, 0, 2, 100),
    v6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100),
    gateway_v4: Ipv4Addr::new(10, 0, 2, 2),
    gateway_v6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2),
    dns: Ipv4Addr::new(10, 0, 2, 3),
    on_loopback: true,
};
