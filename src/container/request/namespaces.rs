//! The namespaces that a container may share with the host or with another container.

use super::error::RequestError;
use crate::network::egress::{Program, WayOut};
use crate::network::shared::{self, BRIDGE, Endpoint, Mac};
use serde::{Deserialize, Serialize};
use std::fmt;

/// `--pid`, `--ipc`, `--uts` and `--cgroupns`; `--network` is [`Network`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Namespaces {
    pub pid: Pid,
    pub ipc: Ipc,
    /// `--uts host`: the host's name.
    pub uts_of_host: bool,
    /// `--cgroupns host`: all control groups of the host are seen.
    pub cgroup_of_host: bool,
}

/// `--network`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Network {
    /// A namespace of its own, with a way out.
    #[default]
    Private,
    /// A namespace of its own, with a loopback device only.
    None,
    Host,
    /// That of a container: its name as it was typed, its id once the container is created.
    Container(String),
}

impl Network {
    /// Whether the container has a network namespace of its own.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Self::Private | Self::None)
    }
}

/// In Docker's words, as `inspect` has them.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private => f.write_str("bridge"),
            Self::None => f.write_str("none"),
            Self::Host => f.write_str("host"),
            Self::Container(name) => write!(f, "{OF_CONTAINER}{name}"),
        }
    }
}

/// An argument of `--network`: a network, and what the container has of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Joined {
    pub network: Network,
    pub way_out: WayOut,
    /// What it asks of a network that it shares with others.
    pub endpoint: Option<Endpoint>,
}

/// `--pid`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Pid {
    #[default]
    Own,
    Host,
    /// That of a container: its name as it was typed, its id once the container is created.
    Container(String),
}

/// `--ipc`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ipc {
    #[default]
    Private,
    /// Like `Private`, without /dev/shm.
    None,
    /// Others may join it.
    Shareable,
    Host,
    /// That of a container.
    Container(String),
}

impl Pid {
    pub(crate) fn is_own(&self) -> bool {
        *self == Self::Own
    }
}

impl Ipc {
    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Self::Private | Self::None | Self::Shareable)
    }
}

/// In Docker's words, as `inspect` has them.
impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Own => Ok(()),
            Self::Host => f.write_str("host"),
            Self::Container(name) => write!(f, "{OF_CONTAINER}{name}"),
        }
    }
}

impl fmt::Display for Ipc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private => f.write_str("private"),
            Self::None => f.write_str("none"),
            Self::Shareable => f.write_str("shareable"),
            Self::Host => f.write_str("host"),
            Self::Container(name) => write!(f, "{OF_CONTAINER}{name}"),
        }
    }
}

/// What stands before the name of a container whose namespace is shared.
pub(crate) const OF_CONTAINER: &str = "container:";

/// Returns the name in `container:NAME`.
fn of_container(text: &str) -> Option<String> {
    text.strip_prefix(OF_CONTAINER).filter(|name| !name.is_empty()).map(str::to_owned)
}

/// `--pid`'s argument.
pub(crate) fn pid(text: &str) -> Result<Pid, RequestError> {
    Ok(match text {
        "" | "private" => Pid::Own,
        "host" => Pid::Host,
        _ => Pid::Container(of_container(text).ok_or_else(|| wrong("pid", text))?),
    })
}

/// `--ipc`'s argument.
pub(crate) fn ipc(text: &str) -> Result<Ipc, RequestError> {
    Ok(match text {
        "" | "private" => Ipc::Private,
        "none" => Ipc::None,
        "shareable" => Ipc::Shareable,
        "host" => Ipc::Host,
        _ => Ipc::Container(of_container(text).ok_or_else(|| wrong("ipc", text))?),
    })
}

/// The argument of `--uts` and `--cgroupns`: whether it is the host's.
pub(crate) fn of_host(text: &str) -> Result<bool, RequestError> {
    match text {
        "" | "private" => Ok(false),
        "host" => Ok(true),
        _ => Err(wrong("uts", text)),
    }
}

