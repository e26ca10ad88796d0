//! Who is on a network, and where a container is.

use crate::container::stored::record::{Container, Phase};
use crate::explain::sockets;
use crate::network::shared::{self, Lease, Record};
use crate::store::Store;
use serde::Serialize;

/// A network, and the running containers on it.
#[derive(Debug, Serialize)]
pub(crate) struct Picture {
    pub network: String,
    pub id: String,
    pub subnet: String,
    pub gateway: String,
    pub subnet_v6: Option<String>,
    pub gateway_v6: Option<String>,
    /// Its containers have no way out through it.
    pub is_internal: bool,
    /// It is a bridge, so that broadcasts reach everybody; otherwise it routes.
    pub has_broadcast: bool,
    /// By address.
    pub members: Vec<Member>,
    /// The containers that are made for it and do not run.
    pub not_running: Vec<String>,
}

/// A container on a network.
#[derive(Debug, Serialize)]
pub(crate) struct Member {
    pub container: String,
    pub id: String,
    pub device: String,
    #[serde(flatten)]
    pub place: Place,
    /// As `8080 → 80/tcp`.
    pub published: Vec<String>,
    /// The sockets that listen, not those of its loopback.
    pub listening: Vec<String>,
}

/// What a container has on a network.
#[derive(Debug, Serialize)]
pub(crate) struct Place {
    pub address: String,
    pub address_v6: Option<String>,
    /// The names by which it is found besides its own.
    pub aliases: Vec<String>,
}

impl Place {
    fn new(lease: Lease) -> Self {
        Self {
            address: lease.v4.to_string(),
            address_v6: lease.v6.map(|address| address.to_string()),
            aliases: lease.aliases,
        }
    }

    /// Returns both addresses as text.
    pub(crate) fn addresses(&self) -> String {
        let all = std::iter::once(self.address.as_str()).chain(self.address_v6.as_deref());
        all.collect::<Vec<_>>().join(", ")
    }
}

/// The place of a container on a network that is named.
#[derive(Debug, Serialize)]
pub(crate) struct NamedPlace {
    pub network: String,
    #[serde(flatten)]
    pub place: Place,
}

/// Returns the places of a container on its networks; none, if it does not run.
pub(crate) fn places(store: &Store, container: &Container) -> Vec<NamedPlace> {
    let place = |network: Record| {
        let lease = shared::of_container(store, &network, container.record.id.as_str())?;
        Some(NamedPlace { network: network.name, place: Place::new(lease) })
    };
    shared::all(store).into_iter().filter_map(place).collect()
}

/// Looks at a network.
pub(crate) fn picture(store: &Store, network: &Record) -> Picture {
    let members: Vec<Member> = shared::members(store, network).into_iter().map(|lease| member(store, lease)).collect();
    let is_made_for = |container: &Container| {
        container.state().phase != Phase::Running
            && container.record.request.endpoints.iter().any(|endpoint| endpoint.network == network.name)
    };
    let mut not_running: Vec<String> =
        Container::all(store).into_iter().filter(is_made_for).map(|container| container.record.name).collect();
    not_running.sort();
    Picture {
        network: network.name.clone(),
        id: network.id.clone(),
        subnet: network.subnet.to_string(),
        gateway: network.gateway.to_string(),
        subnet_v6: network.v6.map(|v6| v6.subnet.to_string()),
        gateway_v6: network.v6.map(|v6| v6.gateway.to_string()),
        is_internal: network.internal,
        has_broadcast: network.broadcast,
        members,
        not_running,
    }
}

fn member(store: &Store, lease: Lease) -> Member {
    let (mut published, mut listening): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    if let Ok(container) = Container::find(store, &lease.container) {
        let state = container.state();
        // They lead to its address on its first network.
        let ports = state.ports.iter().filter(|_| lease.slot == 0);
        let texts = ports.map(|port| format!("{} → {}/{}", port.host_port, port.container_port, port.protocol));
        published = texts.collect();
        let heard = sockets::listening(state.pid).into_iter().filter(|socket| !socket.is_loopback());
        listening = heard.map(|socket| socket.to_string()).collect();
    }
    // Once for both families of addresses.
    published.dedup();
    listening.sort();
    listening.dedup();
    let Lease { container: id, name: container, device, .. } = lease.clone();
    Member { container, id, device, place: Place::new(lease), published, listening }
}
