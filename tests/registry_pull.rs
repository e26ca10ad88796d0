//! `pull` and `push`, from and to Debian's docker-registry, with skopeo, podman and umoci as witnesses.

use crate::common::registry::Registry;
use crate::common::{self, Need, Sandbox, User, require};

const REGISTRY: Need = Need::Tool("docker-registry");

/// The value after this word in what `push` or `pull` printed.
fn digest_in(text: &str) -> String {
    let word = text.split_whitespace().find(|word| word.starts_with("sha256:"));
    word.unwrap_or_else(|| panic!("no digest in {text}")).to_owned()
}

fn short_layer(sandbox: &Sandbox, image: &str) -> String {
    let layer = sandbox.look(image, "{{index .RootFS.Layers 0}}");
    layer.trim_start_matches("sha256:")[..12].to_owned()
}

#[test]
fn push_and_pull_print_what_docker_prints() {
    require!(REGISTRY);
    let registry = Registry::open();
    let sandbox = Sandbox::with_alpine();
    let name = registry.image("ann/mynginx");
    sandbox.ok(&["tag", "alpine", &format!("{name}:v1")]);
    let layer = short_layer(&sandbox, "alpine");

    let pushed = sandbox.ok(&["push", &format!("{name}:v1")]);
    let lines: Vec<&str> = pushed.lines().collect();
    assert_eq!(lines[..2], [format!("The push refers to repository [{name}]"), format!("{layer}: Pushed")]);
    let digest = digest_in(lines[2]);
    let size = lines[2].strip_prefix(&format!("v1: digest: {digest} size: ")).expect("the size");
    assert!(size.parse::<u32>().is_ok() && lines.len() == 3, "{pushed}");
    let again = sandbox.ok(&["push", &format!("{name}:v1")]);
    assert_eq!(again.lines().nth(1), Some(format!("{layer}: Layer already exists").as_str()));
    assert_eq!(digest_in(&again), digest);
    sandbox.ok(&["tag", "alpine", &registry.image("ann/other")]);
    let mounted = sandbox.ok(&["push", &registry.image("ann/other")]);
    assert_eq!(mounted.lines().next(), Some("Using default tag: latest"));
    assert_eq!(mounted.lines().nth(2), Some(format!("{layer}: Mounted from ann/mynginx").as_str()));
    assert_eq!(digest_in(&mounted), digest);

    let fresh = Sandbox::new();
    let pulled = fresh.ok(&["pull", &format!("{name}:v1")]);
    let blob = pulled.lines().nth(1).and_then(|line| line.split(':').next()).expect("a layer").to_owned();
    let expected = [
        "v1: Pulling from ann/mynginx".to_owned(),
        format!("{blob}: Pulling fs layer"),
        format!("{blob}: Download complete"),
        format!("{blob}: Pull complete"),
        format!("Digest: {digest}"),
        format!("Status: Downloaded newer image for {name}:v1"),
        format!("{name}:v1"),
    ];
    assert_eq!(pulled.lines().collect::<Vec<_>>(), expected);
    let again = fresh.ok(&["pull", &format!("{name}:v1")]);
    assert!(again.contains(&format!("Status: Image is up to date for {name}:v1")), "{again}");
    let other = fresh.ok(&["pull", &registry.image("ann/other")]);
    assert!(other.starts_with("Using default tag: latest\nlatest: Pulling from ann/other\n"), "{other}");
    assert!(other.contains(&format!("{blob}: Already exists\n")), "{other}");
    assert_eq!(fresh.ok(&["pull", "-q", &format!("{name}:v1")]), format!("{name}:v1\n"));

    // It is the same image, and it runs.
    let id = |sandbox: &Sandbox, image: &str| sandbox.look(image, "{{.Id}}");
    assert_eq!(id(&fresh, &format!("{name}:v1")), id(&sandbox, "alpine"));
    assert_eq!(fresh.ok(&["run", "--rm", "--network", "none", &format!("{name}:v1"), "echo", "hello"]), "hello\n");
}

