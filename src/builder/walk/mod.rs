//! The stages walked: steps done, or found done before.

pub mod cache;
pub mod carried;
pub mod engine;
pub mod finish;
pub mod foreign;
pub mod layers;
pub mod platforms;
pub mod run;
pub mod squash;
pub mod state;
