//! `unshare`: a command inside the user namespace of the store, where the ids of containers are real ids.

use super::{Context, inside};
use crate::diag::{self, Diagnose, Failure};
use clap::Args;
use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

#[derive(Args)]
pub(super) struct UnshareArgs {
    /// The command and its arguments [default: the shell of SHELL]
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    words: Vec<OsString>,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot execute {}", program.display())]
struct NotExecuted {
    program: OsString,
    source: io::Error,
}

impl Diagnose for NotExecuted {
    fn exit_code(&self) -> u8 {
        if self.source.kind() == io::ErrorKind::NotFound { diag::NOT_FOUND } else { diag::NOT_EXECUTABLE }
    }
}

/// Becomes the command.
pub(super) fn unshare(arguments: UnshareArgs, context: &Context) -> Result<u8, Failure> {
    inside::enter(&context.store)?;
    let mut words = arguments.words.into_iter();
    let shell = || std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into());
    let program = words.next().unwrap_or_else(shell);
    let source = Command::new(&program).args(words).exec();
    Err(NotExecuted { program, source }.into())
}
