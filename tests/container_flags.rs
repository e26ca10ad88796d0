//! Flags of `run` and `create` as Docker and Podman have them: what each does, and what one that cannot be heeded says.

use crate::common::{Sandbox, User, free_port, user, wait_until};
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

fn host_config(sandbox: &Sandbox, container: &str) -> Value {
    serde_json::from_str(&sandbox.look(container, "{{json .HostConfig}}")).unwrap()
}

/// The lines of a container's file.
fn lines(sandbox: &Sandbox, flags: &[&str], file: &str) -> Vec<String> {
    let words = [&["run", "--rm"], flags, &["alpine", "cat", file]].concat();
    sandbox.ok(&words).lines().map(str::to_owned).collect()
}

// Ports.

#[test]
fn exposed_ports_are_published_on_free_ports() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["commit", "-c", "EXPOSE 81", "-c", "EXPOSE 53/udp", &sandbox.detached(&[], "exit"), "exposing"]);
    let port = free_port();
    let publish = format!("127.0.0.1:{port}:82");
    let script = "for p in 80 81 82; do nc -lk -p $p -e echo \"port $p\" & done; exec sleep 600";
    let flags = ["-P", "--expose", "80", "--expose", "82-83", "-p", &publish, "exposing", "sh", "-c", script];
    sandbox.ok(&[&["run", "-d", "--name", "web"], &flags[..]].concat());
    let ports: Value = serde_json::from_str(&sandbox.look("web", "{{json .NetworkSettings.Ports}}")).unwrap();
    let names: Vec<&String> = ports.as_object().unwrap().keys().collect();
    assert_eq!(names, ["53/udp", "80/tcp", "81/tcp", "82/tcp", "83/tcp"]);
    assert_eq!(ports["82/tcp"][0]["HostPort"], json!(port.to_string()), "-p is kept as typed");
    for inside in ["80", "81"] {
        let outside: u16 = ports[format!("{inside}/tcp")][0]["HostPort"].as_str().unwrap().parse().unwrap();
        wait_until("the port answers", || {
            let mut said = String::new();
            let stream = TcpStream::connect(("127.0.0.1", outside));
            stream.is_ok_and(|mut stream| {
                let _ = stream.write_all(b"\n");
                stream.read_to_string(&mut said).is_ok()
            }) && said.contains(&format!("port {inside}"))
        });
    }
    assert_eq!(host_config(&sandbox, "web")["PublishAllPorts"], true);
    let said = sandbox.fails(125, &["run", "--expose", "8080:80", "alpine"]);
    assert!(said.contains("8080:80") && said.contains("--expose 80"), "{said}");
}

#[test]
fn ports_without_a_network_of_ones_own_are_left_out_in_words() {
    let sandbox = Sandbox::with_alpine();
    for network in ["none", "host"] {
        let output = sandbox.run(&["run", "--rm", "--network", network, "-p", "80", "alpine", "true"]);
        assert_eq!(output.stderr, format!("note: no port is published with --network {network}\n"));
        output.ok();
    }
}

// Names.

#[test]
fn without_a_network_there_is_loopback_and_nothing_else() {
    let sandbox = Sandbox::with_alpine();
    let said = sandbox.sh(&["-h", "db.example.org"], "ip -4 -o address; tail -n 1 /etc/hosts").ok();
    assert!(said.contains("127.0.0.1/8") && !said.contains("10.0.2.100"), "{said}");
    assert!(said.ends_with("127.0.0.1\tdb.example.org db\n"), "{said}");
    let hosts = lines(&sandbox, &["-h", "db.example.org"], "/etc/hosts");
    assert_eq!(hosts.last().unwrap(), "10.88.0.2\tdb.example.org db");
}

