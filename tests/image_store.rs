//! The store under stress: many at once, killed at any moment, no room left. What is there stays whole, and nothing
//! half-done stays.

use crate::common::hostile;
use crate::common::{self, Need, Sandbox, User, require};
use hostile::Tape;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn names_in(path: &Path) -> BTreeSet<String> {
    fs::read_dir(path).into_iter().flatten().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

/// Every name has its image, every image its layers, every layer its users; nothing else is there.
#[track_caller]
fn check_whole(root: &Path) {
    let images = names_in(&root.join("images"));
    let json = |path: &Path| -> Value {
        serde_json::from_slice(&fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap()
    };
    let mut used = BTreeSet::new();
    for image in &images {
        let directory = root.join("images").join(image);
        for diff_id in json(&directory.join("config.json"))["rootfs"]["diff_ids"].as_array().unwrap() {
            let hex = diff_id.as_str().unwrap().strip_prefix("sha256:").unwrap();
            let layer = root.join("layers").join(&hex[..24]);
            assert_eq!(json(&layer.join("info.json"))["diffId"], *diff_id);
            assert!(layer.join("fs").is_dir());
            assert!(layer.join("images").join(image).exists(), "layer {hex} does not know its image {image}");
            used.insert(hex[..24].to_owned());
        }
        assert!(!names_in(&directory.join("manifests")).is_empty());
    }
    for name in names_in(&root.join("names")) {
        let image = json(&root.join("names").join(&name))["image"].as_str().unwrap()["sha256:".len()..].to_owned();
        assert!(images.contains(&image), "{name} stands for nothing");
        assert!(
            root.join("images").join(&image).join("names").join(&name).exists(),
            "{name} is not known to its image"
        );
    }
    assert_eq!(names_in(&root.join("layers")), used, "layers that nobody uses");
    for layer in used {
        let users = names_in(&root.join("layers").join(layer).join("images"));
        assert!(users.is_subset(&images), "a layer is held by an image that is not there");
    }
    assert_eq!(names_in(&root.join("tmp")), BTreeSet::new());
    assert_eq!(names_in(&root.join("pending")), BTreeSet::new());
}

/// Three archives of two layers each: one layer is in all of them, and each has one of its own.
fn archives(sandbox: &Sandbox) -> Vec<String> {
    let layer = |name: &str| {
        let files = (0..60).fold(Tape::new(), |tape, n| {
            tape.directory(format!("{name}/{n}")).file(format!("{name}/{n}/file"), format!("{name}{n}").repeat(1000))
        });
        files.end()
    };
    let shared = layer("shared");
    (0..3)
        .map(|n| {
            let own = layer(&format!("own-{n}"));
            let digest = minirun::exposed::Digest::of;
            let config = serde_json::json!({
                "architecture": std::env::consts::ARCH.replace("x86_64", "amd64").replace("aarch64", "arm64"),
                "os": "linux", "rootfs": { "type": "layers", "diff_ids": [digest(&shared), digest(&own)] },
            });
            let images = serde_json::json!([{
                "Config": "config", "RepoTags": [format!("image-{n}:1"), "moving:1"], "Layers": ["shared", "own"],
            }]);
            let archive = Tape::new()
                .file("manifest.json", images.to_string())
                .file("config", config.to_string())
                .file("shared", &shared)
                .file("own", &own);
            let name = format!("image-{n}.tar");
            fs::write(sandbox.file(&name), archive.end()).unwrap();
            name
        })
        .collect()
}

#[test]
fn many_load_and_remove_at_once() {
    let sandbox = Sandbox::new();
    archives(&sandbox);
    std::thread::scope(|scope| {
        for n in 0..20 {
            let sandbox = &sandbox;
            scope.spawn(move || {
                let archive = format!("image-{}.tar", n % 2);
                for _ in 0..3 {
                    let loaded = sandbox.run(&["load", "-i", &archive]);
                    assert_eq!(loaded.code, 0, "{}", loaded.streams());
                    let name = if n % 4 < 2 { format!("image-{}:1", n % 2) } else { "moving:1".to_owned() };
                    let removed = sandbox.run(&["rmi", &name]);
                    let gone = removed.code == 1 && removed.stderr.contains("no such image");
                    assert!(removed.code == 0 || gone, "{}", removed.streams());
                    sandbox.ok(&["images"]);
                }
            });
        }
    });
    sandbox.ok(&["load", "-i", "image-2.tar"]);
    check_whole(&sandbox.root());
    for image in sandbox.ok(&["images", "-q"]).lines() {
        sandbox.ok(&["rmi", "-f", image]);
    }
    check_whole(&sandbox.root());
    assert_eq!(names_in(&sandbox.root().join("layers")), BTreeSet::new());
}

#[test]
fn a_container_and_an_image_removed_at_once_do_not_hurt_each_other() {
    let sandbox = Sandbox::with_alpine();
    for _ in 0..10 {
        sandbox.ok(&["tag", "alpine", "going"]);
        std::thread::scope(|scope| {
            let create = scope.spawn(|| sandbox.run(&["create", "--pull", "never", "going", "true"]));
            let remove = scope.spawn(|| (sandbox.run(&["rmi", "going"]), sandbox.run(&["rmi", "alpine"])));
            let (created, _) = (create.join().unwrap(), remove.join().unwrap());
            if created.code == 0 {
                let id = created.stdout.trim();
                sandbox.ok(&["start", id]);
                sandbox.ok(&["rm", "-f", id]);
            } else {
                assert!(created.stderr.contains("no such image"), "{}", created.streams());
            }
        });
        let alpine = common::alpine_tar();
        sandbox.ok(&["import", "-c", "CMD [\"/bin/sh\"]", alpine.to_str().unwrap(), "alpine"]);
    }
}

/// Starts a command, and kills it after a while with all its processes.
fn kill_after(sandbox: &Sandbox, arguments: &[&str], delay: Duration) {
    use std::os::unix::process::CommandExt;
    let mut command = sandbox.command(arguments);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).spawn().unwrap();
    std::thread::sleep(delay);
    let group = rustix::process::Pid::from_child(&child);
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    child.wait().unwrap();
}

#[test]
fn killed_at_any_moment_nothing_is_lost_and_nothing_is_left() {
    let sandbox = Sandbox::new();
    archives(&sandbox);
    fs::write(sandbox.file("small.tar"), Tape::new().file("small", "x").end()).unwrap();
    sandbox.ok(&["load", "-i", "image-2.tar"]);
    let stays = sandbox.ok(&["images", "-q", "image-2"]);
    let begun = Instant::now();
    sandbox.ok(&["load", "-i", "image-0.tar"]);
    let whole = begun.elapsed();
    sandbox.ok(&["rmi", "-f", "image-0:1"]);
    // Moments spread over the whole of each command, in an order that is the same each time.
    for n in 0..42u32 {
        let delay = whole * (n * 37 % 100) / 90;
        match n % 3 {
            0 => kill_after(&sandbox, &["load", "-i", "image-0.tar"], delay),
            1 => {
                sandbox.ok(&["load", "-i", "image-1.tar"]);
                kill_after(&sandbox, &["rmi", "-f", "image-1:1", "moving:1"], delay);
            }
            _ => kill_after(&sandbox, &["import", "-m", &n.to_string(), "image-2.tar", "imported"], delay),
        }
        // The kernel may take its time to end a process that waits for the disk, which holds its locks until then.
        common::wait_until("the next command has swept up", || {
            sandbox.ok(&["import", "small.tar", "small"]);
            sandbox.ok(&["rmi", "small"]);
            names_in(&sandbox.root().join("pending")).is_empty() && names_in(&sandbox.root().join("tmp")).is_empty()
        });
        check_whole(&sandbox.root());
        assert_eq!(sandbox.ok(&["images", "-q", "image-2"]), stays);
    }
    for image in sandbox.ok(&["images", "-q"]).lines() {
        sandbox.ok(&["rmi", "-f", image]);
    }
    check_whole(&sandbox.root());
    assert_eq!(names_in(&sandbox.root().join("layers")), BTreeSet::new());
}

/// A process that dies while it gives a layer back leaves the claims on both the image and the layer.
#[test]
fn what_a_killed_process_had_claimed_together_is_finished() {
    let sandbox = Sandbox::new();
    archives(&sandbox);
    sandbox.ok(&["load", "-i", "image-0.tar"]);
    let layer = sandbox.look("image-0:1", "{{index .RootFS.Layers 0}}");
    let pending = sandbox.root().join("pending");
    fs::create_dir_all(&pending).unwrap();
    fs::write(pending.join(format!("image-{:064x}", 7)), format!("[\"{layer}\"]")).unwrap();
    fs::write(pending.join(layer.replace("sha256:", "layer-")), "").unwrap();
    sandbox.ok(&["load", "-i", "image-1.tar"]);
    assert_eq!(names_in(&pending), BTreeSet::new());
    check_whole(&sandbox.root());
}

#[test]
fn without_room_the_store_is_as_before() {
    require!(Need::As(User::Root));
    let sandbox = Sandbox::new();
    archives(&sandbox);
    let many = (0..200).fold(Tape::new(), |tape, n| tape.file(n.to_string(), "x".repeat(8000)));
    fs::write(sandbox.file("many.tar"), many.end()).unwrap();
    fs::create_dir(sandbox.root()).unwrap();
    // A store that has room for one image, or for hardly more files, in a mount namespace of its own.
    for limit in ["size=1300k", "size=100m,nr_inodes=330"] {
        let script = format!(
            "set -e
             mount -t tmpfs -o {limit} tmpfs '{root}'
             {minirun} load -i image-0.tar
             before=$(cd '{root}'; find . | sort; du -s .)
             for n in 1 2 3; do
                 if {minirun} load -i image-1.tar; then exit 9; fi
                 if {minirun} import many.tar other:1; then exit 8; fi
             done
             {minirun} images -q >/dev/null
             after=$(cd '{root}'; find . | sort; du -s .)
             [ \"$before\" = \"$after\" ] || {{ echo \"$before\"; echo; echo \"$after\"; exit 7; }}
             {minirun} rmi -f image-0:1 moving:1
             {minirun} load -i image-1.tar",
            root = sandbox.root().display(),
            minirun = Sandbox::binary()
        );
        let result = sandbox.run_other("unshare", &["-m", "sh", "-c", &script]);
        assert_eq!(result.code, 0, "{limit}\n{}", result.streams());
        let said = ["no space left on device", "free on the disk"].map(|words| result.stderr.contains(words));
        assert!(said.contains(&true), "{}", result.streams());
        assert!(
            result.stderr.contains("the disk is full; see what minirun holds: minirun system df"),
            "{}",
            result.streams()
        );
    }
}

#[test]
fn a_layer_may_be_no_longer_than_the_disk_has_room_for() {
    require!(Need::As(User::Root));
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.root()).unwrap();
    // Zeros compress a thousandfold: what arrives is small, and nothing need be written to see that it is too much.
    let script = format!(
        "mount -t tmpfs -o size=8m tmpfs '{root}'
         (head -c 512 /dev/zero | tr '\\0' x; head -c 300M /dev/zero) >zeros
         tar cf - zeros | gzip >zeros.tar.gz
         {minirun} import zeros.tar.gz big",
        root = sandbox.root().display(),
        minirun = Sandbox::binary()
    );
    let said = sandbox.run_other("unshare", &["-m", "sh", "-c", &script]).fails(1);
    assert!(said.contains("bytes that are free on the disk") && said.contains("minirun system df"), "{said}");
}

#[test]
fn disk_usage_is_what_du_says() {
    let sandbox = Sandbox::new();
    for archive in archives(&sandbox) {
        sandbox.ok(&["load", "-i", &archive]);
    }
    let store = minirun::exposed::Store { root: sandbox.root(), runtime: sandbox.runtime() };
    let usage = minirun::exposed::disk_usage(&store).unwrap();
    let script = "du -s --block-size=1 images names layers | awk '{ sum += $1 } END { print sum }'";
    let mut du = sandbox.other("sh");
    let du = common::finish(du.current_dir(sandbox.root()).args(["-c", script])).ok();
    assert_eq!(usage.total.to_string(), du.trim());
    assert_eq!(usage.images.len(), 3);
    assert!(usage.images.iter().all(|image| image.shared > 0 && image.size > image.shared));
    assert_eq!(
        usage.reclaimable,
        usage.total - ["images", "names", "layers"].iter().map(|d| own_size(&sandbox, d)).sum::<u64>()
    );
    assert!(usage.orphans.is_empty());
}

/// What a directory takes besides what is counted for images.
fn own_size(sandbox: &Sandbox, directory: &str) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let path = sandbox.root().join(directory);
    let own = fs::metadata(&path).unwrap().blocks() * 512;
    let files = fs::read_dir(&path).unwrap().map(|e| e.unwrap().metadata().unwrap());
    own + if directory == "names" { files.map(|m| m.blocks() * 512).sum() } else { 0 }
}
