//! A container from create to removal: what starts, stops, shows, enters and keeps it.

use crate::common::{Sandbox, User, finish, user, wait_until};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

fn single() -> bool {
    user() == User::Single
}

const EMPTY_TABLE: &str = "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n";

// Start, stop, restart, kill, wait.

#[test]
fn started_again_it_goes_on_with_what_it_had_changed() {
    let sandbox = Sandbox::with_alpine();
    let script = "echo run >> /count; wc -l < /count; [ $(wc -l < /count) -lt 3 ]";
    sandbox.ok(&["create", "--name", "counter", "--network", "none", "alpine", "sh", "-c", script]);
    for (run, code) in [(1, 0), (2, 0), (3, 1)] {
        let output = sandbox.run(&["start", "--attach", "counter"]);
        assert_eq!((output.code, output.stdout), (code, format!("{run}\n")));
        assert_eq!(sandbox.look("counter", "{{.State.Status}} {{.State.ExitCode}}"), format!("exited {code}"));
    }
    assert_eq!(sandbox.ok(&["logs", "counter"]), "1\n2\n3\n");
    // Without -a it prints the name that was typed, and lets go.
    assert_eq!(sandbox.ok(&["start", "counter"]), "counter\n");
    assert_eq!(sandbox.ok(&["wait", "counter"]), "1\n");
}

#[test]
fn start_of_what_runs_changes_nothing_and_of_nothing_fails() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("one");
    let pid = sandbox.look("one", "{{.State.Pid}}");
    assert_eq!(sandbox.ok(&["start", "one"]), "one\n");
    assert_eq!(sandbox.look("one", "{{.State.Pid}}"), pid);
    let said = sandbox.run(&["start", "nobody"]);
    assert!(said.code == 1 && said.stderr.contains("nobody") && said.stderr.contains("hint:"), "{}", said.streams());
    // One that cannot be started does not keep the others from it.
    sandbox.ok(&["create", "--name", "two", "--network", "none", "alpine", "sleep", "600"]);
    let said = sandbox.run(&["start", "nobody", "two"]);
    assert_eq!((said.code, said.stdout.as_str()), (1, "two\n"), "{}", said.stderr);
    assert_eq!(sandbox.look("two", "{{.State.Status}}"), "running");
}

