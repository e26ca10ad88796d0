//! `why`: mistakes that are made often, each told from what this container has; and what looks like one, and is none.

use crate::common::{CODE, Sandbox, free_port, verdict_codes as codes, wait_until, why};

#[test]
fn a_command_that_was_meant_otherwise() {
    let sandbox = Sandbox::with_alpine();
    std::fs::create_dir_all(sandbox.file("empty")).unwrap();
    let over = format!("{}:/bin", sandbox.file("empty").display());
    for (name, flags, words, code, advice) in [
        ("one-word", &[][..], &["ls -l /"][..], "several-words-in-one", "minirun run … alpine ls -l /"),
        ("option", &[], &["-it", "sh"], "option-after-image", "minirun run -it alpine"),
        ("builtin", &[], &["cd", "/tmp"], "shell-builtin", "sh -c 'cd /tmp'"),
        ("hidden", &["-v", &over], &["busybox"], "hidden-by-mount", "the mount on /bin hides it"),
        ("hidden-path", &["-v", &over], &["/bin/busybox"], "hidden-by-mount", "`/bin/busybox`"),
        ("empty-word", &[], &[""], "command-not-found", "`\"\"`"),
        ("absent", &[], &["no-such one"], "command-not-found", "no-such one"),
        ("entrypoint", &["--entrypoint", "echo -n"], &["x"], "several-words-in-one", "--entrypoint echo alpine -n x"),
    ] {
        let all = [&["run", "--network", "none", "--name", name], flags, &["alpine"], words].concat();
        sandbox.fails(127, &all);
        assert_eq!(codes(&sandbox, name), [code], "{name}");
        let text = sandbox.ok(&["why", name]);
        assert!(text.contains(advice), "{name}: {text}");
    }
}

