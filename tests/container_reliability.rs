//! Killed at any moment, out of room, or all at once: the store stays whole, and nothing is left behind.

use crate::common::{self, Output, Sandbox, User, finish, require, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// So many moments in each of the five tests that kill: 125 in all.
const MOMENTS: usize = 25;

/// Random moments that can be had again: `MINIRUN_SEED=… cargo test`.
struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    fn new() -> Self {
        let given = std::env::var("MINIRUN_SEED").ok().and_then(|text| text.parse().ok());
        let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = given.unwrap_or_else(clock) | 1;
        Self { seed, state: seed }
    }

    fn below(&mut self, limit: u64) -> u64 {
        // xorshift64
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % limit.max(1)
    }

    /// A moment while something that takes this long goes on, or just after.
    fn moment(&mut self, whole: Duration) -> Duration {
        Duration::from_micros(self.below(whole.as_micros() as u64 * 11 / 10))
    }
}

impl Drop for Dice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the same moments again: MINIRUN_SEED={}", self.seed);
        }
    }
}

fn start(command: &mut Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("spawn")
}

/// Kills it at that moment, unless it has ended by then.
fn kill_after(mut child: Child, moment: Duration) {
    std::thread::sleep(moment);
    let _ = child.kill();
    child.wait().expect("wait");
}

/// How long it takes when nobody interferes; undone after each time.
fn duration(mut act: impl FnMut(), mut undo: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..3)
        .map(|_| {
            let begun = Instant::now();
            act();
            let took = begun.elapsed();
            undo();
            took
        })
        .collect();
    times.sort();
    times[1]
}

/// What must be so after whatever happened, once a command that writes has run: it works, it sees only whole things, and
/// nothing is there that nothing refers to.
fn assert_whole(sandbox: &Sandbox) {
    assert_eq!(sandbox.sh(&[], "cat /bin/busybox >/dev/null && echo works").ok(), "works\n");
    let listed = sandbox.ok(&["ps", "-a", "-q", "--no-trunc"]);
    let mut ids: Vec<&str> = listed.lines().collect();
    ids.sort_unstable();
    assert_eq!(sandbox.stored("containers"), ids, "a container that is not listed");
    for name in sandbox.stored("container-names") {
        let id = fs::read_to_string(sandbox.root().join("container-names").join(&name)).unwrap();
        assert!(ids.contains(&id.as_str()), "the name {name} was left without its container");
    }
    wait_until("nothing temporary is left", || {
        sandbox.run(&["run", "--rm", "--network", "none", "alpine", "true"]);
        sandbox.stored("tmp").is_empty()
    });
    let images = sandbox.ok(&["images", "-q", "--no-trunc"]);
    assert_eq!(sandbox.stored("images").len(), images.lines().count(), "an image that is not listed");
    let mut users = 0;
    for image in sandbox.stored("images") {
        for user in sandbox.stored(&format!("images/{image}/containers")) {
            assert!(ids.contains(&user.as_str()), "an image is held by the container {user}, which is gone");
            users += 1;
        }
    }
    assert_eq!(users, ids.len(), "a container does not hold its image");
}

/// Removes all that a user can remove, and looks what is left.
fn assert_nothing_left(sandbox: &Sandbox) {
    assert_whole(sandbox);
    let listed = sandbox.ok(&["ps", "-a", "-q"]);
    for id in listed.lines() {
        sandbox.ok(&["rm", "-f", "-v", id]);
    }
    wait_until("no process, mount or socket is left", || sandbox.left_behind().is_empty());
    assert!(sandbox.stored("volumes").is_empty(), "volumes of nobody: {:?}", sandbox.stored("volumes"));
    let images = sandbox.ok(&["images", "-q"]);
    for id in images.lines() {
        sandbox.ok(&["rmi", "-f", id]);
    }
    for part in ["images", "names", "containers", "container-names", "tmp", "pending"] {
        assert!(sandbox.stored(part).is_empty(), "{part}: {:?}", sandbox.stored(part));
    }
    let layers: Vec<String> = sandbox.stored("layers").into_iter().filter(|n| !n.contains('.')).collect();
    assert!(layers.is_empty(), "layers of nobody: {layers:?}");
    let boots = fs::read_dir(sandbox.root().join("run")).unwrap().flatten();
    let registered = boots.filter_map(|boot| fs::read_dir(boot.path().join("userns")).ok()).flatten().count();
    assert_eq!(registered, 0, "a user namespace's keeper was not struck off");
}

/// An archive of many small files, different for each number: each import has a new layer to make.
fn archive(sandbox: &Sandbox, number: usize) -> PathBuf {
    let path = sandbox.file("archive.tar");
    let mut tar = tar::Builder::new(File::create(&path).unwrap());
    for file in 0..400 {
        let text = format!("{number} {file}\n").repeat(50);
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("d{}/f{file}", file % 20), text.as_bytes()).unwrap();
    }
    tar.into_inner().unwrap();
    path
}

