//! Executes the stages: one loop, no threads. RUNs of stages that do not wait for each other run at the same time.

use super::engine::Builder;
use super::layers::NewLayer;
use super::mounts;
use super::run;
use super::run::Running;
use crate::builder::error::{BuildError, StepError};
use crate::builder::listener::{Done, StepName};
use crate::builder::read::instruction::{Instruction, Run, Step};
use crate::builder::read::mount::Mount;
use crate::builder::read::stage::{Base, StageId};
use crate::container::live::launch::LaunchError;
use crate::container::protocol::Message;
use crate::container::rootfs::layering::Layering;
use crate::diag;
use crate::sys::{On, process};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::time::Instant;

/// Executes all stages that the target needs.
pub(crate) fn execute(builder: &mut Builder) -> Result<(), BuildError> {
    Scheduler { builder, running: BTreeMap::new() }.execute()
}

struct Scheduler<'b, 'a> {
    builder: &'b mut Builder<'a>,
    /// The RUNs in progress, at most one of each stage.
    running: BTreeMap<StageId, Running>,
}

/// The result of trying a stage's current step.
enum Tried {
    Done,
    /// The stage waits for another one, or for a cache mount that another RUN uses.
    Waits,
    Runs,
    /// There is no step left.
    Finished,
}

impl Scheduler<'_, '_> {
    fn execute(&mut self) -> Result<(), BuildError> {
        let needed = self.builder.needed.clone();
        let target = self.builder.shared.plan.target;
        loop {
            let mut moved = true;
            while std::mem::take(&mut moved) {
                for id in needed.iter().copied() {
                    while !self.builder.stage(id).is_finished && !self.running.contains_key(&id) {
                        if self.is_interrupted() {
                            return Err(BuildError::Interrupted);
                        }
                        match self.try_step(id)? {
                            Tried::Done => moved = true,
                            Tried::Finished => {
                                self.finish(id);
                                moved = true;
                            }
                            Tried::Waits | Tried::Runs => break,
                        }
                    }
                }
            }
            if self.builder.stage(target).is_finished && self.running.is_empty() {
                return Ok(());
            }
            self.wait()?;
        }
    }

    fn finish(&mut self, id: StageId) {
        let (shared, stage) = self.builder.parts(id);
        stage.is_finished = true;
        shared.finished.insert(id, stage.state.layers.clone());
    }

    fn is_interrupted(&self) -> bool {
        let room = self.builder.shared.room.as_ref();
        room.is_some_and(|room| process::read_signal(room.signals.as_fd()).is_some())
    }

    fn try_step(&mut self, id: StageId) -> Result<Tried, BuildError> {
        let (shared, stage) = self.builder.parts(id);
        let Some(step) = stage.step().cloned() else { return Ok(Tried::Finished) };
        let name = shared.name(stage);
        match &step.instruction {
            Instruction::From(_) => return self.from(id, &name),
            Instruction::Run(run) => return self.run(id, &step, run, &name),
            Instruction::Arg(all) => {
                shared.arguments(stage, &step, all)?;
                shared.listener.done(&name, &Done::Metadata);
            }
            Instruction::Workdir(_) => {
                shared.setting(stage, &step, &step.instruction)?;
                shared.workdir(stage, &step, &name)?;
            }
            Instruction::Copy(copy) => {
                if copy.from.as_ref().is_some_and(|from| shared.waits_for(id, from)) {
                    return Ok(Tried::Waits);
                }
                shared.copy(stage, &step, copy, &name)?;
            }
            other => {
                shared.setting(stage, &step, other)?;
                shared.listener.done(&name, &Done::Metadata);
            }
        }
        stage.advance();
        Ok(Tried::Done)
    }

    fn from(&mut self, id: StageId, name: &StepName) -> Result<Tried, BuildError> {
        if let Base::Stage(base) = self.builder.shared.plan.stage(id).base {
            let before = self.builder.stage(base);
            if !before.is_finished {
                return Ok(Tried::Waits);
            }
            let (has_run, keys) = (before.ran.is_some(), before.keys.clone());
            let base = self.builder.shared.plan.stage(base).name();
            let stage = self.builder.stage(id);
            stage.ran = has_run.then(|| format!("because stage {base} was built again"));
            stage.keys = keys;
        }
        let mut state = self.builder.first_state(id)?;
        let (shared, stage) = self.builder.parts(id);
        let triggers = state.take_triggers().len();
        if triggers > 0 {
            shared.listener.note(&format!("the base image adds {triggers} ONBUILD instructions"));
        }
        stage.state = state;
        stage.has_begun = true;
        shared.listener.done(name, &Done::Metadata);
        stage.advance();
        Ok(Tried::Done)
    }

