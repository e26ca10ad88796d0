//! A plan as a shell script that does the same with the programs of any Linux (util-linux 2.38 on, iproute2), and with no
//! minirun in it.

use super::plan::Plan;
use super::step::{Mount, Step};
use crate::userns::IdMap;
use std::fmt::Write;
use std::path::Path;

/// What the script is told besides the plan.
pub struct Surroundings<'a> {
    pub name: &'a str,
    /// The store, which the plan's layers lie in.
    pub store: &'a Path,
    /// What a container has written so far; the script leaves it as it is.
    pub upper: Option<&'a Path>,
    /// Where the container's own files lie, or would, and what is in them.
    pub directory: &'a Path,
    pub files: &'a [(&'static str, String)],
    pub ids: &'a IdMap,
}

/// The whole script.
pub fn script(plan: &Plan, around: &Surroundings) -> String {
    let mut text = format!(
        "#!/bin/sh\n# {} by hand: what `minirun run` and `minirun start` do, in the same order.\nset -eu\n\n",
        around.name
    );
    let namespaces = plan.outside.iter().find_map(|step| match step {
        Step::Clone { namespaces } => Some(namespaces.as_slice()),
        _ => None,
    });
    let ids: &[&str] = match around.ids {
        IdMap::Range { .. } => &["--user", "--map-root-user", "--map-auto"],
        IdMap::Single { .. } => &["--user", "--map-root-user"],
        IdMap::Identity { .. } => &[],
    };
    let mut flags = ids.to_vec();
    let has = |wanted: fn(&Step) -> bool| plan.steps().any(wanted);
    for namespace in namespaces.unwrap_or_default() {
        flags.extend(match namespace.as_str() {
            "mount" => ["--mount"].as_slice(),
            "pid" => &["--pid", "--fork", "--kill-child"],
            "uts" => &["--uts"],
            "ipc" => &["--ipc"],
            _ => &[],
        });
    }
    if has(|step| matches!(step, Step::NetworkNamespace)) {
        flags.push("--net");
    }
    if has(|step| matches!(step, Step::CgroupNamespace)) {
        flags.push("--cgroup");
    }
    // Only root of the same ids may remove what belongs to them.
    let (flags, ids) = (flags.join(" "), ids.join(" "));
    let first = [
        "if [ -z \"${work-}\" ]; then",
        "  # New namespaces: the process sees only itself, and root inside is you outside.",
        "  work=$(mktemp -d)",
        "  export work",
        "  status=0",
        &format!("  unshare {flags} sh \"$0\" || status=$?"),
        &format!("  unshare {ids} rm -rf \"$work\""),
        "  exit $status",
        "fi",
    ];
    text += &first.join("\n");
    text += "\n\n";
    text += "# A writable layer of its own, and the place where all layers are laid over each other.\n";
    text += "root=$work/root\nmkdir \"$root\" \"$work/upper\" \"$work/work\"\n\n";
    for step in plan.steps() {
        let lines = step.by_hand(around);
        if !lines.is_empty() {
            let _ = writeln!(text, "# {}", step.why());
            for line in lines {
                let _ = writeln!(text, "{line}");
            }
            text.push('\n');
        }
    }
    text += &payload(plan, around);
    text
}

