//! `watch`: what is told, how soon, and with which sizes.

use crate::common::{Sandbox, finish, wait, wait_until};
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

struct Watcher {
    child: Child,
    told: Receiver<String>,
}

impl Watcher {
    /// Returns after its first look: changes made before that are not reported.
    fn start(sandbox: &Sandbox, flags: &[&str], container: &str) -> (Self, String) {
        let words = [&["watch"], flags, &[container]].concat();
        let mut child = sandbox.command(&words).env("COLUMNS", "80").stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, told) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
        let first = told.recv_timeout(Duration::from_secs(20)).expect("a first line");
        (Self { child, told }, first)
    }

    fn event(&self) -> Option<Value> {
        let line = self.told.recv_timeout(Duration::from_secs(1)).ok()?;
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    fn nothing_more(&self) {
        while self.told.recv_timeout(Duration::from_millis(400)).is_ok() {}
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const WAITS: &str = "trap exit TERM; while :; do sleep 0.1; done";

#[test]
fn each_change_is_told_within_a_second_with_its_place() {
    let sandbox = Sandbox::with_alpine();
    let mount = format!("{}:/mnt", sandbox.file("mounted").display());
    let flags = ["-d", "--network", "none", "--name", "top", "-v", &mount, "--tmpfs", "/memory"];
    sandbox.ok(&[&["run"], &flags[..], &["alpine", "sh", "-c", WAITS]].concat());
    let (mut watch, first) = Watcher::start(&sandbox, &["--json"], "top");
    let first: Value = serde_json::from_str(&first).unwrap();
    let places = first["places"].as_array().unwrap().iter();
    let places: Vec<_> =
        places.map(|place| (place["kind"].as_str().unwrap(), place["target"].as_str().unwrap())).collect();
    for place in [("writable-layer", "/"), ("volume", "/mnt"), ("tmpfs", "/memory"), ("tmpfs", "/dev/shm")] {
        assert!(places.contains(&place), "{first}");
    }

    let expect = |script: &str, expected: &[(&str, &str, &str)]| {
        sandbox.ok(&["exec", "top", "sh", "-c", script]);
        for expected in expected {
            let event = watch.event().unwrap_or_else(|| panic!("{script}: no {expected:?}"));
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            let found = (text("path"), text("place"), text("what"));
            assert_eq!((found.0.as_str(), found.1.as_str(), found.2.as_str()), *expected, "{script}: {event}");
        }
    };
    let (layer, volume, tmpfs) = ("writable-layer", "volume", "tmpfs");
    expect("echo more >>/etc/motd", &[("/etc/motd", layer, "copy-up"), ("/etc/motd", layer, "write")]);
    expect("echo more >>/etc/motd", &[("/etc/motd", layer, "write")]);
    expect("chmod 600 /etc/passwd", &[("/etc/passwd", layer, "copy-up")]);
    // A directory's mode too, whether it is in a layer or not.
    expect("chmod 711 /home", &[("/home", layer, "write")]);
    expect("chmod 700 /home", &[("/home", layer, "write")]);
    expect("mkdir /mnt/sub", &[("/mnt/sub", volume, "create")]);
    expect("chmod 700 /mnt/sub", &[("/mnt/sub", volume, "write")]);
    expect("touch /mnt/sub/x", &[("/mnt/sub/x", volume, "create")]);
    expect("rm -r /mnt/sub", &[("/mnt/sub", volume, "remove"), ("/mnt/sub/x", volume, "remove")]);
    expect("echo new >/new", &[("/new", layer, "create")]);
    expect("rm /new", &[("/new", layer, "remove")]);
    expect("rm /etc/issue", &[("/etc/issue", layer, "delete")]);
    expect("echo volume >/mnt/file", &[("/mnt/file", volume, "create")]);
    expect("echo volume >>/mnt/file", &[("/mnt/file", volume, "write")]);
    expect("rm /mnt/file", &[("/mnt/file", volume, "remove")]);
    expect("echo memory >/memory/file", &[("/memory/file", tmpfs, "create")]);
    expect("rm /memory/file", &[("/memory/file", tmpfs, "remove")]);
    expect("echo brief >/brief; rm /brief", &[("/brief", layer, "came-and-went")]);
    expect("mkdir -p /made/below", &[("/made", layer, "create"), ("/made/below", layer, "create")]);
    expect("echo deep >/made/below/file", &[("/made/below/file", layer, "create")]);
    expect("echo more >>/made/below/file", &[("/made/below/file", layer, "write")]);
    // A directory that went and came again is listened to as before.
    let removed = ["/made", "/made/below", "/made/below/file"].map(|path| (path, layer, "remove"));
    expect("rm -r /made", &removed);
    expect("mkdir /made", &[("/made", layer, "create")]);
    expect("echo again >/made/file; rm /made/file", &[("/made/file", layer, "came-and-went")]);
    // COPY-UP reports the size in the layer, not the size after the write.
    sandbox.ok(&["exec", "top", "sh", "-c", "echo more >>/etc/group"]);
    let (copied, written) = (watch.event().unwrap(), watch.event().unwrap());
    let grown = written["size"].as_u64().unwrap() - copied["size"].as_u64().unwrap();
    assert_eq!((grown, &copied["layer"]), (5, &1.into()), "{copied} {written}");
    // Who writes is told while the file is open.
    sandbox.ok(&["exec", "-d", "top", "sh", "-c", "exec 3>/held; exec sleep 600"]);
    let held = watch.event().unwrap();
    assert_eq!(held["path"], "/held");
    assert!(["sleep", "sh"].contains(&held["by"]["command"].as_str().unwrap()), "{held}");
    assert!(held["noticed"].as_str().unwrap().ends_with('Z'), "{held}");
    sandbox.ok(&["stop", "-t", "1", "top"]);
    assert!(watch.child.wait().unwrap().success(), "it ends with the container");
    assert!(sandbox.fails(1, &["watch", "top"]).contains("is not running"));
}

#[test]
fn thousands_at_once_are_told_within_a_second_and_so_is_the_next() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("busy");
    let (mut watch, _) = Watcher::start(&sandbox, &["--json"], "busy");
    // Its ids are the container's: only from inside can they be counted by every user.
    let script = "mkdir /many; cd /many; i=0; while [ $i -lt 5000 ]; do echo $i >f$i; i=$((i+1)); done";
    sandbox.ok(&["exec", "busy", "sh", "-c", script]);
    let mut created = 0;
    let mut size = 0;
    // A second, and one more for a build without optimisation beside other tests.
    let told = wait(Duration::from_secs(2), || {
        while let Ok(line) = watch.told.try_recv() {
            created += usize::from(line.contains("\"create\"") && line.contains("\"/many/f"));
            size = serde_json::from_str::<Value>(&line).unwrap()["writable_on_disk"].as_u64().unwrap();
        }
        created == 5000
    });
    assert!(told, "{created} of 5000 within a second");
    sandbox.ok(&["exec", "busy", "sh", "-c", "echo next >/next"]);
    let next = watch.event().expect("the next write is told within a second");
    assert_eq!(next["path"], "/next");
    // The sizes are those that `explain` and `du` count.
    watch.nothing_more();
    sandbox.ok(&["exec", "busy", "rm", "/next"]);
    let last = watch.event().unwrap();
    let anatomy: Value = serde_json::from_str(&sandbox.ok(&["explain", "--json", "busy"])).unwrap();
    assert_eq!(last["writable_on_disk"], anatomy["container"]["writable"]["on_disk"], "{size}");
    // A signal ends it after such a burst, even if its output is not read.
    sandbox.ok(&["exec", "busy", "sh", "-c", "rm -r /many"]);
    let _ =
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(watch.child.id().cast_signed()), nix::sys::signal::SIGINT);
    wait_until("it has ended", || watch.child.try_wait().unwrap().is_some());
    // A shell's background job ignores that signal, and is ended by it all the same.
    let job = format!("{} watch --json busy >out & sleep 1; kill -INT $!; wait $!", Sandbox::binary());
    assert_eq!(finish(sandbox.other("sh").args(["-c", &job])).code, 130);
}

