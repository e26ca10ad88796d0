//! `--restart`: containers that their monitor starts again.

use crate::common::{Sandbox, free_port, verdict_codes, wait, wait_until};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Returns how often a container was started again.
#[track_caller]
fn restarts(sandbox: &Sandbox, name: &str) -> u32 {
    sandbox.look(name, "{{.RestartCount}}").parse().unwrap()
}

#[test]
fn on_failure_starts_again_as_often_as_it_says() {
    let sandbox = Sandbox::with_alpine();
    let script = "echo run >> /count; echo run $(wc -l < /count); exit 7";
    let id = sandbox.detached(&["--name", "fails", "--restart", "on-failure:3"], script);
    sandbox.wait_for_status("fails", "exited");
    assert_eq!(sandbox.ok(&["logs", "fails"]), "run 1\nrun 2\nrun 3\nrun 4\n");
    let policy = "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}";
    assert_eq!(sandbox.look(&id, policy), "on-failure 3");
    assert_eq!(sandbox.look(&id, "{{.RestartCount}} {{.State.ExitCode}} {{.State.Running}}"), "3 7 false");
    // A command begins to count anew.
    sandbox.ok(&["start", "fails"]);
    wait_until("it has run eight times", || sandbox.ok(&["logs", "fails"]).ends_with("run 8\n"));
    sandbox.wait_for_status("fails", "exited");
    assert_eq!(restarts(&sandbox, "fails"), 3);
}

#[test]
fn update_gives_and_takes_a_policy() {
    let sandbox = Sandbox::with_alpine();
    let policy = |name: &str| sandbox.look(name, "{{.HostConfig.RestartPolicy.Name}}");
    sandbox.detached(&["--name", "ends", "--restart", "always"], "exec sleep 600");
    sandbox.ok(&["update", "--restart", "no", "ends"]);
    assert_eq!(policy("ends"), "no");
    let first = sandbox.look("ends", "{{.State.Pid}}");
    sandbox.run_other("kill", &["-9", &first]);
    sandbox.wait_for_status("ends", "exited");
    assert_eq!(restarts(&sandbox, "ends"), 0);
    // What runs without a policy learns of one at its next start.
    sandbox.detached(&["--name", "later"], "exit 3");
    sandbox.wait_for_status("later", "exited");
    let output = sandbox.run(&["update", "--restart", "on-failure:2", "later"]);
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    sandbox.ok(&["start", "later"]);
    wait_until("it was started again", || restarts(&sandbox, "later") == 2);
    sandbox.detached(&["--name", "now"], "exec sleep 600");
    let output = sandbox.run(&["update", "--restart", "always", "now"]);
    assert!(output.code == 0 && output.stderr.contains("takes effect at its next start"), "{}", output.stderr);
    sandbox.detached(&["--name", "goes", "--rm"], "exec sleep 600");
    let output = sandbox.run(&["update", "--restart", "always", "goes"]);
    assert!(output.code == 1 && output.stderr.contains("it was made with --rm"), "{}", output.stderr);
    let output = sandbox.run(&["update", "--restart", "sometimes", "now"]);
    assert!(output.code == 125 && output.stderr.contains("sometimes"), "{}", output.stderr);
    assert_eq!(sandbox.run(&["update", "now"]).code, 125);
}

#[test]
fn on_failure_lets_a_success_be() {
    let sandbox = Sandbox::with_alpine();
    let script = "echo run >> /count; [ $(wc -l < /count) -eq 2 ]";
    sandbox.detached(&["--name", "second", "--restart", "on-failure"], script);
    sandbox.wait_for_status("second", "exited");
    assert_eq!(sandbox.look("second", "{{.RestartCount}} {{.State.ExitCode}}"), "1 0");
}

#[test]
fn always_starts_again_whatever_the_code_until_it_is_stopped() {
    let sandbox = Sandbox::with_alpine();
    for policy in ["always", "unless-stopped"] {
        sandbox.detached(&["--name", policy, "--restart", policy], "echo run");
        wait_until("it waits for long enough", || restarts(&sandbox, policy) >= 5);
        sandbox.wait_for_status(policy, "restarting");
        assert_eq!(sandbox.look(policy, "{{.State.Running}} {{.State.Restarting}} {{.State.Pid}}"), "true true 0");
        let listed = sandbox.ok(&["ps"]);
        assert!(listed.contains("Restarting (0) "), "{listed}");
        assert_eq!(sandbox.ok(&["stop", policy]), format!("{policy}\n"));
        assert_eq!(sandbox.look(policy, "{{.State.Status}} {{.State.Restarting}}"), "exited false");
        let count = restarts(&sandbox, policy);
        assert!(!wait(Duration::from_secs(1), || restarts(&sandbox, policy) != count));
        sandbox.ok(&["rm", policy]);
    }
}

