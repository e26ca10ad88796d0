//! `why`: each verdict has a container, broken on purpose, that gets exactly this one; sound containers get none.

use crate::common::{Sandbox, User, fixture, free_port, user, verdict_codes as codes, wait_until, why as json};
use serde_json::Value;
use std::path::Path;

/// Catches SIGTERM, so that a server beside it is all that is looked at.
const CALM: &str = "trap 'exit 0' TERM; while :; do sleep 0.1; done";

/// `broken`: alpine with programs that cannot run.
fn broken() -> Sandbox {
    let sandbox = Sandbox::with_alpine();
    let script = r"printf '#!/bin/no-such\n' >/no-interpreter; printf '#!/bin/sh\r\necho hello\r\n' >/crlf
        cp /bin/busybox /other; printf '\x16\x00' | dd of=/other bs=1 seek=18 conv=notrunc 2>/dev/null
        mkdir /made; printf '#!/bin/sh\nsleep 0.1 &\n' >/made/nginx; echo text >/text
        echo 'echo server: no such word in /etc/server.conf:3 >&2; exit 1' >/server; touch /etc/server.conf
        printf '\xef\xbb\xbf#!/bin/sh\n' >/bom; echo 'echo hello' >/no-line; touch /empty; printf '#!/text\n' >/of-text
        printf '#!/usr/bin/env no-python\n' >/of-env; printf '#!/bin/sh\n' >/private; cp /bin/busybox /daemon
        chmod 755 /no-interpreter /crlf /other /made/nginx /bom /no-line /empty /of-text /of-env; chmod 700 /private";
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
        ("bom", &[], "/bom", "script-has-bom"),
        ("no-line", &[], "/no-line", "no-interpreter-line"),
        ("empty", &[], "/empty", "file-is-empty"),
        ("of-text", &[], "/of-text", "not-executable"),
        ("in-a-file", &["-w", "/text"], "true", "workdir-not-a-directory"),
        ("noexec", &["-v", "/bin/true:/there/true", "--tmpfs", "/there:noexec"], "/there/x", "command-not-found"),
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
    assert!(text.contains("line ends of Windows") && text.contains(r"sed -i 's/\r$//' /crlf"), "{text}");
    let text = sandbox.ok(&["why", "directory"]);
    assert!(text.contains("is a directory") && !text.contains("chmod"), "{text}");
    if user() != User::Single {
        sandbox.fails(126, &["run", "--network", "none", "--name", "private", "-u", "1000", "broken", "/private"]);
        assert_eq!(codes(&sandbox, "private"), ["not-executable-by-user"]);
        let text = sandbox.ok(&["why", "private"]);
        assert!(text.contains("1000:0 cannot execute or enter `/private`") && text.contains("0:0, mode 700"), "{text}");
    }
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
        text.contains("perhaps because of its configuration: server: no such word in /etc/server.conf:3"),
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
    sandbox.run_other("kill", &["-9", &sandbox.monitor_of("orphan")]).ok();
    sandbox.wait_for_status("orphan", "exited");
    assert_eq!(codes(&sandbox, "orphan"), ["monitor-killed"]);
    assert!(sandbox.ok(&["why", "orphan"]).contains("with code 137; the cause was not recorded"));
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
    calm(&sandbox, "calm");
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
    assert!(text.contains("three   from the command line") && text.contains("told exited with 0"), "{text}");
}

#[test]
fn a_signal_of_the_first_process_is_told_from_an_exit_that_looks_like_it() {
    let sandbox = Sandbox::with_alpine();
    // A processor type that does not exist.
    let code: &[u8] = if cfg!(target_arch = "x86_64") { &[0x0f, 0x0b] } else { &[0; 4] };
    let crash = sandbox.tiny_program("/crash", code);
    for (name, flags, words, code, signal) in [
        ("crash", &[][..], &["/crash"][..], "crashed", Value::from("SIGILL")),
        ("under-init", &["--init"], &["/crash"], "crashed", Value::from("SIGILL")),
        ("child", &[], &["sh", "-c", "/crash; exit $?"], "program-failed", Value::Null),
        ("exit-143", &[], &["sh", "-c", "exit 143"], "program-failed", Value::Null),
        ("exit-150", &[], &["sh", "-c", "exit 150"], "program-failed", Value::Null),
        ("init-143", &["--init"], &["sh", "-c", "exit 143"], "program-failed", Value::Null),
    ] {
        sandbox.run(&[&["run", "--network", "none", "--name", name, "-v", &crash], flags, &["alpine"], words].concat());
        let found = json(&sandbox, name);
        assert_eq!(found["verdicts"][0]["code"], code, "{name}: {found}");
        assert_eq!(found["signal"], signal, "{name}: {found}");
    }
    let text = sandbox.ok(&["why", "exit-143"]);
    assert!(text.contains("exited with 143") && text.contains("SIGTERM") && text.contains("perhaps"), "{text}");
    assert!(sandbox.ok(&["why", "crash"]).contains("`crash` crashed: the kernel ended it with SIGILL"));
}

