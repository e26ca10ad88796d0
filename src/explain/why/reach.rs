//! What stands between two containers: networks, names, and sockets that listen.

use super::ports::listed;
use super::{Code, Verdict};
use crate::container::decide::networks::is_apart;
use crate::container::request::{Network, Pid, Request};
use crate::container::stored::record::{Container, Phase, RecordError};
use crate::diag::Failure;
use crate::explain::sockets::{Socket, listening};
use crate::image::name::id;
use crate::network::ports::Protocol;
use crate::network::shared::{self, Lease, Record};
use crate::store::Store;
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;

/// Whom a container wants to reach: the argument `NAME[:PORT[/PROTOCOL]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    name: String,
    port: Option<(u16, Protocol)>,
}

impl Target {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "it must be NAME or NAME:PORT, with /udp behind the port if it is one of UDP";
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        };
        let port = port.map(|port| {
            let (number, protocol) = match port.split_once('/') {
                None | Some((_, "tcp")) => (port.trim_end_matches("/tcp"), Protocol::Tcp),
                Some((number, "udp")) => (number, Protocol::Udp),
                Some(_) => return Err(FORM),
            };
            let number = number.parse().ok().filter(|number| *number > 0);
            number.map(|number| (number, protocol)).ok_or("a port is a number from 1 to 65535")
        });
        if name.is_empty() {
            return Err(FORM);
        }
        Ok(Self { name: name.to_owned(), port: port.transpose()? })
    }

    /// The same port of another name.
    fn of(&self, name: &str) -> Self {
        Self { name: name.to_owned(), port: self.port }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self.port {
            Some((number, Protocol::Tcp)) => write!(f, "{}:{number}", self.name),
            Some((number, Protocol::Udp)) => write!(f, "{}:{number}/udp", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[derive(Debug, Serialize)]
pub(crate) struct Passage {
    /// The container that wants to reach another.
    pub container: String,
    /// Otherwise it is about the time after its next start.
    pub is_running: bool,
    /// Whom it wants to reach, as it was typed.
    pub to: String,
    /// The containers that have this name there.
    pub peers: Vec<Peer>,
    pub verdicts: Vec<Verdict>,
}

/// A container that answers to the name.
#[derive(Debug, Serialize)]
pub(crate) struct Peer {
    pub container: String,
    /// `None`: both are in one network namespace.
    pub network: Option<String>,
    pub address: String,
    /// The sockets that listen in it, also on its loopback.
    pub listening: Vec<String>,
}

/// Explains why a container does not reach another. Must run inside the user namespace.
///
/// # Errors
/// When records cannot be read.
pub(crate) fn passage(store: &Store, container: &Container, target: &Target) -> Result<Passage, Failure> {
    let asker = Party::of(store, container)?;
    let mut passage = Passage {
        container: container.record.name.clone(),
        is_running: container.state().phase == Phase::Running,
        to: target.to_string(),
        peers: Vec::new(),
        verdicts: Vec::new(),
    };
    for (network, lease) in asker.named(store, &target.name) {
        passage.add(store, target, &lease.container, Some((&network, &lease)))?;
    }
    if passage.peers.is_empty() {
        passage.seek(store, &asker, target)?;
    }
    Ok(passage)
}

/// A container, and the one whose network namespace it is in: itself, as a rule.
struct Party {
    name: String,
    owner: Container,
    networks: Vec<Record>,
}

impl Party {
    fn of(store: &Store, container: &Container) -> Result<Self, RecordError> {
        let owner = match &container.record.request.network {
            Network::Container(id) => id,
            _ => container.record.id.as_str(),
        };
        let owner = Container::find(store, owner)?;
        let is_running = owner.state().phase == Phase::Running;
        let is_on = |network: &Record| match is_running {
            true => shared::of_container(store, network, owner.record.id.as_str()).is_some(),
            false => owner.record.request.endpoints.iter().any(|endpoint| endpoint.network == network.name),
        };
        let networks = shared::all(store).into_iter().filter(is_on).collect();
        Ok(Self { name: container.record.name.clone(), owner, networks })
    }

    /// Returns who has a name on its networks, each on the first network that both are on.
    fn named(&self, store: &Store, name: &str) -> Vec<(Record, Lease)> {
        let mut found: Vec<(Record, Lease)> = Vec::new();
        for network in &self.networks {
            let members = shared::members(store, network).into_iter();
            for lease in members.filter(|lease| lease.answers_to(name, &network.name)) {
                if !found.iter().any(|(_, other)| other.container == lease.container) {
                    found.push((network.clone(), lease));
                }
            }
        }
        found
    }

    fn is_on(&self, network: &Record) -> bool {
        self.networks.iter().any(|own| own.id == network.id)
    }

    /// Returns the flag for which it is on no network, if that is so.
    fn refusal(&self, store: &Store) -> Option<String> {
        let request = &self.owner.record.request;
        match request.network {
            Network::Private if is_apart(store, request) => Some(strength(request)),
            Network::Private | Network::Container(_) => None,
            Network::None | Network::Host => Some(format!("--network {}", request.network)),
        }
    }

    fn listed(&self) -> String {
        let names: Vec<&str> = self.networks.iter().map(|network| network.name.as_str()).collect();
        format!("{}: {}", self.name, if names.is_empty() { "–".into() } else { names.join(", ") })
    }
}

/// Returns the flag that keeps a container out of the user namespace that containers share.
fn strength(request: &Request) -> String {
    match request {
        _ if request.privileged => "--privileged".into(),
        _ if request.seccomp_unconfined => "--security-opt seccomp=unconfined".into(),
        _ if request.seccomp_profile.is_some() => "--security-opt seccomp=FILE".into(),
        _ if !request.masks.shown.is_empty() => format!("--security-opt unmask={}", request.masks.shown.join(":")),
        _ if request.namespaces.pid != Pid::Own => format!("--pid {}", request.namespaces.pid),
        _ if request.joins() => format!("--ipc {}", request.namespaces.ipc),
        _ if !request.cap_add.is_empty() => {
            let added: Vec<String> = request.cap_add.iter().map(ToString::to_string).collect();
            format!("--cap-add {}", added.join(","))
        }
        _ => "--userns host".into(),
    }
}

impl Passage {
    /// Looks for a name that nobody has on the networks of `asker`.
    fn seek(&mut self, store: &Store, asker: &Party, target: &Target) -> Result<(), Failure> {
        let other = match Container::find(store, &target.name) {
            Ok(found) => Some(found),
            Err(RecordError::NotFound { .. }) => alias(store, &target.name),
            Err(error) => return Err(error.into()),
        };
        let Some(other) = other else {
            let mut names: Vec<String> = Container::all(store).into_iter().map(|other| other.record.name).collect();
            let leases = asker.networks.iter().flat_map(|network| shared::members(store, network));
            names.extend(leases.flat_map(|lease| lease.aliases));
            let near = id::similar(&target.name, &names).map(|near| target.of(near).to_string());
            self.verdicts.push(Verdict { advice: near, ..Verdict::new(Code::PeerUnknown, &target.name, "") });
            return Ok(());
        };
        let peer = Party::of(store, &other)?;
        let state = other.state();
        if peer.owner.record.id == asker.owner.record.id && state.phase == Phase::Running {
            return self.add(store, target, other.record.id.as_str(), None);
        }
        if state.phase != Phase::Running {
            let found = match state.phase {
                Phase::Created => state.phase.to_string(),
                _ => format!("{}, {}", state.phase, state.exit_code),
            };
            self.verdicts.push(Verdict::new(Code::PeerNotRunning, &peer.name, found));
        }
        let alone: Vec<Verdict> = [(asker, &peer), (&peer, asker)]
            .into_iter()
            .filter_map(|(party, other)| {
                let network = other.networks.first().map_or(shared::BRIDGE, |network| &network.name);
                Some(Verdict::new(Code::OnNoNetwork, &party.name, party.refusal(store)?).advise(network))
            })
            .collect();
        if !alone.is_empty() {
            self.verdicts.extend(alone);
            return Ok(());
        }
        let Some(common) = peer.networks.iter().find(|network| asker.is_on(network)) else {
            let found = format!("{}; {}", asker.listed(), peer.listed());
            // Who has several is rather moved than joined.
            let (network, newcomer) = match (peer.networks.first(), asker.networks.first()) {
                (Some(network), _) => (network.name.as_str(), asker),
                (None, Some(network)) => (network.name.as_str(), &peer),
                (None, None) => (shared::BRIDGE, asker),
            };
            let advice = format!("{network} {}", newcomer.owner.record.name);
            self.verdicts.push(Verdict::new(Code::NoCommonNetwork, &peer.name, found).advise(advice));
            return Ok(());
        };
        if state.phase == Phase::Running {
            let advice = target.of(&peer.owner.record.name);
            self.verdicts.push(Verdict::new(Code::NameElsewhere, &target.name, &common.name).advise(advice));
        }
        Ok(())
    }

    /// Looks at a container that has the name: by its place on a network, or beside the asker in one namespace.
    fn add(
        &mut self,
        store: &Store,
        target: &Target,
        id: &str,
        place: Option<(&Record, &Lease)>,
    ) -> Result<(), Failure> {
        let peer = Container::find(store, id)?;
        let state = peer.state();
        let sockets = listening(state.pid);
        if state.is_paused {
            self.verdicts.push(Verdict::new(Code::PeerPaused, &peer.record.name, state.status()));
        }
        if let Some(port) = target.port {
            let addresses = place.map(|(_, lease)| lease.addresses().collect());
            self.verdicts.extend(unanswered(target, port, &peer.record.name, &sockets, addresses));
        }
        let mut listening: Vec<String> = sockets.iter().map(ToString::to_string).collect();
        listening.dedup();
        self.peers.push(Peer {
            container: peer.record.name,
            network: place.map(|(network, _)| network.name.clone()),
            address: place.map_or("localhost".into(), |(_, lease)| lease.v4.to_string()),
            listening,
        });
        Ok(())
    }
}

/// Returns the container with an alias that nobody has on the asker's networks.
fn alias(store: &Store, name: &str) -> Option<Container> {
    let has = |container: &Container| {
        let mut aliases = container.record.request.endpoints.iter().flat_map(|endpoint| &endpoint.aliases);
        aliases.any(|alias| alias.eq_ignore_ascii_case(name))
    };
    let mut all: Vec<Container> = Container::all(store).into_iter().filter(has).collect();
    all.sort_by_key(|container| container.state().phase != Phase::Running);
    all.into_iter().next()
}

/// Explains why a port does not answer. `addresses`: those at which the container is asked; `None`: at any.
fn unanswered(
    target: &Target,
    (number, protocol): (u16, Protocol),
    peer: &str,
    sockets: &[Socket],
    addresses: Option<Vec<IpAddr>>,
) -> Vec<Verdict> {
    let hears = |socket: &Socket| match &addresses {
        Some(addresses) => socket.ip.is_unspecified() || addresses.contains(&socket.ip.to_canonical()),
        None => true,
    };
    let is_there = |socket: &&Socket| (socket.port, socket.protocol) == (number, protocol);
    let there: Vec<Socket> = sockets.iter().filter(is_there).copied().collect();
    if there.iter().any(hears) {
        return Vec::new();
    }
    if !there.is_empty() {
        let on_loopback = there.iter().all(Socket::is_loopback);
        let code = if on_loopback { Code::PeerListensOnLocalhost } else { Code::PeerListensElsewhere };
        return vec![Verdict::new(code, target, listed(&there))];
    }
    // A server of the other protocol matters only if it has the same number.
    let others: Vec<Socket> = sockets.iter().filter(|s| s.protocol == protocol || s.port == number).copied().collect();
    match others.iter().find(|socket| hears(socket)).or(others.first()) {
        None => {
            let protocol = protocol.to_string().to_uppercase();
            vec![Verdict::new(Code::PeerHasNoListener, target, protocol).advise(peer)]
        }
        Some(other) => {
            let advice = Target { port: Some((other.port, other.protocol)), ..target.clone() };
            let mut verdicts = vec![Verdict::new(Code::PeerListensElsewhere, target, listed(&others)).advise(&advice)];
            if !others.iter().any(hears) {
                verdicts.push(Verdict::new(Code::PeerListensOnLocalhost, advice, listed(&others)));
            }
            verdicts
        }
    }
}
