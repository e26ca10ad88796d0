//! The job of a monitor: all that it is told when it starts.

use super::streams::Streams;
use crate::container::plan::Plan;
use crate::container::request::id::ContainerId;
use crate::journal::Event;
use crate::network::egress;
use crate::network::ports::PortSpec;
use crate::userns::Outside;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// All that a monitor has to know. The sockets of published ports come with it, in the order of `ports`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub outside: Outside,
    pub plan: Plan,
    /// The container whose state it writes; none for `exec`.
    pub container: Option<ContainerId>,
    pub terminal: bool,
    /// The terminal's rows and columns at its start.
    pub size: Option<(u16, u16)>,
    pub stdin: bool,
    pub ports: Vec<PortSpec>,
    pub egress: Option<egress::Way>,
    /// The directory for the files and the error message of the way out.
    pub runtime: PathBuf,
    /// The control group that the container is created in.
    pub cgroup: Option<String>,
    /// Report every step as it is carried out.
    pub told: bool,
    /// Kill the process when the client goes.
    #[serde(default)]
    pub leashed: bool,
    /// What the journal is told when the process of an `exec` ends.
    #[serde(default)]
    pub last_event: Option<Event>,
}

impl Job {
    /// Returns how many descriptors follow the memory file that holds it.
    pub(crate) fn descriptors(&self) -> usize {
        let streams = if self.terminal { 0 } else { Streams::count(self.stdin) };
        streams + self.ports.len() + usize::from(self.container.is_some()) + self.plan.brought()
    }
}
