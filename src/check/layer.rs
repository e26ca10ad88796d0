//! Checks of layers: whether the content fits the record, and where it can be recovered from.

use super::report::{Check, entries, name_of};
use crate::builder::walk::cache;
use crate::container::stored::record::Container;
use crate::diag::Failure;
use crate::image::ingest::{NamedByBlob, ingest};
use crate::image::install::expect_digest;
use crate::image::name::digest::{Digest, Hasher};
use crate::image::overlay::owner::Owners;
use crate::image::stored::layer;
use crate::image::stored::layer::Info;
use crate::image::stored::location;
use crate::image::stored::location::Location;
use crate::image::stored::verify::differences;
use crate::image::tar::unpack::Limits;
use crate::image::{self, Image, ImageError, config};
use crate::registry::Settings;
use crate::registry::refetch::Origin;
use crate::store::Store;
use crate::sys::On;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

#[derive(Debug, thiserror::Error)]
pub(super) enum LayerError {
    #[error("container {0} is running on this layer: stop it first")]
    InUse(String),
    #[error("no registry has the layer")]
    NoSource,
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl crate::diag::Diagnose for LayerError {}

/// What a layer is recovered from.
enum Source {
    /// Its own archive, which is undamaged.
    Archive(Info),
    Registry(Vec<Location>),
}

impl Source {
    fn repair(&self) -> String {
        match self {
            Self::Archive(_) => "unpack its archive again".into(),
            Self::Registry(all) => {
                let all: Vec<String> = all.iter().map(|l| format!("{}/{}", l.registry, l.repository)).collect();
                format!("fetch it from {}", all.join(" or "))
            }
        }
    }
}

impl Check<'_> {
    pub(crate) fn layers(&mut self) -> Result<(), Failure> {
        let wanted = self.wanted();
        for directory in self.entries("layers")? {
            let name = name_of(&directory).to_owned();
            if !directory.is_dir() || name.len() != 24 || !name.bytes().all(|b| b.is_ascii_hexdigit()) {
                self.remove(&directory, "is not a layer");
                continue;
            }
            self.layer(&directory, &name, wanted.get(&name));
        }
        Ok(())
    }

    /// Returns the layers that images and builds list, by the names of their directories.
    fn wanted(&self) -> BTreeMap<String, Digest> {
        let images = image::all(self.store).unwrap_or_default();
        let images = images.iter().filter_map(|id| Image::open(self.store, id).ok().flatten());
        let built = cache::layers(self.store);
        let all = images.flat_map(|image| image.layers).chain(built);
        all.map(|diff_id| (name_of(&layer::relative(&diff_id)).to_owned(), diff_id)).collect()
    }

    fn layer(&mut self, directory: &Path, name: &str, wanted: Option<&Digest>) {
        let locations = directory.join(layer::LOCATIONS);
        if locations.exists() && !location::are_whole(directory) {
            self.remove(&locations, "cannot be read");
        }
        // The images themselves list their layers.
        self.directory(&directory.join("images"));
        let (info, mut damages) = match layer::info_at(directory) {
            Ok(Some(info)) if info.diff_id.hex().starts_with(name) => (Some(info), Vec::new()),
            Ok(_) => (None, vec![(directory.join("info.json"), "is missing or belongs to another layer".to_owned())]),
            Err(error) => (None, vec![(directory.join("info.json"), crate::diag::why(&error))]),
        };
        let Some(diff_id) = info.as_ref().map(|info| info.diff_id).or(wanted.copied()) else {
            return self.remove(directory, "its diff ID is not known, and no image lists it");
        };
        let tree = directory.join("fs");
        if !tree.is_dir() {
            damages.push((tree.clone(), "is not a directory".to_owned()));
        }
        let known = info.clone().or_else(|| found_archive(directory, diff_id));
        let compared = known.as_ref().map(|info| compare(self.store, directory, info));
        let (archive, files) = compared.map_or((None, None), |compared| (Some(compared.archive), compared.files));
        damages.extend(archive.iter().flatten().cloned());
        damages.extend(files);
        let Some((path, _)) = damages.first().cloned() else { return };
        let damage = damages.iter().map(|(_, damage)| damage.as_str()).collect::<Vec<_>>().join("; ");
        let locations = location::of(self.store, &diff_id);
        let source = match (known, archive) {
            (Some(info), Some(None)) => Source::Archive(info),
            _ if !locations.is_empty() => Source::Registry(locations),
            _ if info.is_some() && tree.is_dir() => {
                let advice = "images with it run, but cannot be saved or pushed; pull them again, or remove them";
                return self.leave(&path, damage, advice);
            }
            _ => {
                self.lost.push(name.to_owned());
                let advice =
                    "this layer cannot be recovered; images that need it are removed unless a container uses them";
                return self.leave(&path, damage, advice);
            }
        };
        let (store, settings) = (self.store, self.settings);
        self.mend(&path, damage, source.repair(), || remake(store, directory, diff_id, &source, settings));
    }

