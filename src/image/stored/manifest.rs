//! Makes manifests: for images that came without one, or whose manifest names other blobs than those in the store.

use super::layer::{Blob, Info};
use crate::image::media_type::{DOCKER_CONFIG, DOCKER_MANIFEST, OCI_CONFIG, OCI_MANIFEST};
use crate::image::name::digest::Digest;
use crate::image::tar::stream::Compression;
use serde_json::{Map, Value, json};

/// The format of a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Oci,
    /// Docker's image manifest, version 2, schema 2, for registries that know no other. It knows no zstd.
    Docker,
}

impl Format {
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Oci => OCI_MANIFEST,
            Self::Docker => DOCKER_MANIFEST,
        }
    }

    fn config(self) -> &'static str {
        match self {
            Self::Oci => OCI_CONFIG,
            Self::Docker => DOCKER_CONFIG,
        }
    }

    fn layer(self, media_type: &str) -> &str {
        match self {
            Self::Oci if media_type.starts_with("application/vnd.oci.") => media_type,
            Self::Oci if media_type.ends_with("gzip") => Compression::Gzip.media_type(),
            Self::Oci if media_type.ends_with("zstd") => Compression::Zstd.media_type(),
            Self::Oci => Compression::None.media_type(),
            Self::Docker if media_type.ends_with("gzip") => "application/vnd.docker.image.rootfs.diff.tar.gzip",
            Self::Docker => "application/vnd.docker.image.rootfs.diff.tar",
        }
    }
}

/// Makes the manifest of an image, in which each layer has the form that it has in the store.
pub(crate) fn make(config: &[u8], layers: &[Info]) -> Vec<u8> {
    of_blobs(config, &layers.iter().map(stored).collect::<Vec<_>>(), Format::Oci)
}

/// Returns the form of a layer in the store: the blob that it came as, or its uncompressed archive.
pub(crate) fn stored(layer: &Info) -> Blob {
    let plain =
        || Blob { digest: layer.diff_id, size: layer.archive, media_type: Compression::None.media_type().to_owned() };
    layer.blob.clone().unwrap_or_else(plain)
}

/// Makes the manifest of an image whose layers have these forms.
pub(crate) fn of_blobs(config: &[u8], layers: &[Blob], format: Format) -> Vec<u8> {
    let descriptor = |blob: &Blob| {
        let media_type = format.layer(&blob.media_type);
        json!({ "mediaType": media_type, "digest": blob.digest, "size": blob.size })
    };
    let layers: Vec<_> = layers.iter().map(descriptor).collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": format.media_type(),
        "config": { "mediaType": format.config(), "digest": Digest::of(config), "size": config.len() },
        "layers": layers,
    });
    manifest.to_string().into_bytes()
}

/// Returns the annotations of a manifest.
pub(crate) fn annotations(manifest: &[u8]) -> Map<String, Value> {
    let fields: Value = serde_json::from_slice(manifest).unwrap_or_default();
    fields["annotations"].as_object().cloned().unwrap_or_default()
}

/// Adds annotations to a manifest.
pub(crate) fn annotate(manifest: Vec<u8>, annotations: Map<String, Value>) -> Vec<u8> {
    match serde_json::from_slice::<Value>(&manifest) {
        Ok(mut fields @ Value::Object(_)) if !annotations.is_empty() => {
            let mut all = self::annotations(&manifest);
            all.extend(annotations);
            fields["annotations"] = Value::Object(all);
            fields.to_string().into_bytes()
        }
        _ => manifest,
    }
}
