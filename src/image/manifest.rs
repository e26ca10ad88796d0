//! Manifests that are made here: for images that came without one, or whose blobs are no longer the ones it names.

use super::digest::Digest;
use super::layer::Info;
use super::stream::Compression;
use serde_json::json;

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Names each layer by the blob that it came as, else by its uncompressed archive.
pub fn make(config: &[u8], layers: &[Info]) -> Vec<u8> {
    let descriptor = |layer: &Info| match &layer.blob {
        Some(blob) => json!({ "mediaType": blob.media_type, "digest": blob.digest, "size": blob.size }),
        None => json!({ "mediaType": Compression::None.media_type(), "digest": layer.diff_id, "size": layer.archive }),
    };
    let layers: Vec<_> = layers.iter().map(descriptor).collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": { "mediaType": OCI_CONFIG, "digest": Digest::of(config), "size": config.len() },
        "layers": layers,
    });
    manifest.to_string().into_bytes()
}
