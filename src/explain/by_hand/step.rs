//! What one step is by hand.

use super::part::Surroundings;
use super::quote::quoted;
use crate::container::plan::step::{Mount, Step};
use crate::container::rootfs::options::subdirectory;
use crate::explain::words::{Language, fill};
use std::path::Path;

/// Why no command does it, or another than one would think.
pub(super) fn note(step: &Step, language: Language) -> Option<String> {
    let words = language.words();
    let text = match step {
        Step::Terminal { .. } => words.not_by_hand_terminal,
        Step::SessionKeyring { .. } => words.not_by_hand_keyring,
        Step::Session { .. } => words.not_by_hand_session,
        Step::Address { .. } | Step::Device { .. } => words.not_by_hand_ports,
        Step::Member(_) => words.not_by_hand_network,
        Step::CgroupLimit { file, value } => return Some(fill(words.not_by_hand_limit, &[value, file])),
        Step::CopyLayers(_)
        | Step::FuseOverlay(_)
        | Step::Root { .. }
        | Step::ReapingInit
        | Step::JoinNamespaces { .. }
        | Step::Agent
        | Step::Borrow { .. }
        | Step::ShiftedStore { .. }
        | Step::ShiftedRoot
        | Step::Sibling
        | Step::Probe { .. } => words.not_by_hand,
        Step::NetworkNamespace
        | Step::LoopbackUp
        | Step::Sysctl { .. }
        | Step::Clone { .. }
        | Step::CgroupNamespace
        | Step::Detach
        | Step::Overlay(_)
        | Step::FillVolume { .. }
        | Step::Mount(_)
        | Step::Link { .. }
        | Step::Mask { .. }
        | Step::ReadOnly { .. }
        | Step::ReadOnlyRoot
        | Step::PivotRoot
        | Step::Hostname { .. }
        | Step::DomainName { .. }
        | Step::Umask { .. }
        | Step::OomScore { .. }
        | Step::MakeDirectory { .. }
        | Step::Limit { .. }
        | Step::BoundCapabilities { .. }
        | Step::Filter { .. }
        | Step::User { .. }
        | Step::UserNamespace { .. }
        | Step::BecomeUser { .. }
        | Step::SetCapabilities { .. }
        | Step::NoNewPrivileges
        | Step::Directory { .. }
        | Step::Exec { .. } => return None,
    };
    Some(text.into())
}

/// The commands that do the same; none for what the script does in one with others, or cannot do.
pub(crate) fn commands(step: &Step, around: &Surroundings) -> Vec<String> {
    match step {
        Step::LoopbackUp => vec!["ip link set lo up".into()],
        // A host may lack IPv6.
        Step::Address { network } if network.on_loopback => vec![
            format!("ip address add {}/32 dev lo", network.v4),
            format!("ip -6 address add {}/128 dev lo 2>/dev/null || :", network.v6),
        ],
        Step::Member(member) => vec![
            format!("ip link add {} type veth peer name port{}", member.device, member.slot),
            format!("ip link set port{} up; ip link set {} up", member.slot, member.device),
            format!("ip address add {}/{} dev {}", member.v4, member.subnet.prefix_len(), member.device),
        ],
        Step::Sysctl { key, value } => {
            vec![format!("echo {} > /proc/sys/{}", quoted(value), key.replace('.', "/"))]
        }
        Step::Detach => vec!["mount --make-rprivate /".into()],
        Step::Overlay(overlay) => {
            let layers = overlay.lower.iter().rev().map(|layer| around.store.join(layer).display().to_string());
            let upper = around.upper.map(|upper| upper.display().to_string());
            let lower: Vec<String> = upper.into_iter().chain(layers).collect();
            let options = format!("userxattr,lowerdir={},upperdir=$work/upper,workdir=$work/work", lower.join(":"));
            vec![
                "mkdir \"$root\" \"$work/upper\" \"$work/work\"".into(),
                format!("mount -t overlay -o \"{options}\" overlay \"$root\""),
            ]
        }
        Step::Mount(mount) => by_mount(mount, around),
        Step::Link { path, to } => vec![format!("ln -sf {} \"$root\"{}", quoted(to), quoted(path))],
        Step::Mask { path } => {
            let at = format!("\"$root\"{}", quoted(path));
            vec![
                format!("if [ -d {at} ]; then mount -t tmpfs -o ro tmpfs {at}"),
                format!("elif [ -e {at} ]; then mount --bind \"$root\"/dev/null {at}; fi"),
            ]
        }
        Step::ReadOnly { path } => {
            let at = format!("\"$root\"{}", quoted(path));
            vec![
                format!("if [ -e {at} ]; then mount --bind {at} {at}"),
                format!("  mount -o remount,bind,ro,nosuid,nodev,noexec {at}; fi"),
            ]
        }
        Step::FillVolume { volume, target } => {
            let (volume, at) = (source(volume, around), format!("\"$root\"{}", quoted(target)));
            vec![
                format!("mkdir -p {volume}"),
                format!("[ -n \"$(ls -A {volume})\" ] || [ ! -d {at} ] || cp -a {at}/. {volume}"),
            ]
        }
        Step::PivotRoot => {
            vec!["cd \"$root\" && pivot_root . . && umount --lazy --no-canonicalize /proc/self/root/..".into()]
        }
        Step::Hostname { name } => vec![format!("hostname {}", quoted(name))],
        Step::DomainName { name } => vec![format!("domainname {}", quoted(name))],
        Step::Umask { mask } => vec![format!("umask {mask:04o}")],
        Step::OomScore { value } => vec![format!("echo {value} >/proc/self/oom_score_adj")],
        Step::MakeDirectory { path } => vec![format!("mkdir -p \"$root\"{}", quoted(path))],
        Step::ReadOnlyRoot => vec!["mount -o remount,bind,ro \"$root\"".into()],
        Step::Limit { name, soft, hard } => {
            let number = |limit: &u64| if *limit == u64::MAX { "unlimited".into() } else { limit.to_string() };
            let name = name.trim_start_matches("RLIMIT_").to_lowercase();
            vec![format!("prlimit --pid $$ --{name}={}:{}", number(soft), number(hard))]
        }
        // Parts of the script do these for the whole plan: `namespaces`, `payload` and `load_filter`.
        Step::NetworkNamespace
        | Step::Clone { .. }
        | Step::CgroupNamespace
        | Step::BoundCapabilities { .. }
        | Step::Filter { .. }
        | Step::User { .. }
        | Step::UserNamespace { .. }
        | Step::BecomeUser { .. }
        | Step::SetCapabilities { .. }
        | Step::NoNewPrivileges
        | Step::Directory { .. }
        | Step::Exec { .. } => Vec::new(),
        // No program of the host does these; `note` says so.
        Step::Address { .. }
        | Step::Device { .. }
        | Step::CgroupLimit { .. }
        | Step::FuseOverlay(_)
        | Step::JoinNamespaces { .. }
        | Step::Agent
        | Step::Borrow { .. }
        | Step::SessionKeyring { .. }
        | Step::ShiftedStore { .. }
        | Step::ShiftedRoot
        | Step::CopyLayers(_)
        | Step::Root { .. }
        | Step::Terminal { .. }
        | Step::Session { .. }
        | Step::Sibling
        | Step::ReapingInit
        | Step::Probe { .. } => Vec::new(),
    }
}

