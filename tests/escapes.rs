//! Ways out of containers that were found in other engines, and those that an examination found in this one: each is
//! tried. docs/security.md lists them with the tests, of this file and others, and what stops each.

use crate::common::{self, Need, Sandbox, User, finish, require, wait_until};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// Mode, owner and times of the host's own node.
fn node(name: &str) -> (u32, u32, u32, i64) {
    let found = fs::metadata(Path::new("/dev").join(name)).unwrap();
    (found.mode(), found.uid(), found.gid(), found.mtime())
}

/// A test that fails as root has broken the host: it is put right.
struct Mend<'a>(&'a [&'a str]);

impl Drop for Mend<'_> {
    fn drop(&mut self) {
        for name in self.0.iter().filter(|name| std::thread::panicking() && node(name).0 & 0o777 != 0o666) {
            let path = Path::new("/dev").join(name);
            let _ = std::os::unix::fs::chown(&path, Some(0), Some(0));
            let _ = fs::set_permissions(path, fs::Permissions::from_mode(0o666));
        }
    }
}

#[test]
fn device_nodes_of_the_host_are_out_of_reach() {
    let sandbox = Sandbox::with_alpine();
    let names = ["null", "zero", "full", "random", "urandom", "tty"];
    let before = names.map(node);
    let _mend = Mend(&names);
    let script = "for d in null zero full random urandom tty; do
            chmod 600 /dev/$d; chown 33:33 /dev/$d; touch -d 2001-01-01 /dev/$d; setfattr -n user.x -v y /dev/$d
        done 2>/dev/null
        echo written >/dev/null && head -c 1 /dev/zero | wc -c";
    let flags: [&[&str]; 3] = [&[], &["--privileged"], &["--userns=host"]];
    for flags in flags {
        assert_eq!(sandbox.sh(flags, script).ok(), "1\n", "{flags:?}");
        assert_eq!(names.map(node), before, "{flags:?}");
    }
    // Nor do they get out by a mount over them.
    sandbox.sh(&["--privileged"], "umount /dev/null; rm -f /dev/null; echo gone >/dev/null").ok();
    assert_eq!(names.map(node), before);
}

#[test]
fn roots_containers_have_ids_that_nobody_else_has() {
    require!(Need::As(User::Root));
    let sandbox = Sandbox::with_alpine();
    let outside = |flags: &[&str]| {
        let map = sandbox.sh(flags, "cat /proc/self/uid_map").ok();
        map.split_whitespace().nth(1).unwrap().parse::<u32>().unwrap()
    };
    assert!(outside(&[]) > 65535 && outside(&["--privileged"]) > 65535);
    assert_eq!(outside(&["--userns=host"]), 0);
    assert!(
        sandbox.ok(&["doctor"]).lines().any(|line| line.contains(" IDs ") && line.contains(&outside(&[]).to_string()))
    );
    // A process of the host that is root's cannot be signalled, and a file that is root's alone not be read, even where both
    // can be seen.
    fs::write(sandbox.file("secret"), "secret").unwrap();
    fs::set_permissions(sandbox.file("secret"), fs::Permissions::from_mode(0o600)).unwrap();
    let id = sandbox.detached(&["--privileged"], "exec sleep 600");
    let pid = sandbox.look(&id, "{{.State.Pid}}");
    let uid = fs::metadata(format!("/proc/{pid}")).unwrap().uid().to_string();
    let as_container = |words: &[&str]| {
        let ids = [&["--reuid", &uid, "--regid", &uid, "--clear-groups"], words].concat();
        finish(sandbox.other("setpriv").args(ids))
    };
    as_container(&["true"]).ok();
    assert_ne!(as_container(&["cat", sandbox.file("secret").to_str().unwrap()]).code, 0);
    assert_ne!(as_container(&["sh", "-c", &format!("kill -0 {}", std::process::id())]).code, 0);
}

