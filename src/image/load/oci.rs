//! Loads archives that have OCI's `index.json` (image specification, "Image Layout").

use super::archive::Archive;
use super::candidate::{ArchivedImage, Candidates, Names, refuse_if_none};
use super::document::{blob_name, check, digest, parse};
use super::listed;
use crate::image::error::LoadError;
use crate::image::install::Candidate;
use crate::image::name::digest::Digest;
use crate::image::name::platform::{self, Platform};
use crate::image::nature;
use crate::image::stored::index::NewIndex;
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde_json::Value;
use std::collections::HashMap;

/// Returns the images and indexes. `docker_names` are those of `manifest.json`, if that is there too.
pub(crate) fn images(
    archive: &Archive,
    wanted: Option<&Platform>,
    docker_names: &HashMap<Digest, Names>,
) -> Result<Candidates, LoadError> {
    let top: ImageIndex = parse(archive, "index.json", &archive.document("index.json")?)?;
    let mut found: Vec<ArchivedImage> = Vec::new();
    let mut others = Vec::new();
    let mut nature = None;
    let mut indexes: Vec<(NewIndex, Names)> = Vec::new();
    for descriptor in top.manifests() {
        // With a platform, its image is loaded alone.
        if wanted.is_none()
            && let Some((images, made)) = listed::index(archive, descriptor)?
        {
            let mut names = Names::default();
            annotated_name(descriptor).into_iter().for_each(|name| names.add(name));
            let configs = images.iter().map(|found| Digest::of(&found.image.config));
            configs.filter_map(|config| docker_names.get(&config)).for_each(|more| names.extend(more));
            match indexes.iter_mut().find(|(other, _)| other.bytes == made.bytes) {
                Some((_, same)) => same.extend(&names),
                None => {
                    indexes.push((made, names));
                    found.extend(images);
                }
            }
            continue;
        }
        let Some((manifest, document)) = choose(archive, descriptor, wanted, &mut others)? else { continue };
        let fields: Value = parse(archive, "a manifest", &document)?;
        if let Some(other) = nature::of(&fields) {
            nature = Some(other);
            continue;
        }
        let config_name = blob_name(archive, manifest.config())?;
        let config = archive.document(&config_name)?;
        check(archive, "config", manifest.config(), &config)?;
        // Registries carry other things than images, too.
        let Ok(known) = serde_json::from_slice(&config) else {
            nature = nature.or_else(|| nature::otherwise(&fields));
            continue;
        };
        let matches = wanted.cloned().unwrap_or_else(Platform::here).takes_config(&known);
        if !matches && (wanted.is_some() || top.manifests().len() > 1 && descriptor.platform().is_some()) {
            others.push(platform::of_config(&known).to_string());
            continue;
        }
        let (mut layers, mut files) = (Vec::new(), Vec::new());
        for layer in manifest.layers() {
            layers.push(Some(digest(archive, layer)?));
            files.push(blob_name(archive, layer)?);
        }
        let mut names = Names::default();
        annotated_name(descriptor).into_iter().for_each(|name| names.add(name));
        docker_names.get(&Digest::of(&config)).into_iter().for_each(|more| names.extend(more));
        // One image under several names is listed once for each.
        let is_same = |other: &&mut ArchivedImage| !other.is_listed && other.image.manifest.as_ref() == Some(&document);
        match found.iter_mut().find(is_same) {
            Some(same) => {
                same.image.names.extend(names.valid);
                same.invalid_names.extend(names.invalid);
            }
            None => {
                let image = Candidate { config, manifest: Some(document), index: None, layers, names: names.valid };
                found.push(ArchivedImage { image, files, invalid_names: names.invalid, is_listed: false });
            }
        }
    }
    for one in &mut found {
        one.image.names.sort();
        one.image.names.dedup();
        one.invalid_names.sort();
        one.invalid_names.dedup();
    }
    for (_, names) in &mut indexes {
        names.sort();
    }
    match nature {
        Some(nature) if found.is_empty() && others.is_empty() => {
            Err(LoadError::Other { archive: archive.name.clone(), nature })
        }
        _ => refuse_if_none(archive, wanted, found, others).map(|found| (found, indexes)),
    }
}

/// Returns the manifest that a descriptor leads to, by way of any indexes. `None`: it is not for this platform, or not in the
/// archive.
fn choose(
    archive: &Archive,
    descriptor: &Descriptor,
    wanted: Option<&Platform>,
    others: &mut Vec<String>,
) -> Result<Option<(ImageManifest, Vec<u8>)>, LoadError> {
    let here = Platform::here();
    let mut descriptor = descriptor.clone();
    for _ in 0..4 {
        let name = blob_name(archive, &descriptor)?;
        let document = archive.document(&name)?;
        check(archive, "manifest", &descriptor, &document)?;
        let fields: Value = parse(archive, &name, &document)?;
        let (is_index, is_manifest) = (fields.get("manifests").is_some(), fields.get("layers").is_some());
        if is_index && is_manifest {
            // Two readers of one digest must not see different things.
            return Err(LoadError::TwoFaced { archive: archive.name.clone(), name });
        }
        if !is_index {
            return Ok(Some((parse(archive, &name, &document)?, document)));
        }
        let index: ImageIndex = parse(archive, &name, &document)?;
        // An index may name platforms that were left out of the archive.
        let is_here = |d: &&Descriptor| blob_name(archive, d).is_ok_and(|name| archive.has(&name));
        let candidates = platform::candidates(&index, wanted.unwrap_or(&here));
        let Some(chosen) = candidates.into_iter().find(is_here) else {
            others.extend(platform::offered(index.manifests().iter().filter(is_here)));
            return Ok(None);
        };
        descriptor = chosen.clone();
    }
    Err(LoadError::Nested { archive: archive.name.clone() })
}

/// Returns the name in the annotations of a descriptor: containerd's is whole, OCI's is often the tag alone, which names
/// nothing.
fn annotated_name(descriptor: &Descriptor) -> Option<&str> {
    let annotations = descriptor.annotations().as_ref()?;
    let whole = annotations.get("io.containerd.image.name");
    let name =
        whole.or_else(|| annotations.get("org.opencontainers.image.ref.name").filter(|n| n.contains([':', '/'])));
    name.map(String::as_str)
}
