//! load and save: what we write, skopeo, umoci and podman read, and all agree on the ids; what is wrong, we refuse.

use crate::common::hostile;
use crate::common::{self, Need, Sandbox, User, require};
use hostile::Tape;
use minirun::exposed::Digest;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// An OCI layout being written by hand, each part of which can be wrong.
struct Layout {
    path: PathBuf,
}

impl Layout {
    fn new(path: PathBuf) -> Self {
        fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        Self { path }
    }

    fn blob(&self, bytes: &[u8], media_type: &str) -> Value {
        let digest = Digest::of(bytes);
        fs::write(self.blob_path(&digest), bytes).unwrap();
        json!({ "mediaType": media_type, "digest": digest, "size": bytes.len() })
    }

    fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs/sha256").join(digest.hex())
    }

    fn document(&self, document: &Value, media_type: &str) -> Value {
        self.blob(document.to_string().as_bytes(), media_type)
    }

    /// An image whose one layer holds this text; gives the descriptor of its manifest.
    fn image(&self, architecture: &str, text: &str) -> Value {
        let layer = Tape::new().file("text", text).end();
        self.image_of(architecture, &Digest::of(&layer), &layer)
    }

    fn image_of(&self, architecture: &str, diff_id: &Digest, layer: &[u8]) -> Value {
        let config = json!({
            "architecture": architecture, "os": "linux",
            "config": { "Healthcheck": { "Test": ["CMD", "true"] }, "OnBuild": ["RUN true"], "Shell": ["/bin/bash", "-c"] },
            "rootfs": { "type": "layers", "diff_ids": [diff_id] },
            "history": [{ "created_by": "by hand" }],
            "container_config": { "Hostname": "odd" },
        });
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
            "config": self.document(&config, "application/vnd.docker.container.image.v1+json"),
            "layers": [self.blob(layer, "application/vnd.docker.image.rootfs.diff.tar.gzip")],
        });
        let mut descriptor = self.document(&manifest, "application/vnd.docker.distribution.manifest.v2+json");
        descriptor["platform"] = json!({ "architecture": architecture, "os": "linux" });
        descriptor
    }

    fn index(&self, manifests: &[Value]) {
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        fs::write(self.path.join("index.json"), index.to_string()).unwrap();
    }

    fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

fn named(mut descriptor: Value, name: &str) -> Value {
    descriptor["annotations"] = json!({ "io.containerd.image.name": name });
    descriptor
}

fn here() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

fn other() -> &'static str {
    if cfg!(target_arch = "aarch64") { "amd64" } else { "arm64" }
}

fn ids(sandbox: &Sandbox) -> Vec<String> {
    let mut ids: Vec<String> = sandbox.ok(&["images", "-q", "--no-trunc"]).lines().map(str::to_owned).collect();
    ids.sort();
    ids
}

#[track_caller]
fn assert_empty(sandbox: &Sandbox) {
    for part in ["images", "layers", "names", "tmp", "pending"] {
        let left: Vec<_> = fs::read_dir(sandbox.root().join(part)).into_iter().flatten().flatten().collect();
        assert!(left.is_empty(), "{part} holds {left:?}");
    }
}

/// The file of an image's layer that holds `text`.
fn layer_text(sandbox: &Sandbox) -> String {
    let layer = fs::read_dir(sandbox.root().join("layers")).unwrap().next().unwrap().unwrap().path();
    fs::read_to_string(layer.join("fs/text")).unwrap()
}

/// A sandbox with an image that came compressed and one that did not, and two names for the first.
fn two_images() -> Sandbox {
    let sandbox = Sandbox::with_alpine();
    let other = Tape::new().file("text", "x".repeat(1000)).file("more", "y".repeat(2000)).end();
    fs::write(sandbox.file("other.tar"), &other).unwrap();
    sandbox.run_other("gzip", &["-k", "other.tar"]).ok();
    sandbox.ok(&["import", "other.tar.gz", "quay.io/team/other:v1"]);
    sandbox.ok(&["tag", "alpine", "mine:1"]);
    sandbox
}

