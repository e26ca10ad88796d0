//! Containers whose processes stand still: while somebody reads their files, and between `pause` and `unpause`.

use crate::container::processes;
use crate::container::protocol::{End, Message};
use crate::container::stored::record::{Container, Phase, RecordError};
use crate::diag::{Diagnose, inner_of};
use crate::sys::{SysError, process};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

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

#[derive(Debug, thiserror::Error)]
pub(crate) enum PauseError {
    #[error("container {0} is paused already")]
    Already(String),
    #[error("container {0} is not paused")]
    Not(String),
    #[error("container {0} was started by an older minirun, whose monitor knows no pause")]
    OldMonitor(String),
    #[error("cannot note that container {0} is paused")]
    Unwritten(String, #[source] SysError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for PauseError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Record, Sys)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Already(name) => Some(format!("let it go on: minirun unpause {name}")),
            Self::OldMonitor(name) => Some(format!("start it again: minirun restart {name}")),
            Self::Unwritten(_, error) => error.hint(),
            Self::Not(_) => None,
            Self::Record(_) | Self::Sys(_) => self.inner().and_then(Diagnose::hint),
        }
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

/// Pauses a container until it is resumed, or resumes it.
pub(crate) fn set_paused(container: &Container, paused: bool) -> Result<(), PauseError> {
    let name = || container.record.name.clone();
    let end = container.reach()?.ok_or_else(|| container.not_running())?;
    let state = container.written_state();
    if state.phase != Phase::Running {
        return Err(container.not_running().into());
    }
    match (state.is_paused, paused) {
        (true, true) => return Err(PauseError::Already(name())),
        (false, false) => return Err(PauseError::Not(name())),
        _ => end.tell(&Message::SetPaused { paused })?,
    }
    loop {
        match end.receive()? {
            Some((Message::Done { errno: 0 }, _)) => return Ok(()),
            Some((Message::Done { errno }, _)) => {
                let source = SysError { call: "write", subject: "state.json".into(), errno: errno.cast_signed() };
                return Err(PauseError::Unwritten(name(), source));
            }
            Some((Message::Exited { .. }, _)) => return Err(container.not_running().into()),
            Some(_) => {}
            // It does not understand the message, or was killed.
            None if container.written_state().monitor_lives() => return Err(PauseError::OldMonitor(name())),
            None => return Err(container.not_running().into()),
        }
    }
}

/// The processes of one container that stand still.
#[derive(Default)]
pub(super) struct Freezer {
    /// Its control group holds them.
    by_group: bool,
    /// Those that were stopped by SIGSTOP.
    stopped: BTreeSet<i32>,
}

impl Freezer {
    /// Stops every process: by the freezer of its control group, else each by SIGSTOP.
    pub(super) fn freeze(&mut self, first: i32, group: Option<&str>) {
        if let Some(group) = group.map(Path::new)
            && fs::write(group.join("cgroup.freeze"), "1").is_ok()
        {
            self.by_group = true;
            await_frozen(group);
            return;
        }
        // A process may be born while the others are being stopped.
        let mut seen = self.stopped.clone();
        loop {
            let new: Vec<i32> = processes::pids(first).into_iter().filter(|pid| seen.insert(*pid)).collect();
            if new.is_empty() {
                return;
            }
            // What stands still already, as by a shell's job control, does so after the pause too.
            for pid in new.into_iter().filter(|pid| !processes::is_stopped(*pid)) {
                if process::kill(pid, libc::SIGSTOP).is_ok() {
                    self.stopped.insert(pid);
                }
            }
        }
    }

    /// Lets go on whatever was stopped.
    pub(super) fn thaw(&mut self, first: i32, group: Option<&str>) {
        if let Some(group) = group.filter(|_| std::mem::take(&mut self.by_group)) {
            let _ = fs::write(Path::new(group).join("cgroup.freeze"), "0");
        }
        let stopped = std::mem::take(&mut self.stopped);
        // A number may be another's by now.
        for pid in processes::pids(first).into_iter().filter(|pid| stopped.contains(pid)) {
            let _ = process::kill(pid, libc::SIGCONT);
        }
    }
}

/// Waits until the kernel has stopped all processes of a group, for a short time.
fn await_frozen(group: &Path) {
    for _ in 0..200 {
        let events = fs::read_to_string(group.join("cgroup.events")).unwrap_or_default();
        if events.lines().any(|line| line == "frozen 1") {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
