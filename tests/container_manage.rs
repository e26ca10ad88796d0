//! What is done with containers that are there: other names, ports, processes, selections, and the removal of those that
//! have ended.

use crate::common::{Need, Sandbox, User, free_port, require, user, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::process::Stdio;
use std::time::Duration;

#[test]
fn another_name() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.sleeper("old");
    sandbox.ok(&["create", "--name", "idle", "alpine", "true"]);
    assert_eq!(sandbox.ok(&["rename", "old", "new"]), "");
    assert_eq!(sandbox.look("new", "{{.Id}} {{.Name}}"), format!("{id} /new"));
    assert_eq!(sandbox.stored("container-names"), ["idle", "new"]);
    let said = sandbox.fails(1, &["rename", "old", "newer"]);
    assert!(said.contains("no such container: old"), "{said}");
    let said = sandbox.fails(1, &["rename", "new", "idle"]);
    assert!(said.contains("\"idle\" is in use"), "{said}");
    let said = sandbox.fails(1, &["rename", "new", "new"]);
    assert!(said.contains("has this name already"), "{said}");
    sandbox.fails(125, &["rename", "new", "a/b"]);
    // The old name is free, and the new one goes with the container.
    sandbox.sleeper("old");
    sandbox.ok(&["exec", "new", "true"]);
    sandbox.ok(&["rename", &id, "newest"]);
    sandbox.ok(&["restart", "-t", "0", "newest"]);
    sandbox.ok(&["rm", "-f", "newest"]);
    assert_eq!(sandbox.stored("container-names"), ["idle", "old"]);
    // One that removes itself takes the name that it has then.
    sandbox.detached(&["--rm", "--name", "guest"], "exec sleep 600");
    sandbox.ok(&["rename", "guest", "host"]);
    sandbox.ok(&["stop", "-t", "0", "host"]);
    wait_until("it is gone", || sandbox.stored("container-names") == ["idle", "old"]);
    assert_eq!(sandbox.ok(&["system", "check"]), "Nothing is damaged.\n");
}

#[test]
fn a_rename_killed_at_any_moment() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.ok(&["create", "--name", "name0", "alpine", "true"]).trim_end().to_owned();
    let mut name = "name0".to_owned();
    let mut renamed = 0;
    for round in 1..40u64 {
        let next = format!("name{round}");
        let mut child = sandbox.command(&["rename", &name, &next]).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(300 * round));
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL);
        child.wait().unwrap();
        // It has exactly one name, and the other is nobody's.
        let now = sandbox.look(&id, "{{.Name}}").trim_start_matches('/').to_owned();
        assert!(now == name || now == next, "{now}");
        let other = if now == name { &next } else { &name };
        assert_eq!(sandbox.look(&now, "{{.Id}}"), id);
        sandbox.fails(1, &["inspect", other]);
        renamed += usize::from(now == next);
        name = now;
    }
    assert!(renamed > 0 && renamed < 39, "{renamed}");
    sandbox.ok(&["system", "check", "--repair"]);
    assert_eq!(sandbox.stored("container-names"), [name.as_str()]);
    sandbox.ok(&["rm", &name]);
    assert!(sandbox.stored("container-names").is_empty());
}

#[test]
fn published_ports() {
    let sandbox = Sandbox::with_alpine();
    let (one, two) = (free_port().to_string(), free_port().to_string());
    let publish = [format!("{one}:80"), format!("127.0.0.1:{two}:53/udp")];
    let flags = ["run", "-d", "--name", "web", "-p", &publish[1], "-p", &publish[0], "alpine", "sleep", "600"];
    sandbox.ok(&flags);
    let all = sandbox.ok(&["port", "web"]);
    let mut of_web = vec![format!("0.0.0.0:{one}")];
    if Need::Ipv6.given() {
        of_web.push(format!("[::]:{one}"));
    }
    let listed = of_web.iter().map(|place| format!("80/tcp -> {place}\n")).collect::<String>();
    assert_eq!(all, format!("53/udp -> 127.0.0.1:{two}\n{listed}"));
    assert_eq!(sandbox.ok(&["port", "web", "80"]).lines().collect::<Vec<_>>(), of_web);
    assert_eq!(sandbox.ok(&["container", "port", "web", "53/udp"]), format!("127.0.0.1:{two}\n"));
    let said = sandbox.fails(1, &["port", "web", "53"]);
    assert!(said.contains("port 53/tcp of container web is not published"), "{said}");
    let said = sandbox.fails(1, &["port", "web", "http"]);
    assert!(said.contains("invalid port \"http\"") && said.contains("hint:"), "{said}");
    sandbox.ok(&["stop", "-t", "0", "web"]);
    assert_eq!(sandbox.ok(&["port", "web"]), "");
}

