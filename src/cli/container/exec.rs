//! `exec`: another process in a container that runs.

use crate::cli::attach::{Attachment, Parting, Printed, WITHOUT_T, stay};
use crate::cli::flags::{DetachFlags, ProcessFlags};
use crate::cli::{Context, stderr};
use crate::container::live::exec;
use crate::container::stored::record::Container;
use crate::diag::Failure;
use crate::journal;
use clap::Args;

#[derive(Args)]
pub(crate) struct ExecArgs {
    /// Run in the background
    #[arg(short, long)]
    detach: bool,
    #[command(flatten)]
    process: ProcessFlags,
    #[command(flatten)]
    keys: DetachFlags,
    /// The container, and the command to run in it
    #[arg(trailing_var_arg = true, required = true, num_args = 2.., value_name = "CONTAINER")]
    container_and_command: Vec<String>,
}

pub(super) fn exec(arguments: ExecArgs, context: &Context) -> Result<u8, Failure> {
    let env = arguments.process.environment()?;
    let ProcessFlags { workdir, user, privileged, interactive, tty, .. } = arguments.process;
    let attachment = Attachment {
        terminal: tty,
        stdin: interactive,
        closes_stdin: true,
        printed: Printed::BOTH,
        signals: true,
        detach_keys: arguments.keys.keys(),
    };
    if !arguments.detach {
        attachment.check_terminal(WITHOUT_T)?;
    }
    let mut words = arguments.container_and_command.into_iter();
    let container = Container::find(&context.store, &words.next().unwrap_or_default())?;
    let command: Vec<String> = words.collect();
    if privileged && !container.record.request.is_strong() {
        let name = &container.record.name;
        stderr::note(&format!(
            "--privileged leaves out SYS_ADMIN and SYS_PTRACE: {name} shares its user namespace with other containers; \
             for these, make it with: minirun run --privileged"
        ));
    }
    let events = exec::Events::new(&container, &command);
    let detached = events.detached();
    let (terminal, events) = (tty, Some(events));
    let wanted =
        exec::Wanted { command, env, user, workdir, privileged, terminal, stdin: interactive, probe: None, events };
    let end = exec::start(&context.store, &container, wanted)?;
    if arguments.detach {
        return Ok(0);
    }
    stay(&end, &attachment, &container.record.name, |parting| {
        if matches!(parting, Parting::Detached) {
            journal::note(&context.store, &[detached()]);
        }
    })
}
