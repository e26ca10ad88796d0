//! The way out of a container, in this program: what it sends ends here, and goes on from sockets of the host's network.
//!
//! One process, which holds the other side of the container's device. It keeps no power: whoever breaks out of it is the
//! container's owner without a capability.

mod datagram;
mod host;
mod resolver;
mod router;
mod stream;
mod table;
mod turn;
pub(crate) mod wire;

pub(crate) use router::run;
