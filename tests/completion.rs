//! Completion in real shells: bash, zsh and fish, with the names that are in the store at that moment.

use crate::common::{Need, Sandbox, finish, require};
use std::path::Path;

/// Two images, a container that runs and one that does not.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["tag", "alpine", "me/app:v1"]);
    sandbox.sleeper("runs");
    sandbox.ok(&["create", "--name", "rests", "alpine"]);
    sandbox
}

/// What minirun itself offers after these words.
fn offered(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let words = [&["complete-words", "--", "minirun"], words].concat();
    let lines = sandbox.ok(&words);
    lines.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn each_place_offers_what_fits() {
    let sandbox = sandbox();
    for (words, expected) in [
        (&["star"][..], &["start"][..]),
        (&["image", "lo"], &["load"]),
        (&["stop", ""], &["runs"]),
        (&["start", ""], &["rests"]),
        (&["rm", ""], &["rests", "runs"]),
        (&["rm", "-f", "runs", "re"], &["rests"]),
        (&["exec", "-it", ""], &["runs"]),
        (&["exec", "runs", ""], &[]),
        (&["exec", "runs", "-"], &[]),
        (&["run", "-d", "--name", "x", ""], &["alpine:latest", "me/app:v1"]),
        (&["run", "--rm", "al"], &["alpine:latest"]),
        (&["run", "alpine", "--r"], &[]),
        (&["run", "--pull", ""], &["missing", "always", "never"]),
        (&["run", "--pull=a"], &["--pull=always"]),
        (&["run", "--net", "ho"], &["host"]),
        (&["rmi", "me"], &["me/app:v1"]),
        (&["tag", "me"], &["me/app:v1"]),
        (&["kill", "-s", "K"], &["KILL"]),
        (&["--lang", ""], &["en", "ru"]),
        (&["run", "--interac"], &["--interactive"]),
        (&["help", "commi"], &["commit"]),
        (&["build", "-f", ""], &[":files"]),
        (&["completion", ""], &["bash", "zsh", "fish"]),
        (&["frobnicate", ""], &[]),
    ] {
        assert_eq!(offered(&sandbox, words), expected, "{words:?}");
    }
    let elsewhere = sandbox.file("none");
    assert_eq!(offered(&sandbox, &["--root", elsewhere.to_str().unwrap(), "rm", ""]), Vec::<String>::new());
    assert!(!elsewhere.exists(), "completion made a store");
}

/// What a shell's script prints, with minirun in its PATH.
fn typed(sandbox: &Sandbox, shell: &str, arguments: &[&str]) -> String {
    let programs = Path::new(&Sandbox::binary()).parent().unwrap().to_owned();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut command = sandbox.other(shell);
    finish(command.args(arguments).env("PATH", path).env("TERM", "dumb")).ok()
}

#[test]
fn bash_completes() {
    let sandbox = sandbox();
    // What readline sets when the tab key is pressed.
    let script = "source <(minirun completion bash)\n\
        press() { COMP_LINE=$1 COMP_POINT=${#1} COMPREPLY=(); _minirun; echo \"$1 -> ${COMPREPLY[*]}\"; }\n\
        press 'minirun stop '; press 'minirun start r'; press 'minirun run alpine:'; press 'minirun run --inter'\n\
        touch a-file; press 'minirun build -f a-'; complete -p minirun";
    let said = typed(&sandbox, "bash", &["--norc", "-c", script]);
    let expected = "minirun stop  -> runs\nminirun start r -> rests\nminirun run alpine: -> latest\n\
        minirun run --inter -> --interactive\nminirun build -f a- -> a-file\ncomplete -F _minirun minirun\n";
    assert_eq!(said, expected);
}

#[test]
fn zsh_completes() {
    require!(Need::Tool("zsh"));
    let sandbox = sandbox();
    // A second zsh on a terminal of its own, in which the tab key is pressed; then a key prints the completed line.
    let script = "zmodload zsh/zpty\n\
        zpty -b inner zsh -f -i\n\
        send() { zpty -w inner \"$1\"; sleep 0.5 }\n\
        send 'PS1=; autoload -U compinit; compinit -u -D; source <(minirun completion zsh)'\n\
        send 'accept() { BUFFER=\"print -r -- typed: $BUFFER.\"; zle accept-line }; zle -N accept; bindkey \"^T\" accept'\n\
        for line in 'minirun stop ' 'minirun start ' 'minirun run al' 'minirun run --interac'; do\n\
          zpty -w -n inner \"$line\"$'\\t'; sleep 2; zpty -w -n inner $'\\x14'; sleep 0.5\n\
        done\n\
        while zpty -rt inner more; do print -rn -- $more; done";
    let said = typed(&sandbox, "zsh", &["-f", "-c", script]);
    let typed: Vec<&str> = said.lines().filter(|line| line.starts_with("typed: ")).map(str::trim_end).collect();
    let expected = ["stop runs .", "start rests .", "run alpine:latest .", "run --interactive ."];
    assert_eq!(typed, expected.map(|line| format!("typed: minirun {line}")), "{said}");
}

#[test]
fn fish_completes() {
    require!(Need::Tool("fish"));
    let sandbox = sandbox();
    let script = "minirun completion fish | source\n\
        complete -C 'minirun stop '; echo .; complete -C 'minirun start '; echo .; complete -C 'minirun run al'; echo .\n\
        complete -C 'minirun run --interac'; echo .; touch a-file; complete -C 'minirun build -f a-'";
    let said = typed(&sandbox, "fish", &["--no-config", "-c", script]);
    let words: Vec<&str> = said.lines().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(words, ["runs", ".", "rests", ".", "alpine:latest", ".", "--interactive", ".", "a-file"], "{said}");
}

#[test]
fn the_manual_has_every_command_with_its_examples() {
    let sandbox = Sandbox::new();
    let pages = sandbox.file("man");
    std::fs::create_dir(&pages).unwrap();
    sandbox.ok(&["manual", pages.to_str().unwrap()]);
    let run = std::fs::read_to_string(pages.join("minirun-run.1")).unwrap();
    assert!(run.contains("Examples") && run.contains("8080:80") && run.contains("entrypoint"), "{run}");
    for page in ["minirun.1", "minirun-image-ls.1", "minirun-why.1", "minirun-system-df.1"] {
        assert!(pages.join(page).is_file(), "{page}");
    }
    assert!(!pages.join("minirun-complete-words.1").exists(), "a hidden command has a page");
}
