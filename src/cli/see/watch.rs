//! `watch`: shows copy-on-write as it happens.

use crate::cli::flags::ReportFlags;
use crate::cli::{Context, human, inside, json};
use crate::container::stored::record::Container;
use crate::diag::{Failure, printable};
use crate::explain::live::watch::{Event, EventKind, Place, PlaceKind, Watch};
use crate::explain::words::{Language, Words, fill};
use crate::sys::process;
use clap::Args;
use serde::Serialize;
use std::io::{BufWriter, Stdout, Write};

#[derive(Args)]
pub(crate) struct WatchArgs {
    #[command(flatten)]
    report: ReportFlags,
    container: String,
}

/// A line of `--json`.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Line<'a> {
    Begun {
        container: &'a str,
        places: &'a [Place],
    },
    Event {
        #[serde(flatten)]
        event: &'a Event,
        /// The whole writable layer.
        writable_on_disk: u64,
    },
}

impl WatchArgs {
    /// Runs until the container ends or standard output is closed.
    pub(crate) fn run(self, context: &Context) -> Result<u8, Failure> {
        let place = Container::find(&context.store, &self.container)?.place();
        inside::enter_at(&context.store, place)?;
        // A shell's background job ignores SIGINT, and would never end.
        process::default_signal(libc::SIGINT);
        let container = Container::find(&context.store, &self.container)?;
        let mut watch = Watch::new(&context.store, &container)?;
        if !watch.is_running() {
            return Err(container.not_running().into());
        }
        let mut printer = EventPrinter {
            output: BufWriter::new(std::io::stdout()),
            json: self.report.json,
            language: Language::current(),
        };
        let mut goes_on = printer.begin(&container.record.name, &watch);
        while goes_on? {
            let is_due = watch.wait();
            let runs = watch.is_running();
            let events = match (runs, is_due) {
                (false, _) => watch.poll_everything(),
                (true, true) => watch.poll(),
                (true, false) => Vec::new(),
            };
            let is_open = printer.events(&events, &watch);
            goes_on = is_open.map(|is_open| is_open && runs);
        }
        Ok(0)
    }
}

struct EventPrinter {
    output: BufWriter<Stdout>,
    json: bool,
    language: Language,
}

impl EventPrinter {
    /// Prints what is watched. Like [`EventPrinter::events`], returns whether standard output is still open.
    fn begin(&mut self, name: &str, watch: &Watch) -> Result<bool, Failure> {
        let words = self.language.words();
        let text = match self.json {
            true => json::line(&Line::Begun { container: name, places: watch.places() })?,
            false => {
                let places: Vec<String> = watch.places().iter().map(|place| place_in(place, words)).collect();
                let begun = fill(words.watch_begun, &[&name, &places.join(", ")]);
                format!("{}\n{}", human::sentence(&begun, 0), columns(words.head_time, "", words.head_path, "", ""))
            }
        };
        Ok(writeln!(self.output, "{text}").and_then(|()| self.output.flush()).is_ok())
    }

    fn events(&mut self, events: &[Event], watch: &Watch) -> Result<bool, Failure> {
        let words = self.language.words();
        let writable_on_disk = if events.is_empty() { 0 } else { watch.size() };
        let mut lines = Vec::with_capacity(events.len());
        for event in events {
            lines.push(match self.json {
                true => json::line(&Line::Event { event, writable_on_disk })?,
                false => event_line(event, words),
            });
        }
        if !self.json && events.iter().any(|event| event.place == PlaceKind::WritableLayer) {
            let holds = fill(words.layer_holds, &[&human::size(writable_on_disk)]);
            lines.push(columns("", "", "", &holds, ""));
        }
        let written = lines.iter().try_for_each(|line| writeln!(self.output, "{line}"));
        Ok(written.and_then(|()| self.output.flush()).is_ok())
    }
}

fn place_in(place: &Place, words: &Words) -> String {
    let target = place.target.display();
    match place.kind {
        PlaceKind::WritableLayer => words.writable_layer.into(),
        PlaceKind::Volume => fill(words.watched_volume, &[&target]),
        PlaceKind::Tmpfs => fill(words.watched_tmpfs, &[&target]),
    }
}

fn event_line(event: &Event, words: &Words) -> String {
    let what = match event.what {
        EventKind::Create => "CREATE",
        EventKind::CopyUp => "COPY-UP",
        EventKind::Write => "WRITE",
        EventKind::Delete => "DELETE",
        EventKind::Remove => "REMOVE",
        EventKind::CameAndWent => "CAME, WENT",
    };
    let size = event.size.map(human::size);
    let about = match (event.place, event.what, event.layer) {
        (PlaceKind::WritableLayer, EventKind::CopyUp, Some(layer)) => {
            size.map(|size| fill(words.size_from_layer, &[&size, &layer]))
        }
        (PlaceKind::WritableLayer, EventKind::Delete, _) => Some(words.whiteout_in_layer.into()),
        (PlaceKind::WritableLayer, EventKind::Remove | EventKind::CameAndWent, _) => Some(words.nothing_is_left.into()),
        (PlaceKind::WritableLayer, ..) => size,
        (PlaceKind::Volume, ..) => Some(words.in_a_volume.into()).map(|place| with_size(size, place)),
        (PlaceKind::Tmpfs, ..) => Some(words.in_memory.into()).map(|place| with_size(size, place)),
    };
    let by = event.by.as_ref().map(|by| format!("{} ({})", by.command, by.pid)).unwrap_or_default();
    // The time of day of an RFC 3339 time.
    let time = event.noticed.get(11..23).unwrap_or_default();
    columns(time, what, &event.path.to_string_lossy(), &about.unwrap_or_default(), &by)
}

fn with_size(size: Option<String>, place: String) -> String {
    size.map_or(place.clone(), |size| format!("{size}, {place}"))
}

/// Lays out one line; where the terminal is too narrow for it, the part behind the path goes below.
fn columns(time: &str, what: &str, path: &str, about: &str, by: &str) -> String {
    let head = format!("{time:<12}  {what:<10}  ");
    let path = printable(path);
    let more = [about, &printable(by)].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("   ");
    let line = format!("{head}{path:<28}  {more}");
    let indent = head.chars().count();
    match human::width() {
        Some(width) if line.trim_end().chars().count() > width && !more.is_empty() => match path.is_empty() {
            true => format!("{:indent$}{more}", ""),
            false => format!("{head}{path}\n{:indent$}  {more}", ""),
        },
        _ => line.trim_end().to_owned(),
    }
}
