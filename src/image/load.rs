//! `load`: the images of a docker-archive, an OCI archive, a directory of either, or one that skopeo or Podman has made, told
//! apart by what they contain.

pub(crate) mod archive;
mod directory;
mod legacy;
mod listed;

use super::ImageError;
use super::install::{Candidate, InstallError, Source, install};
use super::name::digest::Digest;
use super::name::platform;
use super::name::platform::Platform;
use super::name::reference::Reference;
use super::nature::{self, Nature};
use super::stored::index;
use super::stored::index::Made;
use super::tar::tape::printable;
use super::tar::unpack::UnpackError;
use crate::diag::Diagnose;
use crate::store::Store;
use archive::{Archive, ArchiveError};
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Install(#[from] InstallError),
    #[error("{archive} holds no images: it has neither index.json nor manifest.json nor repositories")]
    NoImages { archive: String },
    #[error("`{name}` in {archive} is not valid")]
    Document { archive: String, name: String, source: serde_json::Error },
    #[error("`{name}` in {archive} is a manifest and an index at once")]
    TwoFaced { archive: String, name: String },
    #[error("an image in {archive} is named by {digest}, which is no SHA-256 digest")]
    Algorithm { archive: String, digest: String },
    #[error("{archive} has no image for {wanted}; it has {}", offered.join(", "))]
    Platform { archive: String, wanted: String, offered: Vec<String> },
    #[error("{archive} holds {}", nature.what)]
    Other { archive: String, nature: Nature },
    #[error("cannot unpack `{name}` in {archive}")]
    Unpack { archive: String, name: String, source: UnpackError },
    #[error("the layers of {id} in {archive} stand on each other without end")]
    Endless { archive: String, id: String },
    #[error("indexes in {archive} refer to each other without end")]
    Nested { archive: String },
}

impl Diagnose for LoadError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoImages { .. } => Some("a root file system is made an image by: minirun import FILE NAME".into()),
            Self::Install(error) => error.hint(),
            Self::Unpack { source, .. } => source.hint(),
            Self::Other { nature, .. } => nature.hint.map(str::to_owned),
            Self::Archive(ArchiveError::Tape { source: super::tar::tape::TapeError::Truncated(_), .. }) => {
                Some("the archive is damaged or incomplete: fetch it again".into())
            }
            Self::Platform { offered, .. } => offered.first().map(|one| format!("choose one: --platform {one}")),
            _ => None,
        }
    }
}

pub(crate) struct Loaded {
    pub id: Digest,
    pub names: Vec<Reference>,
    /// Names in the archive that are not valid.
    pub nameless: Vec<String>,
}

/// `None` is standard input.
pub(crate) fn load(store: &Store, path: Option<&Path>, wanted: Option<&Platform>) -> Result<Vec<Loaded>, ImageError> {
    let scratch = store.scratch()?;
    let archive = Archive::open(path, &scratch).map_err(LoadError::from)?;
    let mut loaded = Vec::new();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (found, indexes) = candidates(&archive, wanted)?;
    for found in found {
        let layers = Layers { archive: &archive, files: &found.files };
        let id = install(store, &found.image, &layers, threads)?;
        if !found.is_listed {
            loaded.push(Loaded { id, names: found.image.names, nameless: found.nameless });
        }
    }
    for (made, names) in indexes {
        let id = index::keep(store, &made, &names.good)?;
        loaded.push(Loaded { id, names: names.good, nameless: names.bad });
    }
    Ok(loaded)
}

/// An image in an archive, and the files of its layers, bottom first.
struct Found {
    image: Candidate,
    files: Vec<String>,
    nameless: Vec<String>,
    /// It belongs to an index, which has the names.
    is_listed: bool,
}

/// The images in an archive, and the indexes that list some of them.
type Candidates = (Vec<Found>, Vec<(Made, Names)>);

/// The names of an image in an archive, valid and invalid ones.
#[derive(Default, Clone)]
struct Names {
    good: Vec<Reference>,
    bad: Vec<String>,
}

impl Names {
    fn add(&mut self, text: &str) {
        match text.parse::<Reference>() {
            Ok(name) => self.good.push(name.or_latest()),
            Err(_) => self.bad.push(printable(text.as_bytes())),
        }
    }

    fn extend(&mut self, other: &Self) {
        self.good.extend(other.good.iter().cloned());
        self.bad.extend(other.bad.iter().cloned());
    }
}

fn candidates(archive: &Archive, wanted: Option<&Platform>) -> Result<Candidates, LoadError> {
    let alone = |found| (found, Vec::new());
    // Docker writes both; the index alone has the manifests as they came.
    if archive.has("index.json") {
        let names = if archive.has("manifest.json") { docker_names(archive)? } else { HashMap::new() };
        return oci(archive, wanted, &names);
    }
    if archive.has("manifest.json") {
        let document = archive.document("manifest.json")?;
        let is_one = parse::<Value>(archive, "manifest.json", &document)?.is_object();
        let found = if is_one { directory::images(archive, document, wanted) } else { docker(archive, wanted) };
        return found.map(alone);
    }
    if archive.has(legacy::REPOSITORIES) {
        return legacy::images(archive, wanted).map(alone);
    }
    Err(LoadError::NoImages { archive: archive.name.clone() })
}