#[test]
fn what_was_pulled_is_pushed_with_the_same_digest() {
    require!(REGISTRY, Need::Tool("skopeo"));
    let (from, to) = (Registry::open(), Registry::open());
    let sandbox = Sandbox::with_alpine();
    // As another program makes and compresses it, and in Docker's own format.
    let archive = sandbox.file("alpine.tar");
    sandbox.ok(&["save", "-o", archive.to_str().unwrap(), "alpine"]);
    for format in ["oci", "v2s2"] {
        let name = from.image(&format!("library/{format}"));
        let source = format!("docker-archive:{}", archive.display());
        let copied = ["copy", "--format", format, "--dest-tls-verify=false", &source, &format!("docker://{name}:1")];
        sandbox.run_other("skopeo", &copied).ok();
        let fresh = Sandbox::new();
        let digest = digest_in(&fresh.ok(&["pull", &format!("{name}:1")]));
        let target = to.image(&format!("ann/{format}:1"));
        fresh.ok(&["tag", &format!("{name}:1"), &target]);
        assert_eq!(digest_in(&fresh.ok(&["push", &target])), digest, "{format}");
        let target = from.image(&format!("ann/{format}:2"));
        fresh.ok(&["tag", &format!("{name}:1"), &target]);
        let pushed = fresh.ok(&["push", &target]);
        assert!(pushed.contains(&format!("Mounted from library/{format}\n")), "{pushed}");
        assert_eq!(digest_in(&pushed), digest, "{format}");
    }
}

#[test]
fn others_agree_with_what_was_pushed() {
    require!(REGISTRY, Need::Tool("skopeo"), Need::Tool("umoci"));
    let registry = Registry::open();
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["run", "--name", "made", "--network", "none", "alpine", "sh", "-c", "echo new >/new; rm -r /etc/apk"]);
    for compression in ["gzip", "zstd"] {
        let name = registry.image(&format!("ann/{compression}:1"));
        sandbox.ok(&["commit", "made", &name]);
        let digest = digest_in(&sandbox.ok(&["push", "--compression", compression, &name]));
        let inspected =
            sandbox.run_other("skopeo", &["inspect", "--tls-verify=false", &format!("docker://{name}")]).ok();
        assert!(inspected.contains(&format!("\"Digest\": \"{digest}\"")), "{inspected}");
        let layout = format!("oci:{}:1", sandbox.file(compression).display());
        let copy = ["copy", "--src-tls-verify=false", &format!("docker://{name}"), &layout];
        sandbox.run_other("skopeo", &copy).ok();
        let bundle = sandbox.file(format!("{compression}-bundle"));
        // Debian's umoci knows no zstd.
        if compression == "gzip" {
            let layout = format!("{}:1", sandbox.file(compression).display());
            let mut unpack = vec!["unpack", "--image", &layout, bundle.to_str().unwrap()];
            if common::user() != User::Root {
                unpack.insert(1, "--rootless");
            }
            sandbox.run_other("umoci", &unpack).ok();
            let root = bundle.join("rootfs");
            assert_eq!(std::fs::read_to_string(root.join("new")).unwrap(), "new\n");
            assert!(root.join("bin/busybox").exists() && !root.join("etc/apk").exists());
        }
    }
}

#[test]
fn podman_runs_what_was_pushed() {
    require!(REGISTRY, Need::Tool("podman"), Need::As(User::Root));
    let registry = Registry::open();
    let sandbox = Sandbox::with_alpine();
    let storage = tempfile::tempdir().unwrap();
    let path = |name: &str| storage.path().join(name).display().to_string();
    let podman = |arguments: &[&str]| {
        let own = ["--root", &path("root"), "--runroot", &path("run"), "--storage-driver", "vfs"];
        sandbox.run_other("podman", &[&own[..], arguments].concat()).ok()
    };
    for compression in ["gzip", "zstd"] {
        let name = registry.image(&format!("ann/{compression}"));
        sandbox.ok(&["tag", "alpine", &name]);
        sandbox.ok(&["push", "--compression", compression, &name]);
        let id = podman(&["pull", "-q", "--tls-verify=false", &name]);
        assert_eq!(format!("sha256:{}", id.trim()), sandbox.look("alpine", "{{.Id}}"));
    }
}

