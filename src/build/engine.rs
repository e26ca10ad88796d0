//! Walks the stages: one loop, no threads. RUNs of stages that do not wait for each other go on at the same time.

use super::cache::{self, Cache, Inputs, Outcome};
use super::carried::Source as Carried;
use super::check;
use super::copy;
use super::instruction::{Instruction, Step};
use super::memo::Memo;
use super::parse::Source;
use super::run::{self, Running};
use super::stage::{Base, Plan};
use super::state::State;
use super::{BuildError, Built, BuiltLayer, Done, Listener, Options, StepError, StepName, finish, squash};
use crate::container::create;
use crate::container::launch::LaunchError;
use crate::container::layering::Layering;
use crate::container::protocol::Message;
use crate::image::digest::Digest;
use crate::image::freeze::{self, freeze};
use crate::image::ingest::Ingested;
use crate::image::owner::Owners;
use crate::image::platform::{InvalidPlatform, Platform};
use crate::image::reduce::reduce;
use crate::image::{self, Image, claim, config, layer};
use crate::registry::{self, Policy, Settings};
use crate::store::{self, Belonging, Scratch, Store};
use crate::sys::process::LetThrough;
use crate::sys::{On, process};
use crate::userns;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A layer that is not in the store yet, and the entry of the cache that it will have.
pub(super) struct Pending {
    pub ingested: Ingested,
    pub key: Digest,
    pub inputs: Inputs,
}

/// A stage being built.
struct Work {
    state: Option<State>,
    steps: Vec<Step>,
    at: usize,
    running: Option<Running>,
    /// What the step before says to those that come after, if it was not cached.
    ran: Option<String>,
    /// The steps that made layers: what the cache calls them.
    keys: Vec<(Digest, Digest)>,
    finished: bool,
}

pub(super) struct Builder<'a> {
    pub store: &'a Store,
    pub options: &'a Options,
    pub plan: Plan,
    pub listener: &'a mut dyn Listener,
    pub memo: Memo,
    pub cache: Cache,
    /// Of the stages, by name and platform.
    bases: HashMap<(String, String), Image>,
    work: Vec<Work>,
    room: Option<Room>,
    pub pending: HashMap<Digest, Pending>,
    /// Where what other machines have done is looked for.
    pub sources: Vec<Carried>,
    /// When layers were last made to last.
    settled: Instant,
}

/// What a build that does something needs, and one that finds everything done does not.
pub(super) struct Room {
    pub scratch: Scratch,
    pub owners: Owners,
    pub layering: Layering,
    signals: OwnedFd,
    made: usize,
}

/// What interrupts a build. What is done by then is kept; but while something is on its way from or to another host, they end
/// it at once.
pub(super) const SIGNALS: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// How far a stage came.
enum Went {
    On,
    /// It waits for another stage, or for something another build holds.
    Waits,
    Runs,
    Finished,
}

/// Builds the image, or finds that it is there already.
pub fn build(store: &Store, mut options: Options, listener: &mut dyn Listener) -> Result<Built, BuildError> {
    let source = std::mem::replace(&mut options.source, Source::empty());
    let named = std::mem::take(&mut options.named);
    let plan = Plan::new(source, &options.build_args, options.target.as_deref(), &options.platform, named)?;
    let memo = store.path(cache::DIRECTORY).join("memo");
    let memo = match &options.context {
        Some(path) => Memo::load(&memo.join(Digest::of(path.as_os_str().as_encoded_bytes()).hex())),
        None => Memo::default(),
    };
    let work = plan.stages.iter().map(|stage| Work {
        state: None,
        steps: stage.steps.clone(),
        at: 0,
        running: None,
        ran: None,
        keys: Vec::new(),
        finished: false,
    });
    let mut builder = Builder {
        store,
        cache: Cache::of(store, &options.project),
        bases: HashMap::new(),
        work: work.collect(),
        options: &options,
        plan,
        listener,
        memo,
        room: None,
        pending: HashMap::new(),
        sources: options.cache_from.iter().cloned().map(Carried::Unopened).collect(),
        settled: Instant::now(),
    };
    let result = builder.walk().and_then(|()| builder.image());
    // What was done is there for the next build, whatever became of this one.
    let kept = builder.keep();
    let built = match result {
        Err(BuildError::Failed { step, code, .. }) if builder.options.keep_failed => {
            return Err(BuildError::Failed { step, code, state: builder.failed_state()? });
        }
        other => other?,
    };
    kept?;
    Ok(built)
}

