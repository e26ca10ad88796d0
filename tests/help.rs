//! Help, and what is said about commands and flags that do not exist.

use crate::common::{Need, Sandbox, finish, require};
use clap::Command;
use minirun::exposed::command_line::{ErrorCode, decorated, examples, experiment, tree};
use std::fs;
use std::path::Path;

/// The visible commands with their names in words, `image ls` also by itself.
fn commands(command: &Command, path: &str) -> Vec<(String, Command)> {
    let mut all = Vec::new();
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let path = format!("{path} {}", sub.get_name()).trim().to_owned();
        all.extend(commands(sub, &path));
        all.push((path, sub.clone()));
    }
    all
}

fn all_commands() -> Vec<(String, Command)> {
    let mut tree = decorated(tree());
    tree.build();
    commands(&tree, "")
}

/// Splits a line as a shell does, with single quotes only.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split_whitespace().map(str::to_owned)),
            _ => words.push(part.to_owned()),
        }
    }
    words
}

#[test]
fn every_command_and_argument_is_explained() {
    let mut lacking = Vec::new();
    for (path, command) in all_commands() {
        if command.get_about().is_none() {
            lacking.push(format!("{path}: no sentence"));
        }
        if command.get_after_help().is_none() {
            lacking.push(format!("{path}: no example in src/cli/help/commands.rs"));
        }
        let args = command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_help().is_none());
        lacking.extend(args.map(|arg| format!("{path}: {} has no help", arg.get_id())));
    }
    let mut tree = decorated(tree());
    let page = tree.render_help().to_string();
    let others = page.split_once("\nOther:\n").map_or("", |(_, others)| others).lines();
    let others = others.take_while(|line| !line.is_empty());
    lacking.extend(others.map(|line| format!("{line}: no group in src/cli/help/commands.rs")));
    assert!(lacking.is_empty(), "{}", lacking.join("\n"));
}

#[test]
fn every_option_of_run_and_build_has_a_heading() {
    let commands = all_commands();
    for name in ["run", "create", "build"] {
        let (_, command) = commands.iter().find(|(path, _)| path == name).unwrap();
        let plain = command.get_opts().filter(|arg| !arg.is_hide_set() && arg.get_help_heading().is_none());
        let plain: Vec<&str> = plain.filter_map(|arg| arg.get_long()).filter(|long| *long != "help").collect();
        assert!(plain.is_empty(), "{name}: no heading in src/cli/help/headings.rs for {plain:?}");
    }
}

