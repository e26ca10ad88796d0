//! `push`: an image to a registry. What the registry has is not sent, and what came from a registry goes back as it came.

use super::manifest::{self, Kind};
use super::session::Session;
use super::upload::{Bytes, Content, Target};
use super::verdict::{self, Verb};
use super::{Progress, RegistryError, Settings, State, answer, endpoint};
use crate::image::claim::ImageClaim;
use crate::image::compress::compress;
use crate::image::digest::{Digest, Hasher};
use crate::image::layer::{Blob, Info};
use crate::image::location::{self, Location};
use crate::image::manifest as made;
use crate::image::names::Name;
use crate::image::reference::Reference;
use crate::image::stream::Compression;
use crate::image::{self, Image, ImageError, layer, names};
use crate::store::Store;
use crate::sys::SysError;
use std::io::{self, Read};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use ureq::http::Method;

const LAYERS_AT_ONCE: usize = 4;
/// Repositories that a mount is tried from.
const MOST_MOUNTS: usize = 3;

pub struct Pushed {
    pub digest: Digest,
    /// Of the manifest.
    pub size: usize,
}

/// Sends what a registry lacks of the image of this name. Inside the user namespace.
pub fn push(
    store: &Store,
    reference: &Reference,
    compression: Option<Compression>,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Pushed, RegistryError> {
    let missing = || RegistryError::NotHere { reference: reference.clone() };
    let name = names::resolve(store, reference)?.ok_or_else(missing)?;
    let image = Image::open(store, &name.image)?.ok_or_else(missing)?;
    let session = endpoint::open(reference, settings)?;
    push_to(store, &session, reference, &name, &image, compression, progress)
        .map_err(|error| verdict::explain(error, &session, reference, Verb::Push))
}

fn push_to(
    store: &Store,
    session: &Session,
    reference: &Reference,
    name: &Name,
    image: &Image,
    compression: Option<Compression>,
    progress: &dyn Progress,
) -> Result<Pushed, RegistryError> {
    let infos = infos(store, &image.layers)?;
    let target = Target { session, repository: &reference.repository, progress };
    let work = Work { store, infos: &infos, target, reference, compression };

    let config = image::config_bytes(store, &image.id)?;
    let document = match work.kept(&image.id, name.manifest)? {
        Some(manifest) => manifest,
        None => made::of_blobs(&config, &work.place_all(vec![Wanted::Any; infos.len()])?),
    };
    if !work.target.has(&image.id)? {
        work.target.send(&Bytes { what: "the config", bytes: &config }, "")?;
    }
    let digest = put_manifest(session, reference, &document)?;
    let claim = ImageClaim::take(store, image.id).map_err(ImageError::from)?;
    image::add_manifest(store, &claim, &document)?;
    names::set(store, &claim, reference, digest)?;
    Ok(Pushed { digest, size: document.len() })
}

fn infos(store: &Store, layers: &[Digest]) -> Result<Vec<Info>, ImageError> {
    layers.iter().map(|diff_id| layer::known(store, diff_id)).collect()
}

/// Brings layers of the store into a repository, and gives the form in which each is there now.
pub(super) fn layers(
    store: &Store,
    target: Target,
    reference: &Reference,
    layers: &[Digest],
) -> Result<Vec<Blob>, RegistryError> {
    let infos = infos(store, layers)?;
    let wanted = vec![Wanted::Any; infos.len()];
    Work { store, infos: &infos, target, reference, compression: None }.place_all(wanted)
}

/// Makes a tag stand for a manifest or an index whose parts are all there.
pub fn put_manifest(session: &Session, reference: &Reference, document: &[u8]) -> Result<Digest, RegistryError> {
    let digest = Digest::of(document);
    let which = reference.tag.clone().unwrap_or_else(|| digest.to_string());
    let url = session.url(&format!("{}/manifests/{which}", reference.repository));
    let media_type = manifest::media_type(document);
    let scope = super::session::Scope::push(&reference.repository);
    let response = session.send(Method::PUT, &url, &[("content-type", &media_type)], Some(document), &scope)?;
    if !response.status().is_success() {
        return Err(answer::refusal(response).into_error(&reference.familiar()));
    }
    match answer::header(&response, "docker-content-digest").and_then(|text| text.parse().ok()) {
        Some(found) if found != digest => {
            Err(RegistryError::Digest { what: "manifest".into(), expected: digest, found })
        }
        _ => Ok(digest),
    }
}

struct Work<'a> {
    store: &'a Store,
    infos: &'a [Info],
    target: Target<'a>,
    reference: &'a Reference,
    /// As the user wants it; else layers go as they are here, and gzip is for those that are not compressed.
    compression: Option<Compression>,
}

