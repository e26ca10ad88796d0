//! What the tests share: a [`Sandbox`] that is a user's whole minirun, thrown away afterwards, and what the host must
//! give for a test to make sense.
//!
//! A test file takes what it needs: `use crate::common::Sandbox;`.

mod builds;
mod containers;
mod fixture;
mod host;
/// Layers that are hostile or invalid.
#[path = "../../rootfs-fixtures/hostile.rs"]
pub mod hostile;
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
