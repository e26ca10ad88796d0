//! `script`: what it prints, run by a shell, gives what `minirun start` gives.

use crate::common::{Need, Sandbox, finish, require, wait_until};

/// What a process can say of the container that it is in.
const LOOK: &str = "id; hostname; pwd; echo \"$WORD\"; cat /proc/self/comm; grep Cap /proc/self/status; ls -a / /dev; \
    awk '{print $5, $6}' /proc/self/mountinfo | sort; echo $$; ulimit -n; cat /etc/motd /etc/hosts /changed 2>&1; \
    cat /proc/self/uid_map /proc/self/gid_map; grep -h SigIgn /proc/self/status; env | sort; \
    ip addr show lo | grep -Eo 'inet6? [^ ]*' | sort; echo /proc/[0-9]*; \
    touch /try 2>&1; touch /etc/hosts 2>&1; wc -c </proc/interrupts; echo x 2>&1 >/proc/sys/kernel/hostname; true";

#[test]
fn by_hand_it_is_the_same_container() {
    require!(Need::Tool("unshare"), Need::Tool("setpriv"), Need::Tool("nsenter"), Need::Tool("ip"));
    let sandbox = Sandbox::with_alpine();
    std::fs::create_dir(sandbox.file("mounted")).unwrap();
    let volume = format!("{}:/mnt:ro", sandbox.file("mounted").display());
    for (name, flags) in [
        ("plain", &[][..]),
        ("other", &["-h", "other-name", "-w", "/new/place", "-e", "WORD=two words", "--cap-add", "SYS_TIME"]),
        ("user", &["-u", "1:1", "--group-add", "77", "-w", "/etc/apk", "--security-opt", "no-new-privileges"]),
        ("privileged", &["--privileged", "-u", "guest"]),
        ("bare", &["--cap-drop", "ALL", "-u", "1:1"]),
        ("dropped", &["--cap-drop", "ALL"]),
        (
            "strict",
            &["--ulimit", "nofile=100:200", "--read-only", "--cap-drop", "CHOWN", "-v", &volume, "--tmpfs", "/run"],
        ),
    ] {
        // unshare(1) makes no idmapped mounts.
        let flags =
            [&["create", "--network", "none", "--userns=host", "--name", name], flags, &["alpine", "sh", "-c", LOOK]]
                .concat();
        sandbox.ok(&flags);
        let script = sandbox.ok(&["script", name]);
        std::fs::write(sandbox.file("script.sh"), &script).unwrap();
        let commands = script.lines().filter(|line| !line.trim_start().starts_with('#'));
        assert!(!commands.flat_map(str::split_whitespace).any(|word| word.ends_with("minirun")), "{script}");
        let by_hand = finish(sandbox.other("sh").arg(sandbox.file("script.sh")).env("TMPDIR", sandbox.file("."))).ok();
        let by_minirun = sandbox.ok(&["start", "-a", name]);
        assert_eq!(by_hand, by_minirun, "{name}\n{script}");
        let left = std::fs::read_dir(sandbox.file("."))
            .unwrap()
            .flatten()
            .filter(|e| e.file_name().to_string_lossy().starts_with("tmp."));
        assert_eq!(left.count(), 0, "the script left its directory");
    }
}

#[test]
fn what_a_container_has_written_is_there_too() {
    require!(Need::Tool("unshare"), Need::Tool("setpriv"), Need::Tool("nsenter"), Need::Tool("ip"));
    let sandbox = Sandbox::with_alpine();
    let count = "echo once more >>/changed; rm -f /etc/issue; cat /changed; ls /etc/issue 2>&1; true";
    sandbox.ok(&["create", "--network", "none", "--name", "changed", "alpine", "sh", "-c", count]);
    assert_eq!(sandbox.ok(&["start", "-a", "changed"]).matches("once more").count(), 1);
    std::fs::write(sandbox.file("script.sh"), sandbox.ok(&["script", "changed"])).unwrap();
    for _ in 0..2 {
        // It stands on what is there, and changes nothing of it.
        let said = finish(sandbox.other("sh").arg(sandbox.file("script.sh")).env("TMPDIR", sandbox.file("."))).ok();
        assert_eq!(said.matches("once more").count(), 2, "{said}");
        assert!(said.contains("No such file"), "{said}");
    }
    assert_eq!(sandbox.ok(&["start", "-a", "changed"]).matches("once more").count(), 2);
}