#[test]
fn one_that_runs_stays_ended_after_stop_and_kill_but_not_after_a_crash() {
    let sandbox = Sandbox::with_alpine();
    let flags = ["--name", "server", "--restart", "always"];
    sandbox.detached(&flags, "trap 'exit 5' TERM; echo begun; while :; do sleep 0.05; done");
    let pid = || sandbox.look("server", "{{.State.Pid}}");
    let first = pid();
    // Killed by somebody else, as by a crash.
    let killed = sandbox.run_other("kill", &["-KILL", &first]);
    if killed.code == 0 {
        wait_until("another process runs", || ![first.as_str(), "0"].contains(&pid().as_str()));
        assert_eq!(sandbox.look("server", "{{.RestartCount}} {{.State.Status}} {{.State.ExitCode}}"), "1 running 0");
    }
    sandbox.ok(&["stop", "-t", "0", "server"]);
    for command in [&["stop", "-t", "0", "server"][..], &["kill", "server"], &["kill", "-s", "TERM", "server"]] {
        let begun = || sandbox.ok(&["logs", "server"]).lines().count();
        let before = begun();
        sandbox.ok(&["start", "server"]);
        wait_until("its handler is set", || begun() > before);
        sandbox.ok(command);
        sandbox.wait_for_status("server", "exited");
        assert!(!wait(Duration::from_millis(600), || sandbox.look("server", "{{.State.Status}}") != "exited"));
    }
}

#[test]
fn while_it_waits_it_cannot_be_entered_or_removed_without_force() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "loops", "--restart", "always"], "exit 3");
    wait_until("it waits for long enough", || restarts(&sandbox, "loops") >= 5);
    sandbox.wait_for_status("loops", "restarting");
    let said = sandbox.fails(1, &["exec", "loops", "true"]);
    assert!(said.contains("container loops is restarting"), "{said}");
    let said = sandbox.fails(1, &["rm", "loops"]);
    assert!(said.contains("cannot remove container loops: it is restarting"), "{said}");
    assert_eq!(sandbox.ok(&["start", "loops"]), "loops\n");
    let codes = verdict_codes(&sandbox, "loops");
    assert_eq!(codes.first().map(String::as_str), Some("crash-loop"), "{codes:?}");
    let said = sandbox.ok(&["why", "loops"]);
    assert!(said.contains("loops ends again and again") && said.contains("its last exit code was 3"), "{said}");
    assert_eq!(sandbox.ok(&["rm", "-f", "loops"]), "loops\n");
    sandbox.fails(1, &["inspect", "loops"]);
}

#[test]
fn its_command_hears_of_the_first_end_and_logs_follow_all() {
    let sandbox = Sandbox::with_alpine();
    let script = "echo run >> /count; echo run $(wc -l < /count); [ $(wc -l < /count) -eq 3 ]";
    let words =
        ["run", "--name", "front", "--network", "none", "--restart", "on-failure", "alpine", "sh", "-c", script];
    let first = sandbox.run(&words);
    assert_eq!((first.code, first.stdout.as_str()), (1, "run 1\n"), "{}", first.stderr);
    assert_eq!(sandbox.ok(&["logs", "-f", "front"]), "run 1\nrun 2\nrun 3\n");
    assert_eq!(sandbox.look("front", "{{.State.Status}} {{.RestartCount}}"), "exited 2");
}

#[test]
fn a_start_that_fails_ends_the_restarts() {
    let sandbox = Sandbox::with_alpine();
    let script = "rm /bin/sh; exit 1";
    sandbox.detached(&["--name", "gone", "--restart", "always"], script);
    sandbox.wait_for_status("gone", "exited");
    assert_eq!(sandbox.look("gone", "{{.State.ExitCode}} {{.RestartCount}}"), "127 1");
    let error = sandbox.look("gone", "{{.State.Error}}");
    assert!(error.contains("no such file"), "{error}");
}

