//! docs/compatibility.md: written from the command line itself, the table of Docker's and Podman's names, and the lines of
//! tests/habits.rs. `MINIRUN_WRITE_DOCS=1 cargo test --test suite compatibility::` writes it anew, and drops advice on what is here.

use crate::habits::{HABITS, Habit, refusal};
use clap::{Arg, Command};
use minirun::exposed::command_line::{advice_for_command, advice_for_flag, difference, peers, subjects, tree};
use std::fs;
use std::path::{Path, PathBuf};

/// What minirun makes of a name.
enum Here {
    Same,
    Different(String),
    /// It is read, and answered in one line.
    Read(String),
    Absent(String),
}

impl Here {
    fn text(&self) -> String {
        match self {
            Self::Same => "same".into(),
            Self::Different(how) => format!("different: {how}"),
            Self::Read(how) => format!("accepted without effect: {how}"),
            Self::Absent(instead) => format!("not here: {instead}"),
        }
    }
}

/// Whether the page and the table of advice are brought up to date.
fn writes() -> bool {
    std::env::var_os("MINIRUN_WRITE_DOCS").is_some()
}

fn built() -> Command {
    let mut tree = tree();
    tree.build();
    tree
}

fn find<'a>(tree: &'a Command, name: &str) -> Option<&'a Command> {
    name.split(' ')
        .try_fold(tree, |command, word| command.find_subcommand(word))
        .filter(|command| !command.is_hide_set())
}

/// Returns the first of several names that minirun has, with its command.
fn find_any<'a>(tree: &'a Command, names: &[&'static str]) -> Option<(&'static str, &'a Command)> {
    names.iter().find_map(|name| Some((*name, find(tree, name)?)))
}

fn argument<'a>(command: &'a Command, long: &str) -> Option<&'a Arg> {
    command.get_arguments().find(|arg| {
        arg.get_long() == Some(long) || arg.get_all_aliases().is_some_and(|aliases| aliases.contains(&long))
    })
}

fn command_here(tree: &Command, names: &[&'static str]) -> Here {
    match find_any(tree, names) {
        Some((name, _)) if name == names[0] => match difference(names[0]) {
            Some(how) => Here::Different(how.to_owned()),
            None => Here::Same,
        },
        Some((name, _)) => Here::Different(format!("named `minirun {name}`")),
        None => Here::Absent(advice_for_command(names[0]).unwrap_or_default().to_owned()),
    }
}

fn flag_here(command: &Command, name: &str, long: &str, short: Option<char>) -> Here {
    let instead = || advice_for_flag(name, long).unwrap_or_default().to_owned();
    let Some(arg) = argument(command, long) else { return Here::Absent(instead()) };
    let how = difference(&format!("{name} --{long}")).or_else(|| difference(&format!("* --{long}")));
    let has_short =
        |short| arg.get_short() == Some(short) || arg.get_all_short_aliases().unwrap_or_default().contains(&short);
    match (how, short) {
        (how, _) if arg.is_hide_set() => Here::Read(how.unwrap_or("it says why").to_owned()),
        (Some(how), _) => Here::Different(how.to_owned()),
        (None, Some(short)) if !has_short(short) => Here::Different(format!("without -{short}")),
        (None, _) => Here::Same,
    }
}

#[test]
fn every_name_of_docker_has_an_answer() {
    let tree = built();
    let mut without = Vec::new();
    for peer in peers() {
        let name = peer.names[0];
        let Some((_, command)) = find_any(&tree, &peer.names) else {
            if advice_for_command(name).is_none() {
                without.push(name.to_owned());
            }
            continue;
        };
        for flag in peer.flags.iter().filter(|_| peer.who == "docker") {
            if argument(command, flag.long).is_none() && advice_for_flag(name, flag.long).is_none() {
                without.push(format!("{name} --{}", flag.long));
            }
        }
    }
    assert!(without.is_empty(), "src/cli/peers/advice.txt has no line for:\n{}", without.join("\n"));
}

#[test]
fn advice_is_about_names_that_are_not_here() {
    let tree = built();
    let mut wrong = Vec::new();
    for line in subjects() {
        let subject = line;
        let (is_difference, subject) = match subject.strip_prefix("~ ") {
            Some(subject) => (true, subject),
            None => (false, subject),
        };
        let (name, long) = match subject.split_once(" --") {
            Some((name, long)) => (name, Some(long)),
            None => (subject, None),
        };
        // Whether any command of this name has it, and whether Docker or Podman has it.
        let named = |peer_names: &[&str]| name == "*" || peer_names.contains(&name);
        let known = peers().filter(|peer| named(&peer.names));
        let mut is_known = peers().any(|peer| peer.names.iter().any(|n| n.split(' ').next() == Some(name)));
        let (mut is_here, mut is_missing) = (find(&tree, name).is_some(), find(&tree, name).is_none());
        if let Some(long) = long {
            (is_here, is_missing, is_known) = (false, false, false);
            for peer in known.filter(|peer| peer.flags.iter().any(|flag| flag.long == long)) {
                is_known = true;
                if let Some((_, command)) = find_any(&tree, &peer.names) {
                    let here = argument(command, long);
                    is_here |= here.is_some();
                    is_missing |= here.is_none();
                }
            }
        } else {
            is_known |= peers().any(|peer| peer.names.contains(&name));
        }
        let is_right = is_known && if is_difference { is_here } else { is_missing };
        if !is_right {
            wrong.push(line.to_owned());
        }
    }
    if writes() && !wrong.is_empty() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cli/peers/advice.txt");
        let text = fs::read_to_string(&file).unwrap();
        let is_kept =
            |line: &&str| line.split_once(": ").is_none_or(|(subject, _)| !wrong.iter().any(|one| one == subject));
        let kept: Vec<&str> = text.lines().filter(is_kept).collect();
        fs::write(&file, kept.join("\n") + "\n").unwrap();
        return;
    }
    assert!(wrong.is_empty(), "src/cli/peers/advice.txt has lines for what needs none:\n{}", wrong.join("\n"));
}

