//! The rehearsal of a build: finds the base images and the stages that the target needs, and reads every instruction with
//! its variables, so that a mistake is reported before the first step runs.

use super::engine::Builder;
use super::run;
use super::shared::{Bases, Part, unambiguous};
use crate::builder::error::{BuildError, StepError};
use crate::builder::listener::Listener;
use crate::builder::options::Options;
use crate::builder::read::check;
use crate::builder::read::instruction;
use crate::builder::read::instruction::{Instruction, Step};
use crate::builder::read::parse::Source;
use crate::builder::read::stage::{Base, StageId};
use crate::builder::read::state::State;
use crate::image::name::platform;
use crate::store::Store;
use std::collections::BTreeSet;

/// The limit for the text of all states: each is a copy of the one that its stage begins with.
const MOST_STATE_BYTES: usize = 256 << 20;

/// Rehearses the build for one platform, and returns the base images. Nothing is executed.
pub(crate) fn rehearse(store: &Store, options: &Options, listener: &mut dyn Listener) -> Result<Bases, BuildError> {
    let part = Part { is_first: false, is_last: false, keys: Vec::new() };
    let mut builder = Builder::new(store, options, Bases::new(), part, listener)?;
    builder.rehearse()?;
    builder.refuse_foreign()?;
    Ok(builder.shared.bases)
}

