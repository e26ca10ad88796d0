//! Loads archives that have Docker's `manifest.json`.

use super::archive::Archive;
use super::candidate::{ArchivedImage, Names, refuse_if_none};
use super::document::parse;
use crate::image::error::LoadError;
use crate::image::name::digest::Digest;
use crate::image::name::platform::{self, Platform};
use serde::Deserialize;
use std::collections::HashMap;

/// One image in `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerImage {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

impl DockerImage {
    fn names(&self) -> Names {
        let mut names = Names::default();
        self.repo_tags.iter().flatten().for_each(|tag| names.add(tag));
        names
    }
}

fn entries(archive: &Archive) -> Result<Vec<DockerImage>, LoadError> {
    parse(archive, "manifest.json", &archive.document("manifest.json")?)
}

pub(crate) fn images(archive: &Archive, wanted: Option<&Platform>) -> Result<Vec<ArchivedImage>, LoadError> {
    let mut found = Vec::new();
    let mut others = Vec::new();
    for image in entries(archive)? {
        let config = archive.document(&image.config)?;
        let names = image.names();
        let known = parse(archive, &image.config, &config)?;
        if wanted.is_some_and(|wanted| !wanted.takes_config(&known)) {
            others.push(platform::of_config(&known).to_string());
            continue;
        }
        let files = image.layers.unwrap_or_default();
        found.push(ArchivedImage::of_files(config, files, names));
    }
    refuse_if_none(archive, wanted, found, others)
}

/// Returns the names in `manifest.json` by the digests of their configs.
pub(crate) fn names(archive: &Archive) -> Result<HashMap<Digest, Names>, LoadError> {
    let mut names: HashMap<Digest, Names> = HashMap::new();
    for image in entries(archive)? {
        // A platform of the image that was not saved has no config here.
        if let Ok(config) = archive.document(&image.config) {
            names.entry(Digest::of(&config)).or_default().extend(&image.names());
        }
    }
    Ok(names)
}
