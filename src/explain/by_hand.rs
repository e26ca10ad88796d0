//! A plan as a shell script that does the same with the programs of any Linux (util-linux 2.38 on, iproute2), and with no
//! minirun in it.
//!
//! The script is two processes. The one that was started stays outside: it maps ids, and at the end takes the host's tree
//! away. The other is born into the namespaces and makes the root. It gives up its rights before that root becomes `/`, since
//! beyond it there is none of the host's programs to do so; then it only waits, and becomes the payload.

use super::reason;
use super::words::{Language, fill};
use crate::container::plan::Plan;
use crate::container::plan::filter;
use crate::container::plan::step::{Mount, Step};
use crate::container::request::capability::short_name;
use crate::container::rootfs::options::subdirectory;
use crate::diag::printable;
use crate::userns::{IdMap, IdRange};
use base64::prelude::{BASE64_STANDARD, Engine};
use oci_spec::runtime::LinuxNamespaceType;
use serde::Serialize;
use std::path::Path;

/// What the script is told besides the plan.
pub(crate) struct Surroundings<'a> {
    /// The store, which the plan's layers lie in.
    pub store: &'a Path,
    /// What a container has written so far; the script leaves it as it is.
    pub upper: Option<&'a Path>,
    /// Where the container's own files lie, or would, and what is in them.
    pub directory: &'a Path,
    pub files: &'a [(&'static str, String)],
    pub ids: &'a IdMap,
    /// minirun shifts its ids, which the script does not.
    pub is_shifted: bool,
}

/// A part of the script, a shell function: one step, or the several that belong together.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Part {
    pub name: String,
    pub why: Vec<String>,
    /// What the engine calls for it.
    pub calls: Vec<String>,
    /// What to type; nothing if no program of the host can do it.
    pub commands: Vec<String>,
}

impl Part {
    fn named(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    fn add_step(&mut self, step: &Step, language: Language) {
        let why = reason::of(step, language);
        if self.why.last() != Some(&why) {
            self.why.push(why);
        }
        self.calls.push(step.call());
    }
}

/// The script's parts in the order in which they are done.
pub(crate) fn parts(plan: &Plan, around: &Surroundings, language: Language) -> Vec<Part> {
    let mut parts = vec![namespaces(plan, around, language)];
    for step in plan.steps().filter(|step| place(step) == Place::Middle) {
        let name = group(step, around);
        let part = match parts.iter_mut().skip(1).last().filter(|last| name_of(last) == name) {
            Some(last) => last,
            None => {
                let before = parts.iter().filter(|part| name_of(part) == name).count();
                let number = if before == 0 { String::new() } else { format!("_{}", before + 1) };
                parts.push(Part::named(&format!("{name}{number}")));
                match parts.last_mut() {
                    Some(part) => part,
                    None => continue,
                }
            }
        };
        part.add_step(step, language);
        part.why.extend(note(step, language).map(|note| format!("({note})")));
        if let Step::Filter { program, .. } = step {
            part.why.push(format!("({})", language.words().by_hand_filter));
            part.commands.extend(load_filter(filter_name(step), program, language));
        }
        part.commands.extend(commands(step, around));
    }
    parts.extend([payload(plan, around, language), change_of_root(plan, language)]);
    parts.extend(helpers(around, language));
    parts
}

/// Without its number.
fn name_of(part: &Part) -> &str {
    part.name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_')
}

/// What the function is called that a step is in.
fn group(step: &Step, around: &Surroundings) -> &'static str {
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
        | Step::Borrow { .. }
        | Step::Umask { .. }
        | Step::OomScore { .. }
        | Step::MakeDirectory { .. }
        | Step::Session { .. }
        | Step::BoundCapabilities { .. }
        | Step::User { .. }
        | Step::SetCapabilities { .. }
        | Step::NoNewPrivileges
        | Step::Directory { .. }
        | Step::Sibling
        | Step::ReapingInit
        | Step::Exec { .. }
        | Step::Probe { .. } => "settings",
    }
}

