//! A plan as a shell script that does the same with the programs of any Linux (util-linux 2.38 on, iproute2), and with no
//! minirun in it.

use super::reason;
use super::words::{Language, fill};
use crate::container::plan::Plan;
use crate::container::step::{self, Mount, Step};
use crate::diag::printable;
use crate::userns::IdMap;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde::Serialize;
use std::path::Path;

/// What the script is told besides the plan.
pub struct Surroundings<'a> {
    /// The store, which the plan's layers lie in.
    pub store: &'a Path,
    /// What a container has written so far; the script leaves it as it is.
    pub upper: Option<&'a Path>,
    /// Where the container's own files lie, or would, and what is in them.
    pub directory: &'a Path,
    pub files: &'a [(&'static str, String)],
    pub ids: &'a IdMap,
}

/// A part of the script: one step, or the several that one command takes.
#[derive(Debug, Default, Serialize)]
pub struct Part {
    pub why: Vec<String>,
    /// What the engine calls for it.
    pub calls: Vec<String>,
    /// What to type; nothing if no program of the host can do it.
    pub commands: Vec<String>,
}

impl Part {
    fn add_step(&mut self, step: &Step, language: Language) {
        self.why.push(reason::of(step, language));
        self.calls.push(step.call());
    }
}

/// The script's parts in their order.
pub fn parts(plan: &Plan, around: &Surroundings, language: Language) -> Vec<Part> {
    let mut parts = vec![namespaces(plan, around, language), writable_layer(language)];
    for step in plan.steps().filter(|step| !is_of_first(step) && !is_of_last(step)) {
        let mut part = Part::default();
        part.add_step(step, language);
        part.why.extend(note(step, language).map(|note| format!("({note})")));
        part.commands = match step {
            // It would forbid what is still to be done.
            Step::Filter { .. } if !keeps(plan, ROOT_CHANGE) => {
                part.why.push(format!("({})", language.words().not_by_hand_filter));
                Vec::new()
            }
            Step::Filter { program, .. } => {
                part.why.push(format!("({})", language.words().by_hand_filter));
                load_filter(filter_name(step), program, language)
            }
            _ => commands(step, around),
        };
        parts.push(part);
    }
    parts.push(payload(plan, around, language));
    parts
}

/// The whole script, a comment above each part.
pub fn script(parts: &[Part], name: &str, language: Language) -> String {
    let mut text = format!("#!/bin/sh\n# {}\n", fill(language.words().script_head, &[&name]));
    for part in parts {
        let comments = part.why.iter().map(|why| format!("# {why}"));
        for line in std::iter::once(String::new()).chain(comments).chain(part.commands.iter().cloned()) {
            text += &line;
            text.push('\n');
        }
    }
    text
}

fn is_of_first(step: &Step) -> bool {
    matches!(step, Step::Clone { .. } | Step::NetworkNamespace | Step::CgroupNamespace)
}

fn is_of_last(step: &Step) -> bool {
    use Step::{BoundCapabilities, Directory, Exec, NoNewPrivileges, SetCapabilities, User};
    matches!(
        step,
        BoundCapabilities { .. }
            | User { .. }
            | SetCapabilities { .. }
            | NoNewPrivileges
            | Directory { .. }
            | Exec { .. }
    )
}

/// The capability to change the root, as `setpriv` names it.
const ROOT_CHANGE: &str = "sys_chroot";

/// Whether the payload may have this capability.
fn keeps(plan: &Plan, capability: &str) -> bool {
    plan.steps().any(|step| match step {
        Step::BoundCapabilities { keep } => keep.iter().any(|name| short(name) == capability),
        _ => false,
    })
}

fn short(capability: &str) -> String {
    capability.trim_start_matches("CAP_").to_lowercase()
}

/// The variable that names a filter's file in the script.
fn filter_name(step: &Step) -> &'static str {
    if matches!(step, Step::Filter { answers: true, .. }) { "answers" } else { "filter" }
}

