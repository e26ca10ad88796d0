//! `events`: what was done to containers, images, volumes and networks, as it happens or since a time.

use super::Context;
use super::format::Renderer;
use super::moment::Moment;
use crate::diag::{Diagnose, Failure, printable};
use crate::journal::{self, Event, Kind, Reader};
use crate::sys::On;
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::str::FromStr;
use std::time::Duration;

#[derive(Args)]
pub(super) struct EventsArgs {
    /// Print events since this time, or since 10m ago
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Print events until this time, and end then
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Print only what fits: container=, image=, event=, type=, label=, …
    #[arg(short, long, value_name = "NAME=VALUE")]
    filter: Vec<Filter>,
    /// Print as JSON ('json'), or through a Go template
    #[arg(long, value_name = "TEMPLATE")]
    format: Option<String>,
}

/// A condition on events.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Filter {
    field: Field,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// The id, its beginning, or the name of an object of this type.
    Object(Kind),
    Action,
    Type,
    Label,
}

#[derive(Debug, thiserror::Error)]
#[error("invalid filter {0:?}")]
pub(super) struct InvalidFilter(String);

impl Diagnose for InvalidFilter {
    fn hint(&self) -> Option<String> {
        let filters =
            "container=NAME, image=NAME, volume=NAME, network=NAME, event=start, type=container, label=NAME[=VALUE]";
        Some(format!("filters: {filters}"))
    }
}

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        let wrong = || InvalidFilter(text.to_owned());
        let (name, value) = text.split_once('=').filter(|(_, value)| !value.is_empty()).ok_or_else(wrong)?;
        let field = match name {
            "event" => Field::Action,
            "label" => Field::Label,
            "type" if kind(value).is_some() => Field::Type,
            name => Field::Object(kind(name).ok_or_else(wrong)?),
        };
        Ok(Self { field, value: value.to_owned() })
    }
}

fn kind(name: &str) -> Option<Kind> {
    [Kind::Container, Kind::Image, Kind::Volume, Kind::Network].into_iter().find(|kind| kind.name() == name)
}

impl Filter {
    fn fits(&self, event: &Event) -> bool {
        let value = self.value.as_str();
        let attribute = |name: &str| event.attributes.get(name).map(String::as_str);
        match self.field {
            Field::Type => event.kind.name() == value,
            // As in Docker, `health_status` stands for each of them.
            Field::Action => event.action == value || event.action.split(": ").next() == Some(value),
            Field::Label => match value.split_once('=') {
                Some((name, value)) => attribute(name) == Some(value),
                None => attribute(value).is_some(),
            },
            // Events of containers name their image, too.
            Field::Object(Kind::Image) if event.kind == Kind::Container => {
                attribute("image").is_some_and(|image| is_image(image, value))
            }
            Field::Object(kind) => {
                event.kind == kind
                    && (event.id == value
                        || is_beginning(&event.id, value)
                        || attribute("name").is_some_and(|name| {
                            if kind == Kind::Image { is_image(name, value) } else { name == value }
                        })
                        || (kind == Kind::Image && is_image(&event.id, value)))
            }
        }
    }
}

/// Whether a value is the beginning of an id.
fn is_beginning(id: &str, value: &str) -> bool {
    let digits = id.strip_prefix("sha256:").unwrap_or(id);
    let value = value.strip_prefix("sha256:").unwrap_or(value);
    value.len() >= 4 && value.chars().all(|c| c.is_ascii_hexdigit()) && digits.starts_with(value)
}

/// Whether a value names an image, with its tag or without.
fn is_image(name: &str, value: &str) -> bool {
    name == value || name.rsplit_once(':').is_some_and(|(repository, _)| repository == value)
}

/// Whether an event passes: of filters on one field one must fit, of those on several fields one of each.
fn passes(filters: &[Filter], event: &Event) -> bool {
    filters.iter().all(|filter| filters.iter().any(|other| other.field == filter.field && other.fits(event)))
}