#[test]
fn files_of_the_host_keep_their_owners_in_a_container_of_root() {
    require!(Need::As(User::Root));
    let sandbox = Sandbox::with_alpine();
    let data = sandbox.file("data");
    fs::create_dir(&data).unwrap();
    for (name, owner) in [("roots", 0), ("anns", 1000)] {
        fs::write(data.join(name), name).unwrap();
        fs::set_permissions(data.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::chown(data.join(name), Some(owner), Some(owner)).unwrap();
    }
    let bind = format!("{}:/data", data.display());
    let flags = ["-v", &bind, "-v", "kept:/kept"];
    let script =
        "cd /data; stat -c '%n %u:%g' *; cat roots anns; echo; cp -p anns copy; chown 33:34 roots; touch /kept/new
        chown 7 /kept/new; touch /in-the-layer; chown 9:9 /in-the-layer";
    let said = sandbox.ok(&[
        &["run", "--network", "none", "--name", "one"],
        &flags[..],
        &["alpine", "sh", "-c", script],
    ]
    .concat());
    assert_eq!(said, "anns 1000:1000\nroots 0:0\nrootsanns\n");
    let owner = |path: &Path| fs::symlink_metadata(path).map(|found| (found.uid(), found.gid())).unwrap();
    assert_eq!((owner(&data.join("copy")), owner(&data.join("roots"))), ((1000, 1000), (33, 34)));
    // The store has the real ids too: what runs with others, and what is committed, sees the same.
    sandbox.ok(&["commit", "one", "two"]);
    let look = "stat -c '%u:%g' /in-the-layer /kept/new /bin/busybox";
    for flag in ["--userns=host", "-i"] {
        let words = ["run", "--rm", "--network", "none", flag, "-v", "kept:/kept", "two", "sh", "-c", look];
        assert_eq!(sandbox.ok(&words), "9:9\n7:0\n0:0\n", "{flag}");
    }
    // Where ids cannot be mapped, as in proc, the container's root is nobody; what is mounted below keeps its owners.
    let proc =
        sandbox.sh(&["-v", "/proc:/host:ro"], "stat -c %u /host/1; echo x >/host/sys/kernel/core_pattern").stdout;
    assert_eq!(proc, "65534\n");
    // A build's RUN is a container like others.
    fs::write(
        data.join("Dockerfile"),
        "FROM alpine\nRUN cat /proc/self/uid_map > /map && touch /f && chown 12:13 /f\n",
    )
    .unwrap();
    sandbox.ok(&["build", "-q", "-t", "built", data.to_str().unwrap()]);
    let said = sandbox.ok(&["run", "--rm", "--network", "none", "built", "sh", "-c", "cat /map; stat -c %u:%g /f"]);
    assert!(!said.split_whitespace().any(|word| word == "4294967295") && said.ends_with("\n12:13\n"), "{said}");
}

#[test]
fn keys_of_the_caller_stay_with_him() {
    require!(Need::Tool("keyctl"));
    let sandbox = Sandbox::with_alpine();
    let name = format!("minirun-{}", std::process::id());
    // Only who possesses the key, by a keyring of his own, may see it.
    let script = format!(
        "key=$(keyctl add user {name} secret @s) && keyctl setperm $key 0x3f000000 && grep -c {name} /proc/keys
         \"$@\" run --rm --network none --privileged alpine grep -c {name} /proc/keys
         \"$@\" run -d --network none --privileged --name up alpine sleep 600 >/dev/null
         \"$@\" exec up grep -c {name} /proc/keys"
    );
    let mut command = sandbox.other("keyctl");
    command.args(["session", "-", "sh", "-c", &script, "sh", &Sandbox::binary()]);
    assert_eq!(finish(&mut command).stdout, "1\n0\n0\n");
}

#[test]
fn with_one_id_another_user_is_powerless_too() {
    let sandbox = Sandbox::with_alpine();
    let look = "grep -E '^Cap(Prm|Eff)' /proc/self/status | cut -f2 | sort -u; chown 1 /tmp 2>/dev/null; ip link set lo mtu 1400 2>&1 | wc -l";
    let flags: [&[&str]; 3] =
        [&["-u", "1000"], &["-u", "1000", "--privileged"], &["-u", "nobody", "--cap-add", "NET_ADMIN"]];
    for flags in flags {
        assert_eq!(sandbox.sh(flags, look).ok(), "0000000000000000\n1\n", "{flags:?}");
    }
    sandbox.detached(&["--name", "roots", "--privileged"], "exec sleep 600");
    let caps = |flags: &[&str]| {
        let words = [&["exec"], flags, &["roots", "sh", "-c", "grep CapEff /proc/self/status | cut -f2"]].concat();
        sandbox.ok(&words)
    };
    assert_eq!(caps(&["-u", "1000"]), "0000000000000000\n");
    // And a second process that is root has what the container's root has, whoever runs in it.
    assert_ne!(caps(&[]), "0000000000000000\n");
    sandbox.detached(&["--name", "anns", "-u", "1000"], "exec sleep 600");
    assert_eq!(
        sandbox.ok(&["exec", "-u", "0", "anns", "sh", "-c", "grep CapEff /proc/self/status | cut -f2"]),
        "00000000a80425fb\n"
    );
}

#[test]
fn a_second_process_is_seen_only_when_it_has_lost_its_power() {
    let sandbox = Sandbox::with_alpine();
    // Who may trace all processes of its namespace looks at each as often as it can.
    let watch = "while :; do cat /proc/[2-9]*/status /proc/[1-9][0-9]*/status 2>/dev/null | grep -E '^(CapPrm|Seccomp):' ; done |
        awk '!seen[$0]++ { print; fflush() }'";
    let id = sandbox.detached(&["--name", "watch", "--cap-drop", "ALL", "--cap-add", "SYS_PTRACE"], watch);
    wait_until("it looks", || sandbox.ok(&["logs", &id]).contains("CapPrm"));
    for _ in 0..40 {
        sandbox.ok(&["exec", "watch", "true"]);
    }
    let said = sandbox.ok(&["logs", &id]);
    let mut lines: Vec<&str> = said.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["CapPrm:\t0000000000080000", "Seccomp:\t2"]);
}

