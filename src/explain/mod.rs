//! Reads everything, changes nothing.

pub mod anatomy;
pub mod by_hand;
pub mod compare;
mod decided;
pub mod disk;
mod excess;
pub mod files;
pub mod ghosts;
pub mod host;
mod mounts;
mod notice;
pub mod probe;
pub mod reason;
pub mod sight;
pub mod sockets;
pub mod subject;
pub mod watch;
pub mod why;
pub mod words;
