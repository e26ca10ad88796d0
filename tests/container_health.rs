//! Health checks: HEALTHCHECK of images, the `--health-…` options, and what a monitor does with what they find.

use crate::common::{Sandbox, User, user, verdict_codes, wait, wait_until, why};
use serde_json::Value;
use std::time::Duration;

const FAST: [&str; 2] = ["--health-interval", "100ms"];

#[track_caller]
fn health(sandbox: &Sandbox, name: &str) -> Value {
    let text = sandbox.look(name, "{{json .State.Health}}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[track_caller]
fn wait_for_health(sandbox: &Sandbox, name: &str, status: &str) {
    wait_until(&format!("{name} is {status}"), || health(sandbox, name)["Status"] == status);
}

#[test]
fn a_container_is_starting_then_healthy_then_unhealthy() {
    let sandbox = Sandbox::with_alpine();
    let check = ["--health-cmd", "echo looked; test -e /ok", "--health-retries", "2"];
    let flags = [&["--name", "box"], &FAST[..], &check].concat();
    sandbox.detached(
        &[&flags[..], &["--health-start-period", "1h", "--health-start-interval", "100ms"]].concat(),
        "exec sleep 600",
    );
    assert!(sandbox.ok(&["ps"]).contains(" (health: starting) "));
    // Failures in the start period do not count.
    wait_until("some have failed", || health(&sandbox, "box")["Log"].as_array().unwrap().len() == 5);
    assert_eq!(
        (&health(&sandbox, "box")["Status"], &health(&sandbox, "box")["FailingStreak"]),
        (&"starting".into(), &0.into())
    );
    sandbox.ok(&["exec", "box", "touch", "/ok"]);
    wait_for_health(&sandbox, "box", "healthy");
    assert!(sandbox.ok(&["ps"]).contains(" (healthy) "));
    assert_eq!(verdict_codes(&sandbox, "box"), ["ignores-sigterm"]);
    assert_eq!(why(&sandbox, "box")["health"], "healthy");
    sandbox.ok(&["exec", "box", "rm", "/ok"]);
    wait_for_health(&sandbox, "box", "unhealthy");
    assert!(sandbox.ok(&["ps"]).contains(" (unhealthy) "));
    let found = health(&sandbox, "box");
    let last = &found["Log"][4];
    assert!(found["FailingStreak"].as_u64().unwrap() >= 2 && found["Log"].as_array().unwrap().len() == 5, "{found}");
    assert_eq!((&last["ExitCode"], &last["Output"]), (&1.into(), &"looked\n".into()));
    assert!(last["Start"].as_str().unwrap() < last["End"].as_str().unwrap(), "{last}");
    assert_eq!(verdict_codes(&sandbox, "box"), ["unhealthy", "ignores-sigterm"]);
    let said = sandbox.ok(&["why", "box"]);
    assert!(said.contains("box is unhealthy") && said.contains("exit code 1, looked"), "{said}");
}

#[test]
fn the_image_s_check_runs_unless_options_say_otherwise() {
    let sandbox = Sandbox::with_alpine();
    let check = "HEALTHCHECK --interval=100ms --retries=1 CMD [\"cat\", \"/etc/alpine-release\"]";
    sandbox.ok(&["create", "--name", "plain", "alpine"]);
    sandbox.ok(&["commit", "-c", check, "plain", "checked"]);
    let run = |flags: &[&str]| {
        let words = [&["run", "-d", "--network", "none"], flags, &["checked", "sleep", "600"]].concat();
        sandbox.ok(&words).trim_end().to_owned()
    };
    let own = run(&["--name", "own"]);
    wait_for_health(&sandbox, &own, "healthy");
    let healthcheck = sandbox.look(&own, "{{json .Config.Healthcheck}}");
    assert_eq!(healthcheck, r#"{"Interval":100000000,"Retries":1,"Test":["CMD","cat","/etc/alpine-release"]}"#);
    let other = run(&["--health-cmd", "exit 9"]);
    wait_for_health(&sandbox, &other, "unhealthy");
    assert_eq!(health(&sandbox, &other)["Log"][0]["ExitCode"], 9);
    let none = run(&["--no-healthcheck"]);
    assert_eq!(sandbox.look(&none, "{{json .Config.Healthcheck.Test}}"), r#"["NONE"]"#);
    assert!(!sandbox.ok(&["inspect", &none]).contains("\"Health\""));
    // What is committed keeps it.
    let third = run(&["--name", "third", "--health-retries", "7"]);
    sandbox.ok(&["commit", &third, "again"]);
    let kept = sandbox.ok(&["inspect", "-f", "{{json .Config.Healthcheck}}", "again"]);
    assert!(kept.contains("\"Retries\":7") && kept.contains("alpine-release"), "{kept}");
}

#[test]
fn a_probe_is_killed_at_its_timeout_with_its_children() {
    let sandbox = Sandbox::with_alpine();
    let check = "echo slow; sleep 611 & setsid sleep 612 & sleep 613";
    let flags =
        [&["--name", "slow", "--health-cmd", check, "--health-timeout", "300ms", "--health-retries", "1"], &FAST[..]];
    sandbox.detached(&flags.concat(), "exec sleep 600");
    wait_for_health(&sandbox, "slow", "unhealthy");
    let result = &health(&sandbox, "slow")["Log"][0];
    assert_eq!(
        (&result["ExitCode"], &result["Output"]),
        (&(-1).into(), &"Health check exceeded timeout (300ms): slow\n".into())
    );
    // Those of one probe are there at most, whatever number of probes has been killed.
    wait_until("several were killed", || health(&sandbox, "slow")["FailingStreak"].as_u64().unwrap() >= 3);
    let sleepers = sandbox.ok(&["exec", "slow", "ps", "-o", "args"]).matches("sleep 61").count();
    assert!(sleepers <= 5, "{sleepers}");
}

#[test]
fn a_check_that_cannot_be_started_says_why() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["create", "--name", "plain", "alpine"]);
    sandbox.ok(&["commit", "-c", "HEALTHCHECK --interval=100ms --retries=1 CMD [\"/no/such\"]", "plain", "broken"]);
    sandbox.ok(&["run", "-d", "--name", "broken", "--network", "none", "broken", "sleep", "600"]);
    wait_for_health(&sandbox, "broken", "unhealthy");
    let result = &health(&sandbox, "broken")["Log"][0];
    assert_eq!(result["ExitCode"], -1);
    let output = result["Output"].as_str().unwrap();
    assert!(output.contains("/no/such") && output.contains("no such file"), "{output}");
}

#[test]
fn a_probe_is_as_confined_as_the_container_and_runs_as_its_user() {
    let sandbox = Sandbox::with_alpine();
    let check = "pwd; echo $NAME; grep ^Seccomp: /proc/self/status; id -u; grep ^CapEff: /proc/self/status";
    let flags = ["--name", "user", "-u", "65534", "-w", "/tmp", "-e", "NAME=value", "--health-cmd", check];
    sandbox.detached(&[&flags[..], &FAST].concat(), "exec sleep 600");
    wait_for_health(&sandbox, "user", "healthy");
    let found = health(&sandbox, "user");
    let output = found["Log"][0]["Output"].as_str().unwrap();
    assert!(output.starts_with("/tmp\nvalue\nSeccomp:\t2\n"), "{output}");
    // With one id, every user is the container's root to the kernel.
    let id = if user() == User::Single { "" } else { "65534\n" };
    assert!(output.ends_with(&format!("{id}CapEff:\t0000000000000000\n")), "{output}");
}

#[test]
fn long_output_is_cut_and_does_not_block() {
    let sandbox = Sandbox::with_alpine();
    let check = "yes | head -c 300000; exit 3";
    sandbox.detached(
        &[&["--name", "loud", "--health-cmd", check, "--health-retries", "1"], &FAST[..]].concat(),
        "exec sleep 600",
    );
    wait_for_health(&sandbox, "loud", "unhealthy");
    let result = &health(&sandbox, "loud")["Log"][0];
    assert_eq!((result["ExitCode"].as_i64(), result["Output"].as_str().unwrap().len()), (Some(3), 4096));
}

#[test]
fn healthcheck_run_asks_at_once() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "asked", "--health-cmd", "echo here; test -e /ok"], "exec sleep 600");
    let said = sandbox.run(&["healthcheck", "run", "asked"]);
    assert_eq!((said.code, said.stdout.as_str()), (1, "here\n"), "{}", said.stderr);
    sandbox.ok(&["exec", "asked", "touch", "/ok"]);
    assert_eq!(sandbox.ok(&["healthcheck", "run", "asked"]), "here\n");
    assert_eq!(health(&sandbox, "asked")["Status"], "healthy");
    sandbox.sleeper("unchecked");
    let said = sandbox.fails(125, &["healthcheck", "run", "unchecked"]);
    assert!(said.contains("container unchecked has no health check"), "{said}");
    sandbox.ok(&["stop", "-t", "0", "asked"]);
    let said = sandbox.fails(1, &["healthcheck", "run", "asked"]);
    assert!(said.contains("container asked is not running"), "{said}");
}