#[test]
fn the_resolver_is_told_what_was_asked() {
    let sandbox = Sandbox::with_alpine();
    let flags = ["--dns", "9.9.9.9", "--dns-search", "a.example", "--dns-search", "b.example", "--dns-opt", "ndots:2"];
    let text = lines(&sandbox, &flags, "/etc/resolv.conf");
    // Its monitor asks that server.
    assert_eq!(text, ["search a.example b.example", "options ndots:2", "nameserver 10.0.2.3"]);
    let alone = lines(&sandbox, &[&["--privileged"], &flags[..]].concat(), "/etc/resolv.conf");
    assert_eq!(alone, ["search a.example b.example", "options ndots:2", "nameserver 9.9.9.9"]);
    let text = lines(&sandbox, &["--network", "host", "--dns-search", "."], "/etc/resolv.conf");
    assert!(!text.iter().any(|line| line.starts_with("search")), "{text:?}");
    let said = sandbox.fails(125, &["run", "--dns-search", "a b", "alpine"]);
    assert!(said.contains("\"a b\"") && said.contains("hint:"), "{said}");
}

#[test]
fn the_image_s_own_hosts_file_can_stay() {
    let sandbox = Sandbox::with_alpine();
    let own = sandbox.sh(&["--no-hosts"], "cat /etc/hosts").ok();
    assert!(!own.contains("ip6-localnet"), "{own}");
    sandbox.fails(125, &["run", "--no-hosts", "--add-host", "a:1.2.3.4", "alpine"]);
}

// Variables.

#[test]
fn an_empty_home_is_the_user_s() {
    let sandbox = Sandbox::with_alpine();
    assert_eq!(sandbox.sh(&["-e", "HOME="], "echo $HOME").ok(), "/root\n");
    assert_eq!(sandbox.sh(&["-e", "HOME=/x"], "echo $HOME").ok(), "/x\n");
}

#[test]
fn a_command_without_a_terminal_has_no_terminal_s_type() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["-t", "--name", "tty"], "exec sleep 600");
    assert_eq!(sandbox.ok(&["exec", "tty", "sh", "-c", "echo [$TERM]"]), "[]\n");
    assert_eq!(sandbox.ok(&["exec", "-t", "tty", "sh", "-c", "echo [$TERM]"]), "[xterm]\r\n");
    sandbox.detached(&["-t", "-e", "TERM=xterm", "--name", "asked"], "exec sleep 600");
    assert_eq!(sandbox.ok(&["exec", "asked", "sh", "-c", "echo [$TERM]"]), "[xterm]\n");
}

#[test]
fn variables_of_the_host_and_of_the_image_come_and_go() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["commit", "-c", "ENV A=image B=image", &sandbox.detached(&[], "exit"), "with-env"]);
    let run = |flags: &[&str]| {
        let words = ["run", "--rm", "--network", "none"];
        let script = "echo $A $B $C ${http_proxy:-none} $PATH";
        let mut command = sandbox.command(&[&words[..], flags, &["with-env", "sh", "-c", script]].concat());
        let output = command.env("A", "host").env("C", "host").env("http_proxy", "http://p").output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n";
    assert_eq!(run(&[]), format!("image image none {path}"));
    assert_eq!(run(&["--env-host"]), format!("image image host http://p {path}"));
    assert_eq!(run(&["--env-host", "--unsetenv", "A", "-e", "C=typed"]), format!("image typed http://p {path}"));
    assert_eq!(run(&["--unsetenv-all", "-e", "B=typed"]), format!("typed none {path}"));
    assert_eq!(run(&["--http-proxy"]), format!("image image http://p {path}"));
    assert_eq!(run(&["--http-proxy=false"]), format!("image image none {path}"));
}

// Labels.

#[test]
fn labels_come_from_files_and_annotations_are_kept() {
    let sandbox = Sandbox::with_alpine();
    let file = sandbox.file("labels");
    fs::write(&file, "# a comment\na=file\n\nb=file\n").unwrap();
    let flags = ["--label-file", file.to_str().unwrap(), "--label", "b=typed", "--annotation", "x.y=1"];
    sandbox.ok(&[&["create", "--name", "labelled"], &flags[..], &["alpine"]].concat());
    let labels: Value = serde_json::from_str(&sandbox.look("labelled", "{{json .Config.Labels}}")).unwrap();
    assert_eq!((&labels["a"], &labels["b"]), (&json!("file"), &json!("typed")));
    assert_eq!(host_config(&sandbox, "labelled")["Annotations"], json!({"x.y": "1"}));
    let id = sandbox.look("labelled", "{{.Id}}");
    let config = fs::read(sandbox.root().join("containers").join(id).join("config.json")).unwrap();
    let config: Value = serde_json::from_slice(&config).unwrap();
    assert_eq!(config["annotations"], json!({"x.y": "1"}));
    let said = sandbox.fails(125, &["create", "--annotation", "x", "alpine"]);
    assert!(said.contains("\"x\"") && said.contains("hint:"), "{said}");
    assert!(sandbox.fails(125, &["create", "--label-file", "/no/such", "alpine"]).contains("/no/such"));
}

