//! Kinds of namespaces, and their flags.

use oci_spec::runtime::LinuxNamespaceType;

const NAMESPACES: [(LinuxNamespaceType, i32, &str); 7] = [
    (LinuxNamespaceType::User, libc::CLONE_NEWUSER, "CLONE_NEWUSER"),
    (LinuxNamespaceType::Mount, libc::CLONE_NEWNS, "CLONE_NEWNS"),
    (LinuxNamespaceType::Pid, libc::CLONE_NEWPID, "CLONE_NEWPID"),
    (LinuxNamespaceType::Network, libc::CLONE_NEWNET, "CLONE_NEWNET"),
    (LinuxNamespaceType::Uts, libc::CLONE_NEWUTS, "CLONE_NEWUTS"),
    (LinuxNamespaceType::Ipc, libc::CLONE_NEWIPC, "CLONE_NEWIPC"),
    (LinuxNamespaceType::Cgroup, libc::CLONE_NEWCGROUP, "CLONE_NEWCGROUP"),
];

/// Returns the `CLONE_NEW…` flags of namespaces.
pub(crate) fn namespace_flags(kinds: &[LinuxNamespaceType]) -> i32 {
    NAMESPACES.iter().filter(|(kind, ..)| kinds.contains(kind)).fold(0, |flags, (_, flag, _)| flags | flag)
}

/// Returns the names of the same flags.
pub(crate) fn flag_names(kinds: &[LinuxNamespaceType]) -> String {
    let chosen = NAMESPACES.iter().filter(|(kind, ..)| kinds.contains(kind));
    chosen.map(|(_, _, flag)| *flag).collect::<Vec<_>>().join("|")
}