#[test]
fn what_is_unhealthy_is_killed_stopped_or_restarted() {
    let sandbox = Sandbox::with_alpine();
    let run = |name: &str, flags: &[&str], script: &str| {
        let check = ["--health-cmd", "test ! -e /bad", "--health-retries", "1", "--stop-timeout", "1"];
        sandbox.detached(&[&["--name", name], &FAST[..], &check, flags].concat(), script);
    };
    run("killed", &["--health-on-failure", "kill"], "touch /bad; exec sleep 600");
    sandbox.wait_for_status("killed", "exited");
    assert_eq!(sandbox.look("killed", "{{.State.ExitCode}}"), "137");
    let said = sandbox.ok(&["why", "killed"]);
    assert!(said.contains("because the health check failed"), "{said}");
    run(
        "stopped",
        &["--health-on-failure", "stop", "--restart", "always"],
        "trap 'exit 6' TERM; touch /bad; while :; do sleep 0.05; done",
    );
    sandbox.wait_for_status("stopped", "exited");
    assert_eq!(sandbox.look("stopped", "{{.State.ExitCode}} {{.RestartCount}}"), "6 0");
    // The second process begins with a health of its own.
    let script =
        "if mkdir /first; then touch /bad; else rm -f /bad; fi; trap 'exit 0' TERM; while :; do sleep 0.05; done";
    run("restarted", &["--health-on-failure", "restart"], script);
    wait_until("it was restarted", || sandbox.look("restarted", "{{.RestartCount}} {{.State.Status}}") == "1 running");
    wait_for_health(&sandbox, "restarted", "healthy");
    sandbox.ok(&["stop", "restarted"]);
    assert!(!wait(Duration::from_millis(500), || sandbox.look("restarted", "{{.State.Status}}") != "exited"));
}

