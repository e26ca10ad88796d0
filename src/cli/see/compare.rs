//! `compare`: the differences of an image and a container, or of two of the same kind.

use crate::cli::flags::ReportFlags;
use crate::cli::{Context, human, inside, json};
use crate::diag::{Failure, printable};
use crate::explain::compare::{Comparison, Fact, Facts, ImageAndContainer, Pair, Summary, compare};
use crate::explain::layers::subject;
use crate::explain::words::{LAYERS, Language, PROCESSES, fill};
use clap::Args;
use serde_json::Value;

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
        inside::enter(&context.store)?;
        let store = &context.store;
        let (one, other) = (subject::find(store, &self.one)?, subject::find(store, &self.other)?);
        let comparison = compare(store, [&self.one, &self.other], [&one, &other])?;
        if self.report.json {
            json::print(&comparison)?;
        } else {
            print!("{}", text(&comparison, Language::current()));
        }
        Ok(0)
    }
}

fn text(comparison: &Comparison, language: Language) -> String {
    match comparison {
        Comparison::ImageAndContainer(facts) => facts_text(facts, language),
        Comparison::Alike(pair) => pair_text(pair, language),
    }
}

fn facts_text(facts: &ImageAndContainer, language: Language) -> String {
    let words = language.words();
    let mut text = human::sentence(&in_a_sentence(&facts.gist, language), 0) + "\n\n";
    if !facts.is_made_from {
        text += &human::sentence(words.not_made_from, 0);
        text += "\n\n";
    }
    text += &section(words.frozen, &facts.frozen, language);
    text += &section(words.decided, &facts.decided, language);
    text += &if facts.while_it_runs.is_empty() {
        format!("{}\n   {}\n", words.while_it_runs, words.it_does_not_run)
    } else {
        section(words.while_it_runs, &facts.while_it_runs, language)
    };
    text
}

/// "web is nginx's 6 layers, not copied, + 3.2 MB of its own + 2 processes on this machine's kernel."
fn in_a_sentence(summary: &Summary, language: Language) -> String {
    let words = language.words();
    let layers = language.count(summary.layers as u64, LAYERS);
    let is_of = if summary.is_copied { words.gist_copied } else { words.gist_shared };
    let own = human::size(summary.writable_on_disk);
    let mut text = fill(is_of, &[&summary.container, &summary.image, &layers, &own]);
    text += &match summary.processes {
        0 => fill(words.gist_no_process, &[&summary.kernel]),
        some => fill(words.gist_processes, &[&language.count(some as u64, PROCESSES), &summary.kernel]),
    };
    text + &match &summary.kernel_file {
        None => words.gist_no_kernel.into(),
        Some(file) => fill(words.gist_kernel_file, &[&file.display()]),
    }
}

fn pair_text(pair: &Pair, language: Language) -> String {
    let words = language.words();
    let layers = |count: usize| language.count(count as u64, LAYERS);
    let shared = fill(words.shared_by_both, &[&layers(pair.shared.len()), &human::size(pair.shared_on_disk)]);
    let cached = pair.shared_in_page_cache.map(|bytes| fill(words.in_page_cache, &[&human::size(bytes)]));
    let mut text = format!("{shared}{}\n\n", cached.unwrap_or_default());
    for side in &pair.sides {
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
fn section(title: &str, facts: &Facts, language: Language) -> String {
    let words = language.words();
    let width = facts.keys().map(|fact| fact.text(words).chars().count()).max().unwrap_or(0);
    let room = human::width().map_or(usize::MAX, |columns| columns.saturating_sub(width + 6));
    let mut text = if title.is_empty() { String::new() } else { format!("{}\n", human::sentence(title, 0)) };
    for (fact, value) in facts {
        let lines = lines(*fact, value, language);
        let lines = lines.iter().flat_map(|line| human::wrapped(&printable(line), room.max(20)));
        for (index, line) in lines.enumerate() {
            let name = if index == 0 { fact.text(words) } else { "" };
            text += &format!("   {name:<width$}   {line}\n");
        }
    }
    if !facts.is_empty() {
        text.push('\n');
    }
    text
}

fn lines(fact: Fact, value: &Value, language: Language) -> Vec<String> {
    let words = language.words();
    match value {
        Value::Number(bytes) if fact.is_size() => {
            vec![human::size(bytes.as_u64().unwrap_or(0))]
        }
        Value::String(text) => vec![text.clone()],
        Value::Bool(true) => vec![words.yes.into()],
        // The words of a command are in one line, the items of a list in one line each.
        Value::Array(list) if matches!(fact, Fact::Command | Fact::Entrypoint | Fact::Cmd) => {
            vec![Value::Array(list.clone()).to_string()]
        }
        Value::Array(list) => {
            list.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect()
        }
        Value::Object(map) if fact == Fact::Namespaces => {
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
