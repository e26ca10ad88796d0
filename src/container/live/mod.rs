//! A container while it runs: client, monitor, init, and their conversation.

pub mod cgroup;
pub mod exec;
pub mod init;
pub mod launch;
pub mod logs;
pub mod monitor;
pub mod outcome;
pub mod pause;
pub mod processes;
pub mod protocol;
pub mod session;
pub mod stop_all;
pub mod streams;
pub mod supervise;
