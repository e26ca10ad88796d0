//! Walks the stages: one loop, no threads. RUNs of stages that do not wait for each other go on at the same time.

use super::cache;
use super::cache::Cache;
use super::carried;
use super::carried::Source as Carried;
use super::finish::Stored;
use super::layers::{Made, Pending, Room, store_directory};
use super::run;
use super::run::Running;
use super::state::State;
use super::{finish, squash};
use crate::builder::attest::provenance::Record;
use crate::builder::files::copy;
use crate::builder::files::memo::Memo;
use crate::builder::read::annotation;
use crate::builder::read::annotation::Place;
use crate::builder::read::check;
use crate::builder::read::instruction::{Instruction, Step};
use crate::builder::read::mount::Mount;
use crate::builder::read::parse::Source;
use crate::builder::read::stage::{Base, Plan};
use crate::builder::{BuildError, Built, BuiltLayer, Done, Listener, Options, Output, OutputKind, StepError, StepName};
use crate::container::live::launch::LaunchError;
use crate::container::live::protocol::Message;
use crate::container::stored::layering::Layering;
use crate::image::Image;
use crate::image::name::digest::Digest;
use crate::image::name::platform;
use crate::image::name::platform::{InvalidPlatform, Platform};
use crate::image::name::reference::Reference;
use crate::image::stored::layer;
use crate::registry;
use crate::registry::Policy;
use crate::store::Store;
use crate::sys::process::LetThrough;
use crate::sys::{On, process};
use crate::userns;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::Map;
use std::collections::{BTreeSet, HashMap};
use std::os::fd::AsFd;
use std::time::Instant;

/// A stage being built.
pub(crate) struct Work {
    pub state: Option<State>,
    pub steps: Vec<Step>,
    pub at: usize,
    /// How many layers there were after each step.
    pub depths: Vec<usize>,
    running: Option<Running>,
    /// What the step before says to those that come after, if it was not cached.
    pub ran: Option<String>,
    /// That was said.
    waits_for_cache: bool,
    /// The steps that made layers: what the cache calls them.
    pub keys: Vec<(Digest, Digest)>,
    finished: bool,
}

pub(crate) struct Builder<'a> {
    pub store: &'a Store,
    pub options: &'a Options,
    pub part: Part,
    pub plan: Plan,
    pub listener: &'a mut dyn Listener,
    pub memo: Memo,
    pub cache: Cache,
    pub record: Record,
    /// Of the stages.
    pub bases: Bases,
    pub work: Vec<Work>,
    /// The stages that the target needs.
    pub needed: Vec<bool>,
    /// Only one is.
    is_alone: bool,
    /// What the states of all stages so far come to, in bytes of text.
    remembered: usize,
    pub room: Option<Room>,
    pub pending: HashMap<Digest, Pending>,
    /// Where what other machines have done is looked for.
    pub sources: Vec<Carried>,
    /// It was told what limits this host does not give.
    pub limits_told: bool,
    /// When layers were last made to last.
    pub settled: Instant,
}

/// What interrupts a build. What is done by then is kept; but while something is on its way from or to another host, they end
/// it at once.
pub(crate) const SIGNALS: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// As many digits of an id as listings show.
const SHORT_ID: usize = 12;

/// What the states of all stages may come to: each is a copy of the one that it goes on from.
const MOST_REMEMBERED: usize = 256 << 20;

/// How far a stage came.
enum Went {
    On,
    /// It waits for another stage, or for something another build holds.
    Waits,
    Runs,
    Finished,
}

/// Base images, by name and platform.
pub(crate) type Bases = HashMap<(String, String), Image>;

/// Which of the platforms of a build this one is.
pub(crate) struct Part {
    pub is_first: bool,
    pub is_last: bool,
    /// What the cache calls the steps of those before.
    pub keys: Vec<Digest>,
}

/// Reads what is to be built for one platform, and finds the base images. Nothing is done yet.
pub(crate) fn rehearse(store: &Store, options: &Options, listener: &mut dyn Listener) -> Result<Bases, BuildError> {
    let part = Part { is_first: false, is_last: false, keys: Vec::new() };
    let mut builder = Builder::new(store, options, HashMap::new(), part, listener)?;
    builder.rehearse()?;
    builder.refuse_foreign()?;
    Ok(builder.bases)
}

