//! The results of steps that make layers: found in the cache, or made in a directory of this build and brought into the
//! store.

use super::cache::{Inputs, Outcome};
use super::pending::Pending;
use super::shared::Shared;
use super::stage::Stage;
use crate::builder::error::BuildError;
use crate::builder::listener::{Done, StepName};
use crate::builder::read::stage::Base;
use crate::container::decide::create;
use crate::container::rootfs::layering::Layering;
use crate::image;
use crate::image::ImageError;
use crate::image::freeze;
use crate::image::freeze::freeze;
use crate::image::ingest::Ingested;
use crate::image::name::digest::Digest;
use crate::image::overlay::reduce::reduce;
use crate::image::stored::layer;
use crate::image::{check_layers, config};
use crate::store;
use crate::sys::On;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// An upper directory that is to become a layer.
pub(crate) struct NewLayer {
    /// The directory with its `upper`, relative to the store.
    pub directory: PathBuf,
    /// Whether no layer lies below it (`COPY --link`).
    pub alone: bool,
    pub leave_out: Vec<PathBuf>,
    /// The user of a RUN, if that is not root.
    pub creator: Option<(u32, u32)>,
    pub inputs: Inputs,
    /// Its row in the image's history.
    pub row: String,
    pub reason: String,
    pub begun: Instant,
}

