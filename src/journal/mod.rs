//! The journal of a store: what was done to its containers, images, volumes and networks, an event a line. It is bounded, and
//! an event costs one append.

mod append;
mod event;
mod read;

pub(crate) use append::{Journal, note};
pub(crate) use event::{Event, Kind};
pub(crate) use read::{DIRECTORY, FILES, Reader, directory};
