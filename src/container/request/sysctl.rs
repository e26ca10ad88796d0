//! `--sysctl`: settings of the kernel that belong to a namespace.

use super::error::RequestError;
use super::namespaces::{Ipc, Network};
use serde::{Deserialize, Serialize};

/// A setting of the kernel, with its name in dots.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sysctl {
    pub name: String,
    pub value: String,
}

/// Settings of an IPC namespace (ipc_namespaces(7)).
const OF_IPC: [&str; 9] = [
    "kernel.auto_msgmni",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shm_rmid_forced",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
];

impl Sysctl {
    /// Returns the option that makes the setting another's, if one does.
    pub(crate) fn shared(&self, network: &Network, ipc: &Ipc) -> Option<String> {
        if self.name.starts_with("net.") {
            return (!network.is_own()).then(|| format!("--network {network}"));
        }
        (!ipc.is_own()).then(|| format!("--ipc {ipc}"))
    }
}

/// `--sysctl`'s argument: `NAME=VALUE`.
pub(crate) fn sysctl(text: &str) -> Result<Sysctl, RequestError> {
    let (name, value) = text.split_once('=').ok_or_else(|| RequestError::Sysctl(text.to_owned()))?;
    let is_name = name.split('.').all(|part| !part.is_empty())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if !is_name || value.is_empty() || value.contains(char::is_control) {
        return Err(RequestError::Sysctl(text.to_owned()));
    }
    if !name.starts_with("net.") && !name.starts_with("fs.mqueue.") && !OF_IPC.contains(&name) {
        return Err(RequestError::HostSysctl(name.to_owned()));
    }
    Ok(Sysctl { name: name.to_owned(), value: value.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_settings_of_namespaces() {
        for good in ["net.core.somaxconn=1024", "kernel.shmmax=1", "fs.mqueue.msg_max=5", "kernel.sem=1 2 3 4"] {
            assert!(sysctl(good).is_ok(), "{good}");
        }
        for bad in
            ["net", "net.=1", "net..x=1", "net.core.x=", "kernel.core_pattern=|x", "vm.swappiness=1", "net/../x=1"]
        {
            assert!(sysctl(bad).is_err(), "{bad}");
        }
    }
}
