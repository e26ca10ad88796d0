//! Attestations: statements about an image (its provenance, its components) that an index lists beside it, in the format of
//! BuildKit, which registries and scanners know.

use super::media_type::{OCI_CONFIG, OCI_MANIFEST};
use super::name::digest::Digest;
use super::name::platform::Platform;
use super::name::purl;
use super::name::reference::Reference;
use serde_json::{Map, Value, json};

const IN_TOTO: &str = "application/vnd.in-toto+json";
const STATEMENT: &str = "https://in-toto.io/Statement/v0.1";
const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// One statement about the image of one platform.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Attestation {
    /// The type of the predicate, an address such as `https://slsa.dev/provenance/v0.2`.
    pub predicate_type: String,
    pub predicate: Value,
}

/// Documents that go into an index: its entry, and the blobs that the entry leads to.
pub(crate) struct Documents {
    pub entry: Value,
    pub blobs: Vec<(Digest, Vec<u8>)>,
}

/// Makes the attestation manifest of one image. `manifest` is the digest of the image's manifest.
pub(crate) fn make(
    manifest: &Digest,
    platform: &Platform,
    names: &[Reference],
    attestations: &[Attestation],
) -> Documents {
    let mut subjects: Vec<String> = names.iter().map(|name| purl::of_image(name, platform)).collect();
    if subjects.is_empty() {
        // The specification has this name for a subject without one.
        subjects.push("_".into());
    }
    let subjects: Vec<Value> =
        subjects.iter().map(|name| json!({ "name": name, "digest": { "sha256": manifest.hex() } })).collect();
    let statements = attestations.iter().map(|one| {
        let statement = json!({
            "_type": STATEMENT, "predicateType": one.predicate_type, "subject": subjects, "predicate": one.predicate,
        });
        (one.predicate_type.clone(), statement.to_string().into_bytes())
    });
    of_statements(manifest, statements.collect())
}

/// Makes the attestation manifest anew for an image that has got another manifest. `get` reads a blob.
pub(crate) fn renew<E>(
    old: &Digest,
    new: &Digest,
    attestation: &[u8],
    get: impl Fn(&Digest) -> Result<Vec<u8>, E>,
) -> Result<Documents, E> {
    let fields: Value = serde_json::from_slice(attestation).unwrap_or_default();
    let mut statements = Vec::new();
    for layer in fields["layers"].as_array().into_iter().flatten() {
        let Some(digest) = layer["digest"].as_str().and_then(|text| text.parse().ok()) else { continue };
        let mut statement: Value = serde_json::from_slice(&get(&digest)?).unwrap_or_default();
        for subject in statement["subject"].as_array_mut().into_iter().flatten() {
            if subject["digest"]["sha256"] == json!(old.hex()) {
                subject["digest"]["sha256"] = json!(new.hex());
            }
        }
        let predicate_type = layer["annotations"][PREDICATE_TYPE].as_str().unwrap_or_default();
        statements.push((predicate_type.to_owned(), statement.to_string().into_bytes()));
    }
    Ok(of_statements(new, statements))
}

fn of_statements(manifest: &Digest, statements: Vec<(String, Vec<u8>)>) -> Documents {
    let mut blobs: Vec<(Digest, Vec<u8>)> = Vec::new();
    let mut layers = Vec::new();
    for (predicate_type, statement) in statements {
        let digest = Digest::of(&statement);
        layers.push(json!({
            "mediaType": IN_TOTO, "digest": digest, "size": statement.len(),
            "annotations": { PREDICATE_TYPE: predicate_type },
        }));
        blobs.push((digest, statement));
    }
    let diff_ids: Vec<&Digest> = blobs.iter().map(|(digest, _)| digest).collect();
    let config = json!({
        "architecture": "unknown", "os": "unknown", "config": {},
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = config.to_string().into_bytes();
    let document = json!({
        "schemaVersion": 2, "mediaType": OCI_MANIFEST,
        "config": { "mediaType": OCI_CONFIG, "digest": Digest::of(&config), "size": config.len() },
        "layers": layers,
    });
    let document = document.to_string().into_bytes();
    let entry = json!({
        "mediaType": OCI_MANIFEST, "digest": Digest::of(&document), "size": document.len(),
        "annotations": { REFERENCE_DIGEST: manifest, REFERENCE_TYPE: "attestation-manifest" },
        "platform": { "architecture": "unknown", "os": "unknown" },
    });
    blobs.push((Digest::of(&config), config));
    blobs.push((Digest::of(&document), document));
    Documents { entry, blobs }
}

/// Returns the digests of the layers and the config of a manifest.
pub(crate) fn parts(manifest: &[u8]) -> Vec<Digest> {
    let fields: Value = serde_json::from_slice(manifest).unwrap_or_default();
    let layers = fields["layers"].as_array().into_iter().flatten();
    let digests = layers.chain([&fields["config"]]).filter_map(|part| part["digest"].as_str()?.parse().ok());
    digests.collect()
}

/// Returns the digest of the manifest that an entry of an index attests.
pub(crate) fn subject(annotations: &Map<String, Value>) -> Option<Digest> {
    annotations.get(REFERENCE_DIGEST)?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::convert::Infallible;

    #[test]
    fn a_statement_names_its_image_by_every_name_and_its_digest() {
        let (manifest, platform) = (Digest::of(b"manifest"), "linux/arm/v7".parse().unwrap());
        let names: Vec<Reference> = ["app", "localhost:5000/team/app:1"].iter().map(|n| n.parse().unwrap()).collect();
        let names: Vec<Reference> = names.into_iter().map(Reference::or_latest).collect();
        let one = Attestation { predicate_type: "https://example.org/a".into(), predicate: json!({ "x": 1 }) };
        let made = make(&manifest, &platform, &names, &[one]);
        let statement: Value = serde_json::from_slice(&made.blobs[0].1).unwrap();
        assert_eq!(statement["subject"][0]["name"], "pkg:docker/app@latest?platform=linux%2Farm%2Fv7");
        assert_eq!(statement["subject"][1]["name"], "pkg:docker/localhost:5000/team/app@1?platform=linux%2Farm%2Fv7");
        assert_eq!(statement["subject"][1]["digest"]["sha256"], manifest.hex());
        assert_eq!(
            (&statement["predicateType"], &statement["predicate"]["x"]),
            (&json!("https://example.org/a"), &json!(1))
        );
        assert_eq!(made.entry["annotations"][REFERENCE_DIGEST], json!(manifest));
        assert_eq!(made.entry["platform"]["os"], "unknown");
    }

    #[test]
    fn a_statement_follows_its_image_to_another_manifest() {
        let (old, new) = (Digest::of(b"old"), Digest::of(b"new"));
        let one = Attestation { predicate_type: "t".into(), predicate: json!({}) };
        let platform = Platform::here();
        let before = make(&old, &platform, &[], std::slice::from_ref(&one));
        let blobs: HashMap<Digest, Vec<u8>> = before.blobs.iter().cloned().collect();
        let (_, document) = before.blobs.last().unwrap();
        let after = renew(&old, &new, document, |digest| Ok::<_, Infallible>(blobs[digest].clone())).unwrap();
        assert_eq!(after.entry, make(&new, &platform, &[], &[one]).entry);
    }
}
