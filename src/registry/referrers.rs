//! Lists of referrers (signatures, attestations) for registries without the referrers API: the client keeps such a list
//! itself, as an index under a tag made of the digest (OCI distribution specification, "Referrers Tag Schema").

use super::RegistryError;
use super::manifest;
use super::push::put_manifest;
use super::session::Session;
use crate::image::media_type::OCI_INDEX;
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use serde_json::{Value, json};

/// Adds a manifest to the list of its subject, if it has one. Called if the registry has not said that it does so itself.
pub(super) fn note(
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
