//! `probe`: what goes through, and which wall stops the rest, for containers of different rights.

use crate::common::{Need, Sandbox, User, user};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn rows(sandbox: &Sandbox, name: &str, flags: &[&str]) -> BTreeMap<String, Value> {
    sandbox.ok(&[&["run", "-d", "--network", "none", "--name", name], flags, &["alpine", "sleep", "1000"]].concat());
    let said = sandbox.ok(&["probe", "--json", name]);
    let said: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    let rows = said["rows"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 21);
    for row in &rows {
        assert_eq!(row["outcome"] == "not-tried", row["answer"].is_null(), "{row}");
    }
    // It was no harm to try.
    let left = "test -z \"$(ls /dev/shm)\" && test $(grep -c ' /dev/shm ' /proc/mounts) = 1";
    sandbox.ok(&["exec", name, "sh", "-c", left]);
    sandbox.ok(&["rm", "-f", name]);
    rows.into_iter().map(|row| (row["name"].as_str().unwrap().to_owned(), row)).collect()
}

/// Every container may do this, unless it is taken away. With one id no other user can own a file.
fn ordinary() -> BTreeSet<&'static str> {
    let all = ["write_into_its_root", "give_a_file_away", "become_another_user", "open_a_raw_socket"];
    all.into_iter().filter(|name| user() != User::Single || *name != "give_a_file_away").collect()
}

fn allowed(rows: &BTreeMap<String, Value>) -> BTreeSet<&str> {
    rows.iter().filter(|(_, row)| row["outcome"] == "goes-through").map(|(name, _)| name.as_str()).collect()
}

/// In short: `capability:CAP_SYS_BOOT seccomp`.
fn walls(row: &Value) -> String {
    let wall = |wall: &Value| {
        let kind = wall["kind"].as_str().unwrap().to_owned();
        let more = wall["name"].as_str().or(wall["flag"].as_str());
        more.map_or(kind.clone(), |more| format!("{kind}:{more}"))
    };
    row["walls"].as_array().unwrap().iter().map(wall).collect::<Vec<_>>().join(" ")
}

#[test]
fn an_ordinary_container_is_stopped_by_these_walls() {
    let sandbox = Sandbox::with_alpine();
    let rows = rows(&sandbox, "ordinary", &[]);
    assert_eq!(allowed(&rows), ordinary());
    assert_eq!(walls(&rows["too_many_processes"]), "no-limit:--pids-limit");
    assert_eq!(rows["too_much_memory"]["outcome"], "not-tried");
    for (name, expected) in [
        ("reboot", "capability:CAP_SYS_BOOT seccomp own-pid-namespace"),
        ("mount", "capability:CAP_SYS_ADMIN seccomp"),
        ("change_its_network", "capability:CAP_NET_ADMIN"),
        ("be_root_of_a_namespace", "seccomp"),
        ("set_the_clock", "user-namespace"),
        ("make_a_device", "user-namespace"),
        ("raise_a_limit", "user-namespace"),
        ("signal_a_host_process", "pid-namespace"),
        ("write_into_a_layer", "mount-namespace"),
        ("open_a_disk", "mount-namespace"),
        ("see_the_interrupts", "masked"),
    ] {
        assert_eq!(walls(&rows[name]), expected, "{name}");
    }
    assert_eq!(walls(&rows["set_a_kernel_parameter"]), "user-namespace");
}

#[test]
fn more_rights_change_these_rows_and_no_other() {
    let sandbox = Sandbox::with_alpine();
    for (name, flags, expected) in [
        ("net", &["--cap-add", "NET_ADMIN"][..], &["change_its_network"][..]),
        // Through to its own PID namespace only: the machine goes on.
        ("boot", &["--cap-add", "SYS_BOOT"], &[]),
        ("admin", &["--cap-add", "SYS_ADMIN"], &["be_root_of_a_namespace", "mount"]),
    ] {
        let rows = rows(&sandbox, name, flags);
        assert_eq!(allowed(&rows), expected.iter().copied().chain(ordinary()).collect(), "{name}");
    }
    let rows = rows(&sandbox, "privileged", &["--privileged"]);
    let mut expected: BTreeSet<&str> =
        ["be_root_of_a_namespace", "change_its_network", "mount", "see_the_interrupts"].into();
    expected.extend(ordinary());
    assert_eq!(walls(&rows["reboot"]), "own-pid-namespace");
    assert_eq!(allowed(&rows), expected);
    if user() == User::Root {
        // With root's own ids, though in a user namespace, it may write what is root's on the host.
        let rows = self::rows(&sandbox, "host-ids", &["--privileged", "--userns=host"]);
        expected.insert("set_a_kernel_parameter");
        assert_eq!(allowed(&rows), expected);
    }
}

#[test]
fn fewer_rights_change_these_rows_and_no_other() {
    let sandbox = Sandbox::with_alpine();
    let plain = rows(&sandbox, "plain", &[]);
    for (name, flags, lost) in [
        (
            "dropped",
            &["--cap-drop", "ALL"][..],
            &[
                ("give_a_file_away", "capability:CAP_CHOWN"),
                ("become_another_user", "capability:CAP_SETUID"),
                ("open_a_raw_socket", "capability:CAP_NET_RAW"),
            ][..],
        ),
        ("fixed", &["--read-only"], &[("write_into_its_root", "read-only")]),
    ] {
        let rows = rows(&sandbox, name, flags);
        let lost: BTreeMap<&str, &str> = lost.iter().copied().filter(|(row, _)| ordinary().contains(row)).collect();
        let is_left = |row: &&str| !lost.contains_key(row);
        assert_eq!(allowed(&rows), allowed(&plain).into_iter().filter(is_left).collect(), "{name}");
        for (row, wall) in lost {
            assert_eq!(walls(&rows[row]), wall, "{name}: {row}");
        }
    }
}

#[test]
fn a_limit_that_this_host_does_not_give_is_told() {
    let sandbox = Sandbox::with_alpine();
    if Need::Controller("pids").given() {
        return;
    }
    let rows = rows(&sandbox, "unheld", &["--pids-limit", "20"]);
    assert_eq!(walls(&rows["too_many_processes"]), "no-controller:--pids-limit");
    assert_eq!(walls(&rows["too_much_memory"]), "no-limit:--memory");
}

#[test]
fn it_is_told_in_words() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("told");
    let text = sandbox.ok(&["probe", "told"]);
    assert!(text.contains("it lacks CAP_SYS_ADMIN, and also: seccomp"), "{text}");
    assert!(sandbox.ok(&["probe", "--lang", "ru", "told"]).contains("пространство имён"));
    for line in text.lines() {
        assert!(!(line.contains("not tried") && line.contains("goes through")), "{line}");
    }
    assert_eq!(sandbox.ok(&["probe"]), text, "the newest that runs");
    sandbox.ok(&["stop", "-t", "0", "told"]);
    assert!(sandbox.fails(1, &["probe"]).contains("no container is running"));
    assert!(sandbox.fails(1, &["probe", "told"]).contains("is not running"));
}
