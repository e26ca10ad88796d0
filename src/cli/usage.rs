//! What was typed wrong: commands, flags and arguments that do not exist or are missing, met with what to type instead.

use super::help::examples;
use super::peers;
use crate::diag::{Diagnose, ErrorCode, Failure};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command};
use std::ffi::OsString;

#[derive(Debug, thiserror::Error)]
pub(super) enum UsageError {
    #[error("unknown command: minirun {typed}")]
    Command { typed: String, advice: String },
    #[error("unknown flag: {flag}")]
    Flag { flag: String, advice: String },
    #[error("\"minirun {path}\" {rule}{}", unexpected.as_ref().map(|word| format!(": unexpected {word:?}")).unwrap_or_default())]
    Count { path: String, rule: String, unexpected: Option<String>, usage: String },
}

impl Diagnose for UsageError {
    fn code(&self) -> Option<ErrorCode> {
        Some(match self {
            Self::Command { .. } => ErrorCode::UnknownCommand,
            Self::Flag { .. } => ErrorCode::UnknownFlag,
            Self::Count { .. } => ErrorCode::ArgumentCount,
        })
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Command { advice, .. } | Self::Flag { advice, .. } => advice.clone(),
            Self::Count { path, usage, .. } => {
                let example = examples(path).first().map(|line| format!("\nfor example: {line}"));
                format!("{usage}{}", example.unwrap_or_default())
            }
        })
    }
}

/// Returns what was typed wrong. `None`: clap's own words say it.
pub(super) fn mistake(error: &clap::Error, tree: &Command, words: &[OsString]) -> Option<UsageError> {
    let (path, command) = typed_command(tree, words);
    let typed = match error.get(ContextKind::InvalidArg).or_else(|| error.get(ContextKind::InvalidSubcommand)) {
        Some(ContextValue::String(word)) => word.as_str(),
        Some(ContextValue::Strings(words)) => words.first().map_or("", String::as_str),
        _ => "",
    };
    match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let typed = [&path[..], &[typed]].concat().join(" ");
            let advice = advice_for_command(tree, &typed);
            Some(UsageError::Command { typed, advice })
        }
        ErrorKind::UnknownArgument if typed.starts_with('-') => {
            let flag = typed.split(' ').next().unwrap_or(typed).to_owned();
            let advice = advice_for_flag(command, &path.join(" "), &flag, words);
            Some(UsageError::Flag { flag, advice })
        }
        ErrorKind::UnknownArgument => Some(count(command, &path, Some(typed.to_owned()))),
        ErrorKind::MissingRequiredArgument | ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues
            if !typed.starts_with('-') =>
        {
            Some(count(command, &path, None))
        }
        _ => None,
    }
}

/// Refuses the name of a command that does not exist.
pub(super) fn check_command(tree: &Command, words: &[&str]) -> Result<(), Failure> {
    let mut command = tree;
    for word in words {
        command = command.find_subcommand(word).ok_or_else(|| {
            let typed = words.join(" ");
            let advice = advice_for_command(tree, &typed);
            UsageError::Command { typed, advice }
        })?;
    }
    Ok(())
}

/// Returns the command that a command line names, as far as it exists, with its words.
pub(super) fn typed_command<'a>(tree: &'a Command, words: &[OsString]) -> (Vec<&'a str>, &'a Command) {
    let (mut path, mut command) = (Vec::new(), tree);
    let mut words = words.iter().skip(1).filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        if word.starts_with('-') {
            let takes_value = |arg: &Arg| arg.get_long() == word.strip_prefix("--") && arg.get_action().takes_values();
            if command.get_arguments().any(takes_value) {
                words.next();
            }
            continue;
        }
        let Some(found) = command.find_subcommand(word) else { break };
        path.push(found.get_name());
        command = found;
    }
    (path, command)
}

fn find<'a>(tree: &'a Command, name: &str) -> Option<&'a Command> {
    name.split(' ').try_fold(tree, |command, word| command.find_subcommand(word))
}

