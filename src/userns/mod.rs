//! The one user namespace of a store: joined through a live monitor, else made; and going on inside it.
//!
//! The containers of a store share one user namespace, since a network namespace of another one could not be joined. The
//! exception are containers that could change what the namespace as a whole has, such as its binary formats
//! ([`Place::Own`]). Nothing keeps the namespace alive but the monitors in it: each leaves a name in `userns/`,
//! `PID-STARTTIME`, and the next command joins through the first one that still lives, or makes a new namespace with the same
//! map of ids.

pub(crate) mod attempt;
mod capability;
mod errand;
mod error;
mod half;
mod here;
mod host;
mod map;
mod register;
pub(crate) mod shift;
mod spawn;
mod user;

pub(crate) use capability::{inherit_nothing, keep_capabilities, keep_no_capability};
pub(crate) use errand::{NAME, Outside, ask, bytes, receive};
pub(crate) use error::UsernsError;
pub(crate) use half::{Outer, run_inside};
pub(crate) use here::{has_ids, is_inside, is_of_own_namespace, of_host, uid_outside};
pub(crate) use host::{listed_user_name, program, user_name};
pub use map::{IdMap, IdRange};
pub(crate) use map::{parse_map, subordinate};
pub(crate) use register::{leave, register_again};
pub(crate) use spawn::{Inside, Origin, Place, Spawning, begin};
pub(crate) use user::{of_container, of_same_user, of_user};
