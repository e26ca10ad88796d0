//! The end of the process inside: its filters, its rights, and the payload.

use super::part::{Part, Surroundings};
use super::place::{Place, place};
use super::quote::quoted;
use crate::container::plan::Plan;
use crate::container::plan::filter;
use crate::container::plan::step::Step;
use crate::container::request::capability::short_name;
use crate::explain::words::Language;
use base64::prelude::{BASE64_STANDARD, Engine};

/// The end: what only takes rights away, and the payload, which waits until its root is `/`.
pub(super) fn payload(plan: &Plan, around: &Surroundings, language: Language) -> Part {
    let mut part = Part::named("payload");
    let mut setpriv = vec!["--inh-caps=-all".to_owned()];
    let (mut line, mut directory, mut user) = (Vec::new(), String::new(), String::new());
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
            Step::BecomeUser { uid, gid } => {
                // It loses its capabilities as the program is executed, and not before.
                user = format!("\"$unshare\" --user --map-user={uid} --map-group={gid} --keep-caps ");
                setpriv.push("--ambient-caps=-all".into());
            }
            Step::NoNewPrivileges => setpriv.push("--no-new-privs".into()),
            Step::Directory { path } => directory = quoted(path),
            Step::Exec { argv, env } => {
                let quote = |words: &[String]| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ");
                let waits = r#"echo >&7; read -r _ <&6; exec 6<&- 7>&-; cd "$1"; shift; unset PWD OLDPWD; exec "$@""#;
                line = vec![
                    "setpriv=$(command -v setpriv) sh=$(command -v sh) unshare=$(command -v unshare)".into(),
                    format!("set -- {}", quote(argv)),
                    format!(
                        "exec env -i --default-signal=INT,QUIT {} {}\\",
                        quote(env),
                        user.clone() + &joined(&first)
                    ),
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

/// The variable that names a filter's file in the script.
pub(super) fn filter_name(step: &Step) -> &'static str {
    if matches!(step, Step::Filter { answers: true, .. }) { "answers" } else { "filter" }
}

/// The filter's instructions (seccomp(2), struct sock_filter) as a file that `setpriv` loads, if it can.
pub(super) fn load_filter(name: &str, program: &[u64], language: Language) -> Vec<String> {
    let bytes: Vec<u8> = filter::without_agent(program).into_iter().flat_map(filter::bytes).collect();
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