// Limits.

#[test]
fn limits_are_what_docker_understands_by_them() {
    let sandbox = Sandbox::with_alpine();
    let flags = "--memory 64m --memory-swap 128m --memory-reservation 32m --cpu-quota 50000 --cpu-period 25000 \
                 --cpu-shares 512 --cpuset-cpus 0-1 --cpuset-mems 0 --blkio-weight 300 --pids-limit 9";
    let words: Vec<&str> = flags.split_whitespace().collect();
    sandbox.ok(&[&["create", "--name", "held"], &words[..], &["alpine"]].concat());
    let held = host_config(&sandbox, "held");
    let expected = json!({
        "Memory": 64 << 20, "MemorySwap": 128 << 20, "MemoryReservation": 32 << 20, "NanoCpus": 0,
        "CpuQuota": 50_000, "CpuPeriod": 25_000, "CpuShares": 512, "CpusetCpus": "0-1", "CpusetMems": "0",
        "BlkioWeight": 300, "PidsLimit": 9,
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&held[name], value, "{name}");
    }
    for (flags, word) in [
        (&["--memory-swap", "1g"][..], "--memory"),
        (&["--memory", "2g", "--memory-swap", "1g"], "--memory"),
        (&["--cpus", "1", "--cpu-quota", "5000"], "--cpus"),
        (&["--cpu-quota", "5"], "--cpu-quota"),
        (&["--cpuset-cpus", "3-0"], "3-0"),
        (&["--cpu-shares", "1"], "--cpu-shares"),
        (&["--blkio-weight", "5"], "--blkio-weight"),
        (&["--memory", "1g", "--memory-reservation", "2g"], "--memory-reservation"),
    ] {
        let said = sandbox.fails(125, &[&["create"], flags, &["alpine"]].concat());
        assert!(said.contains(word) && said.contains("hint:"), "{flags:?}: {said}");
    }
}

#[test]
fn nought_is_no_limit() {
    let sandbox = Sandbox::with_alpine();
    let flags = ["--memory", "0", "--cpus", "0", "--cpu-shares", "0", "--pids-limit", "-1", "--require-limits"];
    let output = sandbox.sh(&flags, "true");
    assert_eq!((output.code, output.stderr.as_str()), (0, ""));
}

#[test]
fn a_limit_that_the_host_cannot_give_is_one_line_or_an_error() {
    let sandbox = Sandbox::with_alpine();
    let flags = ["--memory", "64m", "--cpus", "1", "--cpuset-cpus", "0", "--pids-limit", "100"];
    let output = sandbox.sh(&flags, "true");
    let told = output.stderr.clone();
    output.ok();
    assert!(told.lines().count() <= 1 && told.len() < 250, "{told}");
    let output = sandbox.sh(&[&flags[..], &["--require-limits"]].concat(), "echo ran");
    if told.is_empty() {
        assert_eq!(output.ok(), "ran\n");
    } else {
        let said = output.fails(125);
        assert!(said.starts_with("error: ") && said.contains("no effect"), "{said}");
        assert!(sandbox.stored("containers").is_empty(), "a container is left");
    }
}

// What has no effect here.

