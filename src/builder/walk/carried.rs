//! `--cache-to` and `--cache-from`: what steps have made, carried to other machines in a directory or a registry.
//!
//! ```text
//! steps/<key>     what went into a step, and what came of it
//! layers/<hex>    the layer's archive, compressed
//! ```
//!
//! In a directory these are files, in a registry the named parts of one artifact. What is not whole, or not what it says, is
//! as good as not there: the step is done here.

use super::cache::{Inputs, Outcome};
use super::engine::{Builder, SIGNALS};
use super::layers::{Pending, outcome};
use crate::builder::BuildError;
use crate::diag;
use crate::image::ImageError;
use crate::image::ingest::{NamedByBlob, ingest};
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use crate::image::overlay::owner::Owners;
use crate::image::stored::layer;
use crate::image::tar::unpack::{Limits, UnpackError};
use crate::registry::artifact;
use crate::registry::artifact::Artifact;
use crate::registry::{Progress, RegistryError, Settings};
use crate::store;
use crate::store::Store;
use crate::sys::process::LetThrough;
use crate::sys::{On, SysError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Where steps are carried to or from.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Directory(PathBuf),
    Registry(Reference),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Directory(path) => path.display().fmt(f),
            Self::Registry(reference) => f.write_str(&reference.familiar()),
        }
    }
}

/// `--cache-to`
#[derive(Debug, Clone)]
pub(crate) struct Export {
    pub place: Place,
    /// Those of helper stages too.
    pub all_stages: bool,
}

const ARTIFACT: artifact::Kind = artifact::Kind {
    artifact_type: "application/vnd.minirun.build-cache.v1",
    documents: "application/vnd.minirun.build-step.v1+json",
    words: "a build cache; --cache-to type=registry makes one",
};

/// Where an image's config has the steps that made its layers (`--cache-to type=inline`).
pub(crate) const INLINE: &str = "minirun.build-cache.v1";

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Step {
    inputs: Inputs,
    outcome: Outcome,
}

fn step_name(key: &Digest) -> String {
    format!("steps/{}", key.hex())
}

fn layer_name(diff_id: &Digest) -> String {
    format!("layers/{}", diff_id.hex())
}

/// Why a place gives nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Useless {
    #[error("its layer {0} has the digest {1}")]
    Digest(Digest, Digest),
    #[error("its layer {0} cannot be unpacked: {1}")]
    Unpack(Digest, UnpackError),
    #[error("its step {0} cannot be read")]
    Step(Digest),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

/// A place that is asked.
pub(crate) enum Source {
    Unopened(Place),
    Directory(PathBuf),
    Registry(Artifact),
    /// An image that tells of its own steps.
    Image(Artifact, HashMap<Digest, Step>),
    Useless,
}

impl Source {
    /// A cache in a registry, or else an image of this name.
    fn in_registry(reference: &Reference, settings: &Settings) -> Result<Self, RegistryError> {
        let none = match Artifact::open(reference, &ARTIFACT, settings) {
            Err(error @ RegistryError::NoArtifact { .. }) => error,
            opened => return opened.map(Self::Registry),
        };
        let Ok((artifact, config)) = Artifact::of_image(reference, layer_name, settings) else { return Err(none) };
        let config: Value = serde_json::from_slice(&config).unwrap_or_default();
        let Ok(steps) = serde_json::from_value::<Vec<Step>>(config[INLINE].clone()) else { return Err(none) };
        Ok(Self::Image(artifact, steps.into_iter().map(|step| (step.inputs.key(), step)).collect()))
    }

    /// The step of this key. `None`: it was not carried.
    fn step(&self, key: &Digest) -> Result<Option<Step>, Useless> {
        if let Self::Image(_, steps) = self {
            return Ok(steps.get(key).filter(|step| step.outcome.is_whole()).cloned());
        }
        let text = match self {
            Self::Directory(directory) => fs::read(directory.join(step_name(key))).ok(),
            Self::Registry(artifact) => artifact.document(&step_name(key))?,
            Self::Unopened(_) | Self::Image(..) | Self::Useless => None,
        };
        let Some(text) = text else { return Ok(None) };
        match serde_json::from_slice::<Step>(&text) {
            Ok(step) if step.inputs.key() == *key && step.outcome.is_whole() => Ok(Some(step)),
            _ => Err(Useless::Step(*key)),
        }
    }

