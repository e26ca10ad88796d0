//! Owners that programs in a container give to files: they come out in images, whichever kind of ids the user has.

use crate::common::{self, Sandbox, User, user};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

/// Owner and mode of each file in the last layer of an image, by path.
fn last_layer(sandbox: &Sandbox, image: &str) -> BTreeMap<String, (u64, u64, u32)> {
    let archive = sandbox.file("saved.tar");
    let _ = fs::remove_file(&archive);
    sandbox.ok(&["save", "-o", archive.to_str().unwrap(), image]);
    let mut parts: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for entry in tar::Archive::new(fs::File::open(&archive).unwrap()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        parts.insert(entry.path().unwrap().display().to_string(), bytes);
    }
    let manifest: serde_json::Value = serde_json::from_slice(&parts["manifest.json"]).unwrap();
    let layer = &parts[manifest[0]["Layers"].as_array().unwrap().last().unwrap().as_str().unwrap()];
    let mut plain = Vec::new();
    match layer.starts_with(&[0x1f, 0x8b]) {
        true => drop(flate2::read::GzDecoder::new(&layer[..]).read_to_end(&mut plain).unwrap()),
        false => plain.clone_from(layer),
    }
    let mut owners = BTreeMap::new();
    for entry in tar::Archive::new(&plain[..]).entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        let path = entry.path().unwrap().display().to_string();
        let owner = (header.uid().unwrap(), header.gid().unwrap(), header.mode().unwrap());
        owners.insert(path.trim_end_matches('/').trim_start_matches("./").to_owned(), owner);
    }
    owners
}

/// Gives files away in every way that there is.
const GIVE: &str = "set -e; adduser -D app; mkdir -p /data/sub; touch /data/f '/data/sub/g h' /data/plain; ln -s f /data/link; \
    chown -R app:app /data; cd /data/sub; chown 9:8 ../f; chown 0:0 /data/plain; \
    cp /bin/busybox /data/tool; chmod 6755 /data/tool; chown 7:7 /data/tool; \
    cp /bin/busybox /data/set; chown 7:7 /data/set; chmod 4755 /data/set; \
    touch /far; ln -s /far /data/far; chown 12:13 /data/far; install -o 21 -g 22 -m 640 /etc/passwd /installed";

fn check(owners: &BTreeMap<String, (u64, u64, u32)>) {
    for (path, wanted) in [
        ("home/app", (1000, 1000, 0o2755)),
        ("data", (1000, 1000, 0o755)),
        ("data/sub", (1000, 1000, 0o755)),
        ("data/sub/g h", (1000, 1000, 0o644)),
        ("data/f", (9, 8, 0o644)),
        ("data/plain", (0, 0, 0o644)),
        ("data/tool", (7, 7, 0o755)),
        ("data/set", (7, 7, 0o4755)),
        ("far", (12, 13, 0o644)),
        ("installed", (21, 22, 0o640)),
    ] {
        assert_eq!(owners.get(path), Some(&wanted), "{path}: {owners:?}");
    }
}

#[test]
fn a_commit_has_the_owners_that_the_container_gave() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["run", "--name", "gives", "alpine", "sh", "-c", GIVE]);
    sandbox.ok(&["commit", "gives", "given"]);
    check(&last_layer(&sandbox, "given"));
    // And a container of that image goes on with them.
    sandbox.ok(&["run", "--name", "again", "given", "sh", "-c", "chown :5 /data/f 2>/dev/null; chown 3:3 /data/sub"]);
    sandbox.ok(&["commit", "again", "more"]);
    assert_eq!(last_layer(&sandbox, "more")["data/sub"], (3, 3, 0o755));
}

#[test]
fn a_run_of_a_build_and_an_exec_give_owners_too() {
    let sandbox = Sandbox::with_alpine();
    sandbox.build(&format!("FROM alpine\nRUN {GIVE}\n"), &[]);
    check(&last_layer(&sandbox, "built"));
    sandbox.sleeper("sleeps");
    sandbox.ok(&[
        "exec",
        "sleeps",
        "sh",
        "-c",
        "touch /late; chown 5:6 /late; (sleep 1; touch /later; chown 8:9 /later) & ",
    ]);
    // What it has left behind is answered after it has ended.
    common::wait_until("it has given", || sandbox.ok(&["exec", "sleeps", "ls", "/"]).contains("later"));
    std::thread::sleep(std::time::Duration::from_millis(300));
    sandbox.ok(&["commit", "sleeps", "slept"]);
    let owners = last_layer(&sandbox, "slept");
    assert_eq!((owners["late"], owners["later"]), ((5, 6, 0o644), (8, 9, 0o644)));
}

#[test]
fn owners_are_refused_as_the_kernel_refuses_them() {
    let sandbox = Sandbox::with_alpine();
    let script = "chown 5 /none; chown 5 /etc/passwd/x; chown 5 /etc; echo $?; ln -s loop /loop; chown 5 /loop; chown -h 5 /loop; \
        echo $?; chown 5 /dev/stdout /proc/self/fd/1 2>/dev/null; mkfifo /p && chown 5 /p && echo pipe";
    let output = sandbox.sh(&[], script);
    assert!(output.stdout.starts_with("0\n0\n"), "{}", output.streams());
    assert!(output.stdout.ends_with("pipe\n"), "{}", output.streams());
    for wanted in ["No such file", "Not a directory", "loop"] {
        assert!(output.stderr.contains(wanted), "{wanted}: {}", output.streams());
    }
    let said = sandbox.sh(&["--cap-drop", "CHOWN"], "touch /f; chown 5 /f; chown 0:0 /f && echo same");
    assert_eq!(said.stdout, "same\n", "{}", said.streams());
    assert!(said.stderr.contains("Operation not permitted"), "{}", said.streams());
    let said = sandbox.sh(&["--read-only"], "chown 5 /etc");
    assert!(said.stderr.contains("Read-only file system"), "{}", said.streams());
}

