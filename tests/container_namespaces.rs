//! Namespaces that a container shares with the host or with another container, and what sharing does not give.

use crate::common::{Need, Sandbox, User, require, user, wait_until};
use std::fs;

/// The container's first process on the host.
fn pid(sandbox: &Sandbox, container: &str) -> String {
    sandbox.look(container, "{{.State.Pid}}")
}

fn namespace(sandbox: &Sandbox, container: &str, kind: &str) -> String {
    let link = fs::read_link(format!("/proc/{}/ns/{kind}", pid(sandbox, container)));
    // Of another user's process: what it sees itself.
    link.map_or_else(
        |_| sandbox.ok(&["exec", container, "readlink", &format!("/proc/self/ns/{kind}")]).trim_end().to_owned(),
        |link| link.to_string_lossy().into_owned(),
    )
}

/// What another process of the container sees.
fn seen(sandbox: &Sandbox, container: &str, script: &str) -> String {
    sandbox.ok(&["exec", container, "sh", "-c", script])
}

fn own(kind: &str) -> String {
    fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().to_string_lossy().into_owned()
}

#[test]
fn those_of_the_host_are_the_host_s() {
    let sandbox = Sandbox::with_alpine();
    let flags = ["--pid", "host", "--ipc", "host", "--uts", "host", "--cgroupns", "host"];
    let script = "for n in pid ipc uts cgroup net; do readlink /proc/self/ns/$n; done; hostname";
    let said = sandbox.sh(&flags, script).ok();
    let lines: Vec<&str> = said.lines().collect();
    for (line, kind) in lines.iter().zip(["pid", "ipc", "uts", "cgroup"]) {
        assert_eq!(*line, own(kind));
    }
    assert_ne!(lines[4], own("net"));
    assert_eq!(lines[5], nix::unistd::gethostname().unwrap().to_string_lossy());
    // Without the flags, all are its own.
    let said = sandbox.sh(&[], script).ok();
    for (line, kind) in said.lines().zip(["pid", "ipc", "uts", "cgroup", "net"]) {
        assert_ne!(line, own(kind), "{kind}");
    }
}

#[test]
fn the_processes_of_the_host_are_seen_and_those_of_the_container_end_with_it() {
    let sandbox = Sandbox::with_alpine();
    let script = "echo $$; (exec sleep 611) & (exec sleep 612) & exec sleep 613";
    sandbox.detached(&["--pid", "host", "--name", "seeing"], script);
    sandbox.wait_for_log("seeing", "\n");
    let inside = sandbox.ok(&["logs", "seeing"]);
    assert_eq!(inside.trim_end(), pid(&sandbox, "seeing"), "its number is the host's");
    let me = std::process::id().to_string();
    assert_eq!(seen(&sandbox, "seeing", &format!("test -d /proc/{me} && echo seen")), "seen\n");
    let listed = sandbox.ok(&["top", "seeing"]);
    assert!(listed.contains("sleep 611") && listed.contains("sleep 613"), "{listed}");
    assert!(!listed.contains("suite"), "processes of the host are not the container's: {listed}");
    sandbox.ok(&["kill", "seeing"]);
    sandbox.wait_for_status("seeing", "exited");
    let alive = || {
        let all = fs::read_dir("/proc").unwrap().flatten();
        let names = all.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        names.filter(|name| name.starts_with(b"sleep\x00611\0") || name.starts_with(b"sleep\x00612\0")).count()
    };
    wait_until("nothing of it is left", || alive() == 0);
}

#[test]
fn another_container_s_processes_are_shared() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "first"], "exec sleep 600");
    let said = sandbox.sh(&["--pid", "container:first"], "ps -o pid,args; echo I am $$; kill -0 1 && echo may").ok();
    assert!(said.contains("    1 sleep 600\n"), "{said}");
    assert!(!said.contains("I am 1\n"), "{said}");
    sandbox.detached(&["--pid", "container:first", "--name", "second"], "exec sleep 601");
    assert_eq!(namespace(&sandbox, "first", "pid"), namespace(&sandbox, "second", "pid"));
    assert_ne!(namespace(&sandbox, "first", "mnt"), namespace(&sandbox, "second", "mnt"));
    assert!(seen(&sandbox, "first", "ps -o args").contains("sleep 601"));
    let listed = sandbox.ok(&["top", "second"]);
    assert!(listed.contains("sleep 601") && !listed.contains("sleep 600"), "{listed}");
    assert_eq!(
        sandbox.look("second", "{{.HostConfig.PidMode}}"),
        format!("container:{}", sandbox.look("first", "{{.Id}}"))
    );
    // What hides parts of /proc hides them here too.
    assert_eq!(seen(&sandbox, "second", "cat /proc/keys | wc -c; cat /proc/kcore | wc -c"), "0\n0\n");
    assert_ne!(sandbox.run(&["exec", "second", "sh", "-c", "echo 1 > /proc/sys/kernel/sysrq"]).code, 0);
    // The namespace ends with its first process.
    sandbox.ok(&["stop", "-t", "0", "first"]);
    sandbox.wait_for_status("second", "exited");
    let said = sandbox.run(&["start", "second"]);
    assert!(said.code != 0 && said.stderr.contains("container first is not running"), "{}", said.streams());
}

