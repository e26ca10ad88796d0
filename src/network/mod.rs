//! Published ports, and the way out.
//!
//! The monitor lives in the container's network namespace; the sockets that listen for published ports are opened in the
//! host's, and stay there whoever holds them. So one process without privileges on the host joins the two ([`proxy`]).
//! The way out ([`way_out`], or a program of the host: [`egress`]) begins at the container's device ([`uplink`]).

mod address;
pub(crate) mod egress;
pub(crate) mod inside;
pub(crate) mod ports;
pub(crate) mod proxy;
pub(crate) mod resolv;
pub(crate) mod uplink;
pub(crate) mod way_out;

pub(crate) use address::{CONTAINER, ContainerNetwork};
