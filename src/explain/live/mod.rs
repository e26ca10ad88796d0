//! Running containers: what they write, where they listen, and what stops them.

pub(crate) mod attempt;
mod excess;
mod notice;
pub(crate) mod probe;
pub(crate) mod watch;
