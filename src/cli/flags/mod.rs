//! Flags that several commands share: each is declared once, and read by one parser, before anything is done.

mod container;
mod language;
mod process;
mod registry;

pub(crate) use container::ContainerFlags;
pub(crate) use language::{Lang, ReportFlags};
pub(crate) use process::ProcessFlags;
pub(crate) use registry::{PullFlags, PullPolicy, RegistryFlags, settings};
