//! `push`: an image to a registry. Blobs that the registry has are not sent, and a manifest from a registry goes back byte
//! for byte.

use super::explain::{self, Verb};
use super::progress::Silent;
use super::session::{Scope, Session, endpoint};
use super::transfer::download::Download;
use super::transfer::manifest::{self, Kind};
use super::transfer::publish::put_manifest;
use super::transfer::upload::{Bytes, Content, Target};
use super::{Progress, RegistryError, Settings, State};
use crate::image;
use crate::image::name::digest::{Digest, Hasher};
use crate::image::name::reference::Reference;
use crate::image::stored::claim::ImageClaim;
use crate::image::stored::index;
use crate::image::stored::index::Index;
use crate::image::stored::layer::{Blob, Info};
use crate::image::stored::location;
use crate::image::stored::location::Location;
use crate::image::stored::manifest as made;
use crate::image::stored::manifest::Format;
use crate::image::stored::names::Name;
use crate::image::stored::{layer, names};
use crate::image::tar::compress::compress;
use crate::image::tar::stream::Compression;
use crate::image::{Image, ImageError};
use crate::store::Store;
use oci_spec::image::Descriptor;
use serde_json::{Map, Value};
use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use ureq::http::Method;

const LAYERS_AT_ONCE: usize = 4;
/// The most repositories from which a mount is tried.
const MOST_MOUNTS: usize = 3;

pub(crate) struct Pushed {
    pub digest: Digest,
    /// The length of the manifest.
    pub size: usize,
}

/// The form that the user asked for. By default layers go as they are here, else compressed by gzip, and the manifest goes as
/// it came, else as an OCI manifest.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Form {
    pub compression: Option<Compression>,
    pub format: Option<Format>,
}

/// Sends the parts of an image that a registry lacks. Runs inside the user namespace.
pub(crate) fn push(
    store: &Store,
    reference: &Reference,
    form: Form,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Pushed, RegistryError> {
    let missing = || RegistryError::NotHere { reference: reference.clone() };
    let name = names::resolve(store, reference)?.ok_or_else(missing)?;
    let session = endpoint::open(reference, settings)?;
    let target = Target { session: &session, repository: &reference.repository, progress };
    let push = Push { store, target, reference, form, settings };
    let pushed = match Index::open(store, &name.manifest)? {
        Some(index) => push.index(&index),
        None => {
            let image = Image::open(store, &name.image)?.ok_or_else(missing)?;
            push.work(&image)?.push(&name, &image)
        }
    };
    pushed.map_err(|error| explain::explain(error, &session, reference, Verb::Push))
}

/// A push of a name.
struct Push<'a> {
    store: &'a Store,
    target: Target<'a>,
    reference: &'a Reference,
    form: Form,
    settings: &'a Settings,
}

impl Push<'_> {
    fn work(&self, image: &Image) -> Result<Work<'_>, RegistryError> {
        let Self { store, target: Target { session, repository, progress }, reference, form, settings } = *self;
        let target = Target { session, repository, progress };
        Ok(Work { store, infos: infos(store, &image.layers)?, target, reference, form, settings })
    }

    /// Pushes the images with their manifests, their attestations, and last the index under its tag.
    fn index(&self, index: &Index) -> Result<Pushed, RegistryError> {
        let (session, store, progress) = (self.target.session, self.store, self.target.progress);
        let mut manifests: Vec<Vec<u8>> = Vec::new();
        for member in &index.members {
            if let Some(platform) = &member.platform {
                progress.line(&format!("{platform}:"));
            }
            let gone = || ImageError::Damaged { image: member.image, what: "its directory is gone".into() };
            let image = Image::open(store, &member.image)?.ok_or_else(gone)?;
            let manifest = self.work(&image)?.place_image(&image, member.manifest)?;
            self.put(&manifest)?;
            manifests.push(manifest);
        }
        let made = index.with(store, manifests)?;
        // A manifest lies elsewhere in a registry than the blobs that it names, and comes after them.
        let (manifests, blobs): (Vec<_>, Vec<_>) = made.blobs.iter().partition(|(digest, _)| made.lists(digest));
        for (digest, bytes) in blobs {
            if !self.target.has(digest)? {
                self.target.send(&Bytes { what: "an attestation", bytes }, "")?;
            }
        }
        manifests.into_iter().try_for_each(|(_, bytes)| self.put(bytes))?;
        let digest = put_manifest(session, self.reference, &made.bytes)?;
        index::keep(store, &made, std::slice::from_ref(self.reference))?;
        Ok(Pushed { digest, size: made.bytes.len() })
    }

    /// Puts a manifest under its digest alone.
    fn put(&self, manifest: &[u8]) -> Result<(), RegistryError> {
        let place = Reference { tag: None, digest: Some(Digest::of(manifest)), ..self.reference.clone() };
        put_manifest(self.target.session, &place, manifest).map(drop)
    }
}

