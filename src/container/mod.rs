//! A container: an image reference, one writable upper directory, sometimes a process.
//!
//! `Request + Image → OCI specification → Plan → carried out`: [`request`], [`create`] and [`spec`] decide, [`plan`] and
//! [`step`] say what that means for the kernel, [`launch`] hands it to the [`monitor`], whose child [`init`] walks it.

pub mod capability;
pub mod cgroup;
pub mod copy;
pub mod create;
pub mod exec;
pub mod id;
pub mod init;
pub mod inspect;
pub mod launch;
pub mod layering;
pub mod logs;
pub mod monitor;
pub mod name;
pub mod outcome;
pub mod pause;
pub mod plan;
pub mod probe;
pub mod processes;
pub mod protocol;
pub mod record;
pub mod request;
pub mod rootfs;
pub mod seccomp;
pub mod session;
pub mod shift;
pub mod signal;
pub mod spec;
pub mod step;
pub mod stop_all;
pub mod streams;
pub mod supervise;
pub mod users;
