//! What the store keeps of a container.

pub(crate) mod health;
pub(crate) mod outcome;
pub(crate) mod record;
pub(crate) mod rename;
pub(crate) mod volumes;