fn infos(store: &Store, layers: &[Digest]) -> Result<Vec<Info>, ImageError> {
    layers.iter().map(|diff_id| layer::known(store, diff_id)).collect()
}

/// Brings layers of the store into a repository. Returns the blob of each one there.
pub(crate) fn layers(
    store: &Store,
    target: Target,
    reference: &Reference,
    layers: &[Digest],
    settings: &Settings,
) -> Result<Vec<Blob>, RegistryError> {
    let infos = infos(store, layers)?;
    Work { store, infos, target, reference, form: Form::default(), settings }.place_any()
}

struct Work<'a> {
    store: &'a Store,
    infos: Vec<Info>,
    target: Target<'a>,
    reference: &'a Reference,
    form: Form,
    settings: &'a Settings,
}

impl Work<'_> {
    fn push(&self, name: &Name, image: &Image) -> Result<Pushed, RegistryError> {
        let (session, store, reference) = (self.target.session, self.store, self.reference);
        let mut document = self.place_image(image, name.manifest)?;
        let digest = match put_manifest(session, reference, &document) {
            Err(RegistryError::Refused { refusal, .. })
                if matches!(refusal.status, 400 | 406 | 415)
                    && self.form.format.is_none()
                    && manifest::media_type(&document) == Format::Oci.media_type() =>
            {
                let said = refusal.words();
                self.target.progress.line(&format!(
                    "note: {} takes no OCI manifest ({said}); the image goes as Docker's v2s2, with another digest",
                    session.registry
                ));
                let config = image::config_bytes(store, &image.id)?;
                document = made::of_blobs(&config, &self.as_docker().place_any()?, Format::Docker);
                put_manifest(session, reference, &document)?
            }
            put => put?,
        };
        let claim = ImageClaim::take(store, image.id).map_err(ImageError::from)?;
        image::add_manifest(store, &claim, &document)?;
        names::set(store, &claim, reference, digest)?;
        Ok(Pushed { digest, size: document.len() })
    }

    /// Brings all blobs of an image into the repository, and gives its manifest, which is not there yet. `preferred` is the
    /// digest of the one by which the image is known.
    fn place_image(&self, image: &Image, preferred: Digest) -> Result<Vec<u8>, RegistryError> {
        let config = image::config_bytes(self.store, &image.id)?;
        let document = match self.kept(&image.id, preferred)? {
            Some(manifest) => manifest,
            None => {
                let made = made::of_blobs(&config, &self.place_any()?, self.form.format.unwrap_or(Format::Oci));
                made::annotate(made, self.annotations(&image.id, preferred)?)
            }
        };
        if !self.target.has(&image.id)? {
            self.target.send(&Bytes { what: "the config", bytes: &config }, "")?;
        }
        Ok(document)
    }

    fn annotations(&self, image: &Digest, manifest: Digest) -> Result<Map<String, Value>, ImageError> {
        let is_known = image::manifests(self.store, image)?.contains(&manifest);
        let bytes = if is_known { image::manifest_bytes(self.store, image, &manifest)? } else { Vec::new() };
        Ok(made::annotations(&bytes))
    }

    fn as_docker(&self) -> Work<'_> {
        let Target { session, repository, progress } = self.target;
        let form = Form { format: Some(Format::Docker), compression: None };
        let infos = self.infos.clone();
        Work { target: Target { session, repository, progress }, form, infos, ..*self }
    }

    /// A manifest that the image came with, if each blob that it names is here or in the registry: it goes as it came. The
    /// one that its name stands for comes first, and then one whose blobs are all here.
    fn kept(&self, image: &Digest, preferred: Digest) -> Result<Option<Vec<u8>>, RegistryError> {
        let mut known = Vec::new();
        let digests = image::manifests(self.store, image)?;
        // Of an index that is not here, no manifest is preferred.
        let wanted = if digests.contains(&preferred) { Some(self.annotations(image, preferred)?) } else { None };
        for digest in digests {
            let bytes = image::manifest_bytes(self.store, image, &digest)?;
            if wanted.as_ref().is_some_and(|wanted| made::annotations(&bytes) != *wanted) {
                continue;
            }
            let Ok(Kind::Image(manifest)) = manifest::parse(&bytes, &self.reference.familiar()) else { continue };
            if self.form.format.is_some_and(|format| format.media_type() != manifest::media_type(&bytes)) {
                continue;
            }
            let blobs: Option<Vec<Named>> = manifest.layers().iter().map(Named::of).collect();
            let Some(blobs) = blobs.filter(|blobs| blobs.len() == self.infos.len()) else { continue };
            let elsewhere = blobs.iter().zip(&self.infos).any(|(named, info)| !is_here(info, &named.blob));
            known.push((digest != preferred, elsewhere, bytes, blobs));
        }
        known.sort_by_key(|(other, elsewhere, ..)| (*other, *elsewhere));
        for (other, _, bytes, blobs) in known {
            if !self.is_worth_keeping(&blobs) {
                continue;
            }
            match self.place_what_is_not_here(blobs)? {
                Ok(wanted) => {
                    self.place_all(wanted)?;
                    return Ok(Some(bytes));
                }
                Err(missing) if !other => self.target.progress.line(&format!(
                    "note: layer {missing} is here in another form than it came, and cannot be had again; the image goes \
                     with another digest"
                )),
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// It names compressed layers, or such as a registry had in that form; and it is as the user wants it.
    fn is_worth_keeping(&self, blobs: &[Named]) -> bool {
        blobs.iter().zip(&self.infos).all(|(Named { blob, .. }, info)| {
            let compression = compression_of(&blob.media_type);
            let has_been_there =
                || location::of(self.store, &info.diff_id).iter().any(|l| l.blob.digest == blob.digest);
            match self.form.compression {
                Some(asked) => compression == asked,
                None => compression != Compression::None || has_been_there(),
            }
        })
    }

    /// Finds a registry for each blob that is not here in the form that the manifest names: this registry, or one that the
    /// layer came from or went to. `Err`: no registry has this layer.
    fn place_what_is_not_here(&self, blobs: Vec<Named>) -> Result<Result<Vec<Wanted>, String>, RegistryError> {
        let mut wanted = Vec::new();
        for (Named { blob, foreign }, info) in blobs.into_iter().zip(&self.infos) {
            if foreign {
                wanted.push(Wanted::Nothing(blob, State::Foreign));
                continue;
            }
            if is_here(info, &blob) {
                wanted.push(Wanted::Exactly(blob));
                continue;
            }
            if let Some(state) = self.found(info, &blob)? {
                wanted.push(Wanted::Nothing(blob, state));
                continue;
            }
            match self.elsewhere(info, &blob) {
                Some(origin) => wanted.push(Wanted::From(blob, origin)),
                None => return Ok(Err(info.diff_id.short())),
            }
        }
        Ok(Ok(wanted))
    }

    /// Another registry that has the blob now.
    fn elsewhere(&self, info: &Info, blob: &Blob) -> Option<Arc<Origin>> {
        let known = location::of(self.store, &info.diff_id).into_iter().filter(|l| l.blob.digest == blob.digest);
        for location in known.filter(|l| l.registry != self.reference.registry).take(MOST_MOUNTS) {
            let Location { registry, repository, .. } = location;
            let place = Reference { registry, repository: repository.clone(), tag: None, digest: None };
            let Ok(session) = endpoint::open(&place, self.settings) else { continue };
            let url = session.url(&format!("{repository}/blobs/{}", blob.digest));
            let response = session.send(Method::HEAD, &url, &[], None, &Scope::pull(&repository));
            if response.is_ok_and(|found| found.status().is_success() || found.status().is_redirection()) {
                return Some(Arc::new(Origin { session, repository }));
            }
        }
        None
    }

    /// Looks for a blob in the repository, or mounts it from another repository of the registry.
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

    /// Calls [`Self::place_all`] with any form.
    fn place_any(&self) -> Result<Vec<Blob>, RegistryError> {
        self.place_all(vec![Wanted::Any; self.infos.len()])
    }

    /// Brings every layer into the repository, several at a time. Returns the blob of each one there.
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
            Wanted::Exactly(blob) | Wanted::From(blob, _) => vec![blob.clone()],
            Wanted::Any => self.acceptable(info),
        };
        for form in &forms {
            if let Some(state) = self.found(info, form)? {
                return self.done(info, form.clone(), state);
            }
        }
        let here = forms.into_iter().find(|form| is_here(info, form));
        let shape = match (&here, wanted) {
            (Some(blob), _) => Shape::Kept(blob),
            (None, Wanted::From(blob, origin)) => Shape::Fetched(blob, origin),
            (None, _) => Shape::Compressed(self.form.compression.unwrap_or(Compression::Gzip)),
        };
        let media_type = match &shape {
            Shape::Kept(blob) | Shape::Fetched(blob, _) => blob.media_type.clone(),
            Shape::Compressed(compression) => compression.media_type().to_owned(),
        };
        let outgoing = Outgoing { store: self.store, info, id: &id, shape, threads };
        self.target.progress.layer(&id, State::Pushing { done: 0, total: outgoing.total() });
        let blob = self.target.send(&outgoing, &media_type)?;
        self.done(info, blob, State::Pushed)
    }

    /// Returns the blobs that may stand for a layer: the one that is here, and those in other repositories of the registry.
    fn acceptable(&self, info: &Info) -> Vec<Blob> {
        let mut forms: Vec<Blob> = info.blob.iter().cloned().collect();
        for location in self.locations(info) {
            if forms.iter().all(|form| form.digest != location.blob.digest) {
                forms.push(location.blob);
            }
        }
        forms.retain(|form| match (compression_of(&form.media_type), self.form.compression) {
            (found, Some(asked)) => found == asked,
            (found, None) if self.form.format == Some(Format::Docker) => found == Compression::Gzip,
            (found, None) => matches!(found, Compression::Gzip | Compression::Zstd),
        });
        forms
    }

    fn done(&self, info: &Info, blob: Blob, state: State) -> Result<Blob, RegistryError> {
        if state != State::Foreign {
            location::note(self.store, &info.diff_id, Location::new(self.reference, blob.clone()))?;
        }
        self.target.progress.layer(&info.diff_id.short(), state);
        Ok(blob)
    }
}