#[test]
fn its_processes_as_ps_shows_them() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "busy", "-t"], "sleep 601 & exec sleep 602");
    wait_until("both run", || sandbox.ok(&["top", "busy"]).lines().count() == 3);
    let listed = sandbox.ok(&["top", "busy"]);
    let mut lines = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    assert_eq!(lines.next().unwrap(), ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]);
    let first = lines.next().unwrap();
    assert_eq!(first[1], sandbox.look("busy", "{{.State.Pid}}"));
    assert_eq!((first[3], first[5], &first[6..]), ("0", "pts/0", &["00:00:00", "sleep", "602"][..]));
    if user() != User::Root {
        let name = nix::unistd::User::from_uid(nix::unistd::getuid()).unwrap().unwrap().name;
        assert_eq!(first[0], name, "{listed}");
    }
    require!(Need::Tool("ps"));
    let listed = sandbox.ok(&["top", "busy", "-o", "pid,args"]);
    let mut lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.remove(0).split_whitespace().collect::<Vec<_>>(), ["PID", "COMMAND"]);
    assert!(lines.len() == 2 && lines.iter().all(|line| line.contains("   sleep 60")), "{listed}");
    assert_eq!(sandbox.ok(&["top", "busy", "aux"]).lines().count(), 3);
    let said = sandbox.fails(1, &["top", "busy", "-o", "comm"]);
    assert!(said.contains("no column PID"), "{said}");
    let said = sandbox.fails(1, &["top", "busy", "--nonsense"]);
    assert!(said.contains("ps failed"), "{said}");
    sandbox.ok(&["kill", "busy"]);
    sandbox.fails(1, &["top", "busy"]);
}

#[test]
fn several_at_once_by_flags() {
    let sandbox = Sandbox::with_alpine();
    for name in ["one", "two", "three"] {
        sandbox.sleeper(name);
    }
    let cidfile = sandbox.file("cid");
    let cidfile = cidfile.to_str().unwrap();
    sandbox.ok(&["create", "--name", "idle", "--cidfile", cidfile, "alpine", "true"]);
    let sorted = |text: String| -> Vec<String> {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    // Those that do not run are not stopped, nor named.
    assert_eq!(sorted(sandbox.ok(&["stop", "-t", "0", "--all"])), ["one", "three", "two"]);
    assert_eq!(sandbox.ok(&["kill", "-a"]), "");
    assert_eq!(sandbox.ok(&["rm", "--cidfile", cidfile]).trim_end().len(), 64);
    sandbox.fails(1, &["rm", "--cidfile", cidfile]);
    assert_eq!(sandbox.ok(&["rm", "--ignore", "--cidfile", cidfile, "nobody"]), "");
    assert_eq!(sandbox.ok(&["restart", "--latest"]), "three\n");
    assert_eq!(sandbox.ok(&["stop", "-l", "-t", "0"]), "three\n");
    sandbox.fails(125, &["stop", "--all", "one"]);
    sandbox.fails(125, &["stop"]);
    sandbox.fails(125, &["rm", "--time", "1", "one"]);
    assert_eq!(sorted(sandbox.ok(&["rm", "-a"])), ["one", "three", "two"]);
    assert_eq!(sandbox.ok(&["rm", "-a"]), "");
    sandbox.fails(1, &["rm", "--latest"]);
}

#[test]
fn rm_with_time_lets_it_say_goodbye() {
    let sandbox = Sandbox::with_alpine();
    let host = sandbox.file("host");
    std::fs::create_dir(&host).unwrap();
    let script = "trap 'echo bye > /host/bye; exit' TERM; echo ready; while :; do sleep 0.05; done";
    sandbox.detached(&["--name", "polite", "-v", &format!("{}:/host", host.display())], script);
    sandbox.wait_for_log("polite", "ready");
    assert_eq!(sandbox.ok(&["rm", "-f", "-t", "30", "polite"]), "polite\n");
    assert_eq!(std::fs::read_to_string(host.join("bye")).unwrap(), "bye\n");
}

#[test]
fn prune_takes_what_does_not_run() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("busy");
    let create = |name: &str, label: &str| {
        sandbox.ok(&["create", "--name", name, "-l", label, "alpine", "true"]).trim_end().to_owned()
    };
    let (one, two, three) = (create("one", "keep=yes"), create("two", "keep=no"), create("three", "other"));
    let prune = |filters: &[&str]| sandbox.ok(&[&["container", "prune", "-f"], filters].concat());
    let removed = |said: &str| -> Vec<String> {
        let lines = said.lines().skip(1).take_while(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    };
    assert_eq!(prune(&["--filter", "until=1h"]), "Total reclaimed space: 0B\n");
    assert_eq!(prune(&["--filter", "label=keep", "--filter", "label=other"]), "Total reclaimed space: 0B\n");
    let said = prune(&["--filter", "label=keep=no"]);
    assert!(said.starts_with("Deleted Containers:\n") && said.contains("\n\nTotal reclaimed space: "), "{said}");
    assert!(!said.ends_with(": 0B\n"), "{said}");
    assert_eq!(removed(&said), [two]);
    assert_eq!(removed(&prune(&["--filter", "label!=keep"])), [three]);
    for bad in ["until=yesterday", "name=one", "label=", "label"] {
        let said = sandbox.fails(1, &["container", "prune", "-f", "--filter", bad]);
        assert!(said.contains("invalid") && said.contains("hint:"), "{said}");
    }
    // It asks, where it can.
    let said = sandbox.fails(125, &["container", "prune"]);
    assert!(said.contains("minirun container prune --force"), "{said}");
    assert_eq!(removed(&prune(&["--filter", "until=0s"])), [one]);
    assert_eq!(sandbox.ok(&["ps", "-a", "-q"]).lines().count(), 1);
    assert_eq!(sandbox.ok(&["exec", "busy", "echo", "on"]), "on\n");
}

#[test]
fn the_group_has_them_all() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["container", "create", "--name", "one", "alpine", "true"]);
    for (name, code) in [("one", 0), ("two", 1)] {
        let output = sandbox.run(&["container", "exists", name]);
        assert_eq!((output.code, output.streams()), (code, "--- stdout ---\n--- stderr ---\n".into()));
    }
    for list in ["ls", "list", "ps"] {
        assert_eq!(sandbox.ok(&["container", list, "-a", "-q"]).lines().count(), 1);
    }
    assert_eq!(sandbox.ok(&["container", "rename", "one", "two"]), "");
    assert_eq!(sandbox.ok(&["container", "start", "two"]), "two\n");
    assert_eq!(sandbox.ok(&["container", "rm", "-f", "two"]), "two\n");
}

