//! Explains images, containers, networks and the host. Reads everything, changes nothing.

pub(crate) mod by_hand;
pub(crate) mod compare;
pub(crate) mod disk;
pub(crate) mod host;
pub(crate) mod layers;
pub(crate) mod live;
pub(crate) mod networks;
mod proc;
pub(crate) mod reason;
pub(crate) mod sockets;
pub(crate) mod why;
pub(crate) mod words;