fn parse<T: for<'de> Deserialize<'de>>(archive: &Archive, name: &str, text: &[u8]) -> Result<T, LoadError> {
    serde_json::from_slice(text).map_err(|source| LoadError::Document {
        archive: archive.name.clone(),
        name: name.to_owned(),
        source,
    })
}

/// One image in `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

impl DockerImage {
    fn names(&self) -> Names {
        let mut names = Names::default();
        self.repo_tags.iter().flatten().for_each(|tag| names.add(tag));
        names
    }
}

fn docker_images(archive: &Archive) -> Result<Vec<DockerImage>, LoadError> {
    parse(archive, "manifest.json", &archive.document("manifest.json")?)
}

fn docker(archive: &Archive, wanted: Option<&Platform>) -> Result<Vec<Found>, LoadError> {
    let mut found = Vec::new();
    let mut others = Vec::new();
    for image in docker_images(archive)? {
        let config = archive.document(&image.config)?;
        let names = image.names();
        let known = parse(archive, &image.config, &config)?;
        if wanted.is_some_and(|wanted| !wanted.takes_config(&known)) {
            others.push(platform::of_config(&known).to_string());
            continue;
        }
        let files = image.layers.unwrap_or_default();
        found.push(Found::of_files(config, files, names));
    }
    refuse_if_none(archive, wanted, found, others)
}

fn refuse_if_none(
    archive: &Archive,
    wanted: Option<&Platform>,
    found: Vec<Found>,
    offered: Vec<String>,
) -> Result<Vec<Found>, LoadError> {
    if found.is_empty() && !offered.is_empty() {
        let wanted = wanted.cloned().unwrap_or_else(Platform::here).to_string();
        return Err(LoadError::Platform { archive: archive.name.clone(), wanted, offered });
    }
    Ok(found)
}

impl Found {
    /// An image without a manifest: only its config tells the digests of the layers.
    fn of_files(config: Vec<u8>, files: Vec<String>, names: Names) -> Self {
        let layers = vec![None; files.len()];
        let image = Candidate { config, manifest: None, index: None, layers, names: names.good };
        Self { image, files, nameless: names.bad, is_listed: false }
    }
}

/// The names in `manifest.json`, by the digest of the config they belong to.
fn docker_names(archive: &Archive) -> Result<HashMap<Digest, Names>, LoadError> {
    let mut names: HashMap<Digest, Names> = HashMap::new();
    for image in docker_images(archive)? {
        // A platform of the image that was not saved has no config here.
        if let Ok(config) = archive.document(&image.config) {
            names.entry(Digest::of(&config)).or_default().extend(&image.names());
        }
    }
    Ok(names)
}

fn oci(
    archive: &Archive,
    wanted: Option<&Platform>,
    docker_names: &HashMap<Digest, Names>,
) -> Result<Candidates, LoadError> {
    let top: ImageIndex = parse(archive, "index.json", &archive.document("index.json")?)?;
    let mut found: Vec<Found> = Vec::new();
    let mut others = Vec::new();
    let mut nature = None;
    let mut indexes: Vec<(Made, Names)> = Vec::new();
    for descriptor in top.manifests() {
        // Who asks for a platform gets its image alone.
        if wanted.is_none()
            && let Some((images, made)) = listed::index(archive, descriptor)?
        {
            let mut names = Names::default();
            annotated_name(descriptor).into_iter().for_each(|name| names.add(name));
            let configs = images.iter().map(|found| Digest::of(&found.image.config));
            configs.filter_map(|config| docker_names.get(&config)).for_each(|more| names.extend(more));
            match indexes.iter_mut().find(|(other, _)| other.bytes == made.bytes) {
                Some((_, same)) => same.extend(&names),
                None => {
                    indexes.push((made, names));
                    found.extend(images);
                }
            }
            continue;
        }
        let Some((manifest, document)) = choose(archive, descriptor, wanted, &mut others)? else { continue };
        let fields: Value = parse(archive, "a manifest", &document)?;
        if let Some(other) = nature::of(&fields) {
            nature = Some(other);
            continue;
        }
        let config_name = blob_name(archive, manifest.config())?;
        let config = archive.document(&config_name)?;
        check(archive, "config", manifest.config(), &config)?;
        // Something else that registries carry too.
        let Ok(known) = serde_json::from_slice(&config) else {
            nature = nature.or_else(|| nature::otherwise(&fields));
            continue;
        };
        let matches = wanted.cloned().unwrap_or_else(Platform::here).takes_config(&known);
        if !matches && (wanted.is_some() || top.manifests().len() > 1 && descriptor.platform().is_some()) {
            others.push(platform::of_config(&known).to_string());
            continue;
        }
        let (mut layers, mut files) = (Vec::new(), Vec::new());
        for layer in manifest.layers() {
            layers.push(Some(digest(archive, layer)?));
            files.push(blob_name(archive, layer)?);
        }
        let mut names = Names::default();
        annotated_name(descriptor).into_iter().for_each(|name| names.add(name));
        docker_names.get(&Digest::of(&config)).into_iter().for_each(|more| names.extend(more));
        // One image under several names is listed once for each.
        let is_same = |other: &&mut Found| !other.is_listed && other.image.manifest.as_ref() == Some(&document);
        match found.iter_mut().find(is_same) {
            Some(same) => {
                same.image.names.extend(names.good);
                same.nameless.extend(names.bad);
            }
            None => {
                let image = Candidate { config, manifest: Some(document), index: None, layers, names: names.good };
                found.push(Found { image, files, nameless: names.bad, is_listed: false });
            }
        }
    }
    for one in &mut found {
        one.image.names.sort();
        one.image.names.dedup();
        one.nameless.sort();
        one.nameless.dedup();
    }
    for (_, names) in &mut indexes {
        names.good.sort();
        names.good.dedup();
        names.bad.sort();
        names.bad.dedup();
    }
    match nature {
        Some(nature) if found.is_empty() && others.is_empty() => {
            Err(LoadError::Other { archive: archive.name.clone(), nature })
        }
        _ => refuse_if_none(archive, wanted, found, others).map(|found| (found, indexes)),
    }
}