/// Builds the image for one platform, or finds that it is there already; and says what the cache calls its steps.
pub(crate) fn build(
    store: &Store,
    options: &Options,
    bases: Bases,
    part: Part,
    listener: &mut dyn Listener,
) -> Result<(Built, Option<Stored>, Vec<Digest>), BuildError> {
    let mut builder = Builder::new(store, options, bases, part, listener)?;
    let result = builder.walk().and_then(|()| builder.image());
    // What was done is there for the next build, whatever became of this one.
    let kept = builder.keep();
    let (built, image) = match result {
        Err(BuildError::Failed { step, code, lacked_memory, .. }) if builder.options.keep_failed => {
            return Err(BuildError::Failed { step, code, lacked_memory, state: builder.failed_state()? });
        }
        other => other?,
    };
    kept?;
    Ok((built, image, builder.part.keys))
}

impl<'a> Builder<'a> {
    fn new(
        store: &'a Store,
        options: &'a Options,
        bases: Bases,
        part: Part,
        listener: &'a mut dyn Listener,
    ) -> Result<Self, BuildError> {
        let (source, named) = (options.source.clone(), options.named.clone());
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
            depths: Vec::new(),
            running: None,
            ran: None,
            waits_for_cache: false,
            keys: Vec::new(),
            finished: false,
        });
        // What one platform comes to says nothing of another.
        let project = match options.platforms.len() {
            1 => options.project,
            _ => Digest::of(format!("{} {}", options.project, options.platform).as_bytes()),
        };
        Ok(Self {
            store,
            cache: Cache::of(store, &project),
            record: Record::of(options),
            bases,
            work: work.collect(),
            needed: vec![false; plan.stages.len()],
            is_alone: false,
            remembered: 0,
            options,
            part,
            plan,
            listener,
            memo,
            room: None,
            pending: HashMap::new(),
            limits_told: false,
            sources: options.cache_from.iter().cloned().map(Carried::Unopened).collect(),
            settled: Instant::now(),
        })
    }
}

