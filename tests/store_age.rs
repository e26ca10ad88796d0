//! Stores and monitors of other versions: older ones are read and spoken to, newer ones are left alone.

use crate::common::{Need, Output, Sandbox, User, require, user, wait_until};
use minirun::exposed::process;
use minirun::exposed::socket;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::SystemTime;

/// Stores as the first format has them, by the ids of their user; `tests/fixtures/record-store` made them.
const ROOT: &[u8] = include_bytes!("fixtures/store-1-root.tar.gz");
const RANGE: &[u8] = include_bytes!("fixtures/store-1-range.tar.gz");
const SINGLE: &[u8] = include_bytes!("fixtures/store-1-single.tar.gz");

/// Where they were made.
const RECORDED_AT: &str = "/tmp/recorded-store/store";

const INSPECT: &str = "{{.State.Status}} {{.State.ExitCode}} {{index .Config.Labels \"colour\"}}";

/// A sandbox with the recorded store of this user's kind.
fn recorded() -> Sandbox {
    let sandbox = Sandbox::new();
    let place = sandbox.root().parent().unwrap().to_owned();
    let unpack = ["tar", "--xattrs", "--xattrs-include=user.*", "--numeric-owner", "-xzC", place.to_str().unwrap()];
    let (archive, words) = match user() {
        User::Root => (ROOT, unpack.to_vec()),
        User::Range => (RANGE, [&["unshare", "--map-root-user", "--map-auto"], &unpack[..]].concat()),
        User::Single => (SINGLE, unpack.to_vec()),
    };
    let mut tar = sandbox.other(words[0]).args(&words[1..]).stdin(Stdio::piped()).spawn().unwrap();
    tar.stdin.take().unwrap().write_all(archive).unwrap();
    assert!(tar.wait().unwrap().success());
    let own = sandbox.root().to_str().unwrap().to_owned();
    for container in fs::read_dir(sandbox.root().join("containers")).unwrap() {
        for record in ["container.json", "config.json"].map(|name| container.as_ref().unwrap().path().join(name)) {
            let text = fs::read_to_string(&record).unwrap();
            fs::write(record, text.replace(RECORDED_AT, &own)).unwrap();
        }
    }
    // Entries that no build has used for two weeks are removed.
    for step in fs::read_dir(sandbox.root().join("builds/steps")).unwrap() {
        fs::File::open(step.unwrap().path()).unwrap().set_modified(SystemTime::now()).unwrap();
    }
    sandbox
}

/// All that lies in a directory: names, modes, owners, times of change, texts.
fn snapshot(directory: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        let (seconds, nanoseconds) = (found.ctime(), found.ctime_nsec());
        all.push(format!("{} {:o} {} {seconds}.{nanoseconds}", path.display(), found.mode(), found.uid()));
        if found.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    all.sort();
    all
}

