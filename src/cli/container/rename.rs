//! `rename`: another name for a container.

use crate::cli::Context;
use crate::container::request;
use crate::container::stored::record::Container;
use crate::container::stored::rename;
use crate::diag::Failure;
use crate::journal;
use clap::Args;

#[derive(Args)]
pub(crate) struct RenameArgs {
    container: String,
    /// The name that it gets
    #[arg(value_parser = request::name)]
    new_name: String,
}

pub(super) fn rename(arguments: &RenameArgs, context: &Context) -> Result<u8, Failure> {
    let container = Container::find(&context.store, &arguments.container)?;
    rename::rename(&context.store, &container, &arguments.new_name)?;
    let event = container.record.event("rename").with("oldName", &container.record.name);
    journal::note(&context.store, &[event.with("name", &arguments.new_name)]);
    Ok(0)
}