#[test]
fn the_page_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/compatibility.md");
    let page = page();
    if writes() {
        fs::write(&file, &page).unwrap();
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    let differs = page.lines().zip(there.lines().chain(std::iter::repeat(""))).find(|(new, old)| new != old);
    assert!(
        page == there,
        "docs/compatibility.md is out of date, first at: {differs:?}\n\
         write it anew: MINIRUN_WRITE_DOCS=1 cargo test --test suite compatibility::"
    );
}

fn page() -> String {
    let tree = built();
    let tests = Tests::read();
    let mut rows = String::new();
    let (mut commands, mut flags) = ([0usize; 2], [0usize; 2]);
    for peer in peers().filter(|peer| peer.who == "docker") {
        let name = peer.names[0];
        let here = command_here(&tree, &peer.names);
        commands[0] += 1;
        commands[1] += usize::from(!matches!(here, Here::Absent(_)));
        rows += &format!("| `{name}` | {} | {} |\n", here.text(), tests.typing(&peer.names, None, None));
        let Some((_, command)) = find_any(&tree, &peer.names) else { continue };
        for flag in &peer.flags {
            let here = flag_here(command, name, flag.long, flag.short);
            flags[0] += 1;
            flags[1] += usize::from(matches!(here, Here::Same | Here::Different(_)));
            let test = match here {
                Here::Absent(_) => String::new(),
                _ => tests.typing(&peer.names, Some(flag.long), flag.short),
            };
            rows += &format!("| `{name} --{}` | {} | {test} |\n", flag.long, here.text().replace('|', "\\|"));
        }
    }
    let mut beyond = String::new();
    for peer in peers().filter(|peer| peer.who == "podman") {
        let name = peer.names[0];
        let Some((_, command)) = find_any(&tree, &peer.names) else {
            beyond += &format!("| `{name}` | {} |\n", command_here(&tree, &peer.names).text().replace('|', "\\|"));
            continue;
        };
        let (has, lacks): (Vec<_>, Vec<_>) = peer.flags.iter().partition(|flag| argument(command, flag.long).is_some());
        let list = |flags: Vec<&minirun::exposed::command_line::Flag>| {
            flags.iter().map(|flag| format!("`--{}`", flag.long)).collect::<Vec<_>>().join(" ")
        };
        let parts = [("same", list(has)), ("not here", list(lacks))];
        let parts: Vec<String> =
            parts.iter().filter(|(_, list)| !list.is_empty()).map(|(word, list)| format!("{word}: {list}")).collect();
        beyond += &format!("| `{name}` | {} |\n", if parts.is_empty() { "same".into() } else { parts.join("; ") });
    }
    let mut habits = String::new();
    for (title, lines) in HABITS {
        habits += &format!("\n### {title}\n\n| typed | here |\n|---|---|\n");
        for (line, habit) in *lines {
            let here = match (refusal(line), habit) {
                (Some(hint), _) => format!("not here: {}", hint.replace('|', "\\|")),
                (None, Habit::Same(_)) => "same".to_owned(),
                (None, Habit::Different(how, _)) => format!("different: {how}"),
                (None, Habit::Elsewhere(file)) => format!("same (tests/{file}.rs)"),
            };
            habits += &format!("| `{}` | {here} |\n", line.replace('|', "\\|"));
        }
    }
    format!(
        "# Compatibility\n\n\
         How minirun's command line compares with Docker's and Podman's. This page is written by a test from the command line\n\
         itself: `MINIRUN_WRITE_DOCS=1 cargo test --test suite compatibility::`. What minirun lacks it names when it is typed, with\n\
         what to do instead.\n\n\
         Of Docker's {} commands minirun has {}, with {} of their {} flags. *Same* is the same in what people use it for.\n\
         The last column names the file in tests/ that types it.\n\n\
         ## Habits\n\n\
         With `ln -s minirun ~/.local/bin/docker` these lines are typed as they stand, by tests/habits.rs.\n{habits}\n\
         ## Docker\n\n| Docker | minirun | tests |\n|---|---|---|\n{rows}\n\
         ## Podman\n\nWhat Podman has beyond Docker.\n\n| Podman | minirun |\n|---|---|\n{beyond}",
        commands[0], commands[1], flags[1], flags[0]
    )
}

