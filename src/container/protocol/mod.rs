//! What client, monitor and the container's first process say to each other.

mod call;
mod failure;
mod message;

pub use call::Call;
pub(crate) use failure::Task;
pub use failure::{Failure, Stage};
pub use message::End;
pub(crate) use message::{FIRST_VERSION, LISTEN_AGAIN, Message, Modes, Stream, VERSION};
