//! What stops a forbidden operation, found by experiment: the operation is tried as any process of the container would try it,
//! and again without the seccomp filter, without the limits on capabilities, and without both. Whatever must be removed before
//! it succeeds is what stopped it. If it still fails, the kernel's answer shows the reason.

use super::attempt::{Answer, AttemptResult, Outcome, Wall};
use super::excess::Excess;
use crate::container::live::exec;
use crate::container::live::exec::Wanted;
use crate::container::live::pause::Paused;
use crate::container::probe::{ATTEMPTS, Attempt, Operation, Targets, Without};
use crate::container::protocol::Message;
use crate::container::stored::record::Container;
use crate::diag::Failure;
use crate::explain::layers::stack;
use crate::image;
use crate::store::Store;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Tries all operations in a running container.
///
/// # Errors
/// When the container does not run, or cannot be entered.
pub(crate) fn probe(store: &Store, container: &Container) -> Result<Vec<AttemptResult>, Failure> {
    let image = image::find(store, &container.record.image_id.to_string())?;
    let layer = stack::layers(store, &image)?.pop().map(|layer| layer.directory).unwrap_or_default();
    let excess = Excess::of(container);
    let targets = Targets {
        process: container.state().monitor.0,
        layer: first_file(&layer).unwrap_or(layer),
        disk: disk().unwrap_or_else(|| "/dev/sda".into()),
        ..Targets::default()
    };
    let as_it_is = Without { seccomp: false, capabilities: false };
    // At its limits the container's own processes would fail too.
    let held = if excess.is_tried() { Paused::by_signals(container)? } else { None };
    let as_it_is = attempt(store, container, &excess.targets(&targets), as_it_is)?;
    drop(held);
    let excess = excess.results(|operation| as_it_is.get(&(operation as u8)).copied());
    let answers = |seccomp, capabilities| attempt(store, container, &targets, Without { seccomp, capabilities });
    let (no_filter, no_bounds, neither) = (answers(true, false)?, answers(false, true)?, answers(true, true)?);
    let has_own_pids = has_own_pids(container.state().pid);
    let row = |attempt: &'static Attempt| {
        let errno = |answers: &BTreeMap<u8, i32>| answers.get(&(attempt.operation as u8)).copied().unwrap_or(libc::EIO);
        let goes = |answers| errno(answers) == 0 || attempt.through.contains(&errno(answers));
        let capability = || attempt.capability.map_or(Wall::Other, |name| Wall::Capability { name });
        let mut walls = if goes(&as_it_is) {
            Vec::new()
        } else if goes(&no_filter) {
            vec![Wall::Seccomp]
        } else if goes(&no_bounds) {
            vec![capability()]
        } else if goes(&neither) {
            vec![capability(), Wall::Seccomp]
        } else {
            vec![last_wall(errno(&neither))]
        };
        if attempt.operation == Operation::Reboot && has_own_pids {
            walls.push(Wall::OwnPidNamespace);
        }
        let outcome = if walls.is_empty() { Outcome::GoesThrough } else { Outcome::Stopped };
        let answer = Some(Answer::of(errno(&as_it_is)));
        AttemptResult { operation: attempt.operation, call: attempt.call, outcome, walls, answer }
    };
    Ok(ATTEMPTS.iter().map(row).chain(excess).collect())
}

/// Whether the container has its own PID namespace, where reboot(2) ends the namespace's processes, not the machine's.
fn has_own_pids(pid: i32) -> bool {
    let namespace = |process: &str| fs::read_link(format!("/proc/{process}/ns/pid")).ok();
    let own = namespace(&pid.to_string());
    own.is_some() && own != namespace("self")
}

/// Returns what stops an operation that neither the filter nor the capabilities stop.
fn last_wall(errno: i32) -> Wall {
    match errno {
        // EINVAL: an ID that its user namespace does not map.
        libc::EPERM | libc::EACCES | libc::EINVAL => Wall::UserNamespace,
        libc::ESRCH => Wall::PidNamespace,
        libc::ENOENT => Wall::MountNamespace,
        libc::EROFS => Wall::ReadOnly,
        libc::ENODATA => Wall::Masked,
        libc::ENOSYS => Wall::NotInThisKernel,
        _ => Wall::Other,
    }
}

/// Tries all operations once and returns the answers by the numbers of the operations.
fn attempt(
    store: &Store,
    container: &Container,
    targets: &Targets,
    without: Without,
) -> Result<BTreeMap<u8, i32>, Failure> {
    let wanted = Wanted {
        command: vec!["probe".into()],
        env: Vec::new(),
        // The container's root has most privileges.
        user: Some("0".into()),
        workdir: Some("/".into()),
        privileged: false,
        terminal: false,
        stdin: false,
        probe: Some((targets.clone(), without)),
        events: None,
    };
    let end = exec::start(store, container, wanted)?;
    let mut text = Vec::new();
    while let Some((message, _)) = end.receive()? {
        match message {
            Message::Output { bytes, .. } => text.extend(bytes),
            Message::Exited { .. } => break,
            _ => {}
        }
    }
    let text = String::from_utf8_lossy(&text);
    let pairs = text.lines().filter_map(|line| line.split_once(' '));
    Ok(pairs.filter_map(|(number, errno)| Some((number.parse().ok()?, errno.parse().ok()?))).collect())
}

fn first_file(directory: &std::path::Path) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    let file = entries.iter().find(|path| path.symlink_metadata().is_ok_and(|metadata| metadata.is_file()));
    file.cloned().or_else(|| entries.iter().filter(|path| !path.is_symlink()).find_map(|path| first_file(path)))
}

/// Returns a disk of this machine (proc(5), /proc/partitions).
fn disk() -> Option<PathBuf> {
    let table = fs::read_to_string("/proc/partitions").ok()?;
    let name = table.lines().skip(2).find_map(|line| line.split_whitespace().nth(3))?;
    Some(PathBuf::from("/dev").join(name))
}