impl Builder<'_> {
    fn walk(&mut self) -> Result<(), BuildError> {
        self.rehearse()?;
        let needed = self.needed.clone();
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

    /// Finds the base images, and the stages that are needed for the target; reads every instruction with its variables, so
    /// that a mistake is told before the first step runs.
    fn rehearse(&mut self) -> Result<(), BuildError> {
        let mut open = BTreeSet::from([self.plan.target]);
        // What a stage stands on comes before it in the file, so its state is there.
        while let Some(number) = open.pop_first() {
            if let Base::Stage(base) = self.plan.stages[number].base
                && !self.needed[base]
            {
                open.extend([base, number]);
                continue;
            }
            if std::mem::replace(&mut self.needed[number], true) {
                continue;
            }
            if let Base::Image(name) = self.plan.stages[number].base.clone() {
                let platform = self.platform(number)?;
                let key = (name, platform.to_string());
                match self.bases.get(&key).cloned() {
                    Some(image) => self.note_image(&unambiguous(&key.0), &platform, &image)?,
                    None => {
                        let image = self.find_image(&key.0, &platform)?;
                        self.bases.insert(key, image);
                    }
                }
            }
            self.is_alone = open.is_empty() && self.needed.iter().filter(|needed| **needed).count() == 1;
            let Some(from) = self.work[number].steps.first().cloned() else { continue };
            let state = self.first_state(number)?;
            if self.remembered > MOST_REMEMBERED {
                return Err(self.at(number, &from, StepError::TooLong));
            }
            self.work[number].state = Some(state);
            self.add_triggers(number, &from)?;
            for at in 1..self.work[number].steps.len() {
                self.work[number].at = at;
                let step = self.work[number].steps[at].clone();
                self.rehearse_step(number, &step)?;
                open.extend(self.needs(number, &step).into_iter().filter(|other| !self.needed[*other]));
            }
        }
        for work in &mut self.work {
            (work.at, work.state) = (0, None);
        }
        self.remembered = 0;
        self.find_circle()
    }

    fn rehearse_step(&mut self, number: usize, step: &Step) -> Result<(), BuildError> {
        match &step.instruction {
            Instruction::From(_) => {}
            Instruction::Arg(all) => self.arguments(number, step, all)?,
            Instruction::Copy(copy) => self.read_copy(number, step, copy).map_err(|e| self.at(number, step, e))?,
            Instruction::Run(run) => {
                let prepared = run::prepare(self, number, run).map_err(|error| self.at(number, step, error))?;
                self.state(number).note(prepared.row, None);
            }
            other => self.setting(number, step, other)?,
        }
        if self.state(number).is_too_long() { Err(self.at(number, step, StepError::TooLong)) } else { Ok(()) }
    }

    /// The stages that the target needs, in order.
    pub(crate) fn needed(&self) -> impl Iterator<Item = usize> {
        self.needed.iter().enumerate().filter(|(_, needed)| **needed).map(|(number, _)| number)
    }

    /// The current step of a stage is done.
    fn step_done(&mut self, number: usize) {
        let depth = self.state(number).layers.len();
        let work = &mut self.work[number];
        work.depths.push(depth);
        work.at += 1;
    }

    /// The stages that a step takes from.
    pub(crate) fn needs(&self, number: usize, step: &Step) -> Vec<usize> {
        let froms = crate::builder::read::stage::froms(&step.instruction);
        froms.iter().filter_map(|from| self.plan.stage_named(number, from)).collect()
    }

    /// Stages that wait for each other would wait for ever.
    fn find_circle(&self) -> Result<(), BuildError> {
        #[derive(Clone, Copy, PartialEq)]
        enum Seen {
            Not,
            Above,
            Whole,
        }
        let mut seen = vec![Seen::Not; self.work.len()];
        let mut path = vec![self.plan.target];
        while let Some(number) = path.last().copied() {
            if seen[number] == Seen::Whole {
                path.pop();
                continue;
            }
            let is_left = std::mem::replace(&mut seen[number], Seen::Above) == Seen::Above;
            if is_left {
                seen[number] = Seen::Whole;
                path.pop();
                continue;
            }
            for step in &self.work[number].steps {
                for other in self.needs(number, step) {
                    if other == number {
                        return Err(self.at(number, step, StepError::Itself));
                    }
                    if seen[other] == Seen::Above {
                        return Err(self.at(number, step, StepError::Circle(self.plan.stages[other].name())));
                    }
                    path.push(other);
                }
            }
            if let Base::Stage(base) = self.plan.stages[number].base {
                if seen[base] == Seen::Above {
                    let (stage, step) = (self.plan.stages[base].name(), &self.work[number].steps[0]);
                    return Err(self.at(number, step, StepError::Circle(stage)));
                }
                path.push(base);
            }
        }
        Ok(())
    }

    /// What could be better in the Dockerfile, which is told once.
    fn warn(&mut self) -> Result<(), BuildError> {
        if !self.part.is_first {
            return Ok(());
        }
        let bases = &self.bases;
        let known = |name: &str| {
            let image = bases.iter().find(|((base, _), _)| base == name)?.1;
            let variables = State::of_image(image).env().map(|(name, _)| name.to_owned()).collect();
            Some(check::Known { variables, platform: platform::of_config(image.config()) })
        };
        let mut warnings = check::check(&self.plan, &self.options.ignore, &known);
        warnings.append(&mut self.plan.source.warnings);
        let (warnings, fails) = check::selected(&self.plan.source, warnings);
        warnings.iter().for_each(|warning| self.listener.warning(warning));
        if fails && !warnings.is_empty() { Err(BuildError::Warnings(warnings.len())) } else { Ok(()) }
    }

    /// That a stage is built for.
    pub(crate) fn platform(&self, number: usize) -> Result<Platform, BuildError> {
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
        match &step.instruction {
            Instruction::From(_) => return self.from(number, &name),
            Instruction::Arg(all) => {
                self.arguments(number, &step, all)?;
                self.listener.done(&name, &Done::Metadata);
            }
            Instruction::Workdir(_) => {
                self.setting(number, &step, &step.instruction)?;
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
                self.setting(number, &step, other)?;
                self.listener.done(&name, &Done::Metadata);
            }
        }
        self.step_done(number);
        Ok(Went::On)
    }

    fn arguments(&mut self, number: usize, step: &Step, all: &[(String, Option<String>)]) -> Result<(), BuildError> {
        for (argument, default) in all {
            let value = self.argument(number, argument, default.as_deref());
            let value = value.map_err(|error| self.at(number, step, error))?;
            self.plan.consumed.insert(argument.clone());
            self.state(number).argument(argument, value);
        }
        Ok(())
    }

    fn setting(&mut self, number: usize, step: &Step, instruction: &Instruction) -> Result<(), BuildError> {
        let escape = self.plan.source.directives.escape;
        let applied = self.state(number).apply(instruction, escape);
        applied.map(drop).map_err(|error| self.at(number, step, error.into()))
    }

    pub(crate) fn name(&self, number: usize) -> StepName {
        let work = &self.work[number];
        let text = work.steps.get(work.at).map(|step| self.plan.source.text(&step.node)).unwrap_or_default();
        StepName {
            stage: number,
            stage_name: self.plan.stages[number].name(),
            platform: (self.options.platforms.len() > 1).then(|| self.options.platform.clone()),
            alone: self.is_alone,
            number: work.at + 1,
            of: work.steps.len(),
            text,
        }
    }

    pub(crate) fn state(&mut self, number: usize) -> &mut State {
        self.work[number].state.get_or_insert_with(|| State::scratch(&self.options.platform))
    }

    /// What the cache calls the steps that made the layers of a stage.
    pub(crate) fn keys(&self, number: usize) -> Vec<Digest> {
        self.work[number].keys.iter().map(|(_, key)| *key).collect()
    }

    pub(crate) fn waits_for(&self, number: usize, from: &str) -> bool {
        self.plan.stage_named(number, from).is_some_and(|stage| !self.work[stage].finished)
    }

    /// A step in a message.
    fn told(&self, number: usize, step: &Step) -> String {
        let name = self.name(number);
        let (file, line) = (&self.plan.source.name, step.node.first);
        format!("step {}{}/{} ({file}:{line}) `{}`", name.prefix(), name.number, name.of, name.text)
    }

    /// An error with the place where its step stands.
    pub(crate) fn at(&self, number: usize, step: &Step, error: StepError) -> BuildError {
        if let StepError::Whole(whole) = error {
            return *whole;
        }
        BuildError::Step { step: self.told(number, step), source: Box::new(error) }
    }

    fn from(&mut self, number: usize, name: &StepName) -> Result<Went, BuildError> {
        if let Base::Stage(base) = self.plan.stages[number].base {
            if !self.work[base].finished {
                return Ok(Went::Waits);
            }
            self.work[number].ran = self.work[base]
                .ran
                .as_ref()
                .map(|_| format!("because stage {} was built again", self.plan.stages[base].name()));
            self.work[number].keys = self.work[base].keys.clone();
        }
        let mut state = self.first_state(number)?;
        let triggers = state.take_triggers().len();
        if triggers > 0 {
            self.listener.note(&format!("{triggers} instructions that the base image left for its users"));
        }
        self.work[number].state = Some(state);
        self.listener.done(name, &Done::Metadata);
        self.step_done(number);
        Ok(Went::On)
    }

    /// What a stage begins with.
    fn first_state(&mut self, number: usize) -> Result<State, BuildError> {
        let platform = self.platform(number)?;
        let state = match self.plan.stages[number].base.clone() {
            Base::Scratch | Base::Files(_) => State::scratch(&platform),
            Base::Stage(base) => {
                self.work[base].state.as_ref().map_or_else(|| State::scratch(&platform), State::next_stage)
            }
            Base::Image(reference) => match self.bases.get(&(reference.clone(), platform.to_string())) {
                Some(image) => State::of_image(image),
                None => State::of_image(&self.find_image(&reference, &platform)?),
            },
        };
        self.remembered += state.size();
        Ok(state)
    }

    /// What the base leaves for its users to do comes first in a stage.
    fn add_triggers(&mut self, number: usize, from: &Step) -> Result<(), BuildError> {
        let triggers = self.state(number).take_triggers();
        self.work[number].at = 0;
        self.insert(number, from, "ONBUILD", &triggers)?;
        if let Base::Files(name) = &self.plan.stages[number].base {
            let copy = format!("COPY --from={name} / /");
            self.insert(number, from, "--build-context", &[copy])?;
        }
        Ok(())
    }

    /// Instructions that nobody has written here come after the current one.
    fn insert(&mut self, number: usize, after: &Step, origin: &str, texts: &[String]) -> Result<(), BuildError> {
        let mut steps = Vec::new();
        for text in texts {
            let mut source = Source::parse(origin, text)?;
            for mut one in crate::builder::read::instruction::steps(&mut source)? {
                (one.node.first, one.node.last) = (after.node.first, after.node.last);
                steps.push(one);
            }
        }
        let at = self.work[number].at + 1;
        self.work[number].steps.splice(at..at, steps);
        Ok(())
    }

    pub(crate) fn find_image(&mut self, reference: &str, platform: &Platform) -> Result<Image, BuildError> {
        let wanted = unambiguous(reference);
        if !self.options.pull
            && let Some(image) = registry::local(self.store, &wanted, Some(platform))?
        {
            self.note_image(&wanted, platform, &image)?;
            return Ok(image);
        }
        self.must_be_inside()?;
        let policy = if self.options.pull { Policy::Always } else { Policy::Missing };
        let (settings, progress) = (&self.options.registries, self.options.transfers.as_ref());
        let ends_at_once = LetThrough::new(&SIGNALS);
        let found = registry::ensure(self.store, &wanted, Some(platform), policy, settings, progress);
        let image =
            found.map_err(|source| BuildError::NoBase { name: reference.to_owned(), source: Box::new(source) })?;
        drop(ends_at_once);
        self.note_image(&wanted, platform, &image)?;
        Ok(image)
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

    fn is_interrupted(&self) -> bool {
        self.room.as_ref().is_some_and(|room| process::read_signal(room.signals.as_fd()).is_some())
    }

    pub(crate) fn must_be_inside(&self) -> Result<(), BuildError> {
        if userns::has_ids(self.store) { Ok(()) } else { Err(BuildError::NeedsNamespace) }
    }

    fn workdir(&mut self, number: usize, step: &Step, name: &StepName) -> Result<(), BuildError> {
        let path = self.state(number).working_directory().to_owned();
        let row = format!("WORKDIR {path}");
        if path == "/" {
            self.state(number).note(row, None);
            self.listener.done(name, &Done::Metadata);
            return Ok(());
        }
        let mut inputs = self.inputs(number, row.clone());
        let user = self.state(number).user().to_owned();
        if !user.is_empty() {
            inputs.values.insert("USER".into(), user);
        }
        if self.look_up(number, name, &inputs, &row)? {
            return Ok(());
        }
        let reason = self.begin(number, name, &inputs)?;
        let begun = Instant::now();
        let directory = self.directory(number)?;
        copy::make_directory(self, number, &directory, &path).map_err(|error| self.at(number, step, error))?;
        self.layer(number, Made { directory, alone: false, leave_out: Vec::new(), inputs, row, reason, begun })
    }

    fn run(
        &mut self,
        number: usize,
        step: &Step,
        run: &crate::builder::read::instruction::Run,
        name: &StepName,
    ) -> Result<Went, BuildError> {
        let prepared = run::prepare(self, number, run).map_err(|error| self.at(number, step, error))?;
        if prepared.mounts.iter().any(|mount| mount.from.as_ref().is_some_and(|from| self.waits_for(number, from))) {
            return Ok(Went::Waits);
        }
        self.record.run(prepared.network, prepared.mounts.iter().filter_map(Mount::asks));
        let inputs = run::inputs(self, number, &prepared)?;
        if self.look_up(number, name, &inputs, &prepared.row)? {
            self.step_done(number);
            return Ok(Went::On);
        }
        self.room()?;
        let locks = run::lock(self, number, &prepared).map_err(|error| self.at(number, step, error))?;
        let Some(mut locks) = locks else {
            self.cache.forget_last(&name.stage_name);
            if !std::mem::replace(&mut self.work[number].waits_for_cache, true) {
                self.listener.note(&format!("{} waits for a cache that another RUN uses", self.told(number, step)));
            }
            return Ok(Went::Waits);
        };
        let reason = self.begin(number, name, &inputs)?;
        let begun = Instant::now();
        let directory = self.directory(number)?;
        let made =
            Made { directory, alone: false, leave_out: Vec::new(), inputs, row: prepared.row.clone(), reason, begun };
        let running = match run::start(self, number, &prepared, made, &mut locks) {
            // The first container of this store finds out.
            Err((StepError::Launch(LaunchError::Step { source, what }), made)) if source.no_overlay => {
                match Layering::instead(self.store)? {
                    Some(layering) => {
                        self.room()?.layering = layering;
                        run::start(self, number, &prepared, *made, &mut locks)
                    }
                    None => Err((StepError::Launch(LaunchError::Step { source, what }), made)),
                }
            }
            other => other,
        };
        let running = match running {
            Err((StepError::Launch(LaunchError::Step { source, .. }), _))
                if source.no_program
                    && let Some(platform) = self.foreign(number)? =>
            {
                return Err(self.at(number, step, StepError::Foreign(platform)));
            }
            other => other.map_err(|(error, _)| self.at(number, step, error))?,
        };
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
                let lacked_memory = running.lacked_memory();
                let made = running.made;
                if code != 0 {
                    self.listener.failed(&name);
                    let (step, code) = (self.told(number, &step), code as u8);
                    return Err(BuildError::Failed { step, code, lacked_memory, state: None });
                }
                self.layer(number, made)?;
                self.step_done(number);
            }
            Some(_) => {}
            None => {
                let step = self.work[number].steps[self.work[number].at].clone();
                return Err(self.at(number, &step, StepError::Lost));
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
        self.cache.save()?;
        if let Some(lock) = self.room.as_mut().and_then(|room| room.lock.take()) {
            self.cache.give_back(self.store, lock)?;
        }
        Ok(())
    }

    /// The target's state as an image in the store.
    fn image(&mut self) -> Result<(Built, Option<Stored>), BuildError> {
        let target = self.plan.target;
        let unused: Vec<&String> = self
            .options
            .build_args
            .keys()
            .filter(|name| !self.plan.consumed.contains(*name) && !run::PROXIES.contains(&name.as_str()))
            .filter(|_| self.part.is_first)
            .collect();
        for name in unused {
            let warning = crate::builder::read::parse::Warning {
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
        let attestations = self.attest(target)?;
        let options = self.options;
        for output in &options.outputs {
            finish::export(self, target, output, &attestations)?;
        }
        let mut layers = Vec::new();
        for (diff_id, row) in self.state(target).own_layers() {
            let size = layer::known(self.store, &diff_id)?.size;
            layers.push(BuiltLayer { diff_id, size, row });
        }
        let outputs = &self.options.outputs;
        let is_elsewhere = outputs.iter().any(Output::needs_no_image) && self.options.names.is_empty();
        let attestations = attestations.into_iter().map(|one| (self.options.platform.clone(), one)).collect();
        let built = Built { image: None, layers, attestations, from_context: self.memo.used() };
        if is_elsewhere || outputs.iter().any(|output| output.kind == OutputKind::Nothing) {
            return Ok((built, None));
        }
        let mut state = self.state(target).clone();
        if self.options.cache_inline {
            state.attach(carried::INLINE, self.inline_cache()?);
        }
        let keys = self.work[target].keys.clone();
        let annotations = annotation::of(&self.options.annotations, Place::Manifest, &self.options.platform);
        // An index has the names of its images.
        let names = if self.options.makes_index() { &[][..] } else { &self.options.names };
        let stored = finish::store(self.store, &state, &keys, names, annotations)?;
        Ok((built, Some(stored)))
    }

    /// The state before the step that failed.
    fn failed_state(&mut self) -> Result<Option<Digest>, BuildError> {
        let Some(number) =
            (0..self.work.len()).rev().find(|n| self.work[*n].state.is_some() && !self.work[*n].finished)
        else {
            return Ok(None);
        };
        let state = self.state(number).clone();
        Ok(Some(finish::store(self.store, &state, &[], &[], Map::new())?.image))
    }
}

/// A few hexadecimal digits in a Dockerfile are a name, not the beginning of whatever id begins so.
fn unambiguous(reference: &str) -> String {
    let is_short = reference.len() < SHORT_ID && reference.bytes().all(|b| b.is_ascii_hexdigit());
    match reference.parse::<Reference>() {
        Ok(name) if is_short => name.or_latest().to_string(),
        _ => reference.to_owned(),
    }
}
