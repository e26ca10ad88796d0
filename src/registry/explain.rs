//! Makes a [`Verdict`] of a registry's refusal.

use super::RegistryError;
use super::answer::Refusal;
use super::session::Session;
use super::tags::some_tags;
use super::verdict::Verdict;
use crate::image::name::reference::Reference;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Pull,
    Push,
}

/// Makes a [`Verdict`] of an error if it is a refusal.
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