#[test]
fn an_option_that_has_no_effect_says_so_in_a_line() {
    let sandbox = Sandbox::with_alpine();
    for flags in [
        &["--isolation", "default"][..],
        &["--runtime", "runc"],
        &["--link", "db:mysql"],
        &["--oom-kill-disable"],
        &["--memory-swappiness", "-1"],
        &["--device-read-bps", "/dev/sda:1mb"],
        &["--storage-opt", "size=1g"],
        &["--kernel-memory", "1g"],
    ] {
        let output = sandbox.sh(flags, "echo ran");
        let expected = format!("note: {} has no effect: ", flags[0]);
        assert!(output.stderr.starts_with(&expected) && output.stderr.lines().count() == 1, "{}", output.streams());
        assert!(output.stderr.len() <= 130, "{}", output.stderr);
        assert_eq!(output.ok(), "ran\n");
    }
    assert_eq!(sandbox.sh(&["--oom-kill-disable=false"], "true").stderr, "");
    for flags in [&["--chrootdirs", "/x"][..], &["--uidmap", "0:1:2"], &["--preserve-fds", "1"]] {
        let said = sandbox.fails(125, &[&["run"], flags, &["no-such-image"]].concat());
        assert!(said.starts_with(&format!("error: {} is not possible: ", flags[0])), "{said}");
    }
    let help = sandbox.ok(&["run", "--help"]);
    assert!(!help.contains("--isolation") && !help.contains("--chrootdirs"), "{help}");
}

// Security.

#[test]
fn a_seccomp_profile_is_the_one_that_was_named() {
    let sandbox = Sandbox::with_alpine();
    let profile = sandbox.file("profile.json");
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "args": [], "includes": {}, "excludes": {}},
        {"names": ["sethostname"], "action": "SCMP_ACT_ERRNO", "excludes": {"caps": ["CAP_SYS_ADMIN"]}}]}"#;
    fs::write(&profile, text).unwrap();
    let option = format!("seccomp={}", profile.display());
    let script = "mkdir /x 2>&1; grep Seccomp: /proc/self/status";
    let said = sandbox.sh(&["--security-opt", &option], script).ok();
    assert!(said.contains("Function not implemented") && said.contains("2\n"), "{said}");
    sandbox.ok(&["create", "--name", "profiled", "--security-opt", &option, "alpine"]);
    assert!(host_config(&sandbox, "profiled")["SecurityOpt"][0].as_str().unwrap().contains("SCMP_ACT_ERRNO"));
    fs::write(&profile, "{}").unwrap();
    let said = sandbox.fails(125, &["run", "--security-opt", &option, "no-such-image"]);
    assert!(said.contains("profile.json") && said.contains("defaultAction") && said.contains("hint:"), "{said}");
    let said = sandbox.fails(125, &["run", "--security-opt", "seccomp=/no/such", "no-such-image"]);
    assert!(said.contains("/no/such"), "{said}");
    fs::write(&profile, r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#).unwrap();
    let said = sandbox.fails(125, &["run", "--security-opt", &option, "no-such-image"]);
    assert!(said.contains("seccomp"), "{said}");
}

#[test]
fn paths_are_hidden_and_shown_as_asked() {
    let sandbox = Sandbox::with_alpine();
    fs::write(sandbox.file("secret"), "secret").unwrap();
    let script = "cat /etc/alpine-release | wc -c; cat /proc/sys/kernel/ostype; ls /usr/share | wc -l; \
                  grep -c ' /proc/sys ' /proc/mounts; grep -c ' /proc/keys ' /proc/mounts";
    let said = sandbox.sh(&["--security-opt", "mask=/etc/alpine-release:/usr/share"], script).stdout;
    assert_eq!(said, "0\nLinux\n0\n1\n1\n");
    let said = sandbox.sh(&["--security-opt", "unmask=/proc/sys:/proc/keys"], script).stdout;
    assert!(said.ends_with("\n0\n0\n"), "{said}");
    let said = sandbox.sh(&["--security-opt", "systempaths=unconfined"], "grep -c ' /proc/' /proc/mounts").stdout;
    assert_eq!(said, "0\n");
}

#[test]
fn confinement_by_the_host_is_told_not_to_happen() {
    let sandbox = Sandbox::with_alpine();
    for option in ["apparmor=my-profile", "label=type:container_t"] {
        let said = sandbox.sh(&["--security-opt", option], "true");
        assert!(said.stderr.starts_with(&format!("note: --security-opt {option} has no effect: ")), "{}", said.stderr);
        said.ok();
    }
    for option in ["apparmor=unconfined", "label=disable", "no-new-privileges:false", "seccomp=builtin"] {
        assert_eq!(sandbox.sh(&["--security-opt", option], "true").stderr, "", "{option}");
    }
    let said = sandbox.sh(&["--security-opt", "no-new-privileges"], "grep NoNewPrivs /proc/self/status").ok();
    assert_eq!(said, "NoNewPrivs:\t1\n");
    let last = ["--security-opt", "no-new-privileges", "--security-opt", "no-new-privileges=false"];
    assert_eq!(sandbox.sh(&last, "grep NoNewPrivs /proc/self/status").ok(), "NoNewPrivs:\t0\n");
}