#[test]
fn an_import_killed_at_any_moment() {
    let mut dice = Dice::new();
    let sandbox = Sandbox::with_alpine();
    let import = |number: usize| {
        let path = archive(&sandbox, number);
        sandbox.command(&["import", "-c", "CMD [\"x\"]", path.to_str().unwrap(), "taken:in"])
    };
    let mut number = 1000;
    let whole = duration(
        || {
            number += 1;
            finish(&mut import(number)).ok();
        },
        || drop(sandbox.ok(&["rmi", "taken:in"])),
    );
    let mut there = 0;
    for number in 0..MOMENTS {
        kill_after(start(&mut import(number)), dice.moment(whole));
        if sandbox.ok(&["images", "-q", "taken:in"]).lines().count() == 1 {
            there += 1;
            // Visible is whole: what it holds is compared with its digests.
            let out = sandbox.file("saved.tar");
            sandbox.ok(&["save", "-o", out.to_str().unwrap(), "taken:in"]);
            sandbox.ok(&["rmi", "taken:in"]);
        } else if number % 4 == 0 {
            // The same again, over what the killed one left.
            finish(&mut import(number)).ok();
            sandbox.ok(&["rmi", "taken:in"]);
        }
    }
    assert!(there < MOMENTS, "none was killed before its end");
    assert_nothing_left(&sandbox);
}

#[test]
fn a_client_killed_at_any_moment() {
    let mut dice = Dice::new();
    let sandbox = Sandbox::with_alpine();
    let words =
        ["--name", "victim", "-v", "/cache", "--network", "none", "alpine", "sh", "-c", "echo on > /f; exec sleep 600"];
    let whole = duration(
        || drop(sandbox.ok(&[&["run", "-d"], &words[..]].concat())),
        || drop(sandbox.ok(&["rm", "-f", "-v", "victim"])),
    );
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..MOMENTS {
        let how: &[&str] = [&["run", "-d"][..], &["run"], &["run", "--rm"], &["run", "-d", "--init"]][number % 4];
        kill_after(start(&mut sandbox.command(&[how, &words].concat())), dice.moment(whole));
        let found = sandbox.run(&["inspect", "--format", "{{.State.Status}}", "victim"]);
        match found.code {
            0 => assert!(["created", "running", "exited"].contains(&found.stdout.trim()), "{}", found.streams()),
            _ => assert!(found.stderr.contains("no such container"), "{}", found.streams()),
        }
        seen.insert(found.stdout.trim().to_owned());
        if number % 2 == 0 && found.stdout.trim() == "created" {
            sandbox.ok(&["start", "victim"]);
        }
        sandbox.ok(&["rm", "-f", "-v", "victim"]);
    }
    assert!(seen.len() > 1, "all moments were alike: {seen:?}");
    assert_nothing_left(&sandbox);
}

/// The monitor of the container with this name, once there is one: its children begin with the same command line.
fn monitor(name: &str) -> Option<Pid> {
    let wanted = format!("minirun-monitor\0{name}\0");
    let is_like_it = |pid: i32| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line == wanted.as_bytes());
    let parent = |pid: i32| -> Option<i32> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("PPid:\t")?.parse().ok())
    };
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
    all.into_iter().find(|pid| is_like_it(*pid) && !parent(*pid).is_some_and(is_like_it)).map(Pid::from_raw)
}

/// Kills it, and waits until it is dead.
fn kill_at_once(pid: Pid) {
    let _ = kill(pid, Signal::SIGKILL);
    let status = || fs::read_to_string(format!("/proc/{pid}/status"));
    wait_until("it is dead", || status().map_or(true, |status| status.contains("State:\tZ")));
}

/// A name that no other test running now has.
fn unique(name: &str) -> String {
    format!("{name}{}", std::process::id())
}

#[test]
fn a_monitor_killed_at_any_moment() {
    let mut dice = Dice::new();
    let sandbox = Sandbox::with_alpine();
    let name = unique("victim");
    let words =
        ["--name", &name, "-v", "/cache", "--network", "none", "alpine", "sh", "-c", "echo on > /f; exec sleep 600"];
    let whole = duration(
        || drop(sandbox.ok(&[&["run", "-d"], &words[..]].concat())),
        || drop(sandbox.ok(&["rm", "-f", "-v", &name])),
    );
    let mut failed = 0;
    for number in 0..MOMENTS {
        let how: &[&str] = [&["run", "-d"][..], &["run", "-d", "--rm"], &["run", "-d", "--init"], &["run"]][number % 4];
        wait_until("the last one's has ended", || monitor(&name).is_none());
        let mut command = sandbox.command(&[how, &words].concat());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut found = None;
        wait_until("there is a monitor", || {
            found = monitor(&name);
            found.is_some()
        });
        std::thread::sleep(dice.moment(whole));
        kill_at_once(found.unwrap());
        // Its client hears of it and says so, unless it has let go before.
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(0) => assert!(how.contains(&"-d"), "{said}"),
            Some(125) => assert!(said.contains("error: ") && said.contains("killed"), "{said}"),
            other => panic!("{other:?}: {said}"),
        }
        failed += usize::from(!output.status.success());
        // It is never said to run; and it does not.
        let found =
            sandbox.run(&["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}", &name]);
        assert!(
            ["exited 137 0", "created 125 0", "created 0 0", ""].contains(&found.stdout.trim()),
            "{}",
            found.streams()
        );
        wait_until("its container has gone with it", || {
            sandbox.left_behind().iter().all(|l| l.starts_with("socket: "))
        });
        match number % 3 {
            0 if found.code == 0 => {
                sandbox.ok(&["start", &name]);
                assert_eq!(sandbox.look(&name, "{{.State.Status}}"), "running");
            }
            1 => assert!(sandbox.ok(&["ps", "-a"]).lines().count() <= 2),
            _ => {}
        }
        sandbox.ok(&["rm", "-f", "-v", &name]);
    }
    assert!(failed > 0 && failed < MOMENTS, "all moments were alike");
    assert_nothing_left(&sandbox);
}

