//! Commands that show how an image and a container are made.

mod compare;
mod network;
mod probe;
mod script;
mod stack;
mod watch;
mod whence;
mod why;

use super::Context;
use crate::diag::Failure;
use clap::Subcommand;

#[derive(Subcommand)]
#[command(defer = true)]
pub(super) enum Command {
    /// Show the layers, what rm would lose and commit would keep; or who is on a network
    Explain(stack::ExplainArgs),
    /// Compare an image with a container, or two of the same kind
    Compare(compare::CompareArgs),
    /// Explain why a container ended, fails to start or does not answer
    Why(why::WhyArgs),
    /// Print a shell script that starts the same container by hand
    Script(script::ScriptArgs),
    /// Try forbidden operations in a container and show what stops each
    Probe(probe::ProbeArgs),
    /// Show a container's copy-on-write as it happens
    Watch(watch::WatchArgs),
    /// Show which layer a file comes from, and its older versions
    Where(whence::WhereArgs),
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Result<u8, Failure> {
        match self {
            Self::Explain(arguments) => arguments.run(context),
            Self::Compare(arguments) => arguments.run(context),
            Self::Why(arguments) => arguments.run(context),
            Self::Script(arguments) => arguments.run(context),
            Self::Probe(arguments) => arguments.run(context),
            Self::Watch(arguments) => arguments.run(context),
            Self::Where(arguments) => arguments.run(context),
        }
    }
}