#[test]
fn all_capabilities_come_and_go() {
    let sandbox = Sandbox::with_alpine();
    let set = |flags: &[&str]| sandbox.sh(flags, "grep CapBnd /proc/self/status").ok();
    assert_eq!(set(&["--cap-drop", "ALL"]), "CapBnd:\t0000000000000000\n");
    assert_eq!(set(&["--cap-drop", "all", "--cap-add", "net_admin"]), "CapBnd:\t0000000000001000\n");
    assert_eq!(set(&["--cap-add", "ALL"]), set(&["--privileged"]));
}

// Devices.

#[test]
fn a_device_of_the_host_is_there_and_works() {
    let sandbox = Sandbox::with_alpine();
    let script = "head -c 3 /dev/x | tr '\\0' z; ls -l /dev/x | cut -c1; ls /dev/dri/zero; touch -t 200001010000 /dev/x 2>&1 | wc -l";
    let said = sandbox.sh(&["--device", "/dev/zero:/dev/x", "--device", "/dev/zero:/dev/dri/zero:r"], script).ok();
    assert!(said.starts_with("zzzc\n/dev/dri/zero\n"), "{said}");
    let year = std::process::Command::new("stat").args(["-c", "%y", "/dev/zero"]).output().unwrap().stdout;
    assert!(!String::from_utf8_lossy(&year).starts_with("2000"), "the host's node was changed");
    sandbox.ok(&["create", "--name", "with", "--device", "/dev/zero:/dev/x:rw", "alpine"]);
    let expected = json!([{"PathOnHost": "/dev/zero", "PathInContainer": "/dev/x", "CgroupPermissions": "rw"}]);
    assert_eq!(host_config(&sandbox, "with")["Devices"], expected);
    for (device, word) in [
        ("/dev/no-such", "no such device"),
        ("/etc/passwd", "not a device"),
        ("/dev/zero:x", "absolute"),
        ("/dev/zero:/dev/x:q", "r, w and m"),
        ("zero", "absolute"),
    ] {
        let said = sandbox.fails(125, &["run", "--device", device, "no-such-image"]);
        assert!(said.contains(word) && said.contains(device) && said.contains("hint:"), "{device}: {said}");
    }
}

// The process.

#[test]
fn the_process_is_as_it_was_asked_to_be() {
    let sandbox = Sandbox::with_alpine();
    let said = sandbox
        .sh(&["--umask", "0027", "--oom-score-adj", "500"], "umask; cat /proc/self/oom_score_adj; umask 0; umask");
    assert_eq!(said.ok(), "0027\n500\n0000\n");
    sandbox.detached(&["--umask", "077", "--name", "masked"], "exec sleep 600");
    assert_eq!(sandbox.ok(&["exec", "masked", "sh", "-c", "umask"]), "0077\n");
    let said = sandbox.sh(&["--oom-score-adj", "-500"], "cat /proc/self/oom_score_adj");
    assert!(said.code == 0 || said.stderr.contains("hint:"), "{}", said.streams());
    for flags in [
        ["--umask", "9"],
        ["--umask", "01000"],
        ["--oom-score-adj", "2000"],
        ["--tz", "Mars/Base"],
        ["--tz", "../passwd"],
    ] {
        let said = sandbox.fails(125, &[&["run"], &flags[..], &["no-such-image"]].concat());
        assert!(said.contains(flags[1]), "{said}");
    }
}

#[test]
fn the_time_zone_is_the_one_that_was_named() {
    let sandbox = Sandbox::with_alpine();
    if fs::metadata("/usr/share/zoneinfo/Asia/Tokyo").is_ok() {
        assert_eq!(sandbox.sh(&["--tz", "Asia/Tokyo"], "date +%z").ok(), "+0900\n");
    }
    assert!(fs::metadata("/etc/localtime").is_err() || sandbox.sh(&["--tz", "local"], "date").code == 0);
}

