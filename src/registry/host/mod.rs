//! What this host keeps for registries: mirrors and certificates, names and passwords.

pub(crate) mod config;
pub(crate) mod credential;
pub(crate) mod credentials;
mod helper;
