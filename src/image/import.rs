//! `import`: makes an image of one layer from the archive of a root file system.

use super::assemble::{Parts, assemble};
use super::config;
use super::error::ImageError;
use super::ingest::{NamedByBlob, ingest};
use super::name::digest::Digest;
use super::name::platform::Platform;
use super::name::reference::Reference;
use super::note_image;
use super::overlay::owner::Owners;
use super::stored::claim::{self, ImageClaim};
use super::tar::unpack::Limits;
use crate::store::Store;
use serde_json::json;
use std::io::Read;

pub(crate) struct Options {
    /// The origin of the archive, for the history.
    pub origin: String,
    pub message: Option<String>,
    pub changes: Vec<config::Change>,
    pub name: Option<Reference>,
    pub platform: Platform,
}

pub(crate) fn import(store: &Store, archive: impl Read + Send, options: Options) -> Result<Digest, ImageError> {
    claim::recover(store)?;
    let created = config::now();
    let mut image = config::new();
    options.platform.describe(&mut image);
    config::apply(&mut image, &options.changes);
    let scratch = store.scratch()?;
    let (entry, owners) = (scratch.path().join("layer"), Owners::here()?);
    let unpacked = ingest(entry, archive, &owners, Limits::from_env(), &created, NamedByBlob::No);
    let unpacked = unpacked.map_err(|source| ImageError::Unpack { subject: options.origin.clone(), source })?;

    let comment = options.message.unwrap_or_else(|| format!("Imported from {}", options.origin));
    image["created"] = json!(created);
    let step = json!({ "created": created, "comment": comment });
    config::add_history(&mut image, step, Some(unpacked.info.diff_id));
    let config = image.to_string().into_bytes();
    let id = Digest::of(&config);

    let mut claim = ImageClaim::take(store, id)?;
    claim.intend(&[unpacked.info.diff_id])?;
    let layers = [unpacked.info.diff_id];
    let names: Vec<Reference> = options.name.into_iter().collect();
    let parts = Parts { config: &config, layers: &layers, new: vec![unpacked], manifest: None, names: &names };
    assemble(store, &scratch, &claim, parts)?;
    note_image(store, "import", &id, names.first());
    Ok(id)
}
