//! The files of an exported build cache, in a directory or as an artifact in a registry (`--cache-to`, `--cache-from`).
//!
//! ```text
//! steps/<key>     the inputs of a step, and its result
//! layers/<hex>    the layer's archive, compressed
//! ```
//!
//! In a directory these are files, in a registry the named parts of one artifact. Incomplete and damaged entries count as
//! missing: the step is executed here.

use super::cache::{Inputs, Outcome};
use super::pending::Pending;
use crate::builder::error::BuildError;
use crate::builder::options::CachePlace;
use crate::builder::read::state::INLINE_CACHE;
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
use crate::sys::{On, SysError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

pub(crate) const ARTIFACT: artifact::Kind = artifact::Kind {
    artifact_type: "application/vnd.minirun.build-cache.v1",
    documents: "application/vnd.minirun.build-step.v1+json",
    words: "a build cache; --cache-to type=registry makes one",
};

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Step {
    pub inputs: Inputs,
    pub outcome: Outcome,
}

fn step_name(key: &Digest) -> String {
    format!("steps/{}", key.hex())
}

fn layer_name(diff_id: &Digest) -> String {
    format!("layers/{}", diff_id.hex())
}

/// Why a place cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlaceError {
    #[error("its layer {0} has the digest {1}")]
    Digest(Digest, Digest),
    #[error("cannot unpack its layer {0}: {1}")]
    Unpack(Digest, UnpackError),
    #[error("cannot read its step {0}")]
    Step(Digest),
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

/// A place of `--cache-from`.
pub(crate) enum Source {
    Unopened(CachePlace),
    Directory(PathBuf),
    Registry(Artifact),
    /// An image whose config describes its steps.
    Image(Artifact, HashMap<Digest, Step>),
    /// A place that had an error.
    Failed,
}

impl Source {
    /// Opens a cache in a registry, or else an image of this name.
    pub(crate) fn in_registry(reference: &Reference, settings: &Settings) -> Result<Self, RegistryError> {
        let none = match Artifact::open(reference, &ARTIFACT, settings) {
            Err(error @ RegistryError::NoArtifact { .. }) => error,
            opened => return opened.map(Self::Registry),
        };
        let Ok((artifact, config)) = Artifact::of_image(reference, layer_name, settings) else { return Err(none) };
        let config: Value = serde_json::from_slice(&config).unwrap_or_default();
        let Ok(steps) = serde_json::from_value::<Vec<Step>>(config[INLINE_CACHE].clone()) else { return Err(none) };
        Ok(Self::Image(artifact, steps.into_iter().map(|step| (step.inputs.key(), step)).collect()))
    }

    /// Returns the step of a key, if the place has it.
    pub(crate) fn step(&self, key: &Digest) -> Result<Option<Step>, PlaceError> {
        if let Self::Image(_, steps) = self {
            return Ok(steps.get(key).filter(|step| step.outcome.is_whole()).cloned());
        }
        let text = match self {
            Self::Directory(directory) => fs::read(directory.join(step_name(key))).ok(),
            Self::Registry(artifact) => artifact.document(&step_name(key))?,
            Self::Unopened(_) | Self::Image(..) | Self::Failed => None,
        };
        let Some(text) = text else { return Ok(None) };
        match serde_json::from_slice::<Step>(&text) {
            Ok(step) if step.inputs.key() == *key && step.outcome.is_whole() => Ok(Some(step)),
            _ => Err(PlaceError::Step(*key)),
        }
    }

    /// Unpacks a step's layer into the new directory `entry`.
    pub(crate) fn layer(
        &self,
        key: &Digest,
        step: Step,
        entry: PathBuf,
        owners: &Owners,
        progress: &dyn Progress,
    ) -> Result<Option<Pending>, PlaceError> {
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
            Self::Unopened(_) | Self::Failed => return Ok(None),
        };
        let ingested = ingest(entry, archive, owners, Limits::from_env(), &outcome.created, NamedByBlob::No);
        // An error of the registry is the cause of the unpacker's error.
        if let Some(failure) = failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
            return Err(failure.into());
        }
        let ingested = ingested.map_err(|error| PlaceError::Unpack(outcome.diff_id, error))?;
        let found = ingested.info.diff_id;
        if found != outcome.diff_id {
            return Err(PlaceError::Digest(outcome.diff_id, found));
        }
        Ok(Some(Pending { ingested, key: *key, inputs }))
    }
}

pub(crate) fn outgoing(steps: &[(Digest, Step)]) -> artifact::Outgoing {
    let mut layers: Vec<(String, Digest)> = Vec::new();
    for (_, Step { outcome, .. }) in steps {
        if layers.iter().all(|(_, diff_id)| *diff_id != outcome.diff_id) {
            layers.push((layer_name(&outcome.diff_id), outcome.diff_id));
        }
    }
    let document = |(key, step): &(Digest, Step)| (step_name(key), serde_json::to_vec(step).unwrap_or_default());
    artifact::Outgoing { documents: steps.iter().map(document).collect(), layers }
}

/// Writes a step and its layer into a directory, unless it has them.
pub(crate) fn put(store: &Store, directory: &Path, key: &Digest, step: &Step) -> Result<(), BuildError> {
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
