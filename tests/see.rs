//! `where`, `explain` and `compare` against what the container itself, `du` and the kernel say.

use crate::common::{Sandbox, finish, wait_until};
use serde_json::Value;
use std::collections::HashSet;
use std::process::Command;

/// `layered`: alpine, a second layer that changes, deletes and adds, and a container `top` that does so again.
fn layered() -> Sandbox {
    let sandbox = Sandbox::with_alpine();
    let second = "echo second >/etc/motd; echo both >/both; rm /etc/issue; mkdir -p /d/deep; echo 2 >/d/deep/f; \
                  echo gone >/gone; ln -s /d /link";
    sandbox.ok(&["run", "--network", "none", "--name", "second", "alpine", "sh", "-c", second]);
    sandbox.ok(&["commit", "second", "layered"]);
    let top = "echo more >>/both; echo upper >/upper; rm /gone; rm -r /d; mkdir /d; echo 3 >/d/new; echo x >/mnt/host; \
               exec sleep 1000";
    let mount = format!("{}:/mnt", sandbox.file("mounted").display());
    sandbox.ok(&["run", "-d", "--network", "none", "--name", "top", "-v", &mount, "layered", "sh", "-c", top]);
    wait_until("it has done it", || sandbox.file("mounted/host").exists());
    sandbox
}

fn json(sandbox: &Sandbox, words: &[&str]) -> Value {
    let said = sandbox.run(words);
    serde_json::from_str(&said.stdout).unwrap_or_else(|error| panic!("{error}: {}", said.streams()))
}

/// What `where` says of a path in short: each place with what is there, `*` before the one that is seen.
fn places(sandbox: &Sandbox, path: &str) -> Vec<String> {
    let found = json(sandbox, &["where", "--json", "top", path]);
    let short = |sighting: &Value| {
        let place = match sighting["place"]["kind"].as_str().unwrap() {
            "layer" => format!("layer{}", sighting["place"]["number"]),
            kind => kind.to_owned(),
        };
        let what = sighting["what"].as_object().unwrap();
        let what: Vec<&str> = what.values().map(|value| value.as_str().unwrap_or("2")).collect();
        format!("{}{place} {}", if sighting["is_seen"] == true { "*" } else { "" }, what.join(" "))
    };
    found["sightings"].as_array().unwrap().iter().map(short).collect()
}

#[test]
fn where_tells_every_layer_that_has_a_file() {
    let sandbox = layered();
    for (path, expected) in [
        ("/etc/motd", &["*layer2 file", "layer1 file"][..]),
        ("/both", &["*writable-layer 2 copied-up", "layer2 file"]),
        ("/upper", &["*writable-layer file"]),
        ("/etc/issue", &["layer2 deleted /etc/issue", "layer1 file"]),
        ("/gone", &["writable-layer deleted /gone", "layer2 file"]),
        ("/d/new", &["*writable-layer file"]),
        ("/d/deep/f", &["writable-layer hidden-by /d", "layer2 file"]),
        ("/link", &["*layer2 link /d"]),
        ("/etc/alpine-release", &["*layer1 file"]),
        ("/mnt/host", &["*mount file"]),
        // A mount is looked into.
        ("/mnt/none", &[]),
        ("/proc/1/status", &["*mount file"]),
        ("/proc/none", &[]),
        ("/dev/null", &["*mount device"]),
        // A path that never existed is not called deleted.
        ("/d/never", &[]),
        ("/gone/never", &[]),
        ("/link/../upper", &["*writable-layer file"]),
        ("/link/../link", &["*layer2 link /d"]),
        ("/etc/hosts", &["*mount file", "layer1 file"]),
    ] {
        // Where fuse-overlayfs lays the layers, or they are copied, no file says that it was copied up.
        let found = places(&sandbox, path);
        assert_eq!(found, expected, "{path}");
        let exists = sandbox.run(&["exec", "top", "sh", "-c", &format!("test -e {path} || test -L {path}")]).code == 0;
        assert_eq!(exists, found.iter().any(|line| line.starts_with('*')), "{path}: {found:?}");
    }
    let through = json(&sandbox, &["where", "--json", "top", "/link/new"]);
    assert_eq!((&through["resolved"], &through["through"][0]["link"]), (&"/d/new".into(), &"/link".into()));
    // The size is that of the contents.
    let both = json(&sandbox, &["where", "--json", "top", "/both"]);
    assert_eq!(both["sightings"][0]["size"], "both\nmore\n".len());
    // An image has no writable layer.
    let image = json(&sandbox, &["where", "--json", "layered", "/both"]);
    assert_eq!(image["sightings"].as_array().unwrap().len(), 1);
    let said = sandbox.fails(1, &["where", "top", "/no/such"]);
    assert!(said.contains("/no/such is not in top"), "{said}");
    assert!(sandbox.run(&["where", "--lang", "ru", "top", "/gone"]).stdout.contains("удалён"));
    // Alone, a path is looked for in the newest container.
    assert!(sandbox.ok(&["where", "/upper"]).contains("in top comes from: writable layer"));
}

