//! `--memory`, `--cpus`, `--pids-limit`: set where the kernel heeds them, and held. All that needs delegated controllers is
//! here, so that a machine without them can have it run in another.

use crate::common::{Need, Sandbox, User, require, user, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

const ALL: [&str; 6] = ["--memory", "32m", "--cpus", "0.5", "--pids-limit", "20"];

/// The control group of a container that runs.
fn group(sandbox: &Sandbox, container: &str) -> PathBuf {
    let pid = sandbox.look(container, "{{.State.Pid}}");
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap();
    PathBuf::from("/sys/fs/cgroup").join(path)
}

fn value(sandbox: &Sandbox, container: &str, file: &str) -> String {
    fs::read_to_string(group(sandbox, container).join(file)).unwrap().trim_end().to_owned()
}

/// A number of a file that has a name and a number in each line.
fn count(sandbox: &Sandbox, container: &str, file: &str, name: &str) -> u64 {
    let text = value(sandbox, container, file);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned);
    line.unwrap_or_else(|| panic!("{name} in {text}")).parse().unwrap()
}

#[test]
fn a_limit_without_effect_gets_advice_for_this_host() {
    let sandbox = Sandbox::with_alpine();
    let output = sandbox.sh(&["-m", "32m"], "true");
    let note = output.stderr.lines().find(|line| line.contains("no effect")).unwrap_or_default();
    assert!(!note.contains("systemd") || Path::new("/run/systemd/system").exists(), "{note}");
}

#[test]
fn they_are_set_and_seen_from_inside() {
    require!(Need::Controller("memory"), Need::Controller("cpu"), Need::Controller("pids"));
    let sandbox = Sandbox::with_alpine();
    let files = "cd /sys/fs/cgroup; cat memory.max memory.swap.max cpu.max pids.max; cat /proc/self/cgroup";
    let output = sandbox.sh(&ALL, files);
    assert_eq!(output.stderr, "", "a limit that is given is given without a note");
    assert_eq!(output.ok(), "33554432\n0\n50000 100000\n20\n0::/\n");
    // A container that ends and starts again at once has them again.
    sandbox.ok(&[
        &["create", "--network", "none", "--name", "again"],
        &ALL[..],
        &["alpine", "cat", "/sys/fs/cgroup/pids.max"],
    ]
    .concat());
    for round in 0..4 {
        let output = sandbox.run(&["start", "-a", "again"]);
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("20\n", ""), "round {round}");
    }
}

#[test]
fn more_processes_than_allowed_cannot_be_born() {
    require!(Need::Controller("pids"));
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(
        &["--name", "crowd", "--pids-limit", "10"],
        "(for n in $(seq 30); do sleep 600 & done); exec sleep 600",
    );
    wait_until("a birth is refused", || count(&sandbox, "crowd", "pids.events", "max") > 0);
    let born = value(&sandbox, "crowd", "cgroup.procs").lines().count();
    assert!(born <= 10, "{born}");
    // `exec` is held by the same limit.
    let output = sandbox.run(&["exec", "crowd", "sh", "-c", "sleep 0 & sleep 0 & wait"]);
    assert_ne!(output.code, 0, "{}", output.streams());
}

