//! Damage of every kind of file in the store: nothing panics or hangs, the rest works, and `system check` names and mends it.

use crate::common::registry::Registry;
use crate::common::{Need, Output, Sandbox, User, alpine_tar, require};
use std::fs;
use std::path::{Path, PathBuf};

const REGISTRY: Need = Need::Tool("docker-registry");

/// The kinds of damage that a disk, a crash or a person can do to a file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Damage {
    Empty,
    Cut,
    Flipped,
    Garbage,
    Directory,
}

use Damage::{Cut, Directory, Empty, Flipped, Garbage};

const ALL: [Damage; 5] = [Empty, Cut, Flipped, Garbage, Directory];

impl Damage {
    fn apply(self, path: &Path) {
        let mut bytes = fs::read(path).unwrap_or_default();
        match self {
            Empty => bytes.clear(),
            Cut => bytes.truncate(bytes.len() / 2),
            Flipped => bytes.iter_mut().take(1).for_each(|byte| *byte ^= 0x20),
            Garbage => bytes = (0..200u8).map(|n| n.wrapping_mul(167) ^ 0xc3).collect(),
            Directory => {
                let _ = fs::remove_file(path);
                fs::create_dir(path).unwrap();
                return fs::write(path.join("letter"), "dear").unwrap();
            }
        }
        fs::write(path, bytes).unwrap();
    }
}

/// A store with one of everything: an image that was pulled, one that was made here, what a build remembers, a container
/// that runs and one that has ended.
struct World {
    sandbox: Sandbox,
    /// The registry that the first image was pulled from.
    _registry: Registry,
    small: String,
    pulled: String,
}

impl World {
    fn new() -> Self {
        let registry = Registry::open();
        let sandbox = Sandbox::new();
        sandbox.ok(&["import", "-c", "CMD [\"/bin/sh\"]", alpine_tar().to_str().unwrap(), "alpine"]);
        let (small, pulled) = (registry.image("ann/small"), registry.image("ann/pulled"));
        for name in [&small, &pulled] {
            let mut tar = tar::Builder::new(fs::File::create(sandbox.file("small.tar")).unwrap());
            for file in 0..3 {
                let text = format!("{name} {file}\n").repeat(100);
                let mut header = tar::Header::new_gnu();
                header.set_size(text.len() as u64);
                header.set_mode(0o644);
                tar.append_data(&mut header, format!("file-{file}"), text.as_bytes()).unwrap();
            }
            tar.finish().unwrap();
            sandbox.ok(&["import", "small.tar", name]);
            sandbox.ok(&["push", name]);
        }
        sandbox.ok(&["rmi", &pulled]);
        sandbox.ok(&["pull", &pulled]);
        sandbox.build(
            "FROM alpine AS help\nRUN echo x >/x\nFROM alpine\nCOPY --from=help /x /y\n",
            &["--network", "none"],
        );
        sandbox.sleeper("runs");
        sandbox.ok(&[
            "run",
            "--name",
            "ended",
            "--network",
            "none",
            "alpine",
            "sh",
            "-c",
            "echo said; echo x >/written",
        ]);
        Self { sandbox, _registry: registry, small, pulled }
    }

    fn image(&self, name: &str) -> PathBuf {
        let id = self.sandbox.look(name, "{{.Id}}");
        self.sandbox.root().join("images").join(id.trim_start_matches("sha256:"))
    }

    fn layer(&self, name: &str) -> PathBuf {
        let layer = self.sandbox.look(name, "{{index .RootFS.Layers 0}}");
        self.sandbox.root().join("layers").join(&layer.trim_start_matches("sha256:")[..24])
    }

    fn container(&self, name: &str) -> PathBuf {
        self.sandbox.root().join("containers").join(self.sandbox.look(name, "{{.Id}}"))
    }

    /// Runs what a user may type meanwhile: some of it fails, and must do so in words.
    fn survives(&self, case: &str) {
        self.speaks(
            case,
            &[
                &["ps", "-a"],
                &["images"],
                &["inspect", &self.small],
                &["history", &self.pulled],
                &["inspect", "ended"],
                &["logs", "ended"],
                &["diff", "ended"],
                &["save", "-o", "saved.tar", &self.small],
                &["save", "-o", "saved.tar", &self.pulled],
                &["system", "df"],
            ],
        );
    }

    /// The same for what starts or removes something.
    fn survives_work(&self, case: &str) {
        let build = ["build", "-t", "built", "--network", "none", "context"];
        self.speaks(case, &[&["start", "-a", "ended"], &build, &["rm", "runs"]]);
        // Undamaged images and containers still work.
        assert_eq!(self.sandbox.sh(&[], "echo fine").ok(), "fine\n", "{case}");
    }