#[test]
fn nothing_of_a_probe_outlives_the_container() {
    let sandbox = Sandbox::with_alpine();
    let flags = [&["--name", "short", "--health-cmd", "sleep 614"], &FAST[..]].concat();
    sandbox.detached(&flags, "exec sleep 600");
    wait_until("a probe runs", || sandbox.ok(&["exec", "short", "ps", "-o", "args"]).contains("sleep 614"));
    sandbox.ok(&["kill", "short"]);
    sandbox.wait_for_status("short", "exited");
    let is_gone = wait(Duration::from_secs(5), || sandbox.left_behind().is_empty());
    assert!(is_gone, "{:?}", sandbox.left_behind());
}

#[test]
fn wrong_options_are_refused() {
    let sandbox = Sandbox::new();
    let refused = |flags: &[&str]| sandbox.fails(125, &[&["run"], flags, &["alpine"]].concat());
    for (flag, value) in [("--health-interval", "5"), ("--health-timeout", "-5s"), ("--health-start-period", "10us")] {
        let said = refused(&[&format!("{flag}={value}")]);
        assert!(said.contains(&format!("invalid time \"{value}\"")) && said.contains("hint:"), "{said}");
    }
    assert!(refused(&["--health-retries=-1"]).contains("--health-retries"));
    assert!(refused(&["--health-on-failure", "explode"]).contains("explode"));
    assert!(refused(&["--no-healthcheck", "--health-cmd", "true"]).contains("--no-healthcheck"));
}
