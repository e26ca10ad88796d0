//! `image inspect`: the facts about an image, with Docker's names.

use super::error::ImageError;
use super::stored::image::Image;
use super::stored::names;
use crate::store::Store;
use serde_json::{Value, json};

/// Returns one element of what `docker image inspect` prints.
pub fn json(store: &Store, image: &Image) -> Result<Value, ImageError> {
    let names = names::of_image(store, &image.id)?;
    let tags: Vec<String> =
        names.iter().filter(|n| n.reference.tag.is_some()).map(|n| n.reference.familiar()).collect();
    let mut digests: Vec<String> =
        names.iter().map(|n| format!("{}@{}", n.reference.familiar_repository(), n.manifest)).collect();
    digests.sort();
    digests.dedup();
    let raw = image.raw_config();
    let text = |key: &str| raw[key].as_str().unwrap_or_default().to_owned();
    let comment = match raw["comment"].as_str() {
        Some(comment) => comment,
        None => raw["history"].as_array().and_then(|h| h.last()?["comment"].as_str()).unwrap_or_default(),
    };
    // overlayfs lists them from the top down.
    let directories: Vec<String> =
        image.layer_dirs().iter().rev().map(|dir| store.path(dir).display().to_string()).collect();
    let (upper, lower) = directories.split_first().map_or((None, &[][..]), |(upper, lower)| (Some(upper), lower));
    let mut data = json!({ "UpperDir": upper });
    if !lower.is_empty() {
        data["LowerDir"] = json!(lower.join(":"));
    }
    let mut known = json!({
        "Id": image.id,
        "RepoTags": tags,
        "RepoDigests": digests,
        "Parent": "",
        "Comment": comment,
        "Created": text("created"),
        "DockerVersion": text("docker_version"),
        "Author": text("author"),
        "Config": config(&raw["config"]),
        "Architecture": text("architecture"),
        "Os": text("os"),
        "Size": image.size(store)?,
        "GraphDriver": { "Data": data, "Name": "overlay2" },
        "RootFS": { "Type": "layers", "Layers": image.layers },
        "Metadata": { "LastTagTime": names::last_given(store, &image.id) },
    });
    if let Some(variant) = raw["variant"].as_str().filter(|v| !v.is_empty()) {
        known["Variant"] = json!(variant);
    }
    Ok(known)
}

/// Returns the settings with the fields that Docker always shows.
fn config(settings: &Value) -> Value {
    let mut config = json!({
        "User": "", "Env": null, "Cmd": null, "Volumes": null, "WorkingDir": "", "Entrypoint": null, "OnBuild": null,
        "Labels": null,
    });
    for (key, value) in settings.as_object().into_iter().flatten() {
        config[key] = value.clone();
    }
    config
}
