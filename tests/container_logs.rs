//! A container's log on disk: bounded, read across its files, whole after any death.

use crate::common::{Sandbox, finish, wait_until};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Stdio;

fn directory(sandbox: &Sandbox, container: &str) -> PathBuf {
    sandbox.root().join("containers").join(sandbox.look(container, "{{.Id}}"))
}

/// The sizes of its files, by name.
fn files(sandbox: &Sandbox, container: &str) -> Vec<(String, u64)> {
    let entries = fs::read_dir(directory(sandbox, container)).unwrap().flatten();
    let named = entries.map(|e| (e.file_name().into_string().unwrap(), e.metadata().unwrap().len()));
    let mut found: Vec<_> = named.filter(|(name, _)| name.starts_with("log.json")).collect();
    found.sort();
    found
}

/// Counts up to the last number without a gap.
fn assert_counts_to(text: &str, last: u64) {
    let numbers: Vec<u64> = text.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(numbers.last(), Some(&last));
    assert!(numbers.windows(2).all(|two| two[0] + 1 == two[1]), "{text}");
}

#[test]
fn it_is_bounded_and_read_across_its_files() {
    let sandbox = Sandbox::with_alpine();
    for (name, kept) in [("three", 3), ("one", 1)] {
        let most = format!("max-file={kept}");
        let options = ["--log-opt", "max-size=10k", "--log-opt", &most];
        let counter = ["--network", "none", "--name", name, "alpine", "seq", "5000"];
        sandbox.ok(&[&["run", "-d"], &options[..], &counter].concat());
        sandbox.ok(&["wait", name]);
        let files = files(&sandbox, name);
        assert_eq!(files.len(), kept, "{files:?}");
        assert!(files.iter().all(|(_, size)| *size > 0 && *size <= 10 * 1024), "{files:?}");
        let text = sandbox.ok(&["logs", name]);
        assert_counts_to(&text, 5000);
        assert_eq!(sandbox.ok(&["logs", "--tail", "2", name]), "4999\n5000\n");
        assert_eq!(sandbox.ok(&["logs", "-f", "--tail", "1", name]), "5000\n");
    }
    assert_eq!(sandbox.look("one", "{{index .HostConfig.LogConfig.Config \"max-size\"}}"), "10240");
}

#[test]
fn who_follows_it_misses_nothing() {
    let sandbox = Sandbox::with_alpine();
    let script = "read go; for n in $(seq 30); do seq $((n * 100 - 99)) $((n * 100)); sleep 0.02; done";
    let options = ["--log-opt", "max-size=4k", "--log-opt", "max-file=200"];
    let words = ["run", "-d", "-i", "--network", "none", "--name", "talker"];
    sandbox.ok(&[&words, &options[..], &["alpine", "sh", "-c", script]].concat());
    let mut follower = sandbox.command(&["logs", "-f", "talker"]);
    let follower = std::thread::spawn(move || finish(&mut follower));
    let mut attached =
        sandbox.command(&["attach", "talker"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    attached.stdin.take().unwrap().write_all(b"go\n").unwrap();
    let text = follower.join().unwrap().ok();
    attached.wait().unwrap();
    assert_counts_to(&text, 3000);
    assert_eq!(text.lines().count(), 3000);
    assert!(files(&sandbox, "talker").len() > 10);
    assert_eq!(sandbox.ok(&["logs", "talker"]), text);
}

#[test]
fn it_can_be_read_after_any_death() {
    let sandbox = Sandbox::with_alpine();
    let script = "n=$(cat /n 2>/dev/null || echo 0); while :; do n=$((n + 1)); echo $n; echo $n >/n; done";
    let options = ["--log-opt", "max-size=2k", "--log-opt", "max-file=3"];
    let words = ["run", "-d", "--network", "none", "--name", "runner"];
    sandbox.ok(&[&words, &options[..], &["alpine", "sh", "-c", script]].concat());
    for round in 1..6 {
        wait_until("it has a second file", || files(&sandbox, "runner").len() > 1);
        std::thread::sleep(std::time::Duration::from_millis(17 * round));
        let pid = sandbox.look("runner", "{{.State.Pid}}");
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let monitor = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim();
        sandbox.run_other("kill", &["-9", monitor]).ok();
        sandbox.wait_for_status("runner", "exited");
        let text = sandbox.ok(&["logs", "runner"]);
        assert!(text.lines().count() > 10, "{text}");
        assert!(text.lines().all(|line| line.parse::<u64>().is_ok()), "{text}");
        sandbox.ok(&["start", "runner"]);
    }
    sandbox.ok(&["rm", "-f", "runner"]);

    // As deaths leave it: in the middle of an entry, and between two of the renames.
    sandbox.ok(&["run", "--network", "none", "--name", "said", "alpine", "echo", "first"]);
    let log = directory(&sandbox, "said").join("log.json");
    fs::OpenOptions::new().append(true).open(&log).unwrap().write_all(br#"{"log":"ha"#).unwrap();
    assert_eq!(sandbox.ok(&["logs", "said"]), "first\n");
    sandbox.ok(&["start", "-a", "said"]);
    assert_eq!(sandbox.ok(&["logs", "said"]), "first\nfirst\n");
    fs::rename(&log, log.with_extension("json.1")).unwrap();
    assert_eq!(sandbox.ok(&["logs", "said"]), "first\nfirst\n");
    sandbox.ok(&["start", "-a", "said"]);
    assert_eq!(sandbox.ok(&["logs", "said"]), "first\nfirst\nfirst\n");
}

#[test]
fn what_is_kept_is_chosen() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["run", "--network", "none", "--log-driver", "none", "--name", "secret", "alpine", "echo", "said"]);
    assert!(sandbox.fails(1, &["logs", "secret"]).contains("--log-driver none"));
    assert!(files(&sandbox, "secret").is_empty());
    sandbox.ok(&["run", "--network", "none", "--log-driver", "local", "--name", "kept", "alpine", "echo", "said"]);
    assert_eq!(
        sandbox.look("kept", "{{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Config}}"),
        "json-file map[max-file:5 max-size:20971520]"
    );
    for wrong in [
        ["--log-driver", "syslog"],
        ["--log-opt", "max-file=0"],
        ["--log-opt", "colour=red"],
        ["--log-opt", "max-size=x"],
        ["--log-opt", "max-size=0"],
    ] {
        sandbox.fails(125, &["create", wrong[0], wrong[1], "alpine"]);
    }
}
