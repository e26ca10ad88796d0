//! `pause` and `unpause`: processes that stand still and go on, in every state of a container.

use crate::common::{Sandbox, wait_until};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// A container that counts into a file of the host.
struct Counter {
    sandbox: Sandbox,
    file: PathBuf,
}

impl Counter {
    fn new(name: &str) -> Self {
        let sandbox = Sandbox::with_alpine();
        let host = sandbox.file("host");
        fs::create_dir(&host).unwrap();
        let script = "trap 'exit 3' TERM; n=0; while :; do n=$((n+1)); echo $n > /host/new; mv /host/new /host/n; sleep 0.01; done";
        sandbox.detached(&["--name", name, "-v", &format!("{}:/host", host.display())], script);
        let counter = Self { sandbox, file: host.join("n") };
        wait_until("it counts", || counter.file.exists());
        counter
    }

    fn number(&self) -> u64 {
        fs::read_to_string(&self.file).unwrap().trim().parse().unwrap()
    }

    fn stands_still(&self) {
        let before = self.number();
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(self.number(), before);
    }

    fn goes_on(&self) {
        let before = self.number();
        wait_until("it goes on", || self.number() > before);
    }

    fn status(&self, name: &str) -> String {
        self.sandbox.look(name, "{{.State.Status}} {{.State.Running}} {{.State.Paused}}")
    }
}

#[test]
fn it_stands_still_and_goes_on() {
    let counter = Counter::new("one");
    let sandbox = &counter.sandbox;
    assert_eq!(sandbox.ok(&["pause", "one"]), "one\n");
    counter.stands_still();
    assert_eq!(counter.status("one"), "paused true true");
    let listed = sandbox.ok(&["ps"]);
    assert!(listed.contains(" (Paused)   "), "{listed}");
    // Nobody enters or attaches, with the way out named.
    for words in [&["exec", "one", "true"][..], &["attach", "one"], &["start", "one"], &["start", "-a", "one"]] {
        let said = sandbox.fails(1, words);
        assert!(said.contains("container one is paused") && said.contains("minirun unpause one"), "{said}");
    }
    // Looking at it and copying it leave it as it is.
    assert!(sandbox.ok(&["top", "one"]).contains("while :"));
    sandbox.ok(&["commit", "one", "image"]);
    counter.stands_still();
    assert_eq!(sandbox.ok(&["container", "unpause", "one"]), "one\n");
    counter.goes_on();
    assert_eq!(counter.status("one"), "running true false");
    assert!(!sandbox.ok(&["ps"]).contains("Paused"));
}

#[test]
fn in_the_wrong_state_it_is_refused() {
    let sandbox = Sandbox::with_alpine();
    for name in ["one", "two"] {
        sandbox.sleeper(name);
    }
    sandbox.ok(&["create", "--name", "idle", "alpine", "true"]);
    let said = sandbox.fails(1, &["unpause", "one"]);
    assert!(said.contains("container one is not paused"), "{said}");
    let said = sandbox.fails(1, &["pause", "idle"]);
    assert!(said.contains("container idle is not running"), "{said}");
    let output = sandbox.run(&["pause", "one", "nobody", "two"]);
    assert_eq!((output.code, output.stdout.as_str()), (1, "one\ntwo\n"), "{}", output.stderr);
    let said = sandbox.fails(1, &["pause", "one"]);
    assert!(said.contains("container one is paused already"), "{said}");
    let said = sandbox.fails(1, &["rm", "one"]);
    assert!(said.contains("cannot remove container one"), "{said}");
    sandbox.ok(&["unpause", "one"]);
    // All that it can act on: not those that are in the state already.
    assert_eq!(sandbox.ok(&["pause", "--all"]), "one\n");
    assert_eq!(sandbox.ok(&["unpause", "--all"]).lines().count(), 2);
    assert_eq!(sandbox.ok(&["unpause", "-a"]), "");
}

