//! The progress of a build: lines for people, events for programs.

mod display;
mod raw;

pub(crate) use display::{Progress, ProgressMode};