#[test]
fn every_format_comes_back_with_the_same_ids() {
    let sandbox = two_images();
    let before = ids(&sandbox);
    for (format, file) in [("docker-archive", "d.tar"), ("oci-archive", "o.tar"), ("oci-dir", "o")] {
        sandbox.ok(&["save", "--format", format, "-o", file, "alpine", "mine:1", "quay.io/team/other:v1"]);
        let fresh = Sandbox::new();
        let loaded = fresh.ok(&["load", "-i", sandbox.file(file).to_str().unwrap()]);
        let mut lines: Vec<&str> = loaded.lines().collect();
        lines.sort();
        assert_eq!(
            lines,
            ["Loaded image: alpine:latest", "Loaded image: mine:1", "Loaded image: quay.io/team/other:v1"],
            "{format}"
        );
        assert_eq!(ids(&fresh), before, "{format}");
        // Saved again from there, the archive is the same.
        if format == "docker-archive" {
            fresh.ok(&["save", "-o", "again.tar", "alpine", "mine:1", "quay.io/team/other:v1"]);
            assert!(fs::read(fresh.file("again.tar")).unwrap() == fs::read(sandbox.file(file)).unwrap());
        }
        let all = ["rmi", "alpine", "mine:1", "quay.io/team/other:v1"];
        fresh.ok(&all);
        assert_empty(&fresh);
    }
}

#[test]
fn standard_input_and_output_carry_archives() {
    let sandbox = two_images();
    let script =
        format!("{0} save alpine | gzip | {0} --root other load; {0} --root other images -q", Sandbox::binary());
    let loaded = sandbox.run_other("sh", &["-c", &script]).ok();
    let id = sandbox.ok(&["images", "-q", "alpine"]);
    assert_eq!(loaded, format!("Loaded image: alpine:latest\n{id}"));
    // A file on standard input is read where it is, from where it stands.
    sandbox.ok(&["save", "-o", "a.tar", id.trim()]);
    let script = format!("(echo skipped; cat a.tar) > b; (read line; {0} load) < b", Sandbox::binary());
    let script = format!("{script}; {0} --root other system reset --force", Sandbox::binary());
    let full = sandbox.ok(&["images", "-q", "--no-trunc", "alpine"]);
    let loaded = sandbox.run_other("sh", &["-c", &script]);
    assert!(loaded.stdout.starts_with(&format!("Loaded image ID: {full}")), "{}", loaded.streams());
}

#[test]
fn save_writes_a_whole_file_or_none() {
    let sandbox = two_images();
    fs::write(sandbox.file("precious"), "precious").unwrap();
    sandbox.fails(1, &["save", "-o", "precious", "alpine", "nowhere"]);
    assert_eq!(fs::read_to_string(sandbox.file("precious")).unwrap(), "precious");
    let said = sandbox.fails(1, &["save", "-o", "no/such/place", "alpine"]);
    assert!(said.contains("no/such/place: no such file or directory"), "{said}");
    let said = sandbox.fails(1, &["save", "--format", "oci-dir", "-o", ".", "alpine"]);
    assert!(said.contains("not empty"), "{said}");
    let files = fs::read_dir(sandbox.file("")).unwrap().count();
    assert_eq!(files, 3, "something was left beside it");
    // A file of a layer that was changed behind our back does not go out under the old digest.
    let plain = Tape::new().file("big", "x".repeat(1000)).end();
    let id = sandbox.run_with_input(&["import", "-", "plain"], &plain).ok();
    let root = sandbox.root().join("layers");
    let layer = fs::read_dir(root).unwrap().map(|l| l.unwrap().path()).find(|l| l.join("fs/big").exists()).unwrap();
    fs::write(layer.join("fs/big"), "z".repeat(1000)).unwrap();
    let said = sandbox.fails(1, &["save", "-o", "plain.tar", "plain"]);
    assert!(said.contains(&id.trim()[..70]) && said.contains("is damaged"), "{said}");
    assert!(!sandbox.file("plain.tar").exists());
}

