//! A tree becomes YAML, with keys in order.

use super::read::{Map, Node, Value};

/// The first keys of a file; the others follow in order.
const FIRST: [&str; 6] = ["name", "services", "networks", "volumes", "secrets", "configs"];

/// Returns a document as YAML.
pub(crate) fn yaml(node: &Node) -> String {
    let mut out = String::new();
    block(node, 0, &mut out, &FIRST);
    out
}

fn block(node: &Node, indent: usize, out: &mut String, first: &[&str]) {
    match &node.value {
        Value::Map(map) => {
            for (key, node) in sorted(map, first) {
                out.push_str(&" ".repeat(indent));
                out.push_str(&scalar(key));
                out.push(':');
                value(node, indent, out);
            }
        }
        Value::List(list) => {
            for node in list {
                out.push_str(&" ".repeat(indent));
                out.push('-');
                match &node.value {
                    Value::Map(map) if !map.is_empty() => {
                        let mut inner = String::new();
                        block(node, indent + 2, &mut inner, &[]);
                        out.push(' ');
                        out.push_str(inner.trim_start());
                    }
                    _ => value(node, indent + 2, out),
                }
            }
        }
        _ => value(node, indent, out),
    }
}

fn value(node: &Node, indent: usize, out: &mut String) {
    match &node.value {
        Value::Map(map) if map.is_empty() => out.push_str(" {}\n"),
        Value::List(list) if list.is_empty() => out.push_str(" []\n"),
        Value::Map(_) | Value::List(_) => {
            out.push('\n');
            block(node, indent + 2, out, &[]);
        }
        Value::Null => out.push_str(" null\n"),
        Value::Bool(set) => out.push_str(if *set { " true\n" } else { " false\n" }),
        Value::Number(number) => out.push_str(&format!(" {number}\n")),
        Value::Text(text) if is_block(text) => {
            let keep = if text.ends_with('\n') { "" } else { "-" };
            out.push_str(&format!(" |{keep}\n"));
            for line in text.lines() {
                let blanks = if line.is_empty() { 0 } else { indent + 2 };
                out.push_str(&format!("{:blanks$}{line}\n", ""));
            }
        }
        Value::Text(text) => out.push_str(&format!(" {}\n", scalar(text))),
    }
}

/// Whether a text of several lines can stand as a literal block.
fn is_block(text: &str) -> bool {
    text.contains('\n')
        && !text.starts_with([' ', '\n'])
        && !text.ends_with("\n\n")
        && !text.chars().any(|c| c.is_control() && c != '\n')
}

fn sorted<'a>(map: &'a Map, first: &[&str]) -> Vec<(&'a String, &'a Node)> {
    let mut entries: Vec<_> = map.iter().map(|(key, entry)| (key, &entry.node)).collect();
    let rank = |key: &str| first.iter().position(|known| *known == key).unwrap_or(first.len());
    entries.sort_by(|a, b| (rank(a.0), a.0).cmp(&(rank(b.0), b.0)));
    entries
}

/// Writes a text so that it is read as a text again.
fn scalar(text: &str) -> String {
    const WORDS: [&str; 11] = ["", "~", "null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    let is_word = WORDS.contains(&text.to_ascii_lowercase().as_str());
    let first = |c: char| "-?:,[]{}#&*!|>'\"%@`<=.0123456789+ ".contains(c);
    let begins_otherwise = text.starts_with(first) && !is_plain_start(text);
    let has_sign = text.contains(": ") || text.contains(" #") || text.ends_with([' ', ':']);
    let looks_plain = !is_word && !begins_otherwise && !has_sign && !text.chars().any(char::is_control);
    if looks_plain { text.to_owned() } else { serde_json::to_string(text).unwrap_or_default() }
}

/// Whether a text that begins with a sign or a digit is still no number, no list and no flow.
fn is_plain_start(text: &str) -> bool {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some('.'), Some('/' | '.')) => true,
        (Some('-' | ':' | '?'), Some(second)) => !second.is_whitespace() && !second.is_ascii_digit() && second != '.',
        (Some(c), _) if c.is_ascii_digit() => {
            // A time in sixty parts or a date is one for older readers.
            text.contains(|c: char| c.is_ascii_alphabetic() || c == '/')
                && text.parse::<f64>().is_err()
                && !text.contains(':')
        }
        _ => false,
    }
}
