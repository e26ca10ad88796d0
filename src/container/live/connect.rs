//! Containers that come onto networks and leave them, also while they run: their monitors do it.

use super::networks::runtime;
use crate::container::decide::networks;
use crate::container::protocol::Message;
use crate::container::request::Network;
use crate::container::stored::record::{Container, RecordError};
use crate::diag::{Diagnose, inner_of};
use crate::journal::{self, Event, Kind};
use crate::network::shared::{self, Endpoint, Member, NetworkError};
use crate::store::{self, Store};
use crate::sys::SysError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("container {container} is on network {network} already")]
    Already { container: String, network: String },
    #[error("container {container} is not on network {network}")]
    Not { container: String, network: String },
    #[error("container {container} is in network mode {mode}")]
    Alone { container: String, mode: String },
    #[error("container {0} is alone on its network: it has a user namespace of its own, or was made without networks")]
    Apart(String),
    #[error("container {0} was started by an older minirun, whose monitor knows no networks")]
    OldMonitor(String),
    #[error("cannot {what} network {network}")]
    Refused {
        what: &'static str,
        network: String,
        #[source]
        source: SysError,
    },
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for ConnectError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Network, Record, Sys)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Already { .. } | Self::Refused { .. } => None,
            Self::Not { network, .. } => Some(format!("see who is: minirun network inspect {network}")),
            Self::Alone { .. } => {
                Some("make it with a network of its own: leave out --network, or name another".into())
            }
            Self::Apart(_) => Some("leave out --privileged and the like, or reach others by published ports".into()),
            Self::OldMonitor(name) => Some(format!("start it again: minirun restart {name}")),
            Self::Network(_) | Self::Record(_) | Self::Sys(_) => self.inner().and_then(Diagnose::hint),
        }
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

/// Puts a container on a network, at once if it runs.
pub(crate) fn connect(store: &Store, container: &Container, endpoint: Endpoint) -> Result<(), ConnectError> {
    let network = shared::find(store, &endpoint.network)?;
    let endpoint = Endpoint { network: network.name.clone(), ..endpoint };
    shared::check(&network, &endpoint)?;
    let _lock = container.lock()?;
    // As it is under the lock.
    let container = Container::load(store, &container.record.id)?;
    let (name, id) = (container.record.name.clone(), container.record.id.clone());
    let request = &container.record.request;
    if request.network != Network::Private {
        return Err(ConnectError::Alone { container: name, mode: request.network.to_string() });
    }
    if networks::is_apart(store, request) {
        return Err(ConnectError::Apart(name));
    }
    if request.endpoints.iter().any(|other| other.network == network.name) {
        return Err(ConnectError::Already { container: name, network: network.name });
    }
    let state = container.state();
    if state.phase.has_monitor() {
        let slot = free_slot(store, &container)?;
        let lease = shared::take(store, &network, &endpoint, (id.as_str(), &name), state.monitor, slot)?;
        let member = Member::new(&network, &lease, runtime(store));
        let told = serde_json::to_vec(&member).unwrap_or_default();
        if let Err(error) = ask(&container, Message::Connect(told), "join", &network.name) {
            lease.end(&store.runtime.join(network.members()));
            return Err(error);
        }
    }
    let mut record = container.record.clone();
    record.request.endpoints.push(endpoint);
    store::write_quickly(&container.directory.join("container.json"), &store::format::to_record(&record))?;
    note(store, &network, "connect", id.as_str());
    Ok(())
}

/// Takes a container off a network, at once if it runs.
pub(crate) fn disconnect(store: &Store, container: &Container, network: &str) -> Result<(), ConnectError> {
    let _lock = container.lock()?;
    let container = Container::load(store, &container.record.id)?;
    let (name, id) = (container.record.name.clone(), container.record.id.clone());
    // A stopped container may still name one that has gone.
    let found = shared::find(store, network);
    let network = found.as_ref().map_or_else(|_| network.to_owned(), |found| found.name.clone());
    let mut record = container.record.clone();
    let endpoints = &mut record.request.endpoints;
    let Some(at) = endpoints.iter().position(|endpoint| endpoint.network == network) else {
        found?;
        return Err(ConnectError::Not { container: name, network });
    };
    endpoints.remove(at);
    if container.state().phase.has_monitor() {
        let found = found?;
        ask(&container, Message::Disconnect(network.clone().into_bytes()), "leave", &network)?;
        if let Some(lease) = shared::of_container(store, &found, id.as_str()) {
            lease.end(&store.runtime.join(found.members()));
        }
        note(store, &found, "disconnect", id.as_str());
    }
    store::write_quickly(&container.directory.join("container.json"), &store::format::to_record(&record))?;
    Ok(())
}

/// Returns the lowest number that none of the container's networks has.
fn free_slot(store: &Store, container: &Container) -> Result<u16, ConnectError> {
    let mut taken = Vec::new();
    for endpoint in &container.record.request.endpoints {
        let network = shared::find(store, &endpoint.network)?;
        taken.extend(shared::of_container(store, &network, container.record.id.as_str()).map(|lease| lease.slot));
    }
    Ok((0..).find(|slot| !taken.contains(slot)).unwrap_or_default())
}

fn ask(container: &Container, message: Message, what: &'static str, network: &str) -> Result<(), ConnectError> {
    let name = || container.record.name.clone();
    let end = container.reach()?.ok_or_else(|| container.not_running())?;
    end.tell(&message)?;
    loop {
        match end.receive()? {
            Some((Message::Done { errno: 0 }, _)) => return Ok(()),
            Some((Message::Done { errno }, _)) if errno.cast_signed() == libc::ENOTSUP => {
                return Err(ConnectError::Apart(name()));
            }
            Some((Message::Done { errno }, _)) => {
                let source = SysError { call: "setns", subject: network.to_owned(), errno: errno.cast_signed() };
                return Err(ConnectError::Refused { what, network: network.to_owned(), source });
            }
            Some((Message::Exited { .. }, _)) => return Err(container.not_running().into()),
            Some(_) => {}
            None if container.written_state().monitor_lives() => return Err(ConnectError::OldMonitor(name())),
            None => return Err(container.not_running().into()),
        }
    }
}

fn note(store: &Store, network: &shared::Record, action: &str, container: &str) {
    let event = Event::now(Kind::Network, action, &network.id).with("name", &network.name);
    journal::note(store, &[event.with("type", "bridge").with("container", container)]);
}
