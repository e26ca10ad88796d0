//! The meaning of a refusal: access denied, not found, or a limit reached; and what to type next.

use super::answer::Limit;
use crate::diag::{Diagnose, ErrorCode};
use crate::image::name::reference::Reference;

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
    fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::PullDenied { .. } => Some(ErrorCode::PullDenied),
            Self::PushDenied { .. } => Some(ErrorCode::PushDenied),
            Self::NoManifest { .. } => Some(ErrorCode::NoManifest),
            Self::Limited { .. } => Some(ErrorCode::Limited),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::PullDenied { reference, refused: true, .. } => Some(format!(
                "the login that is kept for {} was refused; log in again: {}",
                reference.registry,
                login_command(&reference.registry, None)
            )),
            Self::PullDenied { reference, user: None, .. } => {
                Some(format!("if it is there, log in: {}", login_command(&reference.registry, None)))
            }
            Self::PullDenied { user: Some(user), .. } => {
                Some(format!("you are logged in as {user}: is the name spelt as in the registry?"))
            }
            Self::PushDenied { reference, user: None, .. } => {
                Some(format!("log in first: {}", login_command(&reference.registry, None)))
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
                    lines.push(format!("a login raises the limit: {}", login_command(registry, None)));
                }
                lines.push("or have a mirror asked first: see docs/registry.md".into());
                Some(lines.join("\n"))
            }
        }
    }
}

/// Returns the command that logs in to a registry.
pub(super) fn login_command(registry: &str, user: Option<&str>) -> String {
    let user = user.map(|user| format!(" -u {user}")).unwrap_or_default();
    let server = if registry == "docker.io" { String::new() } else { format!(" {registry}") };
    format!("minirun login{user}{server}")
}

/// Returns the commands that tag and push an image under the user's own name.
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
}
