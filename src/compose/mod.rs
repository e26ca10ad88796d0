//! Compose: an application of many containers, described in files.
//!
//! - [`read`]: the files become one canonical tree, whose nodes know their places.
//! - [`project`]: the services of that tree, and what they use, complete and consistent.
//! - [`order`]: which service comes after which.
//! - [`emit`]: the tree as YAML again.

mod emit;
pub(crate) mod fault;
mod order;
mod project;
pub(crate) mod read;
mod service;

pub(crate) use emit::yaml;
pub(crate) use fault::ComposeError;
pub(crate) use project::{Project, Resource};
pub(crate) use read::{Options, load};
pub(crate) use service::{Condition, Dependency, Pull, Service};
