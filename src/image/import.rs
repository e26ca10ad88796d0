//! `import`: an image of one layer, from an archive of a root file system.

use super::claim::{self, ImageClaim};
use super::digest::Digest;
use super::ingest::ingest;
use super::owner::Owners;
use super::reference::Reference;
use super::unpack::Limits;
use super::{ImageError, config, layer, manifest, names};
use crate::store::Store;
use serde_json::json;
use std::io::Read;

pub struct Options {
    /// Where the archive comes from, as the history tells it.
    pub origin: String,
    pub message: Option<String>,
    pub changes: Vec<String>,
    pub name: Option<Reference>,
}

pub fn import(store: &Store, archive: impl Read + Send, options: Options) -> Result<Digest, ImageError> {
    claim::recover(store)?;
    let created = config::now();
    let mut image = config::new();
    config::apply(&mut image, &options.changes)?;
    let scratch = store.scratch()?;
    let unpacked = ingest(scratch.path().join("layer"), archive, &Owners::here()?, Limits::from_env(), &created);
    let unpacked = unpacked.map_err(|source| ImageError::Unpack { subject: options.origin.clone(), source })?;

    let comment = options.message.unwrap_or_else(|| format!("Imported from {}", options.origin));
    image["created"] = json!(created);
    config::add_layer(&mut image, &unpacked.info.diff_id, json!({ "created": created, "comment": comment }));
    let config = image.to_string().into_bytes();
    let id = Digest::of(&config);

    super::sync(store)?;
    let mut claim = ImageClaim::take(store, id)?;
    claim.intend(&[unpacked.info.diff_id])?;
    layer::publish(store, &scratch, &unpacked.entry, &unpacked.info.diff_id, &id)?;
    // The layer may have been there before, with a blob of its own.
    let info = layer::info(store, &unpacked.info.diff_id)?.unwrap_or(unpacked.info);
    let manifest = manifest::make(&config, &[info]);
    super::publish(store, &scratch, &claim, &config, &manifest)?;
    if let Some(name) = &options.name {
        names::set(store, &claim, name, Digest::of(&manifest))?;
    }
    Ok(id)
}