/// The blob that a layer must become.
#[derive(Clone)]
enum Wanted {
    /// The blob is there already.
    Nothing(Blob, State),
    /// The blob that the manifest names.
    Exactly(Blob),
    /// The blob that the manifest names, from another registry.
    From(Blob, Arc<Origin>),
    Any,
}

/// Another registry that has a blob.
struct Origin {
    session: Session,
    repository: String,
}

/// A layer as a manifest names it.
struct Named {
    blob: Blob,
    /// The manifest says where to get it, and registries may not distribute it (base layers of Windows).
    foreign: bool,
}

impl Named {
    fn of(descriptor: &Descriptor) -> Option<Self> {
        let blob = manifest::blob(descriptor)?;
        let kept_back = blob.media_type.contains(".foreign.") || blob.media_type.contains(".nondistributable.");
        let foreign = kept_back && descriptor.urls().as_ref().is_some_and(|urls| !urls.is_empty());
        Some(Self { blob, foreign })
    }
}

/// Whether the store can make the blob.
fn is_here(info: &Info, blob: &Blob) -> bool {
    made::stored(info).digest == blob.digest || info.diff_id == blob.digest
}

fn compression_of(media_type: &str) -> Compression {
    if media_type.ends_with("zstd") {
        Compression::Zstd
    } else if media_type.ends_with("gzip") {
        Compression::Gzip
    } else if media_type.ends_with("xz") {
        Compression::Xz
    } else {
        Compression::None
    }
}

