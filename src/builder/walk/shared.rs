//! What all stages of a build share: the options, the store, the cache, the workspace and the listener.

use super::cache;
use super::cache::Cache;
use super::carried::Source;
use super::pending::Pending;
use super::room::{Room, SIGNALS};
use super::stage::Stage;
use crate::builder::attest::provenance::Record;
use crate::builder::error::{BuildError, StepError};
use crate::builder::files::memo::Memo;
use crate::builder::listener::{Listener, StepName};
use crate::builder::options::Options;
use crate::builder::read::instruction::Step;
use crate::builder::read::stage::{Plan, StageId};
use crate::image::Image;
use crate::image::name::digest::Digest;
use crate::image::name::platform::{InvalidPlatform, Platform};
use crate::image::name::reference::Reference;
use crate::registry;
use crate::registry::Policy;
use crate::store::Store;
use crate::sys::process::LetThrough;
use crate::userns;
use rustix::fs::Timespec;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Base images, by name and platform.
pub(crate) type Bases = HashMap<(String, String), Image>;

/// The position of one platform among those of the build.
pub(crate) struct Part {
    pub is_first: bool,
    pub is_last: bool,
    /// The cache keys of the platforms before this one.
    pub keys: Vec<Digest>,
}

/// What all stages of a build share.
pub(crate) struct Shared<'a> {
    pub store: &'a Store,
    pub options: &'a Options,
    pub part: Part,
    pub plan: Plan,
    pub listener: &'a mut dyn Listener,
    /// The digests of the context's files.
    pub memo: Memo,
    pub cache: Cache,
    /// What the provenance will tell.
    pub record: Record,
    pub bases: Bases,
    /// The layers of the stages that are finished.
    pub finished: HashMap<StageId, Vec<Digest>>,
    /// Whether the target needs one stage only.
    pub is_alone: bool,
    pub room: Option<Room>,
    pub pending: HashMap<Digest, Pending>,
    /// The places of `--cache-from`.
    pub sources: Vec<Source>,
    /// Whether the listener knows which limits this host cannot enforce.
    pub has_told_limits: bool,
    /// When layers were last brought into the store.
    pub settled: Instant,
}

/// The length of the ids that listings show.
const SHORT_ID: usize = 12;

impl<'a> Shared<'a> {
    pub(crate) fn new(
        store: &'a Store,
        options: &'a Options,
        plan: Plan,
        bases: Bases,
        part: Part,
        listener: &'a mut dyn Listener,
    ) -> Self {
        let memo = store.path(cache::DIRECTORY).join("memo");
        let memo = match &options.context {
            Some(path) => Memo::load(&memo.join(Digest::of(path.as_os_str().as_encoded_bytes()).hex())),
            None => Memo::default(),
        };
        // The last build for one platform does not explain why another platform misses the cache.
        let project = match options.platforms.len() {
            1 => options.project,
            _ => Digest::of(format!("{} {}", options.project, options.platform).as_bytes()),
        };
        Self {
            store,
            cache: Cache::of(store, &project),
            record: Record::of(options),
            bases,
            finished: HashMap::new(),
            is_alone: false,
            options,
            part,
            plan,
            listener,
            memo,
            room: None,
            pending: HashMap::new(),
            has_told_limits: false,
            sources: options.cache_from.iter().cloned().map(Source::Unopened).collect(),
            settled: Instant::now(),
        }
    }
}

