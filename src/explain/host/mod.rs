//! What this host gives and lacks, found out by trying wherever trying is possible.

mod finding;
mod ids;
mod namespaces;
mod refusal;
mod resources;
mod surroundings;
mod survey;

pub(crate) use finding::{Finding, Verdict};
pub(crate) use survey::{can_run, examine};