impl Step {
    /// The commands that do the same; none for what the script does in one with others, or cannot do.
    pub fn by_hand(&self, around: &Surroundings) -> Vec<String> {
        match self {
            Self::LoopbackUp => vec!["ip link set lo up".into()],
            Self::Sysctl { key, value } => {
                vec![format!("echo {} > /proc/sys/{}", quoted(value), key.replace('.', "/"))]
            }
            Self::Detach => vec!["mount --make-rprivate /".into()],
            Self::Overlay(overlay) => {
                let layers = overlay.lower.iter().rev().map(|layer| around.store.join(layer).display().to_string());
                let upper = around.upper.map(|upper| upper.display().to_string());
                let lower: Vec<String> = upper.into_iter().chain(layers).collect();
                let options = format!("userxattr,lowerdir={},upperdir=$work/upper,workdir=$work/work", lower.join(":"));
                vec![format!("mount -t overlay -o \"{options}\" overlay \"$root\"")]
            }
            Self::Mount(mount) => by_mount(mount, around),
            Self::Link { path, to } => vec![format!("ln -sf {} \"$root\"{}", quoted(to), quoted(path))],
            Self::Mask { path } => {
                let at = format!("\"$root\"{}", quoted(path));
                vec![
                    format!("if [ -d {at} ]; then mount -t tmpfs -o ro tmpfs {at}"),
                    format!("elif [ -e {at} ]; then mount --bind /dev/null {at}; fi"),
                ]
            }
            Self::ReadOnly { path } => {
                let at = format!("\"$root\"{}", quoted(path));
                vec![
                    format!("if [ -e {at} ]; then mount --bind {at} {at}"),
                    format!("  mount -o remount,bind,ro,nosuid,nodev,noexec {at}; fi"),
                ]
            }
            Self::PivotRoot => vec![
                "# (by mount --move and a later chroot: after pivot_root(2) no program of the host could set what follows)"
                    .into(),
                "cd \"$root\"; mount --no-mtab --move . /".into(),
            ],
            Self::Hostname { name } => vec![format!("hostname {}", quoted(name))],
            Self::MakeDirectory { path } => vec![format!("mkdir -p .{}", quoted(path))],
            Self::ReadOnlyRoot => vec!["mount --no-canonicalize -o remount,bind,ro .".into()],
            Self::Filter { .. } => vec!["# (not by hand: setpriv --seccomp-filter, from util-linux 2.40 on)".into()],
            Self::Terminal { .. } => vec!["# (it stays on yours: script -c would give it one of its own)".into()],
            Self::Address { .. } | Self::Device { .. } => {
                vec!["# (not by hand: the monitor forwards published ports, and carries packets out)".into()]
            }
            Self::CgroupLimit { file, value } => vec![format!("# (in the host's tree: echo {value} > {file})")],
            Self::FillVolume { .. } | Self::CopyLayers(_) | Self::FuseOverlay(_) | Self::Root { .. } => {
                vec!["# (not by hand)".into()]
            }
            // In the one line that executes the payload, or in the first.
            _ => Vec::new(),
        }
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

/// The last line: what only takes rights away, and the payload.
fn payload(plan: &Plan, around: &Surroundings) -> String {
    let mut setpriv = vec!["setpriv".to_owned()];
    let mut why = Vec::new();
    let (mut directory, mut command, mut environment) = ("/", Vec::new(), Vec::new());
    for step in plan.steps() {
        match step {
            Step::BoundCapabilities { keep } => {
                why.push(step.why());
                let keep: Vec<String> =
                    keep.iter().map(|name| format!("+{}", name.trim_start_matches("CAP_").to_lowercase())).collect();
                setpriv
                    .push(format!("--bounding-set=-all{}", keep.iter().map(|k| format!(",{k}")).collect::<String>()));
                setpriv.push("--inh-caps=-all".into());
            }
            Step::User { uid, gid, groups } => {
                why.push(step.why());
                setpriv.extend([format!("--reuid={uid}"), format!("--regid={gid}")]);
                setpriv.push(match groups {
                    Some(groups) if !groups.is_empty() && !around.ids.is_single() => {
                        format!("--groups={}", groups.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
                    }
                    Some(_) if !around.ids.is_single() => "--clear-groups".into(),
                    _ => "--keep-groups".into(),
                });
            }
            Step::NoNewPrivileges => setpriv.push("--no-new-privs".into()),
            Step::Directory { path } => directory = path,
            Step::Exec { argv, env } => {
                why.push(step.why());
                command = argv.iter().map(|word| quoted(word)).collect();
                environment = env.iter().map(|variable| quoted(variable)).collect();
            }
            _ => {}
        }
    }
    let mut text = String::new();
    for reason in why {
        let _ = writeln!(text, "# {reason}");
    }
    let tool = "setpriv=$(command -v setpriv) chroot=$(command -v chroot)";
    let go = match directory {
        "/" => command.join(" "),
        other => format!("sh -c 'cd \"$1\" && shift && exec \"$@\"' sh {} {}", quoted(other), command.join(" ")),
    };
    let _ = writeln!(
        text,
        "{tool}\nexec env -i {} \"$setpriv\" {} \"$chroot\" . {go}",
        environment.join(" "),
        setpriv[1..].join(" ")
    );
    text
}

/// As one word of a shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