#[test]
fn every_example_is_a_command_line() {
    let mut wrong = Vec::new();
    let tree = tree();
    for (path, command) in all_commands() {
        let lines = examples(&path);
        assert!(lines.is_empty() == command.get_after_help().is_none(), "{path}");
        for line in lines {
            if let Err(error) = tree.clone().try_get_matches_from(words(&line)) {
                wrong.push(format!("{line}: {error}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn pages_fit_into_80_columns() {
    let sandbox = Sandbox::new();
    let mut wide = Vec::new();
    for (path, mut command) in all_commands() {
        let page = command.render_help().to_string();
        assert!(page.contains("Usage: minirun") && page.contains("Examples:"), "{path}: {page}");
        wide.extend(page.lines().filter(|line| line.chars().count() > 80).map(|line| format!("{path}: {line}")));
        // A page costs a process, so these stand for all.
        if ["run", "image ls", "system check"].contains(&path.as_str()) {
            let line: Vec<&str> = ["help"].into_iter().chain(path.split(' ')).collect();
            let printed = sandbox.command(&line).env("COLUMNS", "80").output().unwrap();
            assert_eq!(String::from_utf8(printed.stdout).unwrap().trim_end(), page.trim_end());
        }
    }
    assert!(wide.is_empty(), "{}", wide.join("\n"));
    let first = sandbox.ok::<&str>(&[]);
    assert!(first.lines().all(|line| line.chars().count() <= 80), "{first}");
}

#[test]
fn help_is_found_in_every_way() {
    let sandbox = Sandbox::new();
    let first = sandbox.ok::<&str>(&[]);
    for title in ["Run containers:", "Images and registries:", "Build images:", "See how it works:", "minirun itself:"]
    {
        assert!(first.contains(title), "{first}");
    }
    assert_eq!(sandbox.ok(&["--help"]), first);
    assert_eq!(sandbox.ok(&["help"]), first);
    let run = sandbox.ok(&["help", "run"]);
    for title in
        ["Container:", "Process:", "Files:", "Network:", "Resources:", "Security:", "Output:", "Global options:"]
    {
        assert!(run.contains(&format!("\n{title}\n")), "{title}: {run}");
    }
    assert!(run.find("\nContainer:") < run.find("\nNetwork:"), "{run}");
    assert_eq!(sandbox.ok(&["run", "--help"]), run);
    assert_eq!(sandbox.ok(&["run", "-v", "/a:/b", "--help"]), run);
    assert!(
        run.ends_with("Examples:\n  minirun run -it --rm alpine sh\n  minirun run -d --name web -p 8080:80 nginx\n")
    );
    let image = sandbox.ok(&["image"]);
    assert_eq!(sandbox.ok(&["image", "--help"]), image);
    assert!(image.contains("Usage: minirun image") && image.contains("  ls "), "{image}");
    let list = sandbox.ok(&["help", "image", "ls"]);
    assert_eq!(sandbox.ok(&["image", "ls", "-h"]), list);
    assert!(list.contains("Usage: minirun image ls"), "{list}");
    let version = sandbox.ok(&["-v"]);
    assert_eq!(version, format!("minirun {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!([sandbox.ok(&["--version"]), sandbox.ok(&["-V"])], [version.clone(), version]);
    assert!(!sandbox.root().exists(), "help made a store");
}

#[test]
fn a_name_from_elsewhere_is_answered_with_what_to_do_here() {
    let sandbox = Sandbox::new();
    for (line, error, hint) in [
        ("swarm init", "unknown command: minirun swarm", "no cluster"),
        ("machine start", "unknown command: minirun machine", "no virtual machine"),
        ("pod create", "unknown command: minirun pod", "no pods"),
        ("compose frobnicate", "unknown command: minirun compose frobnicate", "minirun help compose"),
        ("kube play x.yaml", "unknown command: minirun kube", "Kubernetes"),
        ("frobnicate", "unknown command: minirun frobnicate", "minirun help"),
        ("imagse", "unknown command: minirun imagse", "did you mean: minirun images"),
        ("image frobnicate", "unknown command: minirun image frobnicate", "minirun help image"),
        ("image sign x", "unknown command: minirun image sign", "cosign"),
        ("help frobnicate", "unknown command: minirun frobnicate", "minirun help"),
        ("run --pod p alpine", "unknown flag: --pod", "no pods"),
        ("run --volum x alpine", "unknown flag: --volum", "did you mean: --volume"),
        ("run -rm alpine", "unknown flag: -r", "did you mean: --rm"),
        ("--root x run --frobnicate alpine", "unknown flag: --frobnicate", "minirun run --help"),
        ("--frobnicate", "unknown flag: --frobnicate", "minirun --help"),
        ("pull --authfile x alpine", "unknown flag: --authfile", "DOCKER_CONFIG"),
        ("ps --pod", "unknown flag: --pod", "no pods"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let said = sandbox.fails(125, &words);
        let mut lines = said.lines();
        assert_eq!(lines.next(), Some(format!("error: {error}").as_str()), "{line}: {said}");
        let hints: Vec<&str> = lines.collect();
        assert!(hints.len() == 1 && hints[0].starts_with("hint:  ") && hints[0].contains(hint), "{line}: {said}");
    }
    assert!(!sandbox.root().exists(), "a mistake made a store");
}

#[test]
fn missing_and_superfluous_arguments_are_counted() {
    let sandbox = Sandbox::new();
    for (line, error, usage, example) in [
        ("exec web", "\"minirun exec\" requires at least 2 arguments", "exec [OPTIONS] CONTAINER", "exec -it web sh"),
        ("build", "\"minirun build\" requires exactly 1 argument", "build [OPTIONS]", "build -t web ."),
        ("run", "\"minirun run\" requires at least 1 argument", "run [OPTIONS] IMAGE", "run -it --rm alpine sh"),
        ("tag a", "\"minirun tag\" requires exactly 2 arguments", "tag [OPTIONS]", "tag web me/web:v1"),
        ("info x", "\"minirun info\" accepts no arguments: unexpected \"x\"", "info [OPTIONS]", "info"),
        ("rm", "\"minirun rm\" requires at least 1 argument", "rm [OPTIONS]", "rm web"),
        ("image rm", "\"minirun image rm\" requires at least 1 argument", "image rm [OPTIONS]", "image rm web:old"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let said = sandbox.fails(125, &words);
        let mut lines = said.lines();
        assert_eq!(lines.next(), Some(format!("error: {error}").as_str()), "{said}");
        assert!(lines.next().unwrap().starts_with(&format!("hint:  Usage: minirun {usage}")), "{said}");
        assert_eq!(lines.next().map(str::trim), Some(format!("for example: minirun {example}").as_str()), "{said}");
    }
}

#[test]
fn the_language_is_set_before_or_after_the_command() {
    let sandbox = Sandbox::with_alpine();
    let after = sandbox.ok(&["explain", "--lang", "ru", "alpine"]);
    assert!(after.contains("слой"), "{after}");
    assert_eq!(sandbox.ok(&["--lang", "ru", "explain", "alpine"]), after);
    let english = sandbox.ok(&["explain", "alpine"]);
    assert!(!english.contains("слой"), "{english}");
    assert_eq!(sandbox.ok(&["--lang", "en", "explain", "alpine"]), english);
    let said = sandbox.fails(125, &["--lang", "xx", "explain", "alpine"]);
    assert!(said.contains("xx") && said.contains("ru"), "{said}");
}

#[test]
fn frequent_errors_speak_the_language_of_the_locale() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["create", "--name", "rests", "alpine"]);
    for (line, expected) in [
        ("logs nobody", "ошибка: нет такого контейнера: nobody\nсовет:  список контейнеров: minirun ps -a\n"),
        ("exec rests sh", "ошибка: контейнер rests не работает\nсовет:  запустите его: minirun start rests\n"),
        ("frobnicate", "ошибка: неизвестная команда: minirun frobnicate\nсовет:  список команд: minirun help\n"),
        ("history nothing", "ошибка: нет такого образа: nothing\n"),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let said = finish(sandbox.command(&words).env("LC_ALL", "ru_RU.UTF-8"));
        assert!(said.code != 0 && said.stderr.starts_with(expected), "{line}: {}", said.streams());
        let said = finish(sandbox.command(&[&["--lang", "en"], &words[..]].concat()).env("LC_ALL", "ru_RU.UTF-8"));
        assert!(words[0] == "frobnicate" || said.stderr.starts_with("error: "), "{line}: {}", said.streams());
    }
}

/// Experiments that need a registry on the network, or a host that refuses what this one gives.
const NOT_TYPED: &[&str] = &["E0108", "E0301", "E0302", "E0303", "E0304", "E0601", "E0602"];

#[test]
fn every_error_on_a_terminal_leads_to_its_page() {
    require!(Need::Tool("script"));
    for code in ErrorCode::ALL.iter().filter(|code| !NOT_TYPED.contains(&code.text())) {
        let sandbox = Sandbox::with_alpine();
        let programs = Path::new(&Sandbox::binary()).parent().unwrap().to_owned();
        let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
        let (last, before) = experiment(*code).split_last().unwrap();
        for line in before {
            finish(sandbox.other("sh").args(["-c", line]).env("PATH", &path)).ok();
        }
        let mut terminal = sandbox.other("script");
        let said = finish(terminal.args(["-qec", last, "/dev/null"]).env("PATH", &path));
        assert!(said.code != 0, "{}: {last} succeeds", code.text());
        let more = format!("more:  minirun help {}\r\n", code.text());
        assert!(said.stdout.contains(&more), "{}: {last}: {}", code.text(), said.stdout);
        let page = sandbox.ok(&["help", code.text()]);
        assert!(page.starts_with(&format!("{}: ", code.text())) && page.contains(last), "{page}");
        assert!(page.lines().all(|line| line.chars().count() <= 80), "{page}");
    }
}

#[test]
fn every_code_has_its_error() {
    let mut sources = String::new();
    let mut directories = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if !path.ends_with("help/errors.rs") {
                sources += &fs::read_to_string(path).unwrap_or_default();
            }
        }
    }
    let names: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.text()).collect();
    let mut unique = names.clone();
    unique.dedup();
    assert_eq!(names, unique);
    let sandbox = Sandbox::new();
    let list = sandbox.ok(&["help", "errors"]);
    for code in ErrorCode::ALL {
        let name = format!("ErrorCode::{}", code.name());
        assert!(sources.contains(&name), "no error has the code {name}");
        assert!(list.contains(&format!("{}  ", code.text())), "{list}");
    }
    assert!(sandbox.fails(125, &["help", "E9999"]).contains("E9999"));
    let quiet = sandbox.fails(125, &["frobnicate"]);
    assert!(!quiet.contains("E0501"), "a program that reads this is disturbed: {quiet}");
}
