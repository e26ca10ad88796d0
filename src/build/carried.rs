//! `--cache-to` and `--cache-from`: what steps have made, carried in a directory to another machine.
//!
//! ```text
//! DIR/steps/<key>.json   what went into a step, and what came of it
//!     layers/<hex>       the layer's archive, zstd
//! ```

use super::BuildError;
use super::cache::{Inputs, Outcome};
use super::engine::Pending;
use crate::image::digest::Digest;
use crate::image::ingest::{Ingested, ingest};
use crate::image::owner::Owners;
use crate::image::unpack::Limits;
use crate::image::{ImageError, layer};
use crate::store::{self, Store};
use crate::sys::On;
use serde::{Deserialize, Serialize};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

#[derive(Serialize, Deserialize)]
struct Step {
    inputs: Inputs,
    outcome: Outcome,
}

fn step_path(directory: &Path, key: &Digest) -> PathBuf {
    directory.join("steps").join(format!("{}.json", key.hex()))
}

fn layer_path(directory: &Path, diff_id: &Digest) -> PathBuf {
    directory.join("layers").join(diff_id.hex())
}

/// Writes a step and its layer, as far as they are not there yet.
pub fn put(store: &Store, directory: &Path, inputs: &Inputs, outcome: &Outcome) -> Result<(), BuildError> {
    for part in ["steps", "layers"] {
        fs::create_dir_all(directory.join(part)).on("mkdir", directory)?;
    }
    let path = layer_path(directory, &outcome.diff_id);
    if !path.exists() {
        let info = layer::known(store, &outcome.diff_id)?;
        let archive = layer::archive(store, &info, &info.diff_id)?;
        let new = path.with_extension("new");
        let file = File::create(&new).on("open", &new)?;
        let broken = |source| ImageError::LayerArchive { layer: info.diff_id, source };
        zstd::stream::copy_encode(archive, file, 1).map_err(broken)?;
        fs::rename(&new, &path).on("rename", &path)?;
    }
    let step = Step { inputs: inputs.clone(), outcome: outcome.clone() };
    Ok(store::write_quickly(&step_path(directory, &inputs.key()), &serde_json::to_vec(&step).unwrap_or_default())?)
}

/// Whether a directory has this step.
pub fn has(directory: &Path, key: &Digest) -> bool {
    step_path(directory, key).exists()
}

/// The layer of a step, unpacked into the new directory `entry`. `None`: what is there is not whole, or not what it says.
pub fn take(directory: &Path, key: Digest, entry: PathBuf, owners: &Owners) -> Result<Option<Pending>, BuildError> {
    let text = fs::read(step_path(directory, &key)).unwrap_or_default();
    let Ok(Step { inputs, outcome }) = serde_json::from_slice(&text) else { return Ok(None) };
    let Ok(file) = File::open(layer_path(directory, &outcome.diff_id)) else { return Ok(None) };
    if inputs.key() != key {
        return Ok(None);
    }
    let ingested: Ingested = ingest(entry, file, owners, Limits::from_env(), &outcome.created)
        .map_err(|source| ImageError::Unpack { subject: directory.display().to_string(), source })?;
    let is_same = ingested.info.diff_id == outcome.diff_id;
    Ok(is_same.then_some(Pending { ingested, key, inputs }))
}