/// A program's output, and the verdict and words that `why` derives from it.
#[test]
fn what_real_programs_say_last() {
    let sandbox = Sandbox::with_alpine();
    let node = "Error: Cannot find module 'x'\nRequire stack:\n- /app.js\n    at x\n  code: 'Y'\n}\n\nNode.js v20";
    let event =
        "Error: listen EADDRINUSE: :::80\n    at x\nEmitted 'error' event on Server instance at:\n    at y\n}\n";
    let perl =
        "Can't locate A.pm in @INC (you may need x) at /a.pl line 3.\nBEGIN failed--compilation aborted at /a.pl";
    let redis =
        "*** FATAL CONFIG FILE ERROR (Redis 7) ***\nReading the configuration file, at line 2\n>>> 'x'\nBad directive";
    let traceback = "Traceback (most recent call last):\n  File x\nOSError: [Errno 24] Too many open files";
    let usage = "x: unrecognized option: z\nBusyBox v1 multi-call\n\nUsage: x [-y]\n";
    for (name, flags, said, code, advice) in [
        ("node", &[][..], node, "module-missing", "Cannot find module 'x'"),
        ("event", &[], event, "address-in-use", "EADDRINUSE"),
        ("perl", &[], perl, "module-missing", "Can't locate"),
        ("redis", &[], redis, "configuration-rejected", "correct /etc/motd"),
        ("usage", &[], usage, "program-failed", "its last output: x: unrecognized option: z"),
        ("files", &["--ulimit", "nofile=64:64"], traceback, "too-many-files", "--ulimit nofile=64:64"),
        ("files-of-host", &[], traceback, "too-many-files", "--ulimit nofile=NUMBER"),
        (
            "processes",
            &["--ulimit", "nproc=900:900"],
            "sh: can't fork: x",
            "too-many-processes",
            "--ulimit nproc=900:900",
        ),
        ("jar", &[], "Error: Unable to access jarfile a.jar", "file-missing", "minirun where jar PATH"),
        ("absent", &[], "cat: /no/file: No such file or directory", "file-missing", "minirun where absent /no/file"),
        ("frozen", &["--read-only"], "x: /run/pid: Read-only file system", "read-only-file-system", "--tmpfs /run"),
        ("kernel", &[], "x: /proc/sys/x: Read-only file system", "read-only-file-system", "belongs to the kernel"),
        ("right", &[], "unshare: Operation not permitted", "permission-denied", "--cap-add"),
        (
            "set-user-id",
            &["--security-opt", "no-new-privileges"],
            "su: must be suid to work properly",
            "permission-denied",
            "created with --security-opt no-new-privileges",
        ),
        ("named", &[], "/e.sh: line 3: DATABASE_URL: give one", "variable-missing", "-e DATABASE_URL=…"),
        ("given", &["-e", "DATABASE_URL=x"], "/e.sh: line 3: DATABASE_URL: give one", "program-failed", "give one"),
    ] {
        // The file of settings is an argument, as that of Redis is.
        let script = "printf '%s\\n' \"$1\" >&2; exit 1";
        let all =
            [&["run", "--network", "none", "--name", name], flags, &["alpine", "sh", "-c", script, "/etc/motd", said]];
        sandbox.fails(1, &all.concat());
        assert_eq!(codes(&sandbox, name), [code], "{name}");
        let text = sandbox.ok(&["why", name]);
        assert!(text.contains(advice), "{name}: {text}");
    }
    let network = ["run", "--name", "nameless", "--dns", "127.0.0.9", "alpine", "sh", "-c"];
    sandbox.fails(1, &[&network[..], &["echo \"x: bad address 'y'\"; exit 1"]].concat());
    assert!(sandbox.ok(&["why", "nameless"]).contains("created with --dns 127.0.0.9"));
    // Python keeps earlier output in its buffer until it ends.
    let script =
        "printf 'Traceback (most recent call last):\\n  File x\\nKeyError: 1\\n' >&2; sleep 0.2; echo hello; exit 1";
    sandbox.fails(1, &["run", "--network", "none", "--name", "buffered", "alpine", "sh", "-c", script]);
    assert!(sandbox.ok(&["why", "buffered"]).contains("its last output: KeyError: 1"));
    // A traceback that it survived is none of its end.
    let script = "printf 'Traceback (most recent call last):\\n  File x\\nKeyError: 1\\nbye\\n' >&2; exit 1";
    sandbox.fails(1, &["run", "--network", "none", "--name", "survived", "alpine", "sh", "-c", script]);
    assert!(sandbox.ok(&["why", "survived"]).contains("its last output: bye"));
}

#[test]
fn a_place_that_was_mounted_read_only() {
    let sandbox = Sandbox::with_alpine();
    std::fs::create_dir_all(sandbox.file("there")).unwrap();
    let volume = format!("{}:/there:ro", sandbox.file("there").display());
    sandbox.fails(1, &["run", "--network", "none", "--name", "frozen", "-v", &volume, "alpine", "touch", "/there/x"]);
    assert!(sandbox.ok(&["why", "frozen"]).contains("mounted read-only by -v …:/there:ro"));
    let bus = "kill -BUS $$";
    sandbox.run(&[
        "run",
        "--network",
        "none",
        "--init",
        "--shm-size",
        "1m",
        "--name",
        "bus",
        "alpine",
        "sh",
        "-c",
        bus,
    ]);
    assert!(sandbox.ok(&["why", "bus"]).contains("/dev/shm is too small (1048576 bytes): --shm-size"));
}

