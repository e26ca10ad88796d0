//! Manifests that are made here: for images that came without one, or whose blobs are no longer the ones it names.

use super::digest::Digest;
use super::layer::{Blob, Info};
use super::stream::Compression;
use serde_json::json;

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// Names each layer by the blob that it came as, else by its uncompressed archive.
pub fn make(config: &[u8], layers: &[Info]) -> Vec<u8> {
    of_blobs(config, &layers.iter().map(stored).collect::<Vec<_>>())
}

/// The form in which a layer is here.
pub fn stored(layer: &Info) -> Blob {
    let plain =
        || Blob { digest: layer.diff_id, size: layer.archive, media_type: Compression::None.media_type().to_owned() };
    layer.blob.clone().unwrap_or_else(plain)
}

pub fn of_blobs(config: &[u8], layers: &[Blob]) -> Vec<u8> {
    let descriptor = |blob: &Blob| json!({ "mediaType": blob.media_type, "digest": blob.digest, "size": blob.size });
    let layers: Vec<_> = layers.iter().map(descriptor).collect();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": { "mediaType": OCI_CONFIG, "digest": Digest::of(config), "size": config.len() },
        "layers": layers,
    });
    manifest.to_string().into_bytes()
}
