//! What was typed and what the image says become a container's settings.

pub(crate) mod capability;
pub(crate) mod create;
pub(crate) mod id;
pub(crate) mod name;
pub(crate) mod request;
pub(crate) mod seccomp;
pub(crate) mod signal;
pub(crate) mod spec;
pub(crate) mod users;