/// The one line of an error, and the one of its hint.
#[track_caller]
fn sentence(output: Output, code: i32) -> String {
    assert_eq!(output.stdout, "", "{}", output.streams());
    let said = output.fails(code);
    assert_eq!(said.lines().count(), 2, "{said}");
    said
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_store_of_the_first_format_is_read() {
    if user() == User::Range {
        require!(Need::Tool("unshare"));
    }
    let sandbox = recorded();
    assert_eq!(sandbox.ok(&["system", "check"]), "Nothing is damaged.\n");
    let listed = sandbox.ok(&["ps", "-a", "--no-trunc"]);
    assert!(listed.contains("created") && listed.contains("ended") && listed.contains("Exited (2)"), "{listed}");
    let images = sandbox.ok(&["images"]);
    assert!(["hello", "built", "example.org/team/hello"].iter().all(|name| images.contains(name)), "{images}");
    assert_eq!(sandbox.look("ended", INSPECT), "exited 2 blue");
    assert_eq!(sandbox.ok(&["logs", "ended"]), "hello\n");
    let changed = sandbox.ok(&["diff", "ended"]);
    assert!(changed.contains("A /made") && changed.contains("C /owned"), "{changed}");

    let visits = sandbox.root().join("volumes/keep/_data/visits");
    for (container, code) in [("ended", 2), ("created", 2)] {
        let started = sandbox.run(&["start", "-a", container]);
        assert_eq!((started.code, started.stdout.as_str()), (code, "hello\n"), "{}", started.stderr);
    }
    assert_eq!(fs::read_to_string(visits).unwrap(), "xx");
    sandbox.ok(&["run", "--rm", "--network", "none", "-v", "keep:/data", "built", "/hello"]);

    // The file's owner was kept, in the way that this kind of user has for it.
    sandbox.ok(&["commit", "ended", "kept"]);
    sandbox.ok(&["save", "-o", "kept.tar", "kept"]);
    assert_eq!(owner_in_archive(&sandbox.file("kept.tar"), "owned"), (7, 7));

    fs::create_dir(sandbox.file("context")).unwrap();
    fs::write(sandbox.file("context/Dockerfile"), "FROM hello\nCOPY note /note\nRUN [\"/hello\"]\n").unwrap();
    fs::write(sandbox.file("context/note"), "noted\n").unwrap();
    let built = sandbox.run(&["build", "--network", "none", "-t", "built", "context"]);
    assert!(built.code == 0 && built.stderr.matches("cached\n").count() == 2, "{}", built.streams());

    sandbox.ok(&["rm", "-v", "ended", "created"]);
    sandbox.ok(&["rmi", "-f", "kept", "built", "example.org/team/hello:first", "hello"]);
    assert_eq!(sandbox.ok(&["system", "check"]), "Nothing is damaged.\n");
    assert_eq!(sandbox.stored("containers"), [""; 0]);
    assert_eq!(sandbox.stored("images").len(), 0);
}

/// A file's owner in the layer of a saved image that has it.
fn owner_in_archive(archive: &Path, name: &str) -> (u64, u64) {
    let mut image = tar::Archive::new(fs::File::open(archive).unwrap());
    for layer in image.entries().unwrap() {
        let mut layer = tar::Archive::new(layer.unwrap());
        for file in layer.entries().into_iter().flatten().map_while(Result::ok) {
            if file.path().is_ok_and(|path| path == Path::new(name)) {
                return (file.header().uid().unwrap(), file.header().gid().unwrap());
            }
        }
    }
    panic!("no layer has {name}");
}

#[test]
fn what_is_written_says_its_format() {
    let sandbox = Sandbox::with_alpine();
    sandbox.build("FROM alpine\nRUN echo x >/x\n", &["--network", "none", "-t", "built"]);
    sandbox.ok(&["run", "--name", "web", "--network", "none", "alpine", "true"]);
    let root = sandbox.root();
    assert_eq!(fs::read_to_string(root.join("format")).unwrap(), "1\n");
    let container = root.join("containers").join(sandbox.look("web", "{{.Id}}"));
    let mut records = vec![container.join("container.json"), container.join("state.json")];
    let each = |part: &str| fs::read_dir(root.join(part)).unwrap().map(|entry| entry.unwrap().path());
    records.extend(each("names"));
    records.extend(each("layers").map(|layer| layer.join("info.json")));
    records.extend(each("builds/last"));
    records.extend(each("builds/steps").flat_map(|step| [step.join("inputs.json"), step.join("result.json")]));
    assert!(records.len() >= 9, "{records:?}");
    for record in records {
        assert!(read(&record)["format"] == 1, "{}", record.display());
    }
}

fn read(record: &Path) -> Value {
    serde_json::from_slice(&fs::read(record).unwrap()).unwrap()
}

#[test]
fn a_newer_store_is_left_alone() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["create", "--name", "web", "--network", "none", "alpine", "true"]);
    fs::write(sandbox.root().join("format"), "2\n").unwrap();
    // As open as no command of ours leaves it, and without the directory of this boot.
    fs::set_permissions(sandbox.root(), PermissionsExt::from_mode(0o755)).unwrap();
    let before = snapshot(&sandbox.root());
    for words in [
        &["ps"][..],
        &["images"],
        &["run", "--rm", "alpine", "true"],
        &["create", "alpine"],
        &["start", "web"],
        &["rm", "-f", "web"],
        &["rmi", "-f", "alpine"],
        &["pull", "alpine"],
        &["build", "."],
        &["builder", "prune", "-f"],
        &["commit", "web", "new"],
        &["inspect", "web"],
        &["explain", "web"],
        &["doctor"],
        &["info"],
        &["system", "info"],
        &["system", "df"],
        &["system", "check"],
        &["system", "check", "--repair"],
        &["system", "reset", "--force"],
    ] {
        let said = sentence(sandbox.run(words), 125);
        let store = sandbox.root();
        let expected = format!("error: the store {} has format 2, made by a newer minirun", store.display());
        assert!(said.starts_with(&expected) && said.contains("--root DIR"), "{words:?}: {said}");
        assert_eq!(snapshot(&sandbox.root()), before, "{words:?}");
    }
    fs::write(sandbox.root().join("format"), "99999999999\n").unwrap();
    sentence(sandbox.run(&["ps"]), 125);
    fs::write(sandbox.root().join("format"), "1\n").unwrap();
    assert!(sandbox.ok(&["ps", "-a"]).contains("web"));
}

