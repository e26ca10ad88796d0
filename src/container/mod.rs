//! container

pub mod seccomp;
