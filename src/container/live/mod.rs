//! A container while it runs: client, monitor, init, and their conversation.

mod birth;
pub(crate) mod cgroup;
pub(crate) mod connect;
mod connection;
mod control;
pub(crate) mod exec;
pub(crate) mod health;
pub(crate) mod init;
mod interval;
pub(crate) mod job;
pub(crate) mod launch;
mod lifetime;
pub(crate) mod logs;
pub(crate) mod monitor;
pub(crate) mod networks;
pub(crate) mod pause;
mod pty;
mod restart;
pub(crate) mod session;
pub(crate) mod stop_all;
pub(crate) mod streams;
pub(crate) mod supervise;
pub(crate) mod update;
pub(crate) mod usage;
