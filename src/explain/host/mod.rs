//! What this host gives and lacks, found out by trying wherever trying is possible.

mod ids;
mod namespaces;
mod refusal;
mod resources;
mod surroundings;

use super::words::Words;
use crate::store::Store;
use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    Ok,
    /// Containers run, but something that some of them want is missing.
    Note,
    /// No container can run.
    Lacks,
}

/// One line of `minirun doctor`.
#[derive(Debug, Serialize)]
pub(crate) struct Finding {
    pub subject: &'static str,
    pub verdict: Verdict,
    pub found: String,
    /// What to type so that it is mended.
    pub mend: Option<String>,
}

impl Finding {
    fn ok(subject: &'static str, found: impl Into<String>) -> Self {
        Self { subject, verdict: Verdict::Ok, found: found.into(), mend: None }
    }

    fn note(subject: &'static str, found: impl Into<String>, mend: impl Into<Option<String>>) -> Self {
        Self { subject, verdict: Verdict::Note, found: found.into(), mend: mend.into() }
    }

    fn lacks(subject: &'static str, found: impl Into<String>, mend: impl Into<Option<String>>) -> Self {
        Self { subject, verdict: Verdict::Lacks, found: found.into(), mend: mend.into() }
    }
}

/// Everything there is to say about this host. The caller must have one thread only: the trying is done in its children.
pub(crate) fn look(store: &Store, words: &Words) -> Vec<Finding> {
    let mut findings = vec![surroundings::kernel(words)];
    let namespaces = namespaces::look(words);
    // Without a user namespace every other attempt would fail for the same reason and hide it.
    let usable = namespaces.iter().all(|finding| finding.verdict != Verdict::Lacks);
    findings.extend(namespaces);
    findings.push(ids::look(store, usable, words));
    if usable {
        findings.push(namespaces::proc(words));
        findings.push(namespaces::overlay(store, words));
    }
    findings.push(surroundings::seccomp(words));
    findings.extend(resources::look(words));
    findings.push(surroundings::way_out(words));
    findings.push(surroundings::ports(words));
    findings.push(surroundings::store(store, words));
    findings
}

/// Whether containers can run here.
pub(crate) fn can_run(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.verdict != Verdict::Lacks)
}

/// A file of `/proc` or `/sys`, without the newline at its end.
fn read(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim_end().to_owned())
}

/// A field of `/proc/self/status`.
fn status(field: &str) -> Option<String> {
    let text = read("/proc/self/status")?;
    text.lines().find_map(|line| Some(line.strip_prefix(field)?.strip_prefix(':')?.trim().to_owned()))
}
