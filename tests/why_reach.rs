//! `why --to`: each verdict has a pair of containers, broken on purpose, that gets exactly this one; a sound pair gets none.

use crate::common::{Sandbox, wait_until};
use serde_json::Value;

const ON_ANY: &str = "nc -lk -p 80 -e true";

fn server(sandbox: &Sandbox, name: &str, flags: &[&str], script: &str) {
    sandbox.ok(&[&["run", "-d", "--name", name], flags, &["alpine", "sh", "-c", script]].concat());
    sandbox.ok(&["exec", name, "timeout", "20", "sh", "-c", READY]);
}

/// Waits until something listens.
const READY: &str = "until grep -q ' 0A ' /proc/net/tcp /proc/net/tcp6; do sleep 0.05; done";

fn sleeper(sandbox: &Sandbox, name: &str, flags: &[&str]) {
    sandbox.ok(&[&["run", "-d", "--init", "--name", name], flags, &["alpine", "sleep", "1000"]].concat());
}

fn json(sandbox: &Sandbox, from: &str, to: &str) -> Value {
    let said = sandbox.ok(&["why", "--json", from, "--to", to]);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// Code and advice of each verdict.
fn verdicts(sandbox: &Sandbox, from: &str, to: &str) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let all = json(sandbox, from, to)["verdicts"].as_array().unwrap().clone();
    all.iter().map(|verdict| (text(&verdict["code"]), text(&verdict["advice"]))).collect()
}

#[track_caller]
fn expect(sandbox: &Sandbox, from: &str, to: &str, expected: &[(&str, &str)]) {
    let found = verdicts(sandbox, from, to);
    let found: Vec<(&str, &str)> = found.iter().map(|(code, advice)| (code.as_str(), advice.as_str())).collect();
    assert_eq!(found, expected, "{from} to {to}");
}

#[test]
fn a_sound_pair_gets_no_verdict() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["network", "create", "--internal", "shop"]);
    server(&sandbox, "web", &["--network", "bridge", "--network", "shop:alias=front"], ON_ANY);
    sleeper(&sandbox, "app", &[]);
    sleeper(&sandbox, "inner", &["--network", "shop"]);
    sleeper(&sandbox, "beside", &["--network", "container:web"]);
    let id = sandbox.look("web", "{{.Id}}");
    for (from, to) in [
        ("app", "web:80"),
        ("app", "web"),
        ("app", "WEB.bridge:80/tcp"),
        ("app", &format!("{}:80", &id[..12])),
        ("inner", "front:80"),
        ("inner", "web:80"),
        ("beside", "web:80"),
        ("web", "web:80"),
        ("web", "beside:80"),
    ] {
        expect(&sandbox, from, to, &[]);
    }
    let said = json(&sandbox, "app", "web:80");
    assert_eq!((&said["is_running"], &said["peers"][0]["listening"][0]), (&true.into(), &"*:80/tcp".into()), "{said}");
    let own = sandbox.look("web", "{{(index .NetworkSettings.Networks \"bridge\").IPAddress}}");
    let text = sandbox.ok(&["why", "app", "--to", "web:80"]);
    assert!(text.contains(&format!("app reaches web at {own}, over the network bridge.\n")), "{text}");
    assert!(text.contains("web listens on: *:80/tcp."), "{text}");
    let text = sandbox.ok(&["why", "--lang", "ru", "web", "--to", "beside"]);
    assert!(text.contains("делят одно сетевое пространство имён"), "{text}");
    // The same of a container that has ended, as one that could not connect often has.
    sandbox.ok(&["stop", "-t", "0", "app"]);
    expect(&sandbox, "app", "web:80", &[]);
    let text = sandbox.ok(&["why", "app", "--to", "web:80"]);
    assert!(text.contains("app is not running; then it reaches web at"), "{text}");
}

