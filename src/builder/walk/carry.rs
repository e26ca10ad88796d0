//! The import of cached steps from other machines, and their export (`--cache-from`, `--cache-to`).

use super::cache::Outcome;
use super::carried::{ARTIFACT, PlaceError, Source, Step, outgoing, put};
use super::room::SIGNALS;
use super::shared::Shared;
use super::stage::Stage;
use crate::builder::error::BuildError;
use crate::builder::options::CachePlace;
use crate::diag;
use crate::image::name::digest::Digest;
use crate::image::stored::layer;
use crate::sys::process::LetThrough;
use serde_json::{Value, json};

impl Shared<'_> {
    /// Looks a step up in the caches of other machines. A place that fails is not asked again.
    pub(crate) fn carried(&mut self, key: &Digest) -> Result<Option<Outcome>, BuildError> {
        for number in 0..self.sources.len() {
            if let Source::Unopened(place) = &self.sources[number] {
                let opened = match place.clone() {
                    CachePlace::Directory(path) => Ok(Source::Directory(path)),
                    CachePlace::Registry(reference) => {
                        self.must_be_inside()?;
                        Source::in_registry(&reference, &self.options.registries)
                    }
                };
                match opened {
                    Ok(opened) => self.sources[number] = opened,
                    Err(error) => self.give_up(number, &error.into()),
                }
            }
            let _ends_at_once = LetThrough::new(&SIGNALS);
            let step = match self.sources[number].step(key) {
                Ok(Some(step)) => step,
                Ok(None) => continue,
                Err(error) => {
                    self.give_up(number, &error);
                    continue;
                }
            };
            self.must_be_inside()?;
            if layer::info(self.store, &step.outcome.diff_id)?.is_some() {
                self.cache.record(key, &step.inputs, &step.outcome)?;
                return Ok(Some(step.outcome));
            }
            let entry = self.store.path(self.new_directory()?).join("layer");
            let owners = self.room()?.owners.clone();
            match self.sources[number].layer(key, step, entry, &owners, self.options.transfers.as_ref()) {
                Ok(Some(pending)) => {
                    let found = pending.outcome();
                    self.pending.insert(found.diff_id, pending);
                    return Ok(Some(found));
                }
                Ok(None) => {}
                Err(error) => self.give_up(number, &error),
            }
        }
        Ok(None)
    }

    fn give_up(&mut self, number: usize, error: &PlaceError) {
        self.sources[number] = Source::Failed;
        let place = &self.options.cache_from[number];
        self.listener.note(&format!("going on without the cache from {place}: {}", diag::in_one_line(error)));
    }

    fn steps(&self, keys: Vec<Digest>) -> Result<Vec<(Digest, Step)>, BuildError> {
        let mut steps = Vec::new();
        for key in keys {
            let outcome = self.cache.find(self.store, &key)?;
            if let Some((inputs, outcome)) = self.cache.inputs(&key).zip(outcome) {
                steps.push((key, Step { inputs, outcome }));
            }
        }
        Ok(steps)
    }

    /// Returns the description of the target's steps for the image's config.
    pub(crate) fn inline_cache(&self, target: &Stage) -> Result<Value, BuildError> {
        let steps = self.steps(target.cache_keys())?;
        Ok(steps.into_iter().map(|(_, step)| json!(step)).collect())
    }

    /// Exports the steps of this build.
    pub(crate) fn carry(&mut self, target: &Stage) -> Result<(), BuildError> {
        let all_stages = self.options.cache_to.iter().any(|export| export.all_stages);
        let own = if all_stages { self.cache.keys() } else { target.cache_keys() };
        self.part.keys.extend(own);
        // An export replaces the one that the registry has, so the steps of all platforms go together, at the end.
        if !self.part.is_last {
            return Ok(());
        }
        for export in &self.options.cache_to {
            let steps = self.steps(self.part.keys.clone())?;
            match &export.place {
                CachePlace::Directory(directory) => {
                    steps.iter().try_for_each(|(key, step)| put(self.store, directory, key, step))?;
                }
                CachePlace::Registry(reference) => {
                    let _ends_at_once = LetThrough::new(&SIGNALS);
                    self.listener.note(&format!("the cache goes to {}", export.place));
                    let sent = outgoing(&steps).push(
                        self.store,
                        reference,
                        &ARTIFACT,
                        &self.options.registries,
                        self.options.transfers.as_ref(),
                    );
                    sent.map_err(|source| BuildError::ExportCache {
                        place: export.place.to_string(),
                        source: Box::new(source),
                    })?;
                }
            }
        }
        Ok(())
    }
}