#[test]
fn a_commit_killed_at_any_moment() {
    let mut dice = Dice::new();
    let sandbox = Sandbox::with_alpine();
    let script = "cp -r /lib /etc /srv; echo ready; i=0; while :; do i=$((i + 1)); echo $i > /count; done";
    let id = sandbox.detached(&["--name", "busy"], script);
    sandbox.wait_for_log(&id, "ready");
    let commit = || sandbox.command(&["commit", "busy", "taken:in"]);
    let whole = duration(|| drop(finish(&mut commit()).ok()), || drop(sandbox.ok(&["rmi", "taken:in"])));
    let pid = sandbox.look("busy", "{{.State.Pid}}");
    for number in 0..MOMENTS {
        kill_after(start(&mut commit()), dice.moment(whole));
        // It was held still for the commit, and nobody else can let it go on.
        wait_until("the container goes on", || {
            !fs::read_to_string(format!("/proc/{pid}/status")).unwrap().contains("State:\tT")
        });
        if sandbox.ok(&["images", "-q", "taken:in"]).lines().count() == 1 {
            let words = [
                "run",
                "--rm",
                "--network",
                "none",
                "taken:in",
                "sh",
                "-c",
                "cmp /lib/libc.musl-x86_64.so.1 /srv/lib/libc.musl-x86_64.so.1 2>/dev/null; test -d /srv/etc && echo whole",
            ];
            assert_eq!(sandbox.ok(&words), "whole\n");
            sandbox.ok(&["rmi", "taken:in"]);
        } else if number % 4 == 0 {
            finish(&mut commit()).ok();
            sandbox.ok(&["rmi", "taken:in"]);
        }
    }
    assert_eq!(sandbox.look("busy", "{{.State.Pid}}"), pid);
    assert_nothing_left(&sandbox);
}

#[test]
fn a_removal_killed_at_any_moment() {
    let mut dice = Dice::new();
    let sandbox = Sandbox::with_alpine();
    // Files of another owner too, which are removed inside the user namespace only.
    let script = "for d in $(seq 40); do mkdir -p /d/$d; touch /d/$d/a /d/$d/b; done; cp -r /d /cache; chown -R 33 /d /cache; echo ready; exec sleep 600";
    let make = || {
        let id = sandbox.detached(&["--name", "victim", "-v", "/cache", "-v", "kept:/kept"], script);
        sandbox.wait_for_log(&id, "ready");
    };
    let mut times = Vec::new();
    for _ in 0..3 {
        make();
        let begun = Instant::now();
        sandbox.ok(&["rm", "-f", "-v", "victim"]);
        times.push(begun.elapsed());
    }
    times.sort();
    let mut gone = 0;
    for _ in 0..MOMENTS {
        make();
        kill_after(start(&mut sandbox.command(&["rm", "-f", "-v", "victim"])), dice.moment(times[2] * 3 / 2));
        let found = sandbox.run(&["inspect", "--format", "{{.State.Status}}", "victim"]);
        gone += usize::from(found.code != 0);
        assert!(["running", "exited", ""].contains(&found.stdout.trim()), "{}", found.streams());
        sandbox.ok(&["rm", "-f", "-v", "victim"]);
    }
    assert!(gone > 0 && gone < MOMENTS, "all moments were alike: {gone} of {MOMENTS} were gone");
    assert_whole(&sandbox);
    assert_eq!(sandbox.stored("volumes"), ["kept"], "volumes of nobody, or a named one lost");
    fs::remove_dir_all(sandbox.root().join("volumes/kept")).unwrap();
    assert_nothing_left(&sandbox);
}

