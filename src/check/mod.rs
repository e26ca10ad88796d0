//! `system check`: finds what is damaged in the store or left by a process that was killed, and mends it.
//!
//! What can be derived is derived, what came from a registry is fetched again, and what nobody can use is removed. What only
//! its owner can replace, such as the files that a container has written, stays and is reported.

mod container;
mod image;
mod index;
mod layer;
mod network;
mod report;
mod survey;
mod volume;

pub(crate) use report::Outcome;
pub(crate) use survey::check;