#[test]
fn of_two_starts_at_once_there_is_one_process() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["create", "--name", "one", "--network", "none", "alpine", "sh", "-c", "echo begun; exec sleep 600"]);
    let started: Vec<_> = (0..4)
        .map(|_| sandbox.command(&["start", "one"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
        .collect();
    for mut child in started {
        child.wait().unwrap();
    }
    sandbox.wait_for_log("one", "begun");
    assert_eq!(sandbox.ok(&["logs", "one"]), "begun\n");
    assert_eq!(sandbox.ok(&["ps", "-q"]).lines().count(), 1);
}

#[test]
fn stop_is_patient_and_then_is_not() {
    let sandbox = Sandbox::with_alpine();
    let polite = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done";
    let deaf = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
    let stop = |script: &str, flags: &[&str]| -> (String, Duration) {
        let id = sandbox.detached(&[], script);
        sandbox.wait_for_log(&id, "ready");
        let begun = Instant::now();
        assert_eq!(sandbox.ok(&[&["stop"], flags, &[&id]].concat()), format!("{id}\n"));
        let took = begun.elapsed();
        let status = sandbox.look(&id, "{{.State.Status}} {{.State.ExitCode}}");
        (status, took)
    };
    let (status, took) = stop(polite, &["-t", "60"]);
    assert!(status == "exited 3" && took < Duration::from_secs(30), "{status} after {took:?}");
    let (status, took) = stop(deaf, &["-t", "1"]);
    assert!(status == "exited 137" && took >= Duration::from_secs(1), "{status} after {took:?}");
    let (status, took) = stop(deaf, &["-t", "0"]);
    assert!(status == "exited 137" && took < Duration::from_secs(8), "{status} after {took:?}");
    let (status, _) = stop(deaf, &["-s", "KILL", "-t", "60"]);
    assert_eq!(status, "exited 137");
    // What has ended stays as it ended.
    let id = sandbox.detached(&[], "exit 5");
    sandbox.ok(&["wait", &id]);
    sandbox.ok(&["stop", &id]);
    assert_eq!(sandbox.look(&id, "{{.State.ExitCode}}"), "5");
    sandbox.fails(1, &["stop", "nobody"]);
    sandbox.fails(1, &["stop", "-s", "NOPE", &sandbox.sleeper("deaf")]);
}

#[test]
fn the_stop_signal_is_the_flag_s_then_the_container_s_then_the_image_s() {
    let sandbox = Sandbox::with_alpine();
    let script =
        "for s in TERM QUIT USR1 USR2; do trap \"echo $s; exit 0\" $s; done; echo ready; while :; do sleep 0.05; done";
    let stopped_by = |flags: &[&str], image: &str, stop: &[&str]| -> String {
        let words = [&["run", "-d", "--network", "none"], flags, &[image, "sh", "-c", script]].concat();
        let id = sandbox.ok(&words).trim_end().to_owned();
        sandbox.wait_for_log(&id, "ready");
        sandbox.ok(&[&["stop", "-t", "60"], stop, &[&id]].concat());
        sandbox.ok(&["logs", &id]).lines().next_back().unwrap().to_owned()
    };
    assert_eq!(stopped_by(&[], "alpine", &[]), "TERM");
    assert_eq!(stopped_by(&["--stop-signal", "USR1"], "alpine", &[]), "USR1");
    assert_eq!(stopped_by(&["--stop-signal", "SIGUSR1"], "alpine", &["-s", "USR2"]), "USR2");
    sandbox.ok(&["create", "--name", "made", "--network", "none", "--stop-signal", "QUIT", "alpine", "true"]);
    sandbox.ok(&["commit", "made", "quits"]);
    assert_eq!(stopped_by(&[], "quits", &[]), "QUIT");
    assert_eq!(stopped_by(&["--stop-signal", "USR1"], "quits", &[]), "USR1");
}

#[test]
fn restart_of_what_runs_and_of_what_has_ended() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.detached(&["--name", "again"], "echo begun; exec sleep 600");
    sandbox.wait_for_log(&id, "begun");
    let (pid, begun) = (sandbox.look(&id, "{{.State.Pid}}"), sandbox.look(&id, "{{.State.StartedAt}}"));
    assert_eq!(sandbox.ok(&["restart", "-t", "0", "again"]), "again\n");
    assert_eq!(sandbox.look(&id, "{{.State.Status}}"), "running");
    assert_ne!(sandbox.look(&id, "{{.State.Pid}}"), pid);
    assert!(sandbox.look(&id, "{{.State.StartedAt}}") > begun);
    wait_until("it has begun twice", || sandbox.ok(&["logs", &id]) == "begun\nbegun\n");
    sandbox.ok(&["kill", &id]);
    sandbox.ok(&["restart", &id]);
    assert_eq!(sandbox.look(&id, "{{.State.Status}}"), "running");
    sandbox.fails(1, &["restart", "nobody"]);
}

#[test]
fn kill_sends_the_signal_that_was_named() {
    let sandbox = Sandbox::with_alpine();
    let script = "trap 'echo one' USR1; trap 'echo two' 12; echo ready; while :; do sleep 0.05; done";
    let id = sandbox.detached(&["--name", "target"], script);
    sandbox.wait_for_log(&id, "ready");
    assert_eq!(sandbox.ok(&["kill", "-s", "USR1", "target"]), "target\n");
    sandbox.wait_for_log(&id, "one");
    sandbox.ok(&["kill", "--signal", "12", "target"]);
    sandbox.wait_for_log(&id, "two");
    let said = sandbox.fails(1, &["kill", "-s", "NOPE", "target"]);
    assert!(said.contains("NOPE") && said.contains("hint:"), "{said}");
    assert_eq!(sandbox.look(&id, "{{.State.Status}}"), "running");
    sandbox.ok(&["kill", "target"]);
    // It is dead when the command ends, not some time later.
    assert_eq!(sandbox.look(&id, "{{.State.Status}} {{.State.ExitCode}}"), "exited 137");
    let said = sandbox.fails(1, &["kill", "target"]);
    assert!(said.contains("not running") && said.contains("hint:"), "{said}");
}

#[test]
fn wait_prints_each_one_s_code() {
    let sandbox = Sandbox::with_alpine();
    let codes = [("early", "exit 7"), ("late", "sleep 1; exit 8"), ("later", "sleep 2; exit 9")];
    for (name, script) in codes {
        sandbox.detached(&["--name", name], script);
    }
    sandbox.wait_for_status("early", "exited");
    let begun = Instant::now();
    assert_eq!(sandbox.ok(&["wait", "later", "early", "late"]), "9\n7\n8\n");
    assert!(begun.elapsed() < Duration::from_secs(60));
    // One that removes itself tells its code before.
    let id = sandbox.detached(&["--rm"], "sleep 1; exit 6");
    assert_eq!(sandbox.ok(&["wait", &id]), "6\n");
    sandbox.fails(1, &["wait", &id]);
    let output = sandbox.run(&["wait", "nobody", "early"]);
    assert_eq!((output.code, output.stdout.as_str()), (1, "7\n"));
}

// Removal.

#[test]
fn rm_refuses_what_runs_and_f_does_not() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.sleeper("busy");
    sandbox.ok(&["create", "--name", "idle", "alpine", "true"]);
    let said = sandbox.fails(1, &["rm", "busy"]);
    assert!(said.contains("running") && said.contains("minirun stop busy") && said.contains("rm -f busy"), "{said}");
    assert_eq!(sandbox.look("busy", "{{.State.Status}}"), "running");
    // The others go all the same.
    let output = sandbox.run(&["rm", "nobody", "busy", "idle"]);
    assert_eq!((output.code, output.stdout.as_str()), (1, "idle\n"));
    assert!(output.stderr.contains("nobody"), "{}", output.stderr);
    assert_eq!(sandbox.ok(&["rm", "-f", "busy"]), "busy\n");
    assert!(sandbox.left_behind().is_empty(), "{:?}", sandbox.left_behind());
    assert!(sandbox.stored("containers").is_empty() && sandbox.stored("container-names").is_empty());
    assert_eq!(sandbox.ok(&["ps", "-a"]), EMPTY_TABLE);
    // With -f there is nothing to complain about when there is nothing.
    sandbox.ok(&["rm", "-f", &id]);
    sandbox.fails(1, &["rm", &id]);
}

