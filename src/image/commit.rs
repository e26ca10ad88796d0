//! `commit`: makes an image of a container: the layers of its image, and one more with its changes.

use super::assemble::{Parts, assemble};
use super::config;
use super::error::ImageError;
use super::ingest::{NamedByBlob, ingest};
use super::name::digest::Digest;
use super::name::reference::Reference;
use super::overlay::creator;
use super::overlay::diff;
use super::overlay::owner::Owners;
use super::stored::claim::{self, ImageClaim};
use super::stored::image::Image;
use super::stored::layer;
use super::tar::pack::{self, PackError};
use super::tar::stream;
use super::tar::unpack::Limits;
use crate::store::Store;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Default)]
pub struct Options {
    pub author: Option<String>,
    pub message: Option<String>,
    pub changes: Vec<config::Change>,
    pub name: Option<Reference>,
    /// Paths in the container that the engine itself has made, as places to mount something on.
    pub leave_out: Vec<PathBuf>,
    /// The user whose new files are, where that must be noted.
    pub creator: Option<(u32, u32)>,
    /// The container's own settings (`Cmd`, `Env`, …, in Docker's spelling), in place of its image's.
    pub settings: Option<Value>,
    /// The command that ran in the container, for the history.
    pub created_by: Option<String>,
}

/// Makes an image of `base` and the changes in `upper`, at a cost that depends on the changes alone. The container must hold
/// `base` meanwhile.
pub fn commit(store: &Store, base: &Image, upper: &Path, options: Options) -> Result<Digest, ImageError> {
    claim::recover(store)?;
    let created = config::now();
    let scratch = store.scratch()?;
    let lowers: Vec<PathBuf> = base.layer_dirs().into_iter().map(|dir| store.path(dir)).collect();
    let items = diff::items(upper, &lowers, &options.leave_out)?;
    let new = if items.is_empty() {
        None
    } else {
        let owners = Owners::here()?;
        creator::note(upper, &items, options.creator)?;
        let (feed, intake) = stream::channel();
        let (packed, ingested) = std::thread::scope(|scope| {
            let packer = scope.spawn(|| {
                let mut output = stream::Outlet::new(feed);
                pack::pack(upper, &items, &mut output)?;
                output.finish().map_err(PackError::Write)
            });
            let ingested =
                ingest(scratch.path().join("layer"), intake, &owners, Limits::unlimited(), &created, NamedByBlob::No);
            (packer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), ingested)
        });
        match (packed, ingested) {
            (_, Ok(new)) => Some(new),
            // A broken pipe on one side follows from an error on the other.
            (Err(error), Err(_)) if !error.is_broken_pipe() => return Err(error.into()),
            (_, Err(source)) => return Err(ImageError::Unpack { subject: "the changes".into(), source }),
        }
    };

    let mut image = base.raw_config().clone();
    if let Some(settings) = options.settings {
        image["config"] = settings;
    }
    config::apply(&mut image, &options.changes);
    image["created"] = json!(created);
    if let Some(author) = &options.author {
        image["author"] = json!(author);
    }
    let mut history = json!({ "created": created, "created_by": options.created_by.unwrap_or_default() });
    for (key, value) in [("author", options.author), ("comment", options.message)] {
        if let Some(value) = value {
            history[key] = json!(value);
        }
    }
    config::add_history(&mut image, history, new.as_ref().map(|n| n.info.diff_id));
    let config = image.to_string().into_bytes();
    let id = Digest::of(&config);

    let mut layers = base.layers.clone();
    layers.extend(new.as_ref().map(|n| n.info.diff_id));
    let mut claim = ImageClaim::take(store, id)?;
    claim.intend(&layers)?;
    for layer in &base.layers {
        if !layer::adopt(store, layer, &id)? {
            return Err(ImageError::NoLayer { layer: *layer });
        }
    }
    let names: Vec<Reference> = options.name.into_iter().collect();
    let parts =
        Parts { config: &config, layers: &layers, new: new.into_iter().collect(), manifest: None, names: &names };
    assemble(store, &scratch, &claim, parts)?;
    Ok(id)
}
