//! `events`: the journal of what was done.

use crate::common::{Output, Sandbox, finish, wait_until};
use serde_json::Value;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The actions of a container so far.
#[track_caller]
fn actions(sandbox: &Sandbox, filters: &[&str]) -> Vec<String> {
    let words = ["events", "--since", "0", "--until", &now(), "--format", "{{.Action}}"];
    sandbox.ok(&[&words[..], filters].concat()).lines().map(str::to_owned).collect()
}

/// Returns this moment, a second later, in seconds since 1970: all that has happened lies before it.
fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{}.{:09}", since.as_secs(), since.subsec_nanos())
}

#[test]
fn a_container_s_life_in_docker_s_words() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.detached(&["--name", "web", "--label", "tier=front"], "exec sleep 600");
    sandbox.ok(&["exec", "web", "true"]);
    sandbox.ok(&["exec", "-d", "web", "false"]);
    wait_until("both have ended", || actions(&sandbox, &["--filter", "event=exec_die"]).len() == 2);
    sandbox.ok(&["restart", "-t", "0", "web"]);
    sandbox.ok(&["stop", "-t", "0", "web"]);
    sandbox.ok(&["start", "web"]);
    sandbox.ok(&["kill", "web"]);
    sandbox.ok(&["commit", "web", "saved"]);
    sandbox.ok(&["rm", "web"]);
    let expected = [
        "create",
        "start",
        "exec_create: true",
        "exec_start: true",
        "exec_die", // exec
        "exec_create: false",
        "exec_start: false",
        "exec_die", // exec -d
        "kill",
        "kill",
        "die",
        "stop",
        "start",
        "restart", // restart
        "kill",
        "kill",
        "die",
        "stop", // stop
        "start",
        "kill",
        "die",
        "commit",
        "destroy",
    ];
    assert_eq!(actions(&sandbox, &["--filter", "container=web"]), expected);
    let codes = sandbox.ok(&[
        "events",
        "--since",
        "0",
        "--until",
        &now(),
        "-f",
        "event=exec_die",
        "--format",
        "{{.Actor.Attributes.exitCode}}",
    ]);
    assert_eq!(codes, "0\n1\n");
    let words = ["events", "--since", "1h", "--until", &now(), "-f", "container=web", "-f", "event=die"];
    let lines = finish(sandbox.command(&words).env("TZ", "JST-9")).ok();
    let first = lines.lines().next().unwrap();
    let (time, rest) = first.split_once(' ').unwrap();
    assert!(time.len() == 35 && time.ends_with("+09:00"), "{time}");
    assert_eq!(rest, format!("container die {id} (execDuration=0, exitCode=137, image=alpine, name=web, tier=front)"));
}

#[test]
fn a_run_that_ends_by_itself_and_one_that_is_restarted() {
    let sandbox = Sandbox::with_alpine();
    assert_eq!(sandbox.sh(&["--name", "once"], "exit 3").code, 3);
    wait_until("it is gone", || actions(&sandbox, &["--filter", "container=once"]).last().unwrap() == "destroy");
    assert_eq!(actions(&sandbox, &["--filter", "container=once"]), ["create", "attach", "start", "die", "destroy"]);
    let flags = ["--name", "again", "--restart", "on-failure:2"];
    sandbox.detached(&flags, "exit 1");
    sandbox.wait_for_status("again", "exited");
    let expected = ["create", "start", "die", "start", "die", "start", "die"];
    assert_eq!(actions(&sandbox, &["--filter", "container=again"]), expected);
}

#[test]
fn volumes_as_docker_tells_of_them() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["volume", "create", "data"]);
    let flags = ["--rm", "-v", "data:/data:ro", "-v", "/own", "--name", "user"];
    let id = sandbox.detached(&flags, "exec sleep 600");
    sandbox.ok(&["stop", "-t", "0", "user"]);
    wait_until("it is gone", || actions(&sandbox, &["-f", "event=destroy", "-f", "type=volume"]).len() == 1);
    sandbox.ok(&["volume", "create", "other"]);
    sandbox.ok(&["volume", "rm", "data"]);
    sandbox.ok(&["volume", "prune", "-a", "-f"]);
    let told = actions(&sandbox, &["-f", "type=volume"]);
    let expected = [
        "create", // data
        "create", // the anonymous one
        "mount", "mount", "unmount", "unmount", "destroy", // the anonymous one
        "create",  // other
        "destroy", // data
        "destroy", // other
        "prune",
    ];
    assert_eq!(told, expected);
    let words = ["events", "--since", "0", "--until", &now(), "-f", "volume=data", "-f", "event=mount"];
    let line = sandbox.ok(&words);
    let line = line.split_once(' ').unwrap().1;
    let attributes = format!("(container={id}, destination=/data, driver=local, propagation=, read/write=false)");
    assert_eq!(line.trim_end(), format!("volume mount data {attributes}"));
    // What is killed by rm -f is told too, and printed although --rm removes it.
    sandbox.detached(&["--rm", "--name", "forced"], "exec sleep 600");
    assert_eq!(sandbox.ok(&["rm", "-f", "forced"]), "forced\n");
    assert_eq!(sandbox.ok(&["rm", "-f", "forced"]), "");
}

