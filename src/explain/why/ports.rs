//! Why a published port does not answer, or could not be opened.

use super::{Code, Verdict};
use crate::container::request::Network;
use crate::container::stored::record::{Container, State};
use crate::explain::sockets::{Socket, listening};
use crate::image::Image;
use crate::network::ports::{self, PortError, Protocol};
use crate::userns;

/// Explains why the ports of a container that did not start still cannot be opened.
pub(super) fn refused(container: &Container) -> Option<Verdict> {
    let request = &container.record.request;
    if request.network != Network::Private {
        return None;
    }
    let error = ports::open(&request.ports).err()?;
    match &error {
        PortError::Taken { address, by, .. } => {
            let holder = by.as_deref().unwrap_or_default();
            Some(Verdict { advice: by.clone(), ..Verdict::new(Code::PortTaken, address.port(), holder) })
        }
        // Inside the user namespace the host's root may not open it either, but outside it may.
        PortError::Privileged { spec, first } if userns::uid_outside() != 0 => {
            let way = format!("-p {}:{}", above(spec.host_port, *first), spec.container_port);
            Some(Verdict::new(Code::PortPrivileged, spec.host_port, first).advise(way))
        }
        _ => None,
    }
}

/// Returns a port of the host that an ordinary user may open instead: 8080 for 80.
fn above(port: u16, first: u16) -> u16 {
    port.checked_add(8000).filter(|port| *port >= first).unwrap_or(first)
}

/// Returns the port of the host on which this user can publish a port of the container.
fn publishable(port: u16) -> u16 {
    let first = ports::first_unprivileged();
    if port >= first || userns::uid_outside() == 0 { port } else { above(port, first) }
}

/// Explains why published ports do not answer.
pub(super) fn unanswered(container: &Container, image: &Image, state: &State) -> Vec<Verdict> {
    let request = &container.record.request;
    let sockets = listening(state.pid);
    let mut verdicts = Vec::new();
    if request.network != Network::Private {
        let network = if request.network == Network::Host { "host" } else { "none" };
        // In the host's network a server has its port without being published.
        let answers = |port: &ports::PortSpec| network == "host" && port.host_port == port.container_port;
        for port in request.ports.iter().filter(|port| !answers(port)) {
            let way = format!("{} → {}/{}", port.host_port, port.container_port, port.protocol);
            verdicts.push(Verdict::new(Code::PublishedInVain, way, format!("--network {network}")));
        }
        return verdicts;
    }
    // Once for both families of addresses.
    let mut published: Vec<_> = state.ports.iter().collect();
    published.dedup_by_key(|port| (port.host_port, port.container_port, port.protocol));
    let is_published =
        |socket: &Socket| published.iter().any(|p| (p.container_port, p.protocol) == (socket.port, socket.protocol));
    for port in &published {
        let way = format!("{} → {}/{}", port.host_port, port.container_port, port.protocol);
        let is_there = |socket: &&Socket| socket.port == port.container_port && socket.protocol == port.protocol;
        let there: Vec<Socket> = sockets.iter().filter(is_there).copied().collect();
        if !there.is_empty() {
            if there.iter().all(Socket::is_loopback) {
                verdicts.push(Verdict::new(Code::ListensOnLocalhost, way, listed(&there)));
            }
            continue;
        }
        // A server of the other protocol matters only if it has the same number.
        let others = sockets.iter().filter(|s| s.protocol == port.protocol || s.port == port.container_port);
        // A socket with its own published port is not the one that this port was meant for.
        let (taken, others): (Vec<Socket>, Vec<Socket>) = others.copied().partition(is_published);
        let reachable = others.iter().find(|socket| !socket.is_loopback());
        match reachable.or(others.first()) {
            None => {
                let verdict = Verdict::new(Code::NothingListens, way, port.protocol.to_string().to_uppercase());
                let advice = Some(format!("{}/{}", port.container_port, port.protocol)).filter(|_| !taken.is_empty());
                verdicts.push(Verdict { advice, ..verdict });
            }
            Some(other) => {
                let protocol = if other.protocol == Protocol::Udp { "/udp" } else { "" };
                let advice = format!("-p {}:{}{protocol}", port.host_port, other.port);
                verdicts.push(Verdict::new(Code::ListensElsewhere, &way, listed(&others)).advise(advice));
                if reachable.is_none() {
                    verdicts.push(Verdict::new(Code::ListensOnLocalhost, way, listed(&others)));
                }
            }
        }
    }
    let exposed =
        image.config().config().as_ref().and_then(|config| config.exposed_ports().clone()).unwrap_or_default();
    if state.ports.is_empty() {
        for port in exposed {
            let (number, protocol) = port.split_once('/').unwrap_or((&port, "tcp"));
            let Ok(number) = number.parse::<u16>() else { continue };
            if sockets.iter().any(|s| s.port == number && s.protocol.to_string() == protocol && !s.is_loopback()) {
                let flag = if protocol == "tcp" { String::new() } else { format!("/{protocol}") };
                let way = format!("-p {}:{number}{flag}", publishable(number));
                verdicts.push(Verdict::new(Code::ExposedNotPublished, &port, &way).advise(&way));
            }
        }
    }
    verdicts
}

/// Returns sockets as text, each once.
pub(super) fn listed(sockets: &[Socket]) -> String {
    let mut texts: Vec<String> = sockets.iter().map(ToString::to_string).collect();
    texts.dedup();
    texts.join(", ")
}
