//! Reasons instead of states: why a container ended or did not start, why a port does not answer, why `stop` will take long.
//!
//! Every verdict has a code that does not change, and is drawn from the container's files, from what its monitor recorded,
//! and from the kernel's present state. A container that works as it should gets no verdict.

mod absent;
mod background;
mod code;
mod elf;
mod end;
mod files;
mod last_words;
mod naming;
mod ports;
mod reach;
mod reasons;
mod refusal;
mod shell;
mod stop;
mod verdict;

pub use code::Code;
pub(crate) use naming::signal_name;
pub(crate) use reach::{Target, passage};
pub(crate) use reasons::{Reasons, SignalRequest, Word, reasons};
pub(crate) use verdict::Verdict;
