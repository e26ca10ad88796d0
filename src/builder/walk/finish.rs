//! The export of a finished stage: as files, as an archive, or as an image in the store.

use super::cache;
use super::shared::Shared;
use super::stage::Stage;
use crate::builder::error::BuildError;
use crate::builder::files::copier::Copier;
use crate::builder::files::glob::Ignore;
use crate::builder::files::tree::{Tree, TreeError};
use crate::builder::options::{Output, OutputKind};
use crate::builder::read::state::State;
use crate::container::rootfs::root::Root;
use crate::image;
use crate::image::assemble::{Parts, assemble};
use crate::image::attestation::Attestation;
use crate::image::freeze;
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use crate::image::overlay::owner::Owners;
use crate::image::save::Format;
use crate::image::stored::claim::ImageClaim;
use crate::image::stored::{layer, manifest, names};
use crate::image::{ImageError, manifests};
use crate::store::Store;
use crate::sys::On;
use serde_json::{Map, Value};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// An image that a build has stored.
pub(crate) struct Stored {
    pub image: Digest,
    pub manifest: Vec<u8>,
}

/// Stores a state as an image, unless the store has it, and gives it its names. The cache entries `keys` stop holding their
/// layers, which the image holds from here on.
pub(crate) fn store(
    store: &Store,
    state: &State,
    keys: &[(Digest, Digest)],
    wanted: &[Reference],
    annotations: Map<String, Value>,
) -> Result<Stored, BuildError> {
    let config = state.finish().to_string().into_bytes();
    let id = Digest::of(&config);
    let mut claim = ImageClaim::take(store, id)?;
    let infos = state.layers.iter().map(|one| layer::known(store, one)).collect::<Result<Vec<_>, _>>()?;
    let is_annotated = !annotations.is_empty();
    let manifest = manifest::annotate(manifest::make(&config, &infos), annotations);
    let digest = Digest::of(&manifest);
    if image::directory(store, &id).exists() {
        for name in wanted {
            let known = names::resolve(store, name)?;
            // Another manifest of the same image serves as well, such as one that was pushed; an index does not.
            let will_do = |known: &names::Name| {
                known.image == id
                    && (known.manifest == digest
                        || !is_annotated && !image::stored::index::exists(store, &known.manifest))
            };
            if !known.as_ref().is_some_and(will_do) {
                let known = if is_annotated { None } else { plain_manifest(store, &id)? };
                if known.is_none() {
                    image::add_manifest(store, &claim, &manifest)?;
                }
                names::set(store, &claim, name, known.unwrap_or(digest))?;
            }
        }
    } else {
        claim.intend(&state.layers)?;
        for layer in &state.layers {
            if !layer::adopt(store, layer, &id)? {
                return Err(ImageError::NoLayer { layer: *layer }.into());
            }
        }
        let scratch = store.scratch()?;
        let (config, manifest) = (&config, Some(manifest.clone()));
        let parts = Parts { config, layers: &state.layers, new: Vec::new(), manifest, names: wanted };
        assemble(store, &scratch, &claim, parts)?;
    }
    drop(claim);
    for (layer, key) in keys {
        cache::let_go(store, key, layer)?;
    }
    image::note_image(store, "build", &id, wanted.first());
    Ok(Stored { image: id, manifest })
}

/// Returns a manifest of the image that has no annotations.
fn plain_manifest(store: &Store, id: &Digest) -> Result<Option<Digest>, ImageError> {
    for digest in manifests(store, id)? {
        if manifest::annotations(&image::manifest_bytes(store, id, &digest)?).is_empty() {
            return Ok(Some(digest));
        }
    }
    Ok(None)
}

/// Exports the files of a stage, and its attestations.
pub(crate) fn export(
    shared: &mut Shared,
    stage: &Stage,
    output: &Output,
    attestations: &[Attestation],
) -> Result<(), BuildError> {
    if !output.is_files() {
        return Ok(());
    }
    shared.must_be_inside()?;
    let view = shared.view_with(stage, attestations)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/.", view.as_raw_fd()));
    // Each of several platforms has a directory of its own, as with BuildKit.
    let directory = (shared.options.platforms.len() > 1).then(|| shared.options.platform.to_string().replace('/', "_"));
    let share = freeze::Share { directory: directory.as_deref(), is_last: shared.part.is_last };
    let Some(target) = &output.target else {
        return Ok(freeze::archive(&path, share, io::stdout().lock())?);
    };
    if output.kind == OutputKind::Tar {
        let mut file = File::options();
        let file = file.create(true).write(true).append(!shared.part.is_first).truncate(shared.part.is_first);
        return Ok(freeze::archive(&path, share, io::BufWriter::new(file.open(target).on("open", target)?))?);
    }
    let target = &directory.map_or_else(|| target.clone(), |directory| target.join(directory));
    fs::create_dir_all(target).on("mkdir", target)?;
    let root = Root::open(&target.to_string_lossy())?;
    let now = shared.now();
    // As with Docker, exported files belong to the caller.
    let owners = Owners { only_one: false, ..shared.room()?.owners.clone() };
    let copier = Copier { upper: None, owners: &owners, owner: Some((0, 0)), chmod: None, mode: 0o755, now };
    let tree = Tree::of(view, "the result".into());
    let export = || -> Result<(), TreeError> {
        for one in tree.select("", &Ignore::default(), false)? {
            copier.copy(&root, &one, "/")?;
        }
        Ok(())
    };
    export().map_err(|source| BuildError::Export { target: target.clone(), source })
}

/// Writes the image into an archive whose index gives it these annotations.
pub(crate) fn save(
    store: &Store,
    id: &Digest,
    names: &[Reference],
    output: &Output,
    annotations: &Map<String, Value>,
) -> Result<(), BuildError> {
    let format = if output.kind == OutputKind::Oci { Format::Oci } else { Format::Docker };
    let wanted: Vec<String> = match names {
        [] => vec![id.to_string()],
        names => names.iter().map(ToString::to_string).collect(),
    };
    match &output.target {
        Some(path) => Ok(image::save::save_file(store, &wanted, format, annotations, path)?),
        None => Ok(image::save::save(store, &wanted, format, annotations, io::stdout().lock(), "standard output")?),
    }
}
