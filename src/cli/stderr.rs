//! What a command says on standard error: why it failed, and what to know where it goes on.

use crate::container::live::launch::Listener;
use crate::diag::{Diagnose, printable};

/// Prints `error:`, `cause:` and `hint:` lines to standard error.
pub(crate) fn report(error: &dyn Diagnose) {
    if error.is_told() {
        return;
    }
    let mut text = format!("error: {}\n", printable_lines(&error.to_string()));
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!("cause: {}\n", printable_lines(&inner.to_string()));
        cause = inner.source();
    }
    if let Some(hint) = error.hint() {
        for (i, line) in hint.lines().enumerate() {
            text += if i == 0 { "hint:  " } else { "       " };
            text += &printable(line);
            text.push('\n');
        }
    }
    eprint!("{text}");
}

/// Applies [`printable`] to each line; the line breaks are minirun's own.
fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

/// Prints a note to standard error.
pub(crate) fn note(note: &str) {
    eprintln!("note: {note}");
}

/// Prints the notes of a container's start, and nothing else of it.
pub(crate) struct Notes;

impl Listener for Notes {
    fn note(&mut self, note: &str) {
        self::note(note);
    }
}