impl Builder<'_> {
    fn walk(&mut self) -> Result<(), BuildError> {
        let needed = self.plan.needed();
        // All at once, before any step runs that could then not be interrupted.
        for number in (0..self.work.len()).filter(|number| needed[*number]) {
            if let Base::Image(name) = self.plan.stages[number].base.clone() {
                let platform = self.platform(number)?;
                let image = self.find_image(&name, &platform)?;
                self.bases.insert((name, platform.to_string()), image);
            }
        }
        self.warn()?;
        loop {
            let mut moved = true;
            while std::mem::take(&mut moved) {
                for number in (0..self.work.len()).filter(|number| needed[*number]) {
                    while !self.work[number].finished && self.work[number].running.is_none() {
                        if self.is_interrupted() {
                            return Err(BuildError::Interrupted);
                        }
                        match self.advance(number)? {
                            Went::On => moved = true,
                            Went::Finished => {
                                self.work[number].finished = true;
                                moved = true;
                            }
                            Went::Waits | Went::Runs => break,
                        }
                    }
                }
            }
            if self.work[self.plan.target].finished && self.work.iter().all(|work| work.running.is_none()) {
                return Ok(());
            }
            self.wait()?;
        }
    }

    /// What could be better in the Dockerfile.
    fn warn(&mut self) -> Result<(), BuildError> {
        let bases = &self.bases;
        let known = |name: &str| {
            let image = bases.iter().find(|((base, _), _)| base == name)?.1;
            Some(State::of_image(image).env().into_iter().map(|(name, _)| name).collect())
        };
        let mut warnings = check::check(&self.plan, &self.options.ignore, &known);
        warnings.append(&mut self.plan.source.warnings);
        let (warnings, fails) = check::selected(&self.plan.source, warnings);
        warnings.iter().for_each(|warning| self.listener.warning(warning));
        if fails && !warnings.is_empty() { Err(BuildError::Warnings(warnings.len())) } else { Ok(()) }
    }

    /// That a stage is built for.
    fn platform(&self, number: usize) -> Result<Platform, BuildError> {
        let stage = &self.plan.stages[number];
        let Some(text) = &stage.platform else { return Ok(self.options.platform.clone()) };
        text.parse().map_err(|error: InvalidPlatform| {
            let node = &stage.steps[0].node;
            self.plan.source.fault_at(node, text, &error.to_string(), None).into()
        })
    }

    /// One step of one stage.
    fn advance(&mut self, number: usize) -> Result<Went, BuildError> {
        let work = &self.work[number];
        let Some(step) = work.steps.get(work.at).cloned() else { return Ok(Went::Finished) };
        let name = self.name(number);
        let escape = self.plan.source.directives.escape;
        match &step.instruction {
            Instruction::From(_) => return self.from(number, &step, &name),
            Instruction::Arg(all) => {
                for (argument, default) in all {
                    let value = self.argument(number, argument, default.as_deref());
                    let value = value.map_err(|error| self.at(number, &step, error))?;
                    self.plan.consumed.push(argument.clone());
                    self.state(number).argument(argument, value);
                }
                self.listener.done(&name, &Done::Metadata);
            }
            Instruction::Workdir(_) => {
                let applied = self.state(number).apply(&step.instruction, escape);
                applied.map_err(|error| self.at(number, &step, error.into()))?;
                self.workdir(number, &step, &name)?;
            }
            Instruction::Copy(copy) => {
                if copy.from.as_ref().is_some_and(|from| self.waits_for(number, from)) {
                    return Ok(Went::Waits);
                }
                self.copy(number, &step, copy, &name)?;
            }
            Instruction::Run(run) => return self.run(number, &step, run, &name),
            other => {
                let applied = self.state(number).apply(other, escape);
                applied.map_err(|error| self.at(number, &step, error.into()))?;
                self.listener.done(&name, &Done::Metadata);
            }
        }
        self.work[number].at += 1;
        Ok(Went::On)
    }

    pub fn name(&self, number: usize) -> StepName {
        let work = &self.work[number];
        let needed = self.plan.needed().iter().filter(|needed| **needed).count();
        let text = work.steps.get(work.at).map(|step| self.plan.source.text(&step.node)).unwrap_or_default();
        StepName {
            stage: number,
            stage_name: self.plan.stages[number].name(),
            alone: needed == 1,
            number: work.at + 1,
            of: work.steps.len(),
            text,
        }
    }

    pub fn state(&mut self, number: usize) -> &mut State {
        self.work[number].state.get_or_insert_with(|| State::scratch(&self.options.platform))
    }

    /// What the cache calls the steps that made the layers of a stage.
    pub fn keys(&self, number: usize) -> Vec<Digest> {
        self.work[number].keys.iter().map(|(_, key)| *key).collect()
    }

    pub fn waits_for(&self, number: usize, from: &str) -> bool {
        self.plan.earlier(number, from).is_some_and(|stage| !self.work[stage].finished)
    }

    /// A step in a message.
    fn told(&self, number: usize, step: &Step) -> String {
        let name = self.name(number);
        let stage = if name.alone { String::new() } else { format!("{} ", name.stage_name) };
        let (file, line) = (&self.plan.source.name, step.node.first);
        format!("step {stage}{}/{} ({file}:{line}) `{}`", name.number, name.of, name.text)
    }

    /// An error with the place where its step stands.
    pub fn at(&self, number: usize, step: &Step, error: StepError) -> BuildError {
        if let StepError::Whole(whole) = error {
            return *whole;
        }
        BuildError::Step { step: self.told(number, step), source: Box::new(error) }
    }

    fn from(&mut self, number: usize, step: &Step, name: &StepName) -> Result<Went, BuildError> {
        let platform = self.platform(number)?;
        let stage = &self.plan.stages[number];
        let state = match stage.base.clone() {
            Base::Scratch | Base::Files(_) => State::scratch(&platform),
            Base::Stage(base) if !self.work[base].finished => return Ok(Went::Waits),
            Base::Stage(base) => {
                self.work[number].ran = self.work[base]
                    .ran
                    .as_ref()
                    .map(|_| format!("because stage {} was built again", self.plan.stages[base].name()));
                self.work[number].keys = self.work[base].keys.clone();
                self.work[base].state.as_ref().map_or_else(|| State::scratch(&platform), State::next_stage)
            }
            Base::Image(reference) => match self.bases.get(&(reference.clone(), platform.to_string())) {
                Some(image) => State::of_image(image),
                None => State::of_image(&self.find_image(&reference, &platform)?),
            },
        };
        self.work[number].state = Some(state);
        let triggers = self.state(number).take_triggers();
        if !triggers.is_empty() {
            let steps = self.insert(number, step, "ONBUILD", &triggers)?;
            self.listener.note(&format!("{steps} instructions that the base image left for its users"));
        }
        if let Base::Files(name) = &self.plan.stages[number].base {
            let copy = format!("COPY --from={name} / /");
            self.insert(number, step, "--build-context", &[copy])?;
        }
        self.listener.done(name, &Done::Metadata);
        self.work[number].at += 1;
        Ok(Went::On)
    }

    /// Instructions that nobody has written come after the current one; says how many.
    fn insert(&mut self, number: usize, after: &Step, origin: &str, texts: &[String]) -> Result<usize, BuildError> {
        let mut steps = Vec::new();
        for text in texts {
            let mut source = Source::parse(origin, text)?;
            for mut one in super::instruction::steps(&mut source)? {
                (one.node.first, one.node.last) = (after.node.first, after.node.last);
                steps.push(one);
            }
        }
        let (at, count) = (self.work[number].at + 1, steps.len());
        self.work[number].steps.splice(at..at, steps);
        Ok(count)
    }

    pub fn find_image(&mut self, reference: &str, platform: &Platform) -> Result<Image, BuildError> {
        let platform = Some(platform);
        if !self.options.pull
            && let Some(image) = registry::local(self.store, reference, platform)?
        {
            return Ok(image);
        }
        self.must_be_inside()?;
        let policy = if self.options.pull { Policy::Always } else { Policy::Missing };
        let (settings, progress) = (Settings::default(), self.options.transfers.as_ref());
        let _ends_at_once = LetThrough::new(&SIGNALS);
        let found = registry::ensure(self.store, reference, platform, policy, &settings, progress);
        found.map_err(|source| BuildError::NoBase { name: reference.to_owned(), source: Box::new(source) })
    }

    fn argument(&mut self, number: usize, name: &str, default: Option<&str>) -> Result<Option<String>, StepError> {
        if let Some(given) = self.options.build_args.get(name) {
            return Ok(Some(given.clone()));
        }
        let escape = self.plan.source.directives.escape;
        match default {
            Some(text) => Ok(Some(self.state(number).word(escape, text)?)),
            None => Ok(self.plan.globals.get(name).cloned()),
        }
    }

    /// The result of a step, if it was done before; noted in the stage.
    pub fn look_up(&mut self, number: usize, name: &StepName, inputs: &Inputs, row: &str) -> Result<bool, BuildError> {
        let key = inputs.key();
        self.cache.passed(&name.stage_name, key);
        if self.options.no_cache {
            return Ok(false);
        }
        // Another stage may have come to the same a moment ago.
        let pending = self.pending.values().find(|pending| pending.key == key).map(outcome);
        let found = match pending {
            Some(outcome) => Some(outcome),
            None => match self.cache.find(self.store, &key)? {
                None => self.carried(&key)?,
                found => found,
            },
        };
        let Some(outcome) = found else { return Ok(false) };
        if let Some(slow) = outcome.is {
            self.cache.renamed(&name.stage_name, slow);
        }
        let done = Done::Cached { size: outcome.size, entries: outcome.entries };
        self.state(number).note(row.to_owned(), Some((outcome.diff_id, outcome.created)));
        self.work[number].keys.push((outcome.diff_id, outcome.is.unwrap_or(key)));
        self.work[number].ran = None;
        self.listener.done(name, &done);
        Ok(true)
    }

    /// The result of one key is found under another too.
    pub fn alias(&mut self, quick: &Inputs, key: &Digest) -> Result<(), BuildError> {
        let pending = self.pending.values().find(|pending| pending.key == *key).map(outcome);
        let found = match pending {
            Some(found) => Some(found),
            None => self.cache.find(self.store, key)?,
        };
        match found {
            Some(found) => Ok(self.cache.record(&quick.key(), quick, &Outcome { is: Some(*key), ..found })?),
            None => Ok(()),
        }
    }

    /// Before a step is really done.
    pub fn begin(&mut self, number: usize, name: &StepName, inputs: &Inputs) -> Result<String, BuildError> {
        self.must_be_inside()?;
        let reason = if self.options.no_cache {
            "--no-cache".into()
        } else {
            let before = self.work[number].ran.clone();
            let base = match &self.plan.stages[number].base {
                Base::Image(name) => format!("base image {name} is another digest"),
                _ => "what it stands on is another".into(),
            };
            self.cache.reason(&name.stage_name, inputs, Some(before.as_deref().unwrap_or(&base)))
        };
        self.listener.begins(name);
        Ok(reason)
    }

    /// Room to work in; made when the first step needs it.
    pub fn room(&mut self) -> Result<&mut Room, BuildError> {
        if self.room.is_none() {
            claim::recover(self.store)?;
            cache::sweep(self.store)?;
            // Files that a RUN makes have the modes that they would have with Docker, whatever the caller's umask is.
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
            process::unshare(libc::CLONE_NEWNS, "CLONE_NEWNS")?;
            let private = rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC;
            rustix::mount::mount_change("/", private).on("mount", "/")?;
            // Layers go by short names, relative to here.
            std::env::set_current_dir(&self.store.root).on("chdir", &self.store.root)?;
            let layering = Layering::of(self.store);
            let scratch = self.store.scratch()?;
            hold(self.store, &scratch, self.bases.values())?;
            self.room = Some(Room {
                scratch,
                owners: Owners::here()?,
                layering,
                signals: process::signalfd(&SIGNALS)?,
                made: 0,
            });
        }
        match &mut self.room {
            Some(room) => Ok(room),
            None => Err(BuildError::NeedsNamespace),
        }
    }

    fn is_interrupted(&self) -> bool {
        self.room.as_ref().is_some_and(|room| process::read_signal(room.signals.as_fd()).is_some())
    }

    pub fn must_be_inside(&self) -> Result<(), BuildError> {
        if userns::is_inside() { Ok(()) } else { Err(BuildError::NeedsNamespace) }
    }

    /// A new directory with an empty `upper` and `work` in it, relative to the store; its root is as the stage's.
    pub fn directory(&mut self, number: usize) -> Result<PathBuf, BuildError> {
        let layers = self.state(number).layers.clone();
        let directory = self.directory_alone()?;
        create::like_lowest_root(self.store, &self.layer_directories(&layers), &directory.join("upper"));
        Ok(directory)
    }

    pub fn directory_alone(&mut self) -> Result<PathBuf, BuildError> {
        let root = self.store.root.clone();
        let room = self.room()?;
        room.made += 1;
        let path = room.scratch.path().join(room.made.to_string());
        for part in ["", "upper", "work", "rootfs"] {
            store_directory(&path.join(part))?;
        }
        Ok(path.strip_prefix(&root).map(Path::to_owned).unwrap_or(path))
    }

    /// Where a layer lies, relative to the store.
    pub fn layer_directory(&self, diff_id: &Digest) -> String {
        let path = match self.pending.get(diff_id) {
            Some(pending) => pending.ingested.entry.join("fs"),
            None => layer::relative(diff_id).join("fs"),
        };
        path.strip_prefix(&self.store.root).unwrap_or(&path).to_string_lossy().into_owned()
    }

    /// Bottom first, each once.
    pub fn layer_directories(&self, layers: &[Digest]) -> Vec<String> {
        let shown = layers.iter().enumerate().filter(|(i, layer)| !layers[i + 1..].contains(layer));
        shown.map(|(_, layer)| self.layer_directory(layer)).collect()
    }

    /// An upper directory becomes the stage's next layer.
    pub fn layer(&mut self, number: usize, made: Made) -> Result<(), BuildError> {
        let layers = self.state(number).layers.clone();
        let lowers: Vec<PathBuf> = if made.alone {
            Vec::new()
        } else {
            self.layer_directories(&layers).into_iter().map(PathBuf::from).collect()
        };
        let created = match self.options.epoch.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()) {
            Some(time) => time.to_string(),
            None => config::now(),
        };
        let options = freeze::Options {
            lowers: &lowers,
            leave_out: &made.leave_out,
            created: &created,
            latest: self.options.epoch,
        };
        let (rootfs, upper) = (made.directory.join("rootfs"), made.directory.join("upper"));
        if self.room()?.layering == Layering::Copy && !store::is_empty(&rootfs)? {
            // All that lies below was copied there, to be worked on.
            reduce(&rootfs, &lowers)?;
            store::remove_tree(&upper)?;
            std::fs::rename(&rootfs, &upper).on("rename", &rootfs)?;
        }
        let entry = self.store.path(&made.directory).join("layer");
        let ingested = freeze(&made.directory.join("upper"), entry, &options)?;
        let diff_id = ingested.info.diff_id;
        let done = Done::Ran {
            size: ingested.info.size,
            entries: ingested.info.entries,
            reason: made.reason,
            took: made.begun.elapsed(),
        };
        let key = made.inputs.key();
        let known = self.pending.contains_key(&diff_id) || layer::info(self.store, &diff_id)?.is_some();
        let pending = Pending { ingested, key, inputs: made.inputs };
        if known {
            // The same as one that is there: nothing but the entry is new.
            self.cache.record(&key, &pending.inputs, &outcome(&pending))?;
        } else {
            self.pending.insert(diff_id, pending);
        }
        let name = self.name(number);
        self.state(number).note(made.row, Some((diff_id, created)));
        self.work[number].keys.push((diff_id, key));
        self.work[number].ran = Some(format!("because step {} ran again", name.number));
        self.listener.done(&name, &done);
        // A step that took long is not to be lost with the next; a quick one is done again as quickly.
        if self.settled.elapsed() > Duration::from_secs(2) {
            self.settle()?;
        }
        Ok(())
    }

    fn workdir(&mut self, number: usize, step: &Step, name: &StepName) -> Result<(), BuildError> {
        let path = self.state(number).working_directory().to_owned();
        let row = format!("WORKDIR {path}");
        if path == "/" {
            self.state(number).note(row, None);
            self.listener.done(name, &Done::Metadata);
            return Ok(());
        }
        let inputs = self.inputs(number, row.clone());
        if self.look_up(number, name, &inputs, &row)? {
            return Ok(());
        }
        let reason = self.begin(number, name, &inputs)?;
        let begun = Instant::now();
        let directory = self.directory(number)?;
        copy::make_directory(self, number, &directory, &path).map_err(|error| self.at(number, step, error))?;
        self.layer(number, Made { directory, alone: false, leave_out: Vec::new(), inputs, row, reason, begun })
    }

    /// A layer that takes the place of the last `count` of a stage.
    pub fn replace(
        &mut self,
        number: usize,
        count: usize,
        ingested: Ingested,
        inputs: Inputs,
    ) -> Result<(), BuildError> {
        let (diff_id, created) = (ingested.info.diff_id, ingested.info.created.clone());
        let key = inputs.key();
        if layer::info(self.store, &diff_id)?.is_none() {
            self.pending.insert(diff_id, Pending { ingested, key, inputs });
        }
        self.work[number].keys.push((diff_id, key));
        self.state(number).squash(count, (diff_id, created));
        Ok(())
    }

    /// What every step's inputs begin with.
    pub fn inputs(&mut self, number: usize, what: String) -> Inputs {
        let parent = self.state(number).chain();
        let mut values = BTreeMap::new();
        if let Some(epoch) = self.options.epoch {
            values.insert("SOURCE_DATE_EPOCH".to_owned(), epoch.to_string());
        }
        Inputs { parent, what, values, files: Vec::new() }
    }

    fn run(
        &mut self,
        number: usize,
        step: &Step,
        run: &super::instruction::Run,
        name: &StepName,
    ) -> Result<Went, BuildError> {
        let prepared = run::prepare(self, number, run).map_err(|error| self.at(number, step, error))?;
        if prepared.mounts.iter().any(|mount| mount.from.as_ref().is_some_and(|from| self.waits_for(number, from))) {
            return Ok(Went::Waits);
        }
        let inputs = run::inputs(self, number, &prepared)?;
        if self.look_up(number, name, &inputs, &prepared.row)? {
            self.work[number].at += 1;
            return Ok(Went::On);
        }
        let reason = self.begin(number, name, &inputs)?;
        let begun = Instant::now();
        let directory = self.directory(number)?;
        let made =
            Made { directory, alone: false, leave_out: Vec::new(), inputs, row: prepared.row.clone(), reason, begun };
        let running = match run::start(self, number, &prepared, made) {
            // The first container of this store finds out.
            Err((StepError::Launch(LaunchError::Step { source, .. }), made)) if source.no_overlay => {
                let layering = Layering::instead(self.store)?;
                self.room()?.layering = layering;
                run::start(self, number, &prepared, *made)
            }
            other => other,
        };
        let running = running.map_err(|(error, _)| self.at(number, step, error))?;
        self.work[number].running = Some(running);
        Ok(Went::Runs)
    }

    /// Until something that runs has something to say.
    fn wait(&mut self) -> Result<(), BuildError> {
        let running: Vec<usize> = (0..self.work.len()).filter(|n| self.work[*n].running.is_some()).collect();
        let Some(room) = &self.room else { return Err(BuildError::NeedsNamespace) };
        let mut waiting: Vec<PollFd> = vec![PollFd::new(&room.signals, PollFlags::IN)];
        for number in &running {
            if let Some(running) = &self.work[*number].running {
                waiting.push(PollFd::from_borrowed_fd(running.end.as_fd(), PollFlags::IN));
            }
        }
        let limit = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
        match poll(&mut waiting, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(other) => return Err(other).on("poll", "")?,
        }
        let ready: Vec<bool> = waiting.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(waiting);
        self.listener.tick();
        if ready[0] {
            return Err(BuildError::Interrupted);
        }
        for (number, ready) in running.into_iter().zip(&ready[1..]) {
            if *ready {
                self.hear(number)?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, number: usize) -> Result<(), BuildError> {
        let name = self.name(number);
        let Some(running) = &mut self.work[number].running else { return Ok(()) };
        let message = running.end.receive()?.map(|(message, _)| message);
        match message {
            Some(Message::Output { bytes, .. }) => self.listener.output(&name, &bytes),
            Some(Message::Exited { code }) => {
                let step = self.work[number].steps[self.work[number].at].clone();
                let Some(running) = self.work[number].running.take() else { return Ok(()) };
                let made = running.made;
                if code != 0 {
                    self.listener.failed(&name);
                    return Err(BuildError::Failed { step: self.told(number, &step), code: code as u8, state: None });
                }
                self.layer(number, made)?;
                self.work[number].at += 1;
            }
            Some(_) => {}
            None => {
                let step = self.work[number].steps[self.work[number].at].clone();
                return Err(self.at(number, &step, StepError::Lost));
            }
        }
        Ok(())
    }

    /// Layers made so far come into the store, each held by its entry.
    fn settle(&mut self) -> Result<(), BuildError> {
        self.settled = Instant::now();
        let Some(room) = &self.room else { return Ok(()) };
        if self.pending.is_empty() {
            return Ok(());
        }
        for pending in self.pending.values() {
            self.cache.record(&pending.key, &pending.inputs, &outcome(pending))?;
            layer::prepare(&pending.ingested.entry, &pending.key)?;
        }
        image::sync(self.store)?;
        for (diff_id, pending) in self.pending.drain() {
            layer::publish(self.store, &room.scratch, &pending.ingested.entry, &diff_id, &pending.key)?;
            // Somebody has pruned meanwhile: nothing would ever let go of the layer.
            if !self.cache.has(&pending.key) {
                self.cache.record(&pending.key, &pending.inputs, &outcome(&pending))?;
            }
        }
        Ok(())
    }

    fn keep(&mut self) -> Result<(), BuildError> {
        self.settle()?;
        self.memo.save().or_else(|error| {
            // Its directory is made when there is something to put there.
            if error.errno != libc::ENOENT {
                return Err(error);
            }
            store_directory(&self.store.path(cache::DIRECTORY).join("memo"))?;
            self.memo.save()
        })?;
        Ok(self.cache.save()?)
    }

    /// The target's state as an image in the store.
    fn image(&mut self) -> Result<Built, BuildError> {
        let target = self.plan.target;
        let unused: Vec<&String> = self
            .options
            .build_args
            .keys()
            .filter(|name| !self.plan.consumed.contains(name) && !run::PROXIES.contains(&name.as_str()))
            .collect();
        for name in unused {
            let warning = super::parse::Warning {
                rule: "UnusedBuildArg",
                line: 0,
                message: format!("--build-arg {name} is used by no ARG"),
            };
            self.listener.warning(&warning);
        }
        let labels = self.options.labels.clone();
        self.state(target).label(&labels);
        if self.options.squash {
            squash::squash(self, target)?;
        }
        self.settle()?;
        if !self.options.cache_to.is_empty() {
            self.must_be_inside()?;
            self.carry()?;
        }
        for output in &self.options.outputs {
            finish::export(self, target, output)?;
        }
        let mut layers = Vec::new();
        for (diff_id, row) in self.state(target).own_layers() {
            let size = layer::known(self.store, &diff_id)?.size;
            layers.push(BuiltLayer { diff_id, size, row });
        }
        let exports_files = self.options.outputs.iter().any(|output| !output.is_image());
        if exports_files && self.options.names.is_empty() {
            return Ok(Built { image: None, layers });
        }
        let state = self.state(target).clone();
        let keys = self.work[target].keys.clone();
        let id = finish::store(self.store, &state, &keys, &self.options.names)?;
        for output in self.options.outputs.iter().filter(|output| output.is_image()) {
            finish::save(self.store, &id, &self.options.names, output)?;
        }
        Ok(Built { image: Some(id), layers })
    }

    /// The state before the step that failed.
    fn failed_state(&mut self) -> Result<Option<Digest>, BuildError> {
        let Some(number) =
            (0..self.work.len()).rev().find(|n| self.work[*n].state.is_some() && !self.work[*n].finished)
        else {
            return Ok(None);
        };
        let state = self.state(number).clone();
        Ok(Some(finish::store(self.store, &state, &[], &[])?))
    }
}

/// An upper directory that is to become a layer.
pub(super) struct Made {
    /// Its own, relative to the store.
    pub directory: PathBuf,
    /// It stands on nothing.
    pub alone: bool,
    pub leave_out: Vec<PathBuf>,
    pub inputs: Inputs,
    /// What the history says of it.
    pub row: String,
    pub reason: String,
    pub begun: Instant,
}

pub(super) fn outcome(pending: &Pending) -> Outcome {
    let info = &pending.ingested.info;
    Outcome { diff_id: info.diff_id, size: info.size, entries: info.entries, created: info.created.clone(), is: None }
}

/// Keeps images from being removed as long as this build goes on, or until what it left is swept.
fn hold<'a>(store: &Store, scratch: &Scratch, images: impl Iterator<Item = &'a Image>) -> Result<(), BuildError> {
    let images: Vec<&Image> = images.collect();
    let id = store::random_hex(32);
    let holds = images.iter().map(|base| Belonging::Tree(image::hold_path(&base.id, &id)));
    store::note_belongings(scratch.path(), "belongings.json", &holds.collect::<Vec<_>>())?;
    Ok(images.iter().try_for_each(|base| image::hold(store, base, &id))?)
}

/// For all to enter, whatever the umask is.
fn store_directory(path: &Path) -> Result<(), crate::sys::SysError> {
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path).on("mkdir", path)
}
