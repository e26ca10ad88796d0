//! What was meant by a command that the container does not have.

use super::files::Files;
use super::{Code, Verdict};
use crate::container::decide::spec::Origin;
use crate::diag::Failure;
use crate::explain::layers::lookup::{Place, lookup};
use std::path::Path;

/// Commands that are built into shells (POSIX, "Special Built-In Utilities", and a few more).
const BUILTINS: [&str; 22] = [
    "cd", "export", "source", ".", ":", "set", "unset", "alias", "eval", "exec", "exit", "return", "shift", "trap",
    "ulimit", "umask", "read", "wait", "if", "for", "while", "type",
];

/// Explains a missing program. `argv`: the command, whose first word names no program.
pub(super) fn verdict(files: &Files, argv: &[(String, Origin)]) -> Result<Option<Verdict>, Failure> {
    let Some((program, origin)) = argv.first() else { return Ok(None) };
    let image = &files.container.record.request.image;
    let all = || argv.iter().map(|(word, _)| word.as_str()).collect::<Vec<_>>().join(" ");
    let looked_for = || -> Result<String, Failure> {
        Ok(if program.contains('/') { program.clone() } else { format!("PATH={}", files.path()?) })
    };
    if program.is_empty() {
        return Ok(Some(Verdict::new(Code::CommandNotFound, "\"\"", looked_for()?)));
    }
    if let Some((path, mount)) = hidden(files, program)? {
        return Ok(Some(Verdict::new(Code::HiddenByMount, path, mount)));
    }
    if program.starts_with('-') && *origin == Origin::CommandLine {
        let found = format!("{program} {image}");
        return Ok(Some(Verdict::new(Code::OptionAfterImage, program, found)));
    }
    let first = program.split_whitespace().next().unwrap_or_default();
    if first != program && files.program(first)?.is_some() {
        let list = || serde_json::json!(program.split_whitespace().collect::<Vec<_>>()).to_string();
        let advice = match origin {
            Origin::CommandLine => format!("minirun run … {image} {}", all()),
            Origin::EntrypointOption => {
                let rest = all().trim_start_matches(first).trim().to_owned();
                format!("minirun run … --entrypoint {first} {image} {rest}")
            }
            Origin::ImageCmd => format!("CMD {}", list()),
            Origin::ImageEntrypoint => format!("ENTRYPOINT {}", list()),
        };
        return Ok(Some(Verdict::new(Code::SeveralWordsInOne, program, first).advise(advice)));
    }
    if BUILTINS.contains(&first) {
        return Ok(Some(Verdict::new(Code::ShellBuiltin, first, all())));
    }
    Ok(Some(Verdict::new(Code::CommandNotFound, program, looked_for()?)))
}

/// Returns a layer's file of the word's name, and the mount that hides it.
fn hidden(files: &Files, program: &str) -> Result<Option<(String, String)>, Failure> {
    for candidate in files.candidates(program)? {
        let sight = lookup(&candidate, files.layers, Some(files.container))?;
        let mount = sight.sightings.iter().find_map(|sighting| match &sighting.place {
            Place::Mount { target, .. } if !sighting.what.is_there() => Some(target),
            _ => None,
        });
        let is_below = sight.sightings.iter().any(|s| s.what.is_there() && !matches!(s.place, Place::Mount { .. }));
        if let Some(mount) = mount.filter(|_| is_below) {
            return Ok(Some((shown(&candidate), shown(mount))));
        }
    }
    Ok(None)
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