impl Work<'_> {
    /// A manifest that the image came with, if each blob that it names is here or in the registry: it goes as it came. The
    /// one that its name stands for comes first, and then one whose blobs are all here.
    fn kept(&self, image: &Digest, preferred: Digest) -> Result<Option<Vec<u8>>, RegistryError> {
        let mut known = Vec::new();
        for digest in image::manifests(self.store, image)? {
            let bytes = image::manifest_bytes(self.store, image, &digest)?;
            let Ok(Kind::Image(manifest)) = manifest::parse(&bytes, &self.reference.familiar()) else { continue };
            let blobs: Option<Vec<Blob>> = manifest.layers().iter().map(manifest::blob).collect();
            let Some(blobs) = blobs.filter(|blobs| blobs.len() == self.infos.len()) else { continue };
            let elsewhere = blobs.iter().zip(self.infos).any(|(blob, info)| !is_here(info, blob));
            known.push((digest != preferred, elsewhere, bytes, blobs));
        }
        known.sort_by_key(|(other, elsewhere, ..)| (*other, *elsewhere));
        for (_, _, bytes, blobs) in known {
            if self.is_worth_keeping(&blobs)
                && let Some(wanted) = self.place_what_is_not_here(blobs)?
            {
                self.place_all(wanted)?;
                return Ok(Some(bytes));
            }
        }
        Ok(None)
    }

    /// It names compressed layers, or such as a registry had in that form; and it is as the user wants it.
    fn is_worth_keeping(&self, blobs: &[Blob]) -> bool {
        blobs.iter().zip(self.infos).all(|(blob, info)| {
            let compression = compression_of(&blob.media_type);
            match self.compression {
                Some(asked) => compression == asked,
                None => compression != Compression::None || self.locations(info).any(|l| l.blob.digest == blob.digest),
            }
        })
    }

    /// Blobs that a manifest names and that are not here in this form, only the registry can have. `None`: it has not.
    fn place_what_is_not_here(&self, blobs: Vec<Blob>) -> Result<Option<Vec<Wanted>>, RegistryError> {
        let mut wanted = Vec::new();
        for (blob, info) in blobs.into_iter().zip(self.infos) {
            if is_here(info, &blob) {
                wanted.push(Wanted::Exactly(blob));
                continue;
            }
            match self.found(info, &blob)? {
                Some(state) => wanted.push(Wanted::Nothing(blob, state)),
                None => return Ok(None),
            }
        }
        Ok(Some(wanted))
    }

    /// The registry has the blob: in this repository, or in another one that it can be mounted from.
    fn found(&self, info: &Info, blob: &Blob) -> Result<Option<State>, RegistryError> {
        if self.target.has(&blob.digest)? {
            return Ok(Some(State::LayerExists));
        }
        let elsewhere = |l: &Location| l.blob.digest == blob.digest && l.repository != self.reference.repository;
        for location in self.locations(info).filter(elsewhere).take(MOST_MOUNTS) {
            if self.target.mount(&blob.digest, &location.repository)? {
                return Ok(Some(State::Mounted { from: location.repository }));
            }
        }
        Ok(None)
    }

    fn locations(&self, info: &Info) -> impl Iterator<Item = Location> {
        let registry = self.reference.registry.clone();
        location::of(self.store, &info.diff_id).into_iter().filter(move |l| l.registry == registry)
    }

    /// Brings every layer into the repository, several at a time, and gives the form in which each is there now.
    fn place_all(&self, wanted: Vec<Wanted>) -> Result<Vec<Blob>, RegistryError> {
        let next = AtomicUsize::new(0);
        let placed: Mutex<(Vec<Option<Blob>>, Option<RegistryError>)> = Mutex::new((vec![None; wanted.len()], None));
        let lock = || placed.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let at_once = LAYERS_AT_ONCE.min(wanted.len());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let work = || {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let failed = lock().1.is_some();
                let Some(wanted) = wanted.get(number).filter(|_| !failed) else { return };
                let result = self.place(&self.infos[number], wanted, cores.div_ceil(at_once));
                let mut placed = lock();
                match result {
                    Ok(blob) => placed.0[number] = Some(blob),
                    Err(error) => {
                        placed.1.get_or_insert(error);
                    }
                }
            }
        };
        std::thread::scope(|scope| (0..at_once).for_each(|_| drop(scope.spawn(work))));
        let (blobs, error) = placed.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        match error {
            Some(error) => Err(error),
            None => Ok(blobs.into_iter().flatten().collect()),
        }
    }

    fn place(&self, info: &Info, wanted: &Wanted, threads: usize) -> Result<Blob, RegistryError> {
        let id = info.diff_id.short();
        let forms: Vec<Blob> = match wanted {
            Wanted::Nothing(blob, state) => return self.done(info, blob.clone(), state.clone()),
            Wanted::Exactly(blob) => vec![blob.clone()],
            Wanted::Any => self.acceptable(info),
        };
        for form in &forms {
            if let Some(state) = self.found(info, form)? {
                return self.done(info, form.clone(), state);
            }
        }
        let here = forms.into_iter().find(|form| is_here(info, form));
        let form = match &here {
            Some(blob) => Form::Kept(blob),
            None => Form::Compressed(self.compression.unwrap_or(Compression::Gzip)),
        };
        let media_type = match &form {
            Form::Kept(blob) => blob.media_type.clone(),
            Form::Compressed(compression) => compression.media_type().to_owned(),
        };
        let outgoing = Outgoing { store: self.store, info, id: &id, form, threads };
        self.target.progress.layer(&id, State::Pushing { done: 0, total: outgoing.total() });
        let blob = self.target.send(&outgoing, &media_type)?;
        self.done(info, blob, State::Pushed)
    }

    /// The forms in which a layer may go: the one that is here, and those that it lies in elsewhere in this registry.
    fn acceptable(&self, info: &Info) -> Vec<Blob> {
        let mut forms: Vec<Blob> = info.blob.iter().cloned().collect();
        for location in self.locations(info) {
            if forms.iter().all(|form| form.digest != location.blob.digest) {
                forms.push(location.blob);
            }
        }
        forms.retain(|form| match (compression_of(&form.media_type), self.compression) {
            (found, Some(asked)) => found == asked,
            (found, None) => found != Compression::None,
        });
        forms
    }

    fn done(&self, info: &Info, blob: Blob, state: State) -> Result<Blob, RegistryError> {
        location::note(self.store, &info.diff_id, Location::new(self.reference, blob.clone()))?;
        self.target.progress.layer(&info.diff_id.short(), state);
        Ok(blob)
    }
}