#[test]
fn a_container_does_not_outlive_its_monitor() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&[
        "run",
        "--name",
        "maker",
        "--network",
        "none",
        "alpine",
        "sh",
        "-c",
        "cp /bin/busybox /sleep; chmod 4755 /sleep",
    ]);
    sandbox.ok(&["commit", "maker", "suid"]);
    sandbox.ok(&["rm", "maker"]);
    let name = unique("orphan");
    // A set-user-ID program forgets whose death it should die of.
    let cases: [(&[&str], &[&str]); 4] = [
        (&[], &["suid", "sleep", "600"]),
        (&["--init"], &["suid", "sleep", "600"]),
        (&["--rm"], &["suid", "sh", "-c", "sleep 600 & sleep 601"]),
        (&["-u", "nobody"], &["suid", "/sleep", "600"]),
    ];
    for (flags, words) in cases {
        sandbox.ok(&[&["run", "-d", "--network", "none", "--name", &name], flags, words].concat());
        let payload: i32 = sandbox.look(&name, "{{.State.Pid}}").parse().unwrap();
        wait_until("it is what it should be", || {
            fs::read(format!("/proc/{payload}/cmdline")).is_ok_and(|line| !line.starts_with(b"minirun: "))
        });
        kill_at_once(monitor(&name).unwrap());
        if flags != ["-u", "nobody"] {
            // Without anybody looking.
            wait_until("its payload dies with it", || fs::metadata(format!("/proc/{payload}")).is_err());
        }
        assert_eq!(
            sandbox.look(&name, "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}"),
            "exited 137 0",
            "{flags:?}"
        );
        assert!(sandbox.ok(&["ps", "-a"]).contains("Exited (137)"));
        assert!(sandbox.look(&name, "{{.State.Error}}").contains("monitor was killed"));
        let said = sandbox.fails(1, &["exec", &name, "true"]);
        assert!(said.contains("not running"), "{said}");
        // What is left of it is ended before it is started again or removed, at the latest.
        if flags != ["--rm"] {
            sandbox.ok(&["start", &name]);
            wait_until("the old process is gone", || fs::metadata(format!("/proc/{payload}")).is_err());
            assert_eq!(sandbox.look(&name, "{{.State.Status}}"), "running");
            kill_at_once(monitor(&name).unwrap());
        }
        sandbox.ok(&["rm", "-v", &name]);
        wait_until("nothing is left", || sandbox.left_behind().is_empty());
    }
    assert_nothing_left(&sandbox);
}

#[test]
fn what_a_killed_client_started_is_not_removed_from_under_the_monitor() {
    let sandbox = Sandbox::with_alpine();
    // Many files for a new volume, so that the start takes its time.
    let script = "mkdir /many; cd /many; for n in $(seq 1500); do echo $n > $n; done";
    sandbox.ok(&["run", "--name", "maker", "--network", "none", "alpine", "sh", "-c", script]);
    sandbox.ok(&["commit", "maker", "many"]);
    sandbox.ok(&["rm", "maker"]);
    for number in 0..4 {
        let volume = format!("many{number}:/many");
        let words = ["run", "-d", "--name", "victim", "-v", &volume, "--network", "none", "many", "sleep", "600"];
        let mut client = start(&mut sandbox.command(&words));
        let filled = || sandbox.stored(&format!("volumes/many{number}/_data")).len();
        wait_until("it is being started", || filled() > 0);
        client.kill().unwrap();
        client.wait().unwrap();
        let early = filled() < 1500;
        match number % 2 {
            0 => drop(sandbox.ok(&["rm", "-f", "victim"])),
            _ => {
                // Started by the other already.
                sandbox.ok(&["start", "victim"]);
                assert_eq!(sandbox.ok(&["exec", "victim", "sh", "-c", "ls /many | wc -l"]), "1500\n");
                assert_eq!(sandbox.ok(&["top", "victim"]).lines().count(), 2);
                sandbox.ok(&["rm", "-f", "victim"]);
            }
        }
        assert!(early, "it was not killed while it started");
        wait_until("nothing is left", || sandbox.left_behind().is_empty());
    }
    assert_whole(&sandbox);

    // The monitor is killed while it fills the volume: the next start ends that work.
    let name = unique("filler");
    let words = ["run", "-d", "--name", &name, "-v", "last:/many", "--network", "none", "many", "sleep", "600"];
    let mut client = start(&mut sandbox.command(&words));
    let filled = || sandbox.stored("volumes/last/_data").len();
    wait_until("it is being filled", || filled() > 0);
    kill_at_once(monitor(&name).unwrap());
    assert_eq!(client.wait().unwrap().code(), Some(125));
    wait_until("nothing is left", || !sandbox.left_behind().iter().any(|l| l.starts_with("process")));
    assert!(filled() < 1500, "it was not killed while it filled the volume");
    sandbox.ok(&["start", &name]);
    assert_eq!(sandbox.ok(&["exec", &name, "sh", "-c", "cat /many/* | wc -l"]), "1500\n");
    // Once it is whole, what is removed from it stays removed.
    sandbox.ok(&["exec", &name, "rm", "/many/7"]);
    sandbox.ok(&["restart", "-t", "0", &name]);
    assert_eq!(sandbox.ok(&["exec", &name, "sh", "-c", "ls /many | wc -l"]), "1499\n");
    // Two that start at once both find it whole.
    let words = ["run", "--rm", "-v", "both:/many", "--network", "none", "many", "sh", "-c", "ls /many | wc -l"];
    let children: Vec<Child> =
        (0..3).map(|_| sandbox.command(&words).stdout(Stdio::piped()).spawn().unwrap()).collect();
    for child in children {
        assert_eq!(String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout), "1500\n");
    }
}

