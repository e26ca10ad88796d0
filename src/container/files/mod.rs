//! The files of a container, from outside: copied in and out, whether it runs or not.

mod copy;
mod error;
mod half;
mod place;
mod view;

pub(crate) use copy::{Copied, End, Manner, copy, export};
