//! Parses `--annotation`: annotations of a manifest, an index, or a descriptor of one of them.

use crate::image::name::platform::Platform;
use serde_json::{Map, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Manifest,
    /// The descriptor of the image in an index or a layout.
    ManifestDescriptor,
    Index,
    IndexDescriptor,
}

#[derive(Debug, Clone)]
pub(crate) struct Annotation {
    place: Place,
    /// The platform, if the annotation is for one only.
    platform: Option<Platform>,
    name: String,
    value: String,
}

impl Annotation {
    /// Parses a list of places, as in `index,manifest[linux/arm64]`, with a name and a value.
    pub(crate) fn parse(places: &str, name: &str, value: &str) -> Result<Vec<Self>, String> {
        if name.is_empty() {
            return Err("it has no name".into());
        }
        places.split(',').map(|text| Self::at(text, name, value)).collect()
    }

    fn at(text: &str, name: &str, value: &str) -> Result<Self, String> {
        let (kind, platform) = match text.split_once('[') {
            Some((kind, rest)) => {
                let platform = rest.strip_suffix(']').ok_or_else(|| format!("`{text}` has no closing bracket"))?;
                (kind, Some(platform.parse().map_err(|error| format!("{error}"))?))
            }
            None => (text, None),
        };
        let place = match kind {
            "manifest" => Place::Manifest,
            "manifest-descriptor" => Place::ManifestDescriptor,
            "index" => Place::Index,
            "index-descriptor" => Place::IndexDescriptor,
            _ => {
                let types = "manifest, manifest-descriptor, index and index-descriptor";
                return Err(format!("invalid type `{kind}`: use {types}"));
            }
        };
        if platform.is_some() && matches!(place, Place::Index | Place::IndexDescriptor) {
            return Err("an index is for all platforms".into());
        }
        Ok(Self { place, platform, name: name.to_owned(), value: value.to_owned() })
    }

    /// Returns why a build for these platforms cannot have it.
    pub(crate) fn misplaced(&self, platforms: &[Platform], makes_index: bool) -> Option<String> {
        match &self.platform {
            Some(platform) if !platforms.contains(platform) => Some(format!("this build is not for {platform}")),
            None if !makes_index && matches!(self.place, Place::Index | Place::IndexDescriptor) => {
                Some("there is no index: a build for one platform makes an image alone".into())
            }
            _ => None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

/// Returns the annotations of one place.
pub(crate) fn of(all: &[Annotation], place: Place, platform: &Platform) -> Map<String, Value> {
    let wanted = |one: &&Annotation| one.place == place && one.platform.as_ref().is_none_or(|other| other == platform);
    all.iter().filter(wanted).map(|one| (one.name.clone(), one.value.clone().into())).collect()
}
