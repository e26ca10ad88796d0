//! Compose: an application of many containers, described in files.
//!
//! - [`read`]: the files become one canonical tree, whose nodes know their places.
//! - [`project`]: the services of that tree, and what they use, complete and consistent.
//! - [`order`]: which service comes after which.
//! - [`label`]: what tells that a container or volume belongs to a project.
//! - [`request`]: a service becomes the request that `run` makes.
//! - [`emit`]: the tree as YAML again.

mod emit;
pub(crate) mod fault;
pub(crate) mod label;
mod order;
mod place;
mod project;
pub(crate) mod read;
pub(crate) mod request;
mod service;

pub(crate) use emit::yaml;
pub(crate) use fault::ComposeError;
pub(crate) use project::{Project, Resource};
pub(crate) use read::{Options, load};
pub(crate) use service::{Condition, Pull, Service};
