//! Completions and the manual's pages, from the flags themselves.

use super::Arguments;
use crate::diag::{Diagnose, Failure};
use clap::{Args, CommandFactory};
use clap_complete::Shell;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Completion {
    /// The shell whose script is printed
    shell: Shell,
}

impl Completion {
    pub(super) fn run(self) -> u8 {
        clap_complete::generate(self.shell, &mut Arguments::command(), "minirun", &mut std::io::stdout());
        0
    }
}

#[derive(Args)]
pub(super) struct Manual {
    /// Where the pages are written
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
    pub(super) fn run(self) -> Result<u8, Failure> {
        let written = clap_mangen::generate_to(Arguments::command(), &self.directory);
        written.map_err(|source| Unwritten { directory: self.directory, source })?;
        Ok(0)
    }
}
