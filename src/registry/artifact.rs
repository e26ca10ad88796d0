//! Artifacts: documents and layers in a registry, each with a name, under one manifest that is not an image's.

use super::explain::{self, Verb};
use super::push;
use super::session::Session;
use super::session::endpoint;
use super::transfer::download::Download;
use super::transfer::manifest::{self, Kind as Manifest};
use super::transfer::publish::put_manifest;
use super::transfer::upload::{Bytes, Target};
use super::{Progress, RegistryError, Settings, State};
use crate::image::Image;
use crate::image::media_type::OCI_MANIFEST;
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use crate::image::stored::layer::Blob;
use crate::store::Store;
use oci_spec::image::Descriptor;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Read;
use std::sync::Mutex;

/// The type of an artifact: in its manifest, and in messages.
pub(crate) struct Kind {
    pub artifact_type: &'static str,
    pub documents: &'static str,
    pub words: &'static str,
}

/// The annotation that holds the name of a part.
const NAME: &str = "minirun.name";
/// The config of an artifact, which is empty (OCI image specification, "Guidance for an Empty Descriptor").
const EMPTY_TYPE: &str = "application/vnd.oci.empty.v1+json";
const EMPTY: &[u8] = b"{}";

/// An artifact in a registry.
pub(crate) struct Artifact {
    session: Session,
    repository: String,
    parts: HashMap<String, Descriptor>,
}

impl Artifact {
    /// Reads the list of its parts.
    pub(crate) fn open(reference: &Reference, kind: &Kind, settings: &Settings) -> Result<Self, RegistryError> {
        let session = endpoint::open(reference, settings)?;
        match parts(&session, reference, kind) {
            Ok(parts) => Ok(Self { session, repository: reference.repository.clone(), parts }),
            Err(error) => Err(explain::explain(error, &session, reference, Verb::Pull)),
        }
    }

    /// Opens an image as an artifact. Returns its layers as parts, under the names that `layer` gives them, and its config.
    pub(crate) fn of_image(
        reference: &Reference,
        layer: impl Fn(&Digest) -> String,
        settings: &Settings,
    ) -> Result<(Self, Vec<u8>), RegistryError> {
        let session = endpoint::open(reference, settings)?;
        let repository = reference.repository.clone();
        let read = || {
            let subject = reference.familiar();
            let document = manifest::get(&session, &repository, &manifest::which(reference))?;
            let Manifest::Image(found) = manifest::parse(&document.bytes, &subject)? else {
                return Err(RegistryError::NoImage { subject });
            };
            let config = manifest::config(&session, &repository, found.config())?;
            let image = Image::parse(Digest::of(&config), &config)?;
            let parts = image.layers.iter().map(&layer).zip(found.layers().iter().cloned()).collect();
            Ok((parts, config))
        };
        match read() {
            Ok((parts, config)) => Ok((Self { session, repository, parts }, config)),
            Err(error) => Err(explain::explain(error, &session, reference, Verb::Pull)),
        }
    }

    pub(crate) fn document(&self, name: &str) -> Result<Option<Vec<u8>>, RegistryError> {
        let Some(descriptor) = self.parts.get(name) else { return Ok(None) };
        manifest::document(&self.session, &self.repository, descriptor, "document").map(Some)
    }

    /// Returns a stream of a layer's archive. If it breaks off, `failure` holds the reason.
    pub(crate) fn layer<'a>(
        &'a self,
        name: &str,
        progress: &'a dyn Progress,
        failure: &'a Mutex<Option<RegistryError>>,
    ) -> Result<Option<impl Read + Send>, RegistryError> {
        let Some(descriptor) = self.parts.get(name) else { return Ok(None) };
        let digest = manifest::digest(descriptor, name)?;
        let (id, size) = (digest.short(), descriptor.size());
        progress.layer(&id, State::Downloading { done: 0, total: size });
        let Self { session, repository, .. } = self;
        Ok(Some(Download { session, repository, digest, size, urls: &[], id, progress, failure }.reader()))
    }
}

fn parts(session: &Session, reference: &Reference, kind: &Kind) -> Result<HashMap<String, Descriptor>, RegistryError> {
    let subject = reference.familiar();
    let document = manifest::get(session, &reference.repository, &manifest::which(reference))?;
    let Manifest::Image(found) = manifest::parse(&document.bytes, &subject)? else {
        return Err(RegistryError::NoArtifact { subject, wanted: kind.words });
    };
    if found.artifact_type().as_ref().is_none_or(|found| found.to_string() != kind.artifact_type) {
        return Err(RegistryError::NoArtifact { subject, wanted: kind.words });
    }
    let named = |part: &Descriptor| Some((part.annotations().as_ref()?.get(NAME)?.clone(), part.clone()));
    Ok(found.layers().iter().filter_map(named).collect())
}

/// An artifact that is to be sent to a registry.
pub(crate) struct Outgoing {
    pub documents: Vec<(String, Vec<u8>)>,
    /// Names and diff IDs of layers of the store.
    pub layers: Vec<(String, Digest)>,
}

impl Outgoing {
    /// Sends the parts that the registry lacks, and the manifest. Runs inside the user namespace.
    pub(crate) fn push(
        &self,
        store: &Store,
        reference: &Reference,
        kind: &Kind,
        settings: &Settings,
        progress: &dyn Progress,
    ) -> Result<(), RegistryError> {
        let session = endpoint::open(reference, settings)?;
        self.push_to(store, &session, reference, kind, settings, progress)
            .map_err(|error| explain::explain(error, &session, reference, Verb::Push))
    }

    fn push_to(
        &self,
        store: &Store,
        session: &Session,
        reference: &Reference,
        kind: &Kind,
        settings: &Settings,
        progress: &dyn Progress,
    ) -> Result<(), RegistryError> {
        let target = || Target { session, repository: &reference.repository, progress };
        let diff_ids: Vec<Digest> = self.layers.iter().map(|(_, diff_id)| *diff_id).collect();
        let layers = push::layers(store, target(), reference, &diff_ids, settings)?;
        let names = self.layers.iter().map(|(name, _)| name);
        let mut parts: Vec<Value> = names.zip(&layers).map(|(name, blob)| part(name, blob)).collect();
        for (name, bytes) in &self.documents {
            let blob = send(&target(), name, bytes, kind.documents)?;
            parts.push(part(name, &blob));
        }
        let config = send(&target(), "the config", EMPTY, EMPTY_TYPE)?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "artifactType": kind.artifact_type,
            "config": { "mediaType": config.media_type, "digest": config.digest, "size": config.size },
            "layers": parts,
        });
        put_manifest(session, reference, manifest.to_string().as_bytes()).map(drop)
    }
}

fn send(target: &Target, what: &str, bytes: &[u8], media_type: &str) -> Result<Blob, RegistryError> {
    let digest = Digest::of(bytes);
    if target.has(&digest)? {
        return Ok(Blob { digest, size: bytes.len() as u64, media_type: media_type.to_owned() });
    }
    target.send(&Bytes { what, bytes }, media_type)
}

fn part(name: &str, blob: &Blob) -> Value {
    json!({
        "mediaType": blob.media_type,
        "digest": blob.digest,
        "size": blob.size,
        "annotations": { NAME: name },
    })
}
