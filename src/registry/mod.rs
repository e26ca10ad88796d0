//! Images from and to registries, by the OCI distribution protocol.

pub(crate) mod answer;
pub(crate) mod artifact;
mod blob;
pub(crate) mod challenge;
mod config;
pub(crate) mod credentials;
mod endpoint;
mod helper;
pub(crate) mod list;
pub(crate) mod login;
pub(crate) mod manifest;
mod pull;
mod push;
mod referrers;
pub(crate) mod refetch;
pub(crate) mod search;
mod session;
pub(crate) mod token;
mod upload;
mod verdict;

pub(crate) use answer::Refusal;
use answer::text;
pub(crate) use pull::{Policy, Pulled, ensure, local, pull};
pub(crate) use push::{Form, push};

use crate::diag::Diagnose;
use crate::http::HttpError;
use crate::image::ImageError;
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use crate::image::nature::Nature;
use credentials::{Credential, CredentialError};

/// How to speak to registries.
#[derive(Clone)]
pub(crate) struct Settings {
    pub verify_tls: bool,
    pub login: Login,
}

/// Who asks.
#[derive(Clone)]
pub(crate) enum Login {
    /// Whoever is logged in where Docker keeps it.
    Kept,
    /// Found out already: nobody, or one with this.
    Known(Option<Credential>),
}

impl Default for Settings {
    fn default() -> Self {
        Self { verify_tls: true, login: Login::Kept }
    }
}

/// Is told how far a pull or push has got, by several threads.
pub(crate) trait Progress: Sync {
    /// Something about the image as a whole.
    fn line(&self, _text: &str) {}

    fn layer(&self, _id: &str, _state: State) {}
}

/// Nobody looks.
pub(crate) struct Silent;

impl Progress for Silent {}

/// What is being done with a layer, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum State {
    AlreadyExists,
    Downloading {
        done: u64,
        total: u64,
    },
    PullComplete,
    LayerExists,
    /// It lies elsewhere, and is not pushed.
    Foreign,
    Mounted {
        from: String,
    },
    Pushing {
        done: u64,
        total: u64,
    },
    Pushed,
}

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("{subject}: {}", refusal.words())]
    Refused { subject: String, refusal: Refusal },
    #[error(transparent)]
    Verdict(#[from] verdict::Verdict),
    #[error("{realm} refuses {}", refused(user.as_deref()))]
    Login { realm: String, user: Option<String> },
    #[error("{realm} refuses the identity token that is kept as a login")]
    Identity { realm: String },
    #[error("cannot get a token from {realm}")]
    Token { realm: String, source: HttpError },
    #[error("{subject} is longer than {longest} bytes, the most that is accepted")]
    Long { subject: String, longest: u64 },
    #[error("{url} still redirects after {times} redirects")]
    Redirects { url: String, times: usize },
    #[error("the registry names `{realm}` for tokens, which gives none")]
    Realm { realm: String },
    #[error("{what} {expected} came with the digest {found}")]
    Digest { what: String, expected: Digest, found: Digest },
    #[error("blob {digest} should have {expected} bytes, but the registry has {found} of it")]
    Size { digest: Digest, expected: u64, found: u64 },
    #[error("{what} was cut off again and again, the last time after {at} of {size} bytes")]
    Cut { what: String, at: u64, size: u64 },
    #[error("the manifest of {subject} is not valid")]
    Document { subject: String, source: serde_json::Error },
    #[error("the manifest of {subject} is a manifest and an index at once")]
    TwoFaced { subject: String },
    #[error("{subject} is in the oldest format of all (schema 1), which is not understood here")]
    Ancient { subject: String },
    #[error("{subject} is not an image")]
    NoImage { subject: String },
    #[error("{subject} is {}", nature.what)]
    Other { subject: String, nature: Nature },
    #[error("{subject} is not {wanted}")]
    NoArtifact { subject: String, wanted: &'static str },
    #[error("{subject} has no end")]
    Endless { subject: String },
    #[error("cannot find the image in {subject}: too many manifests to look at")]
    Nested { subject: String },
    #[error("{subject} names `{digest}`, which is no SHA-256 digest")]
    Algorithm { subject: String, digest: String },
    #[error("no image for {wanted} in {subject}; it is there for {}", listed(offered))]
    Platform { subject: String, wanted: String, offered: Vec<String> },
    #[error("{subject} cannot be read")]
    Content { subject: String, source: std::io::Error },
    #[error("{url} begins an upload without saying where")]
    NoLocation { url: String },
    #[error("an image does not exist locally with the tag: {}", reference.familiar())]
    NotHere { reference: Reference },
    #[error("{} was removed as soon as it was pulled", reference.familiar())]
    Vanished { reference: Reference },
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    List(#[from] list::ListError),
    #[error(transparent)]
    Config(#[from] config::ConfigError),
    #[error(transparent)]
    Credential(#[from] CredentialError),
}

impl RegistryError {
    /// Its host could not be spoken to at all.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Http(HttpError::Reach { .. }))
    }
}

fn listed(platforms: &[String]) -> String {
    if platforms.is_empty() { "no platform at all".to_owned() } else { platforms.join(", ") }
}

fn refused(user: Option<&str>) -> String {
    user.map_or_else(|| "who is not logged in".to_owned(), |user| format!("{user}: incorrect username or password"))
}

impl Diagnose for RegistryError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Verdict(verdict) => verdict.hint(),
            Self::Login { user: Some(user), .. } => Some(format!("type the password again: minirun login -u {user}")),
            Self::Other { nature, .. } => nature.hint.map(str::to_owned),
            Self::Identity { .. } => Some("it may have expired: log in again with minirun login".into()),
            Self::Token { source, .. } => source.hint(),
            Self::Platform { offered, .. } => offered.first().map(|one| format!("choose one: --platform {one}")),
            Self::NotHere { reference } => {
                Some(format!("give it this name first: minirun tag IMAGE {}", reference.familiar()))
            }
            Self::Image(error) => error.hint(),
            Self::Http(error) if error.is_untrusted() => Some(
                "its certificate is not signed by an authority that this host trusts; put that authority's certificate into\n\
                 ~/.config/containers/certs.d/HOST:PORT/ca.crt, or name it in SSL_CERT_FILE, or trust anybody: --tls-verify=false"
                    .into(),
            ),
            Self::Http(error) => error.hint(),
            Self::List(error) => error.hint(),
            Self::Credential(error) => error.hint(),
            _ => None,
        }
    }

    /// As Docker's `pull` and `push` end.
    fn exit_code(&self) -> u8 {
        1
    }
}