#[test]
fn more_memory_than_allowed_is_death() {
    require!(Need::Controller("memory"));
    let sandbox = Sandbox::with_alpine();
    let greedy = ["--memory", "20m", "--network", "none", "--name", "greedy", "alpine", "tail", "/dev/zero"];
    assert_eq!(sandbox.run(&[&["run"], &greedy[..]].concat()).code, 137);
    assert_eq!(sandbox.look("greedy", "{{.State.OOMKilled}}"), "true");
    let why: Value = serde_json::from_str(&sandbox.ok(&["why", "--json", "greedy"])).unwrap();
    let verdicts = why["verdicts"].to_string();
    assert_eq!(verdicts, r#"[{"advice":null,"code":"out-of-memory","found":"20971520","subject":"tail"}]"#);
    // A child of the first process can be the one that goes.
    let script = "tail /dev/zero; echo it took $?; exec sleep 600";
    sandbox.detached(&["--name", "parent", "--memory", "20m"], script);
    sandbox.wait_for_log("parent", "it took 137");
    assert!(count(&sandbox, "parent", "memory.events", "oom_kill") > 0);
    assert_eq!(sandbox.look("parent", "{{.State.Running}}"), "true");
    // What another process asks for by `exec` is counted with it.
    assert_eq!(sandbox.run(&["exec", "parent", "tail", "/dev/zero"]).code, 137);
}

#[test]
fn a_probe_goes_beyond_each_limit_and_harms_nobody() {
    require!(Need::Controller("memory"), Need::Controller("pids"));
    let sandbox = Sandbox::with_alpine();
    // One holds more memory than is left to the probe: by its size alone it would be the one to go. And the first is for ever
    // giving birth, which a shell does not survive if it fails.
    let hold = "dd if=/dev/zero bs=14M | sleep 600 & trap 'exit 3' TERM; while :; do /bin/true; done";
    sandbox.detached(&["--name", "held", "--memory", "24m", "--pids-limit", "20"], hold);
    let current = || value(&sandbox, "held", "memory.current").parse::<u64>().unwrap();
    wait_until("it holds its memory", || current() > 14 << 20);
    for round in 1..3 {
        let told: Value = serde_json::from_str(&sandbox.ok(&["probe", "--json", "held"])).unwrap();
        let row = |name: &str| told["rows"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap().clone();
        for (name, answer, file, value) in [
            ("too_many_processes", json!({"kind": "errno", "number": 11}), "pids.max", 20),
            ("too_much_memory", json!({"kind": "signal", "number": 9}), "memory.max", 25_165_824),
        ] {
            let row = row(name);
            assert_eq!((&row["outcome"], &row["answer"]), (&json!("stopped"), &answer), "{row}");
            assert_eq!(row["walls"], json!([{"kind": "limit", "file": file, "value": value}]), "{row}");
        }
        assert_eq!(count(&sandbox, "held", "memory.events", "oom_kill"), round, "one child, and nobody else");
    }
    assert_ne!(sandbox.ok(&["exec", "held", "pidof", "dd"]), "");
    assert!(sandbox.ok(&["probe", "held"]).contains("the limit of its control group: pids.max 20"));
    sandbox.ok(&["stop", "held"]);
    assert_eq!(sandbox.look("held", "{{.State.ExitCode}} {{.State.OOMKilled}}"), "3 false");
    // Such a limit is no reason to take a gigabyte from the host.
    sandbox.detached(&["--name", "wide", "--memory", "4g", "--pids-limit", "100000"], "exec sleep 600");
    let told: Value = serde_json::from_str(&sandbox.ok(&["probe", "--json", "wide"])).unwrap();
    for row in told["rows"].as_array().unwrap().iter().filter(|row| row["name"].as_str().unwrap().starts_with("too_")) {
        assert_eq!((&row["outcome"], &row["answer"]), (&json!("not-tried"), &Value::Null), "{row}");
    }
}

/// One with limits lives in the user's systemd, which ends after the last session unless it lingers.
#[test]
fn what_a_log_out_would_end_is_told() {
    require!(Need::Controller("pids"));
    let sandbox = Sandbox::with_alpine();
    let lingers = user() == User::Root || fs::read_dir("/var/lib/systemd/linger").unwrap().next().is_some();
    let run = |name: &str, flags: &[&str]| {
        let words = [&["run", "-d", "--network", "none", "--name", name], flags, &["alpine", "sleep", "600"]].concat();
        sandbox.run(&words).stderr
    };
    assert_eq!(run("unlimited", &[]), "");
    let told = run("limited", &["--pids-limit", "20"]);
    let doctor = sandbox.run(&["doctor"]).stdout;
    if lingers {
        assert_eq!(told, "");
        assert!(!doctor.contains("enable-linger"), "{doctor}");
    } else {
        assert!(
            told.contains("ends when you log out for the last time; to keep it: loginctl enable-linger "),
            "{told}"
        );
        assert!(doctor.contains("sudo loginctl enable-linger "), "{doctor}");
        sandbox.ok(&["stop", "-t", "0", "limited"]);
        assert_eq!(sandbox.run(&["start", "limited"]).stderr, told);
    }
}

#[test]
fn a_busy_container_waits_for_its_turn() {
    require!(Need::Controller("cpu"));
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "busy", "--cpus", "0.1"], "while :; do :; done");
    wait_until("it is made to wait", || count(&sandbox, "busy", "cpu.stat", "nr_throttled") > 2);
}

#[test]
fn it_is_frozen_whole_while_it_is_committed() {
    require!(Need::Controller("pids"));
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "writer", "--pids-limit", "20"], "while :; do date >/new; mv /new /now; done");
    wait_until("it writes", || sandbox.run(&["exec", "writer", "cat", "/now"]).code == 0);
    sandbox.ok(&["commit", "writer", "image"]);
    assert_eq!(value(&sandbox, "writer", "cgroup.freeze"), "0");
    assert!(!sandbox.ok(&["run", "--rm", "--network", "none", "image", "cat", "/now"]).is_empty());
}

#[test]
fn a_monitor_that_is_killed_leaves_nothing_in_the_way() {
    require!(Need::Controller("pids"));
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "orphan", "--pids-limit", "20"], "echo begun; exec sleep 600");
    let groups = group(&sandbox, "orphan");
    let status = fs::read_to_string(format!("/proc/{}/status", sandbox.look("orphan", "{{.State.Pid}}"))).unwrap();
    let monitor = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim();
    sandbox.run_other("kill", &["-9", monitor]).ok();
    sandbox.wait_for_status("orphan", "exited");
    let output = sandbox.run(&["start", "orphan"]);
    assert!(!output.stderr.contains("no effect"), "{}", output.streams());
    assert_eq!(value(&sandbox, "orphan", "pids.max"), "20");
    assert_eq!(group(&sandbox, "orphan"), groups);
}