#[test]
fn rm_v_takes_anonymous_volumes_and_no_named_ones() {
    let sandbox = Sandbox::with_alpine();
    let words = ["--network", "none", "-v", "/cache", "-v", "data:/data", "alpine", "touch", "/cache/f", "/data/f"];
    for name in ["one", "two"] {
        sandbox.ok(&[&["run", "--name", name], &words[..]].concat());
    }
    assert_eq!(sandbox.stored("volumes").len(), 3);
    sandbox.ok(&["rm", "-v", "one"]);
    assert_eq!(sandbox.stored("volumes").len(), 2);
    sandbox.ok(&["rm", "two"]);
    assert_eq!(sandbox.stored("volumes").len(), 2);
    assert!(sandbox.root().join("volumes/data/_data/f").exists());
}

#[test]
fn removal_frees_the_writable_layer_and_nothing_else() {
    let sandbox = Sandbox::with_alpine();
    let used = || -> u64 {
        let said = sandbox.run_other("du", &["-sk", sandbox.root().to_str().unwrap()]).stdout;
        said.split_whitespace().next().unwrap().parse().unwrap()
    };
    let before = used();
    // Also what only its own root may enter or remove.
    let script = "head -c 4194304 /dev/urandom > /big; mkdir -p /shut/in && touch /shut/in/f && chmod 0 /shut/in /shut; chown -R 33:33 /shut";
    let stay = "echo stays > /own; exec sleep 600";
    let id = sandbox.detached(&["--name", "stays"], stay);
    sandbox.ok(&["run", "--name", "goes", "--network", "none", "alpine", "sh", "-c", script]);
    assert!(used() >= before + 4096);
    sandbox.ok(&["rm", "goes"]);
    assert!(used() < before + 1024, "{} kB before, {} kB now", before, used());
    assert!(sandbox.stored("tmp").is_empty(), "{:?}", sandbox.stored("tmp"));
    assert_eq!(sandbox.ok(&["exec", &id, "cat", "/own"]), "stays\n");
    sandbox.sh(&[], "test -e /etc/passwd && test ! -e /big").ok();
}

#[test]
fn an_image_stays_as_long_as_a_container_uses_it() {
    let sandbox = Sandbox::with_alpine();
    let words = ["create", "--name", "user", "--network", "none", "alpine", "echo", "still here"];
    sandbox.ok(&words);
    let said = sandbox.fails(1, &["rmi", "alpine"]);
    assert!(
        said.contains("hint:") && (said.contains("user") || said.contains(&sandbox.look("user", "{{.Id}}")[..12])),
        "{said}"
    );
    // Whatever -f does to the name, the container keeps what it runs from.
    let _ = sandbox.run(&["rmi", "-f", "alpine"]);
    assert_eq!(sandbox.ok(&["start", "-a", "user"]), "still here\n");
    sandbox.ok(&["rm", "user"]);
    let ids = sandbox.ok(&["images", "-q"]);
    for id in ids.lines() {
        sandbox.ok(&["rmi", id]);
    }
    assert!(sandbox.stored("layers").iter().all(|name| name.contains('.')), "{:?}", sandbox.stored("layers"));
}

// Finding and listing.

