//! Shell completions and manual pages, from the tree of commands.

use super::{complete, help};
use crate::diag::{Diagnose, Failure};
use clap::{Args, Command, ValueEnum};
use std::path::PathBuf;

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Shell {
    Bash,
    Zsh,
    Fish,
}

#[derive(Args)]
pub(super) struct Completion {
    /// The shell
    shell: Shell,
}

impl Completion {
    pub(super) fn run(self) -> u8 {
        print!(
            "{}",
            match self.shell {
                Shell::Bash => complete::BASH,
                Shell::Zsh => complete::ZSH,
                Shell::Fish => complete::FISH,
            }
        );
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
        let written = clap_mangen::generate_to(help::decorated(program), &self.directory);
        written.map_err(|source| Unwritten { directory: self.directory, source })?;
        Ok(0)
    }
}