#[test]
fn shared_memory_is_shared_with_whom_it_was_offered_to() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--ipc", "shareable", "--name", "offering"], "echo seen > /dev/shm/x; exec sleep 600");
    wait_until("it is written", || sandbox.run(&["exec", "offering", "test", "-s", "/dev/shm/x"]).code == 0);
    let said =
        sandbox.sh(&["--ipc", "container:offering"], "cat /dev/shm/x; readlink /proc/self/ns/ipc; echo y > /dev/shm/y");
    assert_eq!(said.ok(), format!("seen\n{}\n", namespace(&sandbox, "offering", "ipc")));
    assert_eq!(seen(&sandbox, "offering", "cat /dev/shm/y"), "y\n");
    sandbox.sleeper("private");
    let said = sandbox.fails(125, &["run", "--rm", "--ipc", "container:private", "alpine"]);
    assert!(said.contains("does not share") && said.contains("--ipc shareable"), "{said}");
    // Without any, there is no /dev/shm of its own.
    assert_eq!(sandbox.sh(&["--ipc", "none"], "grep -c ' /dev/shm ' /proc/mounts").stdout, "0\n");
    sandbox.detached(&["--ipc", "host", "--name", "hosts"], "exec sleep 600");
    let name = format!("/dev/shm/mr-{}", std::process::id());
    fs::write(&name, "host").unwrap();
    let said = seen(&sandbox, "hosts", &format!("cat {name}"));
    fs::remove_file(&name).unwrap();
    assert_eq!(said, "host");
}

#[test]
fn a_network_is_shared_with_all_its_names() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&[
        "run",
        "-d",
        "--name",
        "web",
        "-h",
        "shop",
        "--add-host",
        "db:192.0.2.7",
        "alpine",
        "nc",
        "-lk",
        "-p",
        "80",
        "-e",
        "echo",
        "hello",
    ]);
    let script =
        "until nc 127.0.0.1 80 </dev/null; do sleep 0.1; done; hostname; cat /etc/hosts; readlink /proc/self/ns/net";
    let said = sandbox.ok(&["run", "--rm", "--network", "container:web", "alpine", "sh", "-c", script]);
    assert!(said.starts_with("hello\nshop\n") && said.contains("192.0.2.7\tdb\n"), "{said}");
    assert!(said.ends_with(&format!("{}\n", namespace(&sandbox, "web", "net"))), "{said}");
    for flags in
        [&["-p", "80"][..], &["-h", "x"], &["--dns", "9.9.9.9"], &["--add-host", "a:1.2.3.4"], &["--expose", "80"]]
    {
        let words = [&["run", "--network", "container:web"], flags, &["no-such-image"]].concat();
        let said = sandbox.fails(125, &words);
        assert!(said.contains("exclude each other") && said.contains("container:web"), "{said}");
    }
    let said = sandbox.run(&["run", "--network", "container:nobody", "alpine"]);
    assert!(said.code != 0 && said.stderr.contains("no such container: nobody"), "{}", said.streams());
    // One that shares the host's network has nothing else to share.
    sandbox.ok(&["run", "-d", "--network", "host", "--name", "hosted", "alpine", "sleep", "600"]);
    let said = sandbox.ok(&["run", "--rm", "--network", "container:hosted", "alpine", "readlink", "/proc/self/ns/net"]);
    assert_eq!(said.trim_end(), own("net"));
    sandbox.ok(&["kill", "web"]);
    sandbox.wait_for_status("web", "exited");
    let before = sandbox.stored("containers").len();
    let said = sandbox.run(&["run", "--network", "container:web", "alpine"]);
    assert!(said.code != 0 && said.stderr.contains("container web is not running"), "{}", said.streams());
    assert_eq!(sandbox.stored("containers").len(), before, "a container is left that can't start");
}

#[test]
fn sharing_gives_no_power_over_others() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("victim");
    let victim = pid(&sandbox, "victim");
    // Who sees the host's processes has a user namespace of its own, and can look into none.
    let script = format!("cat /proc/{victim}/environ; ls /proc/{victim}/root; ls -l /proc/{victim}/ns/mnt");
    let said = sandbox.sh(&["--pid", "host"], &script);
    let is_seen = ["PATH", "etc", "mnt:["].iter().any(|word| said.stdout.contains(word));
    assert!(!is_seen && said.stderr.matches("ermission denied").count() == 3, "{}", said.streams());
    assert_ne!(
        sandbox.sh(&["--pid", "host"], "readlink /proc/self/ns/user").ok().trim_end(),
        seen(&sandbox, "victim", "readlink /proc/self/ns/user").trim_end()
    );
    // Who joins a container in the user namespace of all is no stronger than that.
    for flags in [
        &["--privileged"][..],
        &["--cap-add", "SYS_ADMIN"],
        &["--cap-add", "SYS_PTRACE"],
        &["--security-opt", "seccomp=unconfined"],
        &["--security-opt", "systempaths=unconfined"],
    ] {
        for mode in ["--pid", "--network"] {
            let words = [&["run", "--rm", mode, "container:victim"], flags, &["alpine", "true"]].concat();
            let said = sandbox.fails(125, &words);
            assert!(said.contains("victim") && said.contains("hint:"), "{flags:?}: {said}");
        }
    }
    // Among the strong it may be as strong.
    sandbox.detached(&["--name", "strong", "--cap-add", "SYS_PTRACE"], "exec sleep 600");
    let flags = ["--pid", "container:strong", "--cap-add", "SYS_PTRACE"];
    assert_eq!(sandbox.sh(&flags, "cat /proc/1/environ | tr '\\0' '\\n' | grep -c ^PATH=").ok(), "1\n");
}