#[test]
fn skopeo_agrees_on_ids_and_layers() {
    require!(Need::Tool("skopeo"));
    let sandbox = two_images();
    for (format, file, source) in [
        ("docker-archive", "d.tar", "docker-archive:d.tar:quay.io/team/other:v1"),
        ("docker-archive", "d.tar", "oci-archive:d.tar:v1"),
        ("oci-archive", "o.tar", "oci-archive:o.tar:v1"),
        ("oci-dir", "o", "oci:o:v1"),
    ] {
        let _ = fs::remove_dir_all(sandbox.file(file));
        sandbox.ok(&["save", "--format", format, "-o", file, "quay.io/team/other:v1", "alpine"]);
        let config = sandbox.run_other("skopeo", &["inspect", "--raw", "--config", source]).ok();
        let id = sandbox.ok(&["images", "-q", "--no-trunc", "quay.io/team/other"]);
        assert_eq!(Digest::of(config.as_bytes()).to_string(), id.trim(), "{source}");
        // It reads every byte of every layer, and checks each digest.
        let copied = sandbox.run_other("skopeo", &["copy", "--quiet", "--insecure-policy", source, "dir:copied"]);
        assert_eq!(copied.code, 0, "{source}\n{}", copied.streams());
    }
    // What skopeo makes of it, we take.
    sandbox
        .run_other("skopeo", &["copy", "--quiet", "--insecure-policy", "oci:o:latest", "docker-archive:s.tar:s/k:o"])
        .ok();
    assert_eq!(sandbox.ok(&["load", "-i", "s.tar"]), "Loaded image: s/k:o\n");
}

#[test]
fn umoci_unpacks_the_same_files() {
    require!(Need::Tool("umoci"), Need::As(User::Root));
    let sandbox = two_images();
    sandbox.ok(&["save", "--format", "oci-dir", "-o", "o", "alpine"]);
    sandbox.run_other("umoci", &["unpack", "--image", "o:latest", "bundle"]).ok();
    let layers = sandbox.root().join("layers");
    let layer = fs::read_dir(layers).unwrap().map(|l| l.unwrap().path()).find(|l| l.join("fs/etc").exists()).unwrap();
    let list = |root: &Path| {
        let format = "%P %y %m %U %G %s %T@ %l\\n";
        let script = format!(
            "cd '{}' && find . ! -type d -printf '{format}' -o -printf '%P %y %m %U %G\\n' | sort",
            root.display()
        );
        sandbox.run_other("sh", &["-c", &script]).ok()
    };
    let (ours, theirs) = (list(&layer.join("fs")), list(&sandbox.file("bundle/rootfs")));
    assert!(ours.lines().count() > 100);
    for (ours, theirs) in ours.lines().zip(theirs.lines()) {
        assert_eq!(ours, theirs);
    }
}

#[test]
fn podman_agrees_on_ids() {
    require!(Need::Tool("podman"), Need::As(User::Root));
    let sandbox = two_images();
    let podman = |arguments: &[&str]| {
        let place = ["--root", "podman", "--runroot", "podman-run", "--storage-driver", "vfs"];
        sandbox.run_other("podman", &[&place[..], arguments].concat()).ok()
    };
    sandbox.ok(&["save", "-o", "d.tar", "alpine", "quay.io/team/other:v1"]);
    sandbox.ok(&["save", "--format", "oci-archive", "-o", "o.tar", "quay.io/team/other:v1"]);
    podman(&["load", "-i", "d.tar"]);
    podman(&["load", "-i", "o.tar"]);
    let mut theirs: Vec<String> = podman(&["images", "-q", "--no-trunc"]).lines().map(str::to_owned).collect();
    theirs.sort();
    theirs.dedup();
    assert_eq!(theirs, ids(&sandbox));
    for (format, file) in [("docker-archive", "pd.tar"), ("oci-archive", "po.tar"), ("oci-dir", "po")] {
        podman(&["save", "--format", format, "-o", file, "quay.io/team/other:v1"]);
        let fresh = Sandbox::new();
        let loaded = fresh.ok(&["load", "-i", sandbox.file(file).to_str().unwrap()]);
        assert!(loaded.starts_with("Loaded image"), "{loaded}");
        assert!(ids(&sandbox).contains(&ids(&fresh)[0]), "{format}");
    }
}

