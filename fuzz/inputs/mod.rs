//! One module for each kind of input that strangers write: `run` reads it and asserts what must hold for all bytes there are.
//! fuzz_targets/ hands them what a fuzzer makes up, tests/fuzzed.rs what is in seeds/ and small changes of it.

pub mod answer;
pub mod bundle;
pub mod challenge;
pub mod config;
pub mod dockerfile;
pub mod ignore;
pub mod logs;
pub mod manifest;
pub mod packet;
pub mod protocol;
pub mod reference;
pub mod seccomp;
pub mod tar;
pub mod variable;
