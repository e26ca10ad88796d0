//! What becomes of a step that makes a layer: found as it was made before, or made in a directory of this build's own, and
//! brought into the store.

use super::cache;
use super::cache::{Inputs, Outcome};
use super::engine::{Builder, SIGNALS};
use crate::builder::read::stage::Base;
use crate::builder::{BuildError, Done, StepName};
use crate::container::decide::create;
use crate::container::rootfs::layering::Layering;
use crate::image;
use crate::image::ImageError;
use crate::image::freeze;
use crate::image::freeze::freeze;
use crate::image::ingest::Ingested;
use crate::image::name::digest::Digest;
use crate::image::overlay::owner::Owners;
use crate::image::overlay::reduce::reduce;
use crate::image::stored::{claim, layer};
use crate::image::{Image, check_layers, config};
use crate::store;
use crate::store::{Belonging, Lock, Scratch, Store};
use crate::sys::{On, SysError, process};
use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A layer that is not in the store yet, and the entry of the cache that it will have.
pub(crate) struct Pending {
    pub ingested: Ingested,
    pub key: Digest,
    pub inputs: Inputs,
}

/// What a build that does something needs, and one that finds everything done does not.
pub(crate) struct Room {
    pub scratch: Scratch,
    pub owners: Owners,
    pub layering: Layering,
    pub signals: OwnedFd,
    /// Let go of at the end.
    pub lock: Option<Lock>,
    made: usize,
}

/// An upper directory that is to become a layer.
pub(crate) struct Made {
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

impl Builder<'_> {
    /// The result of a step, if it was done before; noted in the stage.
    pub(crate) fn look_up(
        &mut self,
        number: usize,
        name: &StepName,
        inputs: &Inputs,
        row: &str,
    ) -> Result<bool, BuildError> {
        let key = inputs.key();
        self.cache.passed(&name.stage_name, key);
        if self.is_done_again(&name.stage_name) {
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

    /// Whatever was done before.
    pub(crate) fn is_done_again(&self, stage: &str) -> bool {
        self.options.no_cache || self.options.no_cache_stages.iter().any(|name| name == stage)
    }

    /// The result of one key is found under another too.
    pub(crate) fn alias(&mut self, quick: &Inputs, key: &Digest) -> Result<(), BuildError> {
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
    pub(crate) fn begin(&mut self, number: usize, name: &StepName, inputs: &Inputs) -> Result<String, BuildError> {
        self.must_be_inside()?;
        let reason = if self.is_done_again(&name.stage_name) {
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
    pub(crate) fn room(&mut self) -> Result<&mut Room, BuildError> {
        if self.room.is_none() {
            self.must_be_inside()?;
            claim::recover(self.store)?;
            cache::sweep(self.store)?;
            // Files that a RUN makes have the modes that they would have with Docker, whatever the caller's umask is.
            rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
            // Those that have hashed the context, or unpacked a base image.
            process::await_threads();
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
                lock: Some(cache::lock(self.store)?),
                made: 0,
            });
        }
        match &mut self.room {
            Some(room) => Ok(room),
            None => Err(BuildError::NeedsNamespace),
        }
    }

    /// A new directory with an empty `upper` and `work` in it, relative to the store; its root is as the stage's.
    pub(crate) fn directory(&mut self, number: usize) -> Result<PathBuf, BuildError> {
        let layers = self.state(number).layers.clone();
        check_layers("with this step, the image", layers.len() + 1).map_err(ImageError::from)?;
        let directory = self.directory_alone()?;
        create::like_lowest_root(self.store, &self.layer_directories(&layers), &directory.join("upper"));
        Ok(directory)
    }

    pub(crate) fn directory_alone(&mut self) -> Result<PathBuf, BuildError> {
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
    pub(crate) fn layer_directory(&self, diff_id: &Digest) -> String {
        let path = match self.pending.get(diff_id) {
            Some(pending) => pending.ingested.entry.join("fs"),
            None => layer::relative(diff_id).join("fs"),
        };
        path.strip_prefix(&self.store.root).unwrap_or(&path).to_string_lossy().into_owned()
    }

    /// Bottom first, each once.
    pub(crate) fn layer_directories(&self, layers: &[Digest]) -> Vec<String> {
        let shown = layers.iter().enumerate().filter(|(i, layer)| !layers[i + 1..].contains(layer));
        shown.map(|(_, layer)| self.layer_directory(layer)).collect()
    }

    /// An upper directory becomes the stage's next layer.
    pub(crate) fn layer(&mut self, number: usize, made: Made) -> Result<(), BuildError> {
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

    /// A layer that takes the place of the last `count` of a stage.
    pub(crate) fn replace(
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
    pub(crate) fn inputs(&mut self, number: usize, what: String) -> Inputs {
        let parent = self.state(number).chain();
        let mut values = BTreeMap::new();
        if let Some(epoch) = self.options.epoch {
            values.insert("SOURCE_DATE_EPOCH".to_owned(), epoch.to_string());
        }
        Inputs { parent, what, values, files: Vec::new() }
    }

    /// Layers made so far come into the store, each held by its entry.
    pub(crate) fn settle(&mut self) -> Result<(), BuildError> {
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
}

pub(crate) fn outcome(pending: &Pending) -> Outcome {
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
pub(crate) fn store_directory(path: &Path) -> Result<(), SysError> {
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(path).on("mkdir", path)
}
