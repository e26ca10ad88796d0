//! Flags that several commands share: each is declared once, and read by one parser, before anything is done.

mod attach;
mod container;
mod environment;
mod filter;
mod health;
mod ignored;
mod isolation;
mod language;
mod limits;
mod network;
mod process;
mod prune;
mod registry;
mod selection;

pub(crate) use attach::{DetachFlags, DetachKeys, InvalidKeys, SignalFlags};
pub(crate) use container::ContainerFlags;
pub(crate) use environment::EnvironmentFlags;
pub(crate) use filter::{Condition, FilterError, LabelFilter, boolean, filter, passes, until};
pub(crate) use health::HealthFlags;
pub(crate) use ignored::IgnoredFlags;
pub(crate) use isolation::IsolationFlags;
pub(crate) use language::{Lang, ReportFlags};
pub(crate) use limits::LimitFlags;
pub(crate) use network::{NetworkFlags, Networks};
pub(crate) use process::{ProcessFlags, lines};
pub(crate) use prune::{InvalidFilter, PruneFilter};
pub(crate) use registry::{PullFlags, PullPolicy, RegistryFlags, settings};
pub(crate) use selection::{Selection, each};