#[test]
fn exec_goes_where_its_container_is() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("one");
    // Another user namespace comes about where nobody knows of the first any more.
    for boot in fs::read_dir(sandbox.root().join("run")).unwrap().flatten() {
        for name in ["userns", "userns-shifted"] {
            let _ = fs::remove_dir_all(boot.path().join(name));
        }
    }
    sandbox.sleeper("two");
    let namespace = |name: &str| sandbox.ok(&["exec", name, "readlink", "/proc/self/ns/user"]);
    assert_ne!(namespace("one"), namespace("two"));
    assert_eq!(sandbox.ok(&["exec", "one", "cat", "/proc/1/comm"]), "sleep\n");
}

#[test]
fn the_callers_mask_does_not_enter() {
    let sandbox = Sandbox::new();
    let masked = |mask: &str, words: &[&str]| {
        let mut command = sandbox.other("sh");
        command.args(["-c", &format!("umask {mask}; exec \"$@\""), "sh", &Sandbox::binary()]).args(words);
        finish(&mut command).ok()
    };
    masked("077", &["import", "-c", "CMD [\"/bin/sh\"]", common::alpine_tar().to_str().unwrap(), "alpine"]);
    let look = "umask; touch /kept/f; mkdir /made; stat -c '%a %n' / /etc /etc/resolv.conf /etc/hosts /etc/hostname /kept /kept/f /made /new/place";
    for mask in ["077", "000", "027"] {
        let volume = format!("kept{mask}:/kept");
        let said = masked(
            mask,
            &["run", "--rm", "--network", "none", "-w", "/new/place", "-v", &volume, "alpine", "sh", "-c", look],
        );
        let expected = "0022\n755 /\n755 /etc\n644 /etc/resolv.conf\n644 /etc/hosts\n644 /etc/hostname\n755 /kept\n644 /kept/f\n755 /made\n755 /new/place\n";
        assert_eq!(said, expected, "umask {mask}");
    }
}

