//! The order in which a host is examined.

use super::finding::{Finding, Verdict};
use super::{ids, namespaces, resources, surroundings};
use crate::explain::words::Words;
use crate::store::Store;

/// Examines this host. The caller must have only one thread: the attempts are made in forked children.
pub(crate) fn examine(store: &Store, words: &Words) -> Vec<Finding> {
    let mut findings = vec![surroundings::kernel(words)];
    let namespaces = namespaces::examine(words);
    // Without a user namespace every other attempt would fail for the same reason and hide it.
    let usable = namespaces.iter().all(|finding| finding.verdict != Verdict::Lacks);
    findings.extend(namespaces);
    findings.push(ids::examine(store, usable, words));
    if usable {
        findings.push(namespaces::proc(words));
        findings.push(namespaces::overlay(store, words));
    }
    findings.push(surroundings::seccomp(words));
    findings.extend(resources::examine(words));
    if usable {
        findings.push(namespaces::networks(words));
    }
    findings.push(surroundings::outgoing_network(words));
    findings.push(surroundings::ports(words));
    findings.push(surroundings::store(store, words));
    findings
}

/// Whether containers can run here.
pub(crate) fn can_run(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.verdict != Verdict::Lacks)
}
