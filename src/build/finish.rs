//! A stage that is done becomes an image: its layers, its config, its names.

use super::BuildError;
use super::cache;
use super::engine::Builder;
use super::glob::Ignore;
use super::state::State;
use super::tree::{Laying, Tree, TreeError};
use crate::container::rootfs::Root;
use crate::image::assemble::{Parts, assemble};
use crate::image::claim::ImageClaim;
use crate::image::digest::Digest;
use crate::image::owner::Owners;
use crate::image::reference::Reference;
use crate::image::save::Format;
use crate::image::{self, ImageError, freeze, layer, manifest, manifests, names};
use crate::store::Store;
use crate::sys::On;
use serde_json::json;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

/// Stores the image, unless it is there already, and gives it its names. `keys`: layers and the entries of the cache that
/// made them, which need not hold them any more.
pub fn store(
    store: &Store,
    state: &State,
    keys: &[(Digest, Digest)],
    wanted: &[Reference],
    annotations: &[(String, String)],
) -> Result<Digest, BuildError> {
    let config = state.finish().to_string().into_bytes();
    let id = Digest::of(&config);
    let mut claim = ImageClaim::take(store, id)?;
    let annotated = match annotations {
        [] => None,
        pairs => {
            let infos = state.layers.iter().map(|one| layer::known(store, one)).collect::<Result<Vec<_>, _>>()?;
            let pairs = pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            Some(manifest::annotate(manifest::make(&config, &infos), pairs))
        }
    };
    if image::directory(store, &id).exists() {
        let manifest = match &annotated {
            Some(manifest) => {
                image::add_manifest(store, &claim, manifest)?;
                Digest::of(manifest)
            }
            None => manifests(store, &id)?.first().copied().unwrap_or(id),
        };
        for name in wanted {
            let known = names::resolve(store, name)?;
            let is_other = |known: &names::Name| annotated.is_some() && known.manifest != manifest;
            if known.is_none_or(|known| known.image != id || is_other(&known)) {
                names::set(store, &claim, name, manifest)?;
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
        let parts =
            Parts { config: &config, layers: &state.layers, new: Vec::new(), manifest: annotated, names: wanted };
        assemble(store, &scratch, &claim, parts)?;
    }
    drop(claim);
    for (layer, key) in keys {
        cache::let_go(store, key, layer)?;
    }
    Ok(id)
}

/// `-o`: the result as something else than an image in the store.
#[derive(Debug, Clone)]
pub struct Output {
    pub kind: Kind,
    /// None is standard output.
    pub target: Option<PathBuf>,
    /// What the image is called beside its other names, and whether it is pushed under them.
    pub names: Vec<Reference>,
    pub pushes: bool,
    pub annotations: Vec<(String, String)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The files, in a directory.
    Local,
    /// The files, in an archive.
    Tar,
    Oci,
    Docker,
    /// An image in the store.
    Image,
    /// Nothing but what the cache remembers.
    Nothing,
}

impl Output {
    fn is_files(&self) -> bool {
        matches!(self.kind, Kind::Local | Kind::Tar)
    }

    pub fn is_archive(&self) -> bool {
        matches!(self.kind, Kind::Oci | Kind::Docker)
    }

    /// Whether there is no image in the store afterwards, unless it is to have a name.
    pub fn needs_no_image(&self) -> bool {
        self.is_files() || self.kind == Kind::Nothing
    }
}

/// Writes the files of a stage.
pub fn export(builder: &mut Builder, number: usize, output: &Output) -> Result<(), BuildError> {
    if !output.is_files() {
        return Ok(());
    }
    builder.must_be_inside()?;
    let layers = builder.state(number).layers.clone();
    let view = builder.view(&layers)?;
    let Some(target) = &output.target else {
        let path = PathBuf::from(format!("/proc/self/fd/{}/.", view.as_raw_fd()));
        return Ok(freeze::archive(&path, io::stdout().lock())?);
    };
    if output.kind == Kind::Tar {
        let path = PathBuf::from(format!("/proc/self/fd/{}/.", view.as_raw_fd()));
        let file = File::create(target).on("open", target)?;
        return Ok(freeze::archive(&path, io::BufWriter::new(file))?);
    }
    fs::create_dir_all(target).on("mkdir", target)?;
    let root = Root::open(&target.to_string_lossy())?;
    let now = builder.now();
    // They are whoever built them, as Docker gives them.
    let owners = Owners { only_one: false, ..builder.room()?.owners.clone() };
    let laying = Laying { upper: None, owners: &owners, owner: Some((0, 0)), chmod: None, mode: 0o755, now };
    let tree = Tree::of(view, "the result".into());
    let export = || -> Result<(), TreeError> {
        for one in tree.select("", &Ignore::default(), false)? {
            laying.lay(&root, &one, "/")?;
        }
        Ok(())
    };
    export().map_err(|source| BuildError::Export { target: target.clone(), source })
}

/// Writes the image into an archive.
pub fn save(store: &Store, id: &Digest, names: &[Reference], output: &Output) -> Result<(), BuildError> {
    let format = if output.kind == Kind::Oci { Format::Oci } else { Format::Docker };
    let wanted: Vec<String> = match names {
        [] => vec![id.to_string()],
        names => names.iter().map(ToString::to_string).collect(),
    };
    match &output.target {
        Some(path) => Ok(image::save::save_file(store, &wanted, format, path)?),
        None => Ok(image::save::save(store, &wanted, format, io::stdout().lock(), "standard output")?),
    }
}
