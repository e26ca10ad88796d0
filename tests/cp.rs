//! `cp` and `export`: files of containers, in and out, whether they run or not.

use crate::common::{Sandbox, wait_until};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// A container that has run, and one that runs, by these names.
fn two(sandbox: &Sandbox) {
    sandbox.ok(&["create", "--name", "still", "--network", "none", "-v", "data:/data", "alpine", "true"]);
    sandbox.detached(&["--name", "runs", "-v", "/anon"], "exec sleep 600");
}

fn text(path: impl AsRef<Path>) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn files_go_in_and_out_as_with_docker() {
    let sandbox = Sandbox::with_alpine();
    two(&sandbox);
    let at = |name: &str| sandbox.file(name).to_str().unwrap().to_owned();
    fs::create_dir_all(sandbox.file("tree/sub")).unwrap();
    fs::write(sandbox.file("tree/sub/deep"), "deep\n").unwrap();
    fs::write(sandbox.file("file"), "text\n").unwrap();
    symlink("sub/deep", sandbox.file("tree/link")).unwrap();
    for name in ["still", "runs"] {
        let inside = |path: &str| format!("{name}:{path}");
        let cp = |from: &str, to: &str| sandbox.ok(&["cp", from, to]);
        let back = |path: &str, to: &str| cp(&inside(path), &at(to));
        // A file: to a name, into a directory, over a file.
        cp(&at("file"), &inside("/new"));
        cp(&at("file"), &inside("/tmp"));
        cp("./file", &inside("tmp/named"));
        cp("file", &inside("/etc/motd"));
        for path in ["/new", "/tmp/file", "/tmp/named", "/etc/motd", "etc/motd"] {
            back(path, &format!("out-{name}"));
            assert_eq!(text(sandbox.file(format!("out-{name}"))), "text\n", "{path}");
        }
        // A directory: into one, as a new one, its contents.
        cp(&at("tree"), &inside("/tmp"));
        cp(&at("tree"), &inside("/srv/as"));
        cp(&at("tree/."), &inside("/opt"));
        cp(&at("tree/"), &inside("/media"));
        for path in ["/tmp/tree", "/srv/as", "/opt", "/media/tree"] {
            let out = format!("dir-{name}{}", path.replace('/', "-"));
            back(&format!("{path}/."), &out);
            assert_eq!(text(sandbox.file(format!("{out}/sub/deep"))), "deep\n", "{path}");
            assert_eq!(fs::read_link(sandbox.file(format!("{out}/link"))).unwrap(), Path::new("sub/deep"));
        }
        // A link itself, and what it leads to.
        back("/opt/link", &format!("link-{name}"));
        assert!(sandbox.file(format!("link-{name}")).symlink_metadata().unwrap().is_symlink());
        sandbox.ok(&["cp", "-L", &inside("/opt/link"), &at(&format!("followed-{name}"))]);
        assert_eq!(text(sandbox.file(format!("followed-{name}"))), "deep\n");
        // A second time, over what is there.
        cp(&at("tree"), &inside("/tmp"));
        // What does not go.
        for (from, to, words) in [
            (at("none"), inside("/tmp"), "no such file or directory: "),
            (inside("/none"), at("x"), "no such file or directory: "),
            (at("file"), inside("/no/such/x"), "no such directory: "),
            (at("file"), inside("/nodir/"), "no such directory: "),
            (at("tree"), inside("/etc/motd"), "cannot copy a directory over the file "),
            (at("file/"), inside("/tmp"), "is not a directory"),
            (inside("/etc/motd"), at("no/such/x"), "no such directory: "),
            (inside("/etc"), at("file"), "cannot copy a directory over the file "),
            (at("file"), inside("/tmp/tree/.."), ""),
        ] {
            let said = sandbox.run(&["cp", &from, &to]);
            assert_eq!(said.code, i32::from(!words.is_empty()), "{from} {to}: {}", said.streams());
            assert!(said.stderr.contains(words), "{from} {to}: {}", said.streams());
        }
        // A directory does not give way to a file within a tree either.
        fs::create_dir_all(sandbox.file("clash")).unwrap();
        fs::write(sandbox.file("clash/sub"), "").unwrap();
        assert!(sandbox.fails(1, &["cp", &at("clash/."), &inside("/opt")]).contains("cannot overwrite"));
    }
    assert!(sandbox.fails(1, &["cp", "a", "b"]).contains("neither"));
    assert!(sandbox.fails(1, &["cp", "none:/x", "."]).contains("no such container: none"));
    assert_eq!(sandbox.ok(&["start", "-a", "still"]), "");
    sandbox.ok(&["rm", "-f", "runs"]);
}

