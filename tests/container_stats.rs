//! `stats` and `update`: what containers use, and other limits for them.

use crate::common::terminal::Terminal;
use crate::common::{Need, Sandbox, wait_until};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

const HEADER: &str = "CONTAINER ID NAME CPU % MEM USAGE / LIMIT MEM % NET I/O BLOCK I/O PIDS";

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn json(sandbox: &Sandbox, name: &str) -> Value {
    let said = sandbox.ok(&["stats", "--no-stream", "--format", "json", name]);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

#[test]
fn one_look() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.detached(&["--name", "idle"], "sleep 601 & exec sleep 602");
    wait_until("both run", || sandbox.ok(&["top", "idle"]).lines().count() == 3);
    let output = sandbox.run(&["stats", "--no-stream"]);
    let mut lines = output.stdout.lines().map(words);
    assert_eq!(lines.next().unwrap(), HEADER);
    let row = lines.next().unwrap();
    assert!(row.starts_with(&format!("{} idle 0.00% ", &id[..12])) && row.ends_with(" 2"), "{row}");
    assert_eq!(lines.next(), None);
    assert!(output.stderr.contains("no control group counts"), "{}", output.stderr);
    assert!(sandbox.ok(&["stats", "--no-stream", "--no-trunc", "idle"]).contains(&id));
    // What does not run is shown on request, and uses nothing.
    sandbox.ok(&["create", "--name", "cold", "alpine", "true"]);
    assert!(!sandbox.ok(&["stats", "--no-stream"]).contains("cold"));
    let all = sandbox.ok(&["container", "stats", "--no-stream", "-a"]);
    let cold = all.lines().map(words).find(|line| line.contains("cold")).unwrap();
    assert!(cold.ends_with("cold 0.00% 0B / 0B 0.00% 0B / 0B 0B / 0B 0"), "{cold}");
    let said = sandbox.fails(1, &["stats", "--no-stream", "nobody"]);
    assert!(said.contains("no such container: nobody"), "{said}");
    sandbox.fails(125, &["stats", "--interval", "0"]);
}

#[test]
fn what_it_uses() {
    let sandbox = Sandbox::with_alpine();
    let script = "head -c 30000000 /dev/zero > /dev/shm/held; echo held; while :; do :; done";
    sandbox.detached(&["--name", "busy"], script);
    sandbox.wait_for_log("busy", "held");
    let row = json(&sandbox, "busy");
    let names = ["BlockIO", "CPUPerc", "Container", "ID", "MemPerc", "MemUsage", "Name", "NetIO", "PIDs"];
    assert_eq!(row.as_object().unwrap().keys().collect::<Vec<_>>(), names);
    let share: f64 = row["CPUPerc"].as_str().unwrap().trim_end_matches('%').parse().unwrap();
    assert!(share > 5.0 && share < 110.0, "{row}");
    assert_eq!((&row["Name"], &row["Container"], &row["PIDs"]), (&"busy".into(), &"busy".into(), &"1".into()));
    assert!(row["MemUsage"].as_str().unwrap().contains("iB / "), "{row}");
    assert_eq!(row["NetIO"], "0B / 0B");
    // Memory that a process has mapped is counted.
    sandbox.detached(
        &["--name", "large"],
        "tail -c 40000000 /dev/zero | sleep 600 & head -c 40000000 /dev/zero | tail -c 40000000 | sleep 600",
    );
    wait_until("it holds memory", || {
        let row = json(&sandbox, "large");
        let used = row["MemUsage"].as_str().unwrap().split("MiB").next().unwrap().parse::<f64>().unwrap_or(0.0);
        used > 30.0 && used < 200.0
    });
}

#[test]
fn through_templates() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("one");
    let stats = |format: &str| sandbox.ok(&["stats", "--no-stream", "--format", format]);
    assert_eq!(stats("{{.Name}}: {{.PIDs}}"), "one: 1\n");
    assert_eq!(stats("table {{.Name}}\\t{{.CPUPerc}}"), "NAME      CPU %\none       0.00%\n");
    sandbox.fails(1, &["stats", "--format", "{{.Name"]);
}

#[test]
fn again_and_again() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("one");
    let mut child = sandbox.command(&["stats"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(|line| words(&line.unwrap()));
    for look in 0..3 {
        assert_eq!(lines.next().unwrap(), HEADER);
        let row = lines.next().unwrap();
        assert!(row.contains(if look == 0 { "one -- " } else { "one 0.00% " }), "{row}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // On a terminal it draws over what it has drawn.
    let mut terminal = Terminal::new(&sandbox, &["stats"]);
    terminal.expect("\x1b[2J\x1b[H");
    let first = terminal.expect("\x1b[H");
    assert!(first.contains("MEM USAGE / LIMIT") && !first.contains("\x1b[2J"), "{first:?}");
    // A container that starts meanwhile appears, and goes.
    sandbox.sleeper("two");
    terminal.expect("two ");
    sandbox.ok(&["rm", "-f", "one", "two"]);
    terminal.expect("PIDS\x1b[K\r\n\x1b[J");
}

#[test]
fn other_limits_are_kept() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("one");
    sandbox.ok(&["create", "--name", "two", "--memory", "64m", "alpine", "true"]);
    let output = sandbox.run(&["update", "--memory", "32m", "--cpus", "0.5", "--pids-limit", "20", "one", "two"]);
    assert_eq!((output.code, output.stdout.as_str()), (0, "one\ntwo\n"), "{}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.stderr);
    assert!(output.stderr.contains("container one take effect at its next start"), "{}", output.stderr);
    for name in ["one", "two"] {
        let template = "{{.HostConfig.Memory}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}";
        assert_eq!(sandbox.look(name, template), "33554432 500000000 20");
    }
    // One that is not there keeps nobody from it.
    let output = sandbox.run(&["update", "--memory", "48m", "nobody", "two"]);
    assert_eq!((output.code, output.stdout.as_str()), (1, "two\n"), "{}", output.stderr);
    assert_eq!(sandbox.look("two", "{{.HostConfig.Memory}} {{.HostConfig.PidsLimit}}"), "50331648 20");
    let said = sandbox.fails(1, &["update", "--memory-swap", "32m", "two"]);
    assert!(said.contains("less than memory alone"), "{said}");
    sandbox.fails(125, &["update", "two"]);
    sandbox.fails(125, &["update", "--memory", "much", "two"]);
    // The next start has them: where the host gives none, it says so for each.
    let said = sandbox.run(&["start", "two"]).stderr;
    if !Need::Controller("memory").given() {
        assert!(said.contains("no effect"), "{said}");
    }
    assert_eq!(sandbox.ok(&["system", "check"]), "Nothing is damaged.\n");
}
