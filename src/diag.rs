//! What an error owes its reader: the subject (its `Display`), the cause (its `source` chain), a hint, an exit code.

use std::error::Error;

/// The engine itself failed (Docker's code for it).
pub const ENGINE: u8 = 125;
/// The command was found but cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// The command was not found.
pub const NOT_FOUND: u8 = 127;

/// An error that knows what to tell the user. Printed once, by `cli`, as `error: / cause: / hint:`.
pub trait Diagnose: Error {
    /// What to type or change, where that can be known.
    fn hint(&self) -> Option<String> {
        None
    }

    /// Another process of ours has told the user already.
    fn is_told(&self) -> bool {
        false
    }

    /// Docker's exit code for it.
    fn exit_code(&self) -> u8 {
        ENGINE
    }
}

/// Any error on its way to `cli`.
pub type Failure = Box<dyn Diagnose + Send + Sync>;

impl<E: Diagnose + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Box::new(error)
    }
}

/// An error with its causes, for one that does not end anything.
pub fn in_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}

/// Why it came to an error, for who has named its subject already.
pub fn why(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), in_one_line)
}

/// Prints `error:`, `cause:` and `hint:` lines to standard error.
pub fn report(error: &dyn Diagnose) {
    if error.is_told() {
        return;
    }
    let mut text = format!("error: {error}\n");
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!("cause: {inner}\n");
        cause = inner.source();
    }
    if let Some(hint) = error.hint() {
        for (i, line) in hint.lines().enumerate() {
            text += if i == 0 { "hint:  " } else { "       " };
            text += line;
            text.push('\n');
        }
    }
    eprint!("{text}");
}
