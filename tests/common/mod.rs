//! What the tests share: a [`Sandbox`] that is a user's whole minirun, thrown away afterwards, and what the host must
//! give for a test to make sense.
//!
//! A test file starts with `mod common;` and takes what it needs; what one file leaves unused another uses.
#![allow(dead_code, unused_imports, unused_macros)]

mod builds;
mod containers;
mod fixture;
mod host;
pub mod http;
mod leftovers;
pub mod registry;
mod sandbox;
pub mod terminal;

pub use containers::{verdict_codes, why};
pub use fixture::{CODE, alpine_tar, fixture, recipe};
pub use host::{Need, User, free_port, own_address, user};
pub use sandbox::{Output, Sandbox, finish, wait, wait_until};

/// Ends the test as skipped, with its reason, unless the host gives all that is named: `require!(Need::Tool("crun"))`.
macro_rules! require {
    ($($need:expr),+ $(,)?) => {
        $(if !$need.met() {
            return;
        })+
    };
}
pub(crate) use require;