#[test]
fn ps_of_the_newest_and_their_sizes() {
    let sandbox = Sandbox::with_alpine();
    for name in ["one", "two", "three"] {
        sandbox.ok(&["run", "--name", name, "--network", "none", "alpine", "sh", "-c", "printf 12345 > /new"]);
    }
    let names = |flags: &[&str]| -> Vec<String> {
        let table = sandbox.ok(&[&["ps"], flags].concat());
        table.lines().skip(1).map(|line| line.rsplit("   ").next().unwrap().trim().to_owned()).collect()
    };
    assert_eq!(names(&["-n", "2"]), ["three", "two"]);
    assert_eq!(names(&["--last", "1"]), ["three"]);
    assert_eq!(names(&["-n", "-1", "-a"]), ["three", "two", "one"]);
    assert_eq!(names(&["-l"]), ["three"]);
    sandbox.ok(&["create", "--name", "idle", "alpine", "true"]);
    let sizes = names(&["-a", "-s"]);
    assert!(sizes[0].starts_with("0B (virtual ") && sizes[1].starts_with("5B (virtual "), "{sizes:?}");
    let listed = sandbox.ok(&["ps", "-as"]);
    let header: Vec<&str> = listed.lines().next().unwrap().split_whitespace().collect();
    assert!(header.ends_with(&["NAMES", "SIZE"]), "{header:?}");
}

#[test]
fn wait_for_a_condition() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["create", "--name", "later", "--network", "none", "alpine", "sh", "-c", "exit 4"]);
    let wait = |condition: &str| {
        let words = ["wait", "--condition", condition, "later"];
        let child = sandbox.command(&words).stdout(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        child
    };
    assert_eq!(sandbox.ok(&["wait", "later"]), "0\n");
    let mut child = wait("next-exit");
    assert!(child.try_wait().unwrap().is_none(), "it waits for a start");
    sandbox.ok(&["start", "later"]);
    assert_eq!(String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap(), "4\n");
    let mut child = wait("removed");
    assert!(child.try_wait().unwrap().is_none(), "it waits for the removal");
    sandbox.ok(&["rm", "later"]);
    assert_eq!(String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap(), "4\n");
    sandbox.fails(125, &["wait", "--condition", "tired", "later"]);
}
