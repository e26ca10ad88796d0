//! `stats`: what containers use, as a table that is drawn again and again.

use crate::cli::format::Format;
use crate::cli::listing::{Fields, Listing, Row};
use crate::cli::{Context, human};
use crate::container::live::usage::{Survey, Usage};
use crate::container::stored::record::{Container, State};
use crate::diag::Failure;
use clap::Args;
use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

#[derive(Args)]
pub(crate) struct StatsArgs {
    /// Show containers that do not run, too
    #[arg(short, long)]
    all: bool,
    /// Print one result and end
    #[arg(long)]
    no_stream: bool,
    /// Do not shorten IDs
    #[arg(long)]
    no_trunc: bool,
    /// Set how many seconds lie between two results
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,
    /// Print through a template: json, '{{.Name}} {{.CPUPerc}}', 'table {{.Name}}\t{{.MemUsage}}'
    #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: Format,
    #[arg(value_name = "CONTAINER")]
    containers: Vec<String>,
}

/// Each field's name in templates and its heading.
const FIELDS: Fields = &[
    ("Container", "CONTAINER"),
    ("ID", "CONTAINER ID"),
    ("Name", "NAME"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
];

const UNCOUNTED: &str = "note: no control group counts for some of these; theirs is the sum of their processes";

pub(super) fn stats(arguments: &StatsArgs, context: &Context) -> Result<u8, Failure> {
    let redraws = arguments.format == Format::Default && !arguments.no_stream && std::io::stdout().is_terminal();
    let interval = Duration::from_secs(arguments.interval);
    let mut before = HashMap::new();
    let mut is_noted = false;
    let columns = FIELDS.iter().map(|(field, _)| *field).filter(|field| *field != "Container");
    let listing = Listing::new(FIELDS, columns.collect(), &arguments.format)?;
    if arguments.no_stream {
        // Processor time is a difference.
        look(arguments, context, &mut before)?;
        std::thread::sleep(interval);
    }
    if redraws {
        print!("\x1b[2J");
    }
    loop {
        let (rows, is_counted) = look(arguments, context, &mut before)?;
        let text = listing.text(&rows)?;
        if redraws {
            let note = if is_counted { String::new() } else { format!("\n{}\n", human::sentence(UNCOUNTED, 0)) };
            let lines = text.lines().chain(note.lines()).map(|line| format!("{line}\x1b[K\n"));
            print!("\x1b[H{}\x1b[J", lines.collect::<String>());
        } else {
            print!("{text}");
            if !is_counted && !is_noted {
                eprintln!("{UNCOUNTED}");
                is_noted = true;
            }
        }
        let is_read = std::io::stdout().flush().is_ok();
        if arguments.no_stream || !is_read {
            return Ok(0);
        }
        std::thread::sleep(interval);
    }
}

/// Processor time in microseconds at a moment, by the first process of a container.
type Before = HashMap<(i32, u64), (Instant, u64)>;

/// Looks at all containers once. Returns their rows, and whether control groups counted for all that run.
fn look(arguments: &StatsArgs, context: &Context, before: &mut Before) -> Result<(Vec<Row>, bool), Failure> {
    let store = &context.store;
    let mut containers = match &arguments.containers[..] {
        [] if arguments.all => Container::all(store),
        [] => Container::running(store),
        names => names.iter().map(|name| Container::find(store, name)).collect::<Result<_, _>>()?,
    };
    if arguments.containers.is_empty() {
        containers.sort_by(|a, b| b.record.created.cmp(&a.record.created));
    }
    let survey = Survey::new();
    let (mut is_counted, mut now, mut rows) = (true, HashMap::new(), Vec::new());
    for (index, container) in containers.iter().enumerate() {
        let state = container.state();
        let usage = Usage::of(&state, &container.record.request, &survey);
        is_counted &= usage.is_none_or(|usage| usage.is_counted);
        let share = usage.map_or(Some(0.0), |usage| share_of_processor(&state, &usage, before, &mut now));
        let shown = if arguments.no_trunc { container.record.id.as_str() } else { container.short_id() };
        let typed = arguments.containers.get(index).map_or(shown, String::as_str);
        let mut row = cells(&usage.unwrap_or_default(), share);
        for (field, value) in [("ID", shown), ("Container", typed), ("Name", &container.record.name)] {
            row.set(field, value);
        }
        rows.push(row);
    }
    *before = now;
    Ok((rows, is_counted))
}

/// Returns the processor time since the last look in percent of one processor. `None`: this is the first look.
fn share_of_processor(state: &State, usage: &Usage, before: &Before, now: &mut Before) -> Option<f64> {
    let key = (state.pid, state.pid_started);
    let at = Instant::now();
    now.insert(key, (at, usage.processor));
    let (then, used) = before.get(&key)?;
    let passed = at.duration_since(*then).as_micros() as f64;
    Some(usage.processor.saturating_sub(*used) as f64 / passed.max(1.0) * 100.0)
}

fn cells(usage: &Usage, share: Option<f64>) -> Row {
    let pair = |first: u64, second: u64| format!("{} / {}", human::size(first), human::size(second));
    let percent = |part: f64| format!("{part:.2}%");
    let of_limit = if usage.memory_limit > 0 { usage.memory as f64 / usage.memory_limit as f64 * 100.0 } else { 0.0 };
    let cells = [
        ("CPUPerc", share.map_or_else(|| "--".into(), percent)),
        ("MemUsage", format!("{} / {}", human::binary_size(usage.memory), human::binary_size(usage.memory_limit))),
        ("MemPerc", percent(of_limit)),
        ("NetIO", pair(usage.received, usage.sent)),
        ("BlockIO", pair(usage.read, usage.written)),
        ("PIDs", usage.threads.to_string()),
    ];
    let mut row = Row::default();
    cells.into_iter().for_each(|(field, value)| row.set(field, value));
    row
}
