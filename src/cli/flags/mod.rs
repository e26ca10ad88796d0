//! Flags that several commands share: each is declared once, and read by one parser, before anything is done.

mod attach;
mod container;
mod language;
mod process;
mod prune;
mod registry;
mod selection;

pub(crate) use attach::{DetachFlags, DetachKeys, InvalidKeys, SignalFlags};
pub(crate) use container::ContainerFlags;
pub(crate) use language::{Lang, ReportFlags};
pub(crate) use process::ProcessFlags;
pub(crate) use prune::{InvalidFilter, PruneFilter};
pub(crate) use registry::{PullFlags, PullPolicy, RegistryFlags, settings};
pub(crate) use selection::{Selection, each};
