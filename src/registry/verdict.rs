//! What a refusal means for who asked: who may do what, what is not there, what is used up, and what to type next.

use super::answer::{Limit, Refusal};
use super::session::{Scope, Session};
use super::{RegistryError, answer};
use crate::diag::Diagnose;
use crate::http::HttpError;
use crate::image::name::reference::Reference;
use serde::Deserialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Pull,
    Push,
}

#[derive(Debug, thiserror::Error)]
pub enum Verdict {
    #[error("pull access denied for {}: the repository does not exist or may require a login ({said})", reference.familiar_repository())]
    PullDenied { reference: Reference, user: Option<String>, refused: bool, said: String },
    #[error("denied: you may not push to {} ({said})", reference.name())]
    PushDenied { reference: Reference, user: Option<String>, said: String },
    #[error("docker.io/library is Docker's own: nobody else may push {}", reference.name())]
    Library { reference: Reference, user: Option<String> },
    #[error("manifest for {} not found: {said}", reference.familiar())]
    NoManifest { reference: Reference, tags: Vec<String>, said: String },
    #[error("{} has no repository {}", reference.registry, reference.repository)]
    NoRepository { reference: Reference },
    #[error("{registry} answers 429 (too many requests){}", used(limit))]
    Limited { registry: String, user: Option<String>, limit: Limit },
}

impl Diagnose for Verdict {
    fn hint(&self) -> Option<String> {
        let server = |registry: &str| if registry == "docker.io" { String::new() } else { format!(" {registry}") };
        match self {
            Self::PullDenied { reference, refused: true, .. } => Some(format!(
                "the login that is kept for {0} was refused: log in again with minirun login{1}",
                reference.registry,
                server(&reference.registry)
            )),
            Self::PullDenied { reference, user: None, .. } => {
                Some(format!("if it is there, log in: minirun login{}", server(&reference.registry)))
            }
            Self::PullDenied { user: Some(user), .. } => {
                Some(format!("you are logged in as {user}: is the name spelt as in the registry?"))
            }
            Self::PushDenied { reference, user: None, .. } => {
                Some(format!("log in first: minirun login{}", server(&reference.registry)))
            }
            Self::PushDenied { reference, user: Some(user), .. } => {
                let owner = reference.repository.split('/').next().unwrap_or_default();
                if owner == user || reference.registry != "docker.io" {
                    return Some(format!("you are logged in as {user}, who may not write there"));
                }
                Some(format!("you are logged in as {user}, not as {owner}\n{}", retag(reference, user)))
            }
            Self::Library { reference, user: Some(user) } => {
                Some(format!("you are logged in as {user}\n{}", retag(reference, user)))
            }
            Self::Library { reference, user: None } => {
                let name = last(reference);
                Some(format!(
                    "give it a name of your own: minirun tag {} YOU/{name}\nand log in: minirun login",
                    reference.familiar()
                ))
            }
            Self::NoManifest { tags, .. } if !tags.is_empty() => Some(format!("it has the tags: {}", tags.join(", "))),
            Self::NoManifest { .. } | Self::NoRepository { .. } => Some("is the name spelt as in the registry?".into()),
            Self::Limited { registry, user, limit } => {
                let mut lines = Vec::new();
                if let Some(seconds) = limit.again_in {
                    lines.push(format!("again in {}", span(seconds)));
                }
                if user.is_none() {
                    lines.push(format!("who is logged in may do more: minirun login{}", server(registry)));
                }
                lines.push("or have a mirror asked first: see docs/registry.md".into());
                Some(lines.join("\n"))
            }
        }
    }
}

/// `tag` and `push` under a name of one's own.
fn retag(reference: &Reference, user: &str) -> String {
    let tag = reference.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
    let own = format!("{user}/{}{tag}", last(reference));
    format!("tag it as your own: minirun tag {} {own}\nand push that:      minirun push {own}", reference.familiar())
}

fn last(reference: &Reference) -> &str {
    reference.repository.rsplit('/').next().unwrap_or_default()
}

fn used(limit: &Limit) -> String {
    match (limit.pulls, limit.seconds) {
        (Some(pulls), Some(seconds)) => format!(": {pulls} pulls in {} used", span(seconds)),
        (Some(pulls), None) => format!(": {pulls} pulls used"),
        _ => String::new(),
    }
}