#[test]
fn explain_counts_what_diff_and_du_count() {
    let sandbox = layered();
    let drawn = json(&sandbox, &["explain", "--json", "top"]);
    let writable = &drawn["container"]["writable"];
    let diff = sandbox.ok(&["diff", "top"]);
    for (kind, name) in [("A", "added"), ("C", "changed"), ("D", "deleted")] {
        let count = diff.lines().filter(|line| line.starts_with(kind)).count();
        assert_eq!(writable[name], count, "{name}: {diff}");
    }
    assert_eq!(writable["on_disk"], du(writable["directory"].as_str().unwrap()));
    let layers = drawn["layers"].as_array().unwrap();
    assert_eq!(layers.len(), 2);
    assert!(layers[1]["instruction"].as_str().unwrap().contains("echo second >/etc/motd"), "{}", layers[1]);
    assert_eq!((&layers[0]["other_images"], &layers[1]["other_images"]), (&1.into(), &0.into()));
    assert_eq!(drawn["container"]["mounts"][0]["target"], "/mnt");

    let text = sandbox.ok(&["explain", "top"]);
    let order = ["/mnt", "writable layer", "layer 2", "layer 1"].map(|part| text.find(part).expect(part));
    assert!(order.is_sorted(), "{text}");
    assert!(text.contains("minirun rm -f top") && text.contains("minirun commit top NAME"), "{text}");
}

