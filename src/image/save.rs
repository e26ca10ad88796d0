//! `save`: images as a docker-archive that is an OCI archive too, as an OCI archive, or as an OCI directory.

use super::error::{ImageError, SaveError};
use super::media_type::{OCI_INDEX, OCI_MANIFEST};
use super::name::digest::{Digest, Hashing};
use super::name::reference::Reference;
use super::stored::find::{self, Match};
use super::stored::image::{self, Image};
use super::stored::index::{Index, NewIndex};
use super::stored::layer::{self, Info};
use super::stored::manifest;
use super::tar::header::{self, Header};
use crate::store::{Store, random_hex};
use crate::sys::On;
use oci_spec::image::ImageManifest;
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tar::EntryType;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Docker,
    Oci,
}

/// An image or an index to be saved, under the names asked for.
struct Chosen {
    id: Digest,
    names: Vec<Reference>,
    /// The image; of an index, all images.
    images: Vec<Saved>,
    /// The number of the image that stands for all.
    main: usize,
    index: Option<NewIndex>,
}

/// An image to be saved.
struct Saved {
    image: Image,
    config: Vec<u8>,
    manifest: Vec<u8>,
    /// Each layer as the manifest names it, bottom first.
    layers: Vec<(Info, Digest, u64)>,
}

/// Writes the images that `wanted` names into an archive. Its entries have these annotations too.
pub(crate) fn save(
    store: &Store,
    wanted: &[String],
    format: Format,
    annotations: &Map<String, Value>,
    output: impl Write,
    target: &str,
) -> Result<(), ImageError> {
    let chosen = choose(store, wanted)?;
    let mut sink = Tar { output, target };
    write_all(store, &chosen, format, annotations, &mut sink)?;
    Ok(sink.finish()?)
}

/// [`save`] into a file, which is there when it is whole and not before.
pub(crate) fn save_file(
    store: &Store,
    wanted: &[String],
    format: Format,
    annotations: &Map<String, Value>,
    path: &Path,
) -> Result<(), ImageError> {
    let target = path.display().to_string();
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        // A pipe or a device, which is written as it is.
        let file = File::options().write(true).open(path).on("open", path)?;
        return save(store, wanted, format, annotations, file, &target);
    }
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}.new", random_hex(4)));
    let new = PathBuf::from(new);
    let file = File::create_new(&new).on("open", path)?;
    let saved = save(store, wanted, format, annotations, file, &target);
    let saved = saved.and_then(|()| Ok(fs::rename(&new, path).on("rename", path)?));
    if saved.is_err() {
        let _ = fs::remove_file(&new);
    }
    saved
}

/// Writes the images that `wanted` names into a new directory.
pub(crate) fn save_directory(store: &Store, wanted: &[String], path: &Path) -> Result<(), ImageError> {
    let chosen = choose(store, wanted)?;
    if fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(SaveError::NotEmpty { path: path.to_owned() }.into());
    }
    fs::create_dir_all(path.join("blobs/sha256")).on("mkdir", path)?;
    write_all(store, &chosen, Format::Oci, &Map::new(), &mut Directory { path })
}

fn choose(store: &Store, wanted: &[String]) -> Result<Vec<Chosen>, ImageError> {
    let mut chosen: Vec<Chosen> = Vec::new();
    for one in wanted {
        let found = find::lookup(store, one)?;
        let index = found.index(store)?;
        let id = index.as_ref().map_or(found.image, |index| index.digest);
        let reference = found.name.as_ref().map(|n| n.reference.clone());
        match chosen.iter_mut().find(|c| c.id == id) {
            Some(same) => {
                same.names.extend(reference);
                same.names.sort();
                same.names.dedup();
            }
            None => chosen.push(Chosen::new(store, id, found, index)?),
        }
    }
    Ok(chosen)
}

impl Chosen {
    fn new(store: &Store, id: Digest, found: Match, index: Option<Index>) -> Result<Self, ImageError> {
        let names = found.name.map(|n| n.reference).into_iter().collect();
        let Some(index) = index else {
            let images = vec![Saved::new(store, &found.image, found.manifest)?];
            return Ok(Self { id, names, images, main: 0, index: None });
        };
        let images = index.members.iter().map(|member| Saved::new(store, &member.image, Some(member.manifest)));
        let images = images.collect::<Result<Vec<_>, _>>()?;
        let main = images.iter().position(|one| one.image.id == found.image).unwrap_or_default();
        let made = index.with(store, images.iter().map(|one| one.manifest.clone()).collect())?;
        Ok(Self { id, names, images, main, index: Some(made) })
    }

    fn descriptor(&self) -> Value {
        match &self.index {
            Some(made) => {
                json!({ "mediaType": OCI_INDEX, "digest": Digest::of(&made.bytes), "size": made.bytes.len() })
            }
            None => self.images[self.main].descriptor(),
        }
    }

