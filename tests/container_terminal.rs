//! A container on a terminal, through a real pty: what is typed, the size, the keys that let go; and the terminal is found
//! as it was, however the container or its client ends.

use crate::common::terminal::{Terminal, set_size};
use crate::common::{Need, Sandbox, require, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::time::Duration;

const RUN: [&str; 6] = ["run", "-it", "--network", "none", "--name", "box"];

fn run<'a>(flags: &[&'a str], words: &[&'a str]) -> Vec<&'a str> {
    [&RUN[..], flags, &["alpine"], words].concat()
}

#[test]
fn it_has_a_terminal_of_its_own() {
    let sandbox = Sandbox::with_alpine();
    let script = "tty; test -t 0 -a -t 1 -a -t 2 && echo all; readlink /proc/self/fd/0; echo $TERM; ls /dev/pts | tr '\\n' ' '
        stat -c '%F %t' /dev/console; echo to the console > /dev/console; sh -c 'echo to my terminal > /dev/tty'; exit 3";
    let mut terminal = Terminal::new(&sandbox, &run(&[], &["sh", "-c", script]));
    let said = terminal.expect("to my terminal\r\n");
    assert_eq!(
        said,
        "/dev/pts/0\r\nall\r\n/dev/pts/0\r\nxterm\r\n0 ptmx character special file 88\r\nto the console\r\nto my terminal\r\n"
    );
    terminal.ends(3);
}

#[test]
fn a_shell_on_it_is_a_session() {
    let sandbox = Sandbox::with_alpine();
    let mut terminal = Terminal::new(&sandbox, &run(&["-e", "PS1=[ready]"], &["sh"]));
    // A shell that found no controlling terminal says so first.
    assert_eq!(terminal.expect("[ready]").trim_start_matches("\x1b[6n"), "[ready]");
    terminal.becomes_raw();
    terminal.kind("sleep 600\r");
    terminal.expect("sleep 600");
    wait_until("it sleeps", || sandbox.ok(&["top", "box"]).contains("sleep 600"));
    // Ctrl-C ends the program in the foreground, and not the shell.
    terminal.kind("\x03");
    terminal.expect("[ready]");
    terminal.kind("sleep 600\r");
    wait_until("it sleeps", || sandbox.ok(&["top", "box"]).contains("sleep 600"));
    // Ctrl-Z puts it aside.
    terminal.kind("\x1a");
    terminal.expect("Stopped");
    terminal.kind("kill -9 %1; echo $((6 * 7))\r");
    terminal.expect("42\r\n");
    terminal.kind("wait; echo $((7 * 8))\r");
    terminal.expect("56\r\n");
    // Ctrl-D is the end of what is typed.
    terminal.kind("\x04");
    terminal.ends(0);
    assert_eq!(sandbox.look("box", "{{.State.Status}}"), "exited");
}

#[test]
fn what_is_typed_is_echoed_once_and_arrives() {
    let sandbox = Sandbox::with_alpine();
    let mut terminal =
        Terminal::new(&sandbox, &run(&["--rm"], &["sh", "-c", "echo ready; read a; echo \"got <$a>\"; cat; exit 5"]));
    terminal.expect("ready\r\n");
    terminal.becomes_raw();
    terminal.kind("жук\r");
    assert_eq!(terminal.expect("got <жук>\r\n"), "жук\r\ngot <жук>\r\n");
    terminal.kind("line\r");
    assert_eq!(terminal.expect("line\r\nline\r\n"), "line\r\nline\r\n");
    terminal.kind("\x04");
    terminal.ends(5);
}

#[test]
fn ctrl_c_reaches_the_process() {
    let sandbox = Sandbox::with_alpine();
    for flags in [&["--rm"][..], &["--rm", "--init"]] {
        let script = "trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.1; done";
        let mut terminal = Terminal::new(&sandbox, &run(flags, &["sh", "-c", script]));
        terminal.expect("ready\r\n");
        terminal.becomes_raw();
        terminal.kind("\x03");
        terminal.expect("caught");
        terminal.ends(7);
    }
}

#[test]
fn the_size_is_there_from_the_first_moment_and_follows() {
    let sandbox = Sandbox::with_alpine();
    for _ in 0..8 {
        let mut terminal = Terminal::new(&sandbox, &run(&["--rm"], &["stty", "size"]));
        assert_eq!(terminal.expect("\r\n"), "33 101\r\n");
        terminal.ends(0);
    }
    let script = "trap 'stty size' WINCH; echo ready; while [ ! -e /end ]; do sleep 0.05; done";
    let mut terminal = Terminal::new(&sandbox, &run(&[], &["sh", "-c", script]));
    terminal.expect("ready\r\n");
    terminal.becomes_raw();
    for (rows, columns) in [(50, 120), (10, 20), (200, 400)] {
        set_size(&terminal.keys, rows, columns);
        terminal.expect(&format!("{rows} {columns}\r\n"));
    }
    // A second process has a terminal of its own, with the size of whoever looks at it.
    let mut second = Terminal::new(
        &sandbox,
        &[
            "exec",
            "-it",
            "box",
            "sh",
            "-c",
            "tty; stty size; trap 'stty size' WINCH; echo ready; while [ ! -e /two ]; do sleep 0.05; done; exit 4",
        ],
    );
    assert_eq!(second.expect("ready\r\n"), "/dev/pts/1\r\n33 101\r\nready\r\n");
    second.becomes_raw();
    set_size(&second.keys, 44, 88);
    second.expect("44 88\r\n");
    sandbox.ok(&["exec", "box", "touch", "/two"]);
    second.ends(4);
    sandbox.ok(&["exec", "box", "touch", "/end"]);
    terminal.ends(0);
    let screen = terminal.seen.lock().unwrap().clone();
    assert!(!screen.contains("44 88"), "one terminal's size reached the other");
}

#[test]
fn the_keys_that_let_go() {
    let sandbox = Sandbox::with_alpine();
    let script = "echo ready; while read line; do echo \"got <$line>\"; done; exit 6";
    let mut terminal = Terminal::new(&sandbox, &run(&[], &["sh", "-c", script]));
    terminal.expect("ready\r\n");
    terminal.becomes_raw();
    // The first of them alone is meant for the container.
    terminal.kind("a\x10b\r");
    terminal.expect("got <a\x10b>\r\n");
    terminal.kind("\x10");
    std::thread::sleep(Duration::from_millis(100));
    terminal.kind("\x11");
    terminal.ends(0);
    assert_eq!(sandbox.look("box", "{{.State.Status}}"), "running");

    // Come back, with other keys.
    let mut terminal = Terminal::new(&sandbox, &["attach", "--detach-keys", "ctrl-x,q", "box"]);
    terminal.becomes_raw();
    terminal.kind("still\r");
    terminal.expect("got <still>\r\n");
    // The usual ones are typed through now; the second of them has a meaning of its own to the container's terminal.
    terminal.kind("\x10\x11!\r");
    terminal.expect("got <\x10!>\r\n");
    terminal.kind("\x18q");
    terminal.ends(0);
    assert_eq!(sandbox.look("box", "{{.State.Status}}"), "running");

    let mut terminal = Terminal::new(&sandbox, &["attach", "box"]);
    terminal.becomes_raw();
    terminal.kind("\x04");
    terminal.ends(6);
    // What it printed meanwhile is in its log, as the terminal had it.
    assert!(sandbox.ok(&["logs", "box"]).contains("got <still>\r\n"));
}

#[test]
fn the_terminal_is_put_back_however_the_client_ends() {
    let sandbox = Sandbox::with_alpine();
    for signal in [Signal::SIGKILL, Signal::SIGHUP, Signal::SIGABRT] {
        let mut terminal = Terminal::new(&sandbox, &run(&[], &["sh", "-c", "echo ready; exec sleep 600"]));
        terminal.expect("ready\r\n");
        terminal.becomes_raw();
        kill(terminal.client(), signal).unwrap();
        terminal.expect("[ended with ");
        terminal.is_as_before();
        // What is typed now is the shell's, and is echoed by the terminal again.
        terminal.kind("hello\r");
        terminal.expect("hello\r\n");
        assert_eq!(sandbox.look("box", "{{.State.Status}}"), "running", "{signal}");
        sandbox.ok(&["rm", "-f", "box"]);
    }
    // SIGTERM is the container's, unless the client keeps it for itself.
    let script = "trap 'exit 8' TERM; echo ready; while :; do sleep 0.05; done";
    let mut terminal = Terminal::new(&sandbox, &run(&["--rm"], &["sh", "-c", script]));
    terminal.expect("ready\r\n");
    terminal.becomes_raw();
    kill(terminal.client(), Signal::SIGTERM).unwrap();
    terminal.ends(8);
    let words = [&RUN[..], &["--sig-proxy=false", "alpine", "sh", "-c", script]].concat();
    let mut terminal = Terminal::new(&sandbox, &words);
    terminal.expect("ready\r\n");
    terminal.becomes_raw();
    kill(terminal.client(), Signal::SIGTERM).unwrap();
    terminal.expect("[ended with ");
    terminal.is_as_before();
    assert_eq!(sandbox.look("box", "{{.State.Status}}"), "running");
}

#[test]
fn the_terminal_is_put_back_however_the_container_ends() {
    let sandbox = Sandbox::with_alpine();
    let mut terminal = Terminal::new(&sandbox, &run(&["--rm"], &["no-such-command"]));
    terminal.ends(127);
    for (how, code) in [(&["kill", "box"][..], 137), (&["stop", "-t", "0", "box"], 137), (&["rm", "-f", "box"], 137)] {
        let mut terminal =
            Terminal::new(&sandbox, &run(&["--rm"], &["sh", "-c", "stty -echo; echo ready; exec sleep 600"]));
        terminal.expect("ready\r\n");
        terminal.becomes_raw();
        sandbox.ok(how);
        terminal.ends(code);
        wait_until("the name is free", || sandbox.stored("container-names").is_empty());
    }
    // Its monitor is killed: nobody says how it ended, but the terminal is whole.
    let mut terminal = Terminal::new(&sandbox, &run(&[], &["sh", "-c", "echo ready; exec sleep 600"]));
    terminal.expect("ready\r\n");
    terminal.becomes_raw();
    let payload = sandbox.look("box", "{{.State.Pid}}");
    let status = fs::read_to_string(format!("/proc/{payload}/status")).unwrap();
    let monitor: i32 = status.lines().find_map(|l| l.strip_prefix("PPid:\t")).unwrap().parse().unwrap();
    kill(Pid::from_raw(monitor), Signal::SIGKILL).unwrap();
    terminal.expect("monitor was killed");
    terminal.ends(125);
}

#[test]
fn a_second_process_on_a_terminal_lets_go_too() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("box");
    let mut terminal = Terminal::new(&sandbox, &["exec", "-it", "-e", "PS1=[ready]", "box", "sh"]);
    terminal.expect("[ready]");
    terminal.becomes_raw();
    terminal.kind("tty; exit 9\r");
    terminal.expect("/dev/pts/0\r\n");
    terminal.ends(9);
    let mut terminal = Terminal::new(&sandbox, &["exec", "-it", "box", "sh", "-c", "echo ready; exec sleep 603"]);
    terminal.expect("ready\r\n");
    terminal.becomes_raw();
    terminal.kind("\x10\x11");
    terminal.ends(0);
    assert!(sandbox.ok(&["top", "box"]).contains("sleep 603"));
    let mut terminal = Terminal::new(&sandbox, &["exec", "-it", "box", "sh", "-c", "echo ready; exec sleep 604"]);
    terminal.expect("ready\r\n");
    terminal.becomes_raw();
    kill(terminal.client(), Signal::SIGKILL).unwrap();
    terminal.expect("[ended with 137]");
    terminal.is_as_before();
}

