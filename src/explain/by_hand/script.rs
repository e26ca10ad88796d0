//! The whole script, from its parts.

use super::outside::{CHANGE_OF_ROOT, NAMESPACES, OUTSIDE, change_of_root, helpers, namespaces};
use super::part::{Part, Surroundings};
use super::payload::{filter_name, load_filter, payload};
use super::place::{Place, group, place};
use super::step::{commands, note};
use crate::container::plan::Plan;
use crate::container::plan::step::Step;
use crate::explain::words::{Language, fill};

/// The script's parts in the order in which they are done.
pub(crate) fn parts(plan: &Plan, around: &Surroundings, language: Language) -> Vec<Part> {
    let mut parts = vec![namespaces(plan, around, language)];
    for step in plan.steps().filter(|step| place(step) == Place::Middle) {
        let name = group(step, around);
        let part = match parts.iter_mut().skip(1).last().filter(|last| name_of(last) == name) {
            Some(last) => last,
            None => {
                let before = parts.iter().filter(|part| name_of(part) == name).count();
                let number = if before == 0 { String::new() } else { format!("_{}", before + 1) };
                parts.push(Part::named(&format!("{name}{number}")));
                match parts.last_mut() {
                    Some(part) => part,
                    None => continue,
                }
            }
        };
        part.add_step(step, language);
        part.why.extend(note(step, language).map(|note| format!("({note})")));
        if let Step::Filter { program, .. } = step {
            part.why.push(format!("({})", language.words().by_hand_filter));
            part.commands.extend(load_filter(filter_name(step), program, language));
        }
        part.commands.extend(commands(step, around));
    }
    parts.extend([payload(plan, around, language), change_of_root(plan, language)]);
    parts.extend(helpers(around, language));
    parts
}

/// Without its number.
fn name_of(part: &Part) -> &str {
    part.name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_')
}

/// The whole script: first its course, then a function for each part.
pub(crate) fn script(parts: &[Part], name: &str, language: Language) -> String {
    let words = language.words();
    let mut text = format!("#!/bin/sh\n# {}\n", fill(words.script_head, &[&name]));
    text += &format!("# {}\nset -eu\nPATH=$PATH:/usr/sbin:/sbin\n", words.script_two);
    let (outside, inside): (Vec<&Part>, Vec<&Part>) =
        parts.iter().partition(|part| OUTSIDE.contains(&part.name.as_str()));
    text += &format!("\n# {}\noutside() {{\n  {NAMESPACES}\n  {CHANGE_OF_ROOT}\n}}\n", words.script_outside);
    text += &format!("\n# {}\ninside() {{\n", words.script_inside);
    for part in inside.iter().filter(|part| !part.commands.is_empty()) {
        text += &format!("  {}\n", part.name);
    }
    text += "}\n";
    // The filter is long, and says nothing to a reader.
    let (short, long): (Vec<&Part>, Vec<&Part>) = inside.into_iter().partition(|part| name_of(part) != "seccomp");
    for part in outside.into_iter().chain(short).chain(long) {
        text.push('\n');
        part.why.iter().for_each(|why| text += &format!("# {why}\n"));
        if part.commands.is_empty() {
            continue;
        }
        text += &format!("{}() {{\n", part.name);
        let mut is_literal = false;
        for line in &part.commands {
            text += if is_literal { "" } else { "  " };
            text += line;
            text.push('\n');
            is_literal = if is_literal { line != "END" } else { line.ends_with("<<END") };
        }
        text += "}\n";
    }
    text + "\n\"${1-outside}\"\n"
}