    /// One entry of the index for each name, in containerd's words and in OCI's.
    fn index_entries(&self, annotations: &Map<String, Value>) -> Vec<Value> {
        let named = |name: Option<&Reference>| {
            let mut entry = self.descriptor();
            let mut all = annotations.clone();
            if let Some(name) = name {
                all.insert("io.containerd.image.name".into(), json!(name.to_string()));
                let tag = name.tag.as_deref().unwrap_or("latest");
                all.insert("org.opencontainers.image.ref.name".into(), json!(tag));
            }
            if !all.is_empty() {
                entry["annotations"] = Value::Object(all);
            }
            entry
        };
        if self.names.is_empty() {
            vec![named(None)]
        } else {
            self.names.iter().map(|name| named(Some(name))).collect()
        }
    }

    /// Docker's own format knows nothing of platforms: it names the one that stands for all.
    fn docker_entry(&self) -> Value {
        let main = &self.images[self.main];
        let tags: Vec<String> = self.names.iter().filter(|n| n.tag.is_some()).map(Reference::familiar).collect();
        let layers: Vec<String> = main.layers.iter().map(|(_, digest, _)| blob_path(digest)).collect();
        let tags = if tags.is_empty() { Value::Null } else { json!(tags) };
        json!({ "Config": blob_path(&main.image.id), "RepoTags": tags, "Layers": layers })
    }
}

impl Saved {
    /// `preferred`: the manifest by which the image is asked for.
    fn new(store: &Store, id: &Digest, preferred: Option<Digest>) -> Result<Self, ImageError> {
        let image = image::must_open(store, id)?;
        let config = image::config_bytes(store, id)?;
        let infos = image.layers.iter().map(|l| layer::known(store, l)).collect::<Result<Vec<_>, _>>()?;
        let mut known = Vec::new();
        for digest in image::manifests(store, id)? {
            known.push((digest, image::manifest_bytes(store, id, &digest)?));
        }
        let said = known.iter().find(|(digest, _)| Some(*digest) == preferred);
        let said = said.map(|(_, text)| manifest::annotations(text)).unwrap_or_default();
        // The one that is asked for comes first, and then those that say the same of the image.
        known.sort_by_key(|(digest, text)| (Some(*digest) != preferred, manifest::annotations(text) != said));
        let found = known.into_iter().find_map(|(_, text)| available(&text, &infos).map(|layers| (text, layers)));
        // None whose blobs are here: a layer that was there before came as another blob.
        let (manifest, layers) = found.unwrap_or_else(|| {
            let text = manifest::annotate(manifest::make(&config, &infos), said);
            let layers = available(&text, &infos).unwrap_or_default();
            (text, layers)
        });
        Ok(Self { image, config, manifest, layers })
    }

    fn descriptor(&self) -> Value {
        let fields: Value = serde_json::from_slice(&self.manifest).unwrap_or_default();
        let media_type = fields["mediaType"].as_str().unwrap_or(OCI_MANIFEST);
        let raw = self.image.raw_config();
        let mut platform = json!({ "architecture": raw["architecture"], "os": raw["os"] });
        if let Some(variant) = raw["variant"].as_str().filter(|v| !v.is_empty()) {
            platform["variant"] = json!(variant);
        }
        json!({
            "mediaType": media_type, "digest": Digest::of(&self.manifest), "size": self.manifest.len(),
            "platform": platform,
        })
    }
}