#[test]
fn run_and_create_pull_what_is_missing() {
    require!(REGISTRY);
    let registry = Registry::open();
    let sandbox = Sandbox::with_alpine();
    let name = registry.image("ann/alpine:1");
    sandbox.ok(&["tag", "alpine", &name]);
    sandbox.ok(&["push", &name]);
    let fresh = Sandbox::new();
    let quiet = ["--network", "none", "--rm"];
    let run = |flags: &[&str]| fresh.run(&[&["run"], flags, &quiet, &[&name, "echo", "hello"]].concat());
    let said = run(&["--pull", "never"]).fails(125);
    assert!(said.contains("no such image"), "{said}");
    let first = run(&[]);
    assert_eq!((first.code, first.stdout.as_str()), (0, "hello\n"), "{}", first.streams());
    let said = first.stderr;
    // A user with one id hears of that first.
    let lines: Vec<&str> = said.lines().filter(|line| !line.starts_with("note: ")).collect();
    let missing = format!("Unable to find image '{name}' locally");
    assert_eq!(lines[..2], [missing.as_str(), "1: Pulling from ann/alpine"], "{said}");
    assert!(said.contains(&format!("Status: Downloaded newer image for {name}\n")), "{said}");
    assert_eq!(run(&[]).stderr, "");
    let always = run(&["--pull=always"]);
    assert!(always.stderr.contains("Status: Image is up to date"), "{}", always.streams());
    assert_eq!(run(&["--pull", "always", "-q"]).stderr, "");
    let said = fresh.fails(125, &["create", &registry.image("ann/none")]);
    assert!(said.contains("not found"), "{said}");
    let said = fresh.fails(125, &["create", &registry.image("ann/alpin:1")]);
    assert!(said.contains(&format!("did you mean: {name}")), "{said}");
    let digest = fresh.look(&name, "{{index .RepoDigests 0}}");
    fresh.ok(&["rmi", &name]);
    fresh.ok(&["create", "--name", "made", "-q", &digest]);
    assert_eq!(fresh.look("made", "{{.Config.Image}}"), digest);
}

#[test]
fn a_name_that_is_not_there_is_answered_with_those_that_are() {
    require!(REGISTRY);
    let registry = Registry::open();
    let sandbox = Sandbox::with_alpine();
    for tag in ["3.20", "3.19", "latest"] {
        let name = registry.image(&format!("ann/alpine:{tag}"));
        sandbox.ok(&["tag", "alpine", &name]);
        sandbox.ok(&["push", &name]);
    }
    let said = sandbox.fails(1, &["pull", &registry.image("ann/alpine:3.2")]);
    assert!(said.contains("not found") && said.contains("it has the tags: latest, 3.20, 3.19"), "{said}");
    let said = sandbox.fails(1, &["push", &registry.image("ann/nosuch")]);
    assert!(said.contains("does not exist locally") && said.contains("minirun tag"), "{said}");
    let said = sandbox.fails(1, &["pull", "nosuch.invalid/a"]);
    assert!(said.contains("host not found") && said.contains("no name server knows this host"), "{said}");
}

#[test]
fn all_tags_go_and_come_at_once() {
    require!(REGISTRY);
    let registry = Registry::open();
    let sandbox = Sandbox::with_alpine();
    let name = registry.image("ann/alpine");
    for tag in ["1", "2", "latest"] {
        sandbox.ok(&["tag", "alpine", &format!("{name}:{tag}")]);
    }
    let pushed = sandbox.ok(&["push", "-a", &name]);
    for tag in ["1", "2", "latest"] {
        assert!(pushed.contains(&format!("\n{tag}: digest: sha256:")), "{pushed}");
    }
    assert!(sandbox.fails(1, &["push", "-a", &format!("{name}:1")]).contains("--all-tags"));
    let fresh = Sandbox::new();
    fresh.ok(&["pull", "-a", &name]);
    let images = fresh.ok(&["images", "--no-trunc"]);
    assert_eq!(images.lines().filter(|line| line.starts_with(&name)).count(), 3, "{images}");
    assert_eq!(fresh.ok(&["pull", "--policy", "missing", &format!("{name}:1")]), format!("{name}:1\n"));
    let found = fresh.ok(&["search", &registry.image("alp")]);
    assert!(found.starts_with("NAME ") && found.contains(&format!("\n{name} ")), "{found}");
}

