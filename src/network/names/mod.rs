//! The name server of a container: its own monitor, which answers for the networks that the container is on, and asks on for
//! the rest.

mod answer;
mod server;
mod stream;

pub(crate) use server::NameServer;