#[test]
fn ps_shows_docker_s_columns() {
    let sandbox = Sandbox::with_alpine();
    assert_eq!(sandbox.ok(&["ps"]), EMPTY_TABLE);
    let ended = sandbox.detached(&["--name", "ended"], "exit 3");
    sandbox.ok(&["wait", "ended"]);
    let running = sandbox.sleeper("running");
    let created = sandbox.ok(&["create", "--name", "fresh", "alpine", "true"]).trim_end().to_owned();

    let table = sandbox.ok(&["ps"]);
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 2, "{table}");
    let columns: Vec<&str> = lines[1].split("   ").map(str::trim).filter(|c| !c.is_empty()).collect();
    assert_eq!(columns[..3], [&running[..12], "alpine", "\"sh -c 'exec sleep 6…\""]);
    assert!(columns[3].ends_with(" ago") && columns[4].starts_with("Up ") && columns[5] == "running", "{table}");

    let all = sandbox.ok(&["ps", "-a"]);
    let names: Vec<&str> = all.lines().skip(1).map(|l| l.split_whitespace().next_back().unwrap()).collect();
    assert_eq!(names, ["fresh", "running", "ended"], "the newest first");
    assert!(all.contains("Exited (3) ") && all.contains("Created "), "{all}");

    assert_eq!(sandbox.ok(&["ps", "-q"]), format!("{}\n", &running[..12]));
    assert_eq!(sandbox.ok(&["ps", "-aq", "--no-trunc"]), format!("{created}\n{running}\n{ended}\n"));
    assert_eq!(sandbox.ok(&["ps", "-lq"]), format!("{}\n", &created[..12]));
    assert!(sandbox.ok(&["ps", "--no-trunc"]).contains("exec sleep 600"));
}

#[test]
fn containers_are_found_by_name_id_and_beginning() {
    let sandbox = Sandbox::with_alpine();
    // Of seventeen ids two begin with the same digit.
    let ids: Vec<String> = (0..17)
        .map(|n| sandbox.ok(&["create", "--name", &format!("n{n}"), "alpine", "true"]).trim_end().to_owned())
        .collect();
    let look = |text: &str| sandbox.look(text, "{{.Id}}");
    for text in [&ids[0], &ids[0][..12], &ids[0][..8], &ids[0].to_uppercase()[..12], "n0"] {
        assert_eq!(look(text), ids[0], "{text}");
    }
    let shared =
        ids.iter().map(|id| &id[..1]).find(|d| ids.iter().filter(|id| id.starts_with(*d)).count() > 1).unwrap();
    let said = sandbox.fails(1, &["start", shared]) + &sandbox.run(&["logs", shared]).stderr;
    for id in ids.iter().filter(|id| id.starts_with(shared)).take(8) {
        assert!(said.contains(&id[..12]), "{id} is no candidate: {said}");
    }
    assert!(said.contains("several"), "{said}");
    // A name that looks like a beginning is a name first.
    let name = &ids[1][..4];
    let named = sandbox.ok(&["create", "--name", name, "alpine", "true"]).trim_end().to_owned();
    assert_eq!(look(name), named);

    let said = sandbox.run(&["start", "1e6229dd21rd"]).stderr;
    assert!(said.contains("`r` at position 11 is not a hexadecimal digit"), "{said}");
    let slip = format!("{}r{}", &ids[0][..10], &ids[0][11..12]);
    let said = sandbox.run(&["start", &slip]).stderr;
    assert!(said.contains(&format!("the nearest container is {}", &ids[0][..12])), "{said}");
    sandbox.ok(&["create", "--name", "webserver", "alpine", "true"]);
    let said = sandbox.run(&["start", "websrver"]).stderr;
    assert!(said.contains("did you mean: webserver"), "{said}");
    let said = sandbox.run(&["logs", "no-such-thing"]);
    assert!(
        said.code != 0 && said.stderr.contains("no-such-thing") && said.stderr.contains("minirun ps -a"),
        "{}",
        said.streams()
    );
}

