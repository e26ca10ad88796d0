//! `--build-context`: images and files under names that the command line gives them.

use super::context;
use super::context::{ContextError, Files};
use crate::diag::Diagnose;
use crate::image::name::reference::Reference;
use crate::store::Store;
use std::collections::BTreeMap;
use std::rc::Rc;

const IMAGE: &str = "docker-image://";

#[derive(Debug, thiserror::Error)]
pub enum NamedError {
    #[error("--build-context {0}: it has no NAME=…")]
    NoName(String),
    #[error("--build-context {0}: invalid name `{1}`")]
    Name(String, String),
    #[error(
        "--build-context {0}: {1}… is not supported; use a directory, docker-image://NAME, an address or a git repository"
    )]
    Kind(String, String),
    #[error("--build-context {0}")]
    Context(String, #[source] ContextError),
    #[error("--build-context {0}")]
    Image(String, #[source] crate::image::name::reference::InvalidReference),
}

impl Diagnose for NamedError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        match self {
            Self::Context(_, error) => Some(error),
            Self::Image(_, error) => Some(error),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Context(_, ContextError::NoContext(_)) | Self::Name(..) => None,
            Self::Context(..) | Self::Image(..) => self.inner().and_then(Diagnose::hint),
            _ => Some("as in: --build-context assets=../assets, then COPY --from=assets logo.png /".into()),
        }
    }
}

pub(crate) enum Named {
    Image(String),
    Files(Files),
}

/// The named contexts, by their names, which may replace a stage or an image.
#[derive(Clone, Default)]
pub struct Contexts(Rc<BTreeMap<String, Named>>);

impl Contexts {
    /// Parses each `NAME=VALUE`; fetches and unpacks the context where necessary.
    pub fn open(store: &Store, texts: &[String]) -> Result<Self, NamedError> {
        let mut all = BTreeMap::new();
        for text in texts {
            let (name, value) = text.split_once('=').ok_or_else(|| NamedError::NoName(text.clone()))?;
            let is_name = |c: char| c.is_ascii_alphanumeric() || "._-/:@+".contains(c);
            if name.is_empty() || !name.chars().all(is_name) {
                return Err(NamedError::Name(text.clone(), name.to_owned()));
            }
            let found = if let Some(image) = value.strip_prefix(IMAGE) {
                let image: Reference = image.parse().map_err(|error| NamedError::Image(text.clone(), error))?;
                Named::Image(image.or_latest().to_string())
            } else if let Some(kind) = ["oci-layout://", "target:"].iter().find(|kind| value.starts_with(**kind)) {
                return Err(NamedError::Kind(text.clone(), (*kind).to_owned()));
            } else {
                let files = context::files(store, value).map_err(|error| NamedError::Context(text.clone(), error))?;
                Named::Files(files)
            };
            all.insert(plain(name), found);
        }
        Ok(Self(Rc::new(all)))
    }

    /// Whether all contexts can be used without fetching or unpacking.
    pub fn are_plain(texts: &[String]) -> bool {
        let values = texts.iter().filter_map(|text| text.split_once('=')).map(|(_, value)| value);
        values
            .into_iter()
            .all(|value| value.contains("://") && value.starts_with(IMAGE) || context::is_plain(value, None))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Named> {
        if self.0.is_empty() { None } else { self.0.get(&plain(name)) }
    }

    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub fn files(&self, name: &str) -> Option<&Files> {
        match self.get(name)? {
            Named::Files(files) => Some(files),
            Named::Image(_) => None,
        }
    }

    /// Returns the image that a name stands for.
    pub fn image(&self, name: &str) -> String {
        match self.get(name) {
            Some(Named::Image(image)) => image.clone(),
            _ => name.to_owned(),
        }
    }
}

/// Normalizes a name: `alpine`, `alpine:latest` and `docker.io/library/alpine` are the same.
fn plain(name: &str) -> String {
    let familiar = name.parse::<Reference>().map_or_else(|_| name.to_ascii_lowercase(), |found| found.familiar());
    familiar.strip_suffix(":latest").map(str::to_owned).unwrap_or(familiar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images_are_one_in_all_their_forms() {
        for name in ["alpine", "alpine:latest", "docker.io/library/alpine", "docker.io/alpine:latest"] {
            assert_eq!(plain(name), "alpine");
        }
        assert_eq!(plain("alpine:3"), "alpine:3");
        assert_eq!(plain("Base"), "base");
    }

    #[test]
    fn what_must_be_fetched() {
        let plain = |value: &str| Contexts::are_plain(&[format!("a={value}")]);
        assert!(plain("docker-image://alpine") && plain("."));
        assert!(!plain("https://example.org/a.tar") && !plain("https://example.org/a.git"));
    }
}