/// The manifest behind a descriptor, by way of any indexes. `None`: it is not for this platform, or not in the archive.
fn choose(
    archive: &Archive,
    descriptor: &Descriptor,
    wanted: Option<&Platform>,
    others: &mut Vec<String>,
) -> Result<Option<(ImageManifest, Vec<u8>)>, LoadError> {
    let here = Platform::here();
    let mut descriptor = descriptor.clone();
    for _ in 0..4 {
        let name = blob_name(archive, &descriptor)?;
        let document = archive.document(&name)?;
        check(archive, "manifest", &descriptor, &document)?;
        let fields: Value = parse(archive, &name, &document)?;
        let (is_index, is_manifest) = (fields.get("manifests").is_some(), fields.get("layers").is_some());
        if is_index && is_manifest {
            // One digest must not stand for two things, depending on who reads it.
            return Err(LoadError::TwoFaced { archive: archive.name.clone(), name });
        }
        if !is_index {
            return Ok(Some((parse(archive, &name, &document)?, document)));
        }
        let index: ImageIndex = parse(archive, &name, &document)?;
        // An index may name platforms that were left out of the archive.
        let is_here = |d: &&Descriptor| blob_name(archive, d).is_ok_and(|name| archive.has(&name));
        let candidates = platform::candidates(&index, wanted.unwrap_or(&here));
        let Some(chosen) = candidates.into_iter().find(is_here) else {
            others.extend(platform::offered(index.manifests().iter().filter(is_here)));
            return Ok(None);
        };
        descriptor = chosen.clone();
    }
    Err(LoadError::Nested { archive: archive.name.clone() })
}

fn digest(archive: &Archive, descriptor: &Descriptor) -> Result<Digest, LoadError> {
    let text = descriptor.digest().to_string();
    text.parse().map_err(|_| LoadError::Algorithm { archive: archive.name.clone(), digest: text })
}

fn blob_name(archive: &Archive, descriptor: &Descriptor) -> Result<String, LoadError> {
    Ok(format!("blobs/sha256/{}", digest(archive, descriptor)?.hex()))
}

fn check(archive: &Archive, what: &'static str, descriptor: &Descriptor, bytes: &[u8]) -> Result<(), LoadError> {
    let (expected, found) = (digest(archive, descriptor)?, Digest::of(bytes));
    if expected == found { Ok(()) } else { Err(InstallError::Digest { what, expected, found }.into()) }
}

/// containerd's annotation has the whole name; OCI's own often but the tag, which names nothing.
fn annotated_name(descriptor: &Descriptor) -> Option<&str> {
    let annotations = descriptor.annotations().as_ref()?;
    let whole = annotations.get("io.containerd.image.name");
    let name =
        whole.or_else(|| annotations.get("org.opencontainers.image.ref.name").filter(|n| n.contains([':', '/'])));
    name.map(String::as_str)
}

/// The layers of one image in an archive, by their files.
struct Layers<'a> {
    archive: &'a Archive,
    files: &'a [String],
}

impl Source for Layers<'_> {
    fn layer(&self, number: usize) -> Result<Box<dyn Read + Send + '_>, ImageError> {
        Ok(self.archive.file(&self.files[number]).map_err(LoadError::from)?.0)
    }
}