#[test]
fn inspect_has_docker_s_shape() {
    let sandbox = Sandbox::with_alpine();
    let host = sandbox.file("host");
    let volume = format!("{}:/host:ro", host.display());
    let id = sandbox
        .detached(&["--name", "seen", "-v", &volume, "-v", "data:/data", "-e", "A=1", "--read-only"], "exec sleep 600");
    let image = sandbox.ok(&["images", "-q", "--no-trunc", "alpine"]);
    let cases = [
        ("{{.Id}}", id.clone()),
        ("{{.Name}}", "/seen".into()),
        ("{{.Image}}", image.trim_end().into()),
        ("{{.Config.Image}}", "alpine".into()),
        ("{{.State.Running}} {{.State.Paused}} {{.State.OOMKilled}}", "true false false".into()),
        ("{{.Path}} {{json .Args}}", r#"sh ["-c","exec sleep 600"]"#.into()),
        ("{{json .HostConfig.Binds}}", format!("[{:?},\"data:/data\"]", volume)),
        (
            "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.Privileged}} {{.HostConfig.AutoRemove}}",
            "true false false".into(),
        ),
        ("{{len .Mounts}}", "2".into()),
        (
            "{{range .Mounts}}{{.Type}}:{{.Destination}}:{{.RW}} {{end}}",
            "bind:/host:false volume:/data:true ".trim_end().into(),
        ),
        ("{{.GraphDriver.Name}} {{.Driver}}", "overlay overlay".into()),
        ("{{.State.FinishedAt}}", "0001-01-01T00:00:00Z".into()),
        ("{{.NetworkSettings.Networks.none.IPAddress}}", "".into()),
    ];
    for (template, expected) in cases {
        assert_eq!(sandbox.look("seen", template).trim_end(), expected, "{template}");
    }
    let whole: serde_json::Value = serde_json::from_str(&sandbox.ok(&["inspect", "seen", "alpine"])).unwrap();
    assert_eq!(whole.as_array().unwrap().len(), 2);
    assert_eq!(whole[0]["Id"], id.as_str());
    assert!(whole[1]["RootFS"]["Layers"].is_array());
    assert!(fs::metadata(whole[0]["GraphDriver"]["Data"]["UpperDir"].as_str().unwrap()).is_ok());
    let pid = whole[0]["State"]["Pid"].as_u64().unwrap();
    assert!(fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap().starts_with("sleep"));
    let output = sandbox.run(&["inspect", "nobody", "seen"]);
    assert!(
        output.code == 1 && output.stdout.contains(&id) && output.stderr.contains("nobody"),
        "{}",
        output.streams()
    );
    sandbox.fails(1, &["inspect", "--format", "{{.State", "seen"]);
    assert_eq!(sandbox.ok(&["port", "seen"]), "");
}

#[test]
fn top_lists_the_container_s_processes_as_the_host_numbers_them() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.detached(&["--name", "busy"], "sleep 601 & sleep 602 & echo ready; wait");
    sandbox.sleeper("other");
    sandbox.wait_for_log(&id, "ready");
    wait_until("all have begun", || sandbox.ok(&["top", "busy"]).matches("sleep 60").count() >= 2);
    let said = sandbox.ok(&["top", "busy"]);
    let mut lines = said.lines();
    assert_eq!(
        lines.next().unwrap().split_whitespace().collect::<Vec<_>>(),
        ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    );
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows.len(), 3, "{said}");
    assert!(rows.iter().any(|r| r[1] == sandbox.look("busy", "{{.State.Pid}}")), "{said}");
    assert!(said.contains("sleep 601") && said.contains("sleep 602") && !said.contains("sleep 600\n"), "{said}");
    for row in &rows {
        assert!(fs::metadata(format!("/proc/{}", row[1])).is_ok(), "{said}");
    }
    sandbox.ok(&["kill", "busy"]);
    let said = sandbox.fails(1, &["top", "busy"]);
    assert!(said.contains("not running") && said.contains("hint:"), "{said}");
}

// Output and input.

#[test]
fn logs_keep_both_streams_in_their_order() {
    let sandbox = Sandbox::with_alpine();
    let script = "echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three; sleep 0.1; printf unfinished";
    let id = sandbox.detached(&["--name", "talker"], script);
    sandbox.ok(&["wait", &id]);
    let output = sandbox.run(&["logs", "talker"]);
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (0, "one\nthree\nunfinished", "two\n"));
    let both = |flags: &[&str]| -> String {
        let words = [&["logs"], flags, &["talker"]].concat();
        let script = format!("exec \"$0\" {} 2>&1", words.join(" "));
        finish(sandbox.other("sh").args(["-c", &script, &Sandbox::binary()])).ok()
    };
    assert_eq!(both(&[]), "one\ntwo\nthree\nunfinished");
    assert_eq!(both(&["--tail", "2"]), "three\nunfinished");
    assert_eq!(both(&["-n", "0"]), "");
    assert_eq!(both(&["--tail", "all"]), "one\ntwo\nthree\nunfinished");
    assert_eq!(both(&["--tail", "100"]), "one\ntwo\nthree\nunfinished");
    let stamped = both(&["-t"]);
    let times: Vec<&str> = stamped.lines().map(|l| l.split_once(' ').unwrap().0).collect();
    assert_eq!(times.len(), 4);
    assert!(times.windows(2).all(|w| w[0] < w[1]) && times[0].ends_with('Z') && times[0].contains('T'), "{stamped}");
    assert_eq!(both(&["--since", times[1]]), "two\nthree\nunfinished");
    assert_eq!(both(&["--until", times[1]]), "one\ntwo\n");
    assert_eq!(both(&["--since", times[1], "--until", times[2]]), "two\nthree\n");
    assert_eq!(both(&["--since", "1h"]), "one\ntwo\nthree\nunfinished");
    std::thread::sleep(Duration::from_millis(1100));
    assert_eq!(both(&["--since", "1s"]), "");
    for bad in [["--since", "yesterday"], ["--until", "x"], ["--tail", "some"]] {
        let said = sandbox.fails(125, &["logs", bad[0], bad[1], "talker"]);
        assert!(said.contains(bad[1]) && said.contains("hint:"), "{said}");
    }
    sandbox.ok(&["create", "--name", "mute", "alpine", "true"]);
    assert_eq!(sandbox.ok(&["logs", "mute"]), "");
}