#[test]
fn limits_leave_no_way_into_the_host_s_control_groups() {
    require!(Need::Controller("pids"));
    let sandbox = Sandbox::with_alpine();
    for number in 3..20 {
        let path = format!("/proc/self/fd/{number}");
        let words = ["run", "--rm", "--network", "none", "--pids-limit", "50", "-w", &path, "alpine", "ls", "."];
        let output = sandbox.run(&words);
        assert!(!output.stdout.contains("cgroup."), "{path}: {}", output.streams());
    }
}

#[test]
fn a_run_of_a_build_has_the_limits_of_the_build() {
    require!(Need::Controller("memory"), Need::Controller("cpu"));
    let sandbox = Sandbox::with_alpine();
    let files = "cd /sys/fs/cgroup && cat memory.max memory.swap.max cpu.max > /limits";
    let flags = ["-m", "32m", "--memory-swap", "48m", "--cpu-quota", "50000"];
    let said = sandbox.build(&format!("FROM alpine\nRUN {files}\n"), &flags);
    assert!(!said.contains("note:"), "{said}");
    assert_eq!(sandbox.inside("cat /limits"), "33554432\n16777216\n50000 100000\n");
    let error = sandbox.try_build("FROM alpine\nRUN tail /dev/zero\n", &["--memory", "20m"]).fails(1);
    assert!(error.contains("killed a process of it at the memory limit"), "{error}");
}

#[test]
fn a_paused_one_is_held_by_its_group() {
    require!(Need::Controller("pids"));
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "writer", "--pids-limit", "20"], "while :; do date > /new; mv /new /now; done");
    wait_until("it writes", || sandbox.run(&["exec", "writer", "cat", "/now"]).code == 0);
    sandbox.ok(&["pause", "writer"]);
    assert_eq!(count(&sandbox, "writer", "cgroup.events", "frozen"), 1);
    sandbox.ok(&["commit", "writer", "image"]);
    assert_eq!(count(&sandbox, "writer", "cgroup.events", "frozen"), 1);
    sandbox.ok(&["unpause", "writer"]);
    assert_eq!(value(&sandbox, "writer", "cgroup.freeze"), "0");
    // A frozen one can be killed, and starts again thawed.
    sandbox.ok(&["pause", "writer"]);
    sandbox.ok(&["kill", "writer"]);
    sandbox.ok(&["start", "writer"]);
    assert_eq!(value(&sandbox, "writer", "cgroup.freeze"), "0");
}

#[test]
fn update_changes_the_limits_of_what_runs() {
    require!(Need::Controller("memory"), Need::Controller("cpu"), Need::Controller("pids"));
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "one", "--pids-limit", "20"], "exec sleep 600");
    let limits = ["--memory", "32m", "--memory-swap", "48m", "--cpus", "0.5", "--pids-limit", "30"];
    let output = sandbox.run(&[&["update"], &limits[..], &["one"]].concat());
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    let set = |file: &str| value(&sandbox, "one", file);
    let all = || ["memory.max", "memory.swap.max", "cpu.max", "pids.max"].map(set).join(" ");
    assert_eq!(all(), "33554432 16777216 50000 100000 30");
    sandbox.ok(&["restart", "-t", "0", "one"]);
    assert_eq!(all(), "33554432 16777216 50000 100000 30");
    let shares = ["--cpu-shares", "2048", "--memory-reservation", "16m", "--pids-limit", "-1"];
    let output = sandbox.run(&[&["update"], &shares[..], &["one"]].concat());
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
    let others = || ["memory.low", "cpu.weight", "pids.max", "cpu.max"].map(set).join(" ");
    assert_eq!(others(), "16777216 79 max 50000 100000");
    sandbox.ok(&["update", "--cpu-quota", "20000", "one"]);
    assert_eq!(others(), "16777216 79 max 20000 100000");
    let output = sandbox.run(&["update", "--memory-reservation", "64m", "one"]);
    assert!(output.code == 1 && output.stderr.contains("it is above --memory"), "{}", output.stderr);
}

#[test]
fn stats_are_the_group_s_own() {
    require!(Need::Controller("memory"), Need::Controller("pids"));
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "one", "--memory", "64m", "--pids-limit", "20"], "exec sleep 600");
    let output = sandbox.run(&["stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}"]);
    assert_eq!(output.stderr, "", "nothing is summed up");
    assert!(output.stdout.ends_with(" / 64MiB 1\n"), "{}", output.stdout);
}
