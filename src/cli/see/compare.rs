//! `compare`: an image and a container told apart, or two of a kind.

use super::super::{Context, human};
use super::Telling;
use crate::diag::Failure;
use crate::explain::compare::{self, Alike, Comparison};
use crate::explain::subject;
use crate::explain::words::{LAYERS, Language, Words, fill};
use crate::userns;
use clap::Args;
use serde_json::{Map, Value};

#[derive(Args)]
pub struct CompareArgs {
    #[command(flatten)]
    telling: Telling,
    #[arg(value_name = "IMAGE|CONTAINER")]
    one: String,
    #[arg(value_name = "CONTAINER|IMAGE")]
    other: String,
}

impl CompareArgs {
    pub fn run(self, context: &Context) -> Result<u8, Failure> {
        userns::enter(&context.store)?;
        let store = &context.store;
        let (one, other) = (subject::find(store, &self.one)?, subject::find(store, &self.other)?);
        let comparison = compare::compare(store, [&self.one, &self.other], [&one, &other])?;
        if self.telling.json {
            super::print_json(&comparison)?;
        } else {
            print!("{}", told(&comparison, self.telling.speech.language()));
        }
        Ok(0)
    }
}

fn told(comparison: &Comparison, language: Language) -> String {
    let words = language.words();
    match comparison {
        Comparison::Kinds { is_made_from, frozen, decided, while_it_runs } => {
            let mut text = String::new();
            if !is_made_from {
                text += words.not_made_from;
                text += "\n\n";
            }
            text += &section(words.frozen, frozen, language);
            text += &section(words.decided, decided, language);
            text += &if while_it_runs.is_empty() {
                format!("{}\n   {}\n", words.while_it_runs, words.it_does_not_run)
            } else {
                section(words.while_it_runs, while_it_runs, language)
            };
            text
        }
        Comparison::Alike(alike) => told_alike(alike, language),
    }
}

fn told_alike(alike: &Alike, language: Language) -> String {
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
        text += &section("", &side.decided, language);
        text += &section("", &side.while_it_runs, language);
    }
    text
}

/// A title, and below it each fact with its name in front.
fn section(title: &str, facts: &Map<String, Value>, language: Language) -> String {
    let words = language.words();
    let name = |key: &str| words.get(key).unwrap_or("?").to_owned();
    let mut facts: Vec<(&String, &Value)> = facts.iter().collect();
    facts.sort_by_key(|(key, _)| Words::NAMES.iter().position(|name| name == key));
    let width = facts.iter().map(|(key, _)| key).map(|key| name(key).chars().count()).max().unwrap_or(0);
    let mut text = if title.is_empty() { String::new() } else { format!("{title}\n") };
    for (key, value) in &facts {
        for (index, line) in lines(key, value, language).into_iter().enumerate() {
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
        Value::Number(bytes) if key.ends_with("on_disk") || matches!(key, "memory" | "bytes_written") => {
            vec![human::size(bytes.as_u64().unwrap_or(0))]
        }
        Value::String(text) => vec![text.clone()],
        Value::Bool(true) => vec![words.yes.into()],
        // The words of a command stand in one line, of a list one below the other.
        Value::Array(list) if matches!(key, "command" | "entrypoint" | "cmd") => {
            vec![Value::Array(list.clone()).to_string()]
        }
        Value::Array(list) => {
            list.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
        }
        Value::Object(map) if key == "namespaces" => {
            let line = |(kind, numbers): (&String, &Value)| match numbers["isItsOwn"].as_bool() {
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
                _ => name.clone(),
            })
            .collect(),
        other => vec![other.to_string()],
    }
}