/// The whole script: first its course, then a function for each part.
pub(crate) fn script(parts: &[Part], name: &str, language: Language) -> String {
    let words = language.words();
    let mut text = format!("#!/bin/sh\n# {}\n", fill(words.script_head, &[&name]));
    text += &format!("# {}\nset -eu\nPATH=$PATH:/usr/sbin:/sbin\n", words.script_two);
    let (outside, inside): (Vec<&Part>, Vec<&Part>) =
        parts.iter().partition(|part| OUTSIDE.contains(&part.name.as_str()));
    text += &format!("\n# {}\noutside() {{\n  {NAMESPACES}\n  {CHANGE_OF_ROOT}\n}}\n", words.script_outside);
    text += &format!("\n# {}\ninside() {{\n", words.script_inside);
    for part in inside.iter().filter(|part| !part.commands.is_empty()) {
        text += &format!("  {}\n", part.name);
    }
    text += "}\n";
    // The filter is long, and says nothing to a reader.
    let (short, long): (Vec<&Part>, Vec<&Part>) = inside.into_iter().partition(|part| name_of(part) != "seccomp");
    for part in outside.into_iter().chain(short).chain(long) {
        text.push('\n');
        part.why.iter().for_each(|why| text += &format!("# {why}\n"));
        if part.commands.is_empty() {
            continue;
        }
        text += &format!("{}() {{\n", part.name);
        let mut is_literal = false;
        for line in &part.commands {
            text += if is_literal { "" } else { "  " };
            text += line;
            text.push('\n');
            is_literal = if is_literal { line != "END" } else { line.ends_with("<<END") };
        }
        text += "}\n";
    }
    text + "\n\"${1-outside}\"\n"
}

/// The part of the script that a step is done in.
#[derive(PartialEq, Eq)]
enum Place {
    /// The one call of `unshare` that makes the namespaces.
    First,
    /// A part that its [`group`] names.
    Middle,
    /// The payload, with its rights, and the change of its root.
    Last,
}

fn place(step: &Step) -> Place {
    match step {
        Step::Clone { .. } | Step::NetworkNamespace | Step::CgroupNamespace => Place::First,
        Step::PivotRoot
        | Step::BoundCapabilities { .. }
        | Step::User { .. }
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

/// The variable that names a filter's file in the script.
fn filter_name(step: &Step) -> &'static str {
    if matches!(step, Step::Filter { answers: true, .. }) { "answers" } else { "filter" }
}

/// The filter's instructions (seccomp(2), struct sock_filter) as a file that `setpriv` loads, if it can.
fn load_filter(name: &str, program: &[u64], language: Language) -> Vec<String> {
    let bytes: Vec<u8> = program.iter().flat_map(|packed| filter::bytes(*packed)).collect();
    let text = BASE64_STANDARD.encode(bytes);
    let mut lines = vec![
        format!("{name}="),
        "if setpriv --help | grep -q seccomp-filter; then".into(),
        format!("{name}=$work/{name}; base64 -d > \"${name}\" <<END"),
    ];
    lines.extend(text.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned()));
    lines.push("END".into());
    lines.push(format!("else echo {} >&2; fi", quoted(language.words().no_filter_option)));
    lines
}

const NAMESPACES: &str = "namespaces";
const CHANGE_OF_ROOT: &str = "change_of_root";
const BORN_IN: &str = "born_in";
const FINISH: &str = "finish";
const REMOVE: &str = "remove";
/// What the process outside does.
const OUTSIDE: [&str; 5] = [NAMESPACES, CHANGE_OF_ROOT, BORN_IN, FINISH, REMOVE];

