//! What shows how an image and a container are made, from what is there now.

mod compare;
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
pub(super) enum Command {
    /// Draw the layers of an image or a container, and say what would be lost and kept
    Explain(stack::ExplainArgs),
    /// Tell an image and a container apart: what is frozen, what was decided, what only runs
    Compare(compare::CompareArgs),
    /// Say why a container ended, does not start, does not answer, or will be slow to stop
    Why(why::WhyArgs),
    /// Print a shell script that makes the same container by hand
    Script(script::ScriptArgs),
    /// Try what a container should not be able to do, and say which wall stops it
    Probe(probe::ProbeArgs),
    /// Show copy-on-write as it happens: what a container creates, copies up, changes and deletes
    Watch(watch::WatchArgs),
    /// Say which layer a file comes from, and what lies beneath it
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