impl Shared<'_> {
    /// Fails unless this process has the ids that the files of layers belong to.
    pub(crate) fn must_be_inside(&self) -> Result<(), BuildError> {
        if userns::has_ids(self.store) { Ok(()) } else { Err(BuildError::NeedsNamespace) }
    }

    /// Returns the workspace, made for the first step that needs it.
    pub(crate) fn room(&mut self) -> Result<&mut Room, BuildError> {
        if self.room.is_none() {
            self.must_be_inside()?;
            self.room = Some(Room::new(self.store, self.bases.values())?);
        }
        match &mut self.room {
            Some(room) => Ok(room),
            None => Err(BuildError::NeedsNamespace),
        }
    }

    /// Makes a directory with empty `upper`, `work` and `rootfs` in it, and returns its path below the store.
    pub(crate) fn new_directory(&mut self) -> Result<PathBuf, BuildError> {
        let path = self.room()?.new_directory()?;
        Ok(path.strip_prefix(&self.store.root).map(Path::to_owned).unwrap_or(path))
    }

    /// Returns the platform that a stage is built for.
    pub(crate) fn platform(&self, id: StageId) -> Result<Platform, BuildError> {
        let stage = self.plan.stage(id);
        let Some(text) = &stage.platform else { return Ok(self.options.platform.clone()) };
        text.parse().map_err(|error: InvalidPlatform| {
            let node = &stage.steps[0].node;
            self.plan.source.fault_at(node, text, &error.to_string(), None).into()
        })
    }

    /// Returns the name of a stage's current step.
    pub(crate) fn name(&self, stage: &Stage) -> StepName {
        StepName {
            stage: stage.id,
            stage_name: self.plan.stage(stage.id).name(),
            platform: (self.options.platforms.len() > 1).then(|| self.options.platform.clone()),
            alone: self.is_alone,
            number: stage.at + 1,
            of: stage.steps.len(),
            text: stage.step().map(|step| self.plan.source.text(&step.node)).unwrap_or_default(),
        }
    }

    /// Describes a step of the stage for a message.
    pub(crate) fn describe(&self, stage: &Stage, step: &Step) -> String {
        let name = self.name(stage);
        let (file, line) = (&self.plan.source.name, step.node.first);
        format!("step {}{}/{} ({file}:{line}) `{}`", name.prefix(), name.number, name.of, name.text)
    }

    /// Adds the step to an error of it.
    pub(crate) fn at(&self, stage: &Stage, step: &Step, error: StepError) -> BuildError {
        if let StepError::Build(whole) = error {
            return *whole;
        }
        BuildError::Step { step: self.describe(stage, step), source: Box::new(error) }
    }

    /// Whether a name belongs to a stage that is not finished.
    pub(crate) fn waits_for(&self, id: StageId, from: &str) -> bool {
        self.plan.stage_named(id, from).is_some_and(|stage| !self.finished.contains_key(&stage))
    }

    /// Returns the image of a reference, pulled if the store does not have it.
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
        let image = registry::ensure(self.store, &wanted, Some(platform), policy, settings, progress);
        let image =
            image.map_err(|source| BuildError::NoBase { name: reference.to_owned(), source: Box::new(source) })?;
        drop(ends_at_once);
        self.note_image(&wanted, platform, &image)?;
        Ok(image)
    }

    /// Notes for the provenance that the build uses an image.
    pub(crate) fn note_image(&mut self, name: &str, platform: &Platform, image: &Image) -> Result<(), BuildError> {
        if self.options.attestations.provenance.is_some() {
            self.record.image(self.store, name, platform, image)?;
        }
        Ok(())
    }

    /// Notes for the provenance that the build uses a context: its own, or one that the command line names.
    pub(crate) fn note_context(&mut self, name: Option<&str>) {
        let origin = match name {
            None => self.options.origin.clone(),
            Some(name) => match self.plan.named.files(name) {
                Some(files) => files.origin.clone(),
                None => return,
            },
        };
        match origin {
            Some(origin) => self.record.material(origin),
            None => self.record.local(name.unwrap_or("context")),
        }
    }

    /// Returns the time of files that this build makes.
    pub(crate) fn now(&self) -> Timespec {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() as i64;
        Timespec { tv_sec: self.options.epoch.unwrap_or(now), tv_nsec: 0 }
    }
}

/// Returns a reference that cannot be the beginning of an id: in a Dockerfile a few hexadecimal digits are a name.
pub(crate) fn unambiguous(reference: &str) -> String {
    let is_short = reference.len() < SHORT_ID && reference.bytes().all(|b| b.is_ascii_hexdigit());
    match reference.parse::<Reference>() {
        Ok(name) if is_short => name.or_latest().to_string(),
        _ => reference.to_owned(),
    }
}