#[test]
fn an_image_gives_the_script_of_a_container_to_be() {
    require!(Need::Tool("unshare"), Need::Tool("setpriv"), Need::Tool("nsenter"), Need::Tool("ip"));
    let sandbox = Sandbox::with_alpine();
    let look =
        "CMD id; pwd; grep Cap /proc/self/status; ls -a / /dev; cat /etc/motd; wc -l </etc/hosts; echo $GREETING";
    sandbox.ok(&["run", "--network", "none", "--name", "made", "alpine", "true"]);
    sandbox.ok(&["commit", "-c", look, "-c", "ENV GREETING=hello", "-c", "WORKDIR /srv", "made", "looker"]);
    std::fs::write(sandbox.file("script.sh"), sandbox.ok(&["script", "looker"])).unwrap();
    let by_hand = finish(sandbox.other("sh").arg(sandbox.file("script.sh")).env("TMPDIR", sandbox.file("."))).ok();
    assert_eq!(by_hand, sandbox.ok(&["run", "--rm", "looker"]));
    assert_eq!(sandbox.ok(&["ps", "-aq"]).lines().count(), 1, "nothing was created for it");
}

#[test]
fn its_etc_hosts_has_the_address_that_a_step_gives() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["create", "--name", "web", "-h", "web-host", "--network", "bridge:ip=10.88.0.77", "alpine", "true"]);
    let script = sandbox.ok(&["script", "web"]);
    assert!(script.contains("\n10.88.0.77\tweb-host\n"), "{script}");
    assert!(script.contains("ip address add 10.88.0.77/"), "{script}");
    assert!(!script.contains("10.0.2.100\t"), "{script}");
    // On no network it is the loopback's, as before.
    sandbox.ok(&["create", "--name", "alone", "-h", "alone-host", "--network", "none", "alpine", "true"]);
    assert!(sandbox.ok(&["script", "alone"]).contains("\n127.0.0.1\talone-host\n"));
}

#[test]
fn as_json_and_in_russian_it_is_the_same_script() {
    let sandbox = Sandbox::with_alpine();
    let flags = ["--network", "none", "--ulimit", "nofile=100:200", "-w", "/srv", "-u", "1:1"];
    sandbox.ok(&[&["create", "--name", "one"], &flags[..], &["alpine", "true"]].concat());
    // Neither comments nor what is said to the reader.
    let commands = |script: &str| {
        let is_command =
            |line: &&str| !line.is_empty() && !line.trim_start().starts_with('#') && !line.contains("echo '");
        script.lines().filter(is_command).map(str::to_owned).collect::<Vec<_>>()
    };
    let english = sandbox.ok(&["script", "one"]);
    let russian = sandbox.ok(&["script", "--lang", "ru", "one"]);
    assert_eq!(commands(&english), commands(&russian));
    for comment in russian.lines().skip(1).filter(|line| line.trim_start().starts_with('#')) {
        assert!(comment.chars().any(|c| ('а'..='я').contains(&c)), "{comment}");
    }
    let said: serde_json::Value = serde_json::from_str(&sandbox.ok(&["script", "--json", "one"])).unwrap();
    let parts = said["parts"].as_array().unwrap();
    let mut lines = english.lines().map(str::trim);
    let outside = ["namespaces", "change_of_root", "born_in", "finish", "remove"];
    for part in parts {
        let commands = part["commands"].as_array().unwrap().iter();
        for line in commands.flat_map(|command| command.as_str().unwrap().lines()).map(str::trim) {
            assert!(english.lines().any(|found| found.trim() == line), "{line}\n{english}");
        }
        // Each is a function, and they are called in this order but for those of the process outside.
        let name = part["name"].as_str().unwrap();
        if !part["commands"].as_array().unwrap().is_empty() && !outside.contains(&name) {
            assert!(lines.any(|line| line == name), "{name} is not called, or too early\n{english}");
        }
    }
    // What the engine tells of a start it does in the same order here.
    let calls: Vec<&str> =
        parts.iter().flat_map(|part| part["calls"].as_array().unwrap()).map(|call| call.as_str().unwrap()).collect();
    let said = sandbox.run(&[&["run", "--rm", "--explain=json"], &flags[..], &["alpine", "true"]].concat());
    let told = said.stderr.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let told: Vec<String> = told.map(|step| step["call"].as_str().unwrap().to_owned()).collect();
    for kind in ["fsopen(proc)", "pivot_root(", "setrlimit(RLIMIT_NOFILE, 100, 200)", "seccomp(", "execve(true)"] {
        let of = |calls: &[&str]| calls.iter().filter(|call| call.starts_with(kind)).count();
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        assert_eq!(of(&calls), of(&told), "{kind}: {calls:#?} {told:#?}");
        assert!(of(&calls) > 0, "{kind}");
    }
}