#[test]
fn the_end_of_a_session_leaves_the_container() {
    let sandbox = Sandbox::with_alpine();
    let mut terminal =
        Terminal::new(&sandbox, &run(&[], &["sh", "-c", "echo ready; while read line; do echo \"got <$line>\"; done"]));
    terminal.expect("ready\r\n");
    terminal.becomes_raw();
    // The window is closed.
    drop(terminal);
    wait_until("the client has gone", || !sandbox.left_behind().iter().any(|l| l.contains(" run -it ")));
    assert_eq!(sandbox.look("box", "{{.State.Status}}"), "running");
    let mut terminal = Terminal::new(&sandbox, &["attach", "box"]);
    terminal.becomes_raw();
    terminal.kind("again\r");
    terminal.expect("got <again>\r\n");
}

#[test]
fn a_detached_container_waits_on_its_terminal() {
    let sandbox = Sandbox::with_alpine();
    let script = "tty; while read line; do echo \"got <$line>\"; done; exit 2";
    sandbox.ok(&["run", "-dit", "--name", "box", "--network", "none", "alpine", "sh", "-c", script]);
    sandbox.wait_for_log("box", "/dev/pts/0\r\n");
    let mut terminal = Terminal::new(&sandbox, &["attach", "box"]);
    terminal.becomes_raw();
    terminal.kind("hello\r");
    terminal.expect("got <hello>\r\n");
    terminal.kind("\x04");
    terminal.ends(2);
    // Started again, it has one again.
    let mut terminal = Terminal::new(&sandbox, &["start", "-ai", "box"]);
    terminal.expect("/dev/pts/0\r\n");
    terminal.becomes_raw();
    terminal.kind("\x04");
    terminal.ends(2);
}

