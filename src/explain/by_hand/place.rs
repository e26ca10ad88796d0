//! In which part of the script a step is done.

use super::part::Surroundings;
use super::step::own_file;
use crate::container::plan::step::Step;

/// The part of the script that a step is done in.
#[derive(PartialEq, Eq)]
pub(super) enum Place {
    /// The one call of `unshare` that makes the namespaces.
    First,
    /// A part that its [`group`] names.
    Middle,
    /// The payload, with its rights, and the change of its root.
    Last,
}

pub(super) fn place(step: &Step) -> Place {
    match step {
        Step::Clone { .. } | Step::NetworkNamespace | Step::CgroupNamespace => Place::First,
        Step::PivotRoot
        | Step::BoundCapabilities { .. }
        | Step::User { .. }
        | Step::UserNamespace { .. }
        | Step::BecomeUser { .. }
        | Step::SetCapabilities { .. }
        | Step::NoNewPrivileges
        | Step::Directory { .. }
        | Step::Exec { .. } => Place::Last,
        Step::LoopbackUp
        | Step::Address { .. }
        | Step::Member(_)
        | Step::Device { .. }
        | Step::Sysctl { .. }
        | Step::CgroupLimit { .. }
        | Step::FuseOverlay(_)
        | Step::JoinNamespaces { .. }
        | Step::Agent
        | Step::Borrow { .. }
        | Step::SessionKeyring { .. }
        | Step::Detach
        | Step::ShiftedStore { .. }
        | Step::ShiftedRoot
        | Step::Overlay(_)
        | Step::CopyLayers(_)
        | Step::Root { .. }
        | Step::FillVolume { .. }
        | Step::Mount(_)
        | Step::Link { .. }
        | Step::Terminal { .. }
        | Step::Mask { .. }
        | Step::ReadOnly { .. }
        | Step::ReadOnlyRoot
        | Step::Hostname { .. }
        | Step::DomainName { .. }
        | Step::Umask { .. }
        | Step::OomScore { .. }
        | Step::MakeDirectory { .. }
        | Step::Session { .. }
        | Step::Limit { .. }
        | Step::Filter { .. }
        | Step::Sibling
        | Step::ReapingInit
        | Step::Probe { .. } => Place::Middle,
    }
}

/// What the function is called that a step is in.
pub(super) fn group(step: &Step, around: &Surroundings) -> &'static str {
    match step {
        Step::LoopbackUp | Step::Address { .. } | Step::Member(_) | Step::Device { .. } => "network",
        Step::Sysctl { key, .. } if key.starts_with("net.") => "network",
        Step::CgroupLimit { .. } | Step::Limit { .. } => "limits",
        Step::Detach | Step::Overlay(_) | Step::FuseOverlay(_) | Step::CopyLayers(_) | Step::Root { .. } => "layers",
        Step::FillVolume { .. } => "fill_volumes",
        Step::Mount(mount) => match mount.kind.as_str() {
            _ if mount.target == "/dev" || mount.target.starts_with("/dev/") => "devices",
            "proc" => "processes",
            "sysfs" | "cgroup2" => "host_to_read",
            "bind" if own_file(mount, around).is_some() => "own_files",
            "bind" if mount.target == "/sys" => "host_to_read",
            _ => "volumes",
        },
        Step::Link { .. } | Step::Terminal { .. } => "devices",
        Step::Mask { .. } | Step::ReadOnly { .. } => "masks",
        Step::Filter { .. } => "seccomp",
        Step::NetworkNamespace
        | Step::Sysctl { .. }
        | Step::Clone { .. }
        | Step::JoinNamespaces { .. }
        | Step::SessionKeyring { .. }
        | Step::CgroupNamespace
        | Step::ShiftedStore { .. }
        | Step::ShiftedRoot
        | Step::ReadOnlyRoot
        | Step::PivotRoot
        | Step::Hostname { .. }
        | Step::DomainName { .. }
        | Step::Agent
        | Step::Borrow { .. }
        | Step::Umask { .. }
        | Step::OomScore { .. }
        | Step::MakeDirectory { .. }
        | Step::Session { .. }
        | Step::BoundCapabilities { .. }
        | Step::User { .. }
        | Step::UserNamespace { .. }
        | Step::BecomeUser { .. }
        | Step::SetCapabilities { .. }
        | Step::NoNewPrivileges
        | Step::Directory { .. }
        | Step::Sibling
        | Step::ReapingInit
        | Step::Exec { .. }
        | Step::Probe { .. } => "settings",
    }
}
