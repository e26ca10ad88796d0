//! Images: immutable, content-addressed, shared.
//!
//! `images/<digest of the config>/` holds `config.json` and `manifests/<digest>` byte for byte as they came, an empty file
//! per name in `names/` and per container in `containers/`. Layers lie beside, each stored once (see [`layer`]).

pub(crate) mod assemble;
pub(crate) mod attestation;
pub(crate) mod commit;
pub(crate) mod config;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod ingest;
pub(crate) mod inspect;
pub(crate) mod install;
pub(crate) mod load;
pub(crate) mod name;
pub(crate) mod nature;
pub(crate) mod overlay;
pub(crate) mod save;
pub(crate) mod stored;
pub(crate) mod tar;

use crate::diag::{Diagnose, inner_of};
use crate::store::{self, Scratch, Store, StoreError};
use crate::sys::{On, SysError};
use name::digest;
use name::digest::Digest;
use name::id;
use name::platform::Platform;
use name::reference::{InvalidReference, Reference};
use oci_spec::image::ImageConfiguration;
use serde_json::Value;
use std::collections::HashSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use stored::claim::ImageClaim;
use stored::index;
use stored::index::Index;
use stored::layer;
use stored::names;
use stored::names::Name;
use tar::unpack::UnpackError;

/// What overlayfs takes as lower directories (OVL_MAX_STACK).
pub(crate) const MOST_LAYERS: usize = 500;

#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    #[error("no such image: {name}")]
    NotFound { name: String, hint: String },
    #[error("`{prefix}` is the beginning of more than one image's id")]
    Ambiguous { prefix: String, found: Vec<Digest> },
    #[error("{} is damaged", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error("{} is damaged", path.display())]
    NoFile { path: PathBuf, source: SysError },
    #[error("the config of image {image} is not valid")]
    Config { image: Digest, source: oci_spec::OciSpecError },
    #[error("image {image} is damaged: {what}")]
    Damaged { image: Digest, what: String },
    #[error("layer {layer} is not in the store, though an image uses it")]
    NoLayer { layer: Digest },
    #[error("cannot put the archive of layer {layer} together")]
    LayerArchive { layer: Digest, source: std::io::Error },
    #[error("layers {wanted} and {found} begin with the same digits")]
    Collision { wanted: Digest, found: Digest },
    #[error("{subject} has {count} layers, but the kernel lays no more than {MOST_LAYERS} on top of each other")]
    ManyLayers { subject: String, count: usize },
    #[error("cannot unpack {subject}")]
    Unpack { subject: String, source: UnpackError },
    #[error("cannot pack the changes")]
    Pack(#[source] std::io::Error),
    #[error("image {} is used by {}", image.short(), shown(containers))]
    InUse { image: Digest, containers: Vec<String> },
    #[error("image {} is one of the platforms of an index: {}", image.short(), index.short())]
    Listed { image: Digest, index: Digest },
    #[error("image {} has several names: {}", image.short(), names.join(", "))]
    ManyNames { image: Digest, names: Vec<String> },
    #[error(transparent)]
    Load(#[from] load::LoadError),
    #[error(transparent)]
    Save(#[from] save::SaveError),
    #[error(transparent)]
    Install(#[from] install::InstallError),
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for ImageError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Load, Save, Install, Reference, Store; Unpack)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { hint, .. } => Some(hint.clone()),
            Self::Ambiguous { found, .. } => {
                let ids: Vec<String> = found.iter().map(Digest::short).collect();
                Some(format!("type more of it; it may be one of\n{}", ids.join("\n")))
            }
            Self::InUse { containers, .. } => {
                let ids: Vec<&str> = containers.iter().map(|id| short_container(id)).collect();
                Some(format!("remove first what uses it: minirun rm {}", ids.join(" ")))
            }
            Self::ManyNames { names, .. } => {
                Some(format!("remove one name: minirun rmi {}\nor the image with all of them: add -f", names[0]))
            }
            Self::Listed { index, .. } => {
                Some(format!("remove the index with all its images: minirun rmi {}", index.short()))
            }
            Self::ManyLayers { .. } => Some(
                "make it of fewer layers: several commands in one RUN, or its files in one layer, by minirun export and import"
                    .into(),
            ),
            Self::Json { .. } | Self::NoFile { .. } => Some(format!("what mends it: {}", store::CHECK)),
            Self::NoLayer { .. } | Self::LayerArchive { .. } => {
                Some(format!("what mends it: {}; or get the image again", store::CHECK))
            }
            Self::Damaged { image, .. } => Some(format!(
                "what mends it: {}; or remove it and get it again: minirun rmi -f {}",
                store::CHECK,
                image.short()
            )),
            Self::Sys(error) => StoreError::Sys(error.clone()).hint(),
            _ => self.inner().and_then(Diagnose::hint),
        }
    }
}