#[test]
fn volumes_are_reached_and_filled_first() {
    let sandbox = Sandbox::with_alpine();
    let host = sandbox.file("bound");
    fs::create_dir(&host).unwrap();
    fs::write(sandbox.file("file"), "new\n").unwrap();
    let bind = format!("{}:/bound", host.display());
    sandbox.ok(&[
        "create",
        "--name",
        "box",
        "--network",
        "none",
        "-v",
        "apk:/etc/apk",
        "-v",
        &bind,
        "alpine",
        "ls",
        "/etc/apk",
    ]);
    sandbox.ok(&["cp", "file", "box:/etc/apk/file"]);
    sandbox.ok(&["cp", "file", "box:/bound"]);
    assert_eq!(text(host.join("file")), "new\n");
    let listed = sandbox.ok(&["start", "-a", "box"]);
    assert!(listed.contains("file\n") && listed.lines().count() > 1, "{listed}");
    sandbox.ok(&["cp", "box:/bound/file", "again"]);
    assert_eq!(text(sandbox.file("again")), "new\n");
    sandbox.ok(&["cp", "box:/etc/hostname", "hostname"]);
    assert_eq!(text(sandbox.file("hostname")).trim(), &sandbox.look("box", "{{.Id}}")[..12]);
}

#[test]
fn streams_are_archives() {
    let sandbox = Sandbox::with_alpine();
    two(&sandbox);
    fs::create_dir(sandbox.file("in")).unwrap();
    fs::write(sandbox.file("in/a"), "a\n").unwrap();
    let binary = Sandbox::binary();
    for name in ["still", "runs"] {
        let line = format!(
            "tar -C in --owner 7 --group 8 --numeric-owner -cz a | {binary} cp - {name}:/srv && \
             {binary} cp {name}:/srv - | tar --numeric-owner -tv && {binary} cp {name}:/srv/a - | tar -xO"
        );
        let said = sandbox.run_other("sh", &["-c", &line]).ok();
        assert!(said.contains(" srv/\n") && said.contains(" 7/8 ") && said.ends_with(" srv/a\na\n"), "{said}");
        let line = format!("tar -C in -c a | {binary} cp - {name}:/etc/passwd");
        assert_eq!(sandbox.run_other("sh", &["-c", &line]).code, 1);
    }
    sandbox.ok(&["cp", "still:/srv/a", "runs:/tmp/from-still"]);
    sandbox.ok(&["cp", "runs:/tmp/from-still", "still:/tmp"]);
    sandbox.ok(&["cp", "still:/tmp/from-still", "out"]);
    assert_eq!(text(sandbox.file("out")), "a\n");
}

