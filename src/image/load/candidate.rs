use super::archive::Archive;
use crate::image::error::LoadError;
use crate::image::install::Candidate;
use crate::image::name::platform::Platform;
use crate::image::name::reference::Reference;
use crate::image::stored::index::NewIndex;
use crate::image::tar::tape::printable;

/// An image in an archive, and the files of its layers, bottom first.
pub(crate) struct ArchivedImage {
    pub image: Candidate,
    pub files: Vec<String>,
    /// Names in the archive that are not valid.
    pub invalid_names: Vec<String>,
    /// It belongs to an index, which has the names.
    pub is_listed: bool,
}

/// The images in an archive, and the indexes that list some of them.
pub(crate) type Candidates = (Vec<ArchivedImage>, Vec<(NewIndex, Names)>);

/// The names of an image in an archive, valid and invalid ones.
#[derive(Default, Clone)]
pub(crate) struct Names {
    pub valid: Vec<Reference>,
    pub invalid: Vec<String>,
}

impl Names {
    pub(crate) fn add(&mut self, text: &str) {
        match text.parse::<Reference>() {
            Ok(name) => self.valid.push(name.or_latest()),
            Err(_) => self.invalid.push(printable(text.as_bytes())),
        }
    }

    pub(crate) fn extend(&mut self, other: &Self) {
        self.valid.extend(other.valid.iter().cloned());
        self.invalid.extend(other.invalid.iter().cloned());
    }
}

/// Fails if an archive has images, but none for the platform. `offered`: those it has.
pub(crate) fn refuse_if_none(
    archive: &Archive,
    wanted: Option<&Platform>,
    found: Vec<ArchivedImage>,
    offered: Vec<String>,
) -> Result<Vec<ArchivedImage>, LoadError> {
    if found.is_empty() && !offered.is_empty() {
        let wanted = wanted.cloned().unwrap_or_else(Platform::here).to_string();
        return Err(LoadError::Platform { archive: archive.name.clone(), wanted, offered });
    }
    Ok(found)
}

impl ArchivedImage {
    /// Describes an image without a manifest: the digests of its layers are in its config alone.
    pub(crate) fn of_files(config: Vec<u8>, files: Vec<String>, names: Names) -> Self {
        let layers = vec![None; files.len()];
        let image = Candidate { config, manifest: None, index: None, layers, names: names.valid };
        Self { image, files, invalid_names: names.invalid, is_listed: false }
    }
}

impl Names {
    /// Sorts the names, and leaves each of them once.
    pub(crate) fn sort(&mut self) {
        self.valid.sort();
        self.valid.dedup();
        self.invalid.sort();
        self.invalid.dedup();
    }
}
