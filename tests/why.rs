//! `why`: each verdict has a container, broken on purpose, that gets exactly this one; sound containers get none.

mod common;

use common::{Sandbox, User, free_port, user, wait_until};
use serde_json::Value;
use std::path::Path;

/// Catches SIGTERM, so that a server beside it is all that is looked at.
const CALM: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

fn json(sandbox: &Sandbox, container: &str) -> Value {
    let said = sandbox.ok(&["why", "--json", container]);
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

fn codes(sandbox: &Sandbox, container: &str) -> Vec<String> {
    let verdicts = json(sandbox, container)["verdicts"].as_array().unwrap().clone();
    verdicts.iter().map(|verdict| verdict["code"].as_str().unwrap().to_owned()).collect()
}

/// `broken`: alpine with programs that cannot run.
fn broken() -> Sandbox {
    let sandbox = Sandbox::with_alpine();
    let script = r"printf '#!/bin/no-such\n' >/no-interpreter; printf '#!/bin/sh\r\necho hello\r\n' >/crlf
        cp /bin/busybox /other; printf '\x16\x00' | dd of=/other bs=1 seek=18 conv=notrunc 2>/dev/null
        mkdir /made; printf '#!/bin/sh\nsleep 0.1 &\n' >/made/nginx; echo text >/text
        echo 'echo server: no such word in /etc/server.conf:3 >&2; exit 1' >/server; touch /etc/server.conf
        chmod 755 /no-interpreter /crlf /other /made/nginx";
    sandbox.ok(&["run", "--network", "none", "--name", "breaker", "alpine", "sh", "-c", script]);
    sandbox.ok(&["commit", "-c", "EXPOSE 80", "breaker", "broken"]);
    sandbox
}

#[test]
fn what_cannot_start() {
    let sandbox = broken();
    let host_program = "/bin/true:/from-host";
    for (name, flags, command, code) in [
        ("absent", &[][..], "no-such-program", "command-not-found"),
        ("absent-path", &[], "/bin/no-such-program", "command-not-found"),
        ("text", &[], "/text", "not-executable"),
        ("directory", &[], "/made", "not-executable"),
        ("interpreter", &[], "/no-interpreter", "interpreter-missing"),
        // A program of the host, made for another C library than the image's.
        ("loader", &["-v", host_program], "/from-host", "interpreter-missing"),
        ("crlf", &[], "/crlf", "script-has-crlf"),
        ("other", &[], "/other", "wrong-architecture"),
    ] {
        let all = [&["run", "--network", "none", "--name", name], flags, &["broken", command]].concat();
        let said = sandbox.run(&all);
        assert!([126, 127].contains(&said.code), "{name}: {}", said.streams());
        assert_eq!(codes(&sandbox, name), [code], "{name}");
        assert_eq!(sandbox.look(name, "{{.State.ExitCode}}"), said.code.to_string(), "{name}");
        assert!(!sandbox.look(name, "{{.State.Error}}").is_empty(), "{name}");
    }
    assert_eq!(json(&sandbox, "other")["verdicts"][0]["found"], "s390x");
    let text = sandbox.ok(&["why", "crlf"]);
    assert!(text.contains("line ends of Windows") && text.contains(r"sed -i 's/\r$//'"), "{text}");
    assert!(sandbox.ok(&["why", "--lang", "ru", "crlf"]).contains("концы строк Windows"));
}

#[test]
fn what_ended() {
    let sandbox = broken();
    let run = |name: &str, words: &[&str]| {
        let all = [&["run", "-d", "--network", "none", "--name", name, "broken"], words].concat();
        sandbox.ok(&all);
        sandbox.ok(&["wait", name]);
        codes(&sandbox, name)
    };
    assert_eq!(run("server", &["/made/nginx"]), ["went-to-background"]);
    assert_eq!(run("server-of-a-shell", &["sh", "-c", "/made/nginx && true"]), ["went-to-background"]);
    assert_eq!(run("shell", &["sh"]), ["nothing-to-read"]);
    assert_eq!(run("failed", &["sh", "-c", "exit 3"]), ["program-failed"]);
    assert_eq!(run("well", &["true"]), [""; 0]);
    assert_eq!(run("echo", &["sh", "-c", "echo done"]), [""; 0]);
    let id = sandbox.detached(&["--name", "killed"], CALM);
    sandbox.ok(&["kill", &id]);
    sandbox.ok(&["wait", &id]);
    assert_eq!(codes(&sandbox, "killed"), ["killed-by-signal"]);
    assert_eq!(run("crash", &["sh", "-c", "sh -c 'kill -SEGV $$'; exit $?"]), ["crashed"]);
    sandbox.ok(&["create", "--name", "new", "broken", "true"]);
    assert_eq!(codes(&sandbox, "new"), [""; 0]);
}

#[test]
fn what_its_last_words_tell() {
    let sandbox = broken();
    let taken = "nc -l -p 80 & until grep -q :0050 /proc/net/tcp*; do sleep 0.05; done; exec nc -l -p 80";
    for (name, flags, script, code) in [
        ("nameless", &[][..], "no-such-command", "shell-found-no-command"),
        ("unexecutable", &[], "/text", "shell-could-not-execute"),
        ("frozen", &["--read-only"], "touch /file", "read-only-file-system"),
        ("full", &["--tmpfs", "/small:size=64k"], "dd if=/dev/zero of=/small/file bs=1k count=1000", "no-space-left"),
        ("second", &[], taken, "address-in-use"),
        ("forbidden", &[], "/text; exit 1", "permission-denied"),
        ("misconfigured", &[], ". /server", "configuration-rejected"),
        // A file that the container does not have is none of its configuration.
        ("other", &[], "echo /etc/no-such.conf:1 >&2; exit 1", "program-failed"),
        // What was said long before tells nothing.
        ("long-ago", &[], "/text; seq 10 >&2; exit 1", "program-failed"),
        ("well", &["--read-only"], "touch /file; exit 0", ""),
    ] {
        sandbox.run(&[&["run", "--network", "none", "--name", name], flags, &["broken", "sh", "-c", script]].concat());
        let expected: Vec<&str> = Some(code).filter(|code| !code.is_empty()).into_iter().collect();
        assert_eq!(codes(&sandbox, name), expected, "{name}: {}", sandbox.run(&["logs", name]).streams());
    }
    let text = sandbox.ok(&["why", "misconfigured"]);
    assert!(
        text.contains("its last words name a file of its configuration: server: no such word in /etc/server.conf:3"),
        "{text}"
    );
    assert_eq!(json(&sandbox, "nameless")["exit_code"], 127);
}

#[test]
fn a_library_that_is_missing() {
    const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
    if !Path::new(LOADER).exists() {
        return;
    }
    let sandbox = broken();
    let (loader, program) = (format!("{LOADER}:{LOADER}:ro"), "/bin/ls:/from-host:ro");
    sandbox.run(&["run", "--network", "none", "--name", "poor", "-v", &loader, "-v", program, "broken", "/from-host"]);
    assert_eq!(codes(&sandbox, "poor"), ["library-missing"]);
}

#[test]
fn a_monitor_that_was_killed() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "orphan"], CALM);
    let status = std::fs::read_to_string(format!("/proc/{}/status", sandbox.look("orphan", "{{.State.Pid}}"))).unwrap();
    let monitor = status.lines().find_map(|line| line.strip_prefix("PPid:")).unwrap().trim();
    sandbox.run_other("kill", &["-9", monitor]).ok();
    sandbox.wait_for_status("orphan", "exited");
    assert_eq!(codes(&sandbox, "orphan"), ["monitor-killed"]);
}

