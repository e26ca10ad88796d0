//! `start`: containers that were created or have ended.

use crate::cli::Context;
use crate::cli::attach::{self, Attachment, Printed};
use crate::cli::ending::note_ending;
use crate::cli::flags::{DetachFlags, each};
use crate::cli::run::note_detached;
use crate::cli::stderr::Notes;
use crate::container::live::launch;
use crate::container::live::launch::LaunchError;
use crate::container::protocol::End;
use crate::container::stored::record::{Container, RecordError};
use crate::diag::{Diagnose, Failure};
use clap::Args;

#[derive(Args)]
pub(crate) struct StartArgs {
    /// Attach to the output and exit with the container's code
    #[arg(short, long)]
    attach: bool,
    /// Attach and forward standard input
    #[arg(short, long)]
    interactive: bool,
    #[command(flatten)]
    keys: DetachFlags,
    #[arg(required = true, value_name = "CONTAINER")]
    containers: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot forward standard input to {0} containers at once")]
struct OneInput(usize);

impl Diagnose for OneInput {
    fn hint(&self) -> Option<String> {
        Some("start them without -i; -a shows the output of all".into())
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

pub(super) fn start(arguments: &StartArgs, context: &Context) -> Result<u8, Failure> {
    match &arguments.containers[..] {
        [name] if arguments.attach || arguments.interactive => start_attached(name, arguments, context),
        [name] => {
            begin(name, context).map(|(container, _)| started(name, &container))?;
            Ok(0)
        }
        names if arguments.interactive => Err(OneInput(names.len()).into()),
        names => {
            let mut ends = Vec::new();
            let code = each(names, |name| {
                let (container, end) = begin(name, context)?;
                match end {
                    Some(end) if arguments.attach => ends.push(end),
                    _ => started(name, &container),
                }
                Ok(())
            });
            Ok(attach::watch_all(ends)?.max(code))
        }
    }
}

fn started(name: &str, container: &Container) {
    println!("{name}");
    note_ending(container);
}

/// Starts a container. `None`: it was running.
pub(crate) fn begin(name: &str, context: &Context) -> Result<(Container, Option<End>), Failure> {
    let container = Container::find(&context.store, name)?;
    let state = container.state();
    if state.is_paused {
        return Err(RecordError::Paused(container.record.name).into());
    }
    if state.phase.has_monitor() {
        return Ok((container, None));
    }
    let prepared = launch::prepare_for(&context.store, &container.record)?;
    match launch::start(&context.store, &container, prepared, &mut Notes) {
        Err(LaunchError::Running(_)) => Ok((container, None)),
        other => Ok((container, Some(other?))),
    }
}

/// Starts one container, or takes it as it runs, and stays with it.
fn start_attached(name: &str, arguments: &StartArgs, context: &Context) -> Result<u8, Failure> {
    let container = Container::find(&context.store, name)?;
    let request = &container.record.request;
    let attachment = Attachment {
        terminal: request.terminal,
        stdin: arguments.interactive && request.stdin,
        closes_stdin: !request.keeps_stdin,
        printed: Printed::BOTH,
        signals: true,
        detach_keys: arguments.keys.keys(),
    };
    attachment.check_terminal("leave out -i")?;
    container.record.note(&context.store, "attach");
    let end = match begin(name, context)? {
        (_, Some(end)) => end,
        (container, None) => container.reach()?.ok_or_else(|| container.not_running())?,
    };
    attach::stay(&end, &attachment, &container.record.name, |parting| note_detached(parting, &container, context))
}
