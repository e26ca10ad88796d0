//! `--metadata-file`, in buildx's format.

use crate::diag::Failure;
use crate::image;
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use crate::image::stored::index::Index;
use crate::store::Store;
use serde_json::{Value, json};

/// Returns the metadata of an image or an index in buildx's format.
pub(super) fn metadata(
    store: &Store,
    built: &Digest,
    names: &[Reference],
    pushed: Option<Digest>,
) -> Result<Value, Failure> {
    let target = image::lookup(store, &built.to_string())?;
    let known =
        names.first().and_then(|name| image::stored::names::resolve(store, name).ok()?).map(|name| name.manifest);
    let known = known.or(target.manifest).or(image::manifests(store, &target.image)?.first().copied());
    let digest = known.unwrap_or(*built);
    let index = Index::open(store, &digest)?;
    let mut all = json!({ "containerimage.digest": pushed.unwrap_or(digest) });
    let bytes = match index {
        Some(index) => index.bytes,
        None => {
            all["containerimage.config.digest"] = json!(target.image);
            image::manifest_bytes(store, &target.image, &digest)?
        }
    };
    // The registry's manifest is another one, of compressed layers.
    if pushed.is_none_or(|pushed| pushed == digest) {
        let fields: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        all["containerimage.descriptor"] =
            json!({ "mediaType": fields["mediaType"], "digest": digest, "size": bytes.len() });
    }
    if !names.is_empty() {
        all["image.name"] = json!(names.iter().map(Reference::to_string).collect::<Vec<_>>().join(","));
    }
    Ok(all)
}
