//! `container exists`: an exit code for scripts.

use crate::cli::Context;
use crate::container::stored::record::{Container, RecordError};
use crate::diag::Failure;
use clap::Args;

#[derive(Args)]
pub(crate) struct ExistsArgs {
    container: String,
}

/// Returns 0 if the container exists, 1 if not.
pub(crate) fn exists(arguments: &ExistsArgs, context: &Context) -> Result<u8, Failure> {
    match Container::find(&context.store, &arguments.container) {
        Ok(_) => Ok(0),
        Err(RecordError::NotFound { .. }) => Ok(1),
        Err(error) => Err(error.into()),
    }
}