/// Starts the script once more in namespaces of its own, and sees to it that nothing is left of it in the end.
fn namespaces(plan: &Plan, around: &Surroundings, language: Language) -> Part {
    let mut flags = vec![user_flags(around.ids)];
    let mut part = Part::named(NAMESPACES);
    if around.is_shifted {
        part.why.push(format!("({})", language.words().not_by_hand_shifted));
    }
    for step in plan.steps().filter(|step| place(step) == Place::First) {
        part.add_step(step, language);
        let kinds = match step {
            Step::Clone { namespaces } => &namespaces[..],
            Step::NetworkNamespace => &[LinuxNamespaceType::Network],
            _ => &[LinuxNamespaceType::Cgroup],
        };
        flags.extend(kinds.iter().filter_map(|kind| match kind {
            LinuxNamespaceType::Mount => Some("--mount"),
            LinuxNamespaceType::Pid => Some("--pid --kill-child"),
            LinuxNamespaceType::Uts => Some("--uts"),
            LinuxNamespaceType::Ipc => Some("--ipc"),
            LinuxNamespaceType::Network => Some("--net"),
            LinuxNamespaceType::Cgroup => Some("--cgroup"),
            LinuxNamespaceType::User | LinuxNamespaceType::Time => None,
        }));
    }
    part.commands = vec![
        "work=$(mktemp -d) root=$work/root pid= child=".into(),
        "export work root".into(),
        format!("trap {REMOVE} EXIT"),
        "trap 'exit 129' HUP; trap 'exit 130' INT; trap 'exit 143' TERM".into(),
        "mkfifo \"$work/go\" \"$work/ready\"".into(),
        format!("{BORN_IN} '{}' sh \"$0\" inside", flags.join(" ")),
    ];
    part
}

