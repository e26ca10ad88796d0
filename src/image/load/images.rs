use super::archive::Archive;
use super::candidate::Candidates;
use super::document::parse;
use super::{directory, docker, legacy, oci};
use crate::image::error::{ImageError, LoadError};
use crate::image::install::{Source, install};
use crate::image::name::digest::Digest;
use crate::image::name::platform::Platform;
use crate::image::name::reference::Reference;
use crate::image::stored::index;
use crate::store::Store;
use serde_json::Value;
use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

/// An image or index that was loaded.
pub(crate) struct Loaded {
    pub id: Digest,
    pub names: Vec<Reference>,
    /// Names in the archive that are not valid.
    pub invalid_names: Vec<String>,
}

/// Loads the images of an archive, or those for a platform. Without a path, reads standard input.
pub(crate) fn load(store: &Store, path: Option<&Path>, wanted: Option<&Platform>) -> Result<Vec<Loaded>, ImageError> {
    let scratch = store.scratch()?;
    let archive = Archive::open(path, &scratch).map_err(LoadError::from)?;
    let mut loaded = Vec::new();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (images, indexes) = candidates(&archive, wanted)?;
    for archived in images {
        let layers = Layers { archive: &archive, files: &archived.files };
        let id = install(store, &archived.image, &layers, threads)?;
        if !archived.is_listed {
            loaded.push(Loaded { id, names: archived.image.names, invalid_names: archived.invalid_names });
        }
    }
    for (new, names) in indexes {
        let id = index::keep(store, &new, &names.valid)?;
        loaded.push(Loaded { id, names: names.valid, invalid_names: names.invalid });
    }
    Ok(loaded)
}

fn candidates(archive: &Archive, wanted: Option<&Platform>) -> Result<Candidates, LoadError> {
    let alone = |found| (found, Vec::new());
    // Docker writes both; the index alone has the manifests as they came.
    if archive.has("index.json") {
        let names = if archive.has("manifest.json") { docker::names(archive)? } else { HashMap::new() };
        return oci::images(archive, wanted, &names);
    }
    if archive.has("manifest.json") {
        let document = archive.document("manifest.json")?;
        let is_one = parse::<Value>(archive, "manifest.json", &document)?.is_object();
        let found = if is_one { directory::images(archive, document, wanted) } else { docker::images(archive, wanted) };
        return found.map(alone);
    }
    if archive.has(legacy::REPOSITORIES) {
        return legacy::images(archive, wanted).map(alone);
    }
    Err(LoadError::NoImages { archive: archive.name.clone() })
}

/// The layers of one image in an archive, by their files.
struct Layers<'a> {
    archive: &'a Archive,
    files: &'a [String],
}

impl Source for Layers<'_> {
    fn layer(&self, number: usize) -> Result<Box<dyn Read + Send + '_>, ImageError> {
        Ok(self.archive.file(&self.files[number]).map_err(LoadError::from)?.0)
    }
}
