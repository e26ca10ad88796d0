//! Options that exclude each other, and the containers that a request joins.

use super::fields::Request;
use super::namespaces::{Ipc, Network, Pid};

/// Two options that cannot hold at once.
#[derive(Debug, thiserror::Error)]
#[error("{0} and {1} exclude each other")]
pub(crate) struct Conflict(String, String);

impl crate::diag::Diagnose for Conflict {
    fn hint(&self) -> Option<String> {
        Some(format!("leave out {}", self.0))
    }
}

impl Request {
    /// Checks what the parser of one option cannot see: options that exclude each other, as with Docker.
    pub(crate) fn check(&self) -> Result<(), Conflict> {
        let conflict = |one: &str, other: String| Err(Conflict(one.to_owned(), other));
        if let Network::Container(_) = self.network {
            let network = format!("--network {}", self.network);
            let asked = [
                ("--hostname", self.hostname.is_some()),
                ("--domainname", self.domainname.is_some()),
                ("--publish", !self.ports.is_empty()),
                ("--publish-all", self.publish_all),
                ("--expose", !self.exposed.is_empty()),
                ("--dns", !self.dns.is_empty()),
                ("--dns-search", !self.dns_search.is_empty()),
                ("--dns-option", !self.dns_options.is_empty()),
                ("--add-host", !self.hosts.is_empty()),
            ];
            if let Some((flag, _)) = asked.into_iter().find(|(_, is_asked)| *is_asked) {
                return conflict(flag, network);
            }
        }
        if self.namespaces.uts_of_host && (self.hostname.is_some() || self.domainname.is_some()) {
            let flag = if self.hostname.is_some() { "--hostname" } else { "--domainname" };
            return conflict(flag, "--uts host".into());
        }
        for sysctl in &self.sysctls {
            if let Some(shared) = sysctl.shared(&self.network, &self.namespaces.ipc) {
                return conflict(&format!("--sysctl {}", sysctl.name), shared);
            }
        }
        Ok(())
    }

    /// Whether it shares a namespace of another container.
    pub(crate) fn joins(&self) -> bool {
        !self.joined().is_empty()
    }

    /// Returns the names of the containers whose namespaces it shares.
    pub(crate) fn joined(&self) -> Vec<&String> {
        let network = if let Network::Container(name) = &self.network { Some(name) } else { None };
        let pid = if let Pid::Container(name) = &self.namespaces.pid { Some(name) } else { None };
        let ipc = if let Ipc::Container(name) = &self.namespaces.ipc { Some(name) } else { None };
        network.into_iter().chain(pid).chain(ipc).collect()
    }
}