#[test]
fn a_damaged_format_is_mended() {
    let sandbox = Sandbox::with_alpine();
    let format = sandbox.root().join("format");
    for damage in ["", "two\n", "-1", "\u{e9}"] {
        fs::write(&format, damage).unwrap();
        let listed = sandbox.run(&["images"]);
        assert!(
            listed.stdout.contains("alpine") && listed.stderr.contains("does not name a format"),
            "{}",
            listed.streams()
        );
        assert_eq!(sandbox.run(&["system", "check"]).code, 1);
        assert!(sandbox.ok(&["system", "check", "--repair"]).contains("format: does not name a format"));
        assert_eq!(fs::read_to_string(&format).unwrap(), "1\n");
    }
    fs::remove_file(&format).unwrap();
    assert_eq!(sandbox.run(&["images"]).stderr, "");
}

#[test]
fn a_record_of_a_newer_format_is_named_and_kept() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["create", "--name", "web", "--network", "none", "alpine", "true"]);
    let id = sandbox.look("web", "{{.Id}}");
    let path = sandbox.root().join("containers").join(id).join("container.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"format\":1", "\"format\":2", 1)).unwrap();
    let said = sandbox.fails(125, &["start", "web"]);
    assert!(said.contains("it has format 2, and this version of minirun reads formats up to 1"), "{said}");
    fs::write(&path, text).unwrap();
    sandbox.ok(&["start", "-a", "web"]);
}

#[test]
fn an_empty_name_keeps_its_container() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.ok(&["create", "--name", "web", "--network", "none", "alpine", "true"]);
    for damage in ["", "0a", "é".repeat(32).as_str()] {
        fs::write(sandbox.root().join("container-names/web"), damage).unwrap();
        let said = sandbox.fails(125, &["create", "--name", "web", "--network", "none", "alpine", "true"]);
        assert!(said.contains("the name \"web\" is in use by container"), "{said}");
        assert!(said.contains("container-names/web is damaged"), "{said}");
    }
    sandbox.ok(&["system", "check", "--repair"]);
    assert_eq!(fs::read_to_string(sandbox.root().join("container-names/web")).unwrap(), id.trim_end());
    // A power failure can leave an empty name file without a container.
    fs::write(sandbox.root().join("container-names/other"), "").unwrap();
    sandbox.ok(&["create", "--name", "other", "--network", "none", "alpine", "true"]);
}

#[test]
fn a_start_flushes_no_more_than_the_name() {
    // The programs that map subordinate ids cannot be traced.
    if user() == User::Range {
        return;
    }
    require!(Need::Tool("strace"));
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["run", "--rm", "--network", "none", "alpine", "true"]);
    for (flags, expected) in [(&["--rm"][..], 0), (&["--name", "web"], 1)] {
        let trace = sandbox.file("trace");
        let mut words = vec!["-f", "-qq", "-e", "trace=fsync,fdatasync,sync,syncfs,sync_file_range", "-o"];
        let binary = Sandbox::binary();
        words.extend([trace.to_str().unwrap(), &binary, "run", "--network", "none"]);
        words.extend(flags);
        words.extend(["alpine", "true"]);
        sandbox.run_other("strace", &words).ok();
        let text = fs::read_to_string(&trace).unwrap();
        assert_eq!(text.lines().filter(|line| line.contains("sync")).count(), expected, "{text}");
    }
}

/// A container, and where what is known of it lies.
struct Recorded {
    state: PathBuf,
    runtime: PathBuf,
}

impl Recorded {
    fn of(sandbox: &Sandbox, name: &str) -> Self {
        let id = sandbox.look(name, "{{.Id}}");
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        Self {
            state: sandbox.root().join("containers").join(&id).join("state.json"),
            runtime: sandbox.root().join("run").join(boot.trim()).join("run").join(id),
        }
    }

    /// Changes what the monitor of a running container has written.
    fn rewrite(&self, change: impl FnOnce(&mut serde_json::Map<String, Value>)) {
        let mut state = read(&self.state);
        change(state.as_object_mut().unwrap());
        fs::write(&self.state, state.to_string()).unwrap();
    }

    fn connect(&self) -> OwnedFd {
        socket::connect(&self.runtime.join("control")).unwrap()
    }
}

#[test]
fn an_older_monitor_is_spoken_to() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "web"], "echo said; trap 'exit 3' TERM; while :; do sleep 0.05; done");
    sandbox.wait_for_log("web", "said");
    // As a monitor writes it that knows neither of formats nor of versions.
    Recorded::of(&sandbox, "web").rewrite(|state| {
        assert!(state.remove("wire").is_some() && state.remove("format").is_some());
    });
    assert_eq!(sandbox.ok(&["exec", "web", "echo", "in"]), "in\n");
    assert_eq!(sandbox.ok(&["logs", "web"]), "said\n");
    sandbox.ok(&["commit", "web", "new"]);
    sandbox.ok(&["stop", "web"]);
    assert_eq!(sandbox.look("web", INSPECT), "exited 3");
}

