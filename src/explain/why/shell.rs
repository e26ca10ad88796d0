//! Command lines of shells.

use super::naming::{file_name, signal_name};

const SHELLS: [&str; 5] = ["sh", "bash", "ash", "dash", "zsh"];

pub(super) fn is_shell(word: &str) -> bool {
    SHELLS.contains(&file_name(word).as_str())
}

/// Where a shell reads its commands from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ShellInput<'a> {
    /// The text after `-c`.
    Text(&'a str),
    /// A script, by its path.
    Script(&'a str),
    /// Its standard input.
    Input,
}

/// Returns what a shell runs; `None`: the command is not a shell.
pub(super) fn input_of(argv: &[String]) -> Option<ShellInput<'_>> {
    let (shell, rest) = argv.split_first()?;
    // `busybox sh`
    let (shell, rest) = if file_name(shell) == "busybox" { rest.split_first()? } else { (shell, rest) };
    // A log-in shell's name begins with a hyphen.
    if !is_shell(shell.trim_start_matches('-')) {
        return None;
    }
    let mut words = rest.iter();
    let mut has_command = false;
    while let Some(word) = words.next() {
        let is_short = word.starts_with(['-', '+']) && !word.starts_with("--") && word.len() > 1;
        if is_short {
            has_command |= word.starts_with('-') && word.contains('c');
            // `-o pipefail`, also at the end of `-euo pipefail`.
            if word.ends_with(['o', 'O']) {
                words.next();
            }
        } else if !(word.starts_with("--") && word.len() > 2) {
            let word = if word == "--" { words.next()? } else { word };
            return Some(if has_command { ShellInput::Text(word) } else { ShellInput::Script(word) });
        }
    }
    Some(ShellInput::Input)
}

/// Splits a text roughly into simple commands: enough to see which programs it starts.
pub(super) fn commands(text: &str) -> Vec<Vec<&str>> {
    let commands = text.split([';', '&', '|', '\n', '(', ')', '{', '}']);
    let words = commands.map(|command| {
        let is_prefix = |word: &&str| {
            let is_variable = word.split_once('=').is_some_and(|(name, _)| {
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            });
            is_variable || ["exec", "then", "do", "else", "if", "while", "until", "!", "command", "time"].contains(word)
        };
        command.split_whitespace().skip_while(is_prefix).collect::<Vec<_>>()
    });
    words.filter(|words| !words.is_empty()).collect()
}

/// Whether a text contains a loop.
pub(super) fn has_loop(text: &str) -> bool {
    text.split(|c: char| c.is_whitespace() || c == ';').any(|word| ["while", "until", "for"].contains(&word))
}

/// Returns the action of the last `trap` for a signal.
pub(super) fn trap_action(text: &str, signal: i32) -> Option<String> {
    let mut action = None;
    for (at, _) in text.match_indices("trap ") {
        let (before, trap) = text.split_at(at);
        if before.ends_with(|c: char| c.is_alphanumeric() || "_-./'\"".contains(c)) {
            continue;
        }
        let mut words = words(trap.strip_prefix("trap ").unwrap_or(trap));
        if words.first().is_some_and(|word| word == "--") {
            words.remove(0);
        }
        let Some((first, signals)) = words.split_first() else { continue };
        let name = signal_name(signal);
        let is_it = |word: &String| {
            let word = word.trim_end_matches([')', '}']);
            word.eq_ignore_ascii_case(&name)
                || name.strip_prefix("SIG").is_some_and(|short| word.eq_ignore_ascii_case(short))
                || word == signal.to_string()
        };
        if signals.iter().any(is_it) {
            action = Some(first.clone());
        }
    }
    action
}

/// Splits a command into words, honouring quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in text.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => word.get_or_insert_default().push(c),
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if ";&|\n".contains(c) => break,
            None if c.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_shell_was_told() {
        for (argv, expected) in [
            (&["sh", "-c", "a; b"][..], Some(ShellInput::Text("a; b"))),
            (&["/bin/sh", "-ec", "a", "name"], Some(ShellInput::Text("a"))),
            (&["bash", "-euo", "pipefail", "-c", "a"], Some(ShellInput::Text("a"))),
            (&["busybox", "sh", "-e", "-c", "a"], Some(ShellInput::Text("a"))),
            (&["bash", "--norc", "/run.sh", "-c"], Some(ShellInput::Script("/run.sh"))),
            (&["sh", "/entrypoint.sh", "nginx"], Some(ShellInput::Script("/entrypoint.sh"))),
            (&["sh"], Some(ShellInput::Input)),
            (&["-bash", "-l"], Some(ShellInput::Input)),
            (&["nginx", "-c", "/x"], None),
            (&["busybox", "httpd"], None),
            (&[], None),
        ] {
            assert_eq!(input_of(&list(argv)), expected, "{argv:?}");
        }
    }

    #[test]
    fn what_a_trap_does() {
        let action = |text| trap_action(text, libc::SIGTERM);
        assert_eq!(action("trap 'exit 0' TERM; sleep 1").as_deref(), Some("exit 0"));
        assert_eq!(action("trap \"exit 0\" INT SIGTERM\nsleep 1").as_deref(), Some("exit 0"));
        assert_eq!(action("set -e; trap : 15; sleep 1").as_deref(), Some(":"));
        assert_eq!(action("trap '' term").as_deref(), Some(""));
        assert_eq!(action("(trap cleanup TERM)").as_deref(), Some("cleanup"));
        assert_eq!(action("trap 'exit 0' INT; echo TERM"), None);
        assert_eq!(action("echo 'trap x TERM"), None);
        assert_eq!(action("trap"), None);
        assert_eq!(action("trap 'é"), None);
    }

    #[test]
    fn programs_that_a_text_starts() {
        let first = |text| commands(text).into_iter().map(|words| words[0]).collect::<Vec<_>>().join(" ");
        assert_eq!(first("/made/nginx && true"), "/made/nginx true");
        assert_eq!(first("echo nginx"), "echo");
        assert_eq!(first("A=1 exec nginx -t; while true; do sleep 1; done"), "nginx true sleep done");
    }
}