#[test]
fn logs_hold_what_is_long_and_what_is_no_ascii() {
    let sandbox = Sandbox::with_alpine();
    // Two bytes each, so that no round number of bytes ends a character.
    let script = "printf x; for i in $(seq 5000); do printf 'жщюя'; done; echo; echo short";
    let output = sandbox.run(&["run", "--name", "long", "--network", "none", "alpine", "sh", "-c", script]);
    let expected = format!("x{}\nshort\n", "жщюя".repeat(5000));
    assert!(output.stdout == expected, "the run itself");
    let logged = sandbox.ok(&["logs", "long"]);
    assert!(logged == expected, "{} bytes of {}", logged.len(), expected.len());
}

#[test]
fn logs_f_goes_on_until_the_end() {
    let sandbox = Sandbox::with_alpine();
    let script = "echo first; while [ ! -e /go ]; do sleep 0.05; done; echo second; echo third >&2; printf last";
    let id = sandbox.detached(&["--name", "talker"], script);
    sandbox.wait_for_log(&id, "first");
    let mut command = sandbox.command(&["logs", "-f", "talker"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "first\n");
    sandbox.ok(&["exec", "talker", "touch", "/go"]);
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    let mut errors = String::new();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    assert_eq!((rest.as_str(), errors.as_str()), ("second\nlast", "third\n"));
    assert!(child.wait().unwrap().success());
    // Of one that has ended, it ends at once; with --tail it begins later.
    assert_eq!(sandbox.ok(&["logs", "-f", "--tail", "1", "talker"]), "last");
}

#[test]
fn attach_gets_what_comes_and_sends_what_is_typed() {
    let sandbox = Sandbox::with_alpine();
    let script = "echo before; while read line; do [ $line = stop ] && break; echo got $line; done; echo end; exit 4";
    let id = sandbox.detached(&["-i", "--name", "reader"], script);
    sandbox.wait_for_log(&id, "before");
    let mut command = sandbox.command(&["attach", "reader"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    input.write_all(b"one\n").unwrap();
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "got one\n", "what was printed before is not printed again");
    // A second one hears the same.
    let mut listener = sandbox.command(&["attach", "--no-stdin", "reader"]);
    let mut listener = listener.stdout(Stdio::piped()).spawn().unwrap();
    let mut ears = BufReader::new(listener.stdout.take().unwrap());
    let (tell, told) = std::sync::mpsc::channel();
    let listening = std::thread::spawn(move || {
        let mut heard = String::new();
        ears.read_line(&mut heard).unwrap();
        tell.send(()).unwrap();
        ears.read_to_string(&mut heard).unwrap();
        heard
    });
    // Spoken to until it hears.
    wait_until("the second one hears", || {
        input.write_all(b"two\n").unwrap();
        told.recv_timeout(Duration::from_millis(100)).is_ok()
    });
    input.write_all(b"stop\n").unwrap();
    let mut rest = String::new();
    out.read_to_string(&mut rest).unwrap();
    assert_eq!(rest.replace("got two\n", ""), "end\n");
    assert_eq!(child.wait().unwrap().code(), Some(4));
    let heard = listening.join().unwrap();
    assert!(heard.starts_with("got two\n") && rest.ends_with(&heard), "{heard:?} of {rest:?}");
    assert_eq!(listener.wait().unwrap().code(), Some(4));
    let said = sandbox.fails(1, &["attach", "reader"]);
    assert!(said.contains("not running") && said.contains("minirun start reader"), "{said}");
}

#[test]
fn signals_of_the_client_reach_the_container() {
    let sandbox = Sandbox::with_alpine();
    let script = "trap 'echo caught; exit 9' INT TERM; echo ready; while :; do sleep 0.05; done";
    for signal in [nix::sys::signal::Signal::SIGINT, nix::sys::signal::Signal::SIGTERM] {
        let mut command = sandbox.command(&["run", "--rm", "--network", "none", "alpine", "sh", "-c", script]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), signal).unwrap();
        let mut rest = String::new();
        out.read_to_string(&mut rest).unwrap();
        assert_eq!((rest.as_str(), child.wait().unwrap().code()), ("caught\n", Some(9)), "{signal}");
    }
    // Without --sig-proxy the client alone goes.
    let words = ["run", "--sig-proxy=false", "--name", "stays", "--network", "none", "alpine", "sh", "-c", script];
    let mut child = sandbox.command(&words).stdout(Stdio::null()).spawn().unwrap();
    sandbox.wait_for_log("stays", "ready");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), nix::sys::signal::Signal::SIGTERM).unwrap();
    child.wait().unwrap();
    assert_eq!(sandbox.look("stays", "{{.State.Status}}"), "running");
}

