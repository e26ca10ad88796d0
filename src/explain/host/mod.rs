//! What this host provides and lacks for containers, found out by attempts wherever possible.

mod finding;
mod ids;
mod namespaces;
mod refusal;
mod resources;
mod surroundings;
mod survey;

pub(crate) use finding::{Finding, Verdict};
pub(crate) use survey::{can_run, examine};