#[test]
fn of_an_index_the_right_platform_is_loaded() {
    let sandbox = Sandbox::new();
    let layout = Layout::new(sandbox.file("layout"));
    let attestation = json!({
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 2,
        "digest": Digest::of(b"{}"), "platform": { "architecture": "unknown", "os": "unknown" },
    });
    let manifests = [layout.image(other(), "other"), attestation, layout.image(here(), "here")];
    let index = json!({ "schemaVersion": 2, "manifests": manifests });
    layout.index(&[named(layout.document(&index, "application/vnd.oci.image.index.v1+json"), "docker.io/me/app:v1")]);
    assert_eq!(sandbox.ok(&["load", "-i", layout.path()]), "Loaded image: me/app:v1\n");
    assert_eq!(layer_text(&sandbox), "here");
    sandbox.ok(&["rmi", "me/app:v1"]);
    sandbox.ok(&["load", "--platform", &format!("linux/{}", other()), "-i", layout.path()]);
    assert_eq!(layer_text(&sandbox), "other");
    sandbox.ok(&["rmi", "me/app:v1"]);
    let said = sandbox.fails(1, &["load", "--platform", "linux/s390x", "-i", layout.path()]);
    assert!(said.contains("no image for linux/s390x") && said.contains(&format!("linux/{}", other())), "{said}");
    assert!(said.contains("--platform linux/"), "{said}");
    let said = sandbox.fails(125, &["load", "--platform", "s390x", "-i", layout.path()]);
    assert!(said.contains("os/architecture"), "{said}");
    // Only what an archive has can be loaded from it, whatever else its index names.
    let missing = json!({ "schemaVersion": 2, "manifests": [manifests[0], manifests[2]] });
    fs::remove_file(layout.blob_path(&manifests[2]["digest"].as_str().unwrap().parse().unwrap())).unwrap();
    layout.index(&[layout.document(&missing, "application/vnd.oci.image.index.v1+json")]);
    let said = sandbox.fails(1, &["load", "-i", layout.path()]);
    assert!(said.contains("no image for"), "{said}");
    assert_empty(&sandbox);
}

#[test]
fn fields_that_only_docker_knows_survive() {
    let sandbox = Sandbox::new();
    let layout = Layout::new(sandbox.file("layout"));
    layout.index(&[named(layout.image(here(), "text"), "app")]);
    sandbox.ok(&["load", "-i", layout.path()]);
    let id = sandbox.ok(&["images", "-q", "--no-trunc"]);
    sandbox.ok(&["save", "-o", "app.tar", "app"]);
    let fresh = Sandbox::new();
    fresh.ok(&["load", "-i", sandbox.file("app.tar").to_str().unwrap()]);
    assert_eq!(fresh.ok(&["images", "-q", "--no-trunc"]), id);
    let id = id.trim().strip_prefix("sha256:").unwrap();
    let config = fs::read_to_string(fresh.root().join("images").join(id).join("config.json")).unwrap();
    for field in ["Healthcheck", "OnBuild", "Shell", "container_config"] {
        assert!(config.contains(field), "{field}");
    }
}