#[test]
fn it_is_told_in_lines_that_fit_the_terminal() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("told");
    let (watch, first) = Watcher::start(&sandbox, &[], "told");
    assert!(first.contains("watching what told changes in: writable layer, tmpfs /dev"), "{first}");
    let name = "/a\nb\u{1b}[31m";
    sandbox.ok(&["exec", "told", "sh", "-c", "echo x >\"$1\"; echo x >>/etc/motd", "sh", name]);
    let mut lines = Vec::new();
    while let Ok(line) = watch.told.recv_timeout(Duration::from_secs(1)) {
        lines.push(line);
    }
    let find =
        |text: &str| lines.iter().find(|line| line.contains(text)).unwrap_or_else(|| panic!("{text}: {lines:#?}"));
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{lines:#?}");
    assert!(find("CREATE").contains(r"/a\nb\x1b[31m"), "{lines:#?}");
    assert!(find("COPY-UP").contains("in layer 1"), "{lines:#?}");
    let size = find("the writable layer holds");
    let of_du = sandbox.ok(&["explain", "told"]);
    let holds = size.split("holds ").nth(1).unwrap().split(' ').next().unwrap();
    assert!(of_du.contains(holds), "{size}\n{of_du}");
    drop(watch);
    let (watch, _) = Watcher::start(&sandbox, &["--lang", "ru"], "told");
    sandbox.ok(&["exec", "told", "rm", "/etc/issue"]);
    wait_until("in Russian", || {
        watch.told.recv_timeout(Duration::from_secs(1)).is_ok_and(|line| line.contains("в слое"))
    });
}

#[test]
fn what_is_deleted_and_made_anew_at_once_is_told_as_both() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["run", "-d", "--network", "none", "--name", "top", "alpine", "sh", "-c", WAITS]);
    let (watch, _) = Watcher::start(&sandbox, &["--json"], "top");
    let script = "rm -r /etc/apk; mkdir /etc/apk; echo x >/etc/apk/new; rm -r /srv; echo x >/srv; rm /etc/motd; \
        mkdir /etc/motd; rm /etc/issue; echo x >/etc/issue; mkdir /etc/made";
    sandbox.ok(&["exec", "top", "sh", "-c", script]);
    let mut told: Vec<String> = Vec::new();
    while let Some(event) = watch.event() {
        told.push(format!("{} {}", event["what"].as_str().unwrap(), event["path"].as_str().unwrap()));
    }
    for expected in [
        "delete /etc/apk",
        "create /etc/apk",
        "create /etc/apk/new",
        "delete /srv",
        "create /srv",
        "delete /etc/motd",
        "create /etc/motd",
        "create /etc/issue",
        "create /etc/made",
    ] {
        assert_eq!(told.iter().filter(|said| *said == expected).count(), 1, "{expected}: {told:#?}");
    }
    assert!(!told.iter().any(|said| said.ends_with(" /etc")), "{told:#?}");
}
