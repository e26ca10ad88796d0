//! `minirun doctor`: what this host gives and lacks.

use crate::common::{Need, Sandbox, User, finish, require, user};
use serde_json::Value;

fn findings(sandbox: &Sandbox) -> Vec<Value> {
    let output = sandbox.run(&["doctor", "--json"]);
    let said: Value = serde_json::from_str(&output.stdout).expect("JSON");
    said["findings"].as_array().expect("a list").clone()
}

fn finding<'a>(findings: &'a [Value], subject: &str) -> &'a Value {
    findings.iter().find(|f| f["subject"] == subject).unwrap_or_else(|| panic!("nothing is said of {subject}"))
}

#[test]
fn where_containers_run_it_says_so() {
    let sandbox = Sandbox::new();
    let text = sandbox.ok(&["doctor"]);
    assert!(text.ends_with("Containers can run here.\n"), "{text}");
    let findings = findings(&sandbox);
    for subject in ["kernel", "user namespace", "namespaces", "/proc", "overlay", "networks"] {
        assert_eq!(finding(&findings, subject)["verdict"], "ok", "{subject}");
    }
}

#[test]
fn what_it_finds_fits_the_terminal() {
    let sandbox = Sandbox::new();
    let findings = findings(&sandbox);
    // A command to type is not wrapped.
    let mends: Vec<&str> = findings.iter().flat_map(|f| f["mend"].as_str().into_iter().flat_map(str::lines)).collect();
    let text = finish(sandbox.command(&["doctor"]).env("COLUMNS", "60")).ok();
    for line in text.lines().filter(|line| !mends.contains(&line.trim())) {
        assert!(line.chars().count() <= 60, "{line}\n{text}");
    }
}

#[test]
fn it_tells_the_three_ways_of_being_a_user_apart() {
    let sandbox = Sandbox::new();
    let findings = findings(&sandbox);
    let ids = finding(&findings, "ids");
    let (verdict, found) = match user() {
        User::Root => ("ok", "of the host, for containers alone"),
        User::Range => ("ok", "a subordinate range, mapped by newuidmap"),
        User::Single => ("note", "one, your own"),
    };
    assert_eq!(ids["verdict"], verdict);
    assert!(ids["found"].as_str().unwrap().contains(found), "{ids}");
    if user() == User::Single {
        assert!(ids["mend"].as_str().unwrap().contains("usermod --add-subuids"), "{ids}");
    }
}

#[test]
fn where_user_namespaces_are_forbidden_it_names_the_setting() {
    require!(Need::Tool("unshare"));
    let sandbox = Sandbox::new();
    // The limit of a user namespace binds all below it, and its root may set it.
    let forbid = "echo 0 >/proc/sys/user/max_user_namespaces; exec \"$0\" doctor";
    let output = sandbox.run_other("unshare", &["--user", "--map-root-user", "sh", "-c", forbid, &Sandbox::binary()]);
    assert_eq!(output.code, 1);
    let line = output.stdout.lines().find(|line| line.starts_with("lacks")).expect("a line that says it");
    assert!(line.contains("user.max_user_namespaces is 0"), "{line}");
    assert!(output.stdout.contains("user.max_user_namespaces=15000"), "{}", output.stdout);
    assert!(output.stdout.ends_with("Containers cannot run here yet.\n"), "{}", output.stdout);
}

#[test]
fn where_unshare_is_refused_without_a_word_it_does_not_guess() {
    require!(Need::Tool("strace"));
    let sandbox = Sandbox::new();
    let binary = Sandbox::binary();
    let refuse =
        ["-f", "-o", "/dev/null", "-e", "trace=unshare", "-e", "inject=unshare:error=EACCES", &binary, "doctor"];
    let output = sandbox.run_other("strace", &refuse);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stdout.contains("refused by a security module"), "{}", output.stdout);
}

#[test]
fn where_networks_lack_devices_it_says_what_works() {
    require!(Need::Tool("strace"));
    let sandbox = Sandbox::new();
    let binary = Sandbox::binary();
    let refuse =
        ["-f", "-o", "/dev/null", "-e", "trace=sendto", "-e", "inject=sendto:error=EOPNOTSUPP", &binary, "doctor"];
    let output = sandbox.run_other("strace", &refuse);
    // Containers run nevertheless, so it lacks nothing.
    let line = output.stdout.lines().find(|line| line.contains("no pairs of devices")).unwrap_or_default();
    assert!(line.starts_with("note ") && line.contains("--network none or host only"), "{}", output.stdout);
    assert!(output.stdout.contains("sudo modprobe veth"), "{}", output.stdout);
}

#[test]
fn a_helper_without_power_is_named() {
    require!(Need::As(User::Range), Need::Tool("setpriv"));
    let sandbox = Sandbox::new();
    let output = sandbox.run_other("setpriv", &["--no-new-privs", &Sandbox::binary(), "doctor"]);
    assert_eq!(output.code, 1);
    assert!(output.stdout.contains("no_new_privs"), "{}", output.stdout);
}

#[test]
fn in_a_container_of_ours_it_names_the_seccomp_filter() {
    let sandbox = Sandbox::with_alpine();
    let mount = format!("{}:/minirun:ro", Sandbox::binary());
    let output = sandbox.run(&["run", "--rm", "--network", "none", "-v", &mount, "alpine", "/minirun", "doctor"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stdout.contains("forbidden by a seccomp filter"), "{}", output.stdout);
    assert!(output.stdout.contains("seccomp=unconfined"), "{}", output.stdout);
}

#[test]
fn without_systemd_it_gives_no_advice_for_systemd() {
    require!(Need::Tool("unshare"));
    let sandbox = Sandbox::new();
    // An empty /run looks like that of a host without systemd; advice for limits is for users other than root.
    let hide = "mount -t tmpfs tmpfs /run && exec unshare --user --map-user=1000 \"$0\" doctor";
    let arguments = ["--user", "--map-root-user", "--mount", "sh", "-c", hide, &Sandbox::binary()];
    let output = sandbox.run_other("unshare", &arguments);
    assert!(output.stdout.contains("no systemd on this host"), "{output:?}");
    for advice in ["/etc/systemd", "systemctl", "systemd.unified", "machinectl"] {
        assert!(!output.stdout.contains(advice), "{advice}: {}", output.stdout);
    }
}

#[test]
fn it_speaks_russian_where_it_is_asked_to() {
    let sandbox = Sandbox::new();
    let text = sandbox.ok(&["doctor", "--lang", "ru"]);
    assert!(text.ends_with("Контейнеры здесь могут работать.\n"), "{text}");
    let is_russian = |line: &&str| line.chars().any(|c| ('а'..='я').contains(&c));
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert!(lines.iter().filter(|line| !line.starts_with(' ')).all(is_russian), "{text}");
    for words in ["created and used", "can be mounted", "your own", "GB free", "and notifications"] {
        assert!(!text.contains(words), "{words}: {text}");
    }
    // What programs read is the same everywhere.
    let said = |language| sandbox.ok(&["doctor", "--json", "--lang", language]);
    let subjects = |text: &str| text.lines().filter(|line| line.contains("\"verdict\"")).count();
    assert_eq!(subjects(&said("ru")), subjects(&said("en")));
    assert!(!said("ru").chars().any(|c| ('а'..='я').contains(&c)));
}