fn advice_for_command(tree: &Command, typed: &str) -> String {
    if let Some(advice) = peers::advice_for_command(typed) {
        return advice.to_owned();
    }
    let known = peers::peers().find(|peer| peer.names.contains(&typed));
    let here = known.and_then(|peer| peer.names.into_iter().find(|name| find(tree, name).is_some()));
    if let Some(name) = here {
        return format!("here it is: minirun {name}");
    }
    let (group, word) = typed.rsplit_once(' ').map_or((None, typed), |(group, word)| (Some(group), word));
    let beside = group.and_then(|group| find(tree, group)).unwrap_or(tree);
    let names = beside.get_subcommands().filter(|command| !command.is_hide_set()).map(Command::get_name);
    let group = group.map(|group| format!("{group} ")).unwrap_or_default();
    match nearest(word, names) {
        Some(name) => format!("did you mean: minirun {group}{name}"),
        None => format!("list the commands: minirun help {group}").trim_end().to_owned(),
    }
}

fn advice_for_flag(command: &Command, path: &str, flag: &str, words: &[OsString]) -> String {
    let longs = || command.get_arguments().filter(|arg| !arg.is_hide_set()).filter_map(Arg::get_long);
    let list = || match path {
        "" => "list the flags: minirun --help".to_owned(),
        path => format!("list the flags: minirun {path} --help"),
    };
    let Some(long) = flag.strip_prefix("--") else {
        // `-rm` is read as `-r -m`.
        let typed = words.iter().filter_map(|word| word.to_str()?.strip_prefix('-'));
        let meant = typed.filter(|word| word.len() > 1).find(|word| longs().any(|long| long == *word));
        let known = peers::peers().filter(|peer| peer.names.contains(&path)).flat_map(|peer| peer.flags);
        let known =
            known.filter(|known| known.short.is_some() && known.short == flag.chars().nth(1)).map(|known| known.long);
        return match (meant, known.into_iter().next()) {
            (Some(word), _) => format!("did you mean: --{word}"),
            (None, Some(long)) => advice_for_known(path, long),
            (None, None) => list(),
        };
    };
    let is_known =
        peers::peers().filter(|peer| peer.names.contains(&path)).any(|peer| peer.flags.iter().any(|f| f.long == long));
    if is_known {
        return advice_for_known(path, long);
    }
    match nearest(long, longs()) {
        Some(long) => format!("did you mean: --{long}"),
        None => list(),
    }
}

fn advice_for_known(path: &str, long: &str) -> String {
    let named = peers::peers().filter(|peer| peer.names.contains(&path));
    let owner = named.into_iter().find(|peer| peer.flags.iter().any(|flag| flag.long == long));
    let canonical = owner.as_ref().and_then(|peer| peer.names.first()).copied().unwrap_or(path);
    match (peers::advice_for_flag(canonical, long), owner.map(|peer| peer.who)) {
        (Some(advice), _) => advice.to_owned(),
        (None, Some("podman")) => format!("Podman's {canonical} has --{long}; minirun does not"),
        (None, _) => format!("Docker's {canonical} has --{long}; minirun does not"),
    }
}

/// Returns the name that a word may be a slip of.
fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = if word.len() < 5 { 1 } else { 2 };
    let near = names.map(|name| (strsim::damerau_levenshtein(word, name), name));
    near.filter(|(distance, _)| *distance <= limit).min_by_key(|(distance, _)| *distance).map(|(_, name)| name)
}

/// Says how many arguments a command takes, in Docker's words.
fn count(command: &Command, path: &[&str], unexpected: Option<String>) -> UsageError {
    let (mut least, mut most) = (0, Some(0usize));
    for arg in command.get_positionals() {
        let range = arg.get_num_args().unwrap_or_else(|| 1.into());
        let repeats = matches!(arg.get_action(), ArgAction::Append) && range.max_values() > 1;
        least += if arg.is_required_set() { range.min_values().max(1) } else { 0 };
        let many = if repeats || range.max_values() == usize::MAX { None } else { Some(range.max_values()) };
        most = most.zip(many).map(|(sum, more)| sum.saturating_add(more));
    }
    // What is required only in the absence of other arguments is missing nevertheless.
    if unexpected.is_none() {
        least = least.max(1);
    }
    let arguments = |number: usize| format!("{number} argument{}", if number == 1 { "" } else { "s" });
    let rule = match (least, most) {
        (_, Some(0)) => "accepts no arguments".to_owned(),
        (least, Some(most)) if least == most => format!("requires exactly {}", arguments(most)),
        (0, Some(most)) => format!("accepts at most {}", arguments(most)),
        (least, Some(most)) => format!("requires at least {least} and at most {}", arguments(most)),
        (least, None) => format!("requires at least {}", arguments(least)),
    };
    let usage = command.clone().render_usage().to_string();
    let usage = usage.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    UsageError::Count { path: path.join(" "), rule, unexpected, usage }
}
