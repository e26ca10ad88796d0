//! The pages of help, from clap's tree and the tables beside this file.

use super::commands::{Group, examples, group, rank};
use super::headings::{headings, places};
use crate::cli::human;
use clap::builder::StyledStr;
use clap::{Arg, Args, Command};
use std::io::{IsTerminal, Write};

/// The heading of what every command takes.
pub(crate) const EVERYWHERE: &str = "Global options";

/// The narrowest terminal that the pages are made for.
const WIDTH: usize = 80;

#[derive(Args)]
pub(crate) struct Help {
    /// A command, such as run or image ls; an error, such as E0101; errors
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,
}

impl Help {
    pub(crate) fn words(&self) -> Vec<&str> {
        self.words.iter().map(String::as_str).collect()
    }
}

/// Prints the page of a command to standard output; without a command, the first page.
pub(crate) fn print_page(tree: Command, path: &[&str]) {
    let mut tree = decorated(tree);
    tree.build();
    let mut command = &mut tree;
    for word in path {
        // The caller has made sure that there is one.
        let Some(name) = command.find_subcommand(word).map(|found| found.get_name().to_owned()) else { return };
        let Some(found) = command.find_subcommand_mut(name) else { return };
        command = found;
    }
    print(&command.render_help());
}

fn print(page: &StyledStr) {
    let mut output = std::io::stdout();
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    // A reader that closed the pipe has seen enough.
    let _ =
        if output.is_terminal() && !is_plain { write!(output, "{}", page.ansi()) } else { write!(output, "{page}") };
}

/// Returns the tree with groups, headings and examples, and with a word on each argument. Only for display.
pub fn decorated(tree: Command) -> Command {
    let template = first_page(&tree);
    with_details(tree, "").help_template(template)
}

fn with_details(command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    let mut command = with_headings(command, path).mut_args(described);
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command = command.mut_subcommand(name, |sub| with_details(sub, &path));
    }
    if let Some(usage) = shorter_usage(&command, path) {
        command = command.override_usage(usage);
    }
    let lines = examples(path);
    if lines.is_empty() { command } else { command.after_help(format!("Examples:\n  {}", lines.join("\n  "))) }
}

/// Returns a usage without the options that clap lists in it, where the line is wider than the page.
fn shorter_usage(command: &Command, path: &str) -> Option<String> {
    let usage = command.clone().bin_name(format!("minirun {path}")).render_usage().to_string();
    let arguments = command.get_positionals().map(|arg| format!(" {arg}")).collect::<String>();
    (usage.chars().count() > WIDTH).then(|| format!("minirun {path} [OPTIONS]{arguments}"))
}

/// Puts a command's options under headings, in the order of the tables. clap shows headings in the order of declaration, so the
/// options are declared anew.
fn with_headings(command: Command, path: &str) -> Command {
    let Some((name, headings)) = headings(path) else { return command };
    let places = places(headings);
    let of = |arg: &Arg| arg.get_long().and_then(|long| places.get(long).copied());
    let mut args: Vec<Arg> = command.get_arguments().cloned().collect();
    args.sort_by_key(|arg| of(arg).map_or(usize::MAX, |(_, rank)| rank));
    let args = args.into_iter().map(|arg| match of(&arg) {
        Some((heading, rank)) => arg.help_heading(heading).display_order(rank),
        None if arg.get_long() == Some("help") => arg.help_heading(EVERYWHERE),
        None => arg,
    });
    let usage = command.get_overridden_usage().cloned();
    // The flag of help is among the arguments already.
    let mut again = Command::new(name).disable_help_flag(true);
    again = again.about(command.get_about().cloned().unwrap_or_default());
    again = again.bin_name(command.get_bin_name().unwrap_or(name).to_owned());
    again = again.display_name(command.get_display_name().unwrap_or(name).to_owned());
    again = again.max_term_width(WIDTH).args(args);
    match usage {
        Some(usage) => again.override_usage(usage),
        None => again,
    }
}

/// Describes an argument that names containers or images, where its declaration does not.
fn described(arg: Arg) -> Arg {
    if arg.get_help().is_some() {
        return arg;
    }
    let help = match arg.get_id().as_str() {
        "container" | "image" | "source" | "one" | "other" => "A name, an ID, or the beginning of an ID",
        "containers" | "images" | "names" | "name" => "Names, IDs, or beginnings of IDs",
        "volume" | "volumes" | "network" | "networks" => "A name",
        "new_name" => "The new name",
        "list" | "lists" => "The list's name",
        "server" => "The registry",
        "shell" => "The shell",
        _ => return arg,
    };
    arg.help(help)
}

/// Returns the first page as clap's template: the commands in groups.
fn first_page(tree: &Command) -> String {
    let mut commands: Vec<&Command> = tree.get_subcommands().filter(|command| !command.is_hide_set()).collect();
    commands.sort_by_key(|command| rank(command.get_name()));
    let width = commands.iter().map(|command| command.get_name().len()).max().unwrap_or(0);
    let mut text = String::from("{about}\n\n{usage-heading} {usage}\n");
    for shown in Group::SHOWN {
        let mut members = commands.iter().filter(|command| group(command.get_name()) == shown).peekable();
        if members.peek().is_none() {
            continue;
        }
        text += &format!("\n{}:\n", shown.title());
        for command in members {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            let about = human::wrapped(&about, WIDTH - width - 4).join(&format!("\n{:1$}", "", width + 4));
            text += &format!("  {:width$}  {about}\n", command.get_name());
        }
    }
    text + "\nOptions:\n{options}\n\nminirun help COMMAND explains a command, with examples.\n"
}
