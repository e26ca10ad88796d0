//! Indexes: one digest for the images of several platforms and for their attestations.
//!
//! `indexes/<digest>/` holds `index.json` byte for byte, `members.json` (which image each manifest is of), and in `blobs/`
//! the documents of attestations. The images lie among all others. Each keeps an empty file per index in its `indexes/`;
//! such a file holds the image only while the index is there or is being made.

use super::claim::{self, ImageClaim};
use super::document::{self, digests_in, sync};
use super::image;
use super::names;
use super::publish::add_manifest;
use crate::image::attestation::{self, Attestation};
use crate::image::error::ImageError;
use crate::image::media_type::{OCI_INDEX, OCI_MANIFEST};
use crate::image::name::digest::Digest;
use crate::image::name::platform::{self, Platform};
use crate::image::name::reference::Reference;
use crate::store::{Store, format};
use crate::sys::On;
use oci_spec::image::{Descriptor, ImageIndex};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::fs::{self, File};
use std::path::PathBuf;

pub(crate) const DIRECTORY: &str = "indexes";

/// An index in the store.
pub(crate) struct Index {
    pub digest: Digest,
    pub bytes: Vec<u8>,
    /// The images, in the order of its entries.
    pub members: Vec<Member>,
}

/// An image that an index lists.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Member {
    pub image: Digest,
    pub manifest: Digest,
    /// The platform by the index.
    #[serde(skip)]
    pub platform: Option<Platform>,
}

/// `members.json`.
#[derive(Default, Serialize, Deserialize)]
struct Members {
    members: Vec<Member>,
}

/// An image that is to be listed in an index.
pub(crate) struct Listed {
    pub image: Digest,
    pub platform: Platform,
    pub manifest: Vec<u8>,
    /// Annotations of the image's entry in the index.
    pub annotations: Map<String, Value>,
    pub attestations: Vec<Attestation>,
}

/// An index that is not in the store yet.
pub(crate) struct NewIndex {
    pub bytes: Vec<u8>,
    /// The images, each with its manifest.
    pub members: Vec<(Digest, Vec<u8>)>,
    /// The documents of attestations.
    pub blobs: Vec<(Digest, Vec<u8>)>,
}

impl NewIndex {
    /// Returns whether the index has an entry for a manifest.
    pub(crate) fn lists(&self, digest: &Digest) -> bool {
        listed(&self.bytes).contains(digest)
    }
}

/// Returns the digests of the entries of an index.
fn listed(index: &[u8]) -> Vec<Digest> {
    let document: Value = serde_json::from_slice(index).unwrap_or_default();
    let entries = document["manifests"].as_array().into_iter().flatten();
    entries.filter_map(|entry| entry["digest"].as_str()?.parse().ok()).collect()
}

/// Makes an index of images in their order, and after them their attestations.
pub(crate) fn make(images: Vec<Listed>, annotations: Map<String, Value>, names: &[Reference]) -> NewIndex {
    let (mut entries, mut attested) = (Vec::new(), Vec::new());
    let mut made = NewIndex { bytes: Vec::new(), members: Vec::new(), blobs: Vec::new() };
    for one in images {
        let digest = Digest::of(&one.manifest);
        let mut entry = json!({
            "mediaType": media_type(&one.manifest), "digest": digest, "size": one.manifest.len(), "platform": {},
        });
        one.platform.describe(&mut entry["platform"]);
        if !one.annotations.is_empty() {
            entry["annotations"] = Value::Object(one.annotations);
        }
        entries.push(entry);
        if !one.attestations.is_empty() {
            let documents = attestation::make(&digest, &one.platform, names, &one.attestations);
            attested.push(documents.entry);
            made.blobs.extend(documents.blobs);
        }
        made.members.push((one.image, one.manifest));
    }
    entries.append(&mut attested);
    let mut document = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries });
    if !annotations.is_empty() {
        document["annotations"] = Value::Object(annotations);
    }
    made.bytes = document.to_string().into_bytes();
    made
}

fn media_type(manifest: &[u8]) -> Value {
    let fields: Value = serde_json::from_slice(manifest).unwrap_or_default();
    fields["mediaType"].as_str().unwrap_or(OCI_MANIFEST).into()
}

/// Returns the directory of an index, which need not be there.
pub(crate) fn directory(store: &Store, digest: &Digest) -> PathBuf {
    store.path(DIRECTORY).join(digest.hex())
}

