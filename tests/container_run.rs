//! `run` and `create`: what their flags mean, and what a container finds inside.

use crate::common::{self, Need, Sandbox, User, finish, require, user};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;
use std::time::Duration;

/// With one id only, every user is root and stays it.
fn single() -> bool {
    user() == User::Single
}

/// Digits that count lines, as `seq` prints them.
fn sequence(last: u32) -> String {
    (1..=last).map(|n| format!("{n}\n")).collect()
}

// Ends.

#[test]
fn the_exit_code_is_the_process_s_own() {
    let sandbox = Sandbox::with_alpine();
    for code in [0, 1, 42, 125, 255] {
        assert_eq!(sandbox.sh(&[], &format!("exit {code}")).code, code);
    }
    // A first process ignores what it has no handler for, so these need a process in front.
    for (signal, code) in [("KILL", 137), ("TERM", 143), ("SEGV", 139)] {
        assert_eq!(sandbox.sh(&["--init"], &format!("kill -{signal} $$")).code, code, "{signal}");
    }
}

#[test]
fn what_cannot_be_run_ends_with_docker_s_codes_and_says_why() {
    let sandbox = Sandbox::with_alpine();
    let files = sandbox.file("bin");
    fs::create_dir(&files).unwrap();
    let put = |name: &str, bytes: &[u8], mode: u32| {
        fs::write(files.join(name), bytes).unwrap();
        fs::set_permissions(files.join(name), PermissionsExt::from_mode(mode)).unwrap();
    };
    put("plain", b"#!/bin/sh\n", 0o644);
    put("lost", b"#!/no/such/interpreter\n", 0o755);
    put("foreign", b"\x7fELF\x02\x01\x01 of another world", 0o755);
    put("text", b"echo no first line\n", 0o755);
    let volume = format!("{}:/x", files.display());
    let cases = [
        ("no-such-command", 127, "PATH"),
        ("/no/such/file", 127, "no such file"),
        ("/x/lost", 127, "interpreter"),
        ("/etc/passwd/beneath", 127, "not a directory"),
        ("/etc", 126, "directory"),
        ("/x/plain", 126, "chmod +x"),
        ("/x/foreign", 126, "architecture"),
        ("/x/text", 126, "#! line"),
    ];
    for (command, code, word) in cases {
        let said = sandbox.fails(code, &["run", "--rm", "--network", "none", "-v", &volume, "alpine", command]);
        assert!(said.contains(command) && said.contains("hint:") && said.contains(word), "{command}: {said}");
    }
    assert!(sandbox.stored("containers").is_empty(), "--rm left a container that could not be started");
    sandbox.fails(127, &["run", "--network", "none", "--name", "kept", "alpine", "no-such-command"]);
    assert_eq!(sandbox.look("kept", "{{.State.Status}}"), "created");
}

#[test]
fn what_was_typed_wrong_ends_with_125_and_a_hint() {
    let sandbox = Sandbox::with_alpine();
    let cases: &[&[&str]] = &[
        &["--no-such-flag"],
        &["--network", "nowhere"],
        &["-v", "data:relative"],
        &["-v", "/a:/b:c:d"],
        &["-v", "/a:/b:frob"],
        &["-v", "/a:/"],
        &["-e", "=value"],
        &["--ulimit", "nofile"],
        &["--ulimit", "wings=2"],
        &["--ulimit", "nofile=20:10"],
        &["--memory", "lots"],
        &["--shm-size", "lots"],
        &["--cpus", "many"],
        &["--cap-add", "FLY"],
        &["--cap-drop", "FLY"],
        &["--stop-signal", "NOPE"],
        &["--security-opt", "magic"],
        &["--name", "-x"],
        &["--name", "a b"],
        &["--name", "../../etc"],
        &["-u", "nobody-knows"],
        &["-u", "root:nobody-knows"],
        &["--detach-keys", "ctrl-"],
        &["--add-host", "nothing"],
        &["--add-host", "db:garbage"],
        &["--add-host", "db:1.2.3"],
        &["--dns", "not an ip"],
        &["--tmpfs", "relative"],
        &["--label", "=value"],
        &["--log-opt", "max-size=lots"],
        &["-p", "nonsense"],
    ];
    for flags in cases {
        let said = sandbox.run(&[&["run", "--rm"], *flags, &["alpine", "true"]].concat()).fails(125);
        assert!(said.starts_with("error: "), "{flags:?}: {said}");
        let typed = flags.last().unwrap().trim_start_matches("root:");
        assert!(said.contains(typed), "{flags:?} is not named: {said}");
        assert!(said.contains("hint:") || said.contains("Usage:") || said.contains("--help"), "{flags:?}: {said}");
    }
    let said = sandbox.fails(125, &["run", "--rm", "--env-file", "/no/such/file", "alpine", "true"]);
    assert!(said.contains("/no/such/file"), "{said}");
    let said = sandbox.fails(125, &["run", "--rm", "no-such-image", "true"]);
    assert!(said.contains("no-such-image") && said.contains("hint:"), "{said}");
    assert!(sandbox.stored("containers").is_empty());
    assert!(sandbox.stored("tmp").is_empty());
}