/// One that ends at once when it is asked to, from now on.
fn calm(sandbox: &Sandbox, name: &str) {
    sandbox.detached(&["--name", name], CALM);
    wait_until("it has its trap", || codes(sandbox, name).is_empty());
}

#[test]
fn who_asked_for_the_end() {
    let sandbox = Sandbox::with_alpine();
    let deaf = "trap : TERM; while :; do sleep 0.1; done";
    sandbox.detached(&["--name", "killed"], CALM);
    sandbox.ok(&["kill", "killed"]);
    let found = json(&sandbox, "killed");
    assert_eq!((&found["asked"][0]["by"], &found["signal"]), (&"kill".into(), &"SIGKILL".into()), "{found}");
    assert!(sandbox.ok(&["why", "killed"]).contains("ended by SIGKILL: `minirun kill` sent SIGKILL at 20"));

    calm(&sandbox, "stopped");
    sandbox.ok(&["stop", "stopped"]);
    let found = json(&sandbox, "stopped");
    assert_eq!(found["verdicts"], Value::Array(Vec::new()), "{found}");
    assert_eq!((&found["asked"][0]["by"], &found["asked"][0]["signal"]), (&"stop".into(), &"SIGTERM".into()));
    assert!(sandbox.ok(&["why", "stopped"]).contains("stopped exited with 0, as requested"));

    sandbox.detached(&["--name", "late", "--stop-timeout", "1"], deaf);
    wait_until("it has its trap", || codes(&sandbox, "late") == ["handler-does-not-exit"]);
    assert!(sandbox.ok(&["why", "late"]).contains("perhaps wait 1 s in vain"));
    sandbox.ok(&["stop", "late"]);
    assert_eq!(codes(&sandbox, "late"), ["grace-ran-out"]);
    let text = sandbox.ok(&["why", "late"]);
    assert!(text.contains("still running 1 s later, so minirun killed it with SIGKILL"), "{text}");

    sandbox.detached(&["--name", "elsewhere"], CALM);
    sandbox.run_other("kill", &["-9", &sandbox.look("elsewhere", "{{.State.Pid}}")]).ok();
    sandbox.wait_for_status("elsewhere", "exited");
    assert_eq!(codes(&sandbox, "elsewhere"), ["killed-from-elsewhere"]);

    // The end of a session or of the host comes to the monitor, which passes it on.
    calm(&sandbox, "by-monitor");
    sandbox.run_other("kill", &["-TERM", &sandbox.monitor_of("by-monitor")]).ok();
    sandbox.wait_for_status("by-monitor", "exited");
    let found = json(&sandbox, "by-monitor");
    assert_eq!((&found["asked"][0]["by"], &found["verdicts"]), (&"monitor".into(), &Value::Array(Vec::new())));

    // As an older minirun left it.
    let state = sandbox.root().join("containers").join(sandbox.look("killed", "{{.Id}}")).join("state.json");
    let mut old: Value = serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
    assert!(old.as_object_mut().unwrap().remove("outcome").is_some());
    std::fs::write(&state, old.to_string()).unwrap();
    assert_eq!(codes(&sandbox, "killed"), ["end-not-recorded"]);
    assert_eq!(json(&sandbox, "killed")["is_recorded"], false);

    // A signal of an earlier run is not reported for a later one.
    sandbox.ok(&["start", "stopped"]);
    assert_eq!(json(&sandbox, "stopped")["asked"], Value::Array(Vec::new()));
    sandbox.ok(&["kill", "stopped"]);
}