    /// Unpacks a step's layer into the new directory `entry`.
    fn layer(
        &self,
        key: &Digest,
        step: Step,
        entry: PathBuf,
        owners: &Owners,
        progress: &dyn Progress,
    ) -> Result<Option<Pending>, Useless> {
        let Step { inputs, outcome } = step;
        let name = layer_name(&outcome.diff_id);
        let failure = Mutex::new(None);
        let archive: Box<dyn Read + Send> = match self {
            Self::Directory(directory) => match File::open(directory.join(name)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                opened => Box::new(opened.on("open", directory)?),
            },
            Self::Registry(artifact) | Self::Image(artifact, _) => match artifact.layer(&name, progress, &failure)? {
                Some(stream) => Box::new(stream),
                None => return Ok(None),
            },
            Self::Unopened(_) | Self::Useless => return Ok(None),
        };
        let ingested = ingest(entry, archive, owners, Limits::from_env(), &outcome.created, NamedByBlob::No);
        // What the registry did is the cause of what the unpacker saw.
        if let Some(failure) = failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
            return Err(failure.into());
        }
        let ingested = ingested.map_err(|error| Useless::Unpack(outcome.diff_id, error))?;
        let found = ingested.info.diff_id;
        if found != outcome.diff_id {
            return Err(Useless::Digest(outcome.diff_id, found));
        }
        Ok(Some(Pending { ingested, key: *key, inputs }))
    }
}

impl Builder<'_> {
    /// What another machine has done. A place that fails is not asked again.
    pub(crate) fn carried(&mut self, key: &Digest) -> Result<Option<Outcome>, BuildError> {
        for number in 0..self.sources.len() {
            if let Source::Unopened(place) = &self.sources[number] {
                let opened = match place.clone() {
                    Place::Directory(path) => Ok(Source::Directory(path)),
                    Place::Registry(reference) => {
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
            let entry = self.store.path(self.directory_alone()?).join("layer");
            let owners = self.room()?.owners.clone();
            match self.sources[number].layer(key, step, entry, &owners, self.options.transfers.as_ref()) {
                Ok(Some(pending)) => {
                    let found = outcome(&pending);
                    self.pending.insert(found.diff_id, pending);
                    return Ok(Some(found));
                }
                Ok(None) => {}
                Err(error) => self.give_up(number, &error),
            }
        }
        Ok(None)
    }

    fn give_up(&mut self, number: usize, error: &Useless) {
        self.sources[number] = Source::Useless;
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

    /// What the image's own config tells of its steps.
    pub(crate) fn inline_cache(&self) -> Result<Value, BuildError> {
        let steps = self.steps(self.keys(self.plan.target))?;
        Ok(steps.into_iter().map(|(_, step)| json!(step)).collect())
    }

    /// Carries what this build came by to where other machines find it.
    pub(crate) fn carry(&mut self) -> Result<(), BuildError> {
        let all_stages = self.options.cache_to.iter().any(|export| export.all_stages);
        let own = if all_stages { self.cache.keys() } else { self.keys(self.plan.target) };
        self.part.keys.extend(own);
        // In a registry, what is carried takes the place of what was: it goes at the end, that of all platforms together.
        if !self.part.is_last {
            return Ok(());
        }
        for export in &self.options.cache_to {
            let steps = self.steps(self.part.keys.clone())?;
            match &export.place {
                Place::Directory(directory) => {
                    steps.iter().try_for_each(|(key, step)| put(self.store, directory, key, step))?;
                }
                Place::Registry(reference) => {
                    let _ends_at_once = LetThrough::new(&SIGNALS);
                    self.listener.note(&format!("the cache goes to {}", export.place));
                    let sent = outgoing(&steps).push(
                        self.store,
                        reference,
                        &ARTIFACT,
                        &self.options.registries,
                        self.options.transfers.as_ref(),
                    );
                    sent.map_err(|source| BuildError::Carry {
                        place: export.place.to_string(),
                        source: Box::new(source),
                    })?;
                }
            }
        }
        Ok(())
    }
}

fn outgoing(steps: &[(Digest, Step)]) -> artifact::Outgoing {
    let mut layers: Vec<(String, Digest)> = Vec::new();
    for (_, Step { outcome, .. }) in steps {
        if layers.iter().all(|(_, diff_id)| *diff_id != outcome.diff_id) {
            layers.push((layer_name(&outcome.diff_id), outcome.diff_id));
        }
    }
    let document = |(key, step): &(Digest, Step)| (step_name(key), serde_json::to_vec(step).unwrap_or_default());
    artifact::Outgoing { documents: steps.iter().map(document).collect(), layers }
}

/// Writes a step and its layer into a directory, as far as they are not there yet.
fn put(store: &Store, directory: &Path, key: &Digest, step: &Step) -> Result<(), BuildError> {
    for part in ["steps", "layers"] {
        fs::create_dir_all(directory.join(part)).on("mkdir", directory)?;
    }
    let path = directory.join(layer_name(&step.outcome.diff_id));
    if !path.exists() {
        let info = layer::known(store, &step.outcome.diff_id)?;
        let archive = layer::archive(store, &info, &info.diff_id)?;
        let new = path.with_extension("new");
        let file = File::create(&new).on("open", &new)?;
        let broken = |source| ImageError::LayerArchive { layer: info.diff_id, source };
        zstd::stream::copy_encode(archive, file, 1).map_err(broken)?;
        fs::rename(&new, &path).on("rename", &path)?;
    }
    Ok(store::write_quickly(&directory.join(step_name(key)), &serde_json::to_vec(step).unwrap_or_default())?)
}