#[test]
fn a_layer_that_comes_twice_is_stored_once() {
    let sandbox = Sandbox::new();
    let layout = Layout::new(sandbox.file("layout"));
    let layer = Tape::new().file("text", "twice").end();
    let diff_id = Digest::of(&layer);
    let config = json!({
        "architecture": here(), "os": "linux",
        "rootfs": { "type": "layers", "diff_ids": [diff_id, diff_id] },
    });
    let layer = layout.blob(&layer, "application/vnd.oci.image.layer.v1.tar");
    let manifest = json!({
        "schemaVersion": 2, "config": layout.document(&config, "application/vnd.oci.image.config.v1+json"),
        "layers": [layer, layer],
    });
    layout.index(&[named(layout.document(&manifest, "application/vnd.oci.image.manifest.v1+json"), "twice")]);
    sandbox.ok(&["load", "-i", layout.path()]);
    assert_eq!(fs::read_dir(sandbox.root().join("layers")).unwrap().count(), 1);
    sandbox.ok(&["save", "-o", "twice.tar", "twice"]);
    sandbox.ok(&["rmi", "twice"]);
    assert_empty(&sandbox);
    sandbox.ok(&["load", "-i", "twice.tar"]);
}

#[test]
fn what_does_not_match_its_digest_is_refused() {
    let sandbox = Sandbox::new();
    let refused = |layout: &Layout, descriptor: Value, reason: &str| {
        layout.index(&[descriptor]);
        let said = sandbox.fails(1, &["load", "-i", layout.path()]);
        assert!(said.contains(reason), "`{reason}` expected in:\n{said}");
        assert_empty(&sandbox);
    };
    let layout = Layout::new(sandbox.file("layout"));
    let layer = Tape::new().file("text", "x").end();

    let lying = layout.image_of(here(), &Digest::of(b"another"), &layer);
    refused(&layout, lying, &format!("layer {} has the digest {}", Digest::of(b"another"), Digest::of(&layer)));

    let image = layout.image(here(), "y");
    let manifest: Digest = image["digest"].as_str().unwrap().parse().unwrap();
    let text = fs::read_to_string(layout.blob_path(&manifest)).unwrap();
    let parsed: Value = serde_json::from_str(&text).unwrap();
    let blob = |field: &Value| layout.blob_path(&field["digest"].as_str().unwrap().parse().unwrap());
    let (layer_blob, config_blob) = (blob(&parsed["layers"][0]), blob(&parsed["config"]));

    // Another archive under the name of the one that the manifest means, also when it unpacks to the same.
    let layer = fs::read(&layer_blob).unwrap();
    fs::write(&layer_blob, [&layer[..], &[0; 512]].concat()).unwrap();
    refused(&layout, image.clone(), "has the digest");
    fs::remove_file(&layer_blob).unwrap();
    refused(&layout, image.clone(), "has no file `blobs/sha256/");
    fs::write(&layer_blob, &layer).unwrap();

    let config = fs::read(&config_blob).unwrap();
    fs::write(&config_blob, [&config[..], b" "].concat()).unwrap();
    refused(&layout, image.clone(), "config sha256:");
    fs::write(&config_blob, "{}").unwrap();
    refused(&layout, image.clone(), "config sha256:");
    fs::write(&config_blob, &config).unwrap();

    fs::write(layout.blob_path(&manifest), text.replace("layers\":", "layers\": ")).unwrap();
    refused(&layout, image.clone(), "manifest sha256:");
    fs::write(layout.blob_path(&manifest), &text).unwrap();
    layout.index(&[image]);
    sandbox.ok(&["load", "-i", layout.path()]);
}

#[test]
fn documents_that_contradict_themselves_are_refused() {
    let sandbox = Sandbox::new();
    let layout = Layout::new(sandbox.file("layout"));
    let refused = |descriptor: Value, reason: &str| {
        layout.index(&[descriptor]);
        let said = sandbox.fails(1, &["load", "-i", layout.path()]);
        assert!(said.contains(reason), "`{reason}` expected in:\n{said}");
        assert_empty(&sandbox);
    };
    let manifest = |change: &dyn Fn(&mut Value)| {
        let image = layout.image(here(), "z");
        let path = layout.blob_path(&image["digest"].as_str().unwrap().parse().unwrap());
        let mut manifest: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        change(&mut manifest);
        layout.document(&manifest, "application/vnd.oci.image.manifest.v1+json")
    };
    refused(manifest(&|m| m["manifests"] = json!([])), "is a manifest and an index at once");
    refused(manifest(&|m| m["layers"] = json!([])), "has 0 layers, but its config lists 1");
    refused(
        manifest(&|m| m["layers"][0]["digest"] = json!(format!("sha512:{}", "a".repeat(128)))),
        "not a SHA-256 digest",
    );
    refused(manifest(&|m| m["layers"][0]["digest"] = json!("sha256:../../../../../etc/passwd")), "is not valid");
    refused(json!({ "mediaType": "x", "size": 1, "digest": "sha256:../../x" }), "`index.json` in");
    fs::write(layout.path.join("index.json"), "{").unwrap();
    let said = sandbox.fails(1, &["load", "-i", layout.path()]);
    assert!(said.contains("`index.json` in") && said.contains("cause: EOF"), "{said}");
}