#[test]
fn the_filter_is_loaded_where_setpriv_can() {
    require!(Need::Tool("unshare"), Need::Tool("setpriv"), Need::Tool("nsenter"), Need::Tool("ip"));
    let sandbox = Sandbox::with_alpine();
    let look = ["alpine", "grep", "-w", "Seccomp", "/proc/self/status"];
    sandbox.ok(&[&["create", "--network", "none", "--name", "one"], &look[..]].concat());
    std::fs::write(sandbox.file("script.sh"), sandbox.ok(&["script", "one"])).unwrap();
    let by_hand = finish(sandbox.other("sh").arg(sandbox.file("script.sh")).env("TMPDIR", sandbox.file(".")));
    let can = sandbox.run_other("setpriv", &["--help"]).ok().contains("--seccomp-filter");
    assert_eq!(by_hand.stderr.contains("without the filter"), !can, "{}", by_hand.streams());
    let expected = if can { sandbox.ok(&["start", "-a", "one"]) } else { "Seccomp:\t0\n".into() };
    assert_eq!(by_hand.stdout, expected);
}

/// The temporary directories that scripts have left.
fn left(sandbox: &Sandbox) -> usize {
    let entries = std::fs::read_dir(sandbox.file(".")).unwrap().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("tmp.")).count()
}

#[test]
fn ctrl_c_ends_it_and_leaves_nothing() {
    require!(Need::Tool("unshare"), Need::Tool("setpriv"), Need::Tool("nsenter"), Need::Tool("ip"));
    use std::os::unix::process::CommandExt;
    let sandbox = Sandbox::with_alpine();
    let mount = format!("{}:/mnt", sandbox.file("mounted").display());
    // Process 1, which handles no signal; and files of another owner, where there is one.
    let write = "touch /mine; chown 7:7 /mine; : >/mnt/runs; exec sleep 600";
    sandbox.ok(&["create", "--network", "none", "--name", "long", "-v", &mount, "alpine", "sh", "-c", write]);
    std::fs::write(sandbox.file("script.sh"), sandbox.ok(&["script", "long"])).unwrap();
    for signal in [nix::sys::signal::SIGINT, nix::sys::signal::SIGTERM] {
        let _ = std::fs::remove_file(sandbox.file("mounted/runs"));
        let mut script = sandbox.other("sh");
        script.arg(sandbox.file("script.sh")).env("TMPDIR", sandbox.file(".")).process_group(0);
        let mut script = script.spawn().unwrap();
        wait_until("it runs", || sandbox.file("mounted/runs").exists());
        assert_eq!(left(&sandbox), 1);
        let pid = nix::unistd::Pid::from_raw(script.id().cast_signed());
        // As a terminal does: to all of the foreground.
        nix::sys::signal::killpg(pid, signal).unwrap();
        let mut code = None;
        wait_until("it has ended", || {
            code = script.try_wait().unwrap();
            code.is_some()
        });
        assert_eq!(code.unwrap().code(), Some(128 + signal as i32));
        assert_eq!(left(&sandbox), 0);
    }
}

#[test]
fn in_the_hosts_network_its_mounts_have_the_same_flags() {
    require!(Need::Tool("unshare"), Need::Tool("setpriv"), Need::Tool("nsenter"), Need::Tool("findmnt"));
    let sandbox = Sandbox::with_alpine();
    let look = "awk '{print $5, $6}' /proc/self/mountinfo | sort; touch /sys/fs/cgroup/x 2>&1; hostname; true";
    sandbox.ok(&["create", "--network", "host", "--userns=host", "--name", "host", "alpine", "sh", "-c", look]);
    std::fs::write(sandbox.file("script.sh"), sandbox.ok(&["script", "host"])).unwrap();
    let by_hand = finish(sandbox.other("sh").arg(sandbox.file("script.sh")).env("TMPDIR", sandbox.file("."))).ok();
    assert_eq!(by_hand, sandbox.ok(&["start", "-a", "host"]));
}

#[test]
fn new_volumes_begin_with_what_the_image_has() {
    require!(Need::Tool("unshare"), Need::Tool("setpriv"), Need::Tool("nsenter"), Need::Tool("ip"));
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&[
        "run",
        "--network",
        "none",
        "--name",
        "made",
        "alpine",
        "sh",
        "-c",
        "mkdir /data; echo kept >/data/file",
    ]);
    let look = "CMD [\"sh\", \"-c\", \"cat /data/file; echo more >/data/more; ls /data\"]";
    sandbox.ok(&["commit", "-c", "VOLUME /data", "-c", look, "made", "keeper"]);
    std::fs::write(sandbox.file("script.sh"), sandbox.ok(&["script", "keeper"])).unwrap();
    let before = sandbox.stored("volumes");
    for _ in 0..2 {
        let said = finish(sandbox.other("sh").arg(sandbox.file("script.sh")).env("TMPDIR", sandbox.file("."))).ok();
        assert_eq!(said, "kept\nfile\nmore\n");
    }
    // Those are volumes of the script, gone with it.
    assert_eq!(sandbox.stored("volumes"), before);
    assert_eq!(left(&sandbox), 0);
}
