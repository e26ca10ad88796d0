//! Why a container needs a step of its start, in one sentence.

use super::words::{Language, READ_ONLY_LAYERS, fill};
use crate::container::decide::spec::APT_CONFIG;
use crate::container::plan::step::{Mount, Step};
use crate::userns::IdMap;

pub(crate) fn of(step: &Step, language: Language) -> String {
    let words = language.words();
    let text = match step {
        Step::NetworkNamespace => words.step_network_namespace,
        Step::LoopbackUp => words.step_loopback_up,
        Step::Address { .. } => words.step_address,
        Step::Device { .. } => words.step_device,
        Step::Member(member) => return fill(words.step_member, &[&member.network]),
        Step::Sysctl { key, .. } if key.ends_with("unprivileged_port_start") => words.step_low_ports,
        Step::Sysctl { key, .. } if key.ends_with("ping_group_range") => words.step_ping,
        Step::Sysctl { .. } => words.step_sysctl,
        Step::CgroupLimit { .. } => words.step_cgroup_limit,
        Step::Clone { .. } => words.step_clone,
        Step::JoinNamespaces { pid, .. } => return fill(words.step_join_namespaces, &[pid]),
        Step::SessionKeyring { .. } => words.step_session_keyring,
        Step::Sibling => words.step_sibling,
        Step::ShiftedStore { ids, .. } => return fill(words.step_shifted_store, &[&ids.outside]),
        Step::ShiftedRoot => words.step_shifted_root,
        Step::CgroupNamespace => words.step_cgroup_namespace,
        Step::Detach => words.step_detach,
        Step::Overlay(overlay) => {
            let layers = language.count(overlay.lower.len() as u64, READ_ONLY_LAYERS);
            let text = if overlay.volatile { words.step_volatile_overlay } else { words.step_overlay };
            return fill(text, &[&layers]);
        }
        Step::FuseOverlay(_) => words.step_fuse_overlay,
        Step::CopyLayers(_) => words.step_copy_layers,
        Step::Root { .. } => words.step_root,
        Step::FillVolume { .. } => words.step_fill_volume,
        Step::Mount(mount) => return of_mount(mount, language),
        Step::Link { .. } => words.step_link,
        Step::Terminal { .. } => words.step_terminal,
        Step::Mask { .. } => words.step_mask,
        Step::ReadOnly { .. } => words.step_read_only,
        Step::ReadOnlyRoot => words.step_read_only_root,
        Step::PivotRoot => words.step_pivot_root,
        Step::Hostname { .. } => words.step_hostname,
        Step::DomainName { .. } => words.step_domain_name,
        Step::Umask { .. } => words.step_umask,
        Step::OomScore { .. } => words.step_oom_score,
        Step::Borrow { pid, .. } => return fill(words.step_borrow, &[pid]),
        Step::MakeDirectory { .. } => words.step_make_directory,
        Step::Session { terminal: true } => words.step_session_of_terminal,
        Step::Session { terminal: false } => words.step_session,
        Step::Limit { .. } => words.step_limit,
        Step::BoundCapabilities { .. } => words.step_bound_capabilities,
        Step::Filter { answers: true, .. } => words.step_filter_of_one_id,
        Step::Filter { answers: false, .. } => words.step_filter,
        Step::User { uid: 0, .. } if matches!(IdMap::of_caller(), IdMap::Identity { .. }) => words.step_same_root,
        Step::User { uid: 0, .. } => words.step_root_user,
        Step::User { .. } => words.step_user,
        Step::SetCapabilities { .. } => words.step_set_capabilities,
        Step::NoNewPrivileges => words.step_no_new_privileges,
        Step::Directory { .. } => words.step_directory,
        Step::ReapingInit => words.step_reaping_init,
        Step::Exec { .. } => words.step_exec,
        Step::Probe { .. } => words.step_probe,
    };
    text.to_owned()
}

fn of_mount(mount: &Mount, language: Language) -> String {
    let words = language.words();
    let text = match (mount.kind.as_str(), mount.target.as_str()) {
        _ if mount.is_lent => words.mount_lent,
        ("bind", "/proc") => words.mount_proc_of_host,
        ("bind", "/dev/shm" | "/dev/mqueue" | "/sys" | "/sys/fs/cgroup") => words.mount_of_host,
        ("bind", "/etc/localtime") => words.mount_localtime,
        ("proc", _) => words.mount_proc,
        ("sysfs", _) => words.mount_sysfs,
        (_, "/dev") => words.mount_dev,
        ("devpts", _) => words.mount_devpts,
        (_, "/dev/shm") => words.mount_shm,
        ("mqueue", _) => words.mount_mqueue,
        ("cgroup2", _) => words.mount_cgroup,
        ("bind", APT_CONFIG) => words.mount_apt_config,
        ("bind", target) if target.starts_with("/dev/") => words.mount_device,
        ("bind", "/etc/resolv.conf") => words.mount_resolv_conf,
        ("bind", "/etc/hosts" | "/etc/hostname") => words.mount_hosts,
        ("bind", _) => words.mount_bind,
        ("tmpfs", _) => words.mount_tmpfs,
        (kind, _) => return fill(words.mount_other, &[&kind]),
    };
    text.to_owned()
}
