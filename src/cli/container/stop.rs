//! `stop`, `restart`, `kill`, `wait`: the end of containers.

use crate::cli::Context;
use crate::cli::flags::{Selection, each};
use crate::cli::stderr::Notes;
use crate::container::live::launch;
use crate::container::protocol::{End, Message};
use crate::container::request;
use crate::container::request::signal::Signal;
use crate::container::stored::record::Container;
use crate::diag::Failure;
use crate::store;
use clap::Args;

#[derive(Args)]
pub(crate) struct StopArgs {
    /// Wait this many seconds before SIGKILL; -1 waits forever
    #[arg(short, long, visible_alias = "timeout", value_name = "SECONDS", allow_negative_numbers = true)]
    time: Option<i64>,
    /// Send this signal first
    #[arg(short, long)]
    signal: Option<Signal>,
    #[command(flatten)]
    selection: Selection,
}

#[derive(Args)]
pub(crate) struct KillArgs {
    /// Send this signal
    #[arg(short, long, default_value = "KILL")]
    signal: Signal,
    #[command(flatten)]
    selection: Selection,
}

pub(super) fn stop_all(arguments: &StopArgs, context: &Context) -> Result<u8, Failure> {
    let names = arguments.selection.names(&context.store, || Container::running(&context.store))?;
    Ok(each(&names, |name| {
        let container = Container::find(&context.store, name)?;
        if stop(&container, arguments.signal, arguments.time)? {
            container.record.note(&context.store, "stop");
        }
        println!("{name}");
        Ok(())
    }))
}

pub(super) fn restart(arguments: &StopArgs, context: &Context) -> Result<u8, Failure> {
    let names = arguments.selection.names(&context.store, || Container::all(&context.store))?;
    Ok(each(&names, |name| {
        let container = Container::find(&context.store, name)?;
        let request = stop_request(&container, arguments.signal, arguments.time);
        let has_run;
        if container.record.request.auto_remove {
            has_run = end(&container, &[Message::Keep, request])?;
            forget_volatile(&container)?;
        } else {
            has_run = end(&container, &[request])?;
        }
        if has_run {
            container.record.note(&context.store, "stop");
        }
        let prepared = launch::prepare_for(&context.store, &container.record)?;
        launch::start(&context.store, &container, prepared, &mut Notes)?;
        container.record.note(&context.store, "restart");
        println!("{name}");
        Ok(())
    }))
}

pub(super) fn kill(arguments: &KillArgs, context: &Context) -> Result<u8, Failure> {
    let signal = arguments.signal;
    let names = arguments.selection.names(&context.store, || Container::running(&context.store))?;
    Ok(each(&names, |name| {
        kill_one(&Container::find(&context.store, name)?, signal)?;
        println!("{name}");
        Ok(())
    }))
}

/// Sends a signal to a container that runs.
pub(crate) fn kill_one(container: &Container, signal: Signal) -> Result<(), Failure> {
    let message = Message::Signal(signal.number().unsigned_abs());
    if signal != Signal::KILL {
        container.reach()?.ok_or_else(|| container.not_running())?.tell(&message)?;
    } else if !end(container, &[message])? {
        return Err(container.not_running().into());
    }
    Ok(())
}

/// Sends the stop signal, waits for the grace period, then lets the monitor send SIGKILL. Does nothing to a container
/// that is not running, and returns `false` then.
pub(crate) fn stop(container: &Container, signal: Option<Signal>, seconds: Option<i64>) -> Result<bool, Failure> {
    end(container, &[stop_request(container, signal, seconds)])
}

fn stop_request(container: &Container, signal: Option<Signal>, seconds: Option<i64>) -> Message {
    let request = &container.record.request;
    let signal = signal.or(request.stop_signal).unwrap_or(Signal::TERM);
    let grace = match seconds.unwrap_or(request.stop_timeout.unwrap_or(request::STOP_TIMEOUT).into()) {
        forever if forever < 0 => u32::MAX,
        seconds => seconds.checked_mul(1000).and_then(|ms| u32::try_from(ms).ok()).unwrap_or(u32::MAX - 1),
    };
    Message::Stop { signal: signal.number().unsigned_abs(), grace }
}

/// Lets the writable layer of a container that removes itself be mounted again: the kernel refuses that, since a crash of the
/// host could have cost it changes (Documentation/filesystems/overlayfs.rst, "Volatile mount"), and there was none.
fn forget_volatile(container: &Container) -> Result<(), Failure> {
    Ok(store::remove_tree(&container.directory.join("work/work"))?)
}

/// Asks the monitor to end the container, and waits for that. Returns `false` if it does not run.
fn end(container: &Container, requests: &[Message]) -> Result<bool, Failure> {
    let mut has_run = false;
    loop {
        let Some(end) = container.reach()? else { return Ok(has_run) };
        let monitor = container.written_state().monitor;
        requests.iter().try_for_each(|request| end.tell(request))?;
        wait_for_end(&end)?;
        has_run = true;
        // A process that has ended by itself just then is followed by another: the monitor did not hear the request.
        let now = container.written_state();
        if !now.phase.has_monitor() || now.monitor != monitor {
            return Ok(true);
        }
    }
}

/// Waits until the monitor reports the end of the container, or ends itself.
fn wait_for_end(end: &End) -> Result<(), Failure> {
    loop {
        match end.receive()? {
            Some((Message::Exited { .. }, _)) | None => return Ok(()),
            Some(_) => {}
        }
    }
}
