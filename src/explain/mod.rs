//! Reads everything, changes nothing.

pub(crate) mod anatomy;
pub(crate) mod by_hand;
pub(crate) mod compare;
mod decided;
pub(crate) mod disk;
mod excess;
pub(crate) mod files;
pub(crate) mod ghosts;
pub(crate) mod host;
mod mounts;
mod notice;
pub(crate) mod probe;
pub(crate) mod reason;
pub(crate) mod sight;
pub(crate) mod sockets;
pub(crate) mod subject;
pub(crate) mod watch;
pub(crate) mod why;
pub(crate) mod words;