    fn speaks(&self, case: &str, commands: &[&[&str]]) {
        for words in commands {
            let output = self.sandbox.run(words);
            let _ = fs::remove_file(self.sandbox.file("saved.tar"));
            assert!(output.code <= 127, "{case}: {words:?}\n{}", output.streams());
            let crashed = output.stderr.contains("panicked") || output.code == 101;
            assert!(!crashed, "{case}: {words:?}\n{}", output.streams());
            let spoke = output.code == 0 || output.stderr.contains("error:") || words[0] == "start";
            assert!(spoke, "{case}: {words:?}\n{}", output.streams());
        }
    }

    /// Damages one file in each way; gives what must be told, and what must be whole again.
    fn suffers(&self, path: &Path, told: &[Damage], kept: &[Damage]) {
        self.suffers_from(path, &ALL, told, kept);
    }

    fn suffers_from(&self, path: &Path, damages: &[Damage], told: &[Damage], kept: &[Damage]) {
        let original = fs::read(path).ok();
        let shown = path.strip_prefix(self.sandbox.root()).unwrap().display().to_string();
        for (number, damage) in damages.iter().enumerate() {
            // A build and a start take long, so only the first and the last kind of damage get them; `system check` covers the others.
            let is_tried_wholly = number == 0 || number + 1 == damages.len();
            let case = format!("{shown}, {damage:?}");
            if let Some(bytes) = original.as_ref().filter(|_| !path.exists()) {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, bytes).unwrap();
            }
            damage.apply(path);
            self.survives(&case);
            if is_tried_wholly {
                self.survives_work(&case);
            }
            if told.contains(damage) && path.exists() {
                let found = self.sandbox.run(&["system", "check"]);
                assert!(found.code == 1 && found.stdout.contains(&shown), "{case}\n{}", found.streams());
            }
            let repaired = self.sandbox.run(&["system", "check", "--repair"]);
            if kept.contains(damage) {
                assert!(repaired.code == 1 && repaired.stdout.contains("not mended"), "{case}\n{}", repaired.streams());
                let _ = fs::remove_dir_all(path);
                fs::write(path, original.as_ref().unwrap()).unwrap();
            } else {
                assert!(repaired.code == 0, "{case}\n{}", repaired.streams());
            }
            let whole = self.sandbox.run(&["system", "check"]);
            assert!(whole.code == 0, "{case}: not whole after the repair\n{}{}", repaired.stdout, whole.streams());
            if is_tried_wholly {
                self.works(&case);
            }
        }
    }

    /// Everything that the world has does what it did.
    fn works(&self, case: &str) {
        let ok = |words: &[&str]| -> Output {
            let output = self.sandbox.run(words);
            assert!(output.code == 0, "{case}: {words:?}\n{}", output.streams());
            output
        };
        for name in [&self.small, &self.pulled] {
            ok(&["save", "-o", "saved.tar", name]);
            fs::remove_file(self.sandbox.file("saved.tar")).unwrap();
        }
        ok(&["exec", "runs", "true"]);
        assert!(ok(&["ps"]).stdout.contains("runs"), "{case}");
        assert!(ok(&["start", "-a", "ended"]).stdout.contains("said"), "{case}");
        assert!(ok(&["diff", "ended"]).stdout.contains("A /written"), "{case}");
    }

    /// Removing everything leaves nothing.
    fn ends(self) {
        let sandbox = &self.sandbox;
        sandbox.ok(&["rm", "-f", "-v", "runs", "ended"]);
        for id in sandbox.ok(&["images", "-q"]).lines() {
            sandbox.ok(&["rmi", "-f", id]);
        }
        sandbox.ok(&["builder", "prune", "-f"]);
        for part in ["images", "names", "layers", "containers", "container-names", "volumes", "tmp", "pending"] {
            assert!(sandbox.stored(part).is_empty(), "{part}: {:?}", sandbox.stored(part));
        }
    }
}

#[test]
fn files_of_images() {
    require!(REGISTRY);
    let world = World::new();
    let name = |name: &str| world.sandbox.root().join("names").join(format!("{name}:latest").replace('/', "+"));
    let manifest = fs::read_dir(world.image(&world.pulled).join("manifests")).unwrap().next().unwrap().unwrap().path();
    for path in [name(&world.small), world.image(&world.pulled).join("config.json"), manifest] {
        world.suffers(&path, &ALL, &[]);
    }
    world.ends();
}

