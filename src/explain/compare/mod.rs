//! Two things compared: what an image fixes, what was decided when a container was created, and what exists only while it
//! runs; or what two images or containers share.

mod comparison;
mod decided;
mod fact;
mod frozen;
mod running;

pub(crate) use comparison::{Comparison, ImageAndContainer, Pair, Summary, compare};
pub(crate) use fact::{Fact, Facts};