#[test]
fn health_is_told_when_it_changes() {
    let sandbox = Sandbox::with_alpine();
    let check = ["--health-cmd", "test ! -e /bad", "--health-interval", "100ms", "--health-retries", "2"];
    sandbox.detached(&[&["--name", "sick"][..], &check].concat(), "sleep 0.5; touch /bad; exec sleep 600");
    let told = || actions(&sandbox, &["--filter", "event=health_status"]);
    wait_until("both were told", || told().len() == 2);
    assert_eq!(told(), ["health_status: healthy", "health_status: unhealthy"]);
}

#[test]
fn images_as_docker_tells_of_them() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["tag", "alpine", "other:1"]);
    let archive = sandbox.file("saved.tar");
    sandbox.ok(&["save", "-o", archive.to_str().unwrap(), "other:1"]);
    sandbox.ok(&["rmi", "other:1"]);
    sandbox.ok(&["rmi", "alpine"]);
    sandbox.ok(&["load", "-i", archive.to_str().unwrap()]);
    let words = ["events", "--since", "0", "--until", &now(), "--format", "{{.Action}} {{.Actor.Attributes.name}}"];
    let told = sandbox.ok(&[&words[..], &["-f", "type=image"]].concat());
    let lines: Vec<&str> = told.lines().collect();
    let id = sandbox.look("other:1", "{{.Id}}");
    let deleted = format!("delete {id}");
    assert_eq!(
        lines,
        [
            "import alpine:latest",
            "tag other:1",
            "save other:1",
            "untag other:1",
            "untag alpine:latest",
            &deleted,
            "load other:1"
        ]
    );
}

#[test]
fn it_follows_until_it_is_ended_and_filters() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("before");
    let words = ["events", "--filter", "type=container", "--filter", "event=start", "--format", "json"];
    let mut child = sandbox.command(&words).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // It says nothing of what was before; so it is asked until it has begun to listen.
    std::thread::sleep(Duration::from_millis(500));
    let id = sandbox.sleeper("after");
    let line = lines.next().unwrap().unwrap();
    let event: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&event["Type"], &event["Action"], &event["status"]),
        (&"container".into(), &"start".into(), &"start".into())
    );
    assert_eq!(
        (&event["Actor"]["ID"], &event["id"], &event["from"]),
        (&id.clone().into(), &id.into(), &"alpine".into())
    );
    assert_eq!(event["Actor"]["Attributes"]["name"], "after");
    assert_eq!(event["timeNano"].as_i64().unwrap() / 1_000_000_000, event["time"].as_i64().unwrap());
    let pid = child.id().to_string();
    sandbox.run_other("kill", &[&pid]);
    child.wait().unwrap();
}

#[test]
fn until_a_moment_to_come_it_waits() {
    let sandbox = Sandbox::with_alpine();
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 2;
    let begun = Instant::now();
    let mut child =
        sandbox.command(&["system", "events", "--until", &since.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
    sandbox.sleeper("meanwhile");
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success() && begun.elapsed() > Duration::from_millis(900), "{:?}", begun.elapsed());
    assert!(text.contains(" image import ") && text.contains(" container start "), "{text}");
}

#[test]
fn wrong_words_are_refused() {
    let sandbox = Sandbox::new();
    let refused = |words: &[&str]| -> Output { sandbox.run(&[&["events"], words].concat()) };
    for (words, said) in [
        (["--filter", "colour=red"], "invalid filter \"colour=red\""),
        (["--filter", "type=pod"], "invalid filter \"type=pod\""),
        (["--since", "yesterday"], "invalid time \"yesterday\""),
    ] {
        let output = refused(&words);
        assert!(
            output.code == 125 && output.stderr.contains(said) && output.stderr.contains("hint:"),
            "{}",
            output.streams()
        );
    }
    let output = refused(&["--until", "1s", "--format", "{{.Nothing"]);
    assert_eq!((output.code, output.stdout.as_str()), (1, ""), "{}", output.stderr);
}

#[test]
fn a_damaged_or_missing_journal_stops_nothing() {
    let sandbox = Sandbox::with_alpine();
    let log = sandbox.root().join("events/log");
    let before = std::fs::read_to_string(&log).unwrap();
    std::fs::write(&log, format!("{{half\n{before}not json\n\0\0\n")).unwrap();
    assert_eq!(actions(&sandbox, &[]), ["import"]);
    sandbox.ok(&["tag", "alpine", "next"]);
    assert_eq!(actions(&sandbox, &[]), ["import", "tag"]);
    let checked = sandbox.run(&["system", "check"]);
    assert!(checked.code == 0, "{}", checked.streams());
    std::fs::remove_dir_all(sandbox.root().join("events")).unwrap();
    sandbox.ok(&["tag", "alpine", "more"]);
    assert_eq!(actions(&sandbox, &[]), ["tag"]);
    // Where it cannot be written, everything else can still be done.
    std::fs::remove_dir_all(sandbox.root().join("events")).unwrap();
    std::fs::write(sandbox.root().join("events"), "").unwrap();
    sandbox.ok(&["tag", "alpine", "last"]);
    std::fs::remove_file(sandbox.root().join("events")).unwrap();
}
