//! Installs an image from an archive or a registry: unpacks the missing layers, several at a time, and makes all of it
//! visible at once.

use super::assemble::{Parts, assemble};
use super::config;
use super::error::{ImageError, InstallError};
use super::ingest::{Ingested, NamedByBlob, ingest};
use super::name::digest::Digest;
use super::name::reference::Reference;
use super::overlay::owner::Owners;
use super::overlay::stack::check_layers;
use super::stored::claim;
use super::stored::claim::ImageClaim;
use super::stored::image::Image;
use super::stored::{layer, names};
use super::tar::unpack::Limits;
use crate::store::{Scratch, Store};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Compares the digest of what was received with the one that was asked for.
pub(crate) fn expect_digest(what: &'static str, expected: Digest, found: Digest) -> Result<(), InstallError> {
    if found == expected { Ok(()) } else { Err(InstallError::Digest { what, expected, found }) }
}

/// An image that is not here yet.
pub(crate) struct Candidate {
    pub config: Vec<u8>,
    /// The manifest, byte for byte, if there is one.
    pub manifest: Option<Vec<u8>>,
    /// The index that lists the image, if the names stand for that.
    pub index: Option<Digest>,
    /// The digest of the blob of each layer by the manifest, bottom first.
    pub layers: Vec<Option<Digest>>,
    pub names: Vec<Reference>,
}

/// The origin of layers, which are numbered from the bottom.
pub(crate) trait Source: Sync {
    /// Opens the archive of a layer, compressed or not.
    fn layer(&self, number: usize) -> Result<Box<dyn Read + Send + '_>, ImageError>;

    /// Is called for a layer that is in the store already.
    fn present(&self, _number: usize) {}

    /// Is called for a layer that was read and unpacked.
    fn unpacked(&self, _number: usize) {}
}

/// Installs the image, unpacking up to `threads` layers at a time.
pub(crate) fn install(
    store: &Store,
    candidate: &Candidate,
    source: &dyn Source,
    threads: usize,
) -> Result<Digest, ImageError> {
    claim::recover(store)?;
    let id = Digest::of(&candidate.config);
    let image = Image::parse(id, &candidate.config)?;
    check_layers(&format!("image {id}"), image.layers.len())?;
    if candidate.layers.len() != image.layers.len() {
        let (layers, diff_ids) = (candidate.layers.len(), image.layers.len());
        return Err(InstallError::Layers { image: id, layers, diff_ids }.into());
    }
    let mut claim = ImageClaim::take(store, id)?;
    claim.intend(&image.layers)?;
    let scratch = store.scratch()?;
    let mut missing: Vec<Missing> = Vec::new();
    for (number, (diff_id, blob)) in image.layers.iter().zip(&candidate.layers).enumerate() {
        if missing.iter().any(|other| other.diff_id == *diff_id) || layer::adopt(store, diff_id, &id)? {
            source.present(number);
        } else {
            missing.push(Missing { number, diff_id: *diff_id, blob: *blob });
        }
    }
    let created = image.config().created().clone().unwrap_or_else(config::now);
    let new = ingest_all(source, &missing, &scratch, &created, threads)?;
    let manifest = candidate.manifest.clone();
    let named = |digest: Digest| candidate.names.iter().try_for_each(|name| names::set(store, &claim, name, digest));
    match candidate.index {
        Some(index) => {
            let parts = Parts { config: &candidate.config, layers: &image.layers, new, manifest, names: &[] };
            assemble(store, &scratch, &claim, parts)?;
            named(index)?;
        }
        None => {
            let names = &candidate.names;
            let parts = Parts { config: &candidate.config, layers: &image.layers, new, manifest, names };
            assemble(store, &scratch, &claim, parts)?;
        }
    }
    Ok(id)
}

struct Missing {
    number: usize,
    diff_id: Digest,
    blob: Option<Digest>,
}

fn ingest_all(
    source: &dyn Source,
    layers: &[Missing],
    scratch: &Scratch,
    created: &str,
    threads: usize,
) -> Result<Vec<Ingested>, ImageError> {
    let (owners, limits) = (Owners::here()?, Limits::from_env());
    let next = AtomicUsize::new(0);
    let stop = Arc::new(AtomicBool::new(false));
    let done = Mutex::new((Vec::new(), None));
    let one = |layer: &Missing| -> Result<Ingested, ImageError> {
        let archive = Stoppable { source: source.layer(layer.number)?, stop: stop.clone() };
        let entry = scratch.path().join(format!("layer-{}", layer.number));
        let named = if layer.blob.is_some() { NamedByBlob::Yes } else { NamedByBlob::No };
        let ingested = ingest(entry, archive, &owners, limits, created, named);
        let failed = |source| ImageError::Unpack { subject: format!("layer {}", layer.diff_id), source };
        let ingested = ingested.map_err(failed)?;
        let (expected, found) = (layer.diff_id, ingested.info.diff_id);
        if found != expected {
            return Err(InstallError::Digest { what: "layer", expected, found }.into());
        }
        let blob = ingested.info.blob.as_ref().map_or(found, |blob| blob.digest);
        match layer.blob {
            Some(expected) if expected != blob => {
                Err(InstallError::Digest { what: "layer", expected, found: blob }.into())
            }
            _ => {
                source.unpacked(layer.number);
                Ok(ingested)
            }
        }
    };
    let work = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(layer) = layers.get(number).filter(|_| !stop.load(Ordering::Relaxed)) else { return };
            let result = one(layer);
            let mut done = done.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            match result {
                Ok(ingested) => done.0.push(ingested),
                // Later failures come from layers that were stopped.
                Err(error) => {
                    done.1.get_or_insert(error);
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    };
    let threads = threads.min(layers.len());
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(work))));
    let (ingested, error) = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    error.map_or(Ok(ingested), Err)
}

/// Reads no further once another layer has failed.
struct Stoppable<'a> {
    source: Box<dyn Read + Send + 'a>,
    stop: Arc<AtomicBool>,
}

impl Read for Stoppable<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        self.source.read(buffer)
    }
}
