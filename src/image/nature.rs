//! Recognizes artifacts that are stored like images but are not: charts, signatures, caches and others, by the media types in
//! their manifests.

use super::media_type::{DOCKER_CONFIG, OCI_CONFIG};
use serde_json::Value;

/// Describes an artifact, in words that follow "is", and says which program can use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nature {
    pub what: String,
    pub hint: Option<&'static str>,
}

/// Prefixes of config and artifact types, and what such an artifact is.
const TYPES: [(&str, &str, Option<&str>); 10] = [
    (
        "application/vnd.cncf.helm.",
        "a Helm chart",
        Some("helm takes it: helm pull oci://REGISTRY/REPOSITORY --version TAG"),
    ),
    (
        "application/vnd.minirun.build-cache.",
        "a build cache",
        Some("a build uses it: minirun build --cache-from NAME …"),
    ),
    ("application/vnd.buildkit.cacheconfig.", "a build cache of BuildKit", None),
    ("application/vnd.docker.plugin.", "a plugin for Docker's daemon", None),
    ("application/vnd.wasm.", "a WebAssembly module", None),
    ("application/vnd.cncf.notary.signature", "a signature", None),
    ("application/vnd.dev.sigstore.", "a signature", None),
    ("application/vnd.dev.cosign.", "a signature", None),
    ("application/spdx", "a list of components (SBOM)", None),
    ("application/vnd.cyclonedx", "a list of components (SBOM)", None),
];
/// Prefixes of layer types, for artifacts whose config looks like that of an image.
const LAYERS: [(&str, &str); 5] = [
    ("application/vnd.dev.cosign.simplesigning.", "a signature"),
    ("application/vnd.dsse.envelope.", "an attestation (provenance or SBOM)"),
    ("application/vnd.in-toto", "an attestation (provenance or SBOM)"),
    ("application/spdx", "a list of components (SBOM)"),
    ("application/vnd.cyclonedx", "a list of components (SBOM)"),
];
const IMAGE_CONFIGS: [&str; 2] = [OCI_CONFIG, DOCKER_CONFIG];
const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// Returns `None` for what may be an image.
pub fn of(manifest: &Value) -> Option<Nature> {
    let config = manifest["config"]["mediaType"].as_str().unwrap_or_default();
    let artifact = manifest["artifactType"].as_str().unwrap_or_default();
    let layers = || manifest["layers"].as_array().into_iter().flatten().filter_map(|layer| layer["mediaType"].as_str());
    for (beginning, what, hint) in TYPES {
        if artifact.starts_with(beginning) || config.starts_with(beginning) {
            return Some(Nature { what: format!("{what}, not an image"), hint });
        }
    }
    for (beginning, what) in LAYERS {
        if layers().any(|layer| layer.starts_with(beginning)) {
            return Some(Nature { what: format!("{what}, not an image"), hint: None });
        }
    }
    if layers().any(|layer| layer.ends_with("+encrypted")) {
        let hint = "who has the key can decrypt it: skopeo copy --decryption-key KEY …";
        return Some(Nature { what: "an image whose layers are encrypted".into(), hint: Some(hint) });
    }
    if IMAGE_CONFIGS.contains(&config) {
        return None;
    }
    (!artifact.is_empty() || config == EMPTY).then(|| artifact_of(artifact))
}

/// Describes an artifact whose config is not that of an image. `None`: the media type says that it should be one.
pub fn otherwise(manifest: &Value) -> Option<Nature> {
    let config = manifest["config"]["mediaType"].as_str().unwrap_or_default();
    (config.contains('/') && !IMAGE_CONFIGS.contains(&config)).then(|| artifact_of(config))
}

fn artifact_of(media_type: &str) -> Nature {
    // It comes from anybody, and goes to a terminal.
    let plain: String = media_type.chars().filter(|c| !c.is_control()).take(120).collect();
    let of = if plain.is_empty() { String::new() } else { format!(" of the type {plain}") };
    Nature { what: format!("an artifact{of}, not an image"), hint: Some("oras takes any artifact: oras pull NAME") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_manifests_are_for() {
        let image = "application/vnd.oci.image.config.v1+json";
        let layer = "application/vnd.oci.image.layer.v1.tar+gzip";
        let what = |config: &str, layer: &str, artifact: Option<&str>| {
            let mut manifest = json!({ "config": { "mediaType": config }, "layers": [{ "mediaType": layer }] });
            if let Some(artifact) = artifact {
                manifest["artifactType"] = json!(artifact);
            }
            of(&manifest).map(|nature| nature.what)
        };
        assert_eq!(what(image, layer, None), None);
        // An image may have a type of its own as well.
        assert_eq!(what(image, layer, Some("application/vnd.example")), None);
        // Whether a config of an unknown type is an image's, only the config says.
        assert_eq!(what("application/octet-stream", layer, None), None);
        for (config, layer, artifact, word) in [
            ("application/vnd.cncf.helm.config.v1+json", layer, None, "Helm chart"),
            (EMPTY, layer, Some("application/vnd.minirun.build-cache.v1"), "a build cache"),
            (EMPTY, layer, Some("a/\u{1b}b"), "an artifact of the type a/b"),
            (EMPTY, layer, None, "an artifact, not"),
            (image, "application/vnd.dev.cosign.simplesigning.v1+json", None, "a signature"),
            (image, "application/vnd.in-toto+json", None, "an attestation"),
            (image, "application/vnd.oci.image.layer.v1.tar+gzip+encrypted", None, "encrypted"),
        ] {
            let what = what(config, layer, artifact).unwrap();
            assert!(what.contains(word), "{what}");
        }
    }
}