#[test]
fn one_name_for_several_platforms() {
    require!(REGISTRY, Need::Tool("skopeo"));
    let registry = Registry::open();
    let sandbox = Sandbox::new();
    let tar = common::alpine_tar();
    let other = if cfg!(target_arch = "x86_64") { "arm64" } else { "amd64" };
    let here = if cfg!(target_arch = "x86_64") { "amd64" } else { "arm64" };
    for (arch, repository) in [(here, "ann/multi"), (other, "ann/elsewhere")] {
        let name = registry.image(&format!("{repository}:{arch}"));
        sandbox.ok(&["import", "--platform", &format!("linux/{arch}"), tar.to_str().unwrap(), &name]);
        sandbox.ok(&["push", &name]);
    }
    let list = registry.image("ann/multi:1");
    let members = [registry.image(&format!("ann/multi:{here}")), registry.image(&format!("ann/elsewhere:{other}"))];
    assert_eq!(sandbox.ok(&["manifest", "create", &list, &members[0]]), format!("Created manifest list {list}\n"));
    assert!(sandbox.fails(1, &["manifest", "create", &list]).contains("--amend"));
    sandbox.ok(&["manifest", "add", &list, &members[1]]);
    sandbox.ok(&["manifest", "annotate", "--variant", "v8", &list, &members[1]]);
    let shown = sandbox.ok(&["manifest", "inspect", &list]);
    assert!(shown.contains("\"variant\": \"v8\"") && shown.contains("image.index"), "{shown}");
    sandbox.ok(&["manifest", "annotate", "--variant", "", &list, &members[1]]);
    let digest = sandbox.ok(&["manifest", "push", "--purge", &list]);
    assert!(sandbox.fails(1, &["manifest", "push", &list]).contains("no such manifest"));
    let raw = sandbox.run_other("skopeo", &["inspect", "--raw", "--tls-verify=false", &format!("docker://{list}")]);
    assert!(raw.ok().contains(other));

    let fresh = Sandbox::new();
    let pulled = fresh.ok(&["pull", &list]);
    assert!(pulled.contains(&format!("Digest: {digest}")), "{pulled}");
    assert_eq!(fresh.look(&list, "{{.Architecture}}"), here);
    assert_eq!(
        fresh.look(&list, "{{index .RepoDigests 0}}"),
        format!("{}@{}", registry.image("ann/multi"), digest.trim())
    );
    assert!(fresh.ok(&["pull", &list]).contains("Image is up to date"));
    fresh.ok(&["pull", "--platform", &format!("linux/{other}"), &list]);
    assert_eq!(fresh.look(&list, "{{.Architecture}}"), other);
    // What is here under the name is for another machine.
    assert_eq!(
        fresh.run(&["run", "--rm", "--network", "none", "--platform", &format!("linux/{here}"), &list, "true"]).code,
        0
    );
    let said = fresh.fails(1, &["pull", "--platform", "linux/s390x", &list]);
    assert!(
        said.contains("no image for linux/s390x") && said.contains(&format!("linux/{here}, linux/{other}")),
        "{said}"
    );
}

#[test]
fn two_pulls_of_one_image_at_once_get_in_nobodys_way() {
    require!(REGISTRY);
    let registry = Registry::open();
    let sandbox = Sandbox::with_alpine();
    let names = ["ann/one", "ann/two"].map(|name| registry.image(name));
    for name in &names {
        sandbox.ok(&["tag", "alpine", name]);
        sandbox.ok(&["push", name]);
    }
    let fresh = Sandbox::new();
    std::thread::scope(|scope| {
        for n in 0..6 {
            let (fresh, name) = (&fresh, &names[n % 2]);
            scope.spawn(move || fresh.ok(&["pull", "-q", name]));
        }
    });
    for name in &names {
        assert_eq!(fresh.look(name, "{{.Id}}"), sandbox.look("alpine", "{{.Id}}"));
    }
    assert_eq!(fresh.stored("layers").len(), 1);
}
