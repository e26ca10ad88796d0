//! What a command says on standard error: why it failed, and what to know where it goes on.

use crate::container::live::launch::Listener;
use crate::diag::{Diagnose, printable};
use crate::explain::words::{Language, in_current_language};
use std::io::IsTerminal;

/// Prints `error:`, `cause:` and `hint:` lines to standard error, and on a terminal where to read more.
pub(crate) fn report(error: &dyn Diagnose) {
    if error.is_told() {
        return;
    }
    let words = Language::current().words();
    let width = words.label_error.chars().count();
    let mut text = format!("{} {}\n", words.label_error, printable_lines(&in_current_language(&error.to_string())));
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!("{} {}\n", words.label_cause, printable_lines(&in_current_language(&inner.to_string())));
        cause = inner.source();
    }
    if let Some(hint) = error.hint() {
        for (i, line) in hint.lines().enumerate() {
            let label = if i == 0 { words.label_hint } else { "" };
            text += &format!("{label:width$} {}\n", printable(&in_current_language(line)));
        }
    }
    // Only a person asks further; what a program reads stays as it is.
    if let Some(code) = error.code().filter(|_| std::io::stderr().is_terminal()) {
        text += &format!("{:width$} minirun help {}\n", words.label_more, code.text());
    }
    eprint!("{text}");
}

/// Applies [`printable`] to each line; the line breaks are minirun's own.
fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// Prints a note to standard error.
pub(crate) fn note(note: &str) {
    eprintln!("{} {note}", Language::current().words().label_note);
}

/// Prints the notes of a container's start, and nothing else of it.
pub(crate) struct Notes;

impl Listener for Notes {
    fn note(&mut self, note: &str) {
        self::note(note);
    }
}