/// What is to be done for a layer.
#[derive(Clone)]
enum Wanted {
    /// It is there, as was found out on the way.
    Nothing(Blob, State),
    /// In the form that the manifest names.
    Exactly(Blob),
    Any,
}

/// The blob can be made of what is in the store.
fn is_here(info: &Info, blob: &Blob) -> bool {
    made::stored(info).digest == blob.digest || info.diff_id == blob.digest
}

fn compression_of(media_type: &str) -> Compression {
    if media_type.ends_with("zstd") {
        Compression::Zstd
    } else if media_type.ends_with("gzip") {
        Compression::Gzip
    } else {
        Compression::None
    }
}

enum Form<'a> {
    Kept(&'a Blob),
    Compressed(Compression),
}

/// A layer on its way out.
struct Outgoing<'a> {
    store: &'a Store,
    info: &'a Info,
    id: &'a str,
    form: Form<'a>,
    threads: usize,
}

impl Content for Outgoing<'_> {
    fn subject(&self) -> String {
        format!("layer {}", self.id)
    }

    fn id(&self) -> Option<&str> {
        Some(self.id)
    }

    fn total(&self) -> u64 {
        match &self.form {
            Form::Kept(blob) => blob.size,
            Form::Compressed(_) => self.info.archive,
        }
    }

    fn with(&self, use_it: &mut dyn FnMut(&mut dyn Read)) -> Result<(), RegistryError> {
        match &self.form {
            Form::Kept(blob) => {
                let archive = layer::archive(self.store, self.info, &blob.digest)?;
                use_it(&mut Checked::new(archive, blob.digest));
            }
            Form::Compressed(compression) => {
                let archive = layer::archive(self.store, self.info, &self.info.diff_id)?;
                let archive = Checked::new(archive, self.info.diff_id);
                std::thread::scope(|scope| use_it(&mut compress(scope, archive, *compression, self.threads)));
            }
        }
        Ok(())
    }
}

/// A stream that breaks off where it should end, if it was not what it should be: files of a layer may have been changed.
struct Checked<R> {
    stream: R,
    hasher: Option<Hasher>,
    expected: Digest,
}

impl<R: Read> Checked<R> {
    fn new(stream: R, expected: Digest) -> Self {
        Self { stream, hasher: Some(Hasher::default()), expected }
    }
}

impl<R: Read> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buffer)?;
        if n > 0 {
            if let Some(hasher) = &mut self.hasher {
                hasher.update(&buffer[..n]);
            }
            return Ok(n);
        }
        match self.hasher.take().map(Hasher::finish) {
            Some(found) if found != self.expected && !buffer.is_empty() => {
                Err(io::Error::other(format!("it now has the digest {found}, not {}", self.expected)))
            }
            _ => Ok(0),
        }
    }
}

impl From<SysError> for RegistryError {
    fn from(error: SysError) -> Self {
        Self::Image(error.into())
    }
}
