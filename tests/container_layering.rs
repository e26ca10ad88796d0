//! Hosts whose kernel lays no overlay over the store: here, because the store lies on an overlay itself, as it does in an
//! outer container.
use crate::common::{self, Need, Sandbox, alpine_tar, finish, require};

/// Runs a shell script, root of its own namespaces, with the store on an overlay. `minirun` is on its path.
fn on_an_overlay(sandbox: &Sandbox, script: &str) -> common::Output {
    let mut command = sandbox.other("unshare");
    let set_up = "mkdir l u w m; mount -t overlay overlay -o lowerdir=l,upperdir=u,workdir=w m || exit 99
        export MINIRUN_ROOT=$PWD/m/store
        minirun() { \"$MINIRUN\" \"$@\"; }
        minirun import -c 'CMD [\"sh\"]' \"$ALPINE\" alpine >/dev/null || exit 98\n";
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &format!("{set_up}{script}")]);
    command.env("MINIRUN", Sandbox::binary()).env("ALPINE", alpine_tar());
    finish(&mut command)
}

#[test]
fn without_any_overlay_the_image_is_copied_and_that_is_said_once() {
    let sandbox = Sandbox::new();
    let output = on_an_overlay(
        &sandbox,
        "fuse=$(command -v fuse-overlayfs); [ -z \"$fuse\" ] || mount --bind /dev/null \"$fuse\"
        minirun run --rm --network none alpine cat /etc/alpine-release
        minirun run --name kept --network none alpine sh -c 'echo once >>/kept; cat /kept'
        minirun start -a kept
        minirun diff kept
        minirun rm kept",
    );
    assert!(output.stdout.starts_with("3."), "{}", output.streams());
    assert!(output.stdout.contains("once\nonce\nonce\nkept"), "{}", output.streams());
    assert_eq!(output.stderr.matches("copies its image").count(), 1, "{}", output.streams());
    assert!(output.stderr.contains("cannot compare container"), "{}", output.streams());
}

#[test]
fn a_build_goes_on_without_any_overlay() {
    let sandbox = Sandbox::new();
    let output = on_an_overlay(
        &sandbox,
        "fuse=$(command -v fuse-overlayfs); [ -z \"$fuse\" ] || mount --bind /dev/null \"$fuse\"
        mkdir context; echo page >context/page
        printf 'FROM alpine\\nCOPY page /srv/\\nRUN rm /etc/motd && chmod 4755 /srv/page && mkdir /new\\nCOPY --from=alpine /etc/motd /copied\\n' >context/Dockerfile
        minirun build -q -t built context >/dev/null
        minirun run --rm --network none built sh -c 'ls /etc/motd 2>&1; stat -c %a /srv/page; ls -d /new /copied'
        minirun history built",
    );
    for line in ["ls: /etc/motd: No such file", "4755\n", "/copied\n/new\n", "5B\n", "284B\n"] {
        assert!(output.stdout.contains(line), "{line}: {}", output.streams());
    }
    assert_eq!(output.stderr.matches("copies its image").count(), 1, "{}", output.streams());
}

