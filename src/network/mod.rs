//! Networks, published ports, and the way out.
//!
//! Containers reach each other on networks ([`shared`]), where they find each other by name ([`names`]).
//! The monitor lives in the container's network namespace; the sockets that listen for published ports are opened in the
//! host's, and stay there whoever holds them. So one process without privileges on the host joins the two ([`proxy`]).
//! The way out ([`way_out`], or a program of the host: [`egress`]) begins at the container's device ([`uplink`]).

mod address;
pub(crate) mod egress;
mod host;
pub(crate) mod inside;
pub(crate) mod names;
pub(crate) mod ports;
pub(crate) mod proxy;
mod query;
pub(crate) mod resolv;
pub(crate) mod shared;
mod table;
pub(crate) mod uplink;
pub(crate) mod way_out;

pub(crate) use address::{CONTAINER, ContainerNetwork};
