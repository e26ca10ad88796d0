//! The way out of a container, in this program: what it sends ends here, and goes on from sockets of the host's network.
//!
//! One process, which holds the other side of the container's device. It drops every capability: a program that takes it over
//! has the rights of the container's owner, and no more.

mod datagram;
mod router;
mod stream;
mod turn;
pub(crate) mod wire;

pub(crate) use router::run;