/// Returns whether an index is in the store.
pub(crate) fn exists(store: &Store, digest: &Digest) -> bool {
    directory(store, digest).exists()
}

/// Returns the digests of all indexes. For listings only.
pub(crate) fn all(store: &Store) -> Result<Vec<Digest>, ImageError> {
    if store.path(DIRECTORY).exists() { digests_in(&store.path(DIRECTORY)) } else { Ok(Vec::new()) }
}

impl Index {
    /// Opens the index with this digest. `None`: there is none.
    pub(crate) fn open(store: &Store, digest: &Digest) -> Result<Option<Self>, ImageError> {
        let directory = directory(store, digest);
        let path = directory.join("index.json");
        let bytes = match fs::read(&path) {
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) && !directory.exists() => return Ok(None),
            other => other.on("read", &path)?,
        };
        let damaged = |what: &str| ImageError::Damaged { image: *digest, what: what.to_owned() };
        if Digest::of(&bytes) != *digest {
            return Err(damaged("its index has another digest"));
        }
        let document: ImageIndex = serde_json::from_slice(&bytes).map_err(|_| damaged("its index cannot be read"))?;
        let known: Members = document::read(&directory.join("members.json"))?.unwrap_or_default();
        let member = |descriptor: &Descriptor| {
            let manifest: Digest = descriptor.digest().to_string().parse().ok()?;
            let image = known.members.iter().find(|member| member.manifest == manifest)?.image;
            Some(Member { image, manifest, platform: platform::of_descriptor(descriptor) })
        };
        let members: Vec<Member> = document.manifests().iter().filter_map(member).collect();
        if members.is_empty() {
            return Err(damaged("its index does not say which images it lists"));
        }
        Ok(Some(Self { digest: *digest, bytes, members }))
    }

    /// Returns the image that stands for the whole index where no platform is asked for: the one for this machine, or the
    /// first.
    pub(crate) fn main(&self) -> &Member {
        self.for_platform(&Platform::here()).unwrap_or(&self.members[0])
    }

    /// Returns the first image for a platform.
    pub(crate) fn for_platform(&self, wanted: &Platform) -> Option<&Member> {
        self.members.iter().find(|member| member.platform.as_ref().is_some_and(|platform| wanted.takes(platform)))
    }

    /// Reads a document of an attestation.
    pub(crate) fn blob(&self, store: &Store, digest: &Digest) -> Result<Vec<u8>, ImageError> {
        let path = directory(store, &self.digest).join("blobs").join(digest.hex());
        let bytes = fs::read(&path).on("read", &path)?;
        if Digest::of(&bytes) == *digest {
            return Ok(bytes);
        }
        Err(ImageError::Damaged { image: self.digest, what: format!("its document {digest} has another digest") })
    }

    /// Returns the digests of the manifests that are not of images but of attestations, in the order of the entries.
    pub(crate) fn others(&self) -> Vec<Digest> {
        let is_other = |digest: &Digest| self.members.iter().all(|member| member.manifest != *digest);
        listed(&self.bytes).into_iter().filter(is_other).collect()
    }

    /// Returns the index with other manifests of the same images, which are given in the order of its members. Attestations
    /// follow their images.
    pub(crate) fn with(&self, store: &Store, manifests: Vec<Vec<u8>>) -> Result<NewIndex, ImageError> {
        let mut document: Value = serde_json::from_slice(&self.bytes).unwrap_or_default();
        let renewed: HashMap<Digest, &Vec<u8>> =
            self.members.iter().map(|member| member.manifest).zip(&manifests).collect();
        let mut is_other = false;
        let mut blobs = Vec::new();
        for entry in document["manifests"].as_array_mut().into_iter().flatten() {
            let Some(digest) = entry["digest"].as_str().and_then(|text| text.parse::<Digest>().ok()) else { continue };
            if let Some(manifest) = renewed.get(&digest) {
                is_other |= Digest::of(manifest) != digest;
                entry["mediaType"] = media_type(manifest);
                entry["digest"] = json!(Digest::of(manifest));
                entry["size"] = json!(manifest.len());
                continue;
            }
            let attested = self.blob(store, &digest)?;
            let old = entry["annotations"].as_object().and_then(attestation::subject);
            let new = old.and_then(|old| renewed.get(&old)).map(|manifest| Digest::of(manifest));
            match old.zip(new).filter(|(old, new)| old != new) {
                Some((old, new)) => {
                    let documents = attestation::renew(&old, &new, &attested, |blob| self.blob(store, blob))?;
                    *entry = documents.entry;
                    blobs.extend(documents.blobs);
                }
                None => {
                    for blob in attestation::parts(&attested) {
                        blobs.push((blob, self.blob(store, &blob)?));
                    }
                    blobs.push((digest, attested));
                }
            }
        }
        let bytes = if is_other { document.to_string().into_bytes() } else { self.bytes.clone() };
        let members = self.members.iter().map(|member| member.image).zip(manifests);
        Ok(NewIndex { bytes, members: members.collect(), blobs })
    }
}

