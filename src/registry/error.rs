//! What goes wrong with registries, in words, and what to type next.

use super::answer::Refusal;
use super::host::config::ConfigError;
use super::host::credentials::CredentialError;
use super::verdict::{Verdict, login_command};
use crate::diag::{Diagnose, inner_of};
use crate::http::HttpError;
use crate::image::ImageError;
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use crate::image::nature::Nature;
use crate::sys::SysError;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    #[error("{subject}: {}", refusal.words())]
    Refused { subject: String, refusal: Refusal },
    #[error(transparent)]
    Verdict(#[from] Verdict),
    #[error("{realm} refuses {}", refused(user.as_deref()))]
    Login { registry: String, realm: String, user: Option<String> },
    #[error("{realm} refuses the identity token that is kept as a login")]
    Identity { registry: String, realm: String },
    #[error("cannot get a token from {realm}")]
    Token { realm: String, source: HttpError },
    #[error("{subject} is longer than {longest} bytes, the most that is accepted")]
    Long { subject: String, longest: u64 },
    #[error("{url} still redirects after {times} redirects")]
    Redirects { url: String, times: usize },
    #[error("the registry names the token server `{realm}`, which gives no token")]
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
    #[error("{subject} has a manifest of schema 1, an old format that is not supported")]
    Ancient { subject: String },
    #[error("{subject} is not an image")]
    NoImage { subject: String },
    #[error("{subject} is {}", nature.what)]
    Other { subject: String, nature: Nature },
    #[error("{subject} is not {wanted}")]
    NoArtifact { subject: String, wanted: &'static str },
    #[error("{subject} has no end")]
    Endless { subject: String },
    #[error("cannot find the image in {subject}: it lists too many manifests")]
    Nested { subject: String },
    #[error("{subject} names `{digest}`, which is not a SHA-256 digest")]
    Algorithm { subject: String, digest: String },
    #[error("no image for {wanted} in {subject}; it is there for {}", listed(offered))]
    Platform { subject: String, wanted: String, offered: Vec<String> },
    #[error("{subject} cannot be read")]
    Content { subject: String, source: std::io::Error },
    #[error("{url} begins an upload without a Location")]
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
    List(#[from] ListError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Credential(#[from] CredentialError),
}

impl RegistryError {
    pub(super) fn refused(subject: &str, refusal: Refusal) -> Self {
        Self::Refused { subject: subject.to_owned(), refusal }
    }

    /// Whether the host of the registry cannot be reached.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Http(HttpError::Reach { .. }))
    }
}

fn listed(platforms: &[String]) -> String {
    if platforms.is_empty() { "no platform at all".to_owned() } else { platforms.join(", ") }
}

fn refused(user: Option<&str>) -> String {
    user.map_or_else(
        || "a request without a login".to_owned(),
        |user| format!("{user}: incorrect username or password"),
    )
}

impl Diagnose for RegistryError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Verdict, Image, Http, List, Config, Credential; Token)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Login { user: Some(user), registry, .. } => {
                Some(format!("type the password again: {}", login_command(registry, Some(user))))
            }
            Self::Identity { registry, .. } => Some(format!("it may have expired; log in again: {}", login_command(registry, None))),
            Self::Other { nature, .. } => nature.hint.map(str::to_owned),
            Self::Platform { offered, .. } => offered.first().map(|one| format!("choose one: --platform {one}")),
            Self::NotHere { reference } => {
                Some(format!("give it this name first: minirun tag IMAGE {}", reference.familiar()))
            }
            Self::Http(error) if error.is_untrusted() => Some(
                "its certificate is not signed by an authority that this host trusts; put that authority's certificate into\n\
                 ~/.config/containers/certs.d/HOST:PORT/ca.crt, or name it in SSL_CERT_FILE, or trust anybody: --tls-verify=false"
                    .into(),
            ),
            _ => self.inner().and_then(Diagnose::hint),
        }
    }

    /// Returns 1, with which Docker's `pull` and `push` end.
    fn exit_code(&self) -> u8 {
        1
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ListError {
    #[error("no such manifest: {}", reference.familiar())]
    NotFound { reference: Reference },
    #[error("the manifest list {} is there already", reference.familiar())]
    Exists { reference: Reference },
    #[error("{member} is not in the manifest list {list}")]
    NoMember { list: String, member: String },
    #[error("{member} lies in another registry than {list}")]
    Elsewhere { list: String, member: String, own: String },
    #[error("blob {digest} of {member} cannot be had in {list}")]
    NotMounted { list: String, member: String, digest: Digest },
    #[error("{} cannot be read as JSON", path.display())]
    Json { path: PathBuf, source: serde_json::Error },
    #[error(transparent)]
    Sys(#[from] SysError),
}

impl Diagnose for ListError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Sys)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound { reference } => {
                Some(format!("make it: minirun manifest create {} IMAGE…", reference.familiar()))
            }
            Self::Exists { reference } => {
                let name = reference.familiar();
                Some(format!(
                    "change it: minirun manifest create --amend {name} IMAGE…\nor remove it: minirun manifest rm {name}"
                ))
            }
            Self::Elsewhere { member, own, .. } => {
                Some(format!("push it there first: minirun tag {member} {own} && minirun push {own}"))
            }
            _ => self.inner().and_then(Diagnose::hint),
        }
    }
}

impl From<SysError> for RegistryError {
    fn from(error: SysError) -> Self {
        Self::Image(error.into())
    }
}