/// The filter's instructions (seccomp(2), struct sock_filter) as a file that `setpriv` loads, if it can.
fn load_filter(name: &str, program: &[u64], language: Language) -> Vec<String> {
    let bytes: Vec<u8> = program.iter().flat_map(|packed| step::bytes(*packed)).collect();
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

/// The script once more, in namespaces of its own.
fn namespaces(plan: &Plan, around: &Surroundings, language: Language) -> Part {
    let ids: &[&str] = match around.ids {
        IdMap::Range { .. } => &["--user", "--map-root-user", "--map-auto"],
        IdMap::Single { .. } => &["--user", "--map-root-user"],
        IdMap::Identity { .. } => &[],
    };
    let mut flags = ids.to_vec();
    let mut part = Part::default();
    for step in plan.steps().filter(|step| is_of_first(step)) {
        part.add_step(step, language);
        let names: Vec<&str> = match step {
            Step::Clone { namespaces } => namespaces.iter().map(String::as_str).collect(),
            Step::NetworkNamespace => vec!["network"],
            _ => vec!["cgroup"],
        };
        flags.extend(names.into_iter().flat_map(|name| match name {
            "mount" => ["--mount"].as_slice(),
            "pid" => &["--pid", "--fork", "--kill-child"],
            "uts" => &["--uts"],
            "ipc" => &["--ipc"],
            "network" => &["--net"],
            "cgroup" => &["--cgroup"],
            _ => &[],
        }));
    }
    if matches!(around.ids, IdMap::Identity { .. }) {
        part.why.push(format!("({})", language.words().not_by_hand_as_root));
    }
    let (flags, ids) = (flags.join(" "), ids.join(" "));
    part.commands = vec![
        "set -eu".into(),
        "if [ -z \"${work-}\" ]; then".into(),
        "  work=$(mktemp -d)".into(),
        "  export work".into(),
        "  status=0".into(),
        format!("  unshare {flags} sh \"$0\" || status=$?"),
        format!("  # {}", language.words().script_remove),
        format!("  unshare {ids} rm -rf \"$work\""),
        "  exit $status".into(),
        "fi".into(),
    ];
    part
}

fn writable_layer(language: Language) -> Part {
    Part {
        why: vec![language.words().script_writable.into()],
        calls: Vec::new(),
        commands: vec!["root=$work/root".into(), "mkdir \"$root\" \"$work/upper\" \"$work/work\"".into()],
    }
}

/// Why no command does it, or another than one would think.
fn note(step: &Step, language: Language) -> Option<String> {
    let words = language.words();
    let text = match step {
        Step::PivotRoot => words.by_move,
        Step::Terminal { .. } => words.not_by_hand_terminal,
        Step::Session { .. } => words.not_by_hand_session,
        Step::Address { .. } | Step::Device { .. } => words.not_by_hand_ports,
        Step::CgroupLimit { file, value } => return Some(fill(words.not_by_hand_limit, &[value, file])),
        Step::FillVolume { .. }
        | Step::CopyLayers(_)
        | Step::FuseOverlay(_)
        | Step::Root { .. }
        | Step::ReapingInit
        | Step::JoinNamespaces { .. }
        | Step::Probe { .. } => words.not_by_hand,
        _ => return None,
    };
    Some(text.into())
}

/// The commands that do the same; none for what the script does in one with others, or cannot do.
pub fn commands(step: &Step, around: &Surroundings) -> Vec<String> {
    match step {
        Step::LoopbackUp => vec!["ip link set lo up".into()],
        Step::Sysctl { key, value } => {
            vec![format!("echo {} > /proc/sys/{}", quoted(value), key.replace('.', "/"))]
        }
        Step::Detach => vec!["mount --make-rprivate /".into()],
        Step::Overlay(overlay) => {
            let layers = overlay.lower.iter().rev().map(|layer| around.store.join(layer).display().to_string());
            let upper = around.upper.map(|upper| upper.display().to_string());
            let lower: Vec<String> = upper.into_iter().chain(layers).collect();
            let options = format!("userxattr,lowerdir={},upperdir=$work/upper,workdir=$work/work", lower.join(":"));
            vec![format!("mount -t overlay -o \"{options}\" overlay \"$root\"")]
        }
        Step::Mount(mount) => by_mount(mount, around),
        Step::Link { path, to } => vec![format!("ln -sf {} \"$root\"{}", quoted(to), quoted(path))],
        Step::Mask { path } => {
            let at = format!("\"$root\"{}", quoted(path));
            vec![
                format!("if [ -d {at} ]; then mount -t tmpfs -o ro tmpfs {at}"),
                format!("elif [ -e {at} ]; then mount --bind /dev/null {at}; fi"),
            ]
        }
        Step::ReadOnly { path } => {
            let at = format!("\"$root\"{}", quoted(path));
            vec![
                format!("if [ -e {at} ]; then mount --bind {at} {at}"),
                format!("  mount -o remount,bind,ro,nosuid,nodev,noexec {at}; fi"),
            ]
        }
        Step::PivotRoot => vec!["cd \"$root\"; mount --no-mtab --move . /".into()],
        Step::Hostname { name } => vec![format!("hostname {}", quoted(name))],
        Step::MakeDirectory { path } => vec![format!("mkdir -p .{}", quoted(path))],
        Step::ReadOnlyRoot => vec!["mount --no-canonicalize -o remount,bind,ro .".into()],
        Step::Limit { name, soft, hard } => {
            let number = |limit: &u64| if *limit == u64::MAX { "unlimited".into() } else { limit.to_string() };
            let name = name.trim_start_matches("RLIMIT_").to_lowercase();
            vec![format!("prlimit --pid $$ --{name}={}:{}", number(soft), number(hard))]
        }
        _ => Vec::new(),
    }
}

fn by_mount(mount: &Mount, around: &Surroundings) -> Vec<String> {
    let at = format!("\"$root\"{}", quoted(&mount.target));
    if mount.kind != "bind" {
        let options = if mount.options.is_empty() { "defaults".into() } else { mount.options.join(",") };
        return vec![format!("mkdir -p {at}; mount -t {} -o {} {} {at}", mount.kind, quoted(&options), mount.kind)];
    }
    let own = around.files.iter().find(|(name, _)| around.directory.join(name) == Path::new(&mount.source));
    let source = match own {
        Some((name, _)) => format!("\"$work\"/{name}"),
        None => quoted(&mount.source),
    };
    let mut lines: Vec<String> =
        own.map(|(name, text)| format!("printf %s {} > \"$work\"/{name}", quoted(text))).into_iter().collect();
    lines.extend([
        format!(
            "if [ -d {source} ]; then mkdir -p {at}; else mkdir -p \"$(dirname {at})\"; [ -e {at} ] || : > {at}; fi"
        ),
        format!("mount --rbind {source} {at}"),
    ]);
    if mount.options.iter().any(|option| option == "ro") {
        lines.push(format!("mount -o remount,bind,ro {at}"));
    }
    lines
}

/// The last line: what only takes rights away, and the payload. `setpriv` takes them, `nsenter` changes the root and then the
/// user, which needs some: there are no programs of the host beyond that root to do it in the other order.
fn payload(plan: &Plan, around: &Surroundings, language: Language) -> Part {
    let mut part = Part::default();
    let (mut setpriv, mut nsenter) = (Vec::new(), vec!["--root=.".to_owned()]);
    let mut needed = vec![ROOT_CHANGE];
    let filters = plan.steps().filter(|step| matches!(step, Step::Filter { .. }) && keeps(plan, ROOT_CHANGE));
    let filters: Vec<&str> = filters.map(filter_name).collect();
    let mut line = String::new();
    for step in plan.steps().filter(|step| is_of_last(step)) {
        part.add_step(step, language);
        match step {
            Step::BoundCapabilities { keep } => {
                let kept: String = keep.iter().map(|name| format!(",+{}", short(name))).collect();
                setpriv.push(format!("--bounding-set=-all{kept}"));
            }
            Step::User { uid, gid, groups } if !around.ids.is_single() => {
                let groups = groups.iter().flatten().map(ToString::to_string).collect::<Vec<_>>().join(",");
                setpriv.push(format!("--regid={gid}"));
                setpriv.push(if groups.is_empty() { "--clear-groups".into() } else { format!("--groups={groups}") });
                if *uid != 0 {
                    nsenter.push(format!("--setuid={uid}"));
                    needed.push("setuid");
                }
            }
            Step::NoNewPrivileges => setpriv.push("--no-new-privs".into()),
            Step::Directory { path } => nsenter.push(format!("--wdns={}", quoted(path))),
            Step::Exec { argv, env } => {
                let quote = |words: &[String]| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
                let missing: Vec<&str> = needed.iter().filter(|name| !keeps(plan, name)).copied().collect();
                // Nothing can become inheritable any more that the bounding set lacks.
                let mut first: String = filters
                    .iter()
                    .map(|name| format!("${{{name}:+\"$setpriv\" --seccomp-filter=\"${name}\"}} "))
                    .collect();
                if missing.is_empty() {
                    setpriv.push("--inh-caps=-all".into());
                } else {
                    let inherited: String = missing.iter().map(|name| format!(",+{name}")).collect();
                    first += &format!("\"$setpriv\" --inh-caps=-all{inherited} ");
                    part.why.push(format!("({})", fill(language.words().by_hand_inherits, &[&missing.join(", ")])));
                }
                line = format!(
                    "exec env -i {} {first}\"$setpriv\" {} \"$nsenter\" {} -- {}",
                    quote(env),
                    setpriv.join(" "),
                    nsenter.join(" "),
                    quote(argv)
                );
            }
            _ => {}
        }
    }
    part.commands = vec!["setpriv=$(command -v setpriv) nsenter=$(command -v nsenter)".into(), line];
    part
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