#[test]
fn the_groups_of_the_caller_can_be_kept() {
    let sandbox = Sandbox::with_alpine();
    let groups = |flags: &[&str]| sandbox.sh(flags, "grep Groups: /proc/self/status").ok();
    let kept = groups(&["--group-add", "keep-groups"]);
    assert!(kept.starts_with("Groups:"), "{kept}");
    if user() == User::Range && nix::unistd::getgroups().unwrap().len() > 1 {
        assert!(kept.contains("65534"), "groups that are not mapped: {kept}");
    }
}

// A start.

#[test]
fn a_dry_run_prints_the_plan_and_makes_nothing() {
    let sandbox = Sandbox::with_alpine();
    let words =
        ["run", "--dry-run", "--name", "dry", "-v", "new:/data", "-p", "8080:80", "-u", "1000", "alpine", "echo", "x"];
    let said = sandbox.ok(&words);
    let user = if user() == User::Single { "CLONE_NEWUSER" } else { "setresuid(1000)" };
    for step in ["clone3(", "fsopen(overlay)", "move_mount(/data)", user, "execve(echo x)"] {
        assert!(said.contains(step), "{step}: {said}");
    }
    assert!(sandbox.stored("containers").is_empty() && sandbox.stored("volumes").is_empty());
    assert!(!sandbox.root().join("container-names/dry").exists());
    let json = sandbox.run(&["run", "--dry-run", "--explain=json", "alpine", "true"]).ok();
    let line: Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!((&line["step"], &line["micros"]), (&json!(1), &Value::Null));
    assert!(sandbox.ok(&["run", "--dry-run", "no-such-image"]).contains("would be pulled"));
    assert!(sandbox.fails(125, &["run", "--dry-run", "--memory", "lots", "alpine"]).contains("lots"));
}

#[test]
fn only_the_streams_that_were_named_are_attached() {
    let sandbox = Sandbox::with_alpine();
    let script = "echo out; echo err >&2; cat";
    let run = |flags: &[&str]| {
        let words = [&["run", "--rm", "--network", "none"], flags, &["alpine", "sh", "-c", script]].concat();
        let output = sandbox.run_with_input(&words, b"in\n");
        assert_eq!(output.code, 0, "{}", output.streams());
        (output.stdout, output.stderr)
    };
    let pair = |out: &str, err: &str| (out.to_owned(), err.to_owned());
    assert_eq!(run(&["-i"]), pair("out\nin\n", "err\n"));
    assert_eq!(run(&["-a", "stdout"]), pair("out\n", ""));
    assert_eq!(run(&["-a", "STDERR"]), pair("", "err\n"));
    assert_eq!(run(&["-i", "-a", "stdin", "-a", "stdout"]), pair("out\nin\n", ""));
    sandbox.fails(125, &["run", "-d", "-a", "stdout", "alpine"]);
    sandbox.fails(125, &["run", "-a", "stdlog", "alpine"]);
}

#[test]
fn a_name_is_taken_over_and_numbers_are_written_down() {
    let sandbox = Sandbox::with_alpine();
    let old = sandbox.sleeper("web");
    let pidfile = sandbox.file("pid");
    let flags = ["--name", "web", "--replace", "--pidfile", pidfile.to_str().unwrap()];
    let new = sandbox.detached(&flags, "exec sleep 600");
    assert_ne!(old, new);
    assert_eq!(sandbox.stored("containers"), [new]);
    assert_eq!(fs::read_to_string(pidfile).unwrap(), sandbox.look("web", "{{.State.Pid}}"));
    sandbox.ok(&["create", "--name", "web", "--replace", "alpine"]);
    assert_eq!(sandbox.look("web", "{{.State.Status}}"), "created");
    sandbox.fails(125, &["create", "--replace", "alpine"]);
}

#[test]
fn an_image_goes_with_its_container() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["tag", "alpine", "gone"]);
    let output = sandbox.run(&["run", "--rmi", "--network", "none", "gone", "sh", "-c", "exit 3"]);
    assert_eq!((output.code, output.stderr.as_str()), (3, ""));
    assert!(!sandbox.ok(&["images"]).contains("gone"));
    assert!(sandbox.stored("containers").is_empty());
}