#[test]
fn why_a_port_could_not_be_opened() {
    let sandbox = Sandbox::with_alpine();
    let holder = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let port = holder.local_addr().unwrap().port();
    let publish = format!("{port}:80");
    sandbox.fails(125, &["run", "-d", "--name", "late", "-p", &publish, "alpine", "sleep", "1000"]);
    assert_eq!(codes(&sandbox, "late"), ["port-taken"]);
    assert_eq!(json(&sandbox, "late")["verdicts"][0]["subject"], port.to_string());
    drop(holder);
    assert_eq!(codes(&sandbox, "late"), ["could-not-start"], "now it is free");
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    if user() != User::Root && first.trim() != "0" {
        sandbox.fails(125, &["run", "-d", "--name", "low", "-p", "1:80", "alpine", "sleep", "1000"]);
        assert_eq!(codes(&sandbox, "low"), ["port-privileged"]);
    }
}

#[test]
fn why_a_port_does_not_answer() {
    let sandbox = broken();
    let port = free_port();
    let publish = format!("{port}:80");
    let publish_udp = format!("{port}:80/udp");
    let run = |name: &str, flags: &[&str], server: &str| {
        let script = format!("{server} {CALM}");
        sandbox.ok(&[&["run", "-d", "--name", name], flags, &["broken", "sh", "-c", &script]].concat());
        // The server needs a moment.
        let listens =
            || sandbox.run(&["exec", name, "sh", "-c", "cat /proc/net/[tu][cd]p* | grep -q ' 0[7A] '"]).code == 0;
        if !server.is_empty() {
            wait_until("it listens", listens);
        }
        let codes = codes(&sandbox, name);
        sandbox.ok(&["rm", "-f", name]);
        codes
    };
    let publish = ["-p", publish.as_str()];
    assert_eq!(run("silent", &publish, ""), ["nothing-listens"]);
    assert_eq!(run("local", &publish, "nc -lk -s 127.0.0.1 -p 80 &"), ["listens-on-localhost"]);
    assert_eq!(run("elsewhere", &publish, "nc -lk -p 81 &"), ["listens-elsewhere"]);
    assert_eq!(run("sound", &publish, "nc -lk -p 80 &"), [""; 0]);
    let publish_udp = ["-p", publish_udp.as_str()];
    assert_eq!(run("silent-udp", &publish_udp, ""), ["nothing-listens"]);
    assert_eq!(run("local-udp", &publish_udp, "nc -luk -s 127.0.0.1 -p 80 &"), ["listens-on-localhost"]);
    assert_eq!(run("elsewhere-udp", &publish_udp, "nc -luk -p 81 &"), ["listens-elsewhere"]);
    assert_eq!(run("other-protocol", &publish_udp, "nc -lk -p 80 &"), ["listens-elsewhere"]);
    assert_eq!(run("sound-udp", &publish_udp, "nc -luk -p 80 &"), [""; 0]);
    assert_eq!(run("exposed", &[], "nc -lk -p 80 &"), ["exposed-not-published"]);
}