#[test]
fn the_first_container_cannot_catch_the_second_while_it_starts() {
    let sandbox = Sandbox::with_alpine();
    // Whoever may trace a process may see which program it is.
    let spy = "while :; do for p in /proc/[0-9]*/exe; do
                   case $(readlink $p) in *busybox*) ;; ?*) echo caught $(readlink $p);; esac
               done 2>/dev/null; done";
    sandbox.detached(&["--name", "spy"], spy);
    for _ in 0..20 {
        sandbox.sh(&["--pid", "container:spy"], "true").ok();
    }
    let logs = sandbox.ok(&["logs", "spy"]);
    assert!(!logs.contains("caught"), "{logs}");
}

#[test]
fn settings_of_the_kernel_are_the_container_s_own() {
    let sandbox = Sandbox::with_alpine();
    let said = sandbox.sh(
        &["--sysctl", "net.core.somaxconn=1234", "--sysctl", "net.ipv4.ip_forward=1"],
        "sysctl -n net.core.somaxconn net.ipv4.ip_forward",
    );
    assert_eq!(said.ok(), "1234\n1\n");
    assert_ne!(fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap(), "1234\n");
    for (setting, word) in
        [("vm.swappiness=1", "whole host"), ("kernel.core_pattern=x", "whole host"), ("net", "--sysctl net.core")]
    {
        let said = sandbox.fails(125, &["run", "--sysctl", setting, "no-such-image"]);
        assert!(said.contains(word) && said.contains("hint:"), "{said}");
    }
    let said = sandbox.fails(125, &["run", "--network", "host", "--sysctl", "net.core.somaxconn=1", "no-such-image"]);
    assert!(said.contains("exclude each other"), "{said}");
    let output = sandbox.sh(&["--sysctl", "kernel.msgmax=4096"], "cat /proc/sys/kernel/msgmax");
    if output.code == 0 {
        assert_eq!(output.stdout, "4096\n");
        assert_ne!(fs::read_to_string("/proc/sys/kernel/msgmax").unwrap(), "4096\n");
    } else {
        assert!(output.stderr.contains("kernel.msgmax") && output.stderr.contains("hint:"), "{}", output.stderr);
    }
    let said = sandbox.sh(&["--sysctl", "net.no.such=1"], "true").fails(125);
    assert!(said.contains("net.no.such") && said.contains("no such setting"), "{said}");
}

#[test]
fn names_of_the_host_are_its_own() {
    let sandbox = Sandbox::with_alpine();
    let flags = ["-h", "db", "--domainname", "example.org"];
    let said = sandbox.sh(&flags, "hostname; cat /proc/sys/kernel/domainname; tail -n 1 /etc/hosts").ok();
    assert_eq!(said, "db\nexample.org\n127.0.0.1\tdb.example.org db\n");
    let said = sandbox.fails(125, &["run", "--uts", "host", "-h", "x", "no-such-image"]);
    assert!(said.contains("--uts host") && said.contains("--hostname"), "{said}");
    sandbox.fails(125, &["run", "--uts", "container:x", "no-such-image"]);
    sandbox.fails(125, &["run", "--domainname", "a b", "no-such-image"]);
}

#[test]
fn modes_of_the_user_namespace_are_known() {
    let sandbox = Sandbox::with_alpine();
    for mode in ["keep-id", "keep-id:uid=1000,gid=1000", "auto", "nomap"] {
        let said = sandbox.sh(&["--userns", mode], "true");
        assert!(
            said.stderr.starts_with("note: --userns has no effect: ") && said.stderr.lines().count() == 1,
            "{}",
            said.stderr
        );
        said.ok();
    }
    assert_eq!(sandbox.sh(&["--userns", "private"], "true").stderr, "");
    assert!(sandbox.fails(125, &["run", "--userns", "container:x", "no-such-image"]).contains("hint:"));
    require!(Need::As(User::Root));
    assert_eq!(user(), User::Root);
    let map = sandbox.sh(&["--userns", "host"], "cat /proc/self/uid_map").ok();
    assert!(map.split_whitespace().take(2).eq(["0", "0"]), "{map}");
}
