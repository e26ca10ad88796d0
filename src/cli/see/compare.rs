//! `compare`: the differences of an image and a container, or of two of the same kind.

use crate::cli::flags::ReportFlags;
use crate::cli::{Context, human, json};
use crate::diag::{Failure, printable};
use crate::explain::compare::{self, Alike, Comparison, Gist, Kinds};
use crate::explain::subject;
use crate::explain::words::{LAYERS, Language, PROCESSES, Words, fill};
use crate::userns;
use clap::Args;
use serde_json::{Map, Value};

#[derive(Args)]
pub(crate) struct CompareArgs {
    #[command(flatten)]
    report: ReportFlags,
    #[arg(value_name = "IMAGE|CONTAINER")]
    one: String,
    #[arg(value_name = "CONTAINER|IMAGE")]
    other: String,
}

impl CompareArgs {
    pub(crate) fn run(self, context: &Context) -> Result<u8, Failure> {
        userns::enter(&context.store)?;
        let store = &context.store;
        let (one, other) = (subject::find(store, &self.one)?, subject::find(store, &self.other)?);
        let comparison = compare::compare(store, [&self.one, &self.other], [&one, &other])?;
        if self.report.json {
            json::print(&comparison)?;
        } else {
            print!("{}", text(&comparison, self.report.language()));
        }
        Ok(0)
    }
}

fn text(comparison: &Comparison, language: Language) -> String {
    match comparison {
        Comparison::ImageAndContainer(kinds) => kinds_text(kinds, language),
        Comparison::Alike(alike) => alike_text(alike, language),
    }
}

fn kinds_text(kinds: &Kinds, language: Language) -> String {
    let words = language.words();
    let mut text = human::sentence(&in_a_sentence(&kinds.gist, language), 0) + "\n\n";
    if !kinds.is_made_from {
        text += &human::sentence(words.not_made_from, 0);
        text += "\n\n";
    }
    text += &section(words.frozen, &kinds.frozen, language);
    text += &section(words.decided, &kinds.decided, language);
    text += &if kinds.while_it_runs.is_empty() {
        format!("{}\n   {}\n", words.while_it_runs, words.it_does_not_run)
    } else {
        section(words.while_it_runs, &kinds.while_it_runs, language)
    };
    text
}

/// "web is nginx's 6 layers, not copied, + 3.2 MB of its own + 2 processes on this machine's kernel."
fn in_a_sentence(gist: &Gist, language: Language) -> String {
    let words = language.words();
    let layers = language.count(gist.layers as u64, LAYERS);
    let is_of = if gist.is_copied { words.gist_copied } else { words.gist_shared };
    let own = human::size(gist.writable_on_disk);
    let mut text = fill(is_of, &[&gist.container, &gist.image, &layers, &own]);
    text += &match gist.processes {
        0 => fill(words.gist_no_process, &[&gist.kernel]),
        some => fill(words.gist_processes, &[&language.count(some as u64, PROCESSES), &gist.kernel]),
    };
    text + &match &gist.kernel_file {
        None => words.gist_no_kernel.into(),
        Some(file) => fill(words.gist_kernel_file, &[&file.display()]),
    }
}

fn alike_text(alike: &Alike, language: Language) -> String {
    let words = language.words();
    let layers = |count: usize| language.count(count as u64, LAYERS);
    let shared = fill(words.shared_by_both, &[&layers(alike.shared.len()), &human::size(alike.shared_on_disk)]);
    let cached = alike.shared_in_page_cache.map(|bytes| fill(words.in_page_cache, &[&human::size(bytes)]));
    let mut text = format!("{shared}{}\n\n", cached.unwrap_or_default());
    for side in &alike.sides {
        let mut lines = vec![fill(words.own_layers, &[&layers(side.layers.len())])];
        lines.extend(side.writable_on_disk.map(|bytes| fill(words.own_writable, &[&human::size(bytes)])));
        let all = human::size(side.private_on_disk);
        text += &format!("{}\n   {}\n", fill(words.private_to, &[&side.name, &all]), lines.join(", "));
        text += &section("", &side.frozen, language);
        text += &section("", &side.decided, language);
        text += &section("", &side.while_it_runs, language);
    }
    text
}

/// Returns a title and one line for each fact.
fn section(title: &str, facts: &Map<String, Value>, language: Language) -> String {
    let words = language.words();
    let name = |key: &str| words.get(key).map_or_else(|| key.replace('_', " "), str::to_owned);
    let mut facts: Vec<(&String, &Value)> = facts.iter().collect();
    facts.sort_by_key(|(key, _)| Words::NAMES.iter().position(|name| name == key).unwrap_or(usize::MAX));
    let width = facts.iter().map(|(key, _)| name(key).chars().count()).max().unwrap_or(0);
    let room = human::width().map_or(usize::MAX, |columns| columns.saturating_sub(width + 6));
    let mut text = if title.is_empty() { String::new() } else { format!("{}\n", human::sentence(title, 0)) };
    for (key, value) in &facts {
        let lines = lines(key, value, language);
        let lines = lines.iter().flat_map(|line| human::wrapped(&printable(line), room.max(20)));
        for (index, line) in lines.enumerate() {
            let name = if index == 0 { name(key) } else { String::new() };
            text += &format!("   {name:<width$}   {line}\n");
        }
    }
    if !facts.is_empty() {
        text.push('\n');
    }
    text
}

fn lines(key: &str, value: &Value, language: Language) -> Vec<String> {
    let words = language.words();
    match value {
        Value::Number(bytes) if key.ends_with("on_disk") || matches!(key, "memory" | "memory_limit" | "shm_size") => {
            vec![human::size(bytes.as_u64().unwrap_or(0))]
        }
        Value::String(text) => vec![text.clone()],
        Value::Bool(true) => vec![words.yes.into()],
        // The words of a command are in one line, the items of a list in one line each.
        Value::Array(list) if matches!(key, "command" | "entrypoint" | "cmd") => {
            vec![Value::Array(list.clone()).to_string()]
        }
        Value::Array(list) => {
            list.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
        }
        Value::Object(map) if key == "namespaces" => {
            let line = |(kind, numbers): (&String, &Value)| match numbers["is_its_own"].as_bool() {
                Some(true) => {
                    format!("{kind:<7}{}   {}", numbers["container"], fill(words.host_has, &[&numbers["host"]]))
                }
                _ => format!("{kind:<7}{}   {}", numbers["container"], words.same_as_host),
            };
            map.iter().map(line).collect()
        }
        Value::Object(map) => map
            .iter()
            .map(|(name, value)| match value {
                Value::String(text) => format!("{name}={text}"),
                // EXPOSE and VOLUME have names without values.
                Value::Object(_) | Value::Null => name.clone(),
                other => format!("{name}={other}"),
            })
            .collect(),
        other => vec![other.to_string()],
    }
}
