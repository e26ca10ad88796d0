//! The user and group IDs that this user can give to a container.

use super::finding::{Finding, Subject};
use crate::container::agent;
use crate::container::rootfs::shift;
use crate::diag::Diagnose;
use crate::explain::proc::status;
use crate::explain::words::{Words, place};
use crate::store::Store;
use crate::userns::attempt::with_namespace;
use crate::userns::{IdMap, UsernsError, program, subordinate, user_name};
use std::error::Error;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// The first ID of the first subordinate range on most hosts.
const FIRST: u32 = 100_000;
const COUNT: u32 = 65_536;

pub(super) fn examine(store: &Store, namespaces_usable: bool, words: &Words) -> Finding {
    let subject = Subject::Ids;
    let map = IdMap::of_caller();
    let count: u64 = map.uids().iter().map(|range| u64::from(range.count)).sum();
    let counted = |text| place(text, &[("count", &count.to_string())]);
    match &map {
        IdMap::Shifted { .. } | IdMap::Identity { .. } => of_root(subject, store, words),
        IdMap::Single { .. } => {
            let (why, mend) = why_single(words);
            let text = match agent::refusal() {
                Some(error) => place(words.host_no_agent, &[("why", &why), ("errno", &error.to_string())]),
                None => place(words.host_one_id, &[("why", &why)]),
            };
            Finding::note(subject, text, mend)
        }
        IdMap::Range { .. } if !namespaces_usable => Finding::note(subject, counted(words.host_ids_not_tried), None),
        IdMap::Range { .. } => match with_namespace::<UsernsError>(|child| map.write(child)) {
            Ok(()) => Finding::ok(subject, counted(words.host_ids_of_range)),
            Err(error) => {
                let said = error.source().map_or_else(|| error.to_string(), |cause| format!("{error}: {cause}"));
                Finding::lacks(subject, said, mend_helper(words).or_else(|| error.hint()))
            }
        },
    }
}

/// Tests ID shifting again: a host that refused it earlier may allow it now.
fn of_root(subject: Subject, store: &Store, words: &Words) -> Finding {
    match shift::find_out(store) {
        Ok(shift::Finding::Shifted { uids, .. }) => {
            let last = uids.outside.saturating_add(uids.count - 1);
            let (first, last) = (uids.outside.to_string(), last.to_string());
            Finding::ok(subject, place(words.host_ids_shifted, &[("first", &first), ("last", &last)]))
        }
        Ok(shift::Finding::Refused(said)) => {
            let found = place(words.host_ids_of_root, &[("why", &said)]);
            Finding::note(subject, found, words.host_ids_to_shift.to_owned())
        }
        Err(error) => Finding::note(subject, error.to_string(), None),
    }
}

/// Returns what is missing for a subordinate range, and the command that adds it.
fn why_single(words: &Words) -> (String, Option<String>) {
    let uid = rustix::process::geteuid().as_raw();
    let name = user_name(uid);
    let shown = name.clone().unwrap_or_else(|| uid.to_string());
    let has = |file: &str| !subordinate(&fs::read_to_string(file).unwrap_or_default(), name.as_deref(), uid).is_empty();
    let missing: Vec<&str> = ["/etc/subuid", "/etc/subgid"].into_iter().filter(|file| !has(file)).collect();
    if !missing.is_empty() {
        let first = free_range();
        let last = first.saturating_add(COUNT - 1);
        let mend = format!("sudo usermod --add-subuids {first}-{last} --add-subgids {first}-{last} {shown}");
        let files = missing.join(", ");
        return (place(words.host_no_range, &[("files", &files)]), Some(mend));
    }
    (words.host_no_newuidmap.into(), Some("sudo apt-get install uidmap".into()))
}

/// Returns the first ID above all ranges of both files.
fn free_range() -> u32 {
    let ends = ["/etc/subuid", "/etc/subgid"].into_iter().flat_map(|file| {
        let text = fs::read_to_string(file).unwrap_or_default();
        let ends = text.lines().filter_map(|line| {
            let mut numbers = line.split(':').skip(1).map(|n| n.trim().parse::<u32>().ok());
            numbers.next()??.checked_add(numbers.next()??)
        });
        ends.collect::<Vec<u32>>()
    });
    ends.max().unwrap_or(0).max(FIRST)
}

/// Returns what gives newuidmap and newgidmap their privilege, where it is visibly missing.
fn mend_helper(words: &Words) -> Option<String> {
    if status("self", "NoNewPrivs").as_deref() == Some("1") {
        return Some(words.host_no_new_privs.into());
    }
    let unprivileged: Vec<String> = ["newuidmap", "newgidmap"]
        .into_iter()
        .filter_map(program)
        .filter(|path| !is_privileged(path))
        .map(|path| path.display().to_string())
        .collect();
    (!unprivileged.is_empty()).then(|| format!("sudo chmod u+s {}", unprivileged.join(" ")))
}

/// Whether a program is set-user-ID root or has file capabilities.
fn is_privileged(path: &Path) -> bool {
    let set_uid = fs::metadata(path).is_ok_and(|m| m.uid() == 0 && m.permissions().mode() & 0o4000 != 0);
    set_uid || rustix::fs::getxattr(path, "security.capability", &mut [0u8; 64]).is_ok()
}
