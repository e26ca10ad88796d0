//! A name and a password, or a token that stands for them.

use serde::{Deserialize, Serialize};

/// The proof of a login.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Credential {
    Password {
        user: String,
        password: String,
    },
    /// A token that stands for a password.
    Identity(String),
    /// A token that registries take as it is (`registrytoken`).
    Token(String),
}

impl Credential {
    pub(crate) fn user(&self) -> Option<String> {
        match self {
            Self::Password { user, .. } => Some(user.clone()),
            Self::Identity(_) | Self::Token(_) => None,
        }
    }
}