pub(super) fn events(arguments: &EventsArgs, context: &Context) -> Result<u8, Failure> {
    let form = match arguments.format.as_deref().map(str::trim) {
        None | Some("") => Form::Line(TimeZone::system()),
        Some("json" | "{{json .}}") => Form::Json,
        Some(template) => Form::Template(Renderer::new(template)?),
    };
    let directory = journal::directory(&context.store);
    if !directory.exists() {
        std::fs::create_dir(&directory).on("mkdir", &directory)?;
    }
    let watch =
        inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).on("inotify_init1", "")?;
    let changes = inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
    inotify::add_watch(&watch, &directory, changes).on("inotify_add_watch", &directory)?;
    let past = arguments.since.is_some() || arguments.until.is_some();
    let mut reader =
        if past { Reader::of_all(&context.store) } else { Reader::of_new(&context.store).on("open", &directory)? };
    loop {
        // Looked at before reading, so that what is written until then is still read.
        let is_over = arguments.until.is_some_and(|Moment(until)| until <= Timestamp::now());
        while let Some(event) = reader.event().on("read", &directory)? {
            if !print(arguments, &form, &event)? {
                return Ok(0);
            }
        }
        if is_over {
            return Ok(0);
        }
        wait(&watch, arguments.until);
    }
}

/// How an event is printed.
enum Form {
    /// Docker's, with times of this zone.
    Line(TimeZone),
    Json,
    Template(Renderer),
}

/// Prints an event if it was asked for. Returns `false` if nobody reads any more.
fn print(arguments: &EventsArgs, form: &Form, event: &Event) -> Result<bool, Failure> {
    let nanoseconds = |Moment(time): Moment| time.as_nanosecond();
    let time = i128::from(event.time);
    let is_in_time = arguments.since.is_none_or(|since| time >= nanoseconds(since))
        && arguments.until.is_none_or(|until| time <= nanoseconds(until));
    if !is_in_time || !passes(&arguments.filter, event) {
        return Ok(true);
    }
    let line = match form {
        Form::Line(zone) => printable(&event.line(zone)).into_owned(),
        Form::Json => event.json().to_string(),
        Form::Template(renderer) => renderer.render(&event.fields())?,
    };
    let mut out = std::io::stdout().lock();
    Ok(writeln!(out, "{line}").and_then(|()| out.flush()).is_ok())
}

/// Waits until the journal grows, or the last moment has come.
fn wait(watch: &OwnedFd, until: Option<Moment>) {
    let left =
        until.map(|Moment(until)| Duration::try_from(until.duration_since(Timestamp::now())).unwrap_or_default());
    // poll(2) may wake up a moment early.
    let left = left.map(|left| left + Duration::from_millis(1));
    let timeout =
        left.map(|left| Timespec { tv_sec: left.as_secs().cast_signed(), tv_nsec: i64::from(left.subsec_nanos()) });
    let _ = poll(&mut [PollFd::new(watch, PollFlags::IN)], timeout.as_ref());
    let mut changes = [0u8; 4096];
    while rustix::io::read(watch, &mut changes).is_ok_and(|length| length > 0) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_one_field_are_alternatives() {
        let id = "f00dfeed".repeat(8);
        let event = Event::now(Kind::Container, "health_status: healthy", id)
            .with("name", "web")
            .with("image", "nginx:1.27")
            .with("tier", "front");
        let passes = |filters: &[&str]| {
            let filters: Vec<Filter> = filters.iter().map(|text| text.parse().unwrap()).collect();
            passes(&filters, &event)
        };
        assert!(passes(&[]) && passes(&["container=web"]) && passes(&["container=f00dfe"]) && passes(&["image=nginx"]));
        assert!(passes(&["container=db", "container=web"]) && !passes(&["container=db"]) && !passes(&["container=we"]));
        assert!(
            passes(&["event=health_status"]) && passes(&["event=health_status: healthy"]) && !passes(&["event=start"])
        );
        assert!(passes(&["label=tier"]) && passes(&["label=tier=front"]) && !passes(&["label=tier=back"]));
        assert!(passes(&["type=container", "image=nginx:1.27"]) && !passes(&["type=image", "image=nginx"]));
        for wrong in ["x", "x=y", "type=pod", "event=", "=start"] {
            assert!(wrong.parse::<Filter>().is_err(), "{wrong}");
        }
    }
}