/// The functions of all test files, to find what is typed where.
struct Tests {
    /// File and function.
    functions: Vec<(String, String)>,
}

impl Tests {
    fn read() -> Self {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let mut files: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
        // They name flags without typing them.
        let speaks = |path: &PathBuf| {
            ["compatibility", "help", "completion"].iter().any(|name| path.ends_with(format!("{name}.rs")))
        };
        files.retain(|path| !speaks(path));
        files.sort();
        let mut functions = Vec::new();
        for file in files {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            let text = fs::read_to_string(&file).unwrap();
            functions.extend(text.split("\nfn ").map(|function| (name.clone(), function.to_owned())));
        }
        Self { functions }
    }

    /// The name of the first file with a function that types one of these commands, with this flag.
    fn typing(&self, names: &[&str], long: Option<&str>, short: Option<char>) -> String {
        let mut found = self.functions.iter().filter(|(_, text)| names.iter().any(|name| types_command(text, name)));
        let found = match long {
            None => found.next(),
            Some(long) => found.find(|(_, text)| types_flag(text, long, short)),
        };
        found.map(|(file, _)| file.clone()).unwrap_or_default()
    }
}

fn types_command(text: &str, name: &str) -> bool {
    let words = name.split(' ').map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
    let helpers: &[&str] = match name {
        "run" => &[".sh(", ".detached(", ".inside("],
        "build" => &[".build(", "try_build("],
        _ => &[],
    };
    text.contains(&words)
        || text.contains(&format!("docker {name} "))
        || text.contains(&format!("docker {name}\""))
        || helpers.iter().any(|helper| text.contains(helper))
}

fn types_flag(text: &str, long: &str, short: Option<char>) -> bool {
    let long_forms = [format!("\"--{long}\""), format!("\"--{long}="), format!(" --{long} "), format!(" --{long}=")];
    let has_short =
        short.is_some_and(|short| text.contains(&format!("\"-{short}\"")) || text.contains(&format!(" -{short} ")));
    has_short || long_forms.iter().any(|form| text.contains(form))
}
