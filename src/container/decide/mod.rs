//! A request and an image become a container's settings.

pub(crate) mod create;
pub(crate) mod name;
pub(crate) mod networks;
pub(crate) mod seccomp;
pub(crate) mod settings;
mod sharing;
pub(crate) mod spec;
pub(crate) mod users;