#[test]
fn compare_tells_an_image_and_a_container_apart() {
    let sandbox = layered();
    let told = &json(&sandbox, &["compare", "--json", "layered", "top"]);
    let columns = ["frozen", "decided", "while_it_runs"].map(|column| told[column].as_object().unwrap());
    let mut names = HashSet::new();
    for name in columns.iter().flat_map(|column| column.keys()) {
        assert!(names.insert(name), "{name} stands in two columns");
    }
    assert_eq!(told["is_made_from"], true);
    let sum: u64 = json(&sandbox, &["explain", "--json", "layered"])["layers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|layer| layer["on_disk"].as_u64().unwrap())
        .sum();
    let layers = sandbox.stored("layers");
    let listed: u64 = layers.iter().map(|layer| du(&format!("{}/layers/{layer}", sandbox.root().display()))).sum();
    assert_eq!((&columns[0]["layers_on_disk"], sum), (&listed.into(), listed));

    for (kind, numbers) in columns[2]["namespaces"].as_object().unwrap() {
        let link = |text: String| text.chars().filter(char::is_ascii_digit).collect::<String>().parse::<u64>().unwrap();
        let inside = link(sandbox.ok(&["exec", "top", "readlink", &format!("/proc/self/ns/{kind}")]));
        let outside = link(std::fs::read_link(format!("/proc/self/ns/{kind}")).unwrap().to_string_lossy().into_owned());
        assert_eq!((&numbers["container"], &numbers["host"]), (&inside.into(), &outside.into()), "{kind}");
        assert_eq!(numbers["is_its_own"], true, "{kind}");
    }
    let runs = &columns[2];
    assert_eq!(runs["first_process"].to_string(), sandbox.look("top", "{{.State.Pid}}"));
    assert_eq!(runs["first_process_inside"], 1);
    let inside = sandbox.ok(&["exec", "top", "ip", "-o", "address"]);
    let inside = inside.lines().filter(|line| !line.contains("scope link"));
    let mut inside: Vec<&str> =
        inside.map(|line| line.split_whitespace().nth(3).unwrap().split('/').next().unwrap()).collect();
    inside.sort_unstable();
    let mut told_addresses: Vec<&str> =
        runs["addresses"].as_array().unwrap().iter().map(|address| address.as_str().unwrap()).collect();
    told_addresses.sort_unstable();
    assert_eq!(told_addresses, inside);
    // Said the other way round it is the same; in Russian it is all there too.
    assert_eq!(&json(&sandbox, &["compare", "--json", "top", "layered"])["frozen"], &told["frozen"]);
    let russian = sandbox.ok(&["compare", "--lang", "ru", "layered", "top"]);
    assert!(russian.contains("ЗАМОРОЖЕНО В ОБРАЗЕ") && !russian.contains("   ?"), "{russian}");
    let said = sandbox.fails(1, &["compare", "layred", "top"]);
    assert!(said.contains("did you mean: layered"), "{said}");
    // Of several names the one that was typed.
    sandbox.ok(&["tag", "layered", "another"]);
    for (typed, name) in [("top", "layered:latest"), ("layered", "layered:latest"), ("another", "another:latest")] {
        let drawn = sandbox.ok(&["explain", typed]);
        assert!(drawn.contains(&format!("image {name}")), "{typed}: {drawn}");
    }
    sandbox.ok(&["stop", "-t", "0", "top"]);
    assert!(sandbox.ok(&["compare", "layered", "top"]).contains("nothing: it is not running"));
}

#[test]
fn two_containers_share_what_is_on_disk_once() {
    let sandbox = layered();
    sandbox.ok(&["run", "-d", "--network", "none", "--name", "beside", "layered", "sleep", "1000"]);
    let told = &json(&sandbox, &["compare", "--json", "top", "beside"]);
    assert_eq!(told["shared"].as_array().unwrap().len(), 2);
    if let Some(cached) = told["shared_in_page_cache"].as_u64() {
        // Whoever ran has read busybox and its loader, and nothing is there twice.
        let disk = told["shared_on_disk"].as_u64().unwrap();
        assert!(cached > 500_000 && cached <= disk * 2, "{cached} of {disk}");
    }
    for side in told["sides"].as_array().unwrap() {
        assert!(side["layers"].as_array().unwrap().is_empty());
        assert_eq!(side["private_on_disk"], side["writable_on_disk"]);
        assert_eq!(side["private_on_disk"], du(side["decided"]["writable_directory"].as_str().unwrap()));
    }
    let images = &json(&sandbox, &["compare", "--json", "alpine", "layered"]);
    assert_eq!(images["shared"].as_array().unwrap().len(), 1);
    assert_eq!(images["sides"][1]["layers"].as_array().unwrap().len(), 1);
}

/// Bytes on disk as `du` counts them, by the user's own eyes: what belongs to the container's other ids is readable here.
fn du(path: &str) -> u64 {
    let output = Command::new("du").args(["-s", "--block-size=1", path]).output().expect("du");
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("du {path}: {output:?}"))
}

#[test]
fn a_step_that_had_nothing_to_do_is_told_as_skipped() {
    let sandbox = Sandbox::with_alpine();
    let script = "cut -d' ' -f5 /proc/self/mountinfo";
    let flags = ["run", "--rm", "--network", "none", "-w", "/new", "-v", "named:/srv", "--explain=json"];
    let steps = |flags: &[&str]| -> (Vec<Value>, String) {
        let said = sandbox.run(&[flags, &["alpine", "sh", "-c", script]].concat());
        assert_eq!(said.code, 0, "{}", said.streams());
        let lines = said.stderr.lines().filter(|line| line.starts_with('{'));
        (lines.map(|line| serde_json::from_str(line).unwrap()).collect(), said.stdout)
    };
    let (told, mounted) = steps(&flags);
    let calls = |kind: &str| -> Vec<&Value> {
        let found: Vec<&Value> = told.iter().filter(|step| step["call"].as_str().unwrap().starts_with(kind)).collect();
        assert!(!found.is_empty(), "{kind}");
        found
    };
    let masks = calls("move_mount(/dev/null");
    for step in masks.iter().chain(&calls("mount_setattr(/proc/")).chain(&calls("mount_setattr(/proc/sysrq")) {
        let call = step["call"].as_str().unwrap();
        let path = call.split(['(', ',', ' ', ')']).find(|word| word.starts_with("/proc") || word.starts_with("/sys"));
        let is_mounted = mounted.lines().any(|line| Some(line) == path);
        assert_eq!(step["skipped"].is_null(), is_mounted, "{step}\n{mounted}");
    }
    assert!(masks.iter().any(|step| step["skipped"] == "missing"), "{masks:#?}");
    assert!(calls("mkdir(/new)")[0]["skipped"].is_null());
    assert!(calls("copy /srv to")[0]["skipped"].is_null());
    // The second time the volume has... nothing still: alpine's /srv is empty, so it is looked at again; `/` is always there.
    let (told, _) = steps(&["run", "--rm", "--network", "none", "--explain=json"]);
    let mkdir = told.iter().find(|step| step["call"] == "mkdir(/)").unwrap();
    assert_eq!(mkdir["skipped"], "exists");
    let said = sandbox.run(&["run", "--rm", "--network", "none", "--explain", "alpine", "true"]).stderr;
    assert!(said.contains("skipped, nothing to do: it exists already"), "{said}");
}

