//! Volumes: made, listed, used, removed; the flags that mount them.

use crate::common::{Sandbox, User, user};
use serde_json::Value;
use std::fs;

fn inspect(sandbox: &Sandbox, name: &str) -> Value {
    let all: Value = serde_json::from_str(&sandbox.ok(&["volume", "inspect", name])).unwrap();
    all[0].clone()
}

#[test]
fn a_volume_is_made_shown_and_removed() {
    let sandbox = Sandbox::with_alpine();
    assert_eq!(sandbox.ok(&["volume", "create", "--label", "a=b", "--label", "c", "data"]), "data\n");
    assert_eq!(sandbox.ok(&["volume", "create", "data"]), "data\n");
    assert_eq!(sandbox.ok(&["volume", "ls"]), "DRIVER    VOLUME NAME\nlocal     data\n");
    let found = inspect(&sandbox, "data");
    assert_eq!(found["Labels"], serde_json::json!({"a": "b", "c": ""}));
    assert_eq!(
        (&found["Driver"], &found["Scope"], &found["Options"]),
        (&"local".into(), &"local".into(), &Value::Null)
    );
    assert_eq!(found["Mountpoint"], sandbox.root().join("volumes/data/_data").to_str().unwrap());
    assert_eq!(sandbox.ok(&["volume", "inspect", "-f", "{{.Name}} {{index .Labels \"a\"}}", "data"]), "data b\n");

    sandbox.sh(&["-v", "data:/data"], "echo kept > /data/file").ok();
    assert_eq!(sandbox.sh(&["-v", "data:/data"], "cat /data/file").ok(), "kept\n");
    assert_eq!(sandbox.ok(&["volume", "rm", "data"]), "data\n");
    assert_eq!(sandbox.fails(1, &["volume", "rm", "data"]).lines().next(), Some("error: no such volume: data"));
    assert_eq!(sandbox.ok(&["volume", "rm", "-f", "data"]), "data\n");
    assert_eq!(sandbox.ok(&["volume", "ls", "-q"]), "");
    assert!(sandbox.stored("volumes").is_empty() && sandbox.stored("tmp").is_empty());

    let said = sandbox.run(&["volume", "inspect", "data"]);
    assert_eq!((said.code, said.stdout.as_str()), (1, "[]\n"));
    assert_eq!(sandbox.run(&["volume", "exists", "data"]).code, 1);
    for wrong in ["", "a", "../x", ".hidden", "a b", "a/b"] {
        if wrong.is_empty() {
            continue;
        }
        assert!(sandbox.fails(1, &["volume", "create", wrong]).contains("invalid volume name"), "{wrong}");
        sandbox.fails(1, &["volume", "rm", wrong]);
    }
    let random = sandbox.ok(&["volume", "create"]);
    assert_eq!(random.trim().len(), 64);
    assert_eq!(inspect(&sandbox, random.trim())["Labels"]["com.docker.volume.anonymous"], "");
}

#[test]
fn a_volume_in_use_stays_and_names_its_containers() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["create", "--name", "web", "-v", "data:/data", "alpine", "true"]);
    sandbox.ok(&["create", "--name", "db", "-v", "data:/db", "alpine", "true"]);
    let said = sandbox.fails(1, &["volume", "rm", "-f", "data"]);
    assert!(said.starts_with("error: cannot remove volume data: "), "{said}");
    assert!(said.contains("web") && said.contains("db") && said.contains("minirun rm "), "{said}");
    sandbox.ok(&["rm", "-v", "web"]);
    assert!(sandbox.fails(1, &["volume", "rm", "data"]).starts_with("error: cannot remove volume data: db uses it"));
    assert_eq!(sandbox.ok(&["volume", "prune", "-a", "-f"]), "Total reclaimed space: 0B\n");
    sandbox.ok(&["rm", "db"]);
    assert_eq!(sandbox.ok(&["volume", "ls", "-q"]), "data\n");
    sandbox.ok(&["volume", "rm", "data"]);
}