#[test]
fn fuse_overlayfs_takes_the_kernels_place_and_commit_still_works() {
    require!(Need::Tool("fuse-overlayfs"), Need::Fuse);
    let sandbox = Sandbox::new();
    let output = on_an_overlay(
        &sandbox,
        "minirun run --name changed --network none alpine sh -c 'echo new >/etc/motd; rm -r /etc/apk; mkdir /etc/apk; rm /etc/issue'
        minirun diff changed
        minirun commit changed next >/dev/null
        minirun run --rm --network none next sh -c 'cat /etc/motd; ls -A /etc/apk; [ -e /etc/issue ] || echo gone'
        for _ in 1 2 3 4 5 6 7 8 9 10; do
          left=$(ls $MINIRUN_ROOT/tmp; for p in /proc/[0-9]*; do
            [ \"$(readlink $p/cwd)\" != \"$MINIRUN_ROOT\" ] || tr '\\0' ' ' <$p/cmdline; done 2>/dev/null)
          [ -n \"$left\" ] || break; sleep 0.2
        done
        echo \"left: $left.\"
        minirun rm changed",
    );
    for line in ["left: .", "C /etc/motd", "D /etc/issue", "D /etc/apk/world", "new\ngone"] {
        assert!(output.stdout.contains(line), "{line}: {}", output.streams());
    }
    assert_eq!(output.stderr.matches("fuse-overlayfs does").count(), 1, "{}", output.streams());
}

#[test]
fn an_image_without_layers_runs_and_changes_nothing_for_others() {
    let sandbox = Sandbox::with_alpine();
    sandbox.build("FROM scratch\nCMD [\"/program\"]\n", &["-t", "empty"]);
    let said = sandbox.fails(127, &["run", "--name", "nothing", "--network", "none", "empty"]);
    assert!(!said.contains("overlay"), "{said}");
    // A kernel's overlay gives the container what is mounted into it, and tells its changes.
    let busybox = "/bin/busybox:/busybox:ro";
    if std::path::Path::new("/bin/busybox").exists() {
        let words =
            ["run", "--name", "writer", "--network", "none", "-v", busybox, "empty", "/busybox", "touch", "/made"];
        sandbox.ok(&words);
        assert_eq!(sandbox.ok(&["diff", "writer"]), "A /made\n");
        sandbox.ok(&["commit", "writer", "made"]);
    }
    assert!(!sandbox.root().join("layering").exists());
    sandbox.ok(&["run", "--name", "changed", "--network", "none", "alpine", "touch", "/made"]);
    assert_eq!(sandbox.ok(&["diff", "changed"]), "A /made\n");
}

#[test]
fn what_is_remembered_of_the_kernel_is_taken_back_when_it_can() {
    let sandbox = Sandbox::with_alpine();
    let remembered = sandbox.root().join("layering");
    let run = || sandbox.ok(&["run", "--rm", "--network", "none", "alpine", "cat", "/proc/mounts"]);
    // Of another boot: tried again by the first start.
    std::fs::write(&remembered, "copy").unwrap();
    assert!(run().contains(" / overlay "));
    assert!(!remembered.exists());
    // Of this one: doctor tries, and says so.
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    std::fs::write(&remembered, format!("copy {}", boot.trim())).unwrap();
    sandbox.ok(&["create", "--name", "copied", "--network", "none", "alpine", "sh", "-c", "echo x >>/x; wc -l </x"]);
    assert_eq!(sandbox.ok(&["start", "-a", "copied"]), "1\n");
    let said = sandbox.run(&["doctor"]).stdout;
    assert!(said.contains("was removed"), "{said}");
    assert!(!remembered.exists());
    assert!(run().contains(" / overlay "));
    // A container keeps what it wrote, wherever that lies.
    assert_eq!(sandbox.ok(&["start", "-a", "copied"]), "2\n");
}

#[test]
fn what_an_outer_container_forbids_is_said_as_doctor_says_it() {
    let sandbox = Sandbox::new();
    // As Docker leaves /proc to a container that may do everything else.
    let script = "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys || exit 99
        \"$MINIRUN\" import \"$0\" alpine >/dev/null
        \"$MINIRUN\" run --rm --network none alpine true; echo \"ended $?\"; \"$MINIRUN\" doctor";
    let mut command = sandbox.other("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).env("MINIRUN", Sandbox::binary());
    command.env("MINIRUN_ROOT", sandbox.file("inner"));
    command.args([alpine_tar().to_str().unwrap()]);
    let output = finish(&mut command);
    assert!(output.stdout.contains("ended 125"), "{}", output.streams());
    for line in ["net.ipv4.ping_group_range", "cannot mount proc on /proc", "systempaths=unconfined"] {
        assert!(output.stderr.contains(line), "{line}: {}", output.streams());
    }
    assert!(output.stdout.contains("systempaths=unconfined"), "{}", output.streams());
}