#[test]
fn a_newer_monitor_is_left_alone() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "web"], "echo said; exec sleep 600");
    sandbox.wait_for_log("web", "said");
    let recorded = Recorded::of(&sandbox, "web");
    recorded.rewrite(|state| drop(state.insert("wire".into(), json!(2))));
    for (words, code) in [
        (&["stop", "web"][..], 1),
        (&["restart", "web"], 1),
        (&["kill", "web"], 1),
        (&["wait", "web"], 1),
        (&["rm", "-f", "web"], 1),
        (&["attach", "web"], 125),
        (&["commit", "web", "new"], 125),
    ] {
        let said = sentence(sandbox.run(words), code);
        assert!(said.starts_with("error: container web was started by a newer minirun"), "{words:?}: {said}");
    }
    // Commands that do not talk to the monitor work.
    assert!(sandbox.ok(&["ps"]).contains("web"));
    assert_eq!(sandbox.ok(&["logs", "web"]), "said\n");
    assert_eq!(sandbox.ok(&["exec", "web", "echo", "in"]), "in\n");
    recorded.rewrite(|state| drop(state.insert("wire".into(), json!(1))));
    sandbox.ok(&["rm", "-f", "web"]);
}

/// The bytes of every message of the first version.
mod recorded_bytes {
    pub const ATTACH_OUTPUT: &[u8] = &[10, 1, 0, 0, 0, 0, 0, 0, 0];
    pub const TERMINATE: &[u8] = &[14, 15, 0, 0, 0];
    pub const STOP_IN_TEN_SECONDS: &[u8] = &[15, 15, 0, 0, 0, 0x10, 0x27, 0, 0];
    pub const OUTPUT_HELLO: &[u8] = b"\x10hello\n";
    pub const EXITED_3: &[u8] = &[18, 3, 0, 0, 0];
}

fn send(socket: &OwnedFd, bytes: &[u8]) {
    socket::send(socket.as_fd(), bytes, &[]).unwrap();
}

fn receive(socket: &OwnedFd) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let length = socket::receive(socket.as_fd(), &mut buffer).unwrap().map_or(0, |(length, _)| length);
    buffer[..length].to_vec()
}

#[test]
fn a_client_of_the_first_version_is_understood() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "web"], "trap 'echo hello; exit 3' TERM; echo ready; while :; do sleep 0.05; done");
    sandbox.wait_for_log("web", "ready");
    let client = Recorded::of(&sandbox, "web").connect();
    send(&client, recorded_bytes::ATTACH_OUTPUT);
    send(&client, recorded_bytes::TERMINATE);
    assert_eq!(receive(&client), recorded_bytes::OUTPUT_HELLO);
    assert_eq!(receive(&client), recorded_bytes::EXITED_3);
}

#[test]
fn a_monitor_of_the_first_version_is_told_to_stop() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["create", "--name", "web", "--network", "none", "alpine", "true"]);
    let recorded = Recorded::of(&sandbox, "web");
    fs::create_dir_all(&recorded.runtime).unwrap();
    let listener = socket::listen(&recorded.runtime.join("control")).unwrap();
    let own = i32::try_from(std::process::id()).unwrap();
    let mut state = json!({"phase": "running", "pid": 0, "monitor": [own, process::start_time(own).unwrap()],
        "exit_code": 0, "started": "2026-01-01T00:00:00Z", "finished": "", "error": "", "oom_killed": false,
        "cgroup": null, "ports": []});
    fs::write(&recorded.state, state.to_string()).unwrap();

    let mut stop = sandbox.command(&["stop", "web"]).stdout(Stdio::null()).spawn().unwrap();
    let mut client = None;
    wait_until("the client comes", || {
        client = socket::accept(listener.as_fd());
        client.is_some()
    });
    let client = client.unwrap();
    let mut said = Vec::new();
    wait_until("the client speaks", || {
        let mut buffer = [0; 64];
        said = socket::receive(client.as_fd(), &mut buffer)
            .ok()
            .flatten()
            .map_or(Vec::new(), |(n, _)| buffer[..n].to_vec());
        !said.is_empty()
    });
    assert_eq!(said, recorded_bytes::STOP_IN_TEN_SECONDS);
    state["phase"] = json!("exited");
    fs::write(&recorded.state, state.to_string()).unwrap();
    send(&client, recorded_bytes::EXITED_3);
    assert!(stop.wait().unwrap().success());
    drop((client, listener));
    fs::remove_dir_all(&recorded.runtime).unwrap();
}
