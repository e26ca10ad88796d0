//! How a container's first process ended, as its monitor saw it.

#![deny(clippy::indexing_slicing)]

use crate::sys::process::Exit;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Outcome {
    /// The signal that ended it; `None`: it exited. With `--init`, the signal that ended the init's child.
    pub signal: Option<i32>,
    /// The last signals that were sent through the monitor, the newest last.
    pub asked: Vec<Asked>,
    /// The grace of a `stop` ran out, so the monitor sent SIGKILL.
    pub grace_ran_out: bool,
}

/// A signal that somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub by: Asker,
    pub signal: i32,
    /// The time (RFC 3339).
    pub at: String,
    /// The grace of a `stop` in milliseconds; `None`: no SIGKILL follows.
    pub grace_ms: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Asker {
    /// `stop`, `restart` or `rm -f`.
    Stop,
    Kill,
    /// A signal to the command that is attached, such as its Ctrl-C.
    Client,
    /// `--health-on-failure`.
    Health,
    /// A signal to the monitor itself, which passes it on.
    Monitor,
}

/// The most signals that are kept, because a program may be reloaded by a signal any number of times.
const MOST_ASKED: usize = 8;

impl Outcome {
    pub(crate) fn ask(&mut self, by: Asker, signal: i32, grace_ms: Option<u32>) {
        if self.asked.len() == MOST_ASKED {
            self.asked.remove(0);
        }
        self.asked.push(Asked { by, signal, at: jiff::Timestamp::now().to_string(), grace_ms });
    }

    pub(crate) fn ended(&mut self, exit: Exit) {
        self.signal = match exit {
            Exit::Code(_) => None,
            Exit::Signal(signal) => Some(signal),
        };
    }
}
