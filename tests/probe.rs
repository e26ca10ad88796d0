//! `probe`: what goes through, and which wall stops the rest, for containers of different rights.

mod common;

use common::{Need, Sandbox, User, user};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

fn rows(sandbox: &Sandbox, name: &str, flags: &[&str]) -> BTreeMap<String, Value> {
    sandbox.ok(&[&["run", "-d", "--network", "none", "--name", name], flags, &["alpine", "sleep", "1000"]].concat());
    let said = sandbox.ok(&["probe", "--json", name]);
    let rows: Vec<Value> = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(rows.len(), 17);
    // It was no harm to try.
    let left = "test -z \"$(ls /dev/shm)\" && test $(grep -c ' /dev/shm ' /proc/mounts) = 1";
    sandbox.ok(&["exec", name, "sh", "-c", left]);
    sandbox.ok(&["rm", "-f", name]);
    rows.into_iter().map(|row| (row["name"].as_str().unwrap().to_owned(), row)).collect()
}

/// Where no limit is set, nothing is in their way.
const UNLIMITED: [&str; 2] = ["too_many_processes", "too_much_memory"];

fn allowed(rows: &BTreeMap<String, Value>) -> BTreeSet<&str> {
    rows.iter().filter(|(_, row)| row["is_allowed"] == true).map(|(name, _)| name.as_str()).collect()
}

#[test]
fn an_ordinary_container_is_stopped_by_these_walls() {
    let sandbox = Sandbox::with_alpine();
    let rows = rows(&sandbox, "ordinary", &[]);
    assert_eq!(allowed(&rows), BTreeSet::from(UNLIMITED));
    assert_eq!(rows["too_many_processes"]["walls"].to_string(), r#"[{"no-limit":"--pids-limit"}]"#);
    assert_eq!(rows["too_much_memory"]["answer"], "not-tried");
    for (name, walls) in [
        ("reboot", r#"[{"capability":"CAP_SYS_BOOT"},"seccomp"]"#),
        ("mount", r#"[{"capability":"CAP_SYS_ADMIN"},"seccomp"]"#),
        ("change_its_network", r#"[{"capability":"CAP_NET_ADMIN"}]"#),
        ("be_root_of_a_namespace", r#"["seccomp"]"#),
        ("set_the_clock", r#"["user-namespace"]"#),
        ("make_a_device", r#"["user-namespace"]"#),
        ("raise_a_limit", r#"["user-namespace"]"#),
        ("signal_a_host_process", r#"["pid-namespace"]"#),
        ("write_into_a_layer", r#"["mount-namespace"]"#),
        ("open_a_disk", r#"["mount-namespace"]"#),
        ("see_the_interrupts", r#"["masked"]"#),
    ] {
        assert_eq!(rows[name]["walls"].to_string(), walls, "{name}");
    }
    assert_eq!(rows["set_a_kernel_parameter"]["walls"].to_string(), r#"["user-namespace"]"#);
}

#[test]
fn more_rights_change_these_rows_and_no_other() {
    let sandbox = Sandbox::with_alpine();
    for (name, flags, expected) in [
        ("net", &["--cap-add", "NET_ADMIN"][..], &["change_its_network"][..]),
        ("boot", &["--cap-add", "SYS_BOOT"], &["reboot"]),
        ("admin", &["--cap-add", "SYS_ADMIN"], &["be_root_of_a_namespace", "mount"]),
    ] {
        let rows = rows(&sandbox, name, flags);
        assert_eq!(allowed(&rows), expected.iter().copied().chain(UNLIMITED).collect(), "{name}");
    }
    let rows = rows(&sandbox, "privileged", &["--privileged"]);
    let mut expected: BTreeSet<&str> =
        ["be_root_of_a_namespace", "change_its_network", "mount", "reboot", "see_the_interrupts"].into();
    expected.extend(UNLIMITED);
    assert_eq!(allowed(&rows), expected);
    if user() == User::Root {
        // With root's own ids, though in a user namespace, it may write what is root's on the host.
        let rows = self::rows(&sandbox, "host-ids", &["--privileged", "--userns=host"]);
        expected.insert("set_a_kernel_parameter");
        assert_eq!(allowed(&rows), expected);
    }
}

#[test]
fn a_limit_that_this_host_does_not_give_is_told() {
    let sandbox = Sandbox::with_alpine();
    if Need::Controller("pids").given() {
        return;
    }
    let rows = rows(&sandbox, "unheld", &["--pids-limit", "20"]);
    assert_eq!(rows["too_many_processes"]["walls"].to_string(), r#"[{"no-controller":"--pids-limit"}]"#);
    assert_eq!(rows["too_much_memory"]["walls"].to_string(), r#"[{"no-limit":"--memory"}]"#);
}

#[test]
fn it_is_told_in_words() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("told");
    let text = sandbox.ok(&["probe", "told"]);
    assert!(text.contains("CAP_SYS_ADMIN, which it does not have, and also: seccomp"), "{text}");
    assert!(sandbox.ok(&["probe", "--lang", "ru", "told"]).contains("пространство имён"));
    assert_eq!(sandbox.ok(&["probe"]), text, "the newest that runs");
    sandbox.ok(&["stop", "-t", "0", "told"]);
    assert!(sandbox.fails(1, &["probe"]).contains("no container runs"));
    assert!(sandbox.fails(1, &["probe", "told"]).contains("is not running"));
}