#[test]
fn lists_are_filtered() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["volume", "create", "--label", "tier=db", "alpha"]);
    sandbox.ok(&["volume", "create", "--label", "tier=web", "beta"]);
    sandbox.ok(&["create", "--name", "user", "-v", "beta:/x", "alpine", "true"]);
    for (filters, listed) in [
        (&["name=alp"][..], "alpha\n"),
        (&["name=alp", "name=bet"], "alpha\nbeta\n"),
        (&["label=tier"], "alpha\nbeta\n"),
        (&["label=tier=db"], "alpha\n"),
        (&["label=tier=db", "name=beta"], ""),
        (&["dangling=true"], "alpha\n"),
        (&["dangling=false"], "beta\n"),
        (&["driver=local"], "alpha\nbeta\n"),
        (&["driver=nfs"], ""),
    ] {
        let mut words = vec!["volume", "ls", "-q"];
        filters.iter().for_each(|filter| words.extend(["-f", filter]));
        assert_eq!(sandbox.ok(&words), listed, "{filters:?}");
    }
    assert_eq!(sandbox.ok(&["volume", "ls", "--format", "{{.Driver}}:{{.Name}}"]), "local:alpha\nlocal:beta\n");
    assert!(sandbox.run(&["volume", "ls", "-f", "frob=1"]).stderr.contains("dangling"));
}

#[test]
fn prune_takes_what_nobody_uses() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["volume", "create", "named"]);
    sandbox.ok(&["volume", "create", "--label", "keep", "kept"]);
    sandbox.ok(&["create", "--name", "user", "-v", "/data", "alpine", "true"]);
    sandbox.ok(&["create", "--name", "gone", "-v", "/data", "alpine", "true"]);
    sandbox.ok(&["rm", "gone"]);
    assert_eq!(sandbox.stored("volumes").len(), 4);
    assert!(sandbox.run(&["volume", "prune"]).stderr.contains("minirun volume prune -f"));
    let said = sandbox.ok(&["volume", "prune", "-f"]);
    assert!(said.starts_with("Deleted Volumes:\n") && said.contains("\n\nTotal reclaimed space: "), "{said}");
    assert_eq!(sandbox.stored("volumes").len(), 3);
    sandbox.ok(&["volume", "prune", "-a", "-f", "--filter", "label!=keep"]);
    assert_eq!(sandbox.ok(&["volume", "ls", "-q", "-f", "dangling=true"]), "kept\n");
    sandbox.ok(&["rm", "-v", "user"]);
    assert_eq!(sandbox.ok(&["volume", "ls", "-q"]), "kept\n");
}

