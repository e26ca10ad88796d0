//! The agent of a container with one id: a process beside it that answers the system calls about owners (seccomp_unotify(2)).
//!
//! It is born before the container, in the host's PID namespace, and lives as long as any process has the filter. For each call it
//! takes the caller's root and working directory for its own, so that a path leads where it leads the caller and never out of
//! the container's tree.
//!
//! - [`caller`]: who calls: its memory, its files.
//! - [`owner`]: chown and its kin.
//! - [`becoming`]: setuid and its kin.
//! - [`calls`]: the calls one after the other.
//! - [`moving`]: a process goes on as another user.
//! - [`peer`]: who is at the other end of a socket.
//! - [`serve`]: the agent's life.

mod becoming;
mod caller;
mod calls;
mod moving;
mod owner;
mod peer;
mod serve;

pub(crate) use serve::{Agent, refusal};