#[test]
fn a_bad_value_is_refused_before_anything_is_done() {
    let sandbox = Sandbox::new();
    for words in [
        &["create", "-p", "nonsense", "no-such-image"][..],
        &["run", "--add-host", "db:garbage", "no-such-image"],
        &["run", "--dns", "not an ip", "no-such-image"],
        &["run", "--name", "a b", "no-such-image"],
        &["create", "--cap-add", "FLY", "no-such-image"],
        &["create", "--memory", "lots", "no-such-image"],
        &["exec", "-e", "=x", "nobody", "true"],
        &["build", "--add-host", "db:garbage", "."],
        &["build", "--ulimit", "wings=2", "."],
        &["build", "--network", "nowhere", "."],
        &["build", "--shm-size", "lots", "."],
        &["build", "--label", "=x", "."],
    ] {
        let said = sandbox.fails(125, words);
        assert!(said.starts_with("error: ") && said.contains("\nhint:  "), "{words:?}: {said}");
        assert!(!sandbox.root().exists(), "{words:?} made a store");
    }
    std::fs::write(sandbox.file("taken"), "").unwrap();
    std::fs::write(sandbox.file("bad.env"), "=x\n").unwrap();
    for flags in [
        &["--log-driver", "magic"][..],
        &["--log-opt", "max-size=lots"],
        &["--env-file", "bad.env"],
        &["--env-file", "/no/such/file"],
        &["--cidfile", "taken"],
    ] {
        for command in ["run", "create"] {
            let said = sandbox.fails(125, &[&[command], flags, &["no-such-image"]].concat());
            assert!(!said.contains("no-such-image"), "{flags:?}: the image was looked for: {said}");
        }
    }
    for command in ["stop", "kill", "restart"] {
        let said = sandbox.fails(1, &[command, "-s", "NOPE", "nobody"]);
        assert!(said.starts_with("error: invalid signal \"NOPE\"\nhint:  "), "{said}");
    }
}

#[test]
fn what_exec_and_build_share_with_run_means_the_same() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("web");
    std::fs::write(sandbox.file("vars.env"), "# a comment\nA=file\nB=file\n").unwrap();
    let words = ["--env-file", "vars.env", "-e", "B=typed", "web", "sh", "-c", "echo $A $B"];
    assert_eq!(sandbox.ok(&[&["exec"], &words[..]].concat()), "file typed\n");
    for gateway in ["gate:host-gateway", "gate=host-gateway"] {
        let said = sandbox.sh(&["--add-host", gateway, "--add-host", "six:[fd00::7]"], "cat /etc/hosts").ok();
        assert!(said.contains("10.0.2.2\tgate\n") && said.contains("fd00::7\tsix\n"), "{said}");
    }
}

#[test]
fn an_image_without_a_command_needs_one() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["import", common::alpine_tar().to_str().unwrap(), "mute"]);
    let said = sandbox.fails(125, &["run", "--rm", "--network", "none", "mute"]);
    assert!(said.contains("no command") && said.contains("minirun run IMAGE COMMAND"), "{said}");
    assert!(sandbox.stored("containers").is_empty());
}

// Streams.

#[test]
fn output_and_errors_stay_apart() {
    let sandbox = Sandbox::with_alpine();
    let output = sandbox.sh(&[], "echo out; echo err >&2; printf 'no newline'");
    assert_eq!((output.stdout.as_str(), output.stderr.lines().next_back()), ("out\nno newline", Some("err")));
}

#[test]
fn standard_input_reaches_it_with_i_only() {
    let sandbox = Sandbox::with_alpine();
    let run = |flags: &[&str], input: &[u8]| {
        sandbox.run_with_input(&[&["run", "--rm", "--network", "none"], flags, &["alpine", "cat"]].concat(), input)
    };
    assert_eq!(run(&["-i"], b"one\ntwo").ok(), "one\ntwo");
    assert_eq!(run(&["-i"], b"").ok(), "");
    assert_eq!(run(&[], b"unheard").ok(), "");
}

#[test]
fn five_megabytes_go_in_and_out_at_once() {
    let sandbox = Sandbox::with_alpine();
    let input = sequence(700_000);
    assert!(input.len() > 4_500_000);
    // Each line comes back twice, so that both directions are full for long.
    let words = ["run", "--rm", "-i", "--network", "none", "alpine", "tee", "/dev/stderr"];
    let output = sandbox.run_with_input(&words, input.as_bytes());
    assert_eq!(output.code, 0);
    assert!(output.stdout == input, "standard output differs: {} bytes", output.stdout.len());
    assert!(output.stderr.ends_with(&input), "standard error differs: {} bytes", output.stderr.len());
}

#[test]
fn a_slow_reader_loses_nothing_of_two_streams() {
    let sandbox = Sandbox::with_alpine();
    // Few newlines make light work for whoever keeps the log, so that only the reader holds it up.
    let script = "seq 1 300000 | tr '\\n' ' ' & seq 1 300000 | tr '\\n' ' ' >&2; wait";
    let mut command = sandbox.command(&["run", "--rm", "--network", "none", "alpine", "sh", "-c", script]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut stdout, mut stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let slow = std::thread::spawn(move || {
        let (mut text, mut buffer) = (Vec::new(), [0; 1 << 15]);
        loop {
            // All buffers on the way are full by the time it looks again.
            if text.len() < 1_000_000 {
                std::thread::sleep(Duration::from_millis(40));
            }
            match stderr.read(&mut buffer).unwrap() {
                0 => return text,
                n => text.extend_from_slice(&buffer[..n]),
            }
        }
    });
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    let other = String::from_utf8(slow.join().unwrap()).unwrap();
    assert!(child.wait().unwrap().success());
    let whole = sequence(300_000).replace('\n', " ");
    assert!(text == whole, "standard output: {} of {} bytes", text.len(), whole.len());
    assert!(other.ends_with(&whole), "standard error: {} of {} bytes", other.len(), whole.len());
}

#[test]
fn the_exit_code_comes_through_when_the_way_is_full() {
    let sandbox = Sandbox::with_alpine();
    // Somewhere among these sizes the last word finds no room behind the output.
    let children: Vec<_> = (64..640)
        .step_by(32)
        .map(|kilobytes| {
            let script = format!("head -c {kilobytes}k /dev/zero; exit 7");
            let mut command = sandbox.command(&["run", "--rm", "--network", "none", "alpine", "sh", "-c", &script]);
            (kilobytes, command.stdout(Stdio::piped()).spawn().unwrap())
        })
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    for (kilobytes, child) in children {
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(7), kilobytes << 10), "{kilobytes} kB");
    }
}