#[test]
fn servers_that_go_to_the_background() {
    let sandbox = Sandbox::with_alpine();
    let names = ["dnsmasq", "lighttpd", "supervisord", "redis-server", "memcached", "haproxy", "php-fpm8.2", "nginx"];
    let make = format!(
        "mkdir -p /etc/nginx /s; printf '#!/bin/sh\\n' >/s/x; chmod 755 /s/x; for n in {}; do cp /s/x /s/$n; done;
        printf '[supervisord]\\nnodaemon = true\\n' >/etc/s.conf; printf '[supervisord]\\n#nodaemon=true\\n' >/etc/t.conf
        printf 'daemon  off;\\n' >/etc/off.conf",
        names.join(" ")
    );
    sandbox.ok(&["run", "--network", "none", "--name", "maker", "alpine", "sh", "-c", &make]);
    sandbox.ok(&["commit", "maker", "servers"]);
    for (name, words, advice) in [
        ("dnsmasq", &["/s/dnsmasq"][..], "/s/dnsmasq -k"),
        ("lighttpd", &["/s/lighttpd", "-f", "/x"], "/s/lighttpd -D"),
        ("supervisord", &["/s/supervisord", "-c", "/etc/t.conf"], "/s/supervisord -n"),
        ("redis", &["/s/redis-server", "--daemonize", "yes"], "omit --daemonize yes"),
        ("memcached", &["/s/memcached", "-d", "-u", "x"], "omit -d"),
        ("haproxy", &["/s/haproxy", "-D", "-f", "/x"], "omit -D"),
        ("php", &["/s/php-fpm8.2"], "/s/php-fpm8.2 -F"),
        ("by-shell", &["sh", "-c", "cd /s; /s/nginx; echo started"], "/s/nginx -g 'daemon off;'"),
        ("dnsmasq-k", &["/s/dnsmasq", "-k"], ""),
        ("dnsmasq-test", &["/s/dnsmasq", "--test"], ""),
        ("supervisord-set", &["/s/supervisord", "-c", "/etc/s.conf"], ""),
        ("nginx-set", &["/s/nginx", "-c", "/etc/off.conf"], ""),
        ("redis-plain", &["/s/redis-server"], ""),
        ("memcached-version", &["/s/memcached", "-V"], ""),
        ("haproxy-check", &["/s/haproxy", "-c", "-D", "-f", "/x"], ""),
        // The following command was the container's purpose, and it succeeded.
        ("tried", &["sh", "-c", "/s/nginx; sleep 0.1; ls /s >/dev/null"], ""),
        ("tried-and-quit", &["sh", "-c", "/s/nginx && sleep 0.1 && /s/nginx -s quit"], ""),
    ] {
        sandbox.ok(&[&["run", "--network", "none", "--name", name, "servers"], words].concat());
        let expected: &[&str] = if advice.is_empty() { &[] } else { &["went-to-background"] };
        assert_eq!(codes(&sandbox, name), expected, "{name}");
        let text = sandbox.ok(&["why", name]);
        assert!(text.contains(advice), "{name}: {text}");
    }
}

#[test]
fn a_second_port_of_a_server_that_has_one() {
    let sandbox = Sandbox::with_alpine();
    let (first, second) = (format!("{}:80", free_port()), format!("{}:443", free_port()));
    let script = "trap 'exit 0' TERM; nc -lk -p 80 -e cat & wait";
    sandbox.ok(&["run", "-d", "--name", "web", "-p", &first, "-p", &second, "alpine", "sh", "-c", script]);
    wait_until("it serves", || {
        sandbox.run(&["exec", "web", "grep", "-q", ":0050 ", "/proc/net/tcp", "/proc/net/tcp6"]).code == 0
    });
    assert_eq!(codes(&sandbox, "web"), ["nothing-listens"]);
    let text = sandbox.ok(&["why", "web"]);
    assert!(text.contains("nothing in the container listens on 443/tcp") && !text.contains(":80\n"), "{text}");
}

#[test]
fn an_end_that_kill_asked_for_is_no_failure() {
    let sandbox = Sandbox::with_alpine();
    let tidy = "trap 'echo interrupted; exit 1' INT TERM HUP; while :; do sleep 0.1; done";
    for (signal, is_wanted) in [("INT", true), ("TERM", true), ("HUP", false)] {
        let name = format!("by-{signal}");
        sandbox.detached(&["--name", &name], tidy);
        wait_until("it has its trap", || codes(&sandbox, &name).is_empty());
        sandbox.ok(&["kill", "-s", signal, &name]);
        sandbox.wait_for_status(&name, "exited");
        let expected: &[&str] = if is_wanted { &[] } else { &["program-failed"] };
        assert_eq!(codes(&sandbox, &name), expected, "{signal}: {}", why(&sandbox, &name));
    }
}

