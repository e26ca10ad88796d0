//! Which containers a command is for.

use crate::container::stored::record::{Container, RecordError};
use crate::diag::{Diagnose, Failure, inner_of};
use crate::store::Store;
use crate::sys::{On, SysError};
use clap::Args;
use std::path::PathBuf;

/// The containers of a command that takes several.
#[derive(Args)]
pub(crate) struct Selection {
    /// Take every container that the command can act on
    #[arg(short, long, conflicts_with_all = ["containers", "latest", "cidfile"])]
    all: bool,
    /// Take the newest container
    #[arg(short, long, conflicts_with = "containers")]
    latest: bool,
    /// Take the container whose ID is in this file
    #[arg(long, value_name = "FILE")]
    cidfile: Vec<PathBuf>,
    /// Pass over containers that do not exist
    #[arg(short, long)]
    ignore: bool,
    #[arg(required_unless_present_any = ["all", "latest", "cidfile"], value_name = "CONTAINER")]
    containers: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum SelectionError {
    #[error("cannot read the ID of a container")]
    CidFile(#[from] SysError),
    #[error("there is no container")]
    None,
}

impl Diagnose for SelectionError {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; CidFile)
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

impl Selection {
    /// Returns the names as they were typed, or those of `everyone`.
    pub(crate) fn names(
        &self,
        store: &Store,
        everyone: impl FnOnce() -> Vec<Container>,
    ) -> Result<Vec<String>, SelectionError> {
        if self.all {
            return Ok(everyone().into_iter().map(|container| container.record.name).collect());
        }
        let mut names = self.containers.clone();
        for file in &self.cidfile {
            match std::fs::read_to_string(file).on("open", file) {
                Ok(text) => names.push(text.trim().to_owned()),
                Err(error) if self.ignore && error.errno == libc::ENOENT => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.latest {
            let newest = Container::all(store).into_iter().max_by(|a, b| a.record.created.cmp(&b.record.created));
            names.push(newest.ok_or(SelectionError::None)?.record.name);
        }
        if self.ignore {
            names.retain(|name| !matches!(Container::find(store, name), Err(RecordError::NotFound { .. })));
        }
        Ok(names)
    }
}

/// Calls `act` for each name and reports each failure. Returns 1 if there was one.
pub(crate) fn each(names: &[String], mut act: impl FnMut(&str) -> Result<(), Failure>) -> u8 {
    let mut code = 0;
    for name in names {
        if let Err(failure) = act(name) {
            crate::cli::stderr::report(failure.as_ref());
            code = 1;
        }
    }
    code
}