#[test]
fn the_masks_of_proc_hold_whatever_the_image_brings() {
    let sandbox = Sandbox::with_alpine();
    // CVE-2025-31133: runc bound the container's own /dev/null over what it hides; CVE-2019-16884, CVE-2023-28642: a link or a
    // volume in the place of /proc, so that the masks went elsewhere.
    let dockerfile = "FROM alpine\nRUN rm -rf /dev/* ; rmdir /proc /sys 2>/dev/null; mkdir -p /fake/self/attr /fake/sys/kernel; \
        touch /fake/kcore /fake/sysrq-trigger; true\n";
    fs::create_dir(sandbox.file("context")).unwrap();
    fs::write(sandbox.file("context").join("Dockerfile"), dockerfile).unwrap();
    sandbox.ok(&["build", "-q", "-t", "odd", sandbox.file("context").to_str().unwrap()]);
    let look = "[ -e /proc/1/status ] && ! head -c 1 /proc/kcore 2>/dev/null && ! echo x 2>/dev/null >/proc/sysrq-trigger && \
        [ \"$(stat -c %t:%T /dev/null)\" = 1:3 ] && ! echo x 2>/dev/null >/proc/sys/kernel/core_pattern && echo held";
    let words = ["run", "--rm", "--network", "none", "odd", "sh", "-c", look];
    assert_eq!(sandbox.ok(&words), "held\n");
}

#[test]
fn control_groups_of_version_one_cannot_be_mounted() {
    // CVE-2022-0492: release_agent is run by the host's root.
    let sandbox = Sandbox::with_alpine();
    let script = "mkdir /tmp/g; for c in memory rdma cpu pids devices; do
            mount -t cgroup -o $c cgroup /tmp/g 2>/dev/null && [ -e /tmp/g/release_agent ] && echo x >/tmp/g/release_agent && echo $c
        done; unshare -UrmC mount -t cgroup -o rdma cgroup /tmp/g 2>/dev/null && echo unshared; echo tried";
    let flags: [&[&str]; 3] = [&[], &["--cap-add", "SYS_ADMIN"], &["--privileged"]];
    for flags in flags {
        assert_eq!(sandbox.sh(flags, script).stdout.replace("unshared\n", ""), "tried\n", "{flags:?}");
    }
    assert_eq!(sandbox.sh(&[], script).stdout, "tried\n");
}

#[test]
fn a_build_mount_follows_no_link_out() {
    // CVE-2024-1753, CVE-2024-9407, CVE-2024-23651: the source of a mount, or of a cache, is a link that a stage made.
    let sandbox = Sandbox::with_alpine();
    let context = sandbox.file("context");
    fs::create_dir(&context).unwrap();
    fs::write(sandbox.file("secret"), "of the host").unwrap();
    std::os::unix::fs::symlink(sandbox.file("."), context.join("out")).unwrap();
    let outside = sandbox.file(".").display().to_string();
    let dockerfile = format!(
        "FROM alpine AS bad\nRUN mkdir -p /a && ln -s / /a/root && ln -s {outside} /a/out\n\
         FROM alpine\n\
         RUN --mount=type=bind,from=bad,source=/a/root,target=/m,rw ls /m/etc/alpine-release && ! ls /m{outside}/secret\n\
         RUN --mount=type=bind,from=bad,source=/a,target=/m ! cat /m/out/secret\n\
         RUN --mount=type=cache,from=bad,source=/a/root,target=/c ! ls /c{outside}/secret\n\
         RUN --mount=type=bind,source=.,target=/m ! cat /m/out/secret\n"
    );
    fs::write(context.join("Dockerfile"), dockerfile).unwrap();
    sandbox.ok(&["build", "-q", context.to_str().unwrap()]);
}

#[test]
fn the_end_of_a_run_removes_nothing_of_the_host() {
    // CVE-2024-23652: what the end of a step removes was a link by then.
    let sandbox = Sandbox::with_alpine();
    let (context, victim) = (sandbox.file("context"), sandbox.file("victim"));
    fs::create_dir(&context).unwrap();
    fs::create_dir_all(victim.join("mounted")).unwrap();
    let dockerfile = format!(
        "FROM alpine\nRUN --mount=type=tmpfs,target=/x/mounted mv /x /y 2>/dev/null; rm -rf /x 2>/dev/null; ln -s {0} /x 2>/dev/null; true\n\
         RUN --mount=type=cache,target=/etc/c/d true\nRUN rm -rf /etc/c; ln -s {0} /etc/c\n\
         RUN --mount=type=cache,target=/etc/c/mounted true\n",
        victim.display()
    );
    fs::write(context.join("Dockerfile"), dockerfile).unwrap();
    let _ = sandbox.run(&["build", "-q", context.to_str().unwrap()]);
    assert!(victim.join("mounted").is_dir());
    assert_eq!(fs::read_dir(&victim).unwrap().count(), 1);
}

