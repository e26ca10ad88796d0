//! The stages walked: steps done, or found done before.

pub(crate) mod cache;
pub(crate) mod carried;
pub(crate) mod engine;
pub(crate) mod finish;
pub(crate) mod foreign;
pub(crate) mod layers;
pub(crate) mod platforms;
pub(crate) mod run;
pub(crate) mod squash;
pub(crate) mod state;