impl Builder<'_> {
    pub(crate) fn rehearse(&mut self) -> Result<(), BuildError> {
        let mut open = BTreeSet::from([self.shared.plan.target]);
        // The base of a stage comes before it in the file, so its state is known.
        while let Some(id) = open.pop_first() {
            let base = self.shared.plan.stage(id).base.clone();
            if let Base::Stage(base) = base
                && !self.needed.contains(&base)
            {
                open.extend([base, id]);
                continue;
            }
            if !self.needed.insert(id) {
                continue;
            }
            if let Base::Image(name) = base {
                self.find_base(id, name)?;
            }
            self.shared.is_alone = open.is_empty() && self.needed.len() == 1;
            let Some(from) = self.stage(id).steps.first().cloned() else { continue };
            let state = self.first_state(id)?;
            if self.state_bytes > MOST_STATE_BYTES {
                let (shared, stage) = self.parts(id);
                return Err(shared.at(stage, &from, StepError::TooLong));
            }
            self.stage(id).state = state;
            self.add_triggers(id, &from)?;
            for at in 1..self.stage(id).steps.len() {
                self.stage(id).at = at;
                let step = self.stage(id).steps[at].clone();
                self.rehearse_step(id, &step)?;
                let sources = self.shared.plan.sources_of(id, &step);
                open.extend(sources.into_iter().filter(|source| !self.needed.contains(source)));
            }
        }
        let scratch = State::scratch(&self.shared.options.platform);
        for stage in &mut self.stages {
            (stage.at, stage.state) = (0, scratch.clone());
        }
        self.state_bytes = 0;
        self.refuse_circles()
    }

    fn find_base(&mut self, id: StageId, name: String) -> Result<(), BuildError> {
        let platform = self.shared.platform(id)?;
        let key = (name, platform.to_string());
        match self.shared.bases.get(&key).cloned() {
            Some(image) => self.shared.note_image(&unambiguous(&key.0), &platform, &image),
            None => {
                let image = self.shared.find_image(&key.0, &platform)?;
                self.shared.bases.insert(key, image);
                Ok(())
            }
        }
    }

    fn rehearse_step(&mut self, id: StageId, step: &Step) -> Result<(), BuildError> {
        let (shared, stage) = self.parts(id);
        match &step.instruction {
            Instruction::From(_) => {}
            Instruction::Arg(all) => shared.arguments(stage, step, all)?,
            Instruction::Copy(copy) => shared.read_copy(stage, step, copy).map_err(|e| shared.at(stage, step, e))?,
            Instruction::Run(run) => {
                let prepared = run::prepare(shared, stage, run).map_err(|error| shared.at(stage, step, error))?;
                stage.state.note(prepared.row, None);
            }
            other => shared.setting(stage, step, other)?,
        }
        if stage.state.is_too_long() { Err(shared.at(stage, step, StepError::TooLong)) } else { Ok(()) }
    }

    /// Inserts the steps that the base brings with it: its ONBUILD instructions, or the copy of a context's files.
    fn add_triggers(&mut self, id: StageId, from: &Step) -> Result<(), BuildError> {
        let stage = self.stage(id);
        let triggers = stage.state.take_triggers();
        stage.at = 0;
        self.insert(id, from, "ONBUILD", &triggers)?;
        if let Base::Files(name) = &self.shared.plan.stage(id).base {
            let copy = format!("COPY --from={name} / /");
            self.insert(id, from, "--build-context", &[copy])?;
        }
        Ok(())
    }

    /// Inserts instructions after the current one, which give its lines as theirs.
    fn insert(&mut self, id: StageId, after: &Step, origin: &str, texts: &[String]) -> Result<(), BuildError> {
        let mut steps = Vec::new();
        for text in texts {
            let mut source = Source::parse(origin, text)?;
            for mut step in instruction::steps(&mut source)? {
                (step.node.first, step.node.last) = (after.node.first, after.node.last);
                steps.push(step);
            }
        }
        let stage = self.stage(id);
        let at = stage.at + 1;
        stage.steps.splice(at..at, steps);
        Ok(())
    }

    /// Refuses stages that wait for each other, by a depth-first search from the target.
    fn refuse_circles(&self) -> Result<(), BuildError> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            OnPath,
            Left,
        }
        let plan = &self.shared.plan;
        let mut marks = vec![Mark::New; self.stages.len()];
        let mut path = vec![plan.target];
        while let Some(id) = path.last().copied() {
            let stage = &self.stages[id.index()];
            let mark = &mut marks[id.index()];
            if *mark != Mark::New {
                *mark = Mark::Left;
                path.pop();
                continue;
            }
            *mark = Mark::OnPath;
            let circle = |other: StageId| StepError::Circle(plan.stage(other).name());
            for step in &stage.steps {
                for other in plan.sources_of(id, step) {
                    if other == id {
                        return Err(self.shared.at(stage, step, StepError::CopiesFromItself));
                    }
                    if marks[other.index()] == Mark::OnPath {
                        return Err(self.shared.at(stage, step, circle(other)));
                    }
                    path.push(other);
                }
            }
            if let Base::Stage(base) = plan.stage(id).base {
                if marks[base.index()] == Mark::OnPath {
                    return Err(self.shared.at(stage, &stage.steps[0], circle(base)));
                }
                path.push(base);
            }
        }
        Ok(())
    }

    /// Reports the warnings about the Dockerfile, for the first platform only.
    pub(crate) fn warn(&mut self) -> Result<(), BuildError> {
        if !self.shared.part.is_first {
            return Ok(());
        }
        let bases = &self.shared.bases;
        let known = |name: &str| {
            let image = bases.iter().find(|((base, _), _)| base == name)?.1;
            let variables = State::of_image(image).env().map(|(name, _)| name.to_owned()).collect();
            Some(check::Known { variables, platform: platform::of_config(image.config()) })
        };
        let mut warnings = check::check(&self.shared.plan, &self.shared.options.ignore, &known);
        warnings.append(&mut self.shared.plan.source.warnings);
        let (warnings, fails) = check::selected(&self.shared.plan.source, warnings);
        warnings.iter().for_each(|warning| self.shared.listener.warning(warning));
        if fails && !warnings.is_empty() { Err(BuildError::Warnings(warnings.len())) } else { Ok(()) }
    }

    /// Refuses a RUN whose programs this machine cannot run, unless the cache may have its result.
    fn refuse_foreign(&mut self) -> Result<(), BuildError> {
        if !self.shared.options.cache_from.is_empty() {
            return Ok(());
        }
        for id in self.needed.clone() {
            let (shared, stage) = self.parts(id);
            let is_run = |step: &Step| matches!(step.instruction, Instruction::Run(_));
            let Some(at) = stage.steps.iter().position(is_run) else { continue };
            if shared.cache.did(&shared.plan.stage(id).name(), "RUN ") {
                continue;
            }
            if let Some(platform) = shared.foreign_platform(id)? {
                stage.at = at;
                return Err(shared.at(stage, &stage.steps[at], StepError::Foreign(platform)));
            }
        }
        Ok(())
    }
}
