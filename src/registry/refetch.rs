//! Content that the store has lost, fetched again from its registry.

use super::host::config;
use super::progress::Silent;
use super::session::Session;
use super::session::endpoint;
use super::transfer::download::Download;
use super::transfer::manifest;
use super::{RegistryError, Settings};
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use std::io::Read;
use std::sync::Mutex;

/// A repository that something came from.
pub(crate) struct Origin {
    session: Session,
    repository: String,
}

impl Origin {
    pub(crate) fn open(registry: &str, repository: &str, settings: &Settings) -> Result<Self, RegistryError> {
        let (registry, repository) = (registry.to_owned(), repository.to_owned());
        let place = config::place(&Reference { registry, repository, tag: None, digest: None })?;
        Ok(Self { session: endpoint::open_place(&place, settings)?, repository: place.repository })
    }

    /// Hands a stream of a blob to `read`, which must check its digest.
    pub(crate) fn blob<T>(
        &self,
        digest: Digest,
        size: u64,
        read: impl FnOnce(Box<dyn Read + Send + '_>) -> T,
    ) -> Result<T, RegistryError> {
        let failure = Mutex::new(None);
        let (session, repository, id) = (&self.session, self.repository.as_str(), digest.short());
        let stream =
            Download { session, repository, digest, size, urls: &[], id, progress: &Silent, failure: &failure };
        let stream = stream.reader();
        let taken = read(Box::new(stream));
        match failure.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner()) {
            Some(error) => Err(error),
            None => Ok(taken),
        }
    }

    /// Fetches a manifest or an index by its digest.
    pub(crate) fn manifest(&self, digest: &Digest) -> Result<Vec<u8>, RegistryError> {
        Ok(manifest::get(&self.session, &self.repository, &digest.to_string())?.bytes)
    }
}