/// A terminal obeys what follows an escape, so an image or a file name must not bring one.
#[test]
fn what_a_stranger_wrote_reaches_no_terminal() {
    let sandbox = Sandbox::with_alpine();
    let escape = "\u{1b}]0;owned\u{7}";
    let touch = "touch \"/$1\"; mkdir \"/etc/$1\"";
    sandbox.ok(&["run", "--network", "none", "--name", "evil", "alpine", "sh", "-c", touch, "sh", escape]);
    let (label, env, cmd) =
        (format!("LABEL x=\"{escape}\""), format!("ENV X=\"{escape}\""), format!("CMD [\"echo\", \"{escape}\"]"));
    let cmd = cmd.replace('\u{1b}', "\\u001b").replace('\u{7}', "\\u0007");
    sandbox.ok(&["commit", "-m", escape, "-c", &label, "-c", &env, "-c", &cmd, "evil", "stranger"]);
    sandbox.ok(&["run", "-d", "--network", "none", "--name", "runs", "stranger", "sleep", "600"]);
    let path = format!("/{escape}");
    for words in [
        &["history", "--no-trunc", "stranger"][..],
        &["explain", "stranger"],
        &["explain", "evil"],
        &["compare", "stranger", "runs"],
        &["compare", "evil", "runs"],
        &["script", "stranger"],
        &["script", "evil"],
        &["diff", "evil"],
        &["ps", "-a", "--no-trunc"],
        &["images"],
        &["where", "runs", &path],
        &["where", "evil", &path],
        &["where", "runs", "/no\u{1b}[2J"],
        &["run", "--rm", "--network", "none", "--explain", "stranger", "true", escape],
    ] {
        let said = sandbox.run(words);
        assert!(!said.streams().contains(['\u{1b}', '\u{7}']), "{words:?}\n{:?}", said.streams());
    }
    // A container's own output is passed on unchanged.
    sandbox.ok(&["run", "--network", "none", "--name", "speaks", "alpine", "printf", escape]);
    assert!(sandbox.ok(&["logs", "speaks"]).contains(escape));
    assert!(sandbox.ok(&["diff", "evil"]).contains(r"A /\x1b]0;owned\x07"));
}

