//! Checks of images and their names.

use super::layer::fetch;
use super::report::{Check, entries, name_of};
use crate::container::request::id::ContainerId;
use crate::diag::Failure;
use crate::image;
use crate::image::install::expect_digest;
use crate::image::name::digest::Digest;
use crate::image::stored::claim::ImageClaim;
use crate::image::stored::location;
use crate::image::stored::location::Location;
use crate::image::stored::{layer, manifest, names};
use crate::image::{Image, ImageError};
use crate::registry::Settings;
use crate::registry::refetch::Origin;
use crate::store::{self, Store};
use crate::sys::On;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

#[derive(Debug, thiserror::Error)]
#[error("its registry is not known")]
struct UnknownOrigin;

impl crate::diag::Diagnose for UnknownOrigin {}

impl Check<'_> {
    pub(crate) fn images(&mut self) -> Result<(), Failure> {
        for directory in self.entries("images")? {
            match Digest::from_hex(name_of(&directory)) {
                Some(id) if directory.is_dir() => self.image(&directory, id)?,
                _ => self.remove(&directory, "is not an image"),
            }
        }
        Ok(())
    }

    fn image(&mut self, directory: &Path, id: Digest) -> Result<(), Failure> {
        let (store, settings) = (self.store, self.settings);
        for part in ["manifests", "names", "containers"] {
            self.directory(&directory.join(part));
        }
        for path in entries(&directory.join("manifests"))? {
            let digest = Digest::from_hex(name_of(&path));
            let is_whole = fs::read(&path).is_ok_and(|text| Some(Digest::of(&text)) == digest);
            match digest {
                _ if is_whole => {}
                Some(digest) if !origins(store, id).is_empty() => {
                    let repair = format!("fetch it from {}", listed(&origins(store, id)));
                    self.mend(&path, "has another digest", repair, || {
                        let bytes = from_any(store, id, settings, |origin| Ok(origin.manifest(&digest)?))?;
                        Ok(store::write_durably(&path, &bytes)?)
                    });
                }
                _ => self.remove(&path, "has another digest, and its registry is not known"),
            }
        }
        let opened = match Image::open(store, &id) {
            Ok(Some(image)) => Some(image),
            Ok(None) => self.config(directory, id, "is missing")?,
            Err(error) => self.config(directory, id, &crate::diag::why(&error))?,
        };
        let Some(image) = opened else { return Ok(()) };
        self.layers_of(directory, &image)?;
        let manifests = directory.join("manifests");
        if directory.exists() && entries(&manifests)?.is_empty() {
            self.mend(&manifests, "has no manifest", "create one", || {
                let infos = image.layers.iter().map(|layer| layer::known(store, layer));
                let infos = infos.collect::<Result<Vec<_>, _>>()?;
                let made = manifest::make(&image::config_bytes(store, &id)?, &infos);
                let claim = ImageClaim::take(store, id)?;
                image::add_manifest(store, &claim, &made)?;
                let named = names::of_image(store, &id)?;
                Ok(named.iter().try_for_each(|name| names::set(store, &claim, &name.reference, Digest::of(&made)))?)
            });
        }
        Ok(())
    }

    /// Fetches the config again: it cannot be derived, since its digest is the image's ID.
    fn config(&mut self, directory: &Path, id: Digest, damage: &str) -> Result<Option<Image>, Failure> {
        let (store, settings) = (self.store, self.settings);
        let path = directory.join("config.json");
        let sizes = entries(&directory.join("manifests"))?;
        let size = sizes.iter().find_map(|path| {
            let fields: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
            fields["config"]["size"].as_u64()
        });
        if let Some(size) = size.filter(|_| !origins(store, id).is_empty()) {
            let repair = format!("fetch it from {}", listed(&origins(store, id)));
            let mended = self.mend(&path, damage, repair, || {
                let bytes = from_any(store, id, settings, |origin| {
                    let mut bytes = Vec::new();
                    let read = origin.blob(id, size, |mut stream| stream.read_to_end(&mut bytes))?;
                    read.on("read", &path)?;
                    Ok(bytes)
                })?;
                expect_digest("config", id, Digest::of(&bytes)).map_err(ImageError::from)?;
                Ok(store::write_durably(&path, &bytes)?)
            });
            return Ok(if mended { Image::open(store, &id)? } else { None });
        }
        self.give_up(directory, id, &path, damage);
        Ok(None)
    }

    /// Removes an image that cannot be recovered, unless a container uses it.
    fn give_up(&mut self, directory: &Path, id: Digest, path: &Path, damage: &str) {
        let store = self.store;
        let users = image::containers(store, &id);
        if users.iter().any(|user| store.path("containers").join(user).exists()) {
            let advice = "it cannot be recovered, and a container uses this image: copy what you need (minirun cp), \
                          then remove both";
            return self.leave(path, damage, advice);
        }
        self.mend(path, damage, "drop the image, which cannot be recovered", || {
            let claim = ImageClaim::take(store, id)?;
            for name in entries(&store.path("names"))? {
                if names::read(&name).is_ok_and(|name| name.is_some_and(|name| name.image == id)) {
                    store::remove_tree(&name)?;
                }
            }
            let used = layer::used_by(store, &id)?;
            let withdrawn = store.withdraw(directory)?;
            for layer in used {
                layer::release(store, &layer, &id)?;
            }
            drop((withdrawn, claim));
            Ok(())
        });
    }

    /// Checks that the image's layers exist and list the image.
    fn layers_of(&mut self, directory: &Path, image: &Image) -> Result<(), Failure> {
        let (store, settings) = (self.store, self.settings);
        for (number, diff_id) in image.layers.iter().enumerate() {
            let place = layer::directory(store, diff_id);
            if self.lost.iter().any(|lost| lost == name_of(&place)) {
                self.give_up(directory, image.id, &place, "is lost");
                return Ok(());
            }
            if !place.exists() {
                let blob = blob_of(directory, number);
                let locations: Vec<Location> = blob.map_or_else(Vec::new, |blob| {
                    let all = origins(store, image.id).into_iter();
                    all.map(|(registry, repository)| Location { registry, repository, blob: blob.clone() }).collect()
                });
                if locations.is_empty() {
                    self.give_up(directory, image.id, &place, "is missing");
                    return Ok(());
                }
                let repair = format!("fetch it from {}", listed(&origins(store, image.id)));
                let fetched = self.mend(&place, "is missing", repair, || fetch(store, *diff_id, &locations, settings));
                if !fetched {
                    continue;
                }
            }
            let user = place.join("images").join(image.id.hex());
            if place.join("images").is_dir() && !user.exists() {
                self.mend(&user, "the layer does not list this image", "add it", || {
                    Ok(File::create(&user).map(drop).on("open", &user)?)
                });
            }
        }
        Ok(())
    }

    pub(crate) fn names(&mut self) -> Result<(), Failure> {
        let store = self.store;
        for path in self.entries("names")? {
            let file = name_of(&path).to_owned();
            let damage = match names::read(&path) {
                Ok(Some(name)) if !image::directory(store, &name.image).exists() => {
                    self.remove(&path, "refers to an image that does not exist");
                    continue;
                }
                Ok(Some(name)) if names::file_name(&name.reference) == file => {
                    let back = image::directory(store, &name.image).join("names").join(&file);
                    if back.parent().is_some_and(Path::is_dir) && !back.exists() {
                        self.mend(&back, "the image does not list this name", "add it", || {
                            Ok(File::create(&back).map(drop).on("open", &back)?)
                        });
                    }
                    continue;
                }
                Ok(_) => "holds another name".to_owned(),
                Err(error) => crate::diag::why(&error),
            };
            // The image lists its names too.
            let ids = image::all(store)?;
            let mut known = ids.into_iter().filter(|id| image::directory(store, id).join("names").join(&file).exists());
            let (id, others) = (known.next(), known.next());
            match (names::reference_of(&file), id, others) {
                (Some(reference), Some(id), None) => {
                    let repair = format!("write it again for image {}, which lists it", id.short());
                    self.mend(&path, damage, repair, || {
                        let index = image::stored::index::holding(store, &id).first().copied();
                        let manifest = index.or(image::manifests(store, &id)?.first().copied()).unwrap_or(id);
                        let claim = ImageClaim::take(store, id)?;
                        store::remove_tree(&path)?;
                        Ok(names::set(store, &claim, &reference, manifest)?)
                    });
                }
                _ => self.remove(&path, damage),
            }
        }
        Ok(())
    }

    /// Removes the holds of containers and builds that no longer exist, which keep an image from being removed.
    pub(crate) fn holds(&mut self) -> Result<(), Failure> {
        let mut in_work = BTreeSet::new();
        for scratch in self.entries("tmp")? {
            let text = fs::read_to_string(scratch.join("belongings.json")).unwrap_or_default();
            in_work.insert(text);
        }
        for image in self.entries("images")? {
            for hold in entries(&image.join("containers"))? {
                let id = name_of(&hold);
                let is_there = id.parse::<ContainerId>().is_ok() && self.store.path("containers").join(id).exists();
                if !is_there && !in_work.iter().any(|text| text.contains(id)) {
                    self.remove(&hold, "a container or build that does not exist holds this image");
                }
            }
        }
        Ok(())
    }
}

