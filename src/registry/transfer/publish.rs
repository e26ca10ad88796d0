//! A manifest on its way into a repository, and into the list of its subject's referrers (signatures, attestations): where a
//! registry has no referrers API, the client keeps that list itself, as an index under a tag made of the digest (OCI
//! distribution specification, "Referrers Tag Schema").

use super::manifest;
use crate::image::media_type::OCI_INDEX;
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use crate::registry::RegistryError;
use crate::registry::answer;
use crate::registry::session::{Scope, Session};
use serde_json::{Value, json};
use ureq::http::Method;

/// Puts a manifest or an index under its tag or digest. Its parts must be there.
pub(crate) fn put_manifest(session: &Session, reference: &Reference, document: &[u8]) -> Result<Digest, RegistryError> {
    let digest = Digest::of(document);
    let which = reference.tag.clone().unwrap_or_else(|| digest.to_string());
    let url = session.url(&format!("{}/manifests/{which}", reference.repository));
    let media_type = manifest::media_type(document);
    let scope = Scope::push(&reference.repository);
    let response = session.send(Method::PUT, &url, &[("content-type", &media_type)], Some(document), &scope)?;
    if !response.status().is_success() {
        return Err(RegistryError::refused(&reference.familiar(), answer::refusal(response)));
    }
    if let Some(found) = answer::header(&response, "docker-content-digest").and_then(|text| text.parse().ok())
        && found != digest
    {
        return Err(RegistryError::Digest { what: "manifest".into(), expected: digest, found });
    }
    if answer::header(&response, "oci-subject").is_none() {
        note_referrer(session, reference, document, &digest)?;
    }
    Ok(digest)
}

/// Adds a manifest to the list of its subject, if it has one. Called if the registry has not said that it does so itself.
fn note_referrer(
    session: &Session,
    reference: &Reference,
    document: &[u8],
    digest: &Digest,
) -> Result<(), RegistryError> {
    let fields: Value = serde_json::from_slice(document).unwrap_or_default();
    let Some(subject) = fields["subject"]["digest"].as_str().and_then(|text| text.parse::<Digest>().ok()) else {
        return Ok(());
    };
    let list = Reference { tag: Some(format!("sha256-{}", subject.hex())), digest: None, ..reference.clone() };
    let which = manifest::which(&list);
    let mut index = match manifest::get(session, &reference.repository, &which) {
        Ok(found) => serde_json::from_slice(&found.bytes).unwrap_or_default(),
        Err(RegistryError::Refused { refusal, .. }) if refusal.status == 404 => Value::Null,
        Err(error) => return Err(error),
    };
    if !index["manifests"].is_array() {
        index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [] });
    }
    let Some(entries) = index["manifests"].as_array_mut() else { return Ok(()) };
    if entries.iter().any(|entry| entry["digest"] == json!(digest)) {
        return Ok(());
    }
    let media_type = manifest::media_type(document);
    let mut entry = json!({ "mediaType": media_type, "digest": digest, "size": document.len() });
    let artifact = fields.get("artifactType").filter(|artifact| *artifact != "");
    if let Some(artifact) = artifact.or_else(|| fields["config"].get("mediaType")) {
        entry["artifactType"] = artifact.clone();
    }
    if let Some(annotations) = fields.get("annotations") {
        entry["annotations"] = annotations.clone();
    }
    entries.push(entry);
    put_manifest(session, &list, index.to_string().as_bytes()).map(drop)
}