/// The source of a layer's bytes.
enum Shape<'a> {
    Kept(&'a Blob),
    Fetched(&'a Blob, &'a Origin),
    Compressed(Compression),
}

/// A layer on its way out.
struct Outgoing<'a> {
    store: &'a Store,
    info: &'a Info,
    id: &'a str,
    shape: Shape<'a>,
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
        match &self.shape {
            Shape::Kept(blob) | Shape::Fetched(blob, _) => blob.size,
            Shape::Compressed(_) => self.info.archive,
        }
    }

    fn known(&self) -> Option<(Digest, u64)> {
        match &self.shape {
            Shape::Kept(blob) | Shape::Fetched(blob, _) => Some((blob.digest, blob.size)),
            Shape::Compressed(_) => None,
        }
    }

    fn with(&self, use_it: &mut dyn FnMut(&mut dyn Read)) -> Result<(), RegistryError> {
        match &self.shape {
            Shape::Kept(blob) => {
                let archive = layer::archive(self.store, self.info, &blob.digest)?;
                use_it(&mut Checked::new(archive, blob.digest));
            }
            Shape::Fetched(blob, origin) => {
                let failure = Mutex::new(None);
                let Blob { digest, size, .. } = **blob;
                let Origin { session, repository } = origin;
                let id = self.id.to_owned();
                let urls = &[];
                let download =
                    Download { session, repository, digest, size, urls, id, progress: &Silent, failure: &failure };
                use_it(&mut Checked::new(download.reader(), digest));
                if let Some(failure) = failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
                    return Err(failure);
                }
            }
            Shape::Compressed(compression) => {
                let archive = layer::archive(self.store, self.info, &self.info.diff_id)?;
                let archive = Checked::new(archive, self.info.diff_id);
                std::thread::scope(|scope| use_it(&mut compress(scope, archive, *compression, self.threads)));
            }
        }
        Ok(())
    }
}

/// A stream that fails at its end if its digest is not the expected one: files of a layer may have been changed.
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
