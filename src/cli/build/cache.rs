//! `--cache-from` and `--cache-to`, as they are typed.

use super::error::BuildArgsError;
use crate::builder::{CacheExport, CachePlace};
use crate::image::name::reference::Reference;

/// Returns the value of a field in `a=1,b=2`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(',').filter_map(|field| field.split_once('=')).find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// Parses the place of a cache; a name alone is one in a registry.
fn place(flag: &'static str, key: &str, text: &str) -> Result<CachePlace, BuildArgsError> {
    let wrong = |why: &str| BuildArgsError::Cache { flag, text: text.to_owned(), why: why.to_owned() };
    let registry = |name: &str| match name.parse::<Reference>() {
        Ok(reference) => Ok(CachePlace::Registry(reference.or_latest())),
        Err(error) => Err(wrong(&error.to_string())),
    };
    match field(text, "type") {
        None if !text.contains('=') => registry(text),
        None => Err(wrong("type=… is missing")),
        Some("registry") => registry(field(text, "ref").ok_or_else(|| wrong("ref=NAME is missing"))?),
        Some("local") => {
            let path = field(text, key).ok_or_else(|| wrong(&format!("{key}=DIR is missing")))?;
            Ok(CachePlace::Directory(std::path::absolute(path).unwrap_or_else(|_| path.into())))
        }
        Some(_) => Err(wrong("no such type; types: registry, local, and inline for --cache-to")),
    }
}

pub(super) fn cache_from(text: &str) -> Result<CachePlace, BuildArgsError> {
    place("cache-from", "src", text)
}

/// Whether the cache is kept in the image's config.
pub(super) fn is_inline(text: &str) -> bool {
    field(text, "type") == Some("inline")
}

pub(super) fn cache_to(text: &str) -> Result<CacheExport, BuildArgsError> {
    let place = place("cache-to", "dest", text)?;
    match field(text, "mode") {
        None | Some("min") => Ok(CacheExport { place, all_stages: false }),
        Some("max") => Ok(CacheExport { place, all_stages: true }),
        Some(_) => {
            let why = "modes: min, max".to_owned();
            Err(BuildArgsError::Cache { flag: "cache-to", text: text.to_owned(), why })
        }
    }
}
