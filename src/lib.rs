//! minirun: a rootless, daemonless container engine that shows what it does.
//!
//! - [`cli`]: what was typed, and what is printed.
//! - [`explain`]: reads everything, changes nothing.
//! - [`check`]: what of the store is damaged, and what mends it.
//! - [`builder`]: a Dockerfile becomes an image, step by step, and remembers the steps.
//! - [`container`]: an image, one writable layer, sometimes a process; the plan that starts it.
//! - [`registry`]: images from and to registries.
//! - [`image`]: immutable content: layers, configs, manifests, names.
//! - [`network`]: published ports and the way out.
//! - [`userns`]: the one user namespace of a user.
//! - [`http`]: requests without a runtime; names, proxies, certificates.
//! - [`store`]: where things lie on disk; locks; atomic writes.
//! - [`sys`]: system calls, and the only `unsafe`.
//! - [`diag`]: what an error owes its reader.
//!
//! A module imports only from those below it in this list (`tests/layering.rs`).

// What comes from a disk or a network may have any bytes in any place.
#![deny(clippy::string_slice)]

pub mod builder;
pub mod check;
pub mod cli;
pub mod container;
pub mod diag;
pub mod explain;
pub mod http;
pub mod image;
pub mod network;
pub mod registry;
pub mod store;
pub mod sys;
pub mod userns;