impl ImageError {
    /// Of a stream between two threads, of which the other one knows why.
    fn is_broken_pipe(&self) -> bool {
        matches!(self, Self::Pack(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

fn short_container(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

fn shown(containers: &[String]) -> String {
    let ids: Vec<&str> = containers.iter().map(|id| short_container(id)).collect();
    format!("{} {}", if ids.len() == 1 { "container" } else { "containers" }, ids.join(", "))
}

/// An image: data, that is, and nothing that runs.
#[derive(Debug, Clone)]
pub struct Image {
    /// The digest of its config.
    pub id: Digest,
    /// The diff IDs of its layers, bottom first.
    pub layers: Vec<Digest>,
    raw: Value,
    config: ImageConfiguration,
}

impl Image {
    pub fn config(&self) -> &ImageConfiguration {
        &self.config
    }

    /// The config with all its fields, also those that only Docker knows.
    pub fn raw_config(&self) -> &Value {
        &self.raw
    }

    /// What overlayfs wants as lower directories, relative to the store, bottom first.
    pub fn layer_dirs(&self) -> Vec<PathBuf> {
        // It refuses one twice; of the same layer twice, the upper one has it all.
        let mut above = HashSet::new();
        let shown = self.layers.iter().rev().filter(|layer| above.insert(**layer));
        let mut directories: Vec<PathBuf> = shown.map(|layer| layer::relative(layer).join("fs")).collect();
        directories.reverse();
        directories
    }

    /// `None`: no image has this id.
    pub fn open(store: &Store, id: &Digest) -> Result<Option<Self>, ImageError> {
        let path = directory(store, id).join("config.json");
        let text = match fs::read(&path) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
            Err(e) => return Err(ImageError::Damaged { image: *id, what: format!("its config cannot be read: {e}") }),
            Ok(text) => text,
        };
        if Digest::of(&text) != *id {
            return Err(ImageError::Damaged { image: *id, what: "its config has another digest".into() });
        }
        Self::parse(*id, &text).map(Some)
    }

    /// An image from the bytes of its config.
    pub fn parse(id: Digest, config: &[u8]) -> Result<Self, ImageError> {
        let invalid = |source: serde_json::Error| ImageError::Config { image: id, source: source.into() };
        let raw: Value = serde_json::from_slice(config).map_err(invalid)?;
        let config: ImageConfiguration = serde_json::from_slice(config).map_err(invalid)?;
        let layers = config.rootfs().diff_ids().iter().map(|text| text.parse());
        let layers = layers
            .collect::<Result<_, _>>()
            .map_err(|e: digest::InvalidDigest| ImageError::Damaged { image: id, what: e.to_string() })?;
        Ok(Self { id, layers, raw, config })
    }

    /// The bytes of its files' contents, all layers together.
    pub fn size(&self, store: &Store) -> Result<u64, ImageError> {
        let mut size = 0;
        for layer in &self.layers {
            let info = layer::info(store, layer).unwrap_or_else(|error| {
                let path = layer::directory(store, layer).join("info.json");
                store::tell_damage(&path, &crate::diag::why(&error));
                None
            });
            size += info.map_or(0, |info| info.size);
        }
        Ok(size)
    }
}

/// What cannot run is not made.
pub(crate) fn check_layers(subject: &str, count: usize) -> Result<(), ImageError> {
    if count > MOST_LAYERS { Err(ImageError::ManyLayers { subject: subject.to_owned(), count }) } else { Ok(()) }
}

/// A JSON document of the store; `None`: it is not there.
pub(crate) fn document<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, ImageError> {
    let text = match fs::read(path) {
        Err(e) if e.raw_os_error() == Some(libc::ENOENT) => return Ok(None),
        Err(e) if e.raw_os_error() == Some(libc::EISDIR) => {
            let source = Err::<(), _>(e).on("read", "").err();
            return match source {
                Some(source) => Err(ImageError::NoFile { path: path.to_owned(), source }),
                None => Ok(None),
            };
        }
        other => other.on("read", path)?,
    };
    let record = store::format::from_record(&text);
    record.map(Some).map_err(|source| ImageError::Json { path: path.to_owned(), source })
}

pub(crate) fn directory(store: &Store, id: &Digest) -> PathBuf {
    store.path("images").join(id.hex())
}

/// Every image's id; for listings only.
pub(crate) fn all(store: &Store) -> Result<Vec<Digest>, ImageError> {
    digests_in(&store.path("images"))
}

/// The config as it came, byte for byte.
pub(crate) fn config_bytes(store: &Store, id: &Digest) -> Result<Vec<u8>, ImageError> {
    let path = directory(store, id).join("config.json");
    Ok(fs::read(&path).on("read", &path)?)
}

/// A manifest by which the image is known, as it came.
pub(crate) fn manifest_bytes(store: &Store, id: &Digest, manifest: &Digest) -> Result<Vec<u8>, ImageError> {
    let path = directory(store, id).join("manifests").join(manifest.hex());
    Ok(fs::read(&path).on("read", &path)?)
}

/// The image becomes known by one more manifest. `claim` is the image's.
pub(crate) fn add_manifest(store: &Store, claim: &ImageClaim, manifest: &[u8]) -> Result<(), ImageError> {
    let path = directory(store, &claim.image).join("manifests").join(Digest::of(manifest).hex());
    if path.exists() { Ok(()) } else { Ok(store::write_durably(&path, manifest)?) }
}

/// The digests of the manifests by which an image is known.
pub(crate) fn manifests(store: &Store, id: &Digest) -> Result<Vec<Digest>, ImageError> {
    digests_in(&directory(store, id).join("manifests"))
}

fn digests_in(directory: &Path) -> Result<Vec<Digest>, ImageError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).on("opendir", directory)? {
        let name = entry.on("readdir", directory)?.file_name();
        found.extend(name.to_str().and_then(Digest::from_hex));
    }
    found.sort();
    Ok(found)
}

/// An image by name, id, or the beginning of its id; of an index, the image for this machine.
pub fn find(store: &Store, name_or_id: &str) -> Result<Image, ImageError> {
    must_open(store, &lookup(store, name_or_id)?.image)
}

fn must_open(store: &Store, id: &Digest) -> Result<Image, ImageError> {
    let gone = || ImageError::Damaged { image: *id, what: "its directory is gone".into() };
    Image::open(store, id)?.ok_or_else(gone)
}

/// The image for a platform that a name or an id stands for. `None`: what it stands for is there, but for another platform.
pub(crate) fn find_for(store: &Store, name_or_id: &str, wanted: &Platform) -> Result<Option<Image>, ImageError> {
    let found = lookup(store, name_or_id)?;
    let image = must_open(store, &found.image)?;
    if wanted.takes_config(image.config()) {
        return Ok(Some(image));
    }
    match found.index(store)?.as_ref().and_then(|index| index.for_platform(wanted)) {
        Some(member) => Image::open(store, &member.image),
        None => Ok(None),
    }
}

/// What a name or an id stands for.
pub(crate) struct Found {
    /// Of an index, the image for this machine.
    pub image: Digest,
    /// Unless an id was given.
    pub name: Option<Name>,
    /// The manifest or index that was named.
    pub manifest: Option<Digest>,
}

impl Found {
    /// `None`: it stands for an image alone, or its index is not here.
    pub(crate) fn index(&self, store: &Store) -> Result<Option<Index>, ImageError> {
        self.manifest.map_or(Ok(None), |digest| Index::open(store, &digest))
    }

    fn of_id(store: &Store, id: Digest) -> Result<Option<Self>, ImageError> {
        if directory(store, &id).exists() {
            return Ok(Some(Self { image: id, name: None, manifest: None }));
        }
        let index = Index::open(store, &id)?;
        Ok(index.map(|index| Self { image: index.main().image, name: None, manifest: Some(id) }))
    }
}

/// [`find`] without opening it.
pub(crate) fn lookup(store: &Store, name_or_id: &str) -> Result<Found, ImageError> {
    let hex = name_or_id.strip_prefix("sha256:").unwrap_or(name_or_id);
    if let Some(id) = Digest::from_hex(hex) {
        return Found::of_id(store, id)?.ok_or_else(|| not_found(store, name_or_id));
    }
    let reference = name_or_id.parse::<Reference>();
    if let Ok(reference) = &reference
        && let Some(name) = names::resolve(store, &reference.clone().or_latest())?
    {
        return Ok(Found { image: name.image, manifest: Some(name.manifest), name: Some(name) });
    }
    if !hex.is_empty() && hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        let hex = hex.to_ascii_lowercase();
        let ids = all(store)?.into_iter().chain(index::all(store)?);
        let found: Vec<Digest> = ids.filter(|id| id.hex().starts_with(&hex)).collect();
        match found[..] {
            [] => {}
            [id] => return Found::of_id(store, id)?.ok_or_else(|| not_found(store, name_or_id)),
            _ => return Err(ImageError::Ambiguous { prefix: name_or_id.to_owned(), found }),
        }
    }
    if id::not_hexadecimal(name_or_id).is_none() {
        reference?;
    }
    Err(not_found(store, name_or_id))
}

fn not_found(store: &Store, name: &str) -> ImageError {
    let hint = meant(store, name).unwrap_or_else(|| {
        "see the images there are: minirun images; get one: minirun pull NAME, minirun load -i FILE, minirun import FILE NAME"
            .into()
    });
    ImageError::NotFound { name: name.to_owned(), hint }
}

/// What may have been meant by a name or id that no image has.
pub(crate) fn meant(store: &Store, name: &str) -> Option<String> {
    // Looked for only now that there is nothing else to do.
    let ids: Vec<String> = all(store).unwrap_or_default().iter().map(Digest::short).collect();
    let names: Vec<String> = names::all(store).unwrap_or_default().iter().map(|n| n.reference.familiar()).collect();
    id::meant("image", name, &ids, &names)
}

/// Notes that a container uses the image, so that it is not removed from under it.
pub(crate) fn hold(store: &Store, image: &Image, container: &str) -> Result<(), ImageError> {
    let _claim = ImageClaim::take(store, image.id)?;
    let directory = directory(store, &image.id);
    if !directory.exists() {
        return Err(not_found(store, &image.id.short()));
    }
    let users = directory.join("containers");
    fs::create_dir_all(&users).on("mkdir", &users)?;
    File::create(users.join(container)).on("open", &users)?;
    Ok(())
}

/// Where [`hold`] notes it, relative to the store.
pub(crate) fn hold_path(image: &Digest, container: &str) -> PathBuf {
    Path::new("images").join(image.hex()).join("containers").join(container)
}

/// The ids of the containers that use the image.
pub(crate) fn containers(store: &Store, image: &Digest) -> Vec<String> {
    let entries = fs::read_dir(directory(store, image).join("containers")).into_iter().flatten().flatten();
    let mut ids: Vec<String> = entries.filter_map(|e| e.file_name().into_string().ok()).collect();
    ids.sort();
    ids
}

/// An image's directory that nobody sees yet.
fn prepare(scratch: &Scratch, config: &[u8], manifest: &[u8]) -> Result<PathBuf, ImageError> {
    let entry = scratch.path().join("image");
    for part in ["manifests", "names", "containers"] {
        fs::create_dir_all(entry.join(part)).on("mkdir", &entry)?;
    }
    let manifest_name = Digest::of(manifest).hex();
    for (path, bytes) in [(entry.join("config.json"), config), (entry.join("manifests").join(manifest_name), manifest)]
    {
        fs::write(&path, bytes).on("write", &path)?;
    }
    Ok(entry)
}

/// Makes a [`prepare`]d image visible whose layers are all there; or adds the manifest if the image is there too.
fn publish(
    store: &Store,
    scratch: &Scratch,
    claim: &ImageClaim,
    entry: &Path,
    manifest: &[u8],
) -> Result<(), ImageError> {
    let target = directory(store, &claim.image);
    if !scratch.publish(entry, &target)? {
        add_manifest(store, claim, manifest)?;
    }
    Ok(())
}

/// Written to disk, all that the store's file system still holds back.
pub(crate) fn sync(store: &Store) -> Result<(), ImageError> {
    let root: &Path = &store.root;
    let directory = File::open(root).on("open", root)?;
    Ok(rustix::fs::syncfs(&directory).on("syncfs", root)?)
}
