//! `watch`: copy-on-write, live.

use super::super::{Context, human, json};
use super::Telling;
use crate::container::record::Container;
use crate::diag::{Diagnose, Failure};
use crate::explain::watch::{Event, Watch, What};
use crate::explain::words::{Words, fill};
use crate::userns;
use clap::Args;
use std::io::Write;

#[derive(Args)]
pub struct WatchArgs {
    #[command(flatten)]
    telling: Telling,
    container: String,
}

#[derive(Debug, thiserror::Error)]
#[error("container {0} is not running")]
struct NotRunning(String);

impl Diagnose for NotRunning {
    fn hint(&self) -> Option<String> {
        Some(format!("see what it has changed so far: minirun diff {}", self.0))
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

impl WatchArgs {
    /// Until the container ends, or somebody has seen enough.
    pub fn run(self, context: &Context) -> Result<u8, Failure> {
        userns::enter(&context.store)?;
        let container = Container::find(&context.store, &self.container)?;
        let mut watch = Watch::new(&context.store, &container)?;
        if !watch.is_running() {
            return Err(NotRunning(container.record.name).into());
        }
        let words = self.telling.speech.language().words();
        let mut output = std::io::stdout();
        let mut is_due = true;
        loop {
            let goes_on = watch.is_running();
            let events = if is_due || !goes_on { watch.look() } else { Vec::new() };
            for event in events {
                let line = match self.telling.json {
                    true => json::line(&event)?,
                    false => told(&event, watch.size(), words),
                };
                if writeln!(output, "{line}").and_then(|()| output.flush()).is_err() {
                    return Ok(0);
                }
            }
            if !goes_on {
                return Ok(0);
            }
            is_due = watch.wait();
        }
    }
}

fn told(event: &Event, layer: u64, words: &Words) -> String {
    let size = human::size(event.size);
    let (what, more) = match event.what {
        What::Create => ("CREATE", size),
        What::CopyUp { layer } => ("COPY-UP", fill(words.size_from_layer, &[&size, &layer])),
        What::Write => ("WRITE", size),
        What::Delete => ("DELETE", words.whiteout_in_layer.into()),
        What::Remove => ("REMOVE", words.nothing_is_left.into()),
        What::CameAndWent => ("CAME, WENT", words.nothing_is_left.into()),
        What::VolumeWrite => ("VOLUME WRITE", fill(words.not_in_the_layer, &[&size])),
    };
    let by = event.by.as_ref().map(|by| format!("   {by}")).unwrap_or_default();
    let path = event.path.display().to_string();
    format!("{what:<12}   {path:<40}   {more}{by}   [{}]", fill(words.layer_holds, &[&human::size(layer)]))
}