#[test]
fn a_docker_archive_cannot_name_files_outside_of_itself() {
    let sandbox = Sandbox::new();
    let config =
        json!({ "architecture": here(), "os": "linux", "rootfs": { "type": "layers", "diff_ids": [Digest::of(b"")] } });
    let images =
        |config: &str, layer: &str| json!([{ "Config": config, "RepoTags": ["a:1"], "Layers": [layer] }]).to_string();
    let outside = sandbox.file("outside.tar");
    fs::write(&outside, "").unwrap();
    // As a directory, as an archive, and as an archive with a link in it.
    fs::create_dir(sandbox.file("d")).unwrap();
    fs::write(sandbox.file("d/manifest.json"), images("config.json", "../outside.tar")).unwrap();
    fs::write(sandbox.file("d/config.json"), config.to_string()).unwrap();
    let said = sandbox.fails(1, &["load", "-i", "d"]);
    assert!(said.contains("openat2 d/../outside.tar"), "{said}");
    let target = outside.to_str().unwrap();
    for layer in ["../outside.tar", target, "link"] {
        let archive = Tape::new()
            .file("manifest.json", images("config.json", layer))
            .file("config.json", config.to_string())
            .symlink("link", target);
        let said = sandbox.run_with_input(&["load"], &archive.end()).fails(1);
        assert!(said.contains("has no file `"), "{said}");
    }
    assert_empty(&sandbox);
}

#[test]
fn dockers_older_archives_link_to_layers_they_have() {
    let sandbox = Sandbox::new();
    let layer = Tape::new().file("text", "linked").end();
    let config = json!({ "architecture": here(), "os": "linux", "rootfs": { "type": "layers", "diff_ids": [Digest::of(&layer), Digest::of(&layer)] } });
    let images = json!([{ "Config": "c.json", "RepoTags": null, "Layers": ["a/layer.tar", "b/layer.tar"] }]);
    let archive = Tape::new()
        .directory("a")
        .file("a/layer.tar", &layer)
        .directory("b")
        .symlink("b/layer.tar", "../a/layer.tar")
        .file("c.json", config.to_string())
        .file("manifest.json", images.to_string());
    let loaded = sandbox.run_with_input(&["load"], &archive.end()).ok();
    assert_eq!(loaded, format!("Loaded image ID: {}\n", Digest::of(config.to_string().as_bytes())));
}

#[test]
fn what_holds_no_image_says_so() {
    let sandbox = Sandbox::new();
    let said = sandbox.run_with_input(&["load"], &Tape::new().file("etc/issue", "x").end()).fails(1);
    assert!(said.contains("holds no images") && said.contains("minirun import FILE NAME"), "{said}");
    let said = sandbox.run_with_input(&["load"], b"not an archive at all").fails(1);
    assert!(said.contains("standard input is not an archive of images"), "{said}");
    let said = sandbox.fails(1, &["load", "-i", "nowhere"]);
    assert!(said.contains("open nowhere: no such file or directory"), "{said}");
    let archive = Tape::new().file("manifest.json", "[]").file("big", "x".repeat(5000)).end();
    let said = sandbox.run_with_input(&["load"], &archive[..3000]).fails(1);
    assert!(said.contains("ends in the middle"), "{said}");
    assert_empty(&sandbox);
}