#[test]
fn owners_and_modes() {
    let sandbox = Sandbox::with_alpine();
    two(&sandbox);
    fs::write(sandbox.file("file"), "").unwrap();
    fs::set_permissions(sandbox.file("file"), PermissionsExt::from_mode(0o4751)).unwrap();
    fs::create_dir(sandbox.file("closed")).unwrap();
    fs::write(sandbox.file("closed/inside"), "").unwrap();
    fs::set_permissions(sandbox.file("closed"), PermissionsExt::from_mode(0o555)).unwrap();
    for name in ["still", "runs"] {
        sandbox.ok(&["cp", "file", &format!("{name}:/srv/file")]);
        sandbox.ok(&["cp", "closed", &format!("{name}:/srv")]);
        sandbox.ok(&["cp", "-a", "file", &format!("{name}:/srv/kept")]);
        let out = format!("out-{name}");
        sandbox.ok(&["cp", &format!("{name}:/srv"), &out]);
        let found = fs::metadata(sandbox.file(format!("{out}/file"))).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o7777), (fs::metadata(sandbox.file("file")).unwrap().uid(), 0o4751));
        assert_eq!(fs::metadata(sandbox.file(format!("{out}/closed"))).unwrap().mode() & 0o7777, 0o555);
    }
    let look = "stat -c '%u:%g %a' /srv/file /srv/kept /srv/closed /srv/closed/inside";
    let said = sandbox.ok(&["exec", "runs", "sh", "-c", look]);
    assert_eq!(said.lines().next(), Some("0:0 4751"), "{said}");
    assert_eq!(said.lines().nth(1), Some("0:0 4751"), "{said}");
    // An owner of an image is kept in an archive, with one id too.
    sandbox.ok(&["exec", "runs", "sh", "-c", "echo x > /srv/nobody; chown 65534:65534 /srv/nobody"]);
    let line = format!("{} cp runs:/srv/nobody - | tar --numeric-owner -tv", Sandbox::binary());
    let listed = sandbox.run_other("sh", &["-c", &line]).ok();
    assert!(listed.contains(" 65534/65534 "), "{listed}");
    // So that the sandbox can be removed.
    for directory in ["closed", "out-still/closed", "out-runs/closed"] {
        fs::set_permissions(sandbox.file(directory), PermissionsExt::from_mode(0o755)).unwrap();
    }
}

/// CVE-2018-15664: a directory that is changed for a link while it is copied from or to.
#[test]
fn a_link_that_comes_meanwhile_leads_nowhere_else() {
    let sandbox = Sandbox::with_alpine();
    let treasure = sandbox.file("treasure");
    fs::create_dir(&treasure).unwrap();
    fs::write(treasure.join("secret"), "secret\n").unwrap();
    let target = treasure.display();
    // The same path on the host holds the secret; in the container it holds nothing.
    let script = format!(
        "mkdir -p /real /trap; echo own > /real/secret; ln -s {target} /link; echo ready; \
         while :; do ln -sfn {target} /trap/x; rm -rf /trap/x; mkdir /trap/x; echo own > /trap/x/secret; rm -rf /trap/x; done"
    );
    sandbox.detached(&["--name", "evil"], &script);
    sandbox.wait_for_log("evil", "ready");
    fs::write(sandbox.file("gift"), "gift\n").unwrap();
    // A link that is there all the time leads into the container.
    assert!(sandbox.fails(1, &["cp", "evil:/link/secret", "out"]).contains("no such file"));
    assert!(sandbox.fails(1, &["cp", "gift", "evil:/link/gift"]).contains("no such directory"));
    for number in 0..40 {
        let out = format!("out{number}");
        let _ = sandbox.run(&["cp", "evil:/trap/x/secret", &out]);
        let _ = sandbox.run(&["cp", "evil:/trap", &format!("dir{number}")]);
        let _ = sandbox.run(&["cp", "gift", "evil:/trap/x/gift"]);
        assert!(
            fs::read_to_string(sandbox.file(&out)).unwrap_or_default() != "secret\n",
            "a file of the host came out"
        );
        assert!(
            fs::read_to_string(sandbox.file(format!("dir{number}/x/secret"))).unwrap_or_default() != "secret\n"
                || sandbox.file(format!("dir{number}/x")).symlink_metadata().unwrap().is_symlink()
        );
    }
    let names: Vec<_> = fs::read_dir(&treasure).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(names, ["secret"], "the host's directory was written to");
    sandbox.ok(&["rm", "-f", "evil"]);
}

