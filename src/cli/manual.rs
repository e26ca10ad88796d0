//! Shell completions and manual pages, generated from the flags.

use crate::diag::{Diagnose, Failure};
use clap::{Args, Command};
use clap_complete::Shell;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    pub(super) fn run(self, mut program: Command) -> u8 {
        clap_complete::generate(self.shell, &mut program, "minirun", &mut std::io::stdout());
        0
    }
}

#[derive(Args)]
pub(super) struct Manual {
    /// The directory for the pages
    directory: PathBuf,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write the manual to {}", directory.display())]
struct Unwritten {
    directory: PathBuf,
    source: std::io::Error,
}

impl Diagnose for Unwritten {}

impl Manual {
    pub(super) fn run(self, program: Command) -> Result<u8, Failure> {
        let written = clap_mangen::generate_to(program, &self.directory);
        written.map_err(|source| Unwritten { directory: self.directory, source })?;
        Ok(0)
    }
}
