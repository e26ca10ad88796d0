//! From published ports to the container: one epoll set, no thread, nothing that blocks, and nothing kept while idle.

mod datagram;
mod forward;
mod slots;
mod stream;
mod subject;

pub(crate) use forward::Proxy;
