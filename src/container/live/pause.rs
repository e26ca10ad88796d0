//! A container that is paused while somebody reads its files.

use crate::container::processes;
use crate::container::protocol::{End, Message};
use crate::container::stored::record::{Container, RecordError};
use crate::sys::process;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Keeps a container paused as long as it lives: the monitor resumes the container when the connection ends.
pub(crate) struct Paused(#[allow(dead_code)] End);

impl Paused {
    /// Pauses a container. `None`: it does not run.
    pub(crate) fn new(container: &Container) -> Result<Option<Self>, RecordError> {
        Self::hold(container, false)
    }

    /// Pauses only the processes that run now, by SIGSTOP.
    pub(crate) fn by_signals(container: &Container) -> Result<Option<Self>, RecordError> {
        Self::hold(container, true)
    }

    fn hold(container: &Container, by_signals: bool) -> Result<Option<Self>, RecordError> {
        let Some(end) = container.reach()? else { return Ok(None) };
        end.tell(&Message::Pause { by_signals })?;
        loop {
            match end.receive()? {
                Some((Message::Paused, _)) => return Ok(Some(Self(end))),
                Some((Message::Exited { .. }, _)) | None => return Ok(None),
                Some(_) => {}
            }
        }
    }
}

/// Stops every process: by the freezer of its control group, else each by SIGSTOP.
pub(crate) fn freeze(first: i32, group: Option<&str>) {
    if let Some(group) = group
        && fs::write(Path::new(group).join("cgroup.freeze"), "1").is_ok()
    {
        return;
    }
    // A process may be born while the others are being stopped.
    let mut stopped = BTreeSet::new();
    loop {
        let new: Vec<i32> = processes::pids(first).into_iter().filter(|pid| stopped.insert(*pid)).collect();
        if new.is_empty() {
            return;
        }
        for pid in new {
            let _ = process::kill(pid, libc::SIGSTOP);
        }
    }
}

pub(crate) fn thaw(first: i32, group: Option<&str>) {
    if let Some(group) = group {
        let _ = fs::write(Path::new(group).join("cgroup.freeze"), "0");
    }
    for pid in processes::pids(first) {
        let _ = process::kill(pid, libc::SIGCONT);
    }
}