#[test]
fn a_reader_that_has_seen_enough_ends_the_command() {
    let sandbox = Sandbox::with_alpine();
    let mut command = sandbox.command(&["run", "--name", "endless", "--network", "none", "alpine", "yes"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut first = [0; 2];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"y\n");
    common::wait_until("the client has ended", || child.try_wait().unwrap().is_some());
    // As with Docker, the container goes on: whoever ended its client has not asked for its end.
    assert_eq!(sandbox.look("endless", "{{.State.Status}}"), "running");
}

#[test]
fn a_container_that_stops_reading_does_not_block_its_end() {
    let sandbox = Sandbox::with_alpine();
    let input = vec![b'x'; 5 << 20];
    let output =
        sandbox.run_with_input(&["run", "--rm", "-i", "--network", "none", "alpine", "head", "-c", "3"], &input);
    assert_eq!((output.code, output.stdout.as_str()), (0, "xxx"));
}

// Words, environment, directory, user.

#[test]
fn arguments_arrive_as_they_were_typed() {
    let sandbox = Sandbox::with_alpine();
    let arguments = ["", "a b", "--rm", "-it", "$HOME", "new\nline", "ü", "'\""];
    let words = [&["run", "--rm", "--network", "none", "alpine", "printf", "<%s>"], &arguments[..]].concat();
    assert_eq!(sandbox.ok(&words), arguments.map(|a| format!("<{a}>")).concat());
    let long = "x".repeat(120_000);
    let words =
        ["run", "--rm", "--network", "none", "-e", &format!("LONG={long}"), "alpine", "sh", "-c", "echo ${#LONG}"];
    assert_eq!(sandbox.ok(&words), "120000\n");
}

#[test]
fn the_environment_is_the_image_s_then_yours() {
    let sandbox = Sandbox::new();
    let tar = common::alpine_tar();
    sandbox.ok(&["import", "-c", "ENV A=image B=image", tar.to_str().unwrap(), "alpine"]);
    let file = sandbox.file("env");
    fs::write(&file, "# a comment\n\nB=file\nC=file with = and spaces \nPASSED\nABSENT\n").unwrap();
    let words = [
        "run",
        "--rm",
        "--network",
        "none",
        "--env-file",
        file.to_str().unwrap(),
        "-e",
        "D=typed",
        "-e",
        "C=typed",
        "-e",
        "OWN",
        "-e",
        "NOWHERE",
        "-e",
        "EMPTY=",
        "alpine",
        "env",
    ];
    let output = finish(sandbox.command(&words).env("OWN", "host's").env("PASSED", "too").env("SECRET", "unasked"));
    let mut lines: Vec<String> = output.ok().lines().map(str::to_owned).collect();
    lines.retain(|line| !line.starts_with("HOSTNAME="));
    lines.sort();
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    assert_eq!(
        lines,
        ["A=image", "B=file", "C=typed", "D=typed", "EMPTY=", "HOME=/root", "OWN=host's", "PASSED=too", path]
    );
}

#[test]
fn the_working_directory_is_made_if_missing() {
    let sandbox = Sandbox::with_alpine();
    assert_eq!(sandbox.sh(&[], "pwd").ok(), "/\n");
    assert_eq!(sandbox.sh(&["-w", "/etc"], "pwd").ok(), "/etc\n");
    assert_eq!(sandbox.sh(&["-w", "/new/deep/one"], "pwd; stat -c %u:%a .").ok(), "/new/deep/one\n0:755\n");
    let said = sandbox.sh(&["-w", "/etc/passwd"], "pwd").fails(126);
    assert!(said.contains("/etc/passwd") && said.contains("hint:"), "{said}");
    sandbox.ok(&["import", "-c", "WORKDIR /srv/app", common::alpine_tar().to_str().unwrap(), "app"]);
    assert_eq!(sandbox.ok(&["run", "--rm", "--network", "none", "app", "pwd"]), "/srv/app\n");
}

#[test]
fn users_by_name_and_number() {
    let sandbox = Sandbox::with_alpine();
    let script = "echo $(id -u):$(id -g):$(id -G) $HOME";
    let alpine_groups = sandbox.sh(&[], "id -G").ok();
    let cases = [
        ("0", format!("0:0:{} /root\n", alpine_groups.trim())),
        ("nobody", "65534:65534:65534 /\n".into()),
        ("65534", "65534:65534:65534 /\n".into()),
        ("4242", "4242:0:0 /\n".into()),
        ("4242:7", "4242:7:7 /\n".into()),
        ("nobody:daemon", "65534:2:2 /\n".into()),
        (":daemon", "0:2:2 /root\n".into()),
    ];
    for (name, expected) in cases {
        let said = sandbox.sh(&["-u", name], script).ok();
        match (single(), name) {
            // Root has the group that the namespace gives it.
            (true, ":daemon") => assert!(said.starts_with("0:0:0"), "{name}: {said}"),
            _ => assert_eq!(said, expected, "{name}"),
        }
    }
    if !single() {
        let groups = sandbox.sh(&["-u", "nobody", "--group-add", "tty", "--group-add", "77"], "id -G").ok();
        assert_eq!(groups.split_whitespace().skip(1).collect::<Vec<_>>(), ["5", "77"]);
    }
    if user() == User::Range {
        let said = sandbox.sh(&["-u", "3000000"], "id").fails(125);
        assert!(said.contains("subordinate range"), "{said}");
    }
}

#[test]
fn a_user_who_is_not_root_may_not_do_what_root_may() {
    let sandbox = Sandbox::with_alpine();
    let script = "touch /etc/mine 2>/dev/null && echo wrote; grep CapEff /proc/self/status";
    let said = sandbox.sh(&["-u", "nobody"], script).ok();
    // With one id all files belong to whoever asks.
    let wrote = if single() { "wrote\n" } else { "" };
    assert_eq!(said, format!("{wrote}CapEff:\t0000000000000000\n"));
}

#[test]
fn owners_can_be_changed_where_there_are_ids_to_give() {
    let sandbox = Sandbox::with_alpine();
    let script = "touch /f && chown 33:44 /f && stat -c %u:%g /f && adduser -D someone && id -u someone";
    let said = sandbox.sh(&[], script).ok();
    if single() {
        assert_eq!(said, "0:0\n1000\n", "with one id a change of owner succeeds without effect");
    } else {
        assert_eq!(said, "33:44\n1000\n");
    }
}

#[test]
fn its_name_is_the_short_id_or_yours() {
    let sandbox = Sandbox::with_alpine();
    let script = "hostname; cat /etc/hostname; echo $HOSTNAME; grep -c $(hostname) /etc/hosts";
    assert_eq!(sandbox.sh(&["-h", "web.example"], script).ok(), "web.example\nweb.example\nweb.example\n1\n");
    let cidfile = sandbox.file("cid");
    let said = sandbox.sh(&["--cidfile", cidfile.to_str().unwrap()], script).ok();
    let id = fs::read_to_string(&cidfile).unwrap();
    assert_eq!(id.len(), 64);
    assert_eq!(said, format!("{0}\n{0}\n{0}\n1\n", &id[..12]));
    let said = sandbox.sh(&["--cidfile", cidfile.to_str().unwrap()], "true").fails(125);
    assert!(said.contains(cidfile.to_str().unwrap()) && said.contains("hint:"), "{said}");
    assert!(sandbox.stored("containers").is_empty());
}

#[test]
fn entry_point_and_command() {
    let sandbox = Sandbox::new();
    let tar = common::alpine_tar();
    let changes = ["-c", r#"ENTRYPOINT ["echo", "entry"]"#, "-c", r#"CMD ["image's"]"#];
    sandbox.ok(&[&["import"], &changes[..], &[tar.to_str().unwrap(), "talker"]].concat());
    let run = |flags: &[&str], words: &[&str]| {
        sandbox.ok(&[&["run", "--rm", "--network", "none"], flags, &["talker"], words].concat())
    };
    assert_eq!(run(&[], &[]), "entry image's\n");
    assert_eq!(run(&[], &["mine"]), "entry mine\n");
    assert_eq!(run(&["--entrypoint", "printf"], &["mine"]), "mine");
    // The image's own command belongs to its own entry point.
    assert_eq!(run(&["--entrypoint", "echo"], &[]), "\n");
    assert_eq!(run(&["--entrypoint", ""], &["echo", "bare"]), "bare\n");
    sandbox.fails(125, &["run", "--rm", "--network", "none", "--entrypoint", "", "talker"]);
}

// Files.

#[test]
fn a_read_only_root_leaves_mounts_writable() {
    let sandbox = Sandbox::with_alpine();
    let script = "touch /f 2>/dev/null && echo root; touch /etc/f 2>/dev/null && echo etc
        for d in /dev/shm /fresh /kept; do touch $d/f && echo $d; done";
    let said = sandbox.sh(&["--read-only", "--tmpfs", "/fresh", "-v", "/kept"], script).ok();
    assert_eq!(said, "/dev/shm\n/fresh\n/kept\n");
    assert_eq!(sandbox.sh(&[], "touch /f && echo root").ok(), "root\n");
}

#[test]
fn tmpfs_and_shared_memory_have_the_size_that_was_asked_for() {
    let sandbox = Sandbox::with_alpine();
    let flags = ["--tmpfs", "/fresh:size=2m,mode=700", "--tmpfs", "/programs:exec", "--shm-size", "2m"];
    let script = "stat -c %a /fresh; df -k /fresh /dev/shm | awk 'NR > 1 { print $2 }'
        head -c 3000000 /dev/zero > /fresh/f 2>/dev/null || echo full
        rm -f /fresh/f; cp /bin/busybox /fresh/true && ! /fresh/true 2>/dev/null && echo no programs
        cp /bin/busybox /programs/true && /programs/true && echo programs";
    assert_eq!(sandbox.sh(&flags, script).ok(), "700\n2048\n2048\nfull\nno programs\nprograms\n");
    assert_eq!(sandbox.sh(&[], "df -k /dev/shm | awk 'NR > 1 { print $2 }'").ok(), "65536\n");
}

#[test]
fn limits_of_resources() {
    let sandbox = Sandbox::with_alpine();
    let said =
        sandbox.sh(&["--ulimit", "nofile=64:128", "--ulimit", "core=0"], "ulimit -Sn; ulimit -Hn; ulimit -c").ok();
    assert_eq!(said, "64\n128\n0\n");
}

#[test]
fn a_missing_host_directory_is_made_and_belongs_to_you() {
    let sandbox = Sandbox::with_alpine();
    let directory = sandbox.file("new/deep");
    let volume = format!("{}:/data", directory.display());
    sandbox.sh(&["-v", &volume], "echo from inside > /data/f").ok();
    assert_eq!(fs::read_to_string(directory.join("f")).unwrap(), "from inside\n");
    let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    for path in [&directory, &directory.join("f")] {
        let meta = fs::metadata(path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (uid, gid), "{}", path.display());
    }
    // What a relative path means is known here, where it was typed.
    sandbox.sh(&["-v", "./new/deep:/data"], "grep -q inside /data/f").ok();
}

#[test]
fn volumes_may_be_read_only_and_single_files() {
    let sandbox = Sandbox::with_alpine();
    fs::write(sandbox.file("page"), "a page\n").unwrap();
    fs::create_dir(sandbox.file("pages")).unwrap();
    let (file, directory) = (sandbox.file("page"), sandbox.file("pages"));
    let flags = ["-v", &format!("{}:/etc/motd", file.display()), "-v", &format!("{}:/pages:ro", directory.display())];
    let script = "cat /etc/motd; echo changed > /etc/motd; touch /pages/f 2>/dev/null || echo refused
        mount | grep -c ' /pages .*(ro,'";
    assert_eq!(sandbox.sh(&flags, script).ok(), "a page\nrefused\n1\n");
    assert_eq!(fs::read_to_string(&file).unwrap(), "changed\n");
    // In whatever order they are typed, the inner one lies over the outer one.
    let outer = format!("{}:/data", directory.display());
    let inner = format!("{}:/data/sub/page", file.display());
    for flags in [["-v", &outer, "-v", &inner], ["-v", &inner, "-v", &outer]] {
        assert_eq!(sandbox.sh(&flags, "cat /data/sub/page").ok(), "changed\n");
    }
    let said = sandbox.sh(&["-v", &format!("{}:/etc", file.display())], "true").fails(125);
    assert!(said.contains("/etc") && said.contains("two files or two directories"), "{said}");
}

#[test]
fn a_named_volume_begins_as_the_image_and_keeps_what_is_written() {
    let sandbox = Sandbox::with_alpine();
    let flags = ["-v", "conf:/etc/apk"];
    let before = sandbox.sh(&[], "cd /etc/apk; ls -1; stat -c %a . arch").ok();
    assert!(before.contains("arch\n"));
    assert_eq!(sandbox.sh(&flags, "cd /etc/apk; ls -1; stat -c %a . arch; echo mine > arch").ok(), before);
    assert_eq!(sandbox.sh(&flags, "cat /etc/apk/arch").ok(), "mine\n", "it was filled twice, or not kept");
    assert_eq!(sandbox.sh(&["-v", "conf:/elsewhere"], "cat /elsewhere/arch").ok(), "mine\n");
    assert_ne!(sandbox.sh(&[], "cat /etc/apk/arch").ok(), "mine\n", "it was written into the image");
    assert_eq!(sandbox.stored("volumes"), ["conf"]);
}

#[test]
fn anonymous_volumes_go_with_rm_and_stay_without() {
    let sandbox = Sandbox::new();
    sandbox.ok(&["import", "-c", "VOLUME /var/lib/data", common::alpine_tar().to_str().unwrap(), "alpine"]);
    let mounted = "mount | grep -c -E ' (/var/lib/data|/cache) '; touch /cache/f /var/lib/data/f";
    assert_eq!(sandbox.sh(&["-v", "/cache"], mounted).ok(), "2\n");
    assert!(sandbox.stored("volumes").is_empty(), "--rm left volumes");
    sandbox.ok(&["run", "--name", "kept", "--network", "none", "-v", "/cache", "alpine", "touch", "/cache/f"]);
    assert_eq!(sandbox.stored("volumes").len(), 2);
    sandbox.ok(&["rm", "kept"]);
    assert_eq!(sandbox.stored("volumes").len(), 2, "volumes went without -v");
    // The image's volume is somebody's named one here: nothing new is made.
    sandbox.sh(&["-v", "named:/var/lib/data"], "true").ok();
    assert_eq!(sandbox.stored("volumes").len(), 3);
}

#[test]
fn a_target_that_is_a_link_stays_within_the_root() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.ok(&["create", "--name", "base", "--network", "none", "alpine", "true"]);
    assert_eq!(id.trim_end().len(), 64);
    sandbox.ok(&["rm", "base"]);
    let host = sandbox.file("host");
    fs::create_dir(&host).unwrap();
    let link = format!("{}/../../../../../../../../..{}", "/tmp", host.display());
    // The image's directory is a link that climbs out, as far as it can.
    let made = sandbox.ok(&["run", "-d", "--network", "none", "alpine", "ln", "-s", &link, "/out"]);
    sandbox.ok(&["wait", made.trim_end()]);
    sandbox.ok(&["commit", made.trim_end(), "climber"]);
    fs::write(sandbox.file("page"), "a page\n").unwrap();
    let volume = format!("{}:/out/page", sandbox.file("page").display());
    let words =
        ["run", "--rm", "--network", "none", "-v", &volume, "climber", "cat", &format!("{}/page", host.display())];
    assert_eq!(sandbox.ok(&words), "a page\n", "the link does not lead where it leads inside");
    assert_eq!(fs::read_dir(&host).unwrap().count(), 0, "something was made on the host");
}

#[test]
fn names_and_addresses_are_the_container_s_own_files() {
    let sandbox = Sandbox::with_alpine();
    let script = "for f in hosts hostname resolv.conf; do [ -s /etc/$f ] && mount | grep -q \" on /etc/$f \" && echo $f; done
        grep -q '^127.0.0.1.*localhost' /etc/hosts && echo localhost; echo 192.0.2.1 db >> /etc/hosts && grep ' db$' /etc/hosts";
    let expected = "hosts\nhostname\nresolv.conf\nlocalhost\n192.0.2.1 db\n";
    assert_eq!(sandbox.sh(&[], script).ok(), expected);
    assert_eq!(sandbox.sh(&[], script).ok(), expected, "one container's file reached another");
}

// What every container has.

#[test]
fn devices_are_a_few_harmless_ones() {
    let sandbox = Sandbox::with_alpine();
    let said = sandbox.sh(&[], "cd /dev; ls -1; stat -c '%n %F %t:%T %a' null zero full random urandom tty").ok();
    let expected = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
    let listed: Vec<&str> = said.lines().take_while(|l| !l.contains(' ')).collect();
    assert_eq!(listed.join(" "), expected);
    for (name, numbers) in
        [("null", "1:3"), ("zero", "1:5"), ("full", "1:7"), ("random", "1:8"), ("urandom", "1:9"), ("tty", "5:0")]
    {
        assert!(said.contains(&format!("{name} character special file {numbers} 666\n")), "{name}: {said}");
    }
    let script = "cd /dev; for l in fd stdin stdout stderr ptmx; do readlink $l; done; stat -c %a shm mqueue pts/ptmx
        head -c 4 zero | od -An -tx1 | tr -d ' '; head -c 8 urandom | wc -c
        echo gone > null; echo full 2>/dev/null > full || echo no space; ls pts; mknod sda b 8 0 2>/dev/null; cat sda 2>&1 | head -c 0
        echo error > /dev/stderr";
    let output = sandbox.sh(&[], script);
    assert!(output.stderr.ends_with("error\n"), "{}", output.stderr);
    let expected = "/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n1777\n1777\n666\n00000000\n8\nno space\nptmx\n";
    assert_eq!(output.stdout, expected);
    let kinds = "mount | awk '$3 ~ \"^/dev\" { print $3, $5 }' | grep -E 'dev(/(pts|shm|mqueue))? '";
    assert_eq!(sandbox.sh(&[], kinds).ok(), "/dev tmpfs\n/dev/pts devpts\n/dev/shm tmpfs\n/dev/mqueue mqueue\n");
}

#[test]
fn what_tells_of_the_host_is_hidden_and_what_sets_it_is_read_only() {
    let sandbox = Sandbox::with_alpine();
    // Not every kernel has all of them; what is there must give nothing.
    let script = "for f in /proc/interrupts /proc/kcore /proc/keys /proc/latency_stats /proc/sched_debug /proc/timer_list; do
            [ ! -e $f ] || [ $(head -c 100 $f | wc -c) = 0 ] || echo $f
        done
        for d in /proc/acpi /proc/asound /proc/scsi /sys/firmware /sys/devices/virtual/powercap; do
            [ ! -e $d ] || [ -z \"$(ls $d)\" ] || echo $d
        done
        for f in /proc/sys/kernel/domainname /proc/sys/vm/swappiness /proc/sysrq-trigger /proc/irq/default_smp_affinity; do
            [ ! -e $f ] || ! ( cat $f | tee $f ) >/dev/null 2>&1 || echo $f is writable
        done
        mkdir /sys/fs/cgroup/x 2>/dev/null && echo cgroups; touch /sys/x 2>/dev/null && echo sys; echo checked";
    assert_eq!(sandbox.sh(&[], script).ok(), "checked\n");
    let masked = "mount | grep -c -E ' (/proc/(interrupts|keys|timer_list|kcore)|/sys/firmware) '";
    assert_ne!(sandbox.sh(&[], masked).ok(), "0\n");
    let open = sandbox.sh(&["--privileged"], masked);
    assert_eq!((open.code, open.stdout.as_str()), (1, "0\n"), "hidden all the same");
}

#[test]
fn init_reaps_and_passes_signals_on() {
    let sandbox = Sandbox::with_alpine();
    // An orphan that ended: whose child it became decides what is left of it.
    let script = "(sleep 0.1 &); sleep 0.5; cat /proc/1/comm; grep -l '^State:.Z' /proc/[0-9]*/status | wc -l";
    assert_eq!(sandbox.sh(&["--init"], script).ok(), "minirun-init\n0\n");
    let control = sandbox.sh(&[], &script.replace("sleep 0.5", "exec 3>&1; sleep 0.5")).ok();
    assert!(control.starts_with("sh\n"), "{control}");

    let id = sandbox.detached(&["--init"], "trap 'echo caught; exit 7' TERM; echo ready; while :; do sleep 0.1; done");
    sandbox.wait_for_log(&id, "ready");
    sandbox.ok(&["stop", "-t", "30", &id]);
    assert_eq!(sandbox.look(&id, "{{.State.ExitCode}}"), "7");
    assert!(sandbox.ok(&["logs", &id]).ends_with("caught\n"));
}

#[test]
fn what_follows_the_image_is_the_command_s_own() {
    let sandbox = Sandbox::with_alpine();
    // Every one of these is an option of `run` too.
    let words = ["-l", "-d", "-v", "-e", "--rm", "--name", "-h", "--help"];
    let echoed = format!("{}\n", words.join(" "));
    for first in [&["alpine", "echo"][..], &["--entrypoint", "echo", "alpine"]] {
        assert_eq!(sandbox.ok(&[&["run", "--rm", "--network", "none"], first, &words].concat()), echoed);
    }
    sandbox.sleeper("sleeper");
    assert_eq!(sandbox.ok(&[&["exec", "sleeper", "echo"], &words[..]].concat()), echoed);
    let said = sandbox.fails(125, &["run", "--no-such-option", "alpine"]);
    assert!(said.contains("--no-such-option") && said.contains("minirun run --help"), "{said}");
}

// Names, labels, many at once.

#[test]
fn rm_leaves_nothing() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sh(&["--name", "brief"], "touch /f; exit 3").fails(3);
    for directory in ["containers", "container-names", "volumes"] {
        assert!(sandbox.stored(directory).is_empty(), "{directory}: {:?}", sandbox.stored(directory));
    }
    // The monitor's last word comes before its end, and before the files go that nobody sees any more.
    common::wait_until("nothing is left", || sandbox.left_behind().is_empty() && sandbox.stored("tmp").is_empty());
    // The name is free again, and the image is too.
    sandbox.sh(&["--name", "brief"], "test ! -e /f").ok();
    sandbox.ok(&["rmi", "alpine"]);
}

#[test]
fn a_name_is_taken_once() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["run", "--name", "web", "--network", "none", "alpine", "true"]);
    let said = sandbox.sh(&["--name", "web"], "true").fails(125);
    assert!(said.contains("\"web\"") && said.contains("exited"), "{said}");
    for word in ["minirun start web", "minirun rm web", "--name"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert_eq!(sandbox.stored("containers").len(), 1);
    // Of those who ask at the same time, one gets it.
    let children: Vec<_> = (0..6)
        .map(|_| {
            sandbox
                .command(&["create", "--name", "one", "alpine", "true"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    let ended: Vec<_> = children.into_iter().map(|mut child| child.wait().unwrap().code()).collect();
    assert_eq!(ended.iter().filter(|code| **code == Some(0)).count(), 1, "{ended:?}");
    assert_eq!(sandbox.stored("container-names"), ["one", "web"]);
    assert_eq!(sandbox.stored("containers").len(), 2);
}

#[test]
fn what_was_asked_for_can_be_looked_up() {
    let sandbox = Sandbox::with_alpine();
    let flags =
        ["--label", "tier=front", "-l", "plain", "-w", "/srv", "-e", "A=1", "-h", "box", "--stop-signal", "QUIT"];
    let words = [&["create", "--name", "asked", "--network", "none"], &flags[..], &["alpine", "echo", "hi"]].concat();
    sandbox.ok(&words);
    let template = "{{index .Config.Labels \"tier\"}},{{.Config.WorkingDir}},{{.Config.Hostname}},{{.Config.StopSignal}},{{.Path}},{{json .Args}},{{.HostConfig.NetworkMode}}";
    assert_eq!(sandbox.look("asked", template), "front,/srv,box,SIGQUIT,echo,[\"hi\"],none");
    assert_eq!(sandbox.look("asked", "{{json .Config.Labels}}"), r#"{"plain":"","tier":"front"}"#);
    assert!(sandbox.look("asked", "{{json .Config.Env}}").contains("\"A=1\""));
}

#[test]
fn many_containers_share_one_image_and_nothing_else() {
    let sandbox = Sandbox::with_alpine();
    let before = layer_sum(&sandbox);
    let ids: Vec<String> = (0..8)
        .map(|n| {
            sandbox.detached(
                &[],
                &format!("cat /own 2>/dev/null; echo {n} > /own; rm /etc/motd; sync; cat /own; exec sleep 600"),
            )
        })
        .collect();
    for (n, id) in ids.iter().enumerate() {
        sandbox.wait_for_log(id, &format!("{n}\n"));
        assert_eq!(sandbox.ok(&["logs", id]), format!("{n}\n"));
    }
    assert_eq!(sandbox.stored("layers").iter().filter(|n| !n.contains('.')).count(), 1);
    assert_eq!(layer_sum(&sandbox), before, "a container changed the image's layer");
    sandbox.sh(&[], "test -e /etc/motd && test ! -e /own").ok();
}

/// Names, sizes and times of all files of the layers.
fn layer_sum(sandbox: &Sandbox) -> String {
    let script =
        format!("find {}/layers -printf '%P %s %T@\\n' 2>/dev/null | sort | sha256sum", sandbox.root().display());
    sandbox.run_other("sh", &["-c", &script]).ok()
}

// Told and done.

#[test]
fn explain_tells_the_steps_in_order_and_changes_nothing() {
    let sandbox = Sandbox::with_alpine();
    let script = "echo out; echo err >&2; readlink /proc/self/ns/mnt >/dev/null; grep -E '^(Cap|Sec|NoNew)' /proc/self/status; mount | wc -l; exit 9";
    let plain = sandbox.sh(&[], script);
    let told = sandbox.sh(&["--explain"], script);
    assert_eq!((told.code, &told.stdout), (plain.code, &plain.stdout));
    assert_eq!(told.code, 9);
    let mut rest = told.stderr.as_str();
    let order = [
        "CLONE_NEWUSER",
        "CLONE_NEWNET",
        "clone3(CLONE_NEWNS|CLONE_NEWPID|CLONE_NEWUTS|CLONE_NEWIPC",
        "MS_PRIVATE",
        "fsopen(overlay)",
        "/proc",
        "/dev",
        "pivot_root",
        "sethostname",
        "PR_CAPBSET_DROP",
        "seccomp(",
        "setresuid(0)",
        "capset(",
        "execve(sh -c",
        "err\n",
    ];
    for call in order {
        let at = rest.find(call).unwrap_or_else(|| panic!("{call} is not told, or too early:\n{}", told.stderr));
        rest = &rest[at + call.len()..];
    }
    // In full: every link by itself, with the command that makes it.
    let full = sandbox.sh(&["--explain=full"], script);
    assert_eq!((full.code, &full.stdout), (plain.code, &plain.stdout));
    for command in ["$ ln -sf /proc/self/fd/0 \"$root\"/dev/stdin", "$ mount -t overlay -o", "$ hostname "] {
        assert!(full.stderr.contains(command), "{command}: {}", full.stderr);
    }
    assert!(2 * full.stderr.lines().count() > 3 * told.stderr.lines().count());
    // In Russian: every reason.
    let russian = sandbox.sh(&["--explain", "--lang", "ru"], script);
    assert_eq!((russian.code, &russian.stdout), (plain.code, &plain.stdout));
    let reasons = |said: &str| said.lines().filter(|line| line.contains('↳')).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(reasons(&russian.stderr).len(), reasons(&told.stderr).len());
    for reason in reasons(&russian.stderr) {
        assert!(reason.chars().any(|c| ('а'..='я').contains(&c)), "{reason}");
    }
    // A step that fails is told as such, with the same words as without.
    let said = sandbox.sh(&["--explain", "-w", "/etc/passwd"], "true").fails(126);
    assert!(said.contains("hint:") && !said.contains("execve("), "{said}");
}

#[test]
fn explain_tells_what_strace_sees() {
    require!(Need::Tool("strace"));
    let sandbox = Sandbox::with_alpine();
    let trace = sandbox.file("trace");
    // Traced, newuidmap would have no privilege: the run joins the user namespace of this one.
    let id = sandbox.detached(&[], "exec sleep 600");
    let mut command = sandbox.other("strace");
    command.args(["-f", "-qq", "-o", trace.to_str().unwrap(), "-e"]);
    command.arg("trace=pivot_root,sethostname,setresuid,capset,unshare,setns,clone3,fsopen,setsid");
    command.arg(Sandbox::binary()).args(["run", "--rm", "--explain", "--network", "none", "alpine", "true"]);
    let output = finish(&mut command);
    assert_eq!(output.code, 0, "{}", output.streams());
    sandbox.ok(&["rm", "-f", &id]);
    let seen = fs::read_to_string(&trace).unwrap();
    let (mut seen, mut heard) = (seen.as_str(), output.stderr.as_str());
    for (call, told) in [
        ("unshare(CLONE_NEWNET)", "unshare(CLONE_NEWNET)"),
        ("clone3(", "clone3("),
        ("fsopen(\"overlay\"", "fsopen(overlay)"),
        ("fsopen(\"proc\"", "fsopen(proc)"),
        ("pivot_root(\".\", \".\")", "pivot_root(., .)"),
        ("sethostname(", "sethostname("),
        ("setsid(", "setsid()"),
    ] {
        // In this order, among all that was made and told.
        let made = seen.find(call).unwrap_or_else(|| panic!("{call} was told and not made, or earlier:\n{seen}"));
        let at = heard.find(told).unwrap_or_else(|| panic!("{told} was made and not told, or earlier:\n{heard}"));
        (seen, heard) = (&seen[made + call.len()..], &heard[at + told.len()..]);
    }
}

#[test]
fn create_makes_and_does_not_start() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.ok(&["create", "--network", "none", "--name", "later", "alpine", "sh", "-c", "echo ran; exit 4"]);
    assert_eq!(
        sandbox.look("later", "{{.State.Status}} {{.State.Pid}} {{.Id}}"),
        format!("created 0 {}", id.trim_end())
    );
    assert!(sandbox.left_behind().is_empty());
    assert_eq!(sandbox.run(&["start", "-a", "later"]).code, 4);
    assert_eq!(sandbox.look("later", "{{.State.Status}} {{.State.ExitCode}}"), "exited 4");
}

#[test]
fn a_detached_run_prints_the_id_and_lets_go_of_every_stream() {
    let sandbox = Sandbox::with_alpine();
    // The fixture fails if anything still holds the output of a command that ended.
    let id = sandbox.detached(&[], "exec sleep 600");
    assert!(id.len() == 64 && id.chars().all(|c| c.is_ascii_hexdigit()), "{id}");
    assert_eq!(sandbox.look(&id, "{{.State.Running}}"), "true");
}

#[test]
fn words_that_are_no_text_are_refused_and_not_fatal() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::with_alpine();
    let mut command = sandbox.command(&["run", "--rm", "--network", "none", "alpine", "echo"]);
    let output = finish(command.arg(std::ffi::OsStr::from_bytes(b"\xff\xfe")));
    assert!(output.code == 125 && !output.stderr.contains("panicked"), "{}", output.streams());
    let mut stdin = sandbox.command(&["run", "--rm", "-i", "--network", "none", "alpine", "od", "-An", "-tx1"]);
    let mut child = stdin.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"\xff\x00\xfe").unwrap();
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(said.trim(), "ff 00 fe");
}

#[test]
fn a_limit_that_cannot_be_given_is_told_and_the_container_runs() {
    let sandbox = Sandbox::with_alpine();
    let flags = ["--memory", "32m", "--pids-limit", "20"];
    let output = sandbox.sh(&flags, "echo runs");
    assert_eq!(output.stdout, "runs\n", "{}", output.streams());
    for (controller, flag) in [("memory", "--memory"), ("pids", "--pids-limit")] {
        let told = output.stderr.contains(flag) || output.stderr.contains("limits have no effect");
        assert_eq!(told, !Need::Controller(controller).given(), "{flag}: {}", output.stderr);
    }
}

#[test]
fn a_failure_names_the_call_that_failed() {
    if single() {
        return;
    }
    let sandbox = Sandbox::with_alpine();
    let fails =
        |user: &str| sandbox.fails(125, &["run", "--rm", "--network", "none", "--user", user, "alpine", "true"]);
    let said = fails("4000000000:4000000000");
    assert!(
        said.contains("cause: cannot become user 4000000000:4000000000\ncause: setresgid 4000000000: invalid"),
        "{said}"
    );
    assert!(said.contains("minirun doctor") && !said.contains("setgroups"), "{said}");
    let said = fails("4000000000:0");
    assert!(said.contains("cause: setresuid 4000000000: invalid"), "{said}");
}

#[test]
fn a_name_that_is_taken_is_told_with_what_helps() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("box");
    let create = ["create", "--name", "box", "--network", "none", "alpine", "true"];
    let said = sandbox.fails(125, &create);
    assert!(said.contains(", running") && said.contains("minirun rm -f box"), "{said}");
    assert!(!said.contains("minirun start"), "{said}");
    sandbox.ok(&["kill", "box"]);
    let said = sandbox.fails(125, &create);
    assert!(said.contains(", exited") && said.contains("start it: minirun start box"), "{said}");
}

/// The monitor of a container with shifted ids has no rights on the host: it cannot enter a directory that only root may.
#[test]
fn a_monitor_that_cannot_reach_the_store_says_so() {
    require!(Need::As(User::Root));
    let sandbox = Sandbox::new();
    let closed = sandbox.file("closed");
    fs::create_dir_all(&closed).unwrap();
    let on_closed = |words: &[&str]| finish(sandbox.command(words).env("MINIRUN_ROOT", closed.join("store")));
    on_closed(&["import", common::alpine_tar().to_str().unwrap(), "alpine"]).ok();
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    std::os::unix::fs::chown(&closed, Some(1_234_567), Some(1_234_567)).unwrap();
    let output = on_closed(&["run", "--name", "box", "--network", "none", "alpine", "true"]);
    // Root's own ids may enter it.
    if output.code != 0 {
        let said = output.fails(125);
        let cause = "cause: cannot open the store from the container's user namespace\ncause: ";
        assert!(said.contains(cause) && said.contains("permission denied"), "{said}");
        assert!(said.contains("minirun --root DIR") && !said.contains("killed"), "{said}");
    }
    std::os::unix::fs::chown(&closed, Some(0), Some(0)).unwrap();
    on_closed(&["system", "reset", "--force"]).ok();
}
