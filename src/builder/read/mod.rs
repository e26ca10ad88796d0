//! Parses a Dockerfile into stages and instructions, checks it and evaluates its settings.

pub(crate) mod annotation;
pub(crate) mod change;
pub(crate) mod check;
pub(crate) mod instruction;
pub(crate) mod mount;
pub(crate) mod outline;
pub(crate) mod parse;
pub(crate) mod stage;
pub(crate) mod state;
pub(crate) mod variable;
pub(crate) mod vocabulary;
