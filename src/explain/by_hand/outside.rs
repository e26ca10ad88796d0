//! What the process outside does: it gives birth, maps ids, changes the root and cleans up.

use super::part::{Part, Surroundings};
use super::place::{Place, place};
use crate::container::plan::Plan;
use crate::container::plan::step::Step;
use crate::explain::words::Language;
use crate::userns::{IdMap, IdRange};
use oci_spec::runtime::LinuxNamespaceType;

pub(super) const NAMESPACES: &str = "namespaces";
pub(super) const CHANGE_OF_ROOT: &str = "change_of_root";
const BORN_IN: &str = "born_in";
const FINISH: &str = "finish";
const REMOVE: &str = "remove";
/// What the process outside does.
pub(super) const OUTSIDE: [&str; 5] = [NAMESPACES, CHANGE_OF_ROOT, BORN_IN, FINISH, REMOVE];

/// Starts the script once more in namespaces of its own, and sees to it that nothing is left of it in the end.
pub(super) fn namespaces(plan: &Plan, around: &Surroundings, language: Language) -> Part {
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
pub(super) fn helpers(around: &Surroundings, language: Language) -> [Part; 3] {
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
pub(super) fn change_of_root(plan: &Plan, language: Language) -> Part {
    let mut part = Part::named(CHANGE_OF_ROOT);
    for step in plan.steps().filter(|step| matches!(step, Step::PivotRoot)) {
        part.add_step(step, language);
    }
    part.why.push(format!("({})", language.words().by_hand_from_outside));
    // A user that is not root has gone on to a namespace of its own.
    let becomes = plan.steps().any(|step| matches!(step, Step::BecomeUser { .. }));
    let user = if becomes { "=/proc/'$child'/ns/user" } else { "" };
    part.commands = vec![
        "read -r _ <&5 || finish".into(),
        format!("nsenter='nsenter --target '$pid' --user{user} --mount --preserve-credentials'"),
        "$nsenter sh -c 'cd \"$1\" && pivot_root . .' sh \"$root\"".into(),
        "$nsenter --root=/ umount --lazy --no-canonicalize \"/proc/$pid/root/..\"".into(),
        "echo >&4".into(),
        "finish".into(),
    ];
    part
}