#[test]
fn options_say_where_the_files_are() {
    let sandbox = Sandbox::with_alpine();
    let host = sandbox.file("host");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("seen"), "host\n").unwrap();
    let device = format!("device={}", host.display());
    sandbox.ok(&["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &device, "bound"]);
    assert_eq!(sandbox.sh(&["-v", "bound:/b"], "cat /b/seen; echo back > /b/written").ok(), "host\n");
    assert_eq!(fs::read_to_string(host.join("written")).unwrap(), "back\n");
    sandbox.ok(&["volume", "rm", "bound"]);
    assert!(host.join("seen").exists(), "the host's files went with the volume");

    let memory =
        ["volume", "create", "--opt", "type=tmpfs", "--opt", "device=tmpfs", "--opt", "o=size=1m,mode=700", "m1"];
    sandbox.ok(&memory);
    let look = "grep ' /m ' /proc/mounts; echo x > /m/file; stat -c %a /m";
    let said = sandbox.sh(&["-v", "m1:/m"], look).ok();
    assert!(said.contains(" /m tmpfs rw,nosuid,nodev") && said.contains("size=1024k"), "{said}");
    assert!(said.ends_with("\n700\n"), "{said}");
    assert_eq!(sandbox.sh(&["-v", "m1:/m"], "ls /m").ok(), "");
    let other = sandbox.fails(1, &["volume", "create", "-o", "type=tmpfs", "m1"]);
    assert!(other.contains("exists with other options"), "{other}");
    assert_eq!(inspect(&sandbox, "m1")["Options"]["o"], "size=1m,mode=700");

    for wrong in [&["-o", "type=nfs", "-o", "device=:/x"][..], &["-o", "size=1g"], &["-o", "frob=1"], &["-d", "nfs"]] {
        let words = [&["volume", "create"], wrong, &["other"]].concat();
        assert_ne!(sandbox.run(&words).code, 0, "{wrong:?}");
    }
    let gone = ["volume", "create", "-o", "o=bind", "-o", "device=/no/such/directory", "gone"];
    sandbox.ok(&gone);
    let said = sandbox.sh(&["-v", "gone:/x"], "true").fails(125);
    assert!(said.contains("/no/such/directory of volume gone does not exist"), "{said}");
    assert!(sandbox.stored("containers").is_empty());
}

#[test]
fn files_go_out_and_in_as_an_archive() {
    let sandbox = Sandbox::with_alpine();
    let script = "mkdir -p /d/sub; echo one > /d/sub/file; ln -s file /d/sub/link; chmod 750 /d/sub; touch /d/.wh.file; chown 7:8 /d/sub/file";
    sandbox.sh(&["-v", "from:/d"], script).ok();
    let tar = sandbox.file("volume.tar");
    sandbox.ok(&["volume", "export", "-o", tar.to_str().unwrap(), "from"]);
    sandbox.fails(1, &["volume", "import", "none", tar.to_str().unwrap()]);
    sandbox.ok(&["volume", "create", "to"]);
    sandbox.ok(&["volume", "import", "to", tar.to_str().unwrap()]);
    let look = "cd /d; cat sub/link; ls -A; stat -c %a sub";
    assert_eq!(sandbox.sh(&["-v", "to:/d"], look).ok(), "one\n.wh.file\nsub\n750\n");
    // Through pipes, a second time, over what is there.
    let pipe = format!("{0} volume export from | {0} volume import to -", Sandbox::binary());
    sandbox.run_other("sh", &["-c", &pipe]).ok();
    assert_eq!(sandbox.sh(&["-v", "to:/d"], look).ok(), "one\n.wh.file\nsub\n750\n");
    let listed = sandbox.run_other("tar", &["--numeric-owner", "-tvf", tar.to_str().unwrap()]).ok();
    // A user with one id has no second owner to test with.
    let owner = if user() == User::Single { " 0/0 " } else { " 7/8 " };
    assert!(listed.lines().any(|line| line.contains(owner) && line.ends_with("sub/file")), "{listed}");
}

#[test]
fn mount_has_dockers_keys() {
    let sandbox = Sandbox::with_alpine();
    let host = sandbox.file("host");
    fs::create_dir(&host).unwrap();
    fs::write(host.join("file"), "host\n").unwrap();
    let bind = format!("type=bind,src={},dst=/b,readonly", host.display());
    let said = sandbox.sh(&["--mount", &bind], "cat /b/file; touch /b/x").fails(1);
    assert!(said.contains("Read-only file system"), "{said}");
    sandbox.sh(&["--mount", "source=data,target=/d"], "mkdir -p /d/a/b; echo deep > /d/a/b/file").ok();
    let sub = ["--mount", "type=volume,src=data,dst=/s,volume-subpath=a/b"];
    assert_eq!(sandbox.sh(&sub, "cat /s/file").ok(), "deep\n");
    // A link in a volume does not lead to the host.
    sandbox.sh(&["-v", "data:/d"], "ln -s /etc /d/out; mkdir /d/etc; echo inside > /d/etc/own").ok();
    let out = ["--mount", "type=volume,src=data,dst=/s,volume-subpath=out"];
    assert_eq!(sandbox.sh(&out, "ls /s").ok(), "own\n");
    let tmpfs = ["--mount", "type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=700"];
    assert_eq!(sandbox.sh(&tmpfs, "stat -c %a /t; grep -c ' /t tmpfs .*size=1024k' /proc/mounts").ok(), "700\n1\n");
    let empty = ["--mount", "type=volume,dst=/etc/apk,volume-nocopy"];
    assert_eq!(sandbox.sh(&empty, "ls /etc/apk").ok(), "");
    let labelled = ["--mount", "type=volume,src=labelled,dst=/l,volume-label=x=y"];
    sandbox.sh(&labelled, "true").ok();
    assert_eq!(inspect(&sandbox, "labelled")["Labels"]["x"], "y");
    let before = sandbox.stored("volumes");
    for wrong in [
        "type=bind,src=/no/such,dst=/x",
        "type=frob,dst=/x",
        "type=volume,src=a",
        "dst=rel",
        "type=image,src=alpine,dst=/x",
    ] {
        let said = sandbox.sh(&["--mount", wrong], "true").fails(125);
        assert!(said.starts_with("error: invalid mount "), "{wrong}: {said}");
    }
    assert_eq!(sandbox.stored("volumes"), before);
}

#[test]
fn mounts_keep_out_of_each_others_way() {
    let sandbox = Sandbox::with_alpine();
    for flags in [
        &["-v", "ab:/x", "-v", "cd:/x/"][..],
        &["-v", "ab:/x", "--tmpfs", "/x"],
        &["--tmpfs", "/x", "--mount", "dst=/x"],
    ] {
        assert!(sandbox.sh(flags, "true").fails(125).contains("two mounts have the target /x"), "{flags:?}");
    }
    for target in ["/proc", "/proc//sys", "/x/../proc", "/"] {
        let volume = format!("ab:{target}");
        assert!(sandbox.sh(&["-v", &volume], "true").fails(125).contains("invalid volume"), "{target}");
        assert!(sandbox.sh(&["--tmpfs", target], "true").fails(125).contains("invalid tmpfs"), "{target}");
    }
    sandbox.ok(&["import", "-c", "VOLUME /proc", crate::common::alpine_tar().to_str().unwrap(), "bad"]);
    let said = sandbox.fails(125, &["run", "--rm", "--network", "none", "bad", "true"]);
    assert!(said.contains("invalid volume \"/proc\" of the image"), "{said}");
    assert!(sandbox.stored("volumes").is_empty() && sandbox.stored("containers").is_empty());

    // A mount on /etc does not hide minirun's own files in it.
    for flags in [&["-v", "etc:/etc"][..], &["--tmpfs", "/etc"], &["-v", "/etc"]] {
        let flags = [flags, &["--hostname", "box"]].concat();
        let said = sandbox
            .sh(&flags, "cat /etc/hostname; grep -c localhost /etc/hosts; test -s /etc/resolv.conf && echo dns")
            .ok();
        assert!(said.starts_with("box\n") && said.ends_with("dns\n"), "{flags:?}: {said}");
    }
    // Shorter targets come first, however they were typed.
    let said = sandbox.sh(&["-v", "in:/a/b", "-v", "out:/a"], "touch /a/b/x; ls /a").ok();
    assert_eq!(said, "b\n");
    let hosts = sandbox.file("hosts");
    fs::write(&hosts, "1.2.3.4 mine\n").unwrap();
    let bind = format!("{}:/etc/hosts", hosts.display());
    assert_eq!(sandbox.sh(&["-v", &bind], "cat /etc/hosts").ok(), "1.2.3.4 mine\n");
}

#[test]
fn options_of_v_act_or_are_answered() {
    let sandbox = Sandbox::with_alpine();
    let said = sandbox.sh(&["-v", "data:/d:ro,z,noexec"], "grep ' /d ' /proc/mounts").ok();
    assert!(said.contains(" ro,") && said.contains("noexec"), "{said}");
    assert_eq!(sandbox.sh(&["-v", "bare:/etc/apk:nocopy"], "ls /etc/apk").ok(), "");
    let said = sandbox.sh(&["-v", "data:/d:rslave"], "true");
    assert_eq!((said.code, said.stderr.contains("note: /d: rslave has no effect")), (0, true), "{}", said.streams());
    for refused in ["data:/d:U", "data:/d:O", "data:/d:frob"] {
        sandbox.sh(&["-v", refused], "true").fails(125);
    }
    fs::create_dir(sandbox.file("rel")).unwrap();
    fs::write(sandbox.file("rel/f"), "relative\n").unwrap();
    assert_eq!(sandbox.sh(&["-v", "./rel:/r"], "cat /r/f").ok(), "relative\n");
    sandbox.ok(&["create", "--name", "seen", "-v", "data:/d:ro,z", "--mount", "type=tmpfs,dst=/t", "alpine", "true"]);
    assert_eq!(
        sandbox
            .look("seen", "{{range .Mounts}}{{.Type}} {{.Name}} {{.Destination}} {{.Driver}} {{.Mode}} {{.RW}}{{end}}"),
        "volume data /d local ro,z false"
    );
    assert_eq!(sandbox.look("seen", "{{json .HostConfig.Binds}}"), "[\"data:/d:ro,z\"]");
}

#[test]
fn volumes_come_from_another_container() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&[
        "run",
        "--name",
        "first",
        "--network",
        "none",
        "-v",
        "/anon",
        "-v",
        "named:/n",
        "alpine",
        "sh",
        "-c",
        "echo a > /anon/f; echo n > /n/f",
    ]);
    assert_eq!(sandbox.sh(&["--volumes-from", "first"], "cat /anon/f /n/f").ok(), "a\nn\n");
    assert_eq!(sandbox.stored("volumes").len(), 2, "--rm took the volume of another container");
    let said = sandbox.sh(&["--volumes-from", "first:ro"], "touch /n/x").fails(1);
    assert!(said.contains("Read-only"), "{said}");
    // A mount of the command line replaces an inherited one at the same target.
    assert_eq!(sandbox.sh(&["--volumes-from", "first", "-v", "own:/n"], "ls /n").ok(), "");
    sandbox.ok(&["create", "--name", "second", "--volumes-from", "first:ro", "alpine", "true"]);
    assert_eq!(sandbox.look("second", "{{json .HostConfig.VolumesFrom}}"), "[\"first:ro\"]");
    sandbox.ok(&["rm", "-v", "first"]);
    assert_eq!(sandbox.stored("volumes").len(), 3, "the volume was in use");
    sandbox.ok(&["rm", "-v", "second"]);
    assert_eq!(sandbox.stored("volumes"), ["named", "own"]);
    let said = sandbox.sh(&["--volumes-from", "none"], "true").stderr;
    assert!(said.contains("no such container: none"), "{said}");
}