#[test]
fn files_of_layers() {
    require!(REGISTRY);
    let world = World::new();
    let (small, pulled) = (world.layer(&world.small), world.layer(&world.pulled));
    let blob = fs::read_dir(pulled.join("blobs")).unwrap().next().unwrap().unwrap().path();
    for path in [pulled.join("info.json"), blob, pulled.join("locations.json")] {
        world.suffers(&path, &ALL, &[]);
    }
    // Fetched again, it has a blob instead.
    world.suffers_from(&small.join("record.zst"), &[Garbage], &[Garbage], &[]);
    let (small, pulled) = (world.layer(&world.small), world.layer(&world.pulled));
    for tree in [small.join("fs"), small.join("images"), small.join("blobs")] {
        fs::remove_dir_all(&tree).unwrap();
        world.sandbox.ok(&["system", "check", "--repair"]);
        world.works(&tree.display().to_string());
    }
    // A layer is gone altogether.
    fs::remove_dir_all(&pulled).unwrap();
    world.sandbox.ok(&["system", "check", "--repair"]);
    world.works("without a layer");
    // If no registry is known to have the layer, the image is dropped.
    fs::write(world.sandbox.file("file"), "x".repeat(1000)).unwrap();
    world.sandbox.run_other("tar", &["-C", world.sandbox.file("").to_str().unwrap(), "-cf", "local.tar", "file"]).ok();
    world.sandbox.ok(&["import", "local.tar", "local"]);
    fs::remove_dir_all(world.layer("local")).unwrap();
    let said = world.sandbox.ok(&["system", "check", "--repair"]);
    assert!(said.contains("drop the image"), "{said}");
    world.sandbox.ok(&["system", "check"]);
    assert!(!world.sandbox.ok(&["images"]).contains("local"));
    world.ends();
}

#[test]
fn files_of_containers() {
    require!(REGISTRY);
    let world = World::new();
    let ended = world.container("ended");
    // Written anew by the next start.
    world.suffers(&ended.join("state.json"), &[], &[]);
    for part in ["config.json", "belongings.json"] {
        world.suffers(&ended.join(part), &ALL, &[]);
    }
    // The files that the container has written belong to its user: they are kept.
    world.suffers(&ended.join("container.json"), &ALL, &ALL);
    world.ends();
}

#[test]
fn other_files_of_containers() {
    require!(REGISTRY);
    let world = World::new();
    let ended = world.container("ended");
    world.suffers(&ended.join("hosts"), &[Empty, Directory], &[]);
    world.suffers(&ended.join("log.json"), &[Directory], &[]);
    world.suffers(&world.container("runs").join("state.json"), &ALL, &[]);
    world.suffers(&world.sandbox.root().join("container-names/ended"), &ALL, &[]);
    world.ends();
}

#[test]
fn files_of_the_store() {
    require!(REGISTRY);
    let world = World::new();
    let root = world.sandbox.root();
    // Told and put right by the first command that meets it.
    world.suffers(&root.join("ids"), &[], &[]);
    world.suffers(&root.join("layering"), &[Empty, Garbage, Directory], &[]);
    let steps = root.join("builds/steps");
    let step = fs::read_dir(&steps).unwrap().flatten().map(|entry| entry.path()).max().unwrap();
    for part in ["result.json", "inputs.json"] {
        // A build may have done the step again before it is looked at.
        world.suffers_from(&step.join(part), &[Cut, Directory], &[], &[]);
    }
    let last = fs::read_dir(root.join("builds/last")).unwrap().next().unwrap().unwrap().path();
    world.suffers_from(&last, &[Cut, Directory], &[], &[]);
    world.ends();
}

#[test]
fn strays_in_the_store() {
    require!(REGISTRY);
    let world = World::new();
    for damage in [Garbage, Directory] {
        for part in ["pending", "tmp", "images", "layers", "names", "container-names"] {
            damage.apply(&world.sandbox.root().join(part).join("stray"));
        }
        let case = format!("strays, {damage:?}");
        world.survives(&case);
        world.survives_work(&case);
        world.sandbox.ok(&["system", "check", "--repair"]);
        world.sandbox.ok(&["system", "check"]);
        world.works(&case);
    }
    world.ends();
}

#[test]
fn a_running_container_with_a_damaged_state_is_not_removed() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.sleeper("runs");
    let state = sandbox.root().join("containers").join(&id).join("state.json");
    for damage in [ALL.map(Some).as_slice(), &[None]].concat() {
        match damage {
            Some(damage) => damage.apply(&state),
            None => fs::remove_file(&state).unwrap(),
        }
        assert_eq!(sandbox.look("runs", "{{.State.Status}}"), "running", "{damage:?}");
        let said = sandbox.run(&["rm", "runs"]);
        assert!(said.code != 0 && said.stderr.contains("state.json"), "{damage:?}\n{}", said.streams());
        assert!(sandbox.ok(&["ps"]).contains("runs"), "{damage:?}");
        sandbox.ok(&["exec", "runs", "true"]);
        sandbox.ok(&["system", "check", "--repair"]);
        assert_eq!(sandbox.look("runs", "{{.State.Status}}"), "running", "{damage:?}");
    }
    Empty.apply(&state);
    sandbox.ok(&["stop", "-t", "0", "runs"]);
    sandbox.ok(&["rm", "runs"]);
    // One that was only created has none, and that is no damage.
    sandbox.ok(&["create", "--name", "made", "alpine", "true"]);
    assert_eq!(sandbox.look("made", "{{.State.Status}}"), "created");
    sandbox.ok(&["system", "check"]);
}

