//! `pause`, `unpause`: containers whose processes stand still.

use crate::cli::Context;
use crate::cli::flags::{Selection, each};
use crate::container::live::pause;
use crate::container::stored::record::Container;
use crate::diag::Failure;
use clap::Args;

#[derive(Args)]
pub(crate) struct PauseArgs {
    #[command(flatten)]
    selection: Selection,
}

pub(super) fn pause(arguments: &PauseArgs, context: &Context) -> Result<u8, Failure> {
    set_paused(arguments, context, true)
}

pub(super) fn unpause(arguments: &PauseArgs, context: &Context) -> Result<u8, Failure> {
    set_paused(arguments, context, false)
}

fn set_paused(arguments: &PauseArgs, context: &Context, paused: bool) -> Result<u8, Failure> {
    let store = &context.store;
    let can_change = |container: &Container| container.state().is_paused != paused;
    let all = || Container::running(store).into_iter().filter(can_change).collect();
    let names = arguments.selection.names(store, all)?;
    Ok(each(&names, |name| {
        let container = Container::find(store, name)?;
        pause::set_paused(&container, paused)?;
        container.record.note(store, if paused { "pause" } else { "unpause" });
        println!("{name}");
        Ok(())
    }))
}