#[test]
fn mounts_terminal_and_input_are_there_each_time() {
    let sandbox = Sandbox::with_alpine();
    let directory = sandbox.file("bound");
    std::fs::create_dir(&directory).unwrap();
    std::fs::write(directory.join("file"), "").unwrap();
    let bound = format!("{}:/bound", directory.display());
    let file = format!("{}:/etc/bound", directory.join("file").display());
    let script =
        "echo run >> /bound/file; tty; ls -d /dev/null /vol | cat; cat /etc/hostname; wc -l < /etc/bound; exit 1";
    let flags = ["-t", "-h", "box", "-v", &bound, "-v", &file, "-v", "data:/vol", "--restart", "on-failure:2"];
    sandbox.detached(&[&["--name", "mounts"], &flags[..]].concat(), script);
    sandbox.wait_for_status("mounts", "exited");
    let run = |number| format!("/dev/pts/0\r\n/dev/null\r\n/vol\r\nbox\r\n{number}\r\n");
    assert_eq!(sandbox.ok(&["logs", "mounts"]), [run(1), run(2), run(3)].concat());
    assert_eq!(std::fs::read_to_string(directory.join("file")).unwrap(), "run\nrun\nrun\n");
}

#[test]
fn a_published_port_answers_after_a_restart() {
    let sandbox = Sandbox::with_alpine();
    let port = free_port();
    let publish = format!("127.0.0.1:{port}:7000");
    let script = "echo run >> /count; echo run $(wc -l < /count) | nc -l -p 7000; exit 1";
    sandbox.ok(&["run", "-d", "--name", "web", "-p", &publish, "--restart", "always", "alpine", "sh", "-c", script]);
    for number in 1..=3 {
        let expected = format!("run {number}\n");
        let mut answers = Vec::new();
        wait_until("it answers once more", || {
            let answer = ask(port);
            answers.push(answer.clone());
            answer == expected
        });
    }
    assert!(restarts(&sandbox, "web") >= 2);
    sandbox.ok(&["rm", "-f", "web"]);
    assert_eq!(ask(port), "");
}

fn ask(port: u16) -> String {
    let mut answer = String::new();
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
        let _ = stream.write_all(b"x");
        let _ = stream.read_to_string(&mut answer);
    }
    answer
}

#[test]
fn the_delay_grows() {
    let sandbox = Sandbox::with_alpine();
    let begun = Instant::now();
    sandbox.detached(&["--name", "slower", "--restart", "on-failure:4"], "exit 1");
    sandbox.wait_for_status("slower", "exited");
    assert!(begun.elapsed() >= Duration::from_millis(100 + 200 + 400 + 800), "{:?}", begun.elapsed());
}

#[test]
fn a_restart_waits_for_a_commit() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "waits", "--restart", "always"], "echo run >> /count; exit 1");
    wait_until("it waits for some time", || restarts(&sandbox, "waits") >= 4);
    sandbox.ok(&["commit", "waits", "saved"]);
    let count = restarts(&sandbox, "waits");
    wait_until("it goes on", || restarts(&sandbox, "waits") > count);
    sandbox.ok(&["rm", "-f", "waits"]);
}

#[test]
fn restart_and_kill_9_of_the_monitor() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "again", "--restart", "always"], "exit 1");
    wait_until("it was started again", || restarts(&sandbox, "again") >= 2);
    // The command starts it, whatever its policy waits for, and counts anew.
    sandbox.ok(&["restart", "-t", "0", "again"]);
    wait_until("it was started again after that", || restarts(&sandbox, "again") >= 1);
    assert_eq!(sandbox.ok(&["stop", "again"]), "again\n");
    sandbox.detached(&["--name", "victim", "--restart", "always"], "exec sleep 600");
    let pid = sandbox.look("victim", "{{.State.Pid}}");
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let monitor = stat.rsplit_once(") ").unwrap().1.split(' ').nth(1).unwrap().to_owned();
    if sandbox.run_other("kill", &["-KILL", &monitor]).code == 0 {
        sandbox.wait_for_status("victim", "exited");
        assert_eq!(sandbox.ok(&["start", "victim"]), "victim\n");
        sandbox.wait_for_status("victim", "running");
    }
}

#[test]
fn policies_that_cannot_be_are_refused() {
    let sandbox = Sandbox::new();
    let refused = |flags: &[&str]| sandbox.fails(125, &[&["run"], flags, &["alpine"]].concat());
    for policy in ["sometimes", "always:3", "on-failure:x"] {
        let said = refused(&["--restart", policy]);
        assert!(said.contains(&format!("invalid restart policy \"{policy}\"")) && said.contains("hint:"), "{said}");
    }
    let said = refused(&["--rm", "--restart", "always"]);
    assert!(said.contains("--rm and --restart exclude each other"), "{said}");
    let sandbox = Sandbox::with_alpine();
    assert_eq!(sandbox.sh(&["--restart", "always", "--restart", "no"], "exit 4").code, 4);
}