/// Returns each image once, in the order in which images are claimed.
fn images_of(members: &[Member]) -> Vec<Digest> {
    let mut images: Vec<Digest> = members.iter().map(|member| member.image).collect();
    images.sort();
    images.dedup();
    images
}

/// Returns the path of the note that an index lists an image.
pub(crate) fn note(store: &Store, image: &Digest, index: &Digest) -> PathBuf {
    image::directory(store, image).join(DIRECTORY).join(index.hex())
}

/// Keeps an index whose images are in the store, and gives it its names.
pub(crate) fn keep(store: &Store, made: &NewIndex, names: &[Reference]) -> Result<Digest, ImageError> {
    let digest = Digest::of(&made.bytes);
    // The index is claimed before its images, so that nobody who claims several waits in a circle.
    let _making = ImageClaim::take(store, digest)?;
    if !exists(store, &digest) {
        publish(store, made, digest)?;
    }
    let gone = || ImageError::Damaged { image: digest, what: "its index was removed meanwhile".into() };
    let index = Index::open(store, &digest)?.ok_or_else(gone)?;
    let image = index.main().image;
    let stands = |name: &Reference| {
        Ok::<_, ImageError>(names::resolve(store, name)?.is_some_and(|n| n.image == image && n.manifest == digest))
    };
    for name in names {
        if !stands(name)? {
            names::set(store, &ImageClaim::take(store, image)?, name, digest)?;
        }
    }
    Ok(digest)
}

fn publish(store: &Store, made: &NewIndex, digest: Digest) -> Result<(), ImageError> {
    let mut members = Vec::new();
    for (image, manifest) in &made.members {
        let claim = ImageClaim::take(store, *image)?;
        if !image::directory(store, image).exists() {
            return Err(ImageError::Damaged { image: *image, what: "it was removed meanwhile".into() });
        }
        add_manifest(store, &claim, manifest)?;
        let note = note(store, image, &digest);
        let parent = note.parent().unwrap_or(&note);
        fs::create_dir_all(parent).on("mkdir", parent)?;
        File::create(&note).on("open", &note)?;
        members.push(Member { image: *image, manifest: Digest::of(manifest), platform: None });
    }
    let scratch = store.scratch()?;
    let entry = scratch.path().join("index");
    fs::create_dir_all(entry.join("blobs")).on("mkdir", &entry)?;
    let members = format::to_record(&Members { members });
    for (name, bytes) in [("index.json", &made.bytes), ("members.json", &members)] {
        fs::write(entry.join(name), bytes).on("write", &entry)?;
    }
    for (digest, bytes) in &made.blobs {
        fs::write(entry.join("blobs").join(digest.hex()), bytes).on("write", &entry)?;
    }
    sync(store)?;
    let all = store.path(DIRECTORY);
    fs::create_dir_all(&all).on("mkdir", &all)?;
    scratch.publish(&entry, &directory(store, &digest))?;
    Ok(())
}

/// Returns the indexes that list an image, and are here or being made.
pub(crate) fn holding(store: &Store, image: &Digest) -> Vec<Digest> {
    let notes = fs::read_dir(image::directory(store, image).join(DIRECTORY)).into_iter().flatten().flatten();
    let indexes = notes.filter_map(|note| note.file_name().to_str().and_then(Digest::from_hex));
    indexes.filter(|index| exists(store, index) || claim::is_held(store, index)).collect()
}

/// Returns the images of an index, also of a damaged one.
pub(crate) fn images(store: &Store, digest: &Digest) -> Result<Vec<Digest>, ImageError> {
    if let Ok(Some(index)) = Index::open(store, digest) {
        return Ok(images_of(&index.members));
    }
    let noted = image::all(store)?.into_iter();
    Ok(noted.filter(|image| note(store, image, digest).exists()).collect())
}