#[test]
fn a_paused_one_is_stopped_killed_and_removed() {
    let counter = Counter::new("one");
    let sandbox = &counter.sandbox;
    sandbox.ok(&["pause", "one"]);
    // It hears the signal, and ends as it wishes.
    assert_eq!(sandbox.ok(&["stop", "-t", "60", "one"]), "one\n");
    assert_eq!(sandbox.look("one", "{{.State.Status}} {{.State.ExitCode}} {{.State.Paused}}"), "exited 3 false");
    sandbox.ok(&["start", "one"]);
    counter.goes_on();
    sandbox.ok(&["pause", "one"]);
    sandbox.ok(&["kill", "one"]);
    assert_eq!(sandbox.look("one", "{{.State.Status}} {{.State.ExitCode}} {{.State.Paused}}"), "exited 137 false");
    sandbox.ok(&["start", "one"]);
    sandbox.ok(&["pause", "one"]);
    sandbox.ok(&["restart", "-t", "30", "one"]);
    counter.goes_on();
    assert_eq!(counter.status("one"), "running true false");
    sandbox.ok(&["pause", "one"]);
    assert_eq!(sandbox.ok(&["rm", "-f", "one"]), "one\n");
}

#[test]
fn other_signals_wait_until_it_goes_on() {
    let sandbox = Sandbox::with_alpine();
    let script = "trap 'echo heard' USR1; echo ready; while :; do sleep 0.05; done";
    sandbox.detached(&["--name", "one"], script);
    sandbox.wait_for_log("one", "ready");
    sandbox.ok(&["pause", "one"]);
    sandbox.ok(&["kill", "-s", "USR1", "one"]);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(sandbox.ok(&["logs", "one"]), "ready\n");
    sandbox.ok(&["unpause", "one"]);
    sandbox.wait_for_log("one", "heard");
}

#[test]
fn a_second_process_stands_still_too_and_what_stood_stays() {
    let counter = Counter::new("one");
    let sandbox = &counter.sandbox;
    let script =
        "sleep 600 & kill -STOP $!; echo $! > /stood; while :; do date +%s%N > /new; mv /new /second; sleep 0.01; done";
    sandbox.ok(&["exec", "-d", "one", "sh", "-c", script]);
    wait_until("the second one runs", || sandbox.run(&["exec", "one", "cat", "/second"]).code == 0);
    let upper = sandbox.root().join("containers").join(sandbox.look("one", "{{.Id}}")).join("upper");
    let time = || fs::read_to_string(upper.join("second")).unwrap_or_default();
    sandbox.ok(&["pause", "one"]);
    let before = time();
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(time(), before);
    sandbox.ok(&["unpause", "one"]);
    wait_until("the second one goes on", || time() != before);
    let state = "cat /proc/$(cat /stood)/stat | cut -d' ' -f3";
    assert_eq!(sandbox.ok(&["exec", "one", "sh", "-c", state]), "T\n");
}

#[test]
fn a_killed_monitor_leaves_no_paused_one() {
    let counter = Counter::new("one");
    let sandbox = &counter.sandbox;
    sandbox.ok(&["pause", "one"]);
    let status = fs::read_to_string(format!("/proc/{}/status", sandbox.look("one", "{{.State.Pid}}"))).unwrap();
    let monitor = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim().to_owned();
    sandbox.run_other("kill", &["-9", &monitor]).ok();
    sandbox.wait_for_status("one", "exited");
    assert_eq!(counter.status("one"), "exited false false");
    sandbox.ok(&["start", "one"]);
    counter.goes_on();
}

#[test]
fn restart_keeps_what_would_remove_itself() {
    let sandbox = Sandbox::with_alpine();
    let script = "echo run >> /count; cat /count | wc -l; exec sleep 600";
    sandbox.detached(&["--rm", "--name", "rr"], script);
    for runs in 2..4 {
        sandbox.wait_for_log("rr", &(runs - 1).to_string());
        assert_eq!(sandbox.ok(&["restart", "-t", "0", "rr"]), "rr\n");
        sandbox.wait_for_log("rr", &runs.to_string());
        assert_eq!(sandbox.look("rr", "{{.State.Status}}"), "running");
    }
    // Then it removes itself all the same.
    sandbox.ok(&["stop", "-t", "0", "rr"]);
    wait_until("it is gone", || sandbox.ok(&["ps", "-a", "-q"]).is_empty());
}
