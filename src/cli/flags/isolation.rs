//! Flags about what separates a container from the host and from others.

use crate::cli::stderr;
use crate::container::request;
use crate::container::request::capability::Selected;
use crate::container::request::{
    Device, Devices, Ipc, Namespaces, Pid, Security, SecurityOption, Sysctl, UserNamespace,
};
use clap::Args;

/// The isolation flags of `run` and `create`.
#[derive(Args)]
pub(crate) struct IsolationFlags {
    /// Add a capability
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',', value_parser = request::selected_capability)]
    pub cap_add: Vec<Selected>,
    /// Drop a capability
    #[arg(long, value_name = "CAPABILITY", value_delimiter = ',', value_parser = request::selected_capability)]
    pub cap_drop: Vec<Selected>,
    /// Set a security option: no-new-privileges, seccomp=FILE and others
    #[arg(long, value_name = "OPTION", value_parser = request::security_option)]
    security_opt: Vec<SecurityOption>,
    /// Give the container a device of the host
    #[arg(long, value_name = "DEVICE[:PATH][:rwm]", value_parser = request::device)]
    device: Vec<Devices>,
    /// Set a setting of the kernel for this container
    #[arg(long, value_name = "NAME=VALUE", value_parser = request::sysctl)]
    pub sysctl: Vec<Sysctl>,
    /// Share the processes of the host or of another container
    #[arg(long, value_name = "host|container:NAME", value_parser = request::pid)]
    pid: Option<Pid>,
    /// Set with whom shared memory and semaphores are shared
    #[arg(long, value_name = "MODE", value_parser = request::ipc)]
    ipc: Option<Ipc>,
    /// Use the host's name
    #[arg(long, value_name = "host|private", value_parser = request::of_host)]
    uts: Option<bool>,
    /// Show the control groups of the host
    #[arg(long, value_name = "host|private", value_parser = request::of_host)]
    cgroupns: Option<bool>,
    /// As root: use the host's IDs instead of shifted ones
    #[arg(long, value_name = "host", value_parser = request::user_namespace)]
    userns: Option<UserNamespace>,
}

impl IsolationFlags {
    /// Returns what the security options ask for. Prints what has no effect.
    pub(crate) fn security(&self) -> Security {
        let (security, notes) = Security::of(&self.security_opt);
        notes.iter().for_each(|note| stderr::note(note));
        security
    }

    /// Returns the devices. Prints that an ordinary user gets them as they are.
    pub(crate) fn devices(&self) -> Vec<Device> {
        let devices: Vec<Device> = self.device.iter().flat_map(|Devices(devices)| devices).cloned().collect();
        let is_limited = |device: &&Device| !device.access.contains('r') || !device.access.contains('w');
        if let Some(Device { source, access, .. }) = devices.iter().find(is_limited)
            && !rustix::process::geteuid().is_root()
        {
            eprintln!("note: the access {access} to {source} has no effect: only root can limit it");
        }
        devices
    }

    pub(crate) fn namespaces(&self) -> Namespaces {
        Namespaces {
            pid: self.pid.clone().unwrap_or_default(),
            ipc: self.ipc.clone().unwrap_or_default(),
            uts_of_host: self.uts.unwrap_or_default(),
            cgroup_of_host: self.cgroupns.unwrap_or_default(),
        }
    }

    /// Whether the container has the host's ids. Prints why another mode has no effect.
    pub(crate) fn host_ids(&self) -> bool {
        if let Some(UserNamespace::Idle(why)) = self.userns {
            eprintln!("note: --userns has no effect: {why}");
        }
        self.userns == Some(UserNamespace::Host)
    }
}
