//! How registries are spoken to, and as whom.

use super::host::credential::Credential;

/// How registries are spoken to.
#[derive(Clone)]
pub(crate) struct Settings {
    pub verify_tls: bool,
    pub login: Login,
    /// Receives notes for the user.
    pub note: fn(&str),
}

/// The login to use.
#[derive(Clone)]
pub(crate) enum Login {
    /// The login that Docker's files or helpers keep.
    Kept,
    /// This login, or none.
    Known(Option<Credential>),
}

impl Default for Settings {
    fn default() -> Self {
        Self { verify_tls: true, login: Login::Kept, note: |_| () }
    }
}
