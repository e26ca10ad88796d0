//! The documents' examples: every command is typed as it stands, and must print what stands below it.

use crate::common::{self, Sandbox, finish};
use std::fs;
use std::path::{Path, PathBuf};

/// A command of a document, and what it should print; `…` is anything.
struct Example {
    line: usize,
    command: String,
    printed: Vec<String>,
}

fn examples(document: &Path) -> Vec<Example> {
    let text = fs::read_to_string(document).unwrap_or_else(|error| panic!("{}: {error}", document.display()));
    let mut found: Vec<Example> = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if !inside => {}
            _ => match line.strip_prefix("$ ") {
                Some(command) => {
                    found.push(Example { line: index + 1, command: command.to_owned(), printed: Vec::new() });
                }
                None => found.last_mut().expect("a command comes first").printed.push(line.to_owned()),
            },
        }
    }
    found
}

/// Whether a line is as the document has it; blanks count as one, since columns are as wide as what is in them.
fn is_like(line: &str, pattern: &str) -> bool {
    let one_blank = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, pattern) = (one_blank(line), one_blank(pattern));
    let mut rest = line.as_str();
    let parts: Vec<&str> = pattern.split('…').collect();
    for (index, part) in parts.iter().enumerate() {
        let at = if index == 0 { rest.starts_with(part).then_some(0) } else { rest.find(part.trim_start()) };
        match at {
            Some(at) => rest = &rest[at + if index == 0 { part.len() } else { part.trim_start().len() }..],
            None => return false,
        }
    }
    rest.is_empty() || parts.last().is_some_and(|last| last.is_empty())
}

/// Whether all lines are as the document has them; a line of `…` alone is any number of lines.
fn are_like(lines: &[&str], patterns: &[String]) -> bool {
    match patterns.split_first() {
        None => lines.is_empty(),
        Some((any, rest)) if any == "…" => (0..=lines.len()).any(|skipped| are_like(&lines[skipped..], rest)),
        Some((pattern, rest)) => {
            lines.split_first().is_some_and(|(line, others)| is_like(line, pattern) && are_like(others, rest))
        }
    }
}

#[test]
fn every_example_prints_what_the_document_says() {
    for document in
        ["docs/image-and-container.md", "docs/volumes.md", "docs/networks.md", "docs/compose.md", "README.md"]
    {
        type_all(&common::recipe(&format!("../{document}")));
    }
}

fn type_all(document: &Path) {
    let sandbox = Sandbox::with_alpine();
    let programs = PathBuf::from(Sandbox::binary()).parent().unwrap().to_owned();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    for example in examples(document) {
        let mut shell = sandbox.other("sh");
        let said = finish(shell.args(["-c", &example.command]).env("PATH", &path));
        let place = format!("{}:{}: {}", document.display(), example.line, example.command);
        assert_eq!(said.code, 0, "{place}\n{}", said.streams());
        let lines: Vec<&str> = said.stdout.trim_end().lines().collect();
        let patterns: Vec<String> = match example.printed.iter().rposition(|line| !line.is_empty()) {
            Some(last) => example.printed[..=last].to_vec(),
            None => Vec::new(),
        };
        assert!(
            are_like(&lines, &patterns),
            "{place}\nprinted:\n{}\nin the document:\n{}",
            said.stdout,
            patterns.join("\n")
        );
    }
}

#[test]
fn the_reader_of_examples_sees_differences() {
    assert!(is_like("a  b 12 c", "a b … c") && is_like("sha256:12", "sha256:…") && !is_like("a b", "a c"));
    assert!(!is_like("a b c", "a b") && !is_like("", "a"));
    let patterns = ["a", "…", "d"].map(str::to_owned);
    assert!(are_like(&["a", "b", "d"], &patterns) && are_like(&["a", "d"], &patterns));
    assert!(!are_like(&["a", "b"], &patterns) && !are_like(&["a", "d", "e"], &patterns));
}