/// `--network`'s argument.
pub(crate) fn network(text: &str) -> Result<Joined, RequestError> {
    if let Some(name) = of_container(text) {
        return Ok(Joined { network: Network::Container(name), ..Joined::default() });
    }
    // Docker's longer form is name=NAME,ip=…
    let (name, options) = match text.split_once(':') {
        Some((name, options)) => (Some(name), options),
        None if text.contains('=') => (None, text),
        None => (Some(text), ""),
    };
    let (mut name, mut way_out, mut endpoint) = (name, WayOut::default(), Endpoint::default());
    for option in options.split(',').filter(|_| !options.is_empty()) {
        let wrong = || RequestError::NetworkOption(option.to_owned());
        let (key, value) = option.split_once('=').unwrap_or((option, ""));
        match key {
            "name" if name.is_none() => name = Some(value),
            "out" => {
                let program = Program::ALL.into_iter().find(|known| known.to_string() == value);
                way_out.program = program.ok_or_else(wrong)?;
            }
            "host-loopback" if value.is_empty() => way_out.host_loopback = true,
            "ip" => endpoint.v4 = Some(value.parse().map_err(|_| wrong())?),
            "ip6" => endpoint.v6 = Some(value.parse().map_err(|_| wrong())?),
            "mac" | "mac-address" => endpoint.mac = Some(mac(value)?),
            "alias" => endpoint.aliases.push(alias(value)?),
            _ => return Err(wrong()),
        }
    }
    let network = match name.unwrap_or_default() {
        "none" | "host" if !options.is_empty() => return Err(RequestError::Network(text.to_owned())),
        "none" => Network::None,
        "host" => Network::Host,
        _ => Network::Private,
    };
    endpoint.network = match name.unwrap_or_default() {
        "bridge" | "default" | "private" => BRIDGE.to_owned(),
        // Podman's names of what carries the packets.
        program @ ("slirp4netns" | "pasta") => {
            let known = Program::ALL.into_iter().find(|known| known.to_string() == program);
            way_out.program = known.unwrap_or_default();
            BRIDGE.to_owned()
        }
        other if crate::store::is_name(other) => other.to_owned(),
        _ => return Err(RequestError::Network(text.to_owned())),
    };
    Ok(Joined { endpoint: (network == Network::Private).then_some(endpoint), network, way_out })
}

/// The argument of `--mac-address`.
pub(crate) fn mac(text: &str) -> Result<Mac, RequestError> {
    text.parse().map_err(|why| RequestError::Mac { text: text.to_owned(), why })
}

/// The argument of `--network-alias`.
pub(crate) fn alias(text: &str) -> Result<String, RequestError> {
    if shared::is_found_by(text) { Ok(text.to_owned()) } else { Err(RequestError::Alias(text.to_owned())) }
}

fn wrong(kind: &'static str, text: &str) -> RequestError {
    RequestError::Namespace { kind, text: text.to_owned() }
}

/// `--userns`' argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UserNamespace {
    /// Ids of their own where root can have them, else the caller's.
    Own,
    Host,
    /// Podman's modes, which have no effect here; this is why.
    Idle(&'static str),
}

pub(crate) fn user_namespace(text: &str) -> Result<UserNamespace, RequestError> {
    const KEEP_ID: &str = "the container's root is you already, and what it writes is yours";
    const ONE_FOR_ALL: &str = "all containers of a user have the same ids";
    let (mode, _) = text.split_once(':').unwrap_or((text, ""));
    match mode {
        "" | "private" => Ok(UserNamespace::Own),
        "host" => Ok(UserNamespace::Host),
        "keep-id" => Ok(UserNamespace::Idle(KEEP_ID)),
        "auto" | "nomap" => Ok(UserNamespace::Idle(ONE_FOR_ALL)),
        _ => Err(wrong("userns", text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_as_docker_has_them() {
        assert_eq!((pid("").unwrap(), pid("host").unwrap()), (Pid::Own, Pid::Host));
        assert_eq!(pid("container:web").unwrap(), Pid::Container("web".into()));
        assert_eq!((ipc("shareable").unwrap().to_string(), ipc("none").unwrap().is_own()), ("shareable".into(), true));
        assert_eq!(network("container:x").unwrap().network, Network::Container("x".into()));
        assert_eq!(user_namespace("host").unwrap(), UserNamespace::Host);
        assert!(matches!(user_namespace("keep-id:uid=5"), Ok(UserNamespace::Idle(_))));
        assert!(pid("container:").is_err() && ipc("web").is_err() && of_host("x").is_err() && network("/web").is_err());
        assert!(user_namespace("container:x").is_err());
    }
}
