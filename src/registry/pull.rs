//! `pull`: an image from a registry. Layers that are here are not fetched, and the image is not visible until it is complete.

use super::explain::{self, Verb};
use super::host::config;
use super::session::Session;
use super::session::endpoint;
use super::transfer::download::Download;
use super::transfer::manifest::{self, Kind};
use super::{Progress, RegistryError, Settings, State};
use crate::diag;
use crate::image;
use crate::image::install::{Candidate, Source, install};
use crate::image::name::digest::Digest;
use crate::image::name::platform;
use crate::image::name::platform::Platform;
use crate::image::name::reference::Reference;
use crate::image::nature;
use crate::image::stored::location;
use crate::image::stored::location::Location;
use crate::image::stored::names;
use crate::image::{Image, ImageError};
use crate::store::Store;
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use std::io::Read;
use std::sync::Mutex;

/// The number of layers that are fetched and unpacked side by side.
const LAYERS_AT_ONCE: usize = 4;
/// The most manifests that are fetched to find one image: an index may hold other indexes, and entries without a platform.
const MOST_LOOKS: usize = 24;

pub(crate) struct Pulled {
    pub id: Digest,
    /// The digest of the manifest or index that the name stands for in the registry.
    pub digest: Digest,
    /// With its tag.
    pub reference: Reference,
    /// The image was not here before, or had another name.
    pub is_new: bool,
}

/// When a registry is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    Missing,
    Always,
    Never,
}