#[test]
fn much_output_comes_whole() {
    let sandbox = Sandbox::with_alpine();
    let mut terminal = Terminal::new(&sandbox, &run(&["--rm"], &["sh", "-c", "echo begin; seq 1 40000; exit 1"]));
    terminal.expect("begin\r\n");
    terminal.ends(1);
    let screen = terminal.seen.lock().unwrap().clone();
    let body = &screen[screen.find("begin\r\n").unwrap() + 7..screen.find("[ended").unwrap()];
    let expected: String = (1..=40_000).map(|n| format!("{n}\r\n")).collect();
    assert!(body == expected, "{} bytes of {}", body.len(), expected.len());
}

#[test]
fn without_a_terminal_there_is_none_to_give() {
    let sandbox = Sandbox::with_alpine();
    for words in [&["run", "--rm", "-it", "--network", "none", "alpine", "true"][..], &["exec", "-it", "box", "true"]] {
        if words[0] == "exec" {
            sandbox.sleeper("box");
        }
        let output = sandbox.run_with_input(words, b"typed");
        let said = output.fails(1);
        assert!(said.contains("standard input") && said.contains("leave out -t"), "{said}");
    }
    assert_eq!(sandbox.ok(&["ps", "-aq"]).lines().count(), 1, "a container was made");
    // Without -i nothing is typed: a terminal for its output it may have.
    let output = sandbox.run_with_input(&["run", "--rm", "-t", "--network", "none", "alpine", "tty"], b"");
    assert_eq!((output.code, output.stdout.as_str()), (0, "/dev/pts/0\r\n"), "{}", output.stderr);
    // With a terminal here and none asked for, it gets none.
    let mut terminal = Terminal::new(
        &sandbox,
        &["run", "--rm", "-i", "--network", "none", "alpine", "sh", "-c", "tty; test -t 1 || echo plain; cat"],
    );
    assert_eq!(terminal.expect("plain\r\n"), "not a tty\r\nplain\r\n");
    assert!(!terminal.is_raw());
    terminal.kind("line\r");
    terminal.expect("line\r\nline\r\n");
    terminal.kind("\x04");
    terminal.ends(0);
}