#[test]
fn a_repository_s_name_is_no_option() {
    // CVE-2019-13139: words of the address reached git's command line.
    let sandbox = Sandbox::new();
    require!(Need::Tool("git"));
    let trap = sandbox.file("trap");
    for address in [
        format!("https://localhost:1/x.git#--upload-pack=touch {}", trap.display()),
        format!("git@localhost:--upload-pack=touch {}", trap.display()),
        format!("ssh://-oProxyCommand=touch {}/x.git", trap.display()),
    ] {
        assert_ne!(sandbox.run(&["build", &address]).code, 0, "{address}");
        assert!(!trap.exists(), "{address}");
    }
}

#[test]
fn abstract_sockets_of_the_host_are_out_of_reach() {
    // CVE-2020-15257: they know no file permissions, only the network namespace.
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixListener};
    let sandbox = Sandbox::with_alpine();
    let name = format!("minirun-test-{}", std::process::id());
    let _listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    let count = |flags: &[&str]| {
        let script = format!("grep -c {name} /proc/net/unix");
        sandbox.run(&[&["run", "--rm"], flags, &["alpine", "sh", "-c", &script]].concat()).stdout
    };
    assert_eq!((count(&[]), count(&["--network", "none"])), ("0\n".into(), "0\n".into()));
    assert_eq!(count(&["--network", "host"]), "1\n");
}

