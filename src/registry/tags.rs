//! The tags of a repository.

use super::RegistryError;
use super::answer;
use super::session::{Scope, Session};
use crate::http::HttpError;
use crate::image::name::reference::Reference;
use serde::Deserialize;

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

const MOST_TAGS: usize = 10;
/// The most pages that are fetched.
const MOST_PAGES: usize = 1000;
const LONGEST: u64 = 4 << 20;

/// Returns the tags of the first page that are closest to the requested one.
pub(super) fn some_tags(session: &Session, reference: &Reference) -> Vec<String> {
    let url = session.url(&format!("{}/tags/list", reference.repository));
    let (mut tags, _) = page(session, &reference.repository, &url).unwrap_or_default();
    let asked = reference.tag.clone().unwrap_or_default();
    tags.sort_by_key(|tag| (tag != "latest", strsim::levenshtein(&asked, tag)));
    tags.truncate(MOST_TAGS);
    tags
}

/// Lists every tag of a repository, page after page.
pub(super) fn all_tags(session: &Session, repository: &str) -> Result<Vec<String>, RegistryError> {
    let mut url = session.url(&format!("{repository}/tags/list"));
    let mut found = Vec::new();
    for _ in 0..MOST_PAGES {
        let (tags, next) = page(session, repository, &url)?;
        let ended = tags.is_empty();
        found.extend(tags);
        match next {
            Some(next) if !ended => url = next,
            _ => return Ok(found),
        }
    }
    Err(RegistryError::Endless { subject: format!("the list of tags of {repository}") })
}

/// Fetches a page of tags. Returns them with the URL of the next page.
fn page(session: &Session, repository: &str, url: &str) -> Result<(Vec<String>, Option<String>), RegistryError> {
    let response = session.get(url, &[], &Scope::pull(repository))?;
    if response.status() != 200 {
        return Err(RegistryError::refused(repository, answer::refusal(response)));
    }
    let broken = |source| HttpError::Broken { url: url.to_owned(), source };
    let long = || RegistryError::Long { subject: format!("the list of tags of {repository}"), longest: LONGEST };
    let next = answer::header(&response, "link").and_then(next_page).and_then(|next| crate::http::resolve(url, next));
    let bytes = answer::text(response, LONGEST).map_err(broken)?.ok_or_else(long)?;
    let tags: Tags = serde_json::from_slice(&bytes)
        .map_err(|source| RegistryError::Document { subject: format!("the tags of {repository}"), source })?;
    let mut tags = tags.tags.unwrap_or_default();
    tags.retain(|tag| format!("a:{tag}").parse::<Reference>().is_ok());
    Ok((tags, next))
}

/// `Link: </v2/a/tags/list?last=b>; rel="next"` (RFC 8288)
fn next_page(link: &str) -> Option<&str> {
    let (address, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    parameters.contains("next").then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_of_a_list() {
        assert_eq!(next_page(r#"</v2/a/tags/list?last=b>; rel="next""#), Some("/v2/a/tags/list?last=b"));
        for other in ["", "<", r#"</v2/a>; rel="prev""#, "v2"] {
            assert_eq!(next_page(other), None);
        }
    }
}
