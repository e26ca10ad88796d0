//! Manifests and indexes: fetched by tag or digest, checked, and the one chosen that is for a platform.

use crate::image::media_type::OCI_INDEX;
use crate::image::media_type::OCI_MANIFEST;
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use crate::image::nature;
use crate::image::stored::layer::Blob;
use crate::registry::RegistryError;
use crate::registry::answer::header;
use crate::registry::session::{Scope, Session};
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde_json::Value;
use ureq::http::Method;

/// The supported media types, newest first.
const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";
/// The longest manifest, which is also the registries' own limit.
const LONGEST: u64 = 4 << 20;
/// The longest config or other document.
const LONGEST_DOCUMENT: u64 = 16 << 20;

/// A manifest or an index, byte for byte.
pub(crate) struct Document {
    pub bytes: Vec<u8>,
    pub digest: Digest,
}

/// A parsed manifest or index.
pub enum Kind {
    Index(ImageIndex),
    Image(ImageManifest),
}

/// Asks for the current digest of a tag. Returns `None` if the registry does not tell it.
pub(crate) fn digest_of(session: &Session, repository: &str, tag: &str) -> Result<Option<Digest>, RegistryError> {
    let url = session.url(&format!("{repository}/manifests/{tag}"));
    let response = session.send(Method::HEAD, &url, &[("accept", ACCEPT)], None, &Scope::pull(repository))?;
    let digest = header(&response, "docker-content-digest").and_then(|text| text.parse().ok());
    Ok(digest.filter(|_| response.status().is_success()))
}

pub(crate) fn get(session: &Session, repository: &str, which: &str) -> Result<Document, RegistryError> {
    let url = session.url(&format!("{repository}/manifests/{which}"));
    let subject = subject(session, repository, which);
    let bytes = session.document(&url, &[("accept", ACCEPT)], &Scope::pull(repository), LONGEST, &subject)?;
    let digest = Digest::of(&bytes);
    match which.parse::<Digest>() {
        Ok(expected) if expected != digest => {
            Err(RegistryError::Digest { what: format!("manifest {subject}"), expected, found: digest })
        }
        _ => Ok(Document { bytes, digest }),
    }
}

/// Returns the tag or digest of a reference, as requests name it.
pub(crate) fn which(reference: &Reference) -> String {
    reference.digest.map_or_else(|| reference.tag.clone().unwrap_or_default(), |digest| digest.to_string())
}

/// Returns the familiar name of a manifest, for messages.
fn subject(session: &Session, repository: &str, which: &str) -> String {
    let joint = if which.contains(':') { '@' } else { ':' };
    let text = format!("{}/{repository}{joint}{which}", session.registry);
    text.parse().map_or(text, |reference: Reference| reference.familiar())
}

pub fn parse(document: &[u8], subject: &str) -> Result<Kind, RegistryError> {
    let invalid = |source| RegistryError::Document { subject: subject.to_owned(), source };
    let fields: Value = serde_json::from_slice(document).map_err(invalid)?;
    let (is_index, is_image) = (fields.get("manifests").is_some(), fields.get("layers").is_some());
    match (is_index, is_image) {
        // One digest must not stand for two things, depending on who reads it.
        (true, true) => Err(RegistryError::TwoFaced { subject: subject.to_owned() }),
        (true, false) => serde_json::from_slice(document).map(Kind::Index).map_err(invalid),
        (false, true) => serde_json::from_slice(document).map(Kind::Image).map_err(invalid),
        (false, false) if fields["schemaVersion"] == 1 => Err(RegistryError::Ancient { subject: subject.to_owned() }),
        (false, false) => Err(match nature::of(&fields) {
            Some(nature) => RegistryError::Other { subject: subject.to_owned(), nature },
            None => RegistryError::NoImage { subject: subject.to_owned() },
        }),
    }
}

pub fn digest(descriptor: &Descriptor, subject: &str) -> Result<Digest, RegistryError> {
    let text = descriptor.digest().to_string();
    text.parse().map_err(|_| RegistryError::Algorithm { subject: subject.to_owned(), digest: text })
}

/// Returns the blob that a descriptor names, if its digest is supported.
pub fn blob(descriptor: &Descriptor) -> Option<Blob> {
    let digest = descriptor.digest().to_string().parse().ok()?;
    Some(Blob { digest, size: descriptor.size(), media_type: descriptor.media_type().to_string() })
}

/// Returns the media type of a document. OCI documents need not name theirs.
pub fn media_type(document: &[u8]) -> String {
    let fields: Value = serde_json::from_slice(document).unwrap_or_default();
    let otherwise = if fields.get("manifests").is_some() { OCI_INDEX } else { OCI_MANIFEST };
    fields["mediaType"].as_str().unwrap_or(otherwise).to_owned()
}

/// Fetches a config, which is a blob.
pub(crate) fn config(session: &Session, repository: &str, descriptor: &Descriptor) -> Result<Vec<u8>, RegistryError> {
    document(session, repository, descriptor, "config")
}

/// Fetches a blob that is read as a whole.
pub(crate) fn document(
    session: &Session,
    repository: &str,
    descriptor: &Descriptor,
    what: &str,
) -> Result<Vec<u8>, RegistryError> {
    let expected = digest(descriptor, repository)?;
    let url = session.url(&format!("{repository}/blobs/{expected}"));
    let subject = format!("{what} {expected}");
    let bytes = session.document(&url, &[], &Scope::pull(repository), LONGEST_DOCUMENT, &subject)?;
    let found = Digest::of(&bytes);
    if found != expected {
        return Err(RegistryError::Digest { what: what.into(), expected, found });
    }
    Ok(bytes)
}