#[test]
fn the_last_line_decides_and_a_guess_says_perhaps() {
    let sandbox = broken();
    for (name, flags, script, code, code_of_exit) in [
        ("panic", &[][..], "echo 'open /x: Permission denied'; echo 'panic: no cheese'; exit 2", "program-failed", 2),
        ("stray", &[], "echo 'bind: Address in use'; echo 'licence expired'; exit 1", "program-failed", 1),
        ("passwd", &[], "echo loading /etc/passwd; exit 1", "program-failed", 1),
        ("env", &[], "/of-env", "interpreter-missing", 127),
        ("crlf", &[], "/crlf", "script-has-crlf", 127),
        ("unset", &[], "set -u; echo $NO_SUCH_NAME", "variable-missing", 2),
        ("needs", &[], "echo 'Error: DB_PASSWORD must be set'; exit 1", "variable-missing", 1),
        ("has", &["-e", "DB_PASSWORD=x"], "echo 'Error: DB_PASSWORD must be set'; exit 1", "program-failed", 1),
        ("name", &[], "wget -q http://no-such-host.invalid/", "name-not-resolved", 1),
        ("refused", &[], "wget -q http://127.0.0.1:1/", "connection-refused", 1),
        ("module", &[], "echo \"ModuleNotFoundError: No module named 'flask'\"; exit 1", "module-missing", 1),
        ("absent", &[], "cat /no/such/file", "file-missing", 1),
        ("silent", &[], "exit 7", "program-failed", 7),
        ("trace", &[], "echo 'Error: listen EADDRINUSE'; echo '    at Server'; echo '}'; exit 1", "address-in-use", 1),
    ] {
        let said = sandbox
            .run(&[&["run", "--network", "none", "--name", name], flags, &["broken", "sh", "-c", script]].concat());
        assert_eq!(said.code, code_of_exit, "{name}: {}", said.streams());
        let found = json(&sandbox, name);
        assert_eq!(found["verdicts"][0]["code"], code, "{name}: {found}");
        let text = sandbox.ok(&["why", name]);
        let last = said.stdout.lines().chain(said.stderr.lines()).last();
        assert!(last.is_none_or(|last| text.contains(last)), "{name}: {text}");
        let is_guess = !["program-failed", "interpreter-missing", "script-has-crlf"].contains(&code);
        assert_eq!(text.contains("perhaps"), is_guess, "{name}: {text}");
    }
    assert!(sandbox.ok(&["why", "unset"]).contains("-e NO_SUCH_NAME=…"));
    assert!(sandbox.ok(&["why", "name"]).contains("--network none"));
    assert!(sandbox.ok(&["why", "panic"]).contains("its last output: panic: no cheese"));
    if user() != User::Single {
        let script = "touch /made/file";
        sandbox.run(&["run", "--network", "none", "--name", "owner", "-u", "1000", "broken", "sh", "-c", script]);
        let text = sandbox.ok(&["why", "owner"]);
        assert!(text.contains("1000:0 ≠ /made 0:0 755"), "{text}");
    }
    // An escape sequence of the container's never reaches the terminal.
    let script = r"printf '\033]0;title\007\033[31mred\033[0m\n'; exit 1";
    sandbox.run(&["run", "--network", "none", "--name", "coloured", "broken", "sh", "-c", script]);
    let text = sandbox.ok(&["why", "coloured"]);
    assert!(text.contains("red") && !text.contains(['\u{1b}', '\u{7}']), "{text:?}");
    // Nor does the last line of an earlier run count.
    let script = "[ -e /again ] && exit 3; touch /again; echo 'bind: Address in use'; exit 3";
    sandbox.run(&["run", "--network", "none", "--name", "again", "broken", "sh", "-c", script]);
    assert_eq!(codes(&sandbox, "again"), ["address-in-use"]);
    sandbox.run(&["start", "-a", "again"]);
    assert_eq!(codes(&sandbox, "again"), ["program-failed"]);
    assert_eq!(json(&sandbox, "again")["last_line"], Value::Null);
}