/// CVE-2019-14271: libraries of the container that the copying process would load.
#[test]
fn nothing_of_a_container_is_loaded() {
    let sandbox = Sandbox::with_alpine();
    // Every name that a C library looks for, as a program that leaves a mark: were one opened to be run, its reader would
    // fail; were it run, /ran would be there.
    let script = "printf '#!/bin/sh\\ntouch /ran\\n' > /evil; chmod +x /evil; mkdir -p /lib64 /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu; \
                  for d in /lib /lib64 /usr/lib /lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu; do for n in files dns compat; do cp /evil $d/libnss_$n.so.2; done; done; \
                  for p in tar chroot cp sh; do cp /evil /usr/local/bin/$p; done; echo ready; exec sleep 600";
    sandbox.detached(&["--name", "evil"], script);
    sandbox.wait_for_log("evil", "ready");
    fs::write(sandbox.file("file"), "").unwrap();
    let trace = sandbox.file("trace");
    if Path::new("/usr/bin/strace").exists() {
        let words = [
            "-f",
            "-qq",
            "-e",
            "trace=execve,execveat,mmap",
            "-o",
            trace.to_str().unwrap(),
            &Sandbox::binary(),
            "cp",
            "file",
            "evil:/tmp/in",
        ];
        sandbox.run_other("strace", &words).ok();
        let seen = text(&trace);
        assert!(!seen.contains("libnss") && !seen.contains("PROT_EXEC, MAP_PRIVATE|MAP_FIXED"), "{seen}");
        assert_eq!(seen.matches("execve").count(), 1, "{seen}");
    }
    sandbox.ok(&["cp", "file", "evil:/tmp/in"]);
    sandbox.ok(&["cp", "evil:/lib/libnss_files.so.2", "out"]);
    assert!(sandbox.fails(1, &["cp", "evil:/ran", "ran"]).contains("no such file"));
    sandbox.ok(&["stop", "-t", "0", "evil"]);
    sandbox.ok(&["cp", "file", "evil:/tmp/in2"]);
    assert!(sandbox.fails(1, &["cp", "evil:/ran", "ran"]).contains("no such file"));
    wait_until("nothing is left", || sandbox.left_behind().is_empty());
}

#[test]
fn containers_of_their_own_user_namespace() {
    let sandbox = Sandbox::with_alpine();
    sandbox.detached(&["--name", "apart", "--cap-add", "SYS_ADMIN"], "exec sleep 600");
    sandbox.sleeper("other");
    fs::write(sandbox.file("file"), "text\n").unwrap();
    sandbox.ok(&["cp", "file", "apart:/tmp/in"]);
    sandbox.ok(&["cp", "apart:/tmp/in", "other:/tmp/in"]);
    sandbox.ok(&["cp", "other:/tmp/in", "out"]);
    assert_eq!(text(sandbox.file("out")), "text\n");
    assert_eq!(sandbox.ok(&["exec", "apart", "stat", "-c", "%u", "/tmp/in"]), "0\n");
}

#[test]
fn export_is_the_container_without_its_mounts() {
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&[
        "run",
        "--name",
        "box",
        "--network",
        "none",
        "-v",
        "data:/data",
        "alpine",
        "sh",
        "-c",
        "echo d > /data/d; echo own > /own; rm /etc/motd",
    ]);
    let tar = sandbox.file("c.tar");
    sandbox.ok(&["export", "-o", tar.to_str().unwrap(), "box"]);
    let list = || sandbox.run_other("tar", &["-tf", tar.to_str().unwrap()]).ok();
    let stopped = list();
    let has = |listed: &str, name: &str| listed.lines().any(|line| line == name);
    assert!(
        has(&stopped, "own") && has(&stopped, "bin/busybox") && has(&stopped, "data/") && has(&stopped, "etc/hosts"),
        "{stopped}"
    );
    assert!(!has(&stopped, "data/d") && !has(&stopped, "etc/motd"), "{stopped}");
    sandbox.detached(&["--name", "runs", "-v", "data:/data"], "echo own > /own; exec sleep 600");
    wait_until("it has written", || sandbox.run(&["exec", "runs", "cat", "/own"]).stdout == "own\n");
    sandbox.ok(&["export", "-o", tar.to_str().unwrap(), "runs"]);
    let running = list();
    assert!(has(&running, "own") && has(&running, "proc/") && has(&running, "dev/"), "{running}");
    assert!(
        !running.lines().any(|line| line.starts_with("proc/1") || line == "data/d" || line == "dev/null"),
        "{running}"
    );
    // What was exported is an image.
    sandbox.ok(&["import", tar.to_str().unwrap(), "again"]);
    assert_eq!(sandbox.ok(&["run", "--rm", "--network", "none", "again", "cat", "/own"]), "own\n");
    assert!(sandbox.fails(1, &["export", "none"]).contains("no such container"));
}