    /// Checks the users of each layer: images and build steps. A layer without users is removed.
    pub(crate) fn users(&mut self) -> Result<(), Failure> {
        let store = self.store;
        for (diff_id, user) in cache::strays(store)? {
            let path = layer::directory(store, &diff_id).join("images").join(user.hex());
            self.mend(&path, "an image or build step that does not exist holds this layer", "release it", || {
                layer::release(store, &diff_id, &user)?;
                Ok(())
            });
        }
        for directory in self.entries("layers")? {
            let Ok(Some(info)) = layer::info_at(&directory) else { continue };
            for user in entries(&directory.join("images"))? {
                if Digest::from_hex(name_of(&user)).is_none() {
                    self.remove(&user, "is not a user of a layer");
                }
            }
            if directory.exists() && entries(&directory.join("images"))?.is_empty() {
                self.mend(&directory, "is not used", "remove it", || {
                    let _claim = layer::claim(store, &info.diff_id)?;
                    drop(store.withdraw(&directory)?);
                    Ok(())
                });
            }
        }
        Ok(())
    }
}

/// Returns what is known of a layer whose `info.json` is lost: which archive it has.
fn found_archive(directory: &Path, diff_id: Digest) -> Option<Info> {
    let blobs: Vec<PathBuf> = entries(&directory.join("blobs")).ok()?;
    let blob = blobs.iter().find_map(|path| {
        let digest = Digest::from_hex(name_of(path))?;
        let size = fs::metadata(path).ok()?.len();
        Some(layer::Blob { digest, size, media_type: String::new() })
    });
    Some(Info { diff_id, size: 0, entries: 0, archive: 0, blob, created: config::now() })
}

/// The damages of a layer: the path and description of each.
struct Damages {
    archive: Option<(PathBuf, String)>,
    files: Option<(PathBuf, String)>,
}

/// Compares the whole archive with the files that were unpacked from it.
fn compare(store: &Store, directory: &Path, info: &Info) -> Damages {
    let broken = |path: &Path, damage: String| Damages { archive: Some((path.to_owned(), damage)), files: None };
    let path = match &info.blob {
        Some(blob) => directory.join("blobs").join(blob.digest.hex()),
        None => directory.join("record.zst"),
    };
    if let Some(blob) = &info.blob {
        match File::open(&path).and_then(digest_of) {
            Ok(found) if found == blob.digest => {}
            Ok(found) => return broken(&path, format!("has the digest {found}")),
            Err(error) => return broken(&path, format!("cannot be read: {error}")),
        }
    }
    let tree = directory.join("fs");
    let read = layer::archive(store, info, &info.diff_id).map_err(|error| crate::diag::in_one_line(&error));
    let compared = |archive| match tree.is_dir() {
        true => differences(&tree, archive).map_err(|error| crate::diag::in_one_line(&error)),
        false => digest_of(archive).map(|digest| (digest, Vec::new())).map_err(|error| error.to_string()),
    };
    match read.and_then(compared) {
        Ok((found, differing)) if found == info.diff_id => {
            let others = match differing.len() {
                0 | 1 => String::new(),
                all => format!(", and {} others", all - 1),
            };
            let damage = || format!("differs from the layer's archive{others}");
            Damages { archive: None, files: differing.first().map(|first| (tree.join(first), damage())) }
        }
        Ok((found, _)) => broken(&path, format!("its uncompressed content has the digest {found}")),
        Err(error) => broken(&path, format!("cannot be read: {error}")),
    }
}

fn digest_of(mut source: impl Read) -> io::Result<Digest> {
    let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 256 << 10]);
    loop {
        match source.read(&mut buffer)? {
            0 => return Ok(hasher.finish()),
            n => hasher.update(&buffer[..n]),
        }
    }
}

fn remake(
    store: &Store,
    directory: &Path,
    diff_id: Digest,
    source: &Source,
    settings: &Settings,
) -> Result<(), Failure> {
    let tree = layer::relative(&diff_id).join("fs");
    let runs_on_it = |container: &Container| container.record.layers.iter().any(|layer| Path::new(layer) == tree);
    if let Some(container) = Container::running(store).into_iter().find(runs_on_it) {
        return Err(LayerError::InUse(container.record.name).into());
    }
    match source {
        Source::Archive(info) => {
            let archive = layer::archive(store, info, &diff_id)?;
            let blob = info.blob.as_ref().map(|blob| directory.join("blobs").join(blob.digest.hex()));
            match blob {
                // As it came, so that it can be pushed with the same digest.
                Some(blob) => make(store, diff_id, File::open(&blob).on("open", &blob)?),
                None => make(store, diff_id, archive),
            }
        }
        Source::Registry(locations) => fetch(store, diff_id, locations, settings),
    }
}

/// Fetches a layer from the first registry that has it.
pub(crate) fn fetch(
    store: &Store,
    diff_id: Digest,
    locations: &[Location],
    settings: &Settings,
) -> Result<(), Failure> {
    let mut failure: Failure = LayerError::NoSource.into();
    for location in locations {
        let fetched = Origin::open(&location.registry, &location.repository, settings).and_then(|origin| {
            origin.blob(location.blob.digest, location.blob.size, |stream| make(store, diff_id, stream))
        });
        match fetched {
            Ok(made) => return made,
            Err(error) => failure = error.into(),
        }
    }
    Err(failure)
}

fn make(store: &Store, diff_id: Digest, archive: impl Read + Send) -> Result<(), Failure> {
    let scratch = store.scratch()?;
    let entry = scratch.path().join("layer");
    let unpacked = ingest(entry, archive, &Owners::here()?, Limits::from_env(), &config::now(), NamedByBlob::Yes);
    let subject = format!("layer {}", diff_id.short());
    let made = unpacked.map_err(|source| ImageError::Unpack { subject, source })?;
    expect_digest("layer", diff_id, made.info.diff_id).map_err(ImageError::from)?;
    Ok(layer::replace(store, &scratch, &made.entry, &diff_id)?)
}
