//! What was typed and what the image says become a container's settings.

pub mod capability;
pub mod create;
pub mod id;
pub mod name;
pub mod request;
pub mod seccomp;
pub mod signal;
pub mod spec;
pub mod users;
