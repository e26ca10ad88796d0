//! The stages of a build for one platform, and how each begins.

use super::shared::{Bases, Part, Shared};
use super::stage::Stage;
use crate::builder::error::BuildError;
use crate::builder::listener::Listener;
use crate::builder::options::Options;
use crate::builder::read::stage::{Base, Plan, StageId};
use crate::builder::read::state::State;
use crate::store::Store;
use std::collections::BTreeSet;

/// A build for one platform.
pub(crate) struct Builder<'a> {
    pub shared: Shared<'a>,
    /// All stages, in the order of the Dockerfile.
    pub stages: Vec<Stage>,
    /// The stages that the target needs.
    pub needed: BTreeSet<StageId>,
    /// The text in the first states of all stages, in bytes.
    pub state_bytes: usize,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(
        store: &'a Store,
        options: &'a Options,
        bases: Bases,
        part: Part,
        listener: &'a mut dyn Listener,
    ) -> Result<Self, BuildError> {
        let (source, named) = (options.source.clone(), options.named.clone());
        let plan = Plan::new(source, &options.build_args, options.target.as_deref(), &options.platform, named)?;
        let scratch = State::scratch(&options.platform);
        let stages = plan.stages.iter().map(|stage| Stage::new(stage.id, scratch.clone(), stage.steps.clone()));
        Ok(Self {
            stages: stages.collect(),
            needed: BTreeSet::new(),
            state_bytes: 0,
            shared: Shared::new(store, options, plan, bases, part, listener),
        })
    }

    pub(crate) fn stage(&mut self, id: StageId) -> &mut Stage {
        &mut self.stages[id.index()]
    }

    /// Returns a stage, and what it shares with the others.
    pub(crate) fn parts(&mut self, id: StageId) -> (&mut Shared<'a>, &mut Stage) {
        (&mut self.shared, &mut self.stages[id.index()])
    }

    /// Returns the stage that is to be exported, and what it shares with the others.
    pub(crate) fn target(&mut self) -> (&mut Shared<'a>, &mut Stage) {
        self.parts(self.shared.plan.target)
    }

    /// Returns the state that a stage begins with.
    pub(crate) fn first_state(&mut self, id: StageId) -> Result<State, BuildError> {
        let platform = self.shared.platform(id)?;
        let state = match self.shared.plan.stage(id).base.clone() {
            Base::Scratch | Base::Files(_) => State::scratch(&platform),
            Base::Stage(base) => self.stage(base).state.next_stage(),
            Base::Image(reference) => match self.shared.bases.get(&(reference.clone(), platform.to_string())) {
                Some(image) => State::of_image(image),
                None => State::of_image(&self.shared.find_image(&reference, &platform)?),
            },
        };
        self.state_bytes += state.size();
        Ok(state)
    }
}