#[test]
fn why_stop_will_take_long() {
    let sandbox = broken();
    sandbox.detached(&["--name", "calm"], CALM);
    assert_eq!(codes(&sandbox, "calm"), [""; 0]);
    sandbox.ok(&["run", "-d", "--network", "none", "--name", "deaf", "broken", "sleep", "1000"]);
    assert_eq!(codes(&sandbox, "deaf"), ["ignores-sigterm"]);
    sandbox.detached(&["--name", "shell"], "sleep 1000; true");
    wait_until("the shell has its child", || codes(&sandbox, "shell") == ["shell-form"]);
    sandbox.ok(&["run", "-d", "--init", "--network", "none", "--name", "init", "broken", "sleep", "1000"]);
    assert_eq!(codes(&sandbox, "init"), [""; 0]);
}

#[test]
fn where_each_word_comes_from() {
    let sandbox = broken();
    sandbox.ok(&["commit", "-c", "ENTRYPOINT [\"echo\", \"one\"]", "-c", "CMD [\"two\"]", "breaker", "worded"]);
    sandbox.ok(&["run", "--network", "none", "--name", "as-made", "worded"]);
    sandbox.ok(&["run", "--network", "none", "--name", "told", "worded", "three"]);
    sandbox.ok(&["run", "--network", "none", "--name", "other", "--entrypoint", "true", "worded", "four"]);
    let argv = |name: &str| {
        let words = json(&sandbox, name)["argv"].as_array().unwrap().clone();
        let words = words.iter().map(|word| format!("{} {}", word["word"], word["origin"]).replace('"', ""));
        words.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(argv("as-made"), "echo image-entrypoint, one image-entrypoint, two image-cmd");
    assert_eq!(argv("told"), "echo image-entrypoint, one image-entrypoint, three command-line");
    assert_eq!(argv("other"), "true entrypoint-option, four command-line");
    let text = sandbox.ok(&["why", "told"]);
    assert!(text.contains("three   from the command line") && text.contains("told ended with 0"), "{text}");
}
