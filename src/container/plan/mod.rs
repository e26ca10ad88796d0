//! OCI specification → plan: everything that starting the container will do to the kernel, decided before any of it.

mod apply;
mod assemble;
mod describe;
mod failure;
pub(crate) mod filter;
pub(crate) mod limits;
pub(crate) mod namespaces;
pub(crate) mod reap;
pub(crate) mod step;
pub(crate) mod terminal;
pub(crate) mod trees;

pub(crate) use apply::Walk;
pub use assemble::Plan;
pub(crate) use assemble::{Ids, PlanError, Surroundings, can_set};
pub(crate) use failure::StepFailed;