/// A docker-archive of one image with these layers, and the id that it will have.
fn docker_archive(layers: &[Vec<u8>], name: &str) -> (Tape, String) {
    let ids: Vec<Digest> = layers.iter().map(|layer| Digest::of(layer)).collect();
    let config = json!({ "architecture": here(), "os": "linux", "rootfs": { "type": "layers", "diff_ids": ids } });
    let files: Vec<String> = (0..layers.len()).map(|n| format!("{n}.tar")).collect();
    let manifest = json!([{ "Config": "config.json", "RepoTags": [name], "Layers": files }]);
    let tape = Tape::new().file("manifest.json", manifest.to_string()).file("config.json", config.to_string());
    let tape = files.iter().zip(layers).fold(tape, |tape, (name, layer)| tape.file(name, layer));
    (tape, Digest::of(config.to_string().as_bytes()).to_string())
}

#[test]
fn an_image_of_more_layers_than_can_run_is_refused() {
    let sandbox = Sandbox::new();
    let mut layers = vec![fs::read(common::alpine_tar()).unwrap()];
    layers.extend((1..=500).map(|n| Tape::new().file(format!("{n}"), n.to_string()).end()));
    let (archive, _) = docker_archive(&layers, "many:501");
    let said = sandbox.run_with_input(&["load"], &archive.end()).fails(1);
    assert!(said.contains("has 501 layers, but the kernel lays no more than 500"), "{said}");
    assert_empty(&sandbox);
    layers.pop();
    let (archive, _) = docker_archive(&layers, "many:500");
    sandbox.run_with_input(&["load"], &archive.end()).ok();
    let listed =
        sandbox.run(&["run", "--name", "top", "--network", "none", "many:500", "sh", "-c", "echo x >/new; cat /499"]);
    assert_eq!(listed.ok(), "499");
    let said = sandbox.fails(125, &["commit", "top", "many:501"]);
    assert!(said.contains("has 501 layers"), "{said}");
    sandbox.put("Dockerfile", "FROM many:500\nRUN echo $((600+66))\n");
    let said = sandbox.run(&["build", "-t", "many:501", "context"]);
    assert!(said.code != 0 && said.stderr.contains("with this step, the image has 501 layers"), "{}", said.streams());
    assert!(!said.streams().contains("666"), "{}", said.streams());
}