#[test]
fn every_kind_of_slow_stop_is_foretold() {
    let sandbox = Sandbox::with_alpine();
    let entrypoint = "printf '#!/bin/sh\\nset -e\\nsleep 1000\\n' >/entrypoint.sh; chmod 755 /entrypoint.sh";
    sandbox.ok(&["run", "--network", "none", "--name", "maker", "alpine", "sh", "-c", entrypoint]);
    sandbox.ok(&["commit", "maker", "scripted"]);
    for (name, flags, words, expected) in [
        ("trap", &[][..], &["sh", "-c", "trap 'exit 0' TERM; sleep 1000"][..], "trap-waits"),
        ("ignoring", &["--init"], &["sh", "-c", "trap '' TERM; sleep 1000"], "ignores-sigterm"),
        ("nothing", &[], &["sh", "-c", "trap : TERM; while :; do sleep 0.1; done"], "handler-does-not-exit"),
        (
            "says",
            &[],
            &["sh", "-c", "f() { echo bye; }; trap f TERM; while :; do sleep 0.1; done"],
            "handler-does-not-exit",
        ),
        ("no-exec", &[], &["/entrypoint.sh"], "script-without-exec"),
        ("with-e", &[], &["sh", "-ec", "sleep 1000; true"], "shell-form"),
        ("loop", &[], &["sh", "-c", "while :; do sleep 1; done"], "ignores-sigterm"),
        ("two", &[], &["sh", "-c", "sleep 1000 & sleep 1000 & wait"], "ignores-sigterm"),
        ("trap-of-init", &["--init"], &["sh", "-c", "trap 'exit 0' TERM; sleep 1000"], "trap-waits"),
        ("by-wait", &[], &["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"], ""),
        ("function", &[], &["sh", "-c", "f() { exit 0; }; trap f TERM; while :; do sleep 0.1; done"], ""),
        ("other-signal", &["--stop-signal", "INT"], &["sh", "-c", "trap 'exit 0' INT; sleep 1000 & wait"], ""),
        ("init", &["--init"], &["sleep", "1000"], ""),
    ] {
        sandbox.ok(&[&["run", "-d", "--network", "none", "--name", name], flags, &["scripted"], words].concat());
        let expected: Vec<&str> = Some(expected).filter(|code| !code.is_empty()).into_iter().collect();
        // The shell needs a moment before it has a trap, or a child.
        wait_until(&format!("{name}: {expected:?}"), || codes(&sandbox, name) == expected);
    }
    let text = sandbox.ok(&["why", "no-exec"]);
    assert!(text.contains("still the script /entrypoint.sh") && text.contains("exec sleep 1000"), "{text}");
    let text = sandbox.ok(&["why", "trap"]);
    assert!(text.contains("sleep 1000 & wait $!"), "{text}");
    // Containers foretold to stop slowly do so, and the others stop at once.
    for (name, is_slow) in
        [("trap", true), ("ignoring", true), ("nothing", true), ("no-exec", true), ("by-wait", false)]
    {
        let begun = std::time::Instant::now();
        sandbox.ok(&["stop", "-t", "1", name]);
        assert_eq!(begun.elapsed().as_millis() > 900, is_slow, "{name}");
    }
}

#[test]
fn a_port_behind_another_loopback_or_a_stopped_server() {
    let sandbox = broken();
    let port = free_port();
    let publish = format!("{port}:80");
    let run = |name: &str, flags: &[&str], server: &str| {
        let script = format!("{server} {CALM}");
        sandbox.ok(&[&["run", "-d", "--name", name], flags, &["broken", "sh", "-c", &script]].concat());
        let listens = || sandbox.run(&["exec", name, "sh", "-c", "cat /proc/net/tcp* | grep -q ' 0A '"]).code == 0;
        wait_until("it listens", listens);
        let found = json(&sandbox, name)["verdicts"].clone();
        sandbox.ok(&["rm", "-f", name]);
        found
    };
    let publish = ["-p", publish.as_str()];
    let found = run("second", &publish, "nc -lk -s 127.0.0.2 -p 80 &");
    assert_eq!((&found[0]["code"], &found[0]["found"]), (&"listens-on-localhost".into(), &"127.0.0.2:80/tcp".into()));
    let found = run("mapped", &publish, "nc -lk -s ::ffff:127.0.0.1 -p 80 &");
    assert_eq!(found[0]["code"], "listens-on-localhost", "{found}");
    assert!(!found[0]["found"].as_str().unwrap().contains("7F"), "{found}");
    let found = run("elsewhere", &publish, "nc -lk -s 10.0.2.100 -p 81 &");
    assert_eq!(found[0]["found"], "10.0.2.100:81/tcp");
    assert_eq!(found[0]["advice"], format!("-p {port}:81"));
    let found = run("neither", &publish, "nc -lk -s 127.0.0.2 -p 81 &");
    assert_eq!((&found[0]["code"], &found[1]["code"]), (&"listens-elsewhere".into(), &"listens-on-localhost".into()));
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap();
    let may_open_80 = user() == User::Root || first.trim().parse::<u16>().unwrap() <= 80;
    let found = run("exposed", &[], "nc -lk -p 80 &");
    assert_eq!(found[0]["advice"], if may_open_80 { "-p 80:80" } else { "-p 8080:80" });
    let found = run(
        "frozen",
        &publish,
        "nc -lk -p 80 & until grep -q :0050 /proc/net/tcp*; do sleep 0.1; done; kill -STOP $!;",
    );
    assert_eq!(found[0]["code"], "stopped", "{found}");

    calm(&sandbox, "halted");
    sandbox.ok(&["kill", "-s", "STOP", "halted"]);
    wait_until("it is stopped", || codes(&sandbox, "halted") == ["stopped"]);
    sandbox.ok(&["kill", "-s", "CONT", "halted"]);
    wait_until("it goes on", || codes(&sandbox, "halted").is_empty());
    let publish = ["run", "-d", "--network", "none", "--name", "alone", "-p", publish[1], "broken", "sh", "-c", CALM];
    if sandbox.run(&publish).code == 0 {
        assert_eq!(codes(&sandbox, "alone"), ["published-in-vain"]);
    }
}