#[test]
fn clients_come_and_go_and_the_container_stays() {
    let sandbox = Sandbox::with_alpine();
    let words =
        ["run", "-i", "--name", "stays", "--network", "none", "alpine", "sh", "-c", "echo ready; cat; exec sleep 600"];
    let mut client = sandbox.command(&words).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    sandbox.wait_for_log("stays", "ready");
    client.kill().unwrap();
    client.wait().unwrap();
    for _ in 0..10 {
        let mut client = start(&mut sandbox.command(&["attach", "--no-stdin", "stays"]));
        let mut reader = start(&mut sandbox.command(&["logs", "-f", "stays"]));
        std::thread::sleep(Duration::from_millis(10));
        client.kill().unwrap();
        reader.kill().unwrap();
        client.wait().unwrap();
        reader.wait().unwrap();
    }
    assert_eq!(sandbox.look("stays", "{{.State.Status}}"), "running");
    assert_eq!(sandbox.ok(&["exec", "stays", "echo", "alive"]), "alive\n");
}

#[test]
fn fifty_at_once() {
    let sandbox = Sandbox::with_alpine();
    let children: Vec<Child> = (0..50)
        .map(|n| {
            let script = format!("echo {n} > /own; cat /own; exit {}", n % 7);
            let words = ["run", "--rm", "--network", "none", "-v", "/cache", "alpine", "sh", "-c", &script];
            sandbox.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for (n, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(n as i32 % 7), "{n}: {said}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{n}\n"), "{said}");
    }
    assert!(sandbox.stored("containers").is_empty());
    assert_nothing_left(&sandbox);
}

