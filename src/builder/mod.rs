//! Builds images from Dockerfiles and caches each step.
//!
//! [`read`] parses the Dockerfile, [`files`] selects the files of build contexts, [`walk`] executes the stages, and
//! [`attest`] describes the result. A RUN is a container of the engine itself whose upper directory becomes the layer;
//! COPY and ADD write into such a directory themselves.

pub(crate) mod attest;
pub(crate) mod error;
pub(crate) mod files;
pub(crate) mod listener;
pub(crate) mod options;
pub(crate) mod read;
pub(crate) mod walk;

pub use error::BuildError;
pub(crate) use listener::{Built, Done, Listener, StepName};
pub(crate) use options::{Attestations, CacheExport, CachePlace, Options, Output, OutputKind, RunNetwork, Secret};
pub(crate) use walk::platforms::build;
pub(crate) use walk::room::SIGNALS;
