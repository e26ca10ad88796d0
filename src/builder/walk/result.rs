//! The result of a build for one platform: squashed, attested, exported, and stored as an image.

use super::cache;
use super::engine::Builder;
use super::finish;
use super::finish::Stored;
use super::room::store_directory;
use super::run;
use super::squash;
use crate::builder::error::BuildError;
use crate::builder::listener::{Built, BuiltLayer};
use crate::builder::options::{Output, OutputKind};
use crate::builder::read::annotation;
use crate::builder::read::annotation::Place;
use crate::builder::read::parse::Warning;
use crate::builder::read::state::INLINE_CACHE;
use crate::image::name::digest::Digest;
use crate::image::stored::layer;
use serde_json::Map;

impl Builder<'_> {
    /// Saves what later builds can use, however this one ended.
    pub(crate) fn keep(&mut self) -> Result<(), BuildError> {
        let shared = &mut self.shared;
        shared.settle()?;
        shared.memo.save().or_else(|error| {
            // Its directory is made when the first digests are saved.
            if error.errno != libc::ENOENT {
                return Err(error);
            }
            store_directory(&shared.store.path(cache::DIRECTORY).join("memo"))?;
            shared.memo.save()
        })?;
        shared.cache.save()?;
        if let Some(lock) = shared.room.as_mut().and_then(|room| room.lock.take()) {
            shared.cache.give_back(shared.store, lock)?;
        }
        Ok(())
    }

    /// Exports the target, and stores it as an image if the options ask for one.
    pub(crate) fn image(&mut self) -> Result<(Built, Option<Stored>), BuildError> {
        self.warn_of_unused_arguments();
        let options = self.shared.options;
        let (shared, target) = self.target();
        target.state.label(&options.labels);
        if options.squash {
            squash::squash(shared, target)?;
        }
        shared.settle()?;
        if !options.cache_to.is_empty() {
            shared.must_be_inside()?;
            shared.carry(target)?;
        }
        let attestations = self.attest()?;
        let (shared, target) = self.target();
        for output in &options.outputs {
            finish::export(shared, target, output, &attestations)?;
        }
        let mut layers = Vec::new();
        for (diff_id, row) in target.state.own_layers() {
            let size = layer::known(shared.store, &diff_id)?.size;
            layers.push(BuiltLayer { diff_id, size, row });
        }
        let outputs = &options.outputs;
        let is_elsewhere = outputs.iter().any(Output::needs_no_image) && options.names.is_empty();
        let attestations = attestations.into_iter().map(|one| (options.platform.clone(), one)).collect();
        let built = Built { image: None, layers, attestations, from_context: shared.memo.used() };
        if is_elsewhere || outputs.iter().any(|output| output.kind == OutputKind::Nothing) {
            return Ok((built, None));
        }
        let mut state = target.state.clone();
        if options.cache_inline {
            state.attach(INLINE_CACHE, shared.inline_cache(target)?);
        }
        let annotations = annotation::of(&options.annotations, Place::Manifest, &options.platform);
        // An index gets the names instead of its images.
        let names = if options.makes_index() { &[][..] } else { &options.names };
        let stored = finish::store(shared.store, &state, &target.keys, names, annotations)?;
        Ok((built, Some(stored)))
    }

    fn warn_of_unused_arguments(&mut self) {
        let shared = &mut self.shared;
        if !shared.part.is_first {
            return;
        }
        for name in shared.options.build_args.keys() {
            if !shared.plan.consumed.contains(name) && !run::PROXIES.contains(&name.as_str()) {
                let message = format!("--build-arg {name} is used by no ARG");
                shared.listener.warning(&Warning { rule: "UnusedBuildArg", line: 0, message });
            }
        }
    }

    /// Stores the state before the step that failed as an image.
    pub(crate) fn failed_state(&mut self) -> Result<Option<Digest>, BuildError> {
        let Some(stage) = self.stages.iter().rev().find(|stage| stage.has_begun && !stage.is_finished) else {
            return Ok(None);
        };
        Ok(Some(finish::store(self.shared.store, &stage.state, &[], &[], Map::new())?.image))
    }
}