/// The layers as a manifest names them, if each is here in that form.
fn available(manifest: &[u8], infos: &[Info]) -> Option<Vec<(Info, Digest, u64)>> {
    let manifest: ImageManifest = serde_json::from_slice(manifest).ok()?;
    if manifest.layers().len() != infos.len() {
        return None;
    }
    let one = |(descriptor, info): (&oci_spec::image::Descriptor, &Info)| {
        let digest: Digest = descriptor.digest().to_string().parse().ok()?;
        let size = match &info.blob {
            Some(blob) if blob.digest == digest => blob.size,
            _ if info.diff_id == digest => info.archive,
            _ => return None,
        };
        Some((info.clone(), digest, size))
    };
    manifest.layers().iter().zip(infos).map(one).collect()
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The names once more, each with its top layer, as some older readers want them and Docker still writes them. `None`: there
/// are no names.
fn repositories(chosen: &[Chosen]) -> Option<Value> {
    let mut repositories = json!({});
    for one in chosen {
        let Some((_, top, _)) = one.images[one.main].layers.last() else { continue };
        for name in &one.names {
            if let Some(tag) = &name.tag {
                repositories[name.familiar_repository()][tag] = json!(top.hex());
            }
        }
    }
    repositories.as_object().is_some_and(|all| !all.is_empty()).then_some(repositories)
}

fn write_all(
    store: &Store,
    chosen: &[Chosen],
    format: Format,
    annotations: &Map<String, Value>,
    sink: &mut impl Sink,
) -> Result<(), ImageError> {
    sink.directory("blobs")?;
    sink.directory("blobs/sha256")?;
    let mut written = HashSet::new();
    for one in chosen.iter().flat_map(|chosen| &chosen.images) {
        for (info, digest, size) in &one.layers {
            if !written.insert(*digest) {
                continue;
            }
            let mut archive = Hashing::new(layer::archive(store, info, digest)?);
            sink.file(&blob_path(digest), *size, &mut archive)?;
            let (_, found, _) = archive.finish();
            if found != *digest {
                let what = format!("layer {} now has the digest {found}", info.diff_id);
                return Err(ImageError::Damaged { image: one.image.id, what });
            }
        }
        for document in [&one.config, &one.manifest] {
            let digest = Digest::of(document);
            if written.insert(digest) {
                sink.document(&blob_path(&digest), document)?;
            }
        }
    }
    for made in chosen.iter().filter_map(|chosen| chosen.index.as_ref()) {
        for document in made.blobs.iter().map(|(_, bytes)| bytes).chain([&made.bytes]) {
            let digest = Digest::of(document);
            if written.insert(digest) {
                sink.document(&blob_path(&digest), document)?;
            }
        }
    }
    let entries: Vec<Value> = chosen.iter().flat_map(|chosen| chosen.index_entries(annotations)).collect();
    let index = json!({
        "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries,
    });
    if format == Format::Docker {
        let entries: Vec<Value> = chosen.iter().map(Chosen::docker_entry).collect();
        sink.document("manifest.json", json!(entries).to_string().as_bytes())?;
        if let Some(repositories) = repositories(chosen) {
            sink.document("repositories", repositories.to_string().as_bytes())?;
        }
    }
    sink.document("oci-layout", json!({ "imageLayoutVersion": "1.0.0" }).to_string().as_bytes())?;
    // Last, since it is what makes the rest an image.
    Ok(sink.document("index.json", index.to_string().as_bytes())?)
}

trait Sink {
    fn directory(&mut self, name: &str) -> Result<(), SaveError>;
    fn file(&mut self, name: &str, size: u64, contents: &mut dyn Read) -> Result<(), SaveError>;

    fn document(&mut self, name: &str, mut bytes: &[u8]) -> Result<(), SaveError> {
        self.file(name, bytes.len() as u64, &mut bytes)
    }
}

struct Tar<'a, W> {
    output: W,
    target: &'a str,
}

impl<W: Write> Tar<'_, W> {
    fn failed(&self, source: io::Error) -> SaveError {
        SaveError::Write { target: self.target.to_owned(), source }
    }

    fn header(&mut self, kind: EntryType, name: &str, mode: u32, size: u64) -> Result<(), SaveError> {
        let header = Header::plain(kind, name.as_bytes(), mode, size);
        header.write(&mut self.output).map_err(|e| self.failed(e))
    }

    fn finish(mut self) -> Result<(), SaveError> {
        header::write_end(&mut self.output).and_then(|()| self.output.flush()).map_err(|e| self.failed(e))
    }
}

impl<W: Write> Sink for Tar<'_, W> {
    fn directory(&mut self, name: &str) -> Result<(), SaveError> {
        self.header(EntryType::Directory, &format!("{name}/"), 0o755, 0)
    }

    fn file(&mut self, name: &str, size: u64, contents: &mut dyn Read) -> Result<(), SaveError> {
        self.header(EntryType::Regular, name, 0o644, size)?;
        let copied = copy_exactly(contents, size, &mut self.output);
        let written = copied.and_then(|()| header::write_padding(size, &mut self.output));
        written.map_err(|e| self.failed(e))
    }
}

struct Directory<'a> {
    path: &'a Path,
}

impl Sink for Directory<'_> {
    fn directory(&mut self, _: &str) -> Result<(), SaveError> {
        Ok(())
    }

    fn file(&mut self, name: &str, size: u64, contents: &mut dyn Read) -> Result<(), SaveError> {
        let path = self.path.join(name);
        let written = File::create(&path).and_then(|mut file| copy_exactly(contents, size, &mut file));
        written.map_err(|source| SaveError::Write { target: path.display().to_string(), source })
    }
}

fn copy_exactly(contents: &mut dyn Read, size: u64, output: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; 256 << 10];
    let mut left = size;
    while left > 0 {
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let n = contents.read(&mut buffer[..most])?;
        if n == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        output.write_all(&buffer[..n])?;
        left -= n as u64;
    }
    Ok(())
}