/// `6 hours`, `43 min`
fn span(seconds: u64) -> String {
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds.div_ceil(60)),
        _ => format!("{} hours", seconds.div_ceil(3600)),
    }
}

/// The error, with what it means if the registry refused something.
pub(super) fn explain(error: RegistryError, session: &Session, reference: &Reference, verb: Verb) -> RegistryError {
    let refusal = match error {
        RegistryError::Refused { refusal, subject } => match refusal.status {
            401 | 403 | 429 => refusal,
            // Of a blob it says that the registry is broken, not that the name is wrong.
            404 if subject == reference.familiar() => refusal,
            _ => return RegistryError::Refused { refusal, subject },
        },
        // Nobody is let in without a login, or the one that is kept is no longer good.
        RegistryError::Login { user: None, .. } => Refusal { status: 401, ..Refusal::default() },
        other => return other,
    };
    let (reference, user, said) = (reference.clone(), session.user(), refusal.words());
    let hub = reference.registry == "docker.io";
    let library = hub && reference.repository.starts_with("library/");
    let verdict = match (refusal.status, verb) {
        (429, _) => {
            let limit = refusal.limit.unwrap_or_default();
            Verdict::Limited { registry: reference.registry, user, limit }
        }
        (401 | 403, Verb::Push) if library => Verdict::Library { reference, user },
        (401 | 403, Verb::Push) => Verdict::PushDenied { reference, user, said },
        (401 | 403, Verb::Pull) => Verdict::PullDenied { reference, user, refused: session.is_login_refused(), said },
        (_, _) if refusal.code == "NAME_UNKNOWN" => Verdict::NoRepository { reference },
        (_, Verb::Pull) => Verdict::NoManifest { tags: some_tags(session, &reference), reference, said },
        (_, Verb::Push) => {
            return RegistryError::Refused {
                subject: reference.familiar(),
                refusal: Refusal { limit: None, ..refusal },
            };
        }
    };
    verdict.into()
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

const MOST_TAGS: usize = 10;
/// With a hundred tags on each, more than anybody has.
const MOST_PAGES: usize = 1000;
const LONGEST: u64 = 4 << 20;

/// Of the first page, those that come nearest to what was asked for.
fn some_tags(session: &Session, reference: &Reference) -> Vec<String> {
    let url = session.url(&format!("{}/tags/list", reference.repository));
    let (mut tags, _) = page(session, &reference.repository, &url).unwrap_or_default();
    let asked = reference.tag.clone().unwrap_or_default();
    tags.sort_by_key(|tag| (tag != "latest", strsim::levenshtein(&asked, tag)));
    tags.truncate(MOST_TAGS);
    tags
}

/// Every tag of a repository, page after page.
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

/// Tags, and where more of them are.
fn page(session: &Session, repository: &str, url: &str) -> Result<(Vec<String>, Option<String>), RegistryError> {
    let response = session.get(url, &[], &Scope::pull(repository))?;
    if response.status() != 200 {
        return Err(answer::refusal(response).into_error(repository));
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
    fn a_refused_push_is_told_with_the_name_that_would_do() {
        let reference: Reference = "mynginx:v1".parse().unwrap();
        let library = Verdict::Library { reference: reference.clone(), user: Some("ann".into()) };
        assert!(library.to_string().starts_with("docker.io/library is Docker's own"));
        let hint = library.hint().unwrap();
        assert!(hint.starts_with("you are logged in as ann\n"), "{hint}");
        assert!(hint.contains("minirun tag mynginx:v1 ann/mynginx:v1") && hint.contains("minirun push ann/mynginx:v1"));
        let hint = Verdict::Library { reference, user: None }.hint().unwrap();
        assert!(hint.contains("minirun login"), "{hint}");
        let of_another: Reference = "bob/mynginx:v1".parse().unwrap();
        let denied = Verdict::PushDenied { reference: of_another, user: Some("ann".into()), said: "denied".into() };
        let hint = denied.hint().unwrap();
        assert!(hint.contains("as ann, not as bob") && hint.contains("minirun push ann/mynginx:v1"), "{hint}");
    }

    #[test]
    fn the_next_page_of_a_list() {
        assert_eq!(next_page(r#"</v2/a/tags/list?last=b>; rel="next""#), Some("/v2/a/tags/list?last=b"));
        for other in ["", "<", r#"</v2/a>; rel="prev""#, "v2"] {
            assert_eq!(next_page(other), None);
        }
    }
}