/// What the process outside needs to give birth and to clean up.
fn helpers(around: &Surroundings, language: Language) -> [Part; 3] {
    let words = language.words();
    let part = |name: &str, why: &[&str], lines: &[&str]| {
        let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
        Part { name: name.into(), why: strings(why), calls: Vec::new(), commands: strings(lines) }
    };
    let mut born = part(
        BORN_IN,
        &[words.script_born, words.step_map],
        &[
            "flags=$1; shift",
            r#"exec 3<&0 8<>"$work/go" 9<>"$work/ready""#,
            r#"exec 4>"$work/go" 6<"$work/go" 5<"$work/ready" 7>"$work/ready" 8>&- 9>&-"#,
            "unshare $flags sh -c '",
            "  exec <&3 3<&- 4>&- 5<&-",
            r#"  read -r pid _ </proc/self/stat; echo "$pid" >&7"#,
            r#"  read -r _ <&6; exec "$@"' sh "$@" &"#,
            "child=$!",
            "exec 6<&- 7>&-",
            "read -r pid <&5 || finish",
        ],
    );
    born.commands.extend(maps(around.ids));
    born.commands.push("echo >&4".into());
    let finish = part(FINISH, &[], &["status=0", r#"wait "$child" || status=$?"#, r#"exit "$status""#]);
    let remove = part(
        REMOVE,
        &[words.script_remove],
        &[
            "trap '' HUP INT TERM",
            r#"[ -z "$pid" ] || kill -KILL "$child" "$pid" 2>/dev/null || :"#,
            r#"[ -z "$child" ] || { wait "$child" || :; } 2>/dev/null"#,
            &format!("{BORN_IN} '{}' rm -rf \"$work\"", user_flags(around.ids)),
            r#"wait "$child""#,
        ],
    );
    [born, finish, remove]
}

/// With one id `unshare` can map it alone.
fn user_flags(ids: &IdMap) -> &'static str {
    if ids.is_single() { "--user --map-root-user" } else { "--user" }
}

/// The same ids as the container's, to the last.
fn maps(ids: &IdMap) -> Vec<String> {
    let map = |ranges: Vec<IdRange>, between: &str| -> String {
        let range = |range: IdRange| format!("{} {} {}", range.inside, range.outside, range.count);
        ranges.into_iter().map(range).collect::<Vec<_>>().join(between)
    };
    match ids {
        IdMap::Single { .. } => Vec::new(),
        IdMap::Range { .. } => vec![
            format!("newuidmap \"$pid\" {}", map(ids.uids(), " ")),
            format!("newgidmap \"$pid\" {}", map(ids.gids(), " ")),
        ],
        // Root writes it without help.
        _ => vec![
            format!("printf '{}\\n' >/proc/$pid/uid_map", map(ids.uids(), "\\n")),
            format!("printf '{}\\n' >/proc/$pid/gid_map", map(ids.gids(), "\\n")),
        ],
    }
}

/// From outside, when the process inside only waits: its root becomes the container's, and the host's tree, which then lies
/// over it, is taken away.
fn change_of_root(plan: &Plan, language: Language) -> Part {
    let mut part = Part::named(CHANGE_OF_ROOT);
    for step in plan.steps().filter(|step| matches!(step, Step::PivotRoot)) {
        part.add_step(step, language);
    }
    part.why.push(format!("({})", language.words().by_hand_from_outside));
    part.commands = vec![
        "read -r _ <&5 || finish".into(),
        "nsenter='nsenter --target '$pid' --user --mount --preserve-credentials'".into(),
        "$nsenter sh -c 'cd \"$1\" && pivot_root . .' sh \"$root\"".into(),
        "$nsenter --root=/ umount --lazy --no-canonicalize \"/proc/$pid/root/..\"".into(),
        "echo >&4".into(),
        "finish".into(),
    ];
    part
}

/// Why no command does it, or another than one would think.
fn note(step: &Step, language: Language) -> Option<String> {
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
fn own_file<'a>(mount: &Mount, around: &'a Surroundings) -> Option<&'a (&'static str, String)> {
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

/// The end: what only takes rights away, and the payload, which waits until its root is `/`.
fn payload(plan: &Plan, around: &Surroundings, language: Language) -> Part {
    let mut part = Part::named("payload");
    let mut setpriv = vec!["--inh-caps=-all".to_owned()];
    let (mut line, mut directory) = (Vec::new(), String::new());
    let filters = plan.steps().filter(|step| matches!(step, Step::Filter { .. }));
    // By their paths as they are now: what the payload's own PATH names is not the host's.
    let first: Vec<String> = filters
        .map(filter_name)
        .map(|name| format!("${{{name}:+\"$setpriv\" --seccomp-filter=\"${name}\"}}"))
        .collect();
    for step in plan.steps().filter(|step| place(step) == Place::Last && !matches!(step, Step::PivotRoot)) {
        part.add_step(step, language);
        match step {
            Step::BoundCapabilities { keep } => {
                let kept: String = keep.iter().map(|name| format!(",+{}", short_name(*name))).collect();
                setpriv.push(format!("--bounding-set=-all{kept}"));
            }
            Step::User { uid, gid, groups } if !around.ids.is_single() => {
                let groups = groups.iter().flatten().map(ToString::to_string).collect::<Vec<_>>().join(",");
                setpriv.extend([format!("--reuid={uid}"), format!("--regid={gid}")]);
                setpriv.push(if groups.is_empty() { "--clear-groups".into() } else { format!("--groups={groups}") });
            }
            Step::NoNewPrivileges => setpriv.push("--no-new-privs".into()),
            Step::Directory { path } => directory = quoted(path),
            Step::Exec { argv, env } => {
                let quote = |words: &[String]| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
                let waits = r#"echo >&7; read -r _ <&6; exec 6<&- 7>&-; cd "$1"; shift; unset PWD OLDPWD; exec "$@""#;
                line = vec![
                    "setpriv=$(command -v setpriv) sh=$(command -v sh)".into(),
                    format!("set -- {}", quote(argv)),
                    format!("exec env -i --default-signal=INT,QUIT {} {}\\", quote(env), joined(&first)),
                    format!("  \"$setpriv\" {} \\", setpriv.join(" ")),
                    format!("  \"$sh\" -c '{waits}' sh {directory} \"$@\""),
                ];
            }
            _ => {}
        }
    }
    part.commands = line;
    part
}

fn joined(words: &[String]) -> String {
    words.iter().map(|word| format!("{word} ")).collect()
}

/// As one word of a shell. What a terminal would obey stands there by its number: whoever prints the script is safe.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    let mut text = String::from("'");
    for c in word.chars() {
        match c {
            '\'' => text += r"'\''",
            '\n' | '\t' => text.push(c),
            c if printable(c.encode_utf8(&mut [0; 4])) != c.to_string() => {
                let bytes: String = c.to_string().bytes().map(|byte| format!("\\{byte:03o}")).collect();
                text += &format!("'\"$(printf '{bytes}')\"'");
            }
            c => text.push(c),
        }
    }
    text + "'"
}
