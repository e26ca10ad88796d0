//! What an error tells its reader: what failed (its `Display`), the cause (its `source` chain), a hint, an exit code.

use std::borrow::Cow;
use std::error::Error;
use std::sync::OnceLock;

/// The engine itself failed (Docker's code for it).
pub(crate) const ENGINE: u8 = 125;
/// The command was found but cannot be executed.
pub(crate) const NOT_EXECUTABLE: u8 = 126;
/// The command was not found.
pub(crate) const NOT_FOUND: u8 = 127;

macro_rules! error_codes {
    ($($name:ident = $text:literal,)*) => {
        /// The errors that users meet most, each with a page: `minirun help E0101`. A code never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ErrorCode { $($name,)* }

        impl ErrorCode {
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            pub fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The name in the sources.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

error_codes! {
    NoContainer = "E0101",
    NotRunning = "E0102",
    NameTaken = "E0103",
    StillRunning = "E0104",
    ProgramNotFound = "E0105",
    NotExecutable = "E0106",
    PortTaken = "E0107",
    PortPrivileged = "E0108",
    NoTerminal = "E0109",
    NoImage = "E0201",
    ImageInUse = "E0202",
    ManyNames = "E0203",
    PullDenied = "E0301",
    NoManifest = "E0302",
    Limited = "E0303",
    PushDenied = "E0304",
    Unreachable = "E0305",
    Dockerfile = "E0401",
    RunFailed = "E0402",
    NoDockerfile = "E0403",
    UnknownCommand = "E0501",
    UnknownFlag = "E0502",
    ArgumentCount = "E0503",
    NoUserNamespace = "E0601",
    DiskFull = "E0602",
}

/// An error that knows what to tell the user. Printed once, by `cli`, as `error: / cause: / hint:`.
pub trait Diagnose: Error {
    /// The error inside that knows the hint and the exit code; see [`inner_of!`].
    fn inner(&self) -> Option<&dyn Diagnose> {
        None
    }

    /// The command to type or the setting to change next, where one helps.
    fn hint(&self) -> Option<String> {
        self.inner().and_then(Diagnose::hint)
    }

    /// The code of the error's page (`minirun help E0101`), where it has one.
    fn code(&self) -> Option<ErrorCode> {
        self.inner().and_then(Diagnose::code)
    }

    /// Whether another process of minirun has printed the error already.
    fn is_told(&self) -> bool {
        self.inner().is_some_and(Diagnose::is_told)
    }

    /// Docker's exit code for the error.
    fn exit_code(&self) -> u8 {
        self.inner().map_or(ENGINE, Diagnose::exit_code)
    }
}

/// The body of [`Diagnose::inner`]: the variants that hold another error as their only field, and behind a semicolon those
/// that hold it in a field `source`.
macro_rules! inner_of {
    ($error:expr; $($wrapping:ident),* $(; $($with_source:ident),+)?) => {
        match $error {
            $(Self::$wrapping(error) => Some(error),)*
            $($(Self::$with_source { source, .. } => Some(source),)+)?
            _ => None,
        }
    };
}
pub(crate) use inner_of;

/// Any error on its way to `cli`.
pub(crate) type Failure = Box<dyn Diagnose + Send + Sync>;

impl<E: Diagnose + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        Box::new(error)
    }
}

/// Returns an error and its causes in one line, for a note.
pub(crate) fn in_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text += &format!(": {inner}");
        cause = inner.source();
    }
    text
}

/// Whether a character is one of Unicode's bidirectional controls.
fn reorders(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Makes text that a stranger wrote (an image's config, a file name) safe for a terminal: control characters and those that
/// reorder the line (Unicode's bidirectional controls) become escapes such as `\x1b`.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    let is_unsafe = |c: char| c.is_control() || reorders(c);
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match c {
            '\n' => safe += "\\n",
            '\r' => safe += "\\r",
            '\t' => safe += "\\t",
            c if is_unsafe(c) && u32::from(c) < 0x100 => safe += &format!("\\x{:02x}", u32::from(c)),
            c if is_unsafe(c) => safe += &format!("\\u{{{:x}}}", u32::from(c)),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// Removes from a program's output what would change a terminal: escape sequences (ECMA-48), control characters other than
/// tabs and newlines, and characters that reorder the line.
pub(crate) fn without_escapes(text: &str) -> Cow<'_, str> {
    let is_unsafe = |c: char| c != '\t' && c != '\n' && (c.is_control() || reorders(c));
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let kind = if c == '\x1b' { chars.next_if(|c| "[]PX^_".contains(*c)) } else { None };
        match (c, kind) {
            // A control sequence ends with a letter or one of a few signs.
            ('\u{9b}', _) | (_, Some('[')) => while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {},
            // A string, as a window's title, ends with BEL or ST.
            ('\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}', _) | (_, Some(_)) => {
                while let Some(c) = chars.next() {
                    if matches!(c, '\x07' | '\u{9c}') || (c == '\x1b' && chars.next_if_eq(&'\\').is_some()) {
                        break;
                    }
                }
            }
            (c, _) if is_unsafe(c) => {}
            (c, _) => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// Returns the causes of an error without the error itself, or the error if it has none.
pub(crate) fn why(error: &dyn Error) -> String {
    error.source().map_or_else(|| error.to_string(), in_one_line)
}

/// What prints notes; set by `cli`.
static NOTES: OnceLock<fn(&str)> = OnceLock::new();

/// Lets [`note`] print.
pub(crate) fn print_notes_by(print: fn(&str)) {
    let _ = NOTES.set(print);
}

/// Tells the user of something that the command goes on without, such as a damaged file that it has come across.
pub(crate) fn note(text: &str) {
    if let Some(print) = NOTES.get() {
        print(text);
    }
}

#[cfg(test)]
mod tests {
    use super::{printable, without_escapes};

    #[test]
    fn output_changes_no_terminal() {
        for (given, shown) in [
            ("a\tb\n", "a\tb\n"),
            ("\x1b[1;32mgreen\x1b[0m", "green"),
            ("\x1b]0;title\x07after\x1b]8;;x\x1b\\link", "afterlink"),
            ("\x1bcreset\x1b7\x08", "creset7"),
            ("\u{9b}2Jclear\u{9d}0;t\u{9c}x", "clearx"),
            ("a\u{202e}b", "ab"),
            ("cut\x1b[", "cut"),
        ] {
            assert_eq!(without_escapes(given), shown);
        }
    }

    #[test]
    fn what_would_command_a_terminal_is_escaped() {
        for (text, shown) in [
            ("plain, и не только: ☃", "plain, и не только: ☃"),
            ("\u{1b}]0;title\u{7}", r"\x1b]0;title\x07"),
            ("a\nb\tc\rd\u{7f}", r"a\nb\tc\rd\x7f"),
            ("\u{9b}2J", r"\x9b2J"),
            ("gnp\u{202e}exe", r"gnp\u{202e}exe"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }
}
