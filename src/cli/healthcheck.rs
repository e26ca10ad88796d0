//! `healthcheck run`: a container's health check, now.

use super::Context;
use crate::container::protocol::Message;
use crate::container::stored::record::Container;
use crate::diag::{Diagnose, Failure};
use clap::{Args, Subcommand};

#[derive(Subcommand)]
#[command(defer = true)]
pub(super) enum Command {
    /// Run a container's health check now; exit with 0 if it succeeds
    Run(RunArgs),
}

#[derive(Args)]
pub(super) struct RunArgs {
    container: String,
}

#[derive(Debug, thiserror::Error)]
enum HealthCheckError {
    #[error("container {0} has no health check")]
    None(String),
    #[error("container {0} ended before its health check did")]
    Ended(String),
}

impl Diagnose for HealthCheckError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::None(_) => Some("create it with one: minirun run --health-cmd COMMAND IMAGE".into()),
            Self::Ended(name) => Some(format!("see why: minirun why {name}")),
        }
    }
}

impl Command {
    pub(super) fn run(self, context: &Context) -> Result<u8, Failure> {
        let Self::Run(arguments) = self;
        let container = Container::find(&context.store, &arguments.container)?;
        let name = || container.record.name.clone();
        let end = container.reach()?.ok_or_else(|| container.not_running())?;
        // A monitor of an earlier minirun does no checks.
        if container.state().health.is_none() {
            return Err(HealthCheckError::None(name()).into());
        }
        end.tell(&Message::Probe)?;
        loop {
            match end.receive()? {
                Some((Message::Probed { code }, _)) => {
                    let last = container.state().health.and_then(|health| health.log.last().cloned());
                    let output = last.map(|last| last.output).unwrap_or_default();
                    print!("{output}{}", if output.is_empty() || output.ends_with('\n') { "" } else { "\n" });
                    return Ok(u8::from(code != 0));
                }
                Some((Message::Exited { .. }, _)) | None => return Err(HealthCheckError::Ended(name()).into()),
                Some(_) => {}
            }
        }
    }
}
