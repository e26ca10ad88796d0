//! Walks the stages of a Dockerfile and executes each step that the cache does not have.
//!
//! [`platforms`] starts one [`engine`] for each platform. It rehearses the Dockerfile ([`rehearse`]), executes its steps
//! ([`schedule`]) and exports the result ([`result`]). A step works on one [`stage`] and on what all stages share
//! ([`shared`]); [`copy`], [`run`], [`squash`] and [`attest`] make layers and views from these two.

pub(crate) mod attest;
pub(crate) mod cache;
pub(crate) mod carried;
pub(crate) mod carry;
pub(crate) mod copy;
pub(crate) mod engine;
pub(crate) mod finish;
pub(crate) mod foreign;
pub(crate) mod layers;
pub(crate) mod mounts;
pub(crate) mod pending;
pub(crate) mod platforms;
pub(crate) mod rehearse;
pub(crate) mod result;
pub(crate) mod room;
pub(crate) mod run;
pub(crate) mod schedule;
pub(crate) mod settings;
pub(crate) mod shared;
pub(crate) mod squash;
pub(crate) mod stage;
pub(crate) mod view;