#[test]
fn twenty_are_made_and_removed_at_once() {
    let sandbox = Sandbox::with_alpine();
    let words = |name: &str| -> Vec<String> {
        ["create", "--name", name, "-v", "/cache", "--network", "none", "alpine", "true"].map(str::to_owned).to_vec()
    };
    let all = |commands: Vec<Vec<String>>| {
        let children: Vec<Child> = commands
            .iter()
            .map(|words| sandbox.command(words).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap())
            .collect();
        for (child, words) in children.into_iter().zip(&commands) {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
    };
    let name = |round: usize, n: usize| format!("c{round}-{n}");
    all((0..20).map(|n| words(&name(0, n))).collect());
    for round in 0..2 {
        // The one half comes while the other goes.
        let new = (0..20).map(|n| words(&name(round + 1, n)));
        let old = (0..20).map(|n| ["rm", "-v", &name(round, n)].map(str::to_owned).to_vec());
        all(new.zip(old).flat_map(|(a, b)| [a, b]).collect());
        assert_eq!(sandbox.stored("containers").len(), 20);
        assert_eq!(sandbox.stored("volumes").len(), 20);
    }
    assert_nothing_left(&sandbox);
}

#[test]
fn the_same_one_removed_by_many_at_once() {
    let sandbox = Sandbox::with_alpine();
    for _ in 0..3 {
        sandbox.sleeper("shared");
        let remove =
            || sandbox.command(&["rm", "-f", "shared"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let children: Vec<Child> = (0..6).map(|_| remove()).collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
        assert!(sandbox.stored("containers").is_empty());
    }
    assert_nothing_left(&sandbox);
}

/// A small file system of its own, gone when dropped.
struct Small(PathBuf);

impl Small {
    fn mount(path: &Path, megabytes: u32) -> Self {
        fs::create_dir(path).unwrap();
        let options = format!("size={megabytes}m,nr_inodes=6000,mode=700");
        nix::mount::mount(Some("small"), path, Some("tmpfs"), nix::mount::MsFlags::empty(), Some(options.as_str()))
            .unwrap();
        Self(path.to_owned())
    }

    fn free(&self) -> u64 {
        let stat = nix::sys::statvfs::statvfs(&self.0).unwrap();
        stat.blocks_available() * stat.fragment_size()
    }

    /// Takes all but so many bytes.
    fn fill(&self, leave: u64) {
        let size = self.free().saturating_sub(leave);
        let file = File::create(self.0.join("ballast")).unwrap();
        rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size).unwrap();
    }

    fn empty(&self) {
        let _ = fs::remove_file(self.0.join("ballast"));
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(&self.0, nix::mount::MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_full_disk_is_said_and_leaves_the_store_as_it_was() {
    // Others may not mount a small one.
    require!(common::Need::As(User::Root));
    let sandbox = Sandbox::with_alpine();
    let small = Small::mount(&sandbox.file("small"), 40);
    let store = sandbox.file("small/store");
    let on_small = |words: &[&str]| -> Output { finish(sandbox.command(words).env("MINIRUN_ROOT", &store)) };
    let entries = |part: &str| {
        fs::read_dir(store.join(part))
            .map_or(0, |d| d.flatten().filter(|e| e.file_name().to_str() != Some(".lock")).count())
    };
    let clear = |output: Output| {
        // Commands on images fail with 1, those on containers with 125.
        let code = if output.code == 1 { 1 } else { 125 };
        let said = output.fails(code);
        assert!(
            (said.contains("no space left") || said.contains("that are free on the disk"))
                && said.contains("hint:")
                && said.contains("minirun system df"),
            "{said}"
        );
    };
    on_small(&["import", "-c", "CMD [\"sh\"]", common::alpine_tar().to_str().unwrap(), "alpine"]).ok();
    let long = "while :; do sleep 0.1; done";
    on_small(&[
        "run",
        "-d",
        "--name",
        "lives",
        "--network",
        "none",
        "alpine",
        "sh",
        "-c",
        &format!("head -c 3000000 /dev/urandom > /f; echo ready; {long}"),
    ])
    .ok();
    wait_until("it is ready", || on_small(&["logs", "lives"]).stdout == "ready\n");
    let before =
        ["images", "layers", "containers", "container-names", "volumes", "tmp"].map(|part| (part, entries(part)));

    for leave in [0, 4 << 10, 64 << 10, 1 << 20] {
        small.fill(leave);
        clear(on_small(&["import", archive(&sandbox, leave as usize).to_str().unwrap(), "more"]));
        clear(on_small(&["commit", "lives", "more"]));
        if leave < 4 << 10 {
            clear(on_small(&["run", "--rm", "--network", "none", "alpine", "true"]));
            clear(on_small(&["create", "--name", "more", "-v", "/cache", "alpine", "true"]));
        }
        small.empty();
        let after = before.map(|(part, _)| (part, entries(part)));
        assert_eq!(after, before, "with {leave} bytes left");
    }
    assert_eq!(on_small(&["inspect", "--format", "{{.State.Status}}", "lives"]).ok(), "running\n");
    assert_eq!(on_small(&["exec", "lives", "echo", "alive"]).ok(), "alive\n");

    // A container that fills it hears of it itself; how it ended is known all the same.
    let greedy = "dd if=/dev/zero of=/big bs=64k count=2000 || exit 9";
    let output = on_small(&["run", "--name", "greedy", "--network", "none", "alpine", "sh", "-c", greedy]);
    assert!(output.code == 9 && output.stderr.contains("No space left"), "{}", output.streams());
    assert!(small.free() < 1 << 20);
    assert_eq!(
        on_small(&["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "greedy"]).ok(),
        "exited 9\n"
    );
    // With no room at all there is still a way to make some.
    on_small(&["rm", "greedy"]).ok();
    assert!(small.free() > 10 << 20);
    on_small(&["rm", "-f", "lives"]).ok();
    on_small(&["run", "--rm", "--network", "none", "alpine", "true"]).ok();
    on_small(&["system", "reset", "--force"]).ok();
    assert!(!store.exists() || fs::read_dir(&store).unwrap().count() == 0);
}

#[test]
fn log_lines_that_find_no_room_are_counted() {
    require!(common::Need::As(User::Root));
    let sandbox = Sandbox::new();
    let small = Small::mount(&sandbox.file("small"), 40);
    let store = sandbox.file("small/store");
    let on_small = |words: &[&str]| -> Output { finish(sandbox.command(words).env("MINIRUN_ROOT", &store)) };
    on_small(&["import", "-c", "CMD [\"sh\"]", common::alpine_tar().to_str().unwrap(), "alpine"]).ok();
    let script = "i=0; while read line; do i=$((i+1)); echo line $i; done";
    let mut talker =
        sandbox.command(&["run", "-i", "--name", "talks", "--network", "none", "alpine", "sh", "-c", script]);
    let mut talker = talker.env("MINIRUN_ROOT", &store).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut stdin, mut stdout) = (talker.stdin.take().unwrap(), BufReader::new(talker.stdout.take().unwrap()));
    let mut say = |lines: usize| {
        stdin.write_all("x\n".repeat(lines).as_bytes()).unwrap();
        for _ in 0..lines {
            stdout.read_line(&mut String::new()).unwrap();
        }
    };
    say(10);
    small.fill(0);
    say(500);
    // Told while it lasts.
    let told = || on_small(&["logs", "talks"]).stderr;
    wait_until("the loss is told", || told().contains("lines found no room on the disk"));
    say(500);
    small.empty();
    say(10);
    wait_until("there is room again", || on_small(&["logs", "talks"]).stdout.contains("line 1020\n"));
    drop(stdin);
    talker.wait().unwrap();
    let logs = on_small(&["logs", "talks"]);
    let kept = logs.stdout.lines().filter(|line| line.starts_with("line ")).count();
    let count = |line: &str| line.strip_prefix("minirun: ")?.split(' ').next()?.parse::<usize>().ok();
    let lost: Vec<usize> = logs.stderr.lines().filter_map(count).collect();
    assert!(
        !lost.is_empty() && lost.iter().sum::<usize>() + kept == 1020,
        "{kept} kept, {lost:?} lost\n{}",
        logs.stderr
    );
    on_small(&["system", "reset", "--force"]).ok();
}

#[test]
fn whoever_frees_something_needs_no_inode() {
    require!(common::Need::As(User::Root));
    let sandbox = Sandbox::new();
    let _small = Small::mount(&sandbox.file("small"), 60);
    let store = sandbox.file("small/store");
    let on_small = |words: &[&str]| -> Output { finish(sandbox.command(words).env("MINIRUN_ROOT", &store)) };
    on_small(&["import", "-c", "CMD [\"sh\"]", common::alpine_tar().to_str().unwrap(), "alpine"]).ok();
    for name in ["once", "twice"] {
        let archive = archive(&sandbox, name.len());
        on_small(&["import", archive.to_str().unwrap(), name]).ok();
    }
    fs::create_dir(sandbox.file("context")).unwrap();
    let dockerfile = "FROM alpine AS help\nRUN echo x >/x\nFROM alpine\nCOPY --from=help /x /y\n";
    fs::write(sandbox.file("context/Dockerfile"), dockerfile).unwrap();
    on_small(&["build", "--network", "none", "-t", "built", "context"]).ok();
    on_small(&["create", "--name", "never", "-v", "/cache", "alpine", "true"]).ok();
    on_small(&["run", "-d", "--name", "lives", "--network", "none", "alpine", "sleep", "600"]).ok();
    on_small(&["run", "--name", "ended", "--network", "none", "alpine", "true"]).ok();

    // All inodes are used up, and again after each command: nobody lives on what another has freed.
    let fill = || {
        let directory = sandbox.file("small/inodes");
        let _ = fs::create_dir(&directory);
        let name = |number: u32| directory.join(number.to_string());
        let mut number = fs::read_dir(&directory).map_or(0, Iterator::count) as u32;
        while File::create(name(number)).is_ok() {
            number += 1;
        }
    };
    for words in [
        &["rm", "-v", "never"][..],
        &["rm", "ended"],
        &["rm", "-f", "lives"],
        &["rmi", "built"],
        &["builder", "prune", "-f"],
        &["rmi", "once"],
        &["rmi", "-f", "twice", "alpine"],
    ] {
        fill();
        let output = on_small(words);
        assert_eq!(output.code, 0, "{words:?}\n{}", output.streams());
    }
    for part in ["images", "names", "layers", "containers", "container-names", "volumes", "tmp", "pending"] {
        let left: Vec<_> = fs::read_dir(store.join(part)).unwrap().flatten().map(|e| e.path()).collect();
        assert!(left.iter().all(|path| path.ends_with(".lock")), "{left:?}");
    }
    assert_eq!(fs::read_dir(store.join("reserve")).unwrap().count(), 12, "the reserve was not given back");
    on_small(&["system", "reset", "--force"]).ok();
}

#[test]
fn a_damaged_record_is_told_and_can_be_removed() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.ok(&["create", "--name", "broken", "--network", "none", "alpine", "true"]).trim_end().to_owned();
    sandbox.ok(&["create", "--name", "sound", "--network", "none", "alpine", "echo", "fine"]);
    let directory = sandbox.root().join("containers").join(&id);
    fs::write(directory.join("container.json"), "{").unwrap();
    let said = sandbox.run(&["start", "broken"]);
    assert!(said.code != 0 && said.stderr.contains("damaged") && said.stderr.contains("rm -f"), "{}", said.streams());
    assert_eq!(sandbox.ok(&["start", "-a", "sound"]), "fine\n");
    assert!(sandbox.ok(&["ps", "-a"]).contains("sound"));
    sandbox.ok(&["rm", "-f", &id]);
    assert!(!directory.exists());
    sandbox.ok(&["rm", "sound"]);
    assert_nothing_left(&sandbox);
}

#[test]
fn moments_can_be_had_again() {
    let rolled = |seed| -> Vec<u64> {
        let mut dice = Dice { seed, state: seed };
        (0..5).map(|_| dice.below(1000)).collect()
    };
    assert_eq!(rolled(7), rolled(7));
    assert_ne!(rolled(7), rolled(9));
}

#[test]
fn a_running_container_is_found_whatever_the_session_has_left_of_it() {
    let sandbox = Sandbox::with_alpine();
    let elsewhere = |words: &[&str]| finish(sandbox.command(words).env("XDG_RUNTIME_DIR", sandbox.file("other")));
    // Another session, or one that has ended.
    sandbox.sleeper("web");
    assert_eq!(elsewhere(&["exec", "web", "echo", "here"]).ok(), "here\n");
    assert!(elsewhere(&["ps"]).ok().contains("web"));
    fs::remove_dir_all(sandbox.runtime()).unwrap();
    fs::create_dir(sandbox.runtime()).unwrap();
    assert_eq!(sandbox.ok(&["exec", "web", "echo", "here"]), "here\n");
    // Its socket itself is gone.
    let lose = || fs::remove_dir_all(sandbox.root().join("run")).unwrap();
    for words in [&["ps"][..], &["exec", "web", "echo", "web"], &["top", "web"], &["commit", "web", "saved"]] {
        lose();
        let said = sandbox.ok(words);
        assert!(said.contains("web") || said.contains("sleep") || words[0] == "commit", "{words:?}: {said}");
    }
    lose();
    sandbox.ok(&["stop", "-t", "0", "web"]);
    assert!(!sandbox.ok(&["ps"]).contains("web"));
    sandbox.ok(&["start", "web"]);
    lose();
    sandbox.ok(&["kill", "web"]);
    sandbox.wait_for_status("web", "exited");
    sandbox.ok(&["start", "web"]);
    lose();
    sandbox.ok(&["rm", "-f", "web"]);
    sandbox.sleeper("web");
    lose();
    sandbox.ok(&["system", "reset", "--force"]);
    wait_until("the container is gone", || sandbox.left_behind().is_empty());
}

/// What `system df` says altogether, and what `du` says of the store.
fn df_and_du(sandbox: &Sandbox) -> (u64, u64) {
    let shares: serde_json::Value = serde_json::from_str(&sandbox.ok(&["system", "df", "--json"])).expect("JSON");
    let df = shares["shares"].as_array().unwrap().iter().map(|share| share["size"].as_u64().unwrap()).sum();
    let du = sandbox.run_other("du", &["--summarize", "--block-size=1", sandbox.root().to_str().unwrap()]).stdout;
    (df, du.split_whitespace().next().unwrap().parse().unwrap())
}

/// `MINIRUN_KILLS` says how often, thirty times else.
#[test]
fn after_kills_at_any_moment_of_anything_nothing_is_leaked() {
    let sandbox = Sandbox::with_alpine();
    let mut dice = Dice::new();
    sandbox.put("file", "one\n");
    let text = "FROM alpine AS help\nARG A\nRUN echo $RANDOM$RANDOM$A >/x\nFROM alpine\nARG A\nCOPY file /\nCOPY --from=help /x /y\n\
                RUN echo $RANDOM$A >/z\n";
    sandbox.put("Dockerfile", text);
    let tar = common::alpine_tar().to_str().unwrap().to_owned();
    let small = archive(&sandbox, 1).to_str().unwrap().to_owned();
    let rounds = std::env::var("MINIRUN_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    for round in 0..rounds {
        let argument = format!("A={}", dice.below(3));
        let name = format!("c{}", dice.below(3));
        let tag = format!("t{}", dice.below(3));
        let words: Vec<&str> = match dice.below(13) {
            0..=3 => vec!["build", "-t", &tag, "--network", "none", "--build-arg", &argument, "context"],
            4 | 5 => vec!["build", "-t", &tag, "--network", "none", "--no-cache", "context"],
            6 => vec!["run", "--rm", "--network", "none", "alpine", "touch", "/x"],
            7 => vec!["run", "-d", "--name", &name, "--network", "none", "alpine", "sleep", "600"],
            8 => vec!["commit", &name, &tag],
            9 => vec!["rm", "-f", &name],
            10 => vec!["rmi", "-f", &tag],
            11 => vec!["builder", "prune", "-f"],
            _ => vec!["import", if dice.below(2) == 0 { &small } else { &tar }, &tag],
        };
        if dice.below(5) == 0 {
            let output = sandbox.run(&words);
            assert!(
                output.code <= 127 && !output.stderr.contains("panicked"),
                "round {round}: {words:?}\n{}",
                output.streams()
            );
        } else {
            let moment = dice.moment(Duration::from_millis(if words[0] == "build" { 600 } else { 150 }));
            kill_after(start(&mut sandbox.command(&words)), moment);
        }
    }
    // What was killed inside the user namespace is swept by who is there; till then du may not look into it.
    sandbox.ok(&["build", "-t", "last", "--network", "none", "--no-cache", "context"]);
    let near = |(df, du): (u64, u64)| df.abs_diff(du) <= 8192;
    wait_until("df says what du says", || near(df_and_du(&sandbox)));
    // Nothing but what a user removes anyway is needed.
    sandbox.ok(&["builder", "prune", "-f"]);
    assert_nothing_left(&sandbox);
    sandbox.ok(&["system", "check"]);
    let (df, du) = df_and_du(&sandbox);
    assert!(df.abs_diff(du) <= 8192 && du < 200_000, "df says {df}, du says {du} of an empty store");
}
