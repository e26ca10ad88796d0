//! `build` and `builder`: a Dockerfile becomes an image.

mod attest;
mod cache;
mod call;
mod command;
mod error;
mod idle;
mod limits;
mod lint;
mod metadata;
mod output;
mod prune;
mod secret;

pub(crate) use command::{BuildArgs, build};
pub(crate) use prune::{BuilderCommand, builder};
