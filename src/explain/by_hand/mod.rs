//! A plan as a shell script that does the same with the programs of any Linux (util-linux 2.38 on, iproute2), and with no
//! minirun in it.
//!
//! The script is two processes. The one that was started stays outside: it maps ids, and at the end takes the host's tree
//! away. The other is born into the namespaces and makes the root. It gives up its rights before that root becomes `/`, since
//! beyond it there is none of the host's programs to do so; then it only waits, and becomes the payload.

mod outside;
mod part;
mod payload;
mod place;
mod quote;
mod script;
mod step;

pub(crate) use part::{Part, Surroundings};
pub(crate) use script::{parts, script};
pub(crate) use step::commands;
