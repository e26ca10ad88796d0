//! Loads a directory that skopeo (`dir:`) or Podman (`docker-dir`) has written: a manifest, and its blobs named by their
//! digests.

use super::archive::Archive;
use super::candidate::ArchivedImage;
use super::document::{check, digest, parse};
use crate::image::error::LoadError;
use crate::image::install::Candidate;
use crate::image::name::platform::{self, Platform};
use crate::image::nature;
use oci_spec::image::{Descriptor, ImageIndex, ImageManifest};
use serde_json::Value;

pub(crate) fn images(
    archive: &Archive,
    mut document: Vec<u8>,
    wanted: Option<&Platform>,
) -> Result<Vec<ArchivedImage>, LoadError> {
    let mut fields: Value = parse(archive, "manifest.json", &document)?;
    if fields.get("manifests").is_some() {
        let index: ImageIndex = parse(archive, "manifest.json", &document)?;
        let name = |descriptor: &Descriptor| -> Result<String, LoadError> {
            Ok(format!("{}.manifest.json", digest(archive, descriptor)?.hex()))
        };
        let is_here = |d: &&Descriptor| name(d).is_ok_and(|name| archive.has(&name));
        let here = Platform::here();
        let wanted = wanted.unwrap_or(&here);
        let Some(chosen) = platform::candidates(&index, wanted).into_iter().find(is_here) else {
            let offered = platform::offered(index.manifests().iter().filter(is_here));
            return Err(LoadError::Platform { archive: archive.name.clone(), wanted: wanted.to_string(), offered });
        };
        document = archive.document(&name(chosen)?)?;
        check(archive, "manifest", chosen, &document)?;
        fields = parse(archive, "a manifest", &document)?;
    }
    if let Some(nature) = nature::of(&fields) {
        return Err(LoadError::Other { archive: archive.name.clone(), nature });
    }
    let manifest: ImageManifest = parse(archive, "manifest.json", &document)?;
    let config = archive.document(&digest(archive, manifest.config())?.hex())?;
    check(archive, "config", manifest.config(), &config)?;
    let known = parse(archive, "the config", &config)?;
    if let Some(wanted) = wanted.filter(|wanted| !wanted.takes_config(&known)) {
        let offered = vec![platform::of_config(&known).to_string()];
        return Err(LoadError::Platform { archive: archive.name.clone(), wanted: wanted.to_string(), offered });
    }
    let digests = manifest.layers().iter().map(|layer| digest(archive, layer)).collect::<Result<Vec<_>, _>>()?;
    let files = digests.iter().map(|digest| digest.hex()).collect();
    let layers = digests.into_iter().map(Some).collect();
    let image = Candidate { config, manifest: Some(document), index: None, layers, names: Vec::new() };
    Ok(vec![ArchivedImage { image, files, invalid_names: Vec::new(), is_listed: false }])
}