#[test]
fn compare_tells_every_decided_setting() {
    let sandbox = Sandbox::with_alpine();
    let flags = "--read-only --init --shm-size 8m --ulimit nofile=10:20 --stop-signal INT --stop-timeout 3 --tmpfs \
                 /run:size=1m -t -i --label a=b --add-host x:1.2.3.4 --dns 1.1.1.1 --log-driver none --group-add 77 \
                 --security-opt no-new-privileges --security-opt seccomp=unconfined --cap-add SYS_TIME --network none \
                 --entrypoint sleep -e A=B -w /srv -h box --name all";
    let flags: Vec<&str> = flags.split_whitespace().collect();
    sandbox.ok(&[&["create"], &flags[..], &["alpine", "1000"]].concat());
    let told = &json(&sandbox, &["compare", "--json", "alpine", "all"])["decided"];
    for (name, value) in [
        ("image", "\"alpine\""),
        ("read_only_root", "true"),
        ("reaping_init", "true"),
        ("shm_size", "8388608"),
        ("ulimits", r#"["nofile=10:20"]"#),
        ("stop_signal", "\"SIGINT\""),
        ("stop_timeout", "3"),
        ("tmpfs_mounts", r#"["/run (size=1m)"]"#),
        ("terminal", "true"),
        ("stdin_open", "true"),
        ("added_labels", r#"["a=b"]"#),
        ("added_hosts", r#"["x → 1.2.3.4"]"#),
        ("dns_servers", r#"["1.1.1.1"]"#),
        ("groups", r#"["77"]"#),
        ("no_new_privileges", "true"),
        ("seccomp_unconfined", "true"),
        ("entrypoint_option", "\"sleep\""),
        ("hostname", "\"box\""),
    ] {
        assert_eq!(told[name].to_string(), value, "{name}: {told:#}");
    }
    // A setting without a translation of its own is still shown.
    assert_eq!(told["log"]["is_off"], true, "{told:#}");
    assert!(sandbox.ok(&["compare", "alpine", "all"]).contains("size of /dev/shm"));
}

#[test]
fn compare_begins_with_what_a_container_is() {
    let sandbox = layered();
    let first = |words: &[&str]| sandbox.ok(words).lines().next().unwrap().to_owned();
    let said = first(&["compare", "layered", "top"]);
    let gist = &json(&sandbox, &["compare", "--json", "layered", "top"])["gist"];
    let release = sandbox.ok(&["exec", "top", "uname", "-r"]);
    let release = release.trim();
    assert!(said.starts_with("top is layered:latest's 2 layers, not copied, + "), "{said}");
    let ending = format!("+ 1 process on this machine's kernel {release}; the image contains no kernel.");
    assert!(said.ends_with(&ending), "{said}");
    let upper = format!("{}/containers/{}/upper", sandbox.root().display(), sandbox.look("top", "{{.Id}}"));
    assert_eq!((&gist["writable_on_disk"], &gist["processes"]), (&du(&upper).into(), &1.into()));
    // One that lies in an image runs no more than any other file.
    sandbox.ok(&[
        "run",
        "--network",
        "none",
        "--name",
        "boots",
        "alpine",
        "sh",
        "-c",
        "mkdir -p /boot; touch /boot/vmlinuz-lts",
    ]);
    sandbox.ok(&["commit", "boots", "bootable"]);
    sandbox.ok(&["create", "--name", "brings", "bootable", "true"]);
    let said = first(&["compare", "bootable", "brings"]);
    assert!(
        said.contains("without a running process")
            && said.contains("/boot/vmlinuz-lts in the image is an ordinary file"),
        "{said}"
    );
    assert!(first(&["compare", "--lang", "ru", "layered", "top"]).contains("без копирования"));
    // Two images: what their settings differ in.
    sandbox.ok(&["commit", "-c", "ENV ONLY=here", "boots", "other"]);
    let told = json(&sandbox, &["compare", "--json", "bootable", "other"]);
    assert!(told["sides"][1]["frozen"]["default_env"].to_string().contains("ONLY=here"), "{told:#}");
    assert!(told["sides"][0]["frozen"]["platform"].is_null(), "{told:#}");
    assert!(sandbox.ok(&["compare", "bootable", "other"]).contains("ONLY=here"));
}

#[test]
fn explain_lists_the_files_of_every_layer() {
    let sandbox = layered();
    let files = |words: &[&str]| -> Vec<(String, String, Value, Value)> {
        let told = json(&sandbox, &[&["explain", "--json"], words].concat());
        let text = |file: &Value, name: &str| file[name].as_str().unwrap().to_owned();
        let list = told["files"].as_array().unwrap().iter();
        list.map(|file| (text(file, "what"), text(file, "path"), file["size"].clone(), file["size_below"].clone()))
            .collect()
    };
    let find = |list: &[(String, String, Value, Value)], path: &str| {
        let found = list.iter().find(|file| file.1 == path).unwrap_or_else(|| panic!("{path}: {list:?}"));
        (found.0.clone(), found.2.as_u64(), found.3.as_u64())
    };
    let issue = sandbox.ok(&["run", "--rm", "--network", "none", "alpine", "wc", "-c", "/etc/issue", "/etc/motd"]);
    let sizes: Vec<u64> = issue.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let second = files(&["layered", "--files", "2"]);
    assert_eq!(find(&second, "/etc/motd"), ("changed".into(), Some(7), Some(sizes[1])));
    assert_eq!(find(&second, "/etc/issue"), ("removed".into(), None, Some(sizes[0])));
    assert_eq!(find(&second, "/d/deep/f"), ("added".into(), Some(2), None));
    assert!(!second.iter().any(|file| file.1 == "/etc"), "{second:?}");
    assert_eq!(second, files(&["layered", "--files"]), "an image's topmost");
    assert!(files(&["top", "--files", "1"]).iter().all(|file| file.0 == "added"));
    let writable = files(&["top", "--files"]);
    assert_eq!(find(&writable, "/both"), ("changed".into(), Some(10), Some(5)));
    assert_eq!(find(&writable, "/gone"), ("removed".into(), None, Some(5)));
    assert_eq!(find(&writable, "/d/deep"), ("removed".into(), None, Some(2)), "{writable:?}");
    assert_eq!(writable, files(&["--files", "writable", "top"]));
    assert!(sandbox.ok(&["explain", "--files", "top"]).contains("top, writable layer: "));
    let said = sandbox.fails(1, &["explain", "layered", "--files", "3"]);
    assert!(said.contains("layered has no layer \"3\": there are 1 to 2"), "{said}");
    sandbox.fails(1, &["explain", "layered", "--files", "writable"]);
}

#[test]
fn explain_shows_what_made_no_layer_and_what_is_carried_for_nothing() {
    let sandbox = Sandbox::with_alpine();
    let dockerfile =
        "FROM alpine\nENV A=1\nRUN head -c 100000 /dev/zero >/big\nRUN rm /big; echo 1 >/etc/motd\nCMD [\"sh\"]\n";
    std::fs::write(sandbox.file("Dockerfile"), dockerfile).unwrap();
    sandbox.ok(&["build", "-t", "built", "."]);
    sandbox.ok(&["run", "-d", "--network", "none", "--name", "runs", "built", "sleep", "600"]);
    let told = json(&sandbox, &["explain", "--json", "runs"]);
    let instructions = told["instructions"].as_array().unwrap();
    let made: Vec<(Option<u64>, &str)> = instructions[instructions.len() - 4..]
        .iter()
        .map(|made| (made["layer"].as_u64(), made["text"].as_str().unwrap().split(' ').next().unwrap()))
        .collect();
    assert_eq!(made, [(None, "ENV"), (Some(2), "RUN"), (Some(3), "RUN"), (None, "CMD")]);
    let big = &told["wasted"]["files"][0];
    assert_eq!((&big["path"], &big["size"]), (&"/big".into(), &100_000.into()));
    assert_eq!((&big["added_in"], &big["hidden_in"]), (&2.into(), &3.into()));
    assert!(told["wasted"]["size"].as_u64().unwrap() > 100_000, "/etc/motd too");
    let text = sandbox.ok(&["explain", "runs"]);
    assert!(text.contains("no layer: metadata only") && text.contains("ENV A=1"), "{text}");
    assert!(text.contains("are wasted") && text.contains("/big"), "{text}");
    // The command that it names really frees the space.
    assert!(text.contains("`minirun rm -f runs` frees"), "{text}");
    sandbox.ok(&["rm", "-f", "runs"]);
}

/// The widest line, in a terminal of 80 columns.
#[test]
fn nothing_is_wider_than_the_terminal() {
    let sandbox = layered();
    sandbox.ok(&[
        "commit",
        "-c",
        "LABEL long=\"word \\\"and another\\\"  abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz\"",
        "top",
        "wide",
    ]);
    sandbox.ok(&["create", "--name", "beside", "wide", "true"]);
    for language in ["en", "ru"] {
        for words in [
            &["explain", "top"][..],
            &["explain", "layered"],
            &["explain", "top", "--files"],
            &["compare", "layered", "top"],
            &["compare", "wide", "beside"],
            &["compare", "top", "beside"],
            &["where", "top", "/both"],
            &["where", "top", "/etc/hosts"],
            &["probe", "top"],
            &["why", "top"],
        ] {
            let words = [&words[..1], &["--lang", language], &words[1..]].concat();
            let said = finish(sandbox.command(&words).env("COLUMNS", "80"));
            let widest = said.stdout.lines().max_by_key(|line| line.chars().count()).unwrap_or_default();
            assert!(widest.chars().count() <= 80, "{words:?}: {widest}");
        }
    }
}

#[test]
fn where_tells_what_hides_a_file_and_needs_no_container() {
    let sandbox = Sandbox::with_alpine();
    let said = sandbox.ok(&["where", "/etc/motd"]);
    assert!(said.contains("/etc/motd in alpine:latest comes from: layer 1"), "{said}");
    sandbox.ok(&[
        "run",
        "--network",
        "none",
        "--name",
        "deep",
        "alpine",
        "sh",
        "-c",
        "mkdir -p /d/deep; echo 2 >/d/deep/f",
    ]);
    sandbox.ok(&["commit", "deep", "layered"]);
    std::fs::create_dir(sandbox.file("empty")).unwrap();
    let mount = format!("{}:/etc/apk", sandbox.file("empty").display());
    let script = "rm -r /d; echo file >/d; exec sleep 1000";
    sandbox.ok(&["run", "-d", "--network", "none", "--name", "top", "-v", &mount, "layered", "sh", "-c", script]);
    wait_until("it has done it", || sandbox.run(&["exec", "top", "test", "-f", "/d"]).code == 0);
    assert_eq!(places(&sandbox, "/d/deep/f"), ["writable-layer replaced-by /d", "layer2 file"]);
    assert_eq!(places(&sandbox, "/etc/apk/world"), ["mount not-in-mount", "layer1 file"]);
    let said = sandbox.run(&["where", "top", "/etc/apk/world"]);
    assert!(
        said.code == 1 && said.stdout.contains("/etc/apk/world is not in top: the mount there"),
        "{}",
        said.streams()
    );
    let said = sandbox.run(&["where", "top", "/d/deep/f"]);
    assert!(said.code == 1 && said.stdout.contains("hidden: /d is not a directory here"), "{}", said.streams());
    for path in ["/etc/apk/none", "/d/deep/none", "/proc/none"] {
        assert!(sandbox.fails(1, &["where", "top", path]).contains("is not in top, nor in any layer"), "{path}");
    }
    // The kernel's file systems can be read only while the container runs; a host directory, always.
    sandbox.ok(&["stop", "-t", "0", "top"]);
    assert_eq!(places(&sandbox, "/proc/1/status"), ["*mount only-while-it-runs"]);
    assert_eq!(places(&sandbox, "/etc/apk/world"), ["mount not-in-mount", "layer1 file"]);
}

#[test]
fn options_given_twice_and_names_that_are_empty() {
    let sandbox = layered();
    let russian = sandbox.ok(&["why", "--lang", "en", "--lang", "ru", "top"]);
    assert!(russian.contains("работает") || russian.contains("будет"), "{russian}");
    assert_eq!(sandbox.ok(&["explain", "--json", "--json", "top"]), sandbox.ok(&["explain", "top", "--json"]));
    let listed = sandbox.ok(&["explain", "--files", "1", "--files", "writable", "top"]);
    assert!(listed.starts_with("top, writable layer: "), "{listed}");
    let flags = ["--network", "host", "--network", "none", "-w", "/etc", "-w", "/tmp", "-e", "ONE=1", "-e", "TWO=2"];
    let words = [&["run", "--rm", "--rm", "-i", "-i"], &flags[..], &["alpine", "sh", "-c", "pwd; echo $ONE$TWO"]];
    assert_eq!(sandbox.ok(&words.concat()), "/tmp\n12\n");
    for words in
        [&["why", ""][..], &["watch", ""], &["probe", ""], &["script", ""], &["explain", ""], &["where", "", "/x"]]
    {
        let said = sandbox.fails(1, words);
        assert!(said.contains("no such container") && said.contains(": \"\"") && !said.contains("did you"), "{said}");
    }
    for words in [&["why"][..], &["compare", "top"], &["explain"]] {
        let said = sandbox.fails(125, words);
        assert!(said.contains("Usage: minirun") && !said.contains("--root"), "{said}");
    }
    assert!(sandbox.fails(1, &["explain", "alpine", "--files", "2"]).contains("there is 1\n"));
}
