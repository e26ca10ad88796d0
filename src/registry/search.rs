//! `search`: repositories by a word, as the Hub finds them; of a registry that cannot search, those whose names hold it.

use super::session::Scope;
use super::session::endpoint;
use super::{RegistryError, Settings};
use crate::image::ImageError;
use crate::image::name::reference::Reference;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

const HUB: &str = "docker.io";
/// The host of the Hub that answers searches.
const HUB_INDEX: &str = "https://index.docker.io";
const LONGEST: u64 = 8 << 20;

#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Found {
    pub name: String,
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub star_count: u64,
    #[serde(default)]
    pub is_official: bool,
}

#[derive(Deserialize)]
struct Results {
    #[serde(default)]
    results: Vec<Found>,
}

#[derive(Deserialize)]
struct Catalog {
    #[serde(default)]
    repositories: Vec<String>,
}

/// `term` may begin with a registry: `localhost:5000/nginx`.
pub(crate) fn search(term: &str, limit: usize, settings: &Settings) -> Result<Vec<Found>, RegistryError> {
    let (registry, word) = match term.split_once('/') {
        Some((first, rest)) if first.contains(['.', ':']) || first == "localhost" => (first, rest),
        _ => (HUB, term),
    };
    // Any repository of the registry will do.
    let reference: Reference = format!("{registry}/search").parse().map_err(ImageError::from)?;
    let session = endpoint::open(&reference, settings)?;
    let base = if registry == HUB { HUB_INDEX } else { &session.base };
    let query = utf8_percent_encode(word, NON_ALPHANUMERIC);
    let url = format!("{base}/v1/search?q={query}&n={limit}");
    let invalid = |source| RegistryError::Document { subject: format!("the search for {term}"), source };
    match session.document(&url, &[], &Scope::none(), LONGEST, registry) {
        Ok(bytes) => {
            let mut found = serde_json::from_slice::<Results>(&bytes).map_err(invalid)?.results;
            found.truncate(limit);
            return Ok(found);
        }
        Err(RegistryError::Refused { refusal, .. }) if registry != HUB && refusal.status == 404 => {}
        Err(error) => return Err(error),
    }
    let bytes = session.document(&session.url("_catalog?n=1000"), &[], &Scope::catalog(), LONGEST, registry)?;
    let catalog: Catalog = serde_json::from_slice(&bytes).map_err(invalid)?;
    let named = catalog.repositories.into_iter().filter(|name| name.contains(word));
    Ok(named.take(limit).map(|name| Found { name: format!("{registry}/{name}"), ..Found::default() }).collect())
}
