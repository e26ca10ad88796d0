//! Flags about a process in a container.

use crate::container::request;
use crate::container::request::RequestError;
use crate::sys::{On, SysError};
use clap::Args;
use std::path::{Path, PathBuf};

/// The flags that `run`, `create` and `exec` share.
#[derive(Args)]
pub(crate) struct ProcessFlags {
    /// Set a variable, or pass one of the caller
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = request::variable, allow_hyphen_values = true)]
    env: Vec<Variable>,
    /// Read variables from a file
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Set the working directory
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<String>,
    /// Set the user
    #[arg(short, long, value_name = "USER[:GROUP]")]
    pub user: Option<String>,
    /// Grant all capabilities; switch off seccomp and masks
    #[arg(long)]
    pub privileged: bool,
    /// Keep standard input open
    #[arg(short, long)]
    pub interactive: bool,
    /// Allocate a terminal
    #[arg(short, long)]
    pub tty: bool,
}

/// `NAME=VALUE`; `None` for a variable that the caller does not have.
type Variable = Option<String>;

/// Returns the lines of a file of variables or labels that are neither empty nor comments.
pub(crate) fn lines(file: &Path) -> Result<Vec<String>, SysError> {
    let text = std::fs::read_to_string(file).on("open", file)?;
    let lines = text.lines().map(str::trim_start).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

impl ProcessFlags {
    /// Returns the variables of all files, then those of the command line, which take precedence.
    pub(crate) fn environment(&self) -> Result<Vec<String>, RequestError> {
        let mut all = Vec::new();
        for file in &self.env_file {
            for line in lines(file).map_err(RequestError::EnvFile)? {
                all.extend(request::variable(&line)?);
            }
        }
        all.extend(self.env.iter().flatten().cloned());
        Ok(all)
    }
}
