//! `port`: the published ports of a container.

use crate::cli::{Context, published};
use crate::container::stored::record::{Container, Phase};
use crate::diag::{Diagnose, Failure};
use clap::Args;
use std::str::FromStr;

#[derive(Args)]
pub(crate) struct PortArgs {
    container: String,
    /// Print only where this port is published
    #[arg(value_name = "PORT[/tcp|udp]")]
    port: Option<Port>,
}

/// A port of a container, `80` or `53/udp`.
#[derive(Debug, Clone)]
struct Port {
    number: u16,
    protocol: String,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum PortError {
    #[error("invalid port {0:?}")]
    Invalid(String),
    #[error("port {port} of container {container} is not published")]
    Unpublished { port: String, container: String },
}

impl Diagnose for PortError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Invalid(_) => "a number, alone or with its protocol: 80, 53/udp".into(),
            Self::Unpublished { container, .. } => format!("see which are: minirun port {container}"),
        })
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

impl FromStr for Port {
    type Err = PortError;

    fn from_str(text: &str) -> Result<Self, PortError> {
        let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let known = ["tcp", "udp"].contains(&protocol);
        let number = number.parse().ok().filter(|number| *number > 0 && known);
        let number = number.ok_or_else(|| PortError::Invalid(text.to_owned()))?;
        Ok(Self { number, protocol: protocol.to_owned() })
    }
}

pub(super) fn port(arguments: &PortArgs, context: &Context) -> Result<u8, Failure> {
    let container = Container::find(&context.store, &arguments.container)?;
    let state = container.state();
    let mut ports = if state.phase == Phase::Running { state.ports } else { Vec::new() };
    ports.sort_by_key(|port| (port.container_port, port.protocol.to_string()));
    let Some(wanted) = &arguments.port else {
        for port in ports {
            println!("{}/{} -> {}", port.container_port, port.protocol, published::host_side(&port));
        }
        return Ok(0);
    };
    ports.retain(|port| port.container_port == wanted.number && port.protocol.to_string() == wanted.protocol);
    if ports.is_empty() {
        let port = format!("{}/{}", wanted.number, wanted.protocol);
        return Err(PortError::Unpublished { port, container: arguments.container.clone() }.into());
    }
    ports.iter().for_each(|port| println!("{}", published::host_side(port)));
    Ok(0)
}
