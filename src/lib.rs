//! minirun: a rootless, daemonless container engine that shows what it does.
//!
//! - [`cli`]: what was typed, and what is printed.
//! - [`explain`]: reads everything, changes nothing.
//! - [`check`]: what of the store is damaged, and what mends it.
//! - [`compose`]: an application of many containers, from its files.
//! - [`builder`]: a Dockerfile becomes an image, step by step, and remembers the steps.
//! - [`container`]: an image, one writable layer, sometimes a process; the plan that starts it.
//! - [`registry`]: images from and to registries.
//! - [`volume`]: directories that outlive containers.
//! - [`image`]: immutable content: layers, configs, manifests, names.
//! - [`network`]: published ports and the way out.
//! - [`userns`]: the one user namespace of a user.
//! - [`http`]: requests without a runtime; names, proxies, certificates.
//! - [`journal`]: what was done, an event a line.
//! - [`store`]: where things lie on disk; locks; atomic writes.
//! - [`sys`]: system calls, and the only `unsafe`.
//! - [`diag`]: what an error owes its reader.
//!
//! A module imports only from those below it in this list (`tests/layering.rs`).

// Documentation is read with its private items: nothing else is there.
#![allow(rustdoc::private_intra_doc_links)]
// What comes from a disk or a network may have any bytes in any place.
#![deny(clippy::string_slice)]

mod builder;
mod check;
mod cli;
mod compose;
mod container;
mod diag;
mod explain;
mod http;
mod image;
mod journal;
mod network;
mod registry;
mod store;
mod sys;
mod userns;
mod volume;

pub use cli::main;

/// What the fuzz targets and some tests call without the binary. All else is the crate's own, so that the compiler sees what
/// nobody calls.
#[doc(hidden)]
pub mod exposed {
    pub use crate::builder::BuildError;
    pub use crate::builder::files::glob::{Glob, Ignore, clean};
    pub use crate::builder::files::named::Contexts;
    pub use crate::builder::read::parse::Source;
    pub use crate::builder::read::stage::{Plan as StagePlan, PlanError};
    pub use crate::builder::read::variable::Lexer;
    pub use crate::container::decide::seccomp::bpf::compile;
    pub use crate::container::live::logs::{Reader, last};
    pub use crate::container::plan::Plan;
    pub use crate::container::protocol::{Call, End, Failure, Stage};
    pub use crate::explain::why::Code;
    pub use crate::http::resolve;
    pub use crate::image::name::digest::Digest;
    pub use crate::image::name::reference::Reference;
    pub use crate::image::stored::image::Image;
    pub use crate::image::stored::usage::disk_usage;
    pub use crate::image::tar::tape::Tape;
    pub use crate::registry::session::challenge::{Challenge, choose};
    pub use crate::store::layout::Store;
    pub use crate::userns::{IdMap, IdRange};

    /// The command line as data, for docs/compatibility.md and the tests of help.
    pub mod command_line {
        pub use crate::cli::help::{decorated, examples, experiment};
        pub use crate::cli::peers::{Flag, advice_for_command, advice_for_flag, difference, peers, subjects};
        pub use crate::cli::tree;
        pub use crate::diag::ErrorCode;
    }
    pub mod check {
        pub use crate::builder::read::check::{check, selected};
    }
    pub mod nature {
        pub use crate::image::nature::{of, otherwise};
    }
    pub mod platform {
        pub use crate::image::name::platform::{Platform, candidates, of_config, offered};
    }
    pub mod answer {
        pub use crate::registry::answer::{retry_after, words};
    }
    pub mod token {
        pub use crate::registry::session::token::parse;
    }
    pub mod manifest {
        pub use crate::registry::transfer::manifest::{Kind, blob, digest, media_type, parse};
    }
    pub mod packet {
        pub use crate::network::way_out::wire::{Packet, Refusal, write_refusal};
    }
    pub mod process {
        pub use crate::sys::process::start_time;
    }
    pub mod socket {
        pub use crate::sys::socket::{LONGEST, accept, connect, listen, receive, send};
    }
    pub mod image {
        pub use crate::image::commit::{Options, commit};
        pub use crate::image::config::Change;
        pub use crate::image::inspect::json;
        pub use crate::image::overlay::diff::changes;
        pub use crate::image::stored::find::find;
    }
}
