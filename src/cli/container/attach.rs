//! `attach`: this terminal and a container that runs.

use crate::cli::Context;
use crate::cli::attach::{Attachment, Printed, WITHOUT_STDIN, stay};
use crate::cli::flags::{DetachFlags, SignalFlags};
use crate::container::stored::record::Container;
use crate::diag::Failure;
use clap::Args;

#[derive(Args)]
pub(crate) struct AttachArgs {
    /// Do not forward standard input
    #[arg(long)]
    no_stdin: bool,
    #[command(flatten)]
    keys: DetachFlags,
    #[command(flatten)]
    signals: SignalFlags,
    container: String,
}

pub(super) fn attach(arguments: &AttachArgs, context: &Context) -> Result<u8, Failure> {
    let container = Container::find(&context.store, &arguments.container)?;
    let request = &container.record.request;
    let attachment = Attachment {
        terminal: request.terminal,
        stdin: request.stdin && !arguments.no_stdin,
        closes_stdin: !request.keeps_stdin,
        printed: Printed::BOTH,
        signals: arguments.signals.sig_proxy,
        detach_keys: arguments.keys.keys(),
    };
    let end = container.reach_awake()?;
    attachment.check_terminal(WITHOUT_STDIN)?;
    stay(&end, &attachment, &container.record.name)
}