#[test]
fn a_health_check_that_has_not_succeeded_yet() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "early", "--health-cmd", "test -e /ok"], CALM);
    wait_until("it has its trap", || codes(&sandbox, "early").is_empty());
    let text = sandbox.ok(&["why", "early"]);
    assert!(text.contains("its health check has not succeeded yet"), "{text}");
    assert_eq!(json(&sandbox, "early")["health"], "starting");
    sandbox.ok(&["exec", "early", "touch", "/ok"]);
    sandbox.ok(&["healthcheck", "run", "early"]);
    let text = sandbox.ok(&["why", "early"]);
    assert!(text.contains("early is running and healthy, and no problem was found"), "{text}");
}

/// Sound containers in their usual life: `why` has no verdict on any of them.
#[test]
fn thirty_sound_containers_get_no_verdict() {
    let sandbox = Sandbox::with_alpine();
    let server = |port: &str| format!("trap 'exit 0' TERM; nc -lk -p {port} -e cat & wait");
    let own = sandbox.file("own");
    std::fs::create_dir_all(&own).unwrap();
    let volume = format!("{}:/data", own.display());
    let ends: [(&str, &[&str], &str); 15] = [
        ("true", &[], "true"),
        ("says", &[], "echo nginx; echo error: Permission denied"),
        ("finds-nothing", &[], "grep nothing /etc/passwd || true"),
        ("looks-for-nginx", &[], "ls /usr/sbin/nginx 2>/dev/null; exit 0"),
        ("writes", &[], "dd if=/dev/zero of=/file bs=1k count=1; sync"),
        ("reads", &["-i"], "cat"),
        ("of-init", &["--init"], "true"),
        ("of-user", &["-u", "0:0"], "id"),
        ("frozen", &["--read-only", "--tmpfs", "/tmp"], "touch /tmp/file"),
        ("keeps", &["-v", &volume], "echo kept >/data/file"),
        ("works-there", &["-w", "/tmp"], "pwd"),
        ("given", &["-e", "NAME=value"], "test $NAME = value"),
        ("child-failed", &[], "false; true"),
        ("child-killed", &[], "sh -c 'kill -9 $$'; exit 0"),
        ("child-in-background", &[], "sleep 1000 & exit 0"),
    ];
    for (name, flags, script) in ends {
        let words = [&["run", "--network", "none", "--name", name], flags, &["alpine", "sh", "-c", script]].concat();
        sandbox.ok(&words);
        assert_eq!(codes(&sandbox, name), [""; 0], "{name}");
    }
    let (eighty, published) = (server("80"), format!("{}:80", free_port()));
    let stays: [(&str, &[&str], &[&str]); 15] = [
        ("calm", &[], &["sh", "-c", CALM]),
        ("calm-e", &[], &["sh", "-ec", CALM]),
        ("waits", &[], &["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"]),
        ("waits-for-pid", &[], &["sh", "-c", "trap 'kill $pid; exit' TERM; sleep 1000 & pid=$!; wait $pid"]),
        ("cleans-up", &[], &["sh", "-c", "end() { echo bye; exit 0; }; trap end TERM INT; sleep 1000 & wait $!"]),
        ("serves", &["-p", &published], &["sh", "-c", &eighty]),
        ("serves-inside", &[], &["sh", "-c", &eighty]),
        ("of-init", &["--init"], &["sleep", "1000"]),
        ("shell-of-init", &["--init"], &["sh", "-c", "sleep 1000; true"]),
        ("by-int", &["--stop-signal", "INT"], &["sh", "-c", "trap 'exit 0' INT; sleep 1000 & wait"]),
        ("at-once", &["--stop-timeout", "0"], &["sleep", "1000"]),
        ("by-kill", &["--stop-signal", "KILL"], &["sleep", "1000"]),
        ("reads-on", &["-i"], &["sh", "-c", "trap 'exit 0' TERM; cat & wait"]),
        ("of-volume", &["-v", &volume], &["sh", "-c", CALM]),
        ("reloads", &[], &["sh", "-c", "trap 'echo again' HUP; trap 'exit 0' TERM; while :; do sleep 0.1; done"]),
    ];
    for (name, flags, words) in stays {
        let name = format!("stays-{name}");
        let network = if flags.contains(&"-p") { "bridge" } else { "none" };
        sandbox.ok(&[&["run", "-d", "--network", network, "--name", &name], flags, &["alpine"], words].concat());
    }
    for (name, ..) in stays {
        let name = format!("stays-{name}");
        // It needs a moment until it has its trap, its server, or its child.
        wait_until(&format!("nothing is said of {name}"), || codes(&sandbox, &name).is_empty());
        if name == "stays-reloads" {
            sandbox.ok(&["kill", "-s", "HUP", &name]);
            sandbox.wait_for_log(&name, "again");
        }
        assert_eq!(codes(&sandbox, &name), [""; 0], "{name} was reloaded");
        sandbox.ok(&["stop", &name]);
        assert_eq!(codes(&sandbox, &name), [""; 0], "{name} was stopped");
        sandbox.ok(&["start", &name]);
        sandbox.ok(&["stop", "-t", "0", "-s", "KILL", &name]);
        assert_eq!(codes(&sandbox, &name), [""; 0], "{name} was stopped again");
    }
}