#[test]
fn networks_and_names_that_do_not_fit() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["network", "create", "shop"]);
    sandbox.ok(&["network", "create", "back"]);
    server(&sandbox, "db", &["--network", "shop:alias=database", "--network", "back:alias=storage"], ON_ANY);
    sleeper(&sandbox, "app", &[]);
    sleeper(&sandbox, "inner", &["--network", "shop"]);
    expect(&sandbox, "app", "db:80", &[("no-common-network", "back app")]);
    // An alias on a network of others is found, too.
    expect(&sandbox, "app", "database:80", &[("no-common-network", "back app")]);
    let text = sandbox.ok(&["why", "app", "--to", "db:80"]);
    assert!(text.contains("app and db are not on one network (app: bridge; db: back, shop)"), "{text}");
    assert!(text.contains("minirun network connect back app"), "{text}");
    expect(&sandbox, "inner", "database:80", &[]);
    expect(&sandbox, "inner", "storage:80", &[("name-elsewhere", "db:80")]);
    expect(&sandbox, "inner", "databse:80", &[("peer-unknown", "database:80")]);
    expect(&sandbox, "inner", "dbb", &[("peer-unknown", "db")]);
    expect(&sandbox, "inner", "nobody-like-that", &[("peer-unknown", "")]);
    let text = sandbox.ok(&["why", "--lang", "ru", "inner", "--to", "databse:80"]);
    assert!(text.contains("контейнера с именем databse нет") && text.contains("возможно, это database:80"), "{text}");
    // What the advice says mends it.
    sandbox.ok(&["network", "connect", "back", "app"]);
    expect(&sandbox, "app", "db:80", &[]);
    sandbox.ok(&["network", "disconnect", "back", "app"]);
    expect(&sandbox, "app", "db:80", &[("no-common-network", "back app")]);
    sandbox.ok(&["pause", "db"]);
    expect(&sandbox, "inner", "db:80", &[("peer-paused", "")]);
    sandbox.ok(&["unpause", "db"]);
    // Its monitor is killed, and what that leaves of its place means nothing.
    let monitor = sandbox.monitor_of("db").parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(monitor), nix::sys::signal::Signal::SIGKILL).unwrap();
    wait_until("db has ended", || sandbox.look("db", "{{.State.Running}}") == "false");
    expect(&sandbox, "inner", "db:80", &[("peer-not-running", "")]);
    expect(&sandbox, "inner", "database:80", &[("peer-not-running", "")]);
    expect(&sandbox, "app", "db:80", &[("peer-not-running", ""), ("no-common-network", "back app")]);
    let text = sandbox.ok(&["why", "inner", "--to", "db:80"]);
    assert!(text.contains("db is not running (exited, 137)") && text.contains("minirun start db"), "{text}");
}

#[test]
fn containers_that_are_alone() {
    let sandbox = Sandbox::with_alpine();
    server(&sandbox, "web", &[], ON_ANY);
    sleeper(&sandbox, "strong", &["--privileged"]);
    sleeper(&sandbox, "silent", &["--network", "none"]);
    sleeper(&sandbox, "able", &["--cap-add", "SYS_ADMIN"]);
    for (name, flag) in [("strong", "--privileged"), ("silent", "--network none"), ("able", "--cap-add CAP_SYS_ADMIN")]
    {
        expect(&sandbox, name, "web:80", &[("on-no-network", "bridge")]);
        expect(&sandbox, "web", name, &[("on-no-network", "bridge")]);
        let text = sandbox.ok(&["why", name, "--to", "web:80"]);
        assert!(text.contains(&format!("{name} is on no network")) && text.contains(flag), "{text}");
    }
    expect(&sandbox, "strong", "silent", &[("on-no-network", "bridge"), ("on-no-network", "bridge")]);
}

#[test]
fn ports_on_which_nobody_answers() {
    let sandbox = Sandbox::with_alpine();
    server(&sandbox, "loopback", &[], "nc -lk -s 127.0.0.1 -p 80 -e true");
    server(&sandbox, "other", &[], "nc -lk -p 8080 -e true");
    sandbox.ok(&["network", "create", "--subnet", "10.77.0.0/24", "side"]);
    let flags = ["--network", "bridge", "--network", "side:ip=10.77.0.9"];
    server(&sandbox, "aside", &flags, "nc -lk -s 10.77.0.9 -p 80 -e true");
    sleeper(&sandbox, "app", &[]);
    expect(&sandbox, "other", "app:80", &[("peer-has-no-listener", "app")]);
    expect(&sandbox, "app", "loopback:80", &[("peer-listens-on-localhost", "")]);
    expect(&sandbox, "app", "other:80", &[("peer-listens-elsewhere", "other:8080")]);
    expect(&sandbox, "app", "other:8080", &[]);
    expect(&sandbox, "app", "other:8080/udp", &[("peer-listens-elsewhere", "other:8080")]);
    // It listens at its address on a network that the asker is not on.
    expect(&sandbox, "app", "aside:80", &[("peer-listens-elsewhere", "")]);
    let both = [("peer-listens-elsewhere", "loopback:80"), ("peer-listens-on-localhost", "")];
    expect(&sandbox, "app", "loopback:81", &both);
    let text = sandbox.ok(&["why", "app", "--to", "loopback:80"]);
    assert!(text.contains("only on its own container's loopback interface: localhost:80/tcp"), "{text}");
    assert!(text.contains("0.0.0.0"), "{text}");
    let text = sandbox.ok(&["why", "app", "--to", "other:80"]);
    assert!(text.contains("nothing listens there, only on: *:8080/tcp") && text.contains("other:8080"), "{text}");
    // Several have one name, and one of them does not answer.
    server(&sandbox, "first", &["--network", "side:alias=pool"], ON_ANY);
    sleeper(&sandbox, "second", &["--network", "side:alias=pool"]);
    expect(&sandbox, "aside", "pool:80", &[("peer-has-no-listener", "second")]);
}

#[test]
fn targets_that_are_none_are_refused() {
    let sandbox = Sandbox::with_alpine();
    sleeper(&sandbox, "app", &[]);
    for bad in ["", ":80", "app:", "app:0", "app:70000", "app:80/sctp", "app:x"] {
        let said = sandbox.fails(125, &["why", "app", "--to", bad]);
        assert!(said.contains("--to"), "{bad}: {said}");
    }
    sandbox.fails(1, &["why", "nobody", "--to", "app"]);
}
