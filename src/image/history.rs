//! The history of an image.

use super::error::ImageError;
use super::name::digest::Digest;
use super::stored::image::Image;
use super::stored::layer;
use crate::store::Store;

/// A step of the history.
pub(crate) struct Step {
    /// The layer that it made, unless it changed metadata alone.
    pub layer: Option<Digest>,
    pub created: Option<String>,
    pub created_by: String,
    pub size: u64,
    pub comment: String,
}

/// Returns the steps, newest first.
pub(crate) fn history(store: &Store, image: &Image) -> Result<Vec<Step>, ImageError> {
    let mut layers = image.layers.iter();
    let mut steps = Vec::new();
    for entry in image.raw_config()["history"].as_array().into_iter().flatten() {
        let empty = entry["empty_layer"].as_bool().unwrap_or(false);
        let layer = if empty { None } else { layers.next() };
        let text = |key: &str| entry[key].as_str().map(str::to_owned);
        steps.push(Step {
            layer: layer.copied(),
            created: text("created"),
            created_by: text("created_by").unwrap_or_default(),
            size: layer.map_or(Ok(0), |layer| layer::known(store, layer).map(|info| info.size))?,
            comment: text("comment").unwrap_or_default(),
        });
    }
    // The history may leave layers out.
    for layer in layers {
        let size = layer::known(store, layer)?.size;
        steps.push(Step {
            layer: Some(*layer),
            created: None,
            created_by: String::new(),
            size,
            comment: String::new(),
        });
    }
    steps.reverse();
    Ok(steps)
}
