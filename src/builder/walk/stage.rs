//! One stage of a build in progress.

use crate::builder::read::instruction::Step;
use crate::builder::read::stage::StageId;
use crate::builder::read::state::State;
use crate::image::name::digest::Digest;

/// A stage and its progress.
pub(crate) struct Stage {
    pub id: StageId,
    pub state: State,
    /// The steps of the Dockerfile, and those that its base image adds (ONBUILD).
    pub steps: Vec<Step>,
    /// The index of the current step.
    pub at: usize,
    /// The number of layers after each step.
    pub depths: Vec<usize>,
    /// Why the steps that follow cannot come from the cache, if the last layer was made anew.
    pub ran: Option<String>,
    /// The stage's layers, each with the cache key of the step that made it.
    pub keys: Vec<(Digest, Digest)>,
    /// Whether the listener knows that the stage waits for a cache mount.
    pub has_told_wait: bool,
    pub has_begun: bool,
    pub is_finished: bool,
}

impl Stage {
    pub(crate) fn new(id: StageId, state: State, steps: Vec<Step>) -> Self {
        Self {
            id,
            state,
            steps,
            at: 0,
            depths: Vec::new(),
            ran: None,
            keys: Vec::new(),
            has_told_wait: false,
            has_begun: false,
            is_finished: false,
        }
    }

    /// Returns the current step; `None` after the last one.
    pub(crate) fn step(&self) -> Option<&Step> {
        self.steps.get(self.at)
    }

    /// Goes on to the next step.
    pub(crate) fn advance(&mut self) {
        self.depths.push(self.state.layers.len());
        self.at += 1;
    }

    /// Returns the cache keys of the steps that made the layers.
    pub(crate) fn cache_keys(&self) -> Vec<Digest> {
        self.keys.iter().map(|(_, key)| *key).collect()
    }
}