/// A first process that waits for its signals in `sigtimedwait` handles them, though the kernel does not show it.
#[cfg(target_arch = "x86_64")]
#[test]
fn who_waits_for_a_signal_handles_it() {
    let sandbox = Sandbox::with_alpine();
    let mut code = Vec::new();
    // rt_sigprocmask(SIG_BLOCK, &set, NULL, 8); rt_sigtimedwait(&set, NULL, NULL, 8); exit(0)
    let set = (CODE + 53).to_le_bytes();
    code.extend([0xb8, 14, 0, 0, 0, 0x31, 0xff, 0xbe]);
    code.extend(set);
    code.extend([0x31, 0xd2, 0x41, 0xba, 8, 0, 0, 0, 0x0f, 0x05, 0xb8, 128, 0, 0, 0, 0xbf]);
    code.extend(set);
    code.extend([
        0x31, 0xf6, 0x31, 0xd2, 0x41, 0xba, 8, 0, 0, 0, 0x0f, 0x05, 0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05,
    ]);
    assert_eq!(code.len(), 53);
    code.extend((1u64 << (15 - 1)).to_le_bytes());
    let program = sandbox.tiny_program("/waiter", &code);
    sandbox.ok(&["run", "-d", "--network", "none", "--name", "waiter", "-v", &program, "alpine", "/waiter"]);
    wait_until("it waits", || codes(&sandbox, "waiter").is_empty());
    sandbox.ok(&["stop", "-t", "20", "waiter"]);
    assert_eq!(why(&sandbox, "waiter")["exit_code"], 0);
}

/// A script of bash in `wait` hears its signal at once, whatever the script is called.
#[cfg(target_arch = "x86_64")]
#[test]
fn a_script_of_bash_that_waits_is_told_by_its_interpreter() {
    let needed = ["/bin/bash", "/lib64", "/lib/x86_64-linux-gnu"];
    if !needed.iter().all(|path| std::path::Path::new(path).exists()) {
        return;
    }
    let sandbox = Sandbox::with_alpine();
    // A shell starts background jobs with SIGINT ignored, but a server handles it again:
    // rt_sigaction(SIGINT, &SIG_DFL, NULL, 8); pause()
    let mut code = vec![0xb8, 13, 0, 0, 0, 0xbf, 2, 0, 0, 0, 0xbe];
    code.extend((CODE + 32).to_le_bytes());
    code.extend([0x31, 0xd2, 0x41, 0xba, 8, 0, 0, 0, 0x0f, 0x05, 0xb8, 34, 0, 0, 0, 0x0f, 0x05]);
    assert_eq!(code.len(), 32);
    code.extend([0; 32]);
    let script = "#!/bin/bash\ntrap 'kill $child; exit 0' TERM\n/server &\nchild=$!\nwait \"$child\"\n";
    let path = sandbox.file("run.sh");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut words: Vec<String> = ["run", "-d", "--network", "none", "--name", "bashed"].map(String::from).into();
    let mounts = needed.map(|path| format!("{path}:{path}:ro"));
    let own = [format!("{}:/run.sh:ro", path.display()), sandbox.tiny_program("/server", &code)];
    words.extend(mounts.into_iter().chain(own).flat_map(|mount| ["-v".into(), mount]));
    words.extend(["alpine".into(), "/run.sh".into()]);
    sandbox.ok(&words.iter().map(String::as_str).collect::<Vec<_>>());
    wait_until("it has its child", || sandbox.ok(&["top", "bashed"]).contains("/server"));
    assert_eq!(codes(&sandbox, "bashed"), [""; 0]);
    sandbox.ok(&["stop", "-t", "20", "bashed"]);
    assert_eq!(why(&sandbox, "bashed")["exit_code"], 0);
}