#[test]
fn an_archive_is_unpacked_with_its_owners() {
    let sandbox = Sandbox::with_alpine();
    let mut archive = tar::Builder::new(fs::File::create(sandbox.file("t.tar")).unwrap());
    for (name, uid, gid, mode) in [("one", 21, 22, 0o640), ("two", 0, 0, 0o644)] {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_uid(uid);
        header.set_gid(gid);
        header.set_mode(mode);
        archive.append_data(&mut header, name, &[][..]).unwrap();
    }
    archive.into_inner().unwrap();
    let volume = format!("{}:/t.tar", sandbox.file("t.tar").display());
    sandbox.ok(&[
        "run",
        "--name",
        "unpacks",
        "-v",
        &volume,
        "alpine",
        "sh",
        "-c",
        "mkdir /out; tar -xpf /t.tar -C /out",
    ]);
    sandbox.ok(&["commit", "unpacks", "unpacked"]);
    let owners = last_layer(&sandbox, "unpacked");
    assert_eq!((owners["out/one"], owners["out/two"]), ((21, 22, 0o640), (0, 0, 0o644)));
}

#[test]
fn new_files_are_their_creators() {
    let sandbox = Sandbox::with_alpine();
    sandbox.build("FROM alpine\nRUN adduser -D app; touch /tmp/old; chmod 666 /tmp/old\nUSER app\nRUN mkdir ~/d && touch ~/d/f && echo x >> /tmp/old\n", &[]);
    let owners = last_layer(&sandbox, "built");
    assert_eq!((owners["home/app/d"], owners["home/app/d/f"]), ((1000, 1000, 0o2755), (1000, 1000, 0o644)));
    assert_eq!(owners["tmp/old"], (0, 0, 0o666));
    sandbox.ok(&[
        "run",
        "--name",
        "makes",
        "-u",
        "5:6",
        "built",
        "sh",
        "-c",
        "umask 0; mkdir /tmp/d; echo y >> /tmp/old",
    ]);
    sandbox.ok(&["commit", "makes", "of-five"]);
    let owners = last_layer(&sandbox, "of-five");
    assert_eq!((owners["tmp/d"], owners["tmp/old"]), ((5, 6, 0o777), (0, 0, 0o666)));
}

#[test]
fn a_chown_in_a_chroot_stays_in_it() {
    let sandbox = Sandbox::with_alpine();
    let script = "mkdir -p /jail/bin /jail/lib; cp /bin/busybox /jail/bin; cp /lib/ld-musl* /jail/lib; touch /mine /jail/mine; \
        ln -s /mine /jail/link; chroot /jail /bin/busybox chown 5:6 /mine; chroot /jail /bin/busybox chown 7:8 ../../bin; \
        chroot /jail /bin/busybox chown 9:9 /../../link";
    sandbox.ok(&["run", "--name", "jailed", "alpine", "sh", "-c", script]);
    sandbox.ok(&["commit", "jailed", "jail"]);
    let owners = last_layer(&sandbox, "jail");
    assert_eq!((owners["mine"], owners["jail/mine"]), ((0, 0, 0o644), (9, 9, 0o644)));
    assert_eq!(owners["jail/bin"], (7, 8, 0o755));
}

#[test]
fn files_of_the_host_bear_no_notes() {
    if user() != User::Single {
        return;
    }
    let sandbox = Sandbox::with_alpine();
    let directory = sandbox.file("data");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("f"), "x").unwrap();
    sandbox.sh(&["-v", &format!("{}:/data", directory.display())], "chown -R 5:6 /data").ok();
    let found = rustix::fs::getxattr(directory.join("f"), "user.minirun.stat", &mut [0u8; 64][..]);
    assert!(found.is_err(), "{found:?}");
}

/// The agent of a container: the processes of this name beside its monitor.
fn agents(container: &str) -> Vec<i32> {
    let of = |pid: i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "minirun: agent\n");
    let mine = |pid: i32| {
        let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.contains(container)
    };
    let all = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    all.filter(|pid| of(*pid) && mine(*pid)).collect()
}

#[test]
fn a_container_dies_with_its_agent_and_the_agent_with_its_container() {
    if user() != User::Single {
        return;
    }
    let sandbox = Sandbox::with_alpine();
    let name = format!("agent-{}", std::process::id());
    sandbox.sleeper(&name);
    common::wait_until("it has an agent", || agents(&name).len() == 1);
    let found = agents(&name);
    // Whoever is killed has not left a half container behind.
    let kill = |pid: i32| nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    kill(found[0]).unwrap();
    sandbox.wait_for_status(&name, "exited");
    sandbox.ok(&["start", &name]);
    common::wait_until("it has an agent", || agents(&name).len() == 1);
    let found = agents(&name);
    let monitor: i32 = fs::read_to_string(format!("/proc/{}/status", found[0]))
        .unwrap()
        .lines()
        .find_map(|line| line.strip_prefix("PPid:\t")?.parse().ok())
        .unwrap();
    kill(monitor).unwrap();
    common::wait_until("the agent ends", || agents(&name).is_empty());
}
