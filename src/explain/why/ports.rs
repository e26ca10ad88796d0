//! Why a published port does not answer, or could not be opened.

use super::{Code, Verdict, verdict};
use crate::container::record::{Container, State};
use crate::container::request::Network;
use crate::explain::compare::listening;
use crate::image::Image;
use crate::network::ports::{self, PortError};
use crate::userns;

/// Why the ports of a container that did not start cannot be had now either.
pub fn refused(container: &Container) -> Option<Verdict> {
    let request = &container.record.request;
    if request.network != Network::Private {
        return None;
    }
    let error = ports::open(&request.ports).err()?;
    match &error {
        PortError::Taken { address, by, .. } => {
            Some(verdict(Code::PortTaken, address.port(), by.as_deref().unwrap_or("?")))
        }
        // Here in the user namespace the host's root may not either, and there it may.
        PortError::Privileged { spec, first } if userns::uid_outside() != 0 => {
            Some(verdict(Code::PortPrivileged, spec.host_port, first))
        }
        _ => None,
    }
}

pub fn unanswered(container: &Container, image: &Image, state: &State) -> Vec<Verdict> {
    let request = &container.record.request;
    let sockets = listening(state.pid);
    let mut verdicts = Vec::new();
    // Once for both families of addresses.
    let mut published: Vec<_> = state.ports.iter().collect();
    published.dedup_by_key(|port| (port.host_port, port.container_port, port.protocol));
    for port in published {
        let way = format!("{} → {}/{}", port.host_port, port.container_port, port.protocol);
        let protocol = format!("/{}", port.protocol);
        let number = format!(":{}/", port.container_port);
        let there: Vec<&String> =
            sockets.iter().filter(|socket| socket.contains(&number) && socket.ends_with(&protocol)).collect();
        if !there.is_empty() {
            if there.iter().all(|socket| socket.starts_with("localhost:")) {
                let there: Vec<String> = there.into_iter().cloned().collect();
                verdicts.push(verdict(Code::ListensOnLocalhost, way, there.join(", ")));
            }
            continue;
        }
        // A server of the other protocol is none that this port could have meant, unless it has the same number.
        let others = sockets.iter().filter(|socket| socket.ends_with(&protocol) || socket.contains(&number));
        let others: Vec<&str> = others.map(String::as_str).collect();
        verdicts.push(match others[..] {
            [] => verdict(Code::NothingListens, way, port.protocol.to_string().to_uppercase()),
            _ => verdict(Code::ListensElsewhere, way, others.join(", ")),
        });
    }
    let exposed =
        image.config().config().as_ref().and_then(|config| config.exposed_ports().clone()).unwrap_or_default();
    if request.network == Network::Private && state.ports.is_empty() {
        for port in exposed {
            let (number, protocol) = port.split_once('/').unwrap_or((&port, "tcp"));
            if sockets.iter().any(|socket| socket.ends_with(&format!(":{number}/{protocol}"))) {
                let flag = if protocol == "tcp" { String::new() } else { format!("/{protocol}") };
                verdicts.push(verdict(Code::ExposedNotPublished, &port, format!("-p {number}:{number}{flag}")));
            }
        }
    }
    verdicts
}