#[test]
fn archives_from_before_docker_1_10_are_loaded() {
    let sandbox = Sandbox::new();
    let layers = ["one", "two"].map(|text| Tape::new().file(text, text).end());
    let (bottom, top) = ("a".repeat(64), "b".repeat(64));
    let json = |id: &str, parent: Option<&str>, command: &str| {
        let mut fields = json!({
            "id": id, "created": "2014-01-01T00:00:00Z", "container_config": { "Cmd": ["/bin/sh", "-c", command] },
            "config": { "Env": ["A=1"], "Cmd": ["/x"] }, "architecture": here(), "os": "linux", "Size": 1,
        });
        if let Some(parent) = parent {
            fields["parent"] = json!(parent);
        }
        fields.to_string()
    };
    let archive = |parent: Option<&str>| {
        Tape::new()
            .file(format!("{bottom}/VERSION"), "1.0")
            .file(format!("{bottom}/json"), json(&bottom, parent, "#(nop) ADD file"))
            .file(format!("{bottom}/layer.tar"), &layers[0])
            .file(format!("{top}/json"), json(&top, Some(&bottom), "touch /two"))
            .file(format!("{top}/layer.tar"), &layers[1])
            .file("repositories", json!({ "old": { "1": top, "2": top }, "ann/base": { "x": bottom } }).to_string())
            .end()
    };
    let loaded = sandbox.run_with_input(&["load"], &archive(None)).ok();
    for name in ["old:1", "old:2", "ann/base:x"] {
        assert!(loaded.contains(&format!("Loaded image: {name}\n")), "{loaded}");
    }
    let ids: Vec<String> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
    assert_eq!(sandbox.look("old:1", "{{json .RootFS.Layers}}"), json!(ids).to_string());
    assert_eq!(sandbox.look("old:1", "{{json .Config.Cmd}} {{json .Config.Env}}"), r#"["/x"] ["A=1"]"#);
    let history = sandbox.ok(&["history", "--no-trunc", "old:1"]);
    assert!(history.contains("/bin/sh -c touch /two") && history.contains("ADD file"), "{history}");
    // A layer that stands on itself.
    let said = sandbox.run_with_input(&["load"], &archive(Some(&top))).fails(1);
    assert!(said.contains("form a circle"), "{said}");
}

#[test]
fn directories_and_any_compression_are_loaded() {
    require!(Need::Tool("skopeo"), Need::Tool("bzip2"), Need::Tool("xz"));
    let sandbox = two_images();
    let id = sandbox.look("alpine", "{{.Id}}");
    sandbox.ok(&["save", "-o", "d.tar", "alpine"]);
    sandbox
        .run_other("sh", &["-c", "mkdir d; tar xf d.tar -C d; bzip2 -k d.tar; xz -0k d.tar; cd d; rm index.json"])
        .ok();
    sandbox.run_other("skopeo", &["copy", "-q", "--insecure-policy", "docker-archive:d.tar", "dir:s"]).ok();
    for (file, said) in [
        ("d", "Loaded image: alpine:latest\n".to_owned()),
        ("d.tar.bz2", "Loaded image: alpine:latest\n".to_owned()),
        ("d.tar.xz", "Loaded image: alpine:latest\n".to_owned()),
        ("s", format!("Loaded image ID: {id}\n")),
    ] {
        let fresh = Sandbox::new();
        assert_eq!(fresh.ok(&["load", "-i", sandbox.file(file).to_str().unwrap()]), said, "{file}");
    }
    let other = format!("linux/{}", other());
    let said = sandbox.fails(1, &["load", "-i", "s", "--platform", &other]);
    assert!(said.contains(&format!("no image for {other}")), "{said}");
    // What Docker writes beside the manifest, for older readers.
    let repositories: Value =
        serde_json::from_str(&fs::read_to_string(sandbox.file("d/repositories")).unwrap()).unwrap();
    let top = sandbox.look("alpine", "{{index .RootFS.Layers 0}}");
    assert_eq!(repositories, json!({ "alpine": { "latest": top.trim_start_matches("sha256:") } }));
}

#[test]
fn a_bad_name_in_an_archive_is_told() {
    let sandbox = Sandbox::new();
    let layer = Tape::new().file("a", "b").end();
    let (archive, id) = docker_archive(&[layer], "Bad/Name:\u{1b}x");
    let output = sandbox.run_with_input(&["load"], &archive.end());
    assert!(output.stderr.contains("invalid name \"Bad/Name:\\u{1b}x\" in the archive"), "{}", output.streams());
    assert_eq!(output.ok(), format!("Loaded image ID: {id}\n"));
    let layout = Layout::new(sandbox.file("layout"));
    layout.index(&[named(layout.image(here(), "text"), "A:B:C")]);
    let output = sandbox.run(&["load", "-i", layout.path()]);
    assert!(
        output.stderr.contains("invalid name \"A:B:C\"") && output.stdout.contains("Loaded image ID"),
        "{}",
        output.streams()
    );
}

#[test]
fn what_an_archive_holds_in_place_of_an_image_is_named() {
    let sandbox = Sandbox::new();
    let layout = Layout::new(sandbox.file("layout"));
    let config = layout.document(&json!({}), "application/vnd.cncf.helm.config.v1+json");
    let layer = layout.blob(b"chart", "application/vnd.cncf.helm.chart.content.v1.tar+gzip");
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [layer] });
    layout.index(&[layout.document(&manifest, "application/vnd.oci.image.manifest.v1+json")]);
    let said = sandbox.fails(1, &["load", "-i", layout.path()]);
    assert!(said.contains("holds a Helm chart, not an image"), "{said}");
    assert_empty(&sandbox);
}