#[test]
fn a_real_nginx_in_its_usual_life() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["import", fixture("nginx").to_str().unwrap(), "nginx-files"]);
    std::fs::create_dir_all(sandbox.file("context")).unwrap();
    let file = "FROM nginx-files\nEXPOSE 80\nSTOPSIGNAL SIGQUIT\nCMD [\"nginx\", \"-g\", \"daemon off;\"]\n";
    std::fs::write(sandbox.file("context/Dockerfile"), file).unwrap();
    sandbox.ok(&["build", "-t", "nginx", sandbox.file("context").to_str().unwrap()]);
    for (name, words) in [
        ("version", &["nginx", "-v"][..]),
        ("settings", &["nginx", "-V"]),
        ("test", &["nginx", "-t"]),
        ("test-more", &["nginx", "-T"]),
        ("help", &["nginx", "-h"]),
        ("by-shell", &["sh", "-c", "nginx -t && echo fine"]),
    ] {
        sandbox.ok(&[&["run", "--network", "none", "--name", name, "nginx"], words].concat());
        assert_eq!(codes(&sandbox, name), [""; 0], "{name}");
    }
    let port = free_port();
    sandbox.ok(&["run", "-d", "-p", &format!("{port}:80"), "--name", "web", "nginx"]);
    wait_until("it serves", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() && codes(&sandbox, "web").is_empty()
    });
    sandbox.ok(&["exec", "web", "nginx", "-s", "reload"]);
    sandbox.ok(&["kill", "-s", "HUP", "web"]);
    assert_eq!(codes(&sandbox, "web"), [""; 0], "reloaded");
    sandbox.ok(&["stop", "web"]);
    assert_eq!(codes(&sandbox, "web"), [""; 0], "stopped");
    sandbox.ok(&["start", "web"]);
    wait_until("it serves again", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
    // A master that has not begun to listen to signals yet hears none; and it may take its messenger along.
    wait_until("it quits", || {
        sandbox.run(&["exec", "web", "nginx", "-s", "quit"]);
        sandbox.look("web", "{{.State.Status}}") == "exited"
    });
    assert_eq!(codes(&sandbox, "web"), [""; 0], "ended by itself");
    // The same without what keeps it in the foreground is told, as a guess.
    sandbox.ok(&["run", "--network", "none", "--name", "away", "nginx", "nginx"]);
    assert_eq!(codes(&sandbox, "away"), ["went-to-background"]);
    assert!(sandbox.ok(&["why", "away"]).contains("perhaps"));
}