#[test]
fn script_of_util_linux_records_a_session() {
    require!(Need::Tool("script"));
    let sandbox = Sandbox::with_alpine();
    let record = sandbox.file("typescript");
    let line = format!("{} run --rm -it --network none alpine sh -c 'tty; exit 4'", Sandbox::binary());
    let output = sandbox.run_other("script", &["-qec", &line, record.to_str().unwrap()]);
    assert_eq!(output.code, 4, "{}", output.streams());
    assert!(fs::read_to_string(&record).unwrap().contains("/dev/pts/0"));
}

#[test]
fn a_terminal_that_nobody_holds_leaves_its_monitor_asleep() {
    let sandbox = Sandbox::with_alpine();
    let script = "echo begun; exec </dev/null >/dev/null 2>&1; while [ ! -e /tmp/go ]; do sleep 1; done
        echo back > /dev/pts/0; exec sleep 600";
    let words = ["run", "-dt", "--network", "none", "--name", "box", "alpine", "sh", "-c", script];
    let id = sandbox.ok(&words);
    sandbox.wait_for_log("box", "begun");
    let state = fs::read_to_string(sandbox.root().join("containers").join(id.trim()).join("state.json")).unwrap();
    let state: serde_json::Value = serde_json::from_str(&state).unwrap();
    let status = format!("/proc/{}/status", state["monitor"][0]);
    let wake_ups = || -> u64 {
        let text = fs::read_to_string(&status).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        line.trim().parse().unwrap()
    };
    std::thread::sleep(Duration::from_millis(500));
    let before = wake_ups();
    std::thread::sleep(Duration::from_secs(2));
    let during = wake_ups() - before;
    assert!(during < 10, "the monitor woke up {during} times in two seconds");
    sandbox.ok(&["exec", "box", "touch", "/tmp/go"]);
    sandbox.wait_for_log("box", "back");
    sandbox.ok(&["rm", "-f", "box"]);
}