#[test]
fn volumes_of_an_older_version_are_volumes() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["create", "--name", "old", "-v", "data:/d", "alpine", "true"]);
    let directory = sandbox.root().join("volumes/data");
    fs::remove_file(directory.join("volume.json")).unwrap();
    fs::remove_dir_all(directory.join("containers")).unwrap();
    assert_eq!(sandbox.ok(&["volume", "ls", "-q"]), "data\n");
    assert!(sandbox.fails(1, &["volume", "rm", "data"]).contains("old uses it"));
    assert!(inspect(&sandbox, "data")["CreatedAt"].as_str().unwrap().ends_with('Z'));
    sandbox.ok(&["rm", "old"]);
    sandbox.ok(&["volume", "rm", "data"]);
}

#[test]
fn check_knows_the_records_of_volumes() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["create", "--name", "user", "-v", "data:/d", "alpine", "true"]);
    assert_eq!(sandbox.ok(&["system", "check"]), "Nothing is damaged.\n");
    let directory = sandbox.root().join("volumes/data");
    fs::write(directory.join("volume.json"), "{").unwrap();
    let notes: Vec<_> = fs::read_dir(directory.join("containers")).unwrap().flatten().collect();
    fs::rename(notes[0].path(), directory.join("containers").join("0".repeat(64))).unwrap();
    let said = sandbox.run(&["system", "check"]);
    assert_eq!((said.code, said.stdout.matches("volumes/data").count()), (1, 3), "{}", said.streams());
    sandbox.ok(&["volume", "ls"]);
    sandbox.ok(&["system", "check", "--repair"]);
    assert_eq!(sandbox.ok(&["system", "check"]), "Nothing is damaged.\n");
    assert!(sandbox.fails(1, &["volume", "rm", "data"]).contains("user uses it"));
}

#[test]
fn what_a_killed_create_leaves_holds_no_volume() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["volume", "create", "data"]);
    for delay in ["0.005", "0.01", "0.02", "0.03", "0.05", "0.08"] {
        let line = format!("timeout -s KILL {delay} {} create -v data:/d -v /anon alpine true", Sandbox::binary());
        sandbox.run_other("sh", &["-c", &line]);
    }
    let ids = sandbox.ok(&["ps", "-aq"]);
    if !ids.is_empty() {
        sandbox.ok(&[vec!["rm", "-v"], ids.lines().collect()].concat());
    }
    sandbox.ok(&["volume", "rm", "data"]);
    sandbox.ok(&["volume", "prune", "-f"]);
    assert!(sandbox.stored("volumes").is_empty(), "{:?}", sandbox.stored("volumes"));
}
