//! `build` and `builder`: a Dockerfile becomes an image.

mod attest;
mod builder;
mod cache;
mod call;
mod command;
mod error;
mod idle;
mod limits;
mod lint;
mod metadata;
mod output;
mod secret;

pub(crate) use builder::{BuilderCommand, builder};
pub(crate) use command::{BuildArgs, build};
