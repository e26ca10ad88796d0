//! A conversation with one registry: how it is reached, who asks, and what is tried again.

pub(crate) mod challenge;
pub(crate) mod endpoint;
mod request;
pub(crate) mod retry;
pub(crate) mod token;
pub(crate) mod way;

pub(crate) use request::{Scope, Session};
