//! The job of a monitor: all that it is told when it starts.

use super::streams::Streams;
use crate::container::plan::Plan;
use crate::container::request::id::ContainerId;
use crate::network::egress;
use crate::network::ports::PortSpec;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What a monitor is told, once. The descriptors of published ports ride along in the order of `ports`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub plan: Plan,
    /// The container whose state it writes; none for `exec`.
    pub container: Option<ContainerId>,
    pub terminal: bool,
    /// Rows and columns that its terminal has from the first moment.
    pub size: Option<(u16, u16)>,
    pub stdin: bool,
    pub ports: Vec<PortSpec>,
    pub egress: Option<egress::Way>,
    /// Where the way out leaves its files, and its complaint if it cannot be had.
    pub runtime: PathBuf,
    /// The control group that the container is born into.
    pub cgroup: Option<String>,
    /// Every step is told as it is carried out.
    pub told: bool,
    /// It is killed when the client goes.
    #[serde(default)]
    pub leashed: bool,
}

impl Job {
    /// How many descriptors come after the memory file that holds it.
    pub(crate) fn descriptors(&self) -> usize {
        let streams = if self.terminal { 0 } else { Streams::count(self.stdin) };
        streams + self.ports.len() + usize::from(self.container.is_some()) + self.plan.brought()
    }
}