// A second process.

#[test]
fn exec_runs_another_process_in_the_container() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "home", "-e", "A=run", "-e", "B=run", "-w", "/srv", "-h", "box"], "exec sleep 600");
    let exec = |flags: &[&str], script: &str| sandbox.run(&[&["exec"], flags, &["home", "sh", "-c", script]].concat());
    let output = exec(&[], "echo out; echo err >&2; exit 42");
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (42, "out\n", "err\n"));
    assert_eq!(
        exec(&["-e", "B=exec", "-e", "C="], "echo $A $B ${C-unset}; pwd; hostname; echo $HOME").ok(),
        "run exec\n/srv\nbox\n/root\n"
    );
    assert_eq!(exec(&["-w", "/etc"], "pwd").ok(), "/etc\n");
    assert_eq!(exec(&[], "kill -9 $$").code, 137);
    let said = exec(&["-u", "nobody"], "id -u; echo $HOME").ok();
    assert_eq!(said, "65534\n/\n");
    assert_eq!(exec(&["-u", "0:7"], "id -g").ok(), if single() { "0\n" } else { "7\n" });
    assert_eq!(sandbox.run_with_input(&["exec", "-i", "home", "cat"], b"typed").ok(), "typed");
    assert_eq!(sandbox.run_with_input(&["exec", "home", "cat"], b"unheard").ok(), "");
    // Written where the first process sees it.
    exec(&[], "echo shared > /f").ok();
    assert_eq!(sandbox.ok(&["exec", "home", "cat", "/proc/1/root/f"]), "shared\n");
    for (code, command) in [(127, "no-such-command"), (127, "/no/such/file"), (126, "/etc"), (126, "/etc/passwd")] {
        let said = sandbox.fails(code, &["exec", "home", command]);
        assert!(said.contains(command) && said.contains("hint:"), "{said}");
    }
    let said = sandbox.fails(126, &["exec", "-w", "/no/such/directory", "home", "true"]);
    assert!(said.contains("/no/such/directory"), "{said}");
    let said = sandbox.fails(125, &["exec", "-u", "stranger", "home", "true"]);
    assert!(said.contains("stranger") && said.contains("hint:"), "{said}");
    assert_eq!(sandbox.look("home", "{{.State.Status}}"), "running");
    assert!(sandbox.ok(&["logs", "home"]).is_empty(), "what a second process says is not in the log of the first");
}

#[test]
fn exec_needs_a_container_that_runs() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.detached(&["--name", "gone"], "exit 5");
    sandbox.ok(&["wait", &id]);
    let said = sandbox.fails(1, &["exec", "gone", "true"]);
    assert!(said.contains("container gone is not running") && said.contains("minirun start gone"), "{said}");
    for command in
        [&["attach", "gone"][..], &["kill", "gone"], &["top", "gone"], &["watch", "gone"], &["probe", "gone"]]
    {
        assert_eq!(sandbox.fails(1, command), said, "{command:?}");
    }
    sandbox.ok(&["create", "--name", "new", "alpine", "true"]);
    let said = sandbox.fails(1, &["exec", "new", "true"]);
    assert!(said.contains("container new is not running") && said.contains("minirun start new"), "{said}");
    let said = sandbox.run(&["exec", "nobody", "true"]);
    assert!(said.code == 1 && said.stderr.contains("hint:"), "{}", said.streams());
}

#[test]
fn exec_d_lets_go_and_dies_with_the_container() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("home");
    assert_eq!(sandbox.ok(&["exec", "-d", "home", "sh", "-c", "echo done > /f; exec sleep 603"]), "");
    wait_until("it has run", || sandbox.run(&["exec", "home", "cat", "/f"]).stdout == "done\n");
    assert!(sandbox.ok(&["top", "home"]).contains("sleep 603"));
    // One that is attached hears of the end, too.
    let mut command = sandbox.command(&["exec", "home", "sleep", "604"]);
    let mut attached = command.spawn().unwrap();
    wait_until("it runs", || sandbox.ok(&["top", "home"]).contains("sleep 604"));
    sandbox.ok(&["kill", "home"]);
    assert_eq!(attached.wait().unwrap().code(), Some(137));
    wait_until("nothing is left of them", || sandbox.left_behind().is_empty());
}

#[test]
fn many_at_once_in_one_container() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("home");
    let children: Vec<_> = (0..12)
        .map(|n| {
            let words = ["exec", "home", "sh", "-c", &format!("echo {n} >> /all; exit {n}")];
            sandbox.command(&words).spawn().unwrap()
        })
        .collect();
    for (n, mut child) in children.into_iter().enumerate() {
        assert_eq!(child.wait().unwrap().code(), Some(n as i32));
    }
    assert_eq!(sandbox.ok(&["exec", "home", "sh", "-c", "sort -n /all | tr '\\n' ' '"]), "0 1 2 3 4 5 6 7 8 9 10 11 ");
}

