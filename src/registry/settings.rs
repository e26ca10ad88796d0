//! How registries are spoken to, and as whom.

use super::host::credential::Credential;

/// How to speak to registries.
#[derive(Clone)]
pub(crate) struct Settings {
    pub verify_tls: bool,
    pub login: Login,
    /// Is told what the user may want to know meanwhile.
    pub note: fn(&str),
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
        Self { verify_tls: true, login: Login::Kept, note: |_| () }
    }
}
