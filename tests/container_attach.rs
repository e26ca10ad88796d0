//! Who is attached to a container: input that ends, signals that are not heard, several at once, and who closes the pipe.

use crate::common::{Sandbox, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

#[test]
fn the_end_of_attach_s_input_is_not_the_container_s() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["run", "-di", "--name", "kat", "--network", "none", "alpine", "cat"]);
    for line in ["hi\n", "again\n"] {
        let output = sandbox.run_with_input(&["attach", "kat"], line.as_bytes());
        assert_eq!((output.code, output.stdout.as_str()), (0, line), "{}", output.stderr);
        assert_eq!(sandbox.look("kat", "{{.State.Status}}"), "running");
    }
    // Where it was begun with its input attached, that input's end is the container's.
    sandbox.ok(&["create", "-i", "--name", "once", "--network", "none", "alpine", "cat"]);
    let output = sandbox.run_with_input(&["start", "-ai", "once"], b"through\n");
    assert_eq!((output.code, output.stdout.as_str()), (0, "through\n"), "{}", output.stderr);
    assert_eq!(sandbox.run_with_input(&["run", "--rm", "-i", "alpine", "cat"], b"x").ok(), "x");
}

#[test]
fn a_terminal_wants_a_terminal() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["-it", "--name", "box"], "cat");
    let said = sandbox.run_with_input(&["attach", "box"], b"x").fails(1);
    assert!(said.contains("standard input is not a terminal") && said.contains("--no-stdin"), "{said}");
    sandbox.ok(&["kill", "box"]);
    let said = sandbox.fails(1, &["start", "-ai", "box"]);
    assert!(said.contains("standard input is not a terminal"), "{said}");
    assert_eq!(sandbox.look("box", "{{.State.Status}}"), "exited");
}

#[test]
fn three_signals_let_go_of_what_does_not_listen() {
    let sandbox = Sandbox::with_alpine();
    // Each signal is sent once the last one has had its effect.
    let run = |name: &str, script: &str, signals: &[Signal]| {
        let words = ["run", "--name", name, "--network", "none", "alpine", "sh", "-c", script];
        let mut command = sandbox.command(&words);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        for signal in signals {
            kill(Pid::from_raw(child.id().cast_signed()), *signal).unwrap();
            std::thread::sleep(Duration::from_millis(200));
        }
        let mut said = String::new();
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (child.wait().unwrap().code(), said)
    };
    let (code, said) = run("deaf", "echo ready; exec sleep 600", &[Signal::SIGINT, Signal::SIGTERM, Signal::SIGINT]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("container deaf goes on") && said.contains("minirun stop deaf"), "{said}");
    assert_eq!(sandbox.look("deaf", "{{.State.Status}}"), "running");
    // Other signals do not count, and two are for the process.
    let script = "trap 'exit 5' INT; trap 'n=$((n+1)); [ $n = 4 ] && kill -INT $$' USR1; echo ready; while :; do sleep 0.05; done";
    let (code, said) = run("keen", script, &[Signal::SIGUSR1; 4]);
    assert_eq!((code, said.as_str()), (Some(5), ""));
}

#[test]
fn several_are_shown_at_once() {
    let sandbox = Sandbox::with_alpine();
    for (name, code) in [("one", "3"), ("two", "4"), ("three", "0")] {
        let script = format!("echo {name}; while [ ! -e /go ]; do sleep 0.05; done; exit {code}");
        sandbox.ok(&["create", "--name", name, "--network", "none", "alpine", "sh", "-c", &script]);
    }
    let mut child = sandbox.command(&["start", "-a", "one", "two", "three"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut seen: Vec<String> = (0..3).map(|_| lines.next().unwrap().unwrap()).collect();
    seen.sort();
    assert_eq!(seen, ["one", "three", "two"], "all say their word while none has ended");
    for name in ["one", "two", "three"] {
        sandbox.ok(&["exec", name, "touch", "/go"]);
    }
    assert_eq!(child.wait().unwrap().code(), Some(4));
    // One that is not there keeps nobody from being shown, and counts.
    let output = sandbox.run(&["start", "-a", "nobody", "three"]);
    assert_eq!((output.code, output.stdout.as_str()), (1, "three\n"), "{}", output.stderr);
    let said = sandbox.fails(1, &["start", "-ai", "one", "two"]);
    assert!(said.contains("2 containers at once"), "{said}");
}

#[test]
fn start_a_of_what_runs_stays_with_it() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "on"], "while [ ! -e /go ]; do sleep 0.05; done; echo end; exit 6");
    let mut child = sandbox.command(&["start", "-a", "on"]).stdout(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(child.try_wait().unwrap().is_none());
    sandbox.ok(&["exec", "on", "touch", "/go"]);
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(6), &b"end\n"[..]));
}

#[test]
fn what_has_nothing_to_run_leaves_no_container() {
    let sandbox = Sandbox::new();
    let tar = crate::common::alpine_tar();
    sandbox.ok(&["import", tar.to_str().unwrap(), "bare"]);
    for (command, code) in [("run", 125), ("create", 125)] {
        let said = sandbox.fails(code, &[command, "--name", "none", "bare"]);
        assert!(said.contains("no command to run") && said.contains("hint:"), "{said}");
        assert_eq!(sandbox.ok(&["ps", "-a", "-q"]), "");
    }
    assert!(sandbox.stored("container-names").is_empty() && sandbox.stored("tmp").is_empty());
}

#[test]
fn who_closes_the_pipe_hears_no_panic() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "loud"], "yes | head -n 20000; exec sleep 600");
    wait_until("it has spoken", || sandbox.ok(&["logs", "loud"]).lines().count() == 20000);
    let run = ["run", "--rm", "--name", "talker", "--network", "none", "alpine", "yes"];
    for words in [&["logs", "loud"][..], &["logs", "-f", "loud"], &["ps", "-a"], &run] {
        let mut child = sandbox.command(words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut first = [0; 2];
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut first).unwrap();
        drop(stdout);
        let begun = Instant::now();
        let mut said = String::new();
        if words == run {
            // The command is gone; its container talks on, as with Docker.
            wait_until("the client has ended", || child.try_wait().unwrap().is_some());
            sandbox.ok(&["rm", "-f", "talker"]);
        } else if words.contains(&"-f") {
            // It notices with the next line.
            kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
        }
        child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        child.wait().unwrap();
        assert_eq!(said, "", "{words:?}");
        assert!(begun.elapsed() < Duration::from_secs(20), "{words:?}");
    }
}

#[test]
fn keys_that_are_none_are_refused_before_anything_is_made() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("box");
    for words in [
        &["run", "--name", "new", "--detach-keys", "ctrl-", "alpine", "true"][..],
        &["attach", "--detach-keys", "abc", "box"],
        &["exec", "--detach-keys", "ctrl-1", "box", "true"],
        &["start", "--detach-keys", ",", "box"],
    ] {
        let said = sandbox.fails(125, words);
        assert!(said.contains("invalid --detach-keys") && said.contains("ctrl-p,ctrl-q"), "{said}");
    }
    assert_eq!(sandbox.ok(&["ps", "-a", "-q"]).lines().count(), 1);
}