#[test]
fn mounts_of_a_container_stay_in_it_where_the_hosts_are_shared() {
    // As systemd makes them.
    require!(Need::As(User::Root), Need::Tool("unshare"));
    let sandbox = Sandbox::with_alpine();
    fs::create_dir(sandbox.file("data")).unwrap();
    let bind = format!("{}:/data", sandbox.file("data").display());
    let inside = "mkdir /data/m && mount -t tmpfs tmpfs /data/m && touch /data/m/f && echo mounted; exec sleep 600";
    let script = "mount --make-rshared / && id=$(\"$0\" run -d --network none --privileged -v \"$1\" alpine sh -c \"$2\") && \
        until \"$0\" logs $id | grep mounted; do sleep 0.1; done; grep -c /data/m /proc/self/mountinfo; \"$0\" rm -f $id >/dev/null";
    let mut command = sandbox.other("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script, &Sandbox::binary(), &bind, inside]);
    assert_eq!(finish(&mut command).stdout, "mounted\n0\n");
}

#[test]
fn hundreds_of_mounts_are_brought() {
    // More than one message of a socket can carry (unix(7), SCM_RIGHTS).
    let sandbox = Sandbox::with_alpine();
    fs::create_dir(sandbox.file("data")).unwrap();
    let binds: Vec<String> = (0..300).map(|n| format!("-v{}:/m/{n}", sandbox.file("data").display())).collect();
    let mut words = vec!["run", "--rm", "--network", "none"];
    words.extend(binds.iter().map(String::as_str));
    words.extend(["alpine", "sh", "-c", "grep -c ' /m/' /proc/self/mountinfo"]);
    assert_eq!(sandbox.ok(&words), "300\n");
}

#[test]
fn a_strong_container_changes_nothing_for_the_others() {
    // A user namespace has one table of binary formats (binfmt_misc, since Linux 6.7), limits and keyrings of its own.
    let sandbox = Sandbox::with_alpine();
    let other = sandbox.detached(&[], "while :; do busybox sleep 0.05 && echo fine || echo hurt; done");
    let script = r"mkfifo /wait; mkdir /formats
        mount -t binfmt_misc formats /formats && printf ':all:M::\\x7fELF::/bin/sh:F' >/formats/register
        echo 0 >/proc/sys/user/max_net_namespaces; echo 0 >/proc/sys/user/max_pid_namespaces; echo ready; read x </wait";
    let namespace = |id: &str| fs::read_link(format!("/proc/{}/ns/user", sandbox.look(id, "{{.State.Pid}}"))).unwrap();
    let strong: [&[&str]; 3] =
        [&["--cap-add", "SYS_ADMIN"], &["--privileged"], &["--security-opt", "seccomp=unconfined"]];
    for flags in strong {
        let id = sandbox.detached(flags, script);
        sandbox.wait_for_log(&id, "ready");
        assert_ne!(namespace(&id), namespace(&other), "{flags:?}");
        assert_eq!(sandbox.sh(&[], "busybox echo fine").ok(), "fine\n", "{flags:?}");
        assert_eq!(sandbox.ok(&["exec", &other, "busybox", "echo", "fine"]), "fine\n", "{flags:?}");
        sandbox.ok(&["commit", &id, "kept"]);
        sandbox.ok(&["rm", "-f", &id]);
    }
    assert!(!sandbox.run(&["logs", &other]).stdout.contains("hurt"));
    // An ordinary container stays one.
    let bounding = |id: &str| {
        let output = sandbox.run(&["exec", "--privileged", id, "grep", "CapBnd", "/proc/self/status"]);
        let set = u64::from_str_radix(output.stdout.trim_start_matches("CapBnd:").trim(), 16).unwrap();
        // SYS_ADMIN, SYS_PTRACE, NET_ADMIN
        ([21, 19, 12].map(|bit| set >> bit & 1), output.stderr.contains("leaves out SYS_ADMIN and SYS_PTRACE"))
    };
    assert_eq!(bounding(&other), ([0, 0, 1], true));
    // Looking into one is as with any other.
    let id = sandbox.detached(&["--privileged"], "mkdir /m && mount -t tmpfs m /m && echo ready && exec sleep 600");
    sandbox.wait_for_log(&id, "ready");
    assert_eq!(sandbox.ok(&["exec", &id, "grep", "-c", " /m ", "/proc/self/mountinfo"]), "1\n");
    assert!(sandbox.ok(&["where", &id, "/m"]).contains("tmpfs"));
    sandbox.ok(&["why", &id]);
    sandbox.ok(&["probe", &id]);
    assert_eq!(bounding(&id), ([1, 1, 1], false));
}

#[test]
fn nothing_hides_the_containers_own_proc() {
    // Its masks would be gone, or be made elsewhere (CVE-2019-16884).
    let sandbox = Sandbox::with_alpine();
    fs::create_dir(sandbox.file("data")).unwrap();
    let source = sandbox.file("data").display().to_string();
    for target in ["/proc", "/proc/", "/etc/../proc", "/proc/sys", "/proc//self/attr", "/link", "/link/sys"] {
        let dockerfile = format!("FROM alpine\nRUN ln -s /proc /link\nVOLUME {target}\n");
        sandbox.build(&dockerfile, &["--network", "none"]);
        let run = |flags: &[&str], image: &str| {
            let said = sandbox.run(&[&["run", "--rm", "--network", "none"], flags, &[image, "true"]].concat());
            said.fails(125)
        };
        let refused = |said: String| assert!(said.contains("own /proc"), "{target}\n{said}");
        refused(run(&[], "built"));
        sandbox.build("FROM alpine\nRUN ln -s /proc /link\n", &["--network", "none"]);
        for flags in [["-v", &format!("{source}:{target}")], ["-v", &format!("kept:{target}")], ["--tmpfs", target]] {
            refused(run(&flags, "built"));
        }
    }
    // But for what only tells of resources, as LXCFS does.
    fs::write(sandbox.file("uptime"), "told\n").unwrap();
    let bind = format!("{}:/proc/uptime", sandbox.file("uptime").display());
    assert_eq!(sandbox.sh(&["-v", &bind], "cat /proc/uptime").ok(), "told\n");
    // The masks of root's containers are made of nodes in it.
    if common::user() == User::Root {
        let hint = sandbox.sh(&["-v", "kept:/dev"], "true").fails(125);
        assert!(hint.contains("hides the container's own /dev"), "{hint}");
    }
    assert_eq!(sandbox.stored("containers"), [] as [String; 0]);
}
