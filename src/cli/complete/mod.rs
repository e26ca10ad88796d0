//! What can come next on a command line, for the shells: `complete-words minirun stop w` prints the running containers whose names
//! begin with `w`. The shells' scripts are a few lines that call it, so all know the same.

mod candidate;
mod live;

use candidate::{Candidate, FILES};
use clap::builder::PossibleValue;
use clap::{Arg, Args, Command};
use live::Names;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct CompleteWords {
    /// The words so far; the last one is being typed, and may be empty
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

impl CompleteWords {
    /// Prints a line for each candidate: the word, a tab, what it is.
    pub(super) fn run(self, tree: &Command) -> u8 {
        let mut text = String::new();
        for Candidate { word, about } in candidates(tree, &self.words) {
            text += &format!("{word}\t{about}\n");
        }
        // A shell that no longer listens needs no words.
        let _ = std::io::stdout().write_all(text.as_bytes());
        0
    }
}

/// The scripts that connect the shells to `complete-words`.
pub(super) const BASH: &str = include_str!("bash.sh");
pub(super) const ZSH: &str = include_str!("zsh.sh");
pub(super) const FISH: &str = include_str!("minirun.fish");

/// Where the word that is being typed stands.
struct Cursor<'a> {
    tree: &'a Command,
    command: &'a Command,
    /// The option whose value it is.
    option: Option<&'a Arg>,
    /// How many arguments stand before it.
    arguments: usize,
    /// Whether `--` stands before it.
    is_past_options: bool,
    root: Option<PathBuf>,
}

fn candidates(tree: &Command, words: &[String]) -> Vec<Candidate> {
    let Some((word, before)) = words.split_last() else { return Vec::new() };
    let cursor = cursor(tree, before);
    let names = Names { root: cursor.root.as_deref(), command: cursor.command.get_name() };
    let mut found = match (cursor.option, word.split_once('=')) {
        (Some(option), _) => values(option, &names),
        (None, Some((flag, _))) if flag.starts_with("--") && !cursor.is_past_options => {
            let option =
                flag.strip_prefix("--").and_then(|long| option(cursor.command, |arg| arg.get_long() == Some(long)));
            let values = option.map(|option| values(option, &names)).unwrap_or_default();
            values.into_iter().map(|value| Candidate { word: format!("{flag}={}", value.word), ..value }).collect()
        }
        (None, _) if word.starts_with('-') && !cursor.is_past_options && !is_inside(&cursor) => options(cursor.command),
        (None, _) => arguments(&cursor, &names),
    };
    found.retain(|candidate| candidate.word == FILES || candidate.word.starts_with(word.as_str()));
    found
}

fn cursor<'a>(tree: &'a Command, before: &[String]) -> Cursor<'a> {
    let mut cursor = Cursor { tree, command: tree, option: None, arguments: 0, is_past_options: false, root: None };
    for word in before.iter().skip(1) {
        if let Some(option) = cursor.option.take() {
            if option.get_id() == "root" {
                cursor.root = Some(Path::new(word).to_owned());
            }
        } else if cursor.is_past_options || is_inside(&cursor) || !word.starts_with('-') || word == "-" {
            let is_first = cursor.arguments == 0 && !cursor.is_past_options;
            match cursor.command.find_subcommand(word).filter(|_| is_first) {
                Some(command) => cursor.command = command,
                None => cursor.arguments += 1,
            }
        } else if word == "--" {
            cursor.is_past_options = true;
        } else {
            cursor.option = awaiting(cursor.command, word);
        }
    }
    cursor
}

/// Whether the word belongs to the command in a container, as in `run alpine ls -l`.
fn is_inside(cursor: &Cursor) -> bool {
    cursor.arguments > 0 && cursor.command.get_positionals().any(Arg::is_trailing_var_arg_set)
}

/// Returns the option whose value is the next word.
fn awaiting<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let takes_next = |arg: &&Arg| arg.get_action().takes_values() && !arg.is_require_equals_set();
    if let Some(long) = word.strip_prefix("--") {
        return option(command, |arg| arg.get_long() == Some(long) || aliases(arg).contains(&long)).filter(takes_next);
    }
    // In `-itv` the letters before the last take no value, else the rest is that value.
    let mut letters = word.chars().skip(1).peekable();
    while let Some(letter) = letters.next() {
        let arg = option(command, |arg| arg.get_short() == Some(letter))?;
        if arg.get_action().takes_values() {
            return Some(arg).filter(takes_next).filter(|_| letters.peek().is_none());
        }
    }
    None
}

fn option(command: &Command, is_wanted: impl Fn(&Arg) -> bool) -> Option<&Arg> {
    command.get_opts().find(|arg| is_wanted(arg)).or_else(|| command.get_arguments().find(|arg| is_wanted(arg)))
}

fn aliases(arg: &Arg) -> Vec<&str> {
    arg.get_all_aliases().unwrap_or_default()
}

fn options(command: &Command) -> Vec<Candidate> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let longs = shown.filter_map(|arg| {
        let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
        Some(Candidate::new(format!("--{}", arg.get_long()?), about))
    });
    longs.collect()
}

fn arguments(cursor: &Cursor, names: &Names) -> Vec<Candidate> {
    let mut found = Vec::new();
    if cursor.arguments == 0 {
        let from = if cursor.command.get_name() == "help" { cursor.tree } else { cursor.command };
        let commands = from.get_subcommands().filter(|command| !command.is_hide_set());
        let about = |command: &Command| command.get_about().map(ToString::to_string).unwrap_or_default();
        found.extend(commands.map(|command| Candidate::new(command.get_name(), about(command))));
    }
    let all: Vec<&Arg> = cursor.command.get_positionals().collect();
    let repeats = |arg: &&&Arg| arg.get_num_args().is_some_and(|range| range.max_values() > 1);
    match all.get(cursor.arguments).or_else(|| all.last().filter(repeats)) {
        // The command in a container, whose files cannot be seen from here.
        Some(arg) if arg.is_trailing_var_arg_set() && cursor.arguments > 0 => {}
        Some(arg) => found.extend(values(arg, names)),
        None => {}
    }
    found
}

/// Returns what an option or argument can be.
fn values(arg: &Arg, names: &Names) -> Vec<Candidate> {
    let fixed: Vec<PossibleValue> = arg.get_possible_values();
    if !fixed.is_empty() {
        let about = |value: &PossibleValue| value.get_help().map(ToString::to_string).unwrap_or_default();
        return fixed.iter().map(|value| Candidate::new(value.get_name(), about(value))).collect();
    }
    let shown = arg.get_value_names().and_then(|names| names.first()).map(|name| name.as_str()).unwrap_or_default();
    live::of(arg.get_id().as_str(), shown, names)
}