impl Shared<'_> {
    /// Looks a step up in the cache, and adds its layer to the stage. Returns whether the cache had it.
    pub(crate) fn look_up(
        &mut self,
        stage: &mut Stage,
        name: &StepName,
        inputs: &Inputs,
        row: &str,
    ) -> Result<bool, BuildError> {
        let key = inputs.key();
        self.cache.passed(&name.stage_name, key);
        if self.is_done_again(&name.stage_name) {
            return Ok(false);
        }
        // Another stage may have executed the same step a moment ago.
        let pending = self.pending.values().find(|pending| pending.key == key).map(Pending::outcome);
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
        stage.state.note(row.to_owned(), Some((outcome.diff_id, outcome.created)));
        stage.keys.push((outcome.diff_id, outcome.is.unwrap_or(key)));
        stage.ran = None;
        self.listener.done(name, &done);
        Ok(true)
    }

    /// Whether the steps of a stage are executed even if the cache has them.
    pub(crate) fn is_done_again(&self, stage: &str) -> bool {
        self.options.no_cache || self.options.no_cache_stages.iter().any(|name| name == stage)
    }

    /// Makes the result of one key available under another one.
    pub(crate) fn alias(&mut self, quick: &Inputs, key: &Digest) -> Result<(), BuildError> {
        let pending = self.pending.values().find(|pending| pending.key == *key).map(Pending::outcome);
        let found = match pending {
            Some(found) => Some(found),
            None => self.cache.find(self.store, key)?,
        };
        match found {
            Some(found) => Ok(self.cache.record(&quick.key(), quick, &Outcome { is: Some(*key), ..found })?),
            None => Ok(()),
        }
    }

    /// Announces that a step is executed, and returns the reason.
    pub(crate) fn begin(&mut self, stage: &Stage, name: &StepName, inputs: &Inputs) -> Result<String, BuildError> {
        self.must_be_inside()?;
        let reason = if self.is_done_again(&name.stage_name) {
            "--no-cache".into()
        } else {
            let before = stage.ran.clone();
            let base = match &self.plan.stage(stage.id).base {
                Base::Image(name) => format!("base image {name} has another digest"),
                _ => "its base changed".into(),
            };
            self.cache.reason(&name.stage_name, inputs, Some(before.as_deref().unwrap_or(&base)))
        };
        self.listener.begins(name);
        Ok(reason)
    }

    /// Makes a directory as [`Shared::new_directory`] does, with owner and mode of the stage's root.
    pub(crate) fn directory(&mut self, stage: &Stage) -> Result<PathBuf, BuildError> {
        check_layers("with this step, the image", stage.state.layers.len() + 1).map_err(ImageError::from)?;
        let directory = self.new_directory()?;
        create::like_lowest_root(self.store, &self.layer_directories(&stage.state.layers), &directory.join("upper"));
        Ok(directory)
    }

    /// Turns an upper directory into the stage's next layer.
    pub(crate) fn layer(&mut self, stage: &mut Stage, new: NewLayer) -> Result<(), BuildError> {
        let lowers: Vec<PathBuf> = if new.alone {
            Vec::new()
        } else {
            self.layer_directories(&stage.state.layers).into_iter().map(PathBuf::from).collect()
        };
        let created = match self.options.epoch.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok()) {
            Some(time) => time.to_string(),
            None => config::now(),
        };
        let options = freeze::Options {
            lowers: &lowers,
            leave_out: &new.leave_out,
            created: &created,
            creator: new.creator,
            latest: self.options.epoch,
        };
        let (rootfs, upper) = (new.directory.join("rootfs"), new.directory.join("upper"));
        if self.room()?.layering == Layering::Copy && !store::is_empty(&rootfs)? {
            // The step worked on a copy of all files below it.
            reduce(&rootfs, &lowers)?;
            store::remove_tree(&upper)?;
            std::fs::rename(&rootfs, &upper).on("rename", &rootfs)?;
        }
        let entry = self.store.path(&new.directory).join("layer");
        let ingested = freeze(&new.directory.join("upper"), entry, &options)?;
        let diff_id = ingested.info.diff_id;
        let done = Done::Ran {
            size: ingested.info.size,
            entries: ingested.info.entries,
            reason: new.reason,
            took: new.begun.elapsed(),
        };
        let key = new.inputs.key();
        let known = self.pending.contains_key(&diff_id) || layer::info(self.store, &diff_id)?.is_some();
        let pending = Pending { ingested, key, inputs: new.inputs };
        if known {
            // The store has the same layer already: only the cache entry is new.
            self.cache.record(&key, &pending.inputs, &pending.outcome())?;
        } else {
            self.pending.insert(diff_id, pending);
        }
        let name = self.name(stage);
        stage.state.note(new.row, Some((diff_id, created)));
        stage.keys.push((diff_id, key));
        stage.ran = Some(format!("because step {} ran again", name.number));
        self.listener.done(&name, &done);
        // If the next step fails, a long step must not be lost; a quick one is soon repeated.
        if self.settled.elapsed() > Duration::from_secs(2) {
            self.settle()?;
        }
        Ok(())
    }

    /// Replaces the last `count` layers of a stage by one.
    pub(crate) fn replace(
        &mut self,
        stage: &mut Stage,
        count: usize,
        ingested: Ingested,
        inputs: Inputs,
    ) -> Result<(), BuildError> {
        let (diff_id, created) = (ingested.info.diff_id, ingested.info.created.clone());
        let key = inputs.key();
        if layer::info(self.store, &diff_id)?.is_none() {
            self.pending.insert(diff_id, Pending { ingested, key, inputs });
        }
        stage.keys.push((diff_id, key));
        stage.state.squash(count, (diff_id, created));
        Ok(())
    }

    /// Returns the inputs that every step has.
    pub(crate) fn inputs(&self, stage: &Stage, what: String) -> Inputs {
        let parent = stage.state.chain();
        let mut values = BTreeMap::new();
        if let Some(epoch) = self.options.epoch {
            values.insert("SOURCE_DATE_EPOCH".to_owned(), epoch.to_string());
        }
        Inputs { parent, what, values, files: Vec::new() }
    }

    /// Brings the pending layers into the store, each held by its cache entry.
    pub(crate) fn settle(&mut self) -> Result<(), BuildError> {
        self.settled = Instant::now();
        let Some(room) = &self.room else { return Ok(()) };
        if self.pending.is_empty() {
            return Ok(());
        }
        for pending in self.pending.values() {
            self.cache.record(&pending.key, &pending.inputs, &pending.outcome())?;
            layer::prepare(&pending.ingested.entry, &pending.key)?;
        }
        image::sync(self.store)?;
        for (diff_id, pending) in self.pending.drain() {
            layer::publish(self.store, &room.scratch, &pending.ingested.entry, &diff_id, &pending.key)?;
            // After a prune in the meantime, nothing would release the layer.
            if !self.cache.has(&pending.key) {
                self.cache.record(&pending.key, &pending.inputs, &pending.outcome())?;
            }
        }
        Ok(())
    }
}