/// Returns the image of this name for this platform, and pulls it if it is not here or the policy wants it. Runs inside the
/// user namespace.
pub(crate) fn ensure(
    store: &Store,
    name: &str,
    platform: Option<&Platform>,
    policy: Policy,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Image, RegistryError> {
    if policy != Policy::Always {
        match local(store, name, platform) {
            Ok(Some(image)) => return Ok(image),
            Ok(None) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // A registry knows names, not ids.
    let Ok(reference) = name.parse::<Reference>() else { return Ok(image::find(store, name)?) };
    if policy == Policy::Never {
        return Ok(image::find(store, name)?);
    }
    let pulled = pull(store, &reference.or_latest(), platform, settings, progress)?;
    Ok(image::find(store, &pulled.id.to_string())?)
}

/// Returns the image of this name that is here, if it is for this platform.
pub(crate) fn local(store: &Store, name: &str, platform: Option<&Platform>) -> Result<Option<Image>, ImageError> {
    let found = match platform {
        Some(wanted) => image::find_for(store, name, wanted),
        None => image::find(store, name).map(Some),
    };
    match found {
        Err(ImageError::NotFound { .. }) => Ok(None),
        found => found,
    }
}

/// Fetches the missing parts of an image and gives it its name. Runs inside the user namespace.
pub(crate) fn pull(
    store: &Store,
    reference: &Reference,
    platform: Option<&Platform>,
    settings: &Settings,
    progress: &dyn Progress,
) -> Result<Pulled, RegistryError> {
    let reference = reference.clone().or_latest();
    let which = manifest::which(&reference);
    let shown = reference.tag.as_ref().unwrap_or(&which);
    progress.line(&format!("{shown}: Pulling from {}", reference.repository));
    let (mirrors, own) = config::places(&reference)?;
    for mirror in mirrors {
        let pulled = endpoint::open_place(&mirror, settings).and_then(|session| {
            let from = Origin { session: &session, repository: &mirror.repository, which: &which };
            pull_from(store, &from, &reference, platform, progress)
        });
        match pulled {
            // The store fails with any registry.
            Err(error @ RegistryError::Image(_)) => return Err(error),
            Err(error) => {
                progress.line(&format!("note: the mirror {} does not help: {}", mirror.host, diag::in_one_line(&error)))
            }
            Ok(pulled) => {
                image::note_transfer(store, "pull", &reference);
                return Ok(pulled);
            }
        }
    }
    let session = endpoint::open_place(&own, settings)?;
    let from = Origin { session: &session, repository: &own.repository, which: &which };
    let pulled = pull_from(store, &from, &reference, platform, progress)
        .map_err(|error| explain::explain(error, &session, &reference, Verb::Pull))?;
    image::note_transfer(store, "pull", &reference);
    Ok(pulled)
}

/// A manifest in a registry or a mirror.
struct Origin<'a> {
    session: &'a Session,
    repository: &'a str,
    /// A tag or a digest.
    which: &'a str,
}

fn pull_from(
    store: &Store,
    from: &Origin,
    reference: &Reference,
    platform: Option<&Platform>,
    progress: &dyn Progress,
) -> Result<Pulled, RegistryError> {
    let subject = reference.familiar();
    let here = Platform::here();
    let wanted = platform.unwrap_or(&here);
    let Origin { session, repository, which } = *from;
    let known = names::resolve(store, reference)?;
    if let Some(known) = &known
        && let Some(image) = Image::open(store, &known.image)?
        && wanted.takes_config(image.config())
        && manifest::digest_of(session, repository, which)? == Some(known.manifest)
    {
        return Ok(Pulled { id: image.id, digest: known.manifest, reference: reference.clone(), is_new: false });
    }
    let first = manifest::get(session, repository, which)?;
    let digest = first.digest;
    let (found, index) = match manifest::parse(&first.bytes, &subject)? {
        Kind::Image(manifest) => {
            let found = from.image(manifest, first.bytes, &subject)?;
            if let Some(platform) = platform {
                found.check_platform(platform, &subject)?;
            }
            (found, None)
        }
        Kind::Index(index) => (from.choose(&index, wanted, &subject, &mut { MOST_LOOKS })?, Some(digest)),
    };
    let Found { manifest, bytes, config, .. } = found;
    let blobs = manifest.layers().iter().map(|d| manifest::digest(d, &subject)).collect::<Result<Vec<_>, _>>()?;
    let failure = Mutex::new(None);
    let layers =
        Layers { session, repository, descriptors: manifest.layers(), blobs: &blobs, progress, failure: &failure };
    let candidate = Candidate {
        config,
        manifest: Some(bytes),
        index,
        layers: blobs.iter().copied().map(Some).collect(),
        names: vec![reference.clone()],
    };
    let installed = install(store, &candidate, &layers, LAYERS_AT_ONCE);
    let id = match installed {
        Ok(id) => id,
        // A failed transfer is the cause of the unpacker's error.
        Err(error) => {
            return Err(match failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
                Some(failure) => failure,
                None => error.into(),
            });
        }
    };
    let image = Image::open(store, &id)?;
    for (diff_id, descriptor) in image.iter().flat_map(|image| &image.layers).zip(manifest.layers()) {
        if let Some(blob) = manifest::blob(descriptor) {
            location::note(store, diff_id, Location::new(reference, blob))?;
        }
    }
    let is_new = known.is_none_or(|known| known.image != id);
    Ok(Pulled { id, digest, reference: reference.clone(), is_new })
}

/// The manifest and config of an image in a registry.
struct Found {
    manifest: ImageManifest,
    bytes: Vec<u8>,
    config: Vec<u8>,
    image: Image,
}

impl Found {
    fn check_platform(&self, wanted: &Platform, subject: &str) -> Result<(), RegistryError> {
        if wanted.takes_config(self.image.config()) {
            return Ok(());
        }
        let offered = vec![platform::of_config(self.image.config()).to_string()];
        Err(RegistryError::Platform { subject: subject.to_owned(), wanted: wanted.to_string(), offered })
    }
}

impl Origin<'_> {
    /// Returns the image of a manifest, if it is one.
    fn image(&self, manifest: ImageManifest, bytes: Vec<u8>, subject: &str) -> Result<Found, RegistryError> {
        let fields = serde_json::from_slice(&bytes).unwrap_or_default();
        let other = |nature| RegistryError::Other { subject: subject.to_owned(), nature };
        if let Some(nature) = nature::of(&fields) {
            return Err(other(nature));
        }
        let config = manifest::config(self.session, self.repository, manifest.config())?;
        match Image::parse(Digest::of(&config), &config) {
            Ok(image) => Ok(Found { manifest, bytes, config, image }),
            Err(error) => Err(nature::otherwise(&fields).map_or_else(|| error.into(), other)),
        }
    }

    /// Finds the image for a platform in an index and the indexes in it.
    fn choose(
        &self,
        index: &ImageIndex,
        wanted: &Platform,
        subject: &str,
        looks: &mut usize,
    ) -> Result<Found, RegistryError> {
        let mut wrong = None;
        for descriptor in platform::candidates(index, wanted) {
            let found = self.entry(descriptor, wanted, subject, looks);
            match found {
                // Of one that names no platform, only its config says whether it is meant, or an image at all.
                Err(error)
                    if descriptor.platform().is_none()
                        && !matches!(error, RegistryError::Http(_) | RegistryError::Nested { .. }) =>
                {
                    wrong.get_or_insert(error);
                }
                found => return found,
            }
        }
        let offered = platform::offered(index.manifests().iter());
        match wrong {
            Some(wrong) if offered.is_empty() => Err(wrong),
            _ => {
                let (subject, wanted) = (subject.to_owned(), wanted.to_string());
                Err(RegistryError::Platform { subject, wanted, offered })
            }
        }
    }

    fn entry(
        &self,
        descriptor: &Descriptor,
        wanted: &Platform,
        subject: &str,
        looks: &mut usize,
    ) -> Result<Found, RegistryError> {
        *looks = looks.checked_sub(1).ok_or_else(|| RegistryError::Nested { subject: subject.to_owned() })?;
        let digest = manifest::digest(descriptor, subject)?;
        let document = manifest::get(self.session, self.repository, &digest.to_string())?;
        match manifest::parse(&document.bytes, subject)? {
            Kind::Index(index) => self.choose(&index, wanted, subject, looks),
            Kind::Image(manifest) => {
                let found = self.image(manifest, document.bytes, subject)?;
                if descriptor.platform().is_none() {
                    found.check_platform(wanted, subject)?;
                }
                Ok(found)
            }
        }
    }
}

/// The layers of an image in a registry.
struct Layers<'a> {
    session: &'a Session,
    repository: &'a str,
    descriptors: &'a [Descriptor],
    blobs: &'a [Digest],
    progress: &'a dyn Progress,
    failure: &'a Mutex<Option<RegistryError>>,
}

impl Source for Layers<'_> {
    fn layer(&self, number: usize) -> Result<Box<dyn Read + Send + '_>, ImageError> {
        let (digest, size) = (self.blobs[number], self.descriptors[number].size());
        let id = digest.short();
        self.progress.layer(&id, State::Downloading { done: 0, total: size });
        let Self { session, repository, progress, failure, .. } = *self;
        let urls = self.descriptors[number].urls().as_deref().unwrap_or_default();
        Ok(Box::new(Download { session, repository, digest, size, urls, id, progress, failure }.reader()))
    }

    fn present(&self, number: usize) {
        self.progress.layer(&self.blobs[number].short(), State::AlreadyExists);
    }

    fn unpacked(&self, number: usize) {
        self.progress.layer(&self.blobs[number].short(), State::PullComplete);
    }
}