// What was changed, and an image of it.

#[test]
fn diff_tells_what_was_added_changed_and_deleted() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["create", "--name", "untouched", "--network", "none", "-v", "/data", "alpine", "true"]);
    assert_eq!(sandbox.ok(&["diff", "untouched"]), "");
    sandbox.ok(&["start", "-a", "untouched"]);
    assert_eq!(sandbox.ok(&["diff", "untouched"]), "", "mount points are nobody's change");
    let script = "echo more >> /etc/motd; rm /etc/issue; mkdir /srv/new; touch /srv/new/f; rm -r /opt; chmod 700 /media; touch /dev/shm/x /tmp/t";
    sandbox.ok(&["run", "--name", "touched", "--network", "none", "alpine", "sh", "-c", script]);
    let said = sandbox.ok(&["diff", "touched"]);
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_by_key(|line| line[2..].to_owned());
    let expected = [
        "C /etc",
        "D /etc/issue",
        "C /etc/motd",
        "C /media",
        "D /opt",
        "C /srv",
        "A /srv/new",
        "A /srv/new/f",
        "C /tmp",
        "A /tmp/t",
    ];
    assert_eq!(lines, expected);
    sandbox.ok(&[
        "run",
        "-d",
        "--name",
        "running",
        "--network",
        "none",
        "alpine",
        "sh",
        "-c",
        "touch /f; exec sleep 600",
    ]);
    wait_until("it has changed", || sandbox.ok(&["diff", "running"]) == "A /f\n");
}

#[test]
fn commit_as_the_homework_types_it() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.detached(
        &["--name", "web"],
        "mkdir -p /usr/share/nginx; echo mine > /usr/share/nginx/index.html; echo ready; exec sleep 600",
    );
    sandbox.wait_for_log(&id, "ready");
    let made = sandbox.ok(&["commit", &id[..4], "nginxnew:v1.2"]);
    assert!(made.starts_with("sha256:") && made.trim_end().len() == 71, "{made}");
    let listed = sandbox.ok(&["images"]);
    assert!(listed.lines().any(|l| l.split_whitespace().take(3).eq(["nginxnew", "v1.2", &made[7..19]])), "{listed}");
    // It runs beside the first, with what the first had changed and with what it was started with.
    assert_eq!(
        sandbox.ok(&["run", "--rm", "--network", "none", "nginxnew:v1.2", "cat", "/usr/share/nginx/index.html"]),
        "mine\n"
    );
    assert!(sandbox.look("nginxnew:v1.2", "{{json .Config.Cmd}}").contains("sleep 600"));
    assert_eq!(sandbox.look("web", "{{.State.Status}}"), "running");
    // It was held still meanwhile, and goes on.
    assert_eq!(sandbox.ok(&["exec", "web", "echo", "alive"]), "alive\n");
    let pid = sandbox.look("web", "{{.State.Pid}}");
    wait_until("it goes on", || !fs::read_to_string(format!("/proc/{pid}/status")).unwrap().contains("State:\tT"));
    let said = sandbox.run(&["commit", "1e6229dd21rd", "x"]).stderr;
    assert!(said.contains("`r` at position 11"), "{said}");
    // Without a tag it is the latest one.
    sandbox.ok(&["commit", "-m", "said", "-a", "me", "-c", "ENV B=2", "-c", "CMD [\"env\"]", "web", "plain"]);
    assert!(sandbox.ok(&["run", "--rm", "--network", "none", "plain"]).contains("B=2\n"));
    assert_eq!(sandbox.look("plain:latest", "{{.Author}}/{{.Comment}}"), "me/said");
}

#[test]
fn commit_holds_the_container_still() {
    let sandbox = Sandbox::with_alpine();
    // Both files always grow together, but for a moment: a copy made while it runs would often catch them apart.
    let script = "echo ready; i=0; while :; do i=$((i + 1)); echo $i > /one; echo $i > /two; done";
    let id = sandbox.detached(&["--name", "busy"], script);
    sandbox.wait_for_log(&id, "ready");
    for n in 0..3 {
        let image = format!("still{n}");
        sandbox.ok(&["commit", "busy", &image]);
        let said = sandbox.ok(&["run", "--rm", "--network", "none", &image, "cat", "/one", "/two"]);
        let numbers: Vec<i64> = said.lines().map(|l| l.parse().unwrap()).collect();
        assert!(numbers.len() < 2 || numbers[0] - numbers[1] <= 1, "{said}");
    }
    let count = || -> i64 { sandbox.ok(&["exec", "busy", "cat", "/two"]).trim().parse().unwrap_or(0) };
    let before = count();
    wait_until("it goes on", || count() > before);
}