#[test]
fn files_of_a_layer_that_are_not_as_they_came() {
    let sandbox = Sandbox::new();
    let script = "gzip -c \"$1\" >compressed.tar.gz";
    sandbox.run_other("sh", &["-c", script, "sh", alpine_tar().to_str().unwrap()]).ok();
    for archive in [alpine_tar(), sandbox.file("compressed.tar.gz")] {
        let archive = archive.display().to_string();
        sandbox.ok(&["import", &archive, "alpine"]);
        let layer = sandbox.look("alpine", "{{index .RootFS.Layers 0}}");
        let tree = sandbox.root().join("layers").join(&layer.trim_start_matches("sha256:")[..24]).join("fs");
        let inside = |script: &str| sandbox.sh(&[], script);
        type Harm<'a> = &'a dyn Fn(&Path);
        let damages: [(&str, Harm); 5] = [
            ("etc/alpine-release", &|file| Flipped.apply(file)),
            ("etc/passwd", &|file| Cut.apply(file)),
            ("etc/os-release", &|file| {
                fs::remove_file(file).unwrap();
                std::os::unix::fs::symlink("/elsewhere", file).unwrap();
            }),
            ("etc/group", &|file| fs::remove_file(file).unwrap()),
            ("usr/share/apk", &|directory| fs::remove_dir_all(directory).unwrap()),
        ];
        let sound = inside("cat /etc/alpine-release /etc/passwd /etc/group; ls -R /usr/share/apk").ok();
        for (path, damage) in damages {
            damage(&tree.join(path));
            let found = sandbox.run(&["system", "check"]);
            // The only copy of a file's contents is the file, where the layer came uncompressed.
            let told = found.stdout.contains(path) || found.stdout.contains("record.zst");
            assert!(found.code == 1 && told, "{archive}, {path}\n{}", found.streams());
            if archive.ends_with(".gz") {
                sandbox.ok(&["system", "check", "--repair"]);
                sandbox.ok(&["system", "check"]);
                assert_eq!(inside("cat /etc/alpine-release /etc/passwd /etc/group; ls -R /usr/share/apk").ok(), sound);
            } else {
                sandbox.ok(&["rmi", "-f", "alpine"]);
                sandbox.ok(&["import", &archive, "alpine"]);
            }
        }
        sandbox.ok(&["rmi", "-f", "alpine"]);
    }
}

#[test]
fn an_empty_name_names_its_container_all_the_same() {
    let sandbox = Sandbox::with_alpine();
    sandbox.sleeper("web");
    fs::write(sandbox.root().join("container-names/web"), "").unwrap();
    let said = sandbox.run(&["exec", "web", "echo", "here"]);
    assert!(
        said.code == 0 && said.stdout == "here\n" && said.stderr.contains("container-names/web"),
        "{}",
        said.streams()
    );
    sandbox.ok(&["rm", "-f", "web"]);
    assert!(sandbox.stored("container-names").is_empty());
    sandbox.sleeper("web");
}

#[test]
fn a_store_that_is_read_only_can_be_read() {
    // As the kernel leaves a file system that has faults: what is in it can still be rescued.
    require!(Need::As(User::Root), Need::Tool("unshare"));
    let sandbox = Sandbox::with_alpine();
    let within = |script: &str| {
        let script = format!("mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && {script}");
        let store = sandbox.root().display().to_string();
        sandbox.run_other("unshare", &["--mount", "sh", "-c", &script, &store, &Sandbox::binary()])
    };
    let reads = "for words in images 'history alpine' 'save -o /dev/null alpine' 'system df' 'system check' 'ps -a'; do
            \"$1\" $words >/dev/null || echo no $words; done";
    // Before there is any container, and with one.
    assert_eq!(within(reads).ok(), "");
    sandbox.ok(&["run", "--network", "none", "--name", "ended", "alpine", "touch", "/x"]);
    sandbox.sleeper("runs");
    let all =
        format!("{reads}; \"$1\" diff ended; \"$1\" exec runs echo here; \"$1\" why runs >/dev/null && echo told");
    assert_eq!(within(&all).ok(), "A /x\nhere\ntold\n");
    let refused = within("\"$1\" rm ended").fails(1);
    assert!(refused.contains("read-only file system") && refused.contains("dmesg"), "{refused}");
}
