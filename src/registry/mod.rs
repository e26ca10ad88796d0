//! Images from and to registries, by the OCI distribution protocol.

pub(crate) mod answer;
pub(crate) mod artifact;
mod error;
mod explain;
pub(crate) mod host;
pub(crate) mod list;
pub(crate) mod login;
mod progress;
mod pull;
mod push;
pub(crate) mod refetch;
pub(crate) mod search;
pub(crate) mod session;
mod settings;
mod tags;
pub(crate) mod transfer;
mod verdict;

pub(crate) use error::RegistryError;
pub(crate) use host::credentials;
pub(crate) use progress::{Progress, State};
pub(crate) use pull::{Policy, Pulled, ensure, local, pull};
pub(crate) use push::{Form, push};
pub(crate) use settings::Settings;
