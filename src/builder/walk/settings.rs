//! The instructions that set something for those that follow: ARG, WORKDIR, and all that change the image's config only.

use super::copy;
use super::layers::NewLayer;
use super::shared::Shared;
use super::stage::Stage;
use crate::builder::error::{BuildError, StepError};
use crate::builder::listener::{Done, StepName};
use crate::builder::read::instruction::{Instruction, Step};
use std::time::Instant;

impl Shared<'_> {
    /// Executes an ARG.
    pub(crate) fn arguments(
        &mut self,
        stage: &mut Stage,
        step: &Step,
        all: &[(String, Option<String>)],
    ) -> Result<(), BuildError> {
        for (argument, default) in all {
            let value = self.argument(stage, argument, default.as_deref());
            let value = value.map_err(|error| self.at(stage, step, error))?;
            self.plan.consumed.insert(argument.clone());
            stage.state.argument(argument, value);
        }
        Ok(())
    }

    fn argument(&self, stage: &Stage, name: &str, default: Option<&str>) -> Result<Option<String>, StepError> {
        if let Some(given) = self.options.build_args.get(name) {
            return Ok(Some(given.clone()));
        }
        let escape = self.plan.source.directives.escape;
        match default {
            Some(text) => Ok(Some(stage.state.word(escape, text)?)),
            None => Ok(self.plan.globals.get(name).cloned()),
        }
    }

    /// Executes an instruction that changes settings only.
    pub(crate) fn setting(&self, stage: &mut Stage, step: &Step, instruction: &Instruction) -> Result<(), BuildError> {
        let escape = self.plan.source.directives.escape;
        let applied = stage.state.apply(instruction, escape);
        applied.map(drop).map_err(|error| self.at(stage, step, error.into()))
    }

    /// Makes the directory of a WORKDIR that is set already.
    pub(crate) fn workdir(&mut self, stage: &mut Stage, step: &Step, name: &StepName) -> Result<(), BuildError> {
        let path = stage.state.working_directory().to_owned();
        let row = format!("WORKDIR {path}");
        if path == "/" {
            stage.state.note(row, None);
            self.listener.done(name, &Done::Metadata);
            return Ok(());
        }
        let mut inputs = self.inputs(stage, row.clone());
        let user = stage.state.user().to_owned();
        if !user.is_empty() {
            inputs.values.insert("USER".into(), user);
        }
        if self.look_up(stage, name, &inputs, &row)? {
            return Ok(());
        }
        let reason = self.begin(stage, name, &inputs)?;
        let begun = Instant::now();
        let directory = self.directory(stage)?;
        let made = copy::make_directory(self, stage, &directory, &path);
        made.map_err(|error| self.at(stage, step, error))?;
        self.layer(
            stage,
            NewLayer { directory, alone: false, leave_out: Vec::new(), creator: None, inputs, row, reason, begun },
        )
    }
}