    fn run(&mut self, id: StageId, step: &Step, run: &Run, name: &StepName) -> Result<Tried, BuildError> {
        let (shared, stage) = self.builder.parts(id);
        let prepared = run::prepare(shared, stage, run).map_err(|error| shared.at(stage, step, error))?;
        if prepared.mounts.iter().any(|mount| mount.from.as_ref().is_some_and(|from| shared.waits_for(id, from))) {
            return Ok(Tried::Waits);
        }
        shared.record.run(prepared.network, prepared.mounts.iter().filter_map(Mount::asks));
        let inputs = run::inputs(shared, stage, &prepared)?;
        if shared.look_up(stage, name, &inputs, &prepared.row)? {
            stage.advance();
            return Ok(Tried::Done);
        }
        shared.room()?;
        let locks = mounts::lock(shared, stage, &prepared.mounts).map_err(|error| shared.at(stage, step, error))?;
        let Some(mut locks) = locks else {
            shared.cache.forget_last(&name.stage_name);
            if !std::mem::replace(&mut stage.has_told_wait, true) {
                let step = shared.describe(stage, step);
                shared.listener.note(&format!("{step} waits for a cache that another RUN uses"));
            }
            return Ok(Tried::Waits);
        };
        let reason = shared.begin(stage, name, &inputs)?;
        let begun = Instant::now();
        let directory = shared.directory(stage)?;
        let row = prepared.row.clone();
        let layer =
            NewLayer { directory, alone: false, leave_out: Vec::new(), creator: None, inputs, row, reason, begun };
        let running = match run::start(shared, stage, &prepared, layer, &mut locks) {
            // The first container of a store shows whether its file system can hold an overlay.
            Err((StepError::Launch(LaunchError::Step { source, what }), layer)) if source.no_overlay => {
                match Layering::instead(shared.store)? {
                    Some(layering) => {
                        diag::note(&layering.note(shared.store));
                        shared.room()?.layering = layering;
                        run::start(shared, stage, &prepared, *layer, &mut locks)
                    }
                    None => Err((StepError::Launch(LaunchError::Step { source, what }), layer)),
                }
            }
            other => other,
        };
        let running = match running {
            Err((StepError::Launch(LaunchError::Step { source, .. }), _))
                if source.no_program
                    && let Some(platform) = shared.foreign_platform(id)? =>
            {
                return Err(shared.at(stage, step, StepError::Foreign(platform)));
            }
            other => other.map_err(|(error, _)| shared.at(stage, step, error))?,
        };
        self.running.insert(id, running);
        Ok(Tried::Runs)
    }

    /// Waits until a RUN sends a message, a signal arrives, or a tenth of a second has passed.
    fn wait(&mut self) -> Result<(), BuildError> {
        let Some(room) = &self.builder.shared.room else { return Err(BuildError::NeedsNamespace) };
        let mut waiting: Vec<PollFd> = vec![PollFd::new(&room.signals, PollFlags::IN)];
        let ends = self.running.values().map(|running| running.end.as_fd());
        waiting.extend(ends.map(|end| PollFd::from_borrowed_fd(end, PollFlags::IN)));
        let limit = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        match poll(&mut waiting, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(other) => return Err(other).on("poll", "")?,
        }
        let ready: Vec<bool> = waiting.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(waiting);
        self.builder.shared.listener.tick();
        if ready[0] {
            return Err(BuildError::Interrupted);
        }
        let ids: Vec<StageId> = self.running.keys().copied().collect();
        for (id, _) in ids.into_iter().zip(&ready[1..]).filter(|(_, ready)| **ready) {
            self.receive(id)?;
        }
        Ok(())
    }

    /// Handles one message of a RUN.
    fn receive(&mut self, id: StageId) -> Result<(), BuildError> {
        let (shared, stage) = self.builder.parts(id);
        let Some(running) = self.running.get_mut(&id) else { return Ok(()) };
        let message = running.end.receive()?.map(|(message, _)| message);
        let step = &stage.steps[stage.at];
        match message {
            Some(Message::Output { bytes, .. }) => {
                let name = shared.name(stage);
                shared.listener.output(&name, &bytes);
            }
            Some(Message::Exited { code }) => {
                let Some(running) = self.running.remove(&id) else { return Ok(()) };
                let lacked_memory = running.lacked_memory();
                if code != 0 {
                    let name = shared.name(stage);
                    shared.listener.failed(&name);
                    let (step, code) = (shared.describe(stage, step), code as u8);
                    return Err(BuildError::Failed { step, code, lacked_memory, state: None });
                }
                shared.layer(stage, running.layer)?;
                stage.advance();
            }
            Some(_) => {}
            None => return Err(shared.at(stage, step, StepError::MonitorLost)),
        }
        Ok(())
    }
}