/// Returns the registries and repositories that have an image, as its layers record them, or else its names.
fn origins(store: &Store, id: Digest) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    let used = layer::used_by(store, &id).unwrap_or_default();
    let locations = used.iter().flat_map(|layer| location::of(store, layer)).collect::<Vec<_>>();
    found.extend(locations.into_iter().map(|location| (location.registry, location.repository)));
    if found.is_empty() {
        // A name without a registry may exist in this store only, so Docker Hub is not asked for it.
        let named = names::of_image(store, &id).unwrap_or_default().into_iter().map(|name| name.reference);
        found.extend(named.filter(|name| !name.is_of_hub()).map(|name| (name.registry, name.repository)));
    }
    found.sort();
    found.dedup();
    found
}

fn listed(origins: &[(String, String)]) -> String {
    let all: Vec<String> = origins.iter().map(|(registry, repository)| format!("{registry}/{repository}")).collect();
    all.join(" or ")
}

/// Gets something from the first of an image's origins that has it.
fn from_any<T>(
    store: &Store,
    id: Digest,
    settings: &Settings,
    get: impl Fn(&Origin) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut failure: Failure = UnknownOrigin.into();
    for (registry, repository) in origins(store, id) {
        let opened = Origin::open(&registry, &repository, settings).map_err(Failure::from);
        match opened.and_then(|origin| get(&origin)) {
            Ok(found) => return Ok(found),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Returns the blob that a manifest of the image names for a layer.
fn blob_of(directory: &Path, number: usize) -> Option<layer::Blob> {
    entries(&directory.join("manifests")).ok()?.iter().find_map(|path| {
        let fields: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        serde_json::from_value(fields["layers"].get(number)?.clone()).ok()
    })
}