fn by_mount(mount: &Mount, around: &Surroundings) -> Vec<String> {
    if mount.is_lent {
        return Vec::new();
    }
    let at = format!("\"$root\"{}", quoted(&mount.target));
    if mount.kind != "bind" {
        let options = if mount.options.is_empty() { "defaults".into() } else { mount.options.join(",") };
        return vec![format!("mkdir -p {at}; mount -t {} -o {} {} {at}", mount.kind, quoted(&options), mount.kind)];
    }
    if mount.source.starts_with("/dev/") && mount.source == mount.target {
        let bind = format!(": > {at}; mount --bind {} {at}", quoted(&mount.source));
        return vec![format!("{bind}; mount -o remount,bind,ro {at}")];
    }
    let own = own_file(mount, around);
    let source = match own {
        Some((name, _)) => format!("\"$work\"/{name}"),
        None => source(&mount.source, around),
    };
    let source = subdirectory(&mount.options).map_or(source.clone(), |below| format!("{source}/{}", quoted(below)));
    let how = if mount.options.iter().any(|option| option == "bind") { "--bind" } else { "--rbind" };
    let mut lines: Vec<String> =
        own.map(|(name, text)| format!("printf %s {} > \"$work\"/{name}", quoted(text))).into_iter().collect();
    lines.extend([
        format!(
            "if [ -d {source} ]; then mkdir -p {at}; else mkdir -p \"$(dirname {at})\"; [ -e {at} ] || : > {at}; fi"
        ),
        format!("mount {how} {source} {at}"),
    ]);
    let flags = mount.options.iter().filter(|option| matches!(option.as_str(), "ro" | "nosuid" | "nodev" | "noexec"));
    let flags: Vec<&str> = flags.map(String::as_str).collect();
    if !flags.is_empty() {
        // What is mounted in it came along.
        lines.push(format!("findmnt -Rrno TARGET {at} | while read -r at; do"));
        lines.push(format!("  mount -o remount,bind,{} \"$(printf %b \"$at\")\"; done", flags.join(",")));
    }
    lines
}

/// The engine's own file that a mount shows, with what is in it.
pub(super) fn own_file<'a>(mount: &Mount, around: &'a Surroundings) -> Option<&'a (&'static str, String)> {
    around.files.iter().find(|(name, _)| around.directory.join(name) == Path::new(&mount.source))
}

/// What is mounted. A volume that is to be made with the container is made for the script alone.
fn source(path: &str, around: &Surroundings) -> String {
    let volumes = around.store.join("volumes");
    match Path::new(path).strip_prefix(&volumes) {
        Ok(name) if !Path::new(path).exists() => format!("\"$work\"/{}", quoted(&name.to_string_lossy())),
        _ => quoted(path),
    }
}
