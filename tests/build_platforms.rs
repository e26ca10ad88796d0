//! Builds for several platforms: the index that they make, where it goes, and who runs programs of another architecture.

use crate::common::registry::Registry;
use crate::common::{Need, Sandbox, alpine_tar, finish, require};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

const BOTH: [&str; 2] = ["--platform", "linux/amd64,linux/arm64"];
const TEXT: &str = "FROM --platform=$BUILDPLATFORM scratch AS tools\nCOPY common /common\n\
    FROM scratch\nARG TARGETARCH\nARG TARGETPLATFORM\nCOPY --from=tools /common /common\nCOPY $TARGETARCH /arch\n\
    LABEL platform=$TARGETPLATFORM\n";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A sandbox whose context has a file for each architecture.
fn with_context() -> Sandbox {
    let sandbox = Sandbox::new();
    for (name, text) in [("common", "the same\n"), ("amd64", "amd64\n"), ("arm64", "arm64\n")] {
        sandbox.put(name, text);
    }
    sandbox
}

/// Builds [`TEXT`] for both platforms; gives what the metadata file says.
#[track_caller]
fn build(sandbox: &Sandbox, flags: &[&str]) -> Value {
    sandbox.build(TEXT, &[&BOTH[..], &["--metadata-file", "meta.json"], flags].concat());
    read(sandbox, "meta.json")
}

#[track_caller]
fn read(sandbox: &Sandbox, name: &str) -> Value {
    serde_json::from_slice(&fs::read(sandbox.file(name)).expect(name)).expect("JSON")
}

fn digest_of(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// This machine's architecture, and the other one.
fn architectures() -> (&'static str, &'static str) {
    if cfg!(target_arch = "aarch64") { ("arm64", "amd64") } else { ("amd64", "arm64") }
}

/// Builds an image of another name than `built`.
#[track_caller]
fn build_as(sandbox: &Sandbox, name: &str, text: &str, flags: &[&str]) {
    sandbox.put("Dockerfile", text);
    sandbox.ok(&[&["build", "-q", "-t", name], flags, &["context"]].concat());
}

/// Lists the store's entries for images.
fn left(sandbox: &Sandbox) -> Vec<String> {
    let parts = ["images", "indexes", "names", "layers"].into_iter();
    let entries = parts.flat_map(|part| fs::read_dir(sandbox.root().join(part)).into_iter().flatten().flatten());
    let names = entries.map(|entry| entry.path().display().to_string());
    names.filter(|name| !name.ends_with("/.lock")).collect()
}

/// A file of the image for a platform.
#[track_caller]
fn file_of(sandbox: &Sandbox, image: &str, platform: &str, path: &str) -> String {
    let text = format!("FROM {image}\n");
    let output =
        sandbox.run_with_input(&["build", "-q", "-o", "looked-at", "--platform", platform, "-"], text.as_bytes());
    output.ok();
    fs::read_to_string(sandbox.file("looked-at").join(&path[1..])).expect("a file of an image")
}

/// A document of an OCI directory, by its digest.
#[track_caller]
fn blob(directory: &Path, digest: &Value) -> Value {
    let name = digest.as_str().expect("a digest").replace(':', "/");
    let bytes = fs::read(directory.join("blobs").join(name)).expect("a blob");
    assert_eq!(digest_of(&bytes), *digest);
    serde_json::from_slice(&bytes).expect("JSON")
}

/// The index in an OCI directory, and its digest.
#[track_caller]
fn index_of(directory: &Path) -> (Value, Value) {
    let top: Value =
        serde_json::from_slice(&fs::read(directory.join("index.json")).expect("index.json")).expect("JSON");
    let entry = &top["manifests"][0];
    assert_eq!(entry["mediaType"], INDEX, "{top}");
    (blob(directory, &entry["digest"]), entry["digest"].clone())
}

#[test]
fn an_index_is_built_shown_and_removed() {
    let (own, other) = architectures();
    let sandbox = with_context();
    let flags = [&BOTH[..], &["--metadata-file", "meta.json", "--iidfile", "id"]].concat();
    let said = sandbox.build(TEXT, &flags);
    // The stage that both have in common is built once.
    let copies: Vec<&str> = said.lines().filter(|line| line.contains("tools 2/2] COPY")).collect();
    assert!(copies.len() == 2 && !copies[0].contains("cached") && copies[1].ends_with("cached"), "{said}");
    let meta = read(&sandbox, "meta.json");
    let digest = meta["containerimage.digest"].as_str().unwrap();
    assert_eq!(fs::read_to_string(sandbox.file("id")).unwrap(), digest);
    assert_eq!(meta["containerimage.descriptor"]["mediaType"], INDEX);
    assert_eq!(meta["containerimage.descriptor"]["digest"], digest);

    let listed = sandbox.ok(&["images", "-a", "--digests"]);
    assert!(listed.lines().count() == 2 && listed.contains(digest), "{listed}");
    let index: Value = serde_json::from_str(&sandbox.ok(&["manifest", "inspect", "built"])).unwrap();
    let platforms: Vec<&Value> = index["manifests"].as_array().unwrap().iter().map(|one| &one["platform"]).collect();
    let named = |architecture: &str| json!({ "os": "linux", "architecture": architecture });
    assert_eq!(platforms, [&named("amd64"), &named("arm64")]);
    assert_eq!(sandbox.built()["Architecture"], own);
    for name in ["built", digest, &digest["sha256:".len()..][..12]] {
        assert_eq!(sandbox.look(name, "{{.Config.Labels.platform}}"), format!("linux/{own}"), "{name}");
        for architecture in [own, other] {
            let found = file_of(&sandbox, name, &format!("linux/{architecture}"), "/arch");
            assert_eq!(found, format!("{architecture}\n"), "{name}");
        }
    }
    assert!(sandbox.ok(&["system", "check"]).contains("Nothing is damaged"));

    // A base image is the one for the stage's platform.
    build_as(&sandbox, "upon", "FROM built\nARG TARGETPLATFORM\nLABEL on=$TARGETPLATFORM\n", &BOTH);
    build_as(&sandbox, "foreign", "FROM built\nLABEL a=b\n", &["--platform", &format!("linux/{other}")]);
    assert_eq!(sandbox.look("foreign", "{{.Architecture}}"), other);
    sandbox.ok(&["rmi", "foreign"]);
    for architecture in [own, other] {
        assert_eq!(file_of(&sandbox, "upon", &format!("linux/{architecture}"), "/arch"), format!("{architecture}\n"));
    }

    // A second name stands for the same index; a container of any of its images keeps it.
    sandbox.ok(&["tag", "upon", "again"]);
    sandbox.ok(&["rmi", "upon"]);
    sandbox.ok(&["create", "--name", "keeps", "--platform", &format!("linux/{other}"), "again", "x"]);
    let error = sandbox.run(&["rmi", "again"]).fails(1);
    assert!(error.contains("is used by container"), "{error}");
    sandbox.ok(&["rm", "keeps"]);
    sandbox.ok(&["rmi", "again", "built"]);
    sandbox.ok(&["builder", "prune", "-f"]);
    assert_eq!(left(&sandbox), [""; 0]);
}

#[test]
fn an_image_of_an_index_is_not_removed_alone() {
    let (own, other) = architectures();
    let sandbox = with_context();
    build(&sandbox, &[]);
    let ids: Vec<String> = fs::read_dir(sandbox.root().join("images"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let id_of = |architecture: &str| {
        let is_it = |id: &&String| sandbox.look(id, "{{.Architecture}}") == architecture;
        ids.iter().find(is_it).expect("an image").clone()
    };
    let error = sandbox.run(&["rmi", &id_of(other)]).fails(1);
    assert!(error.contains("one of the platforms of an index") && error.contains("minirun rmi"), "{error}");
    // The image that stands for all of them takes all of them with it.
    sandbox.ok(&["rmi", &id_of(own)]);
    sandbox.ok(&["builder", "prune", "-f"]);
    assert_eq!(left(&sandbox), [""; 0]);
}

#[test]
fn an_index_without_a_name() {
    let sandbox = with_context();
    sandbox.put("Dockerfile", TEXT);
    let id = sandbox.ok(&[&["build", "-q"], &BOTH[..], &["context"]].concat());
    let listed = sandbox.ok(&["images"]);
    assert!(listed.lines().count() == 2 && listed.contains("<none>"), "{listed}");
    // The image that had the name before stays, without a name.
    sandbox.ok(&["tag", id.trim(), "built"]);
    sandbox.put("common", "something else\n");
    build(&sandbox, &[]);
    assert_eq!(sandbox.ok(&["images"]).lines().count(), 3);
    sandbox.ok(&["rmi", id.trim()]);
    assert_eq!(sandbox.ok(&["images"]).lines().count(), 2);
    sandbox.ok(&["rmi", "built"]);
    sandbox.ok(&["builder", "prune", "-f"]);
    assert_eq!(left(&sandbox), [""; 0]);
}

#[test]
fn pushed_and_pulled() {
    require!(Need::Tool("docker-registry"), Need::Tool("skopeo"));
    let (own, other) = architectures();
    let registry = Registry::open();
    let sandbox = with_context();
    let name = registry.image("me/app:1");
    sandbox.put("Dockerfile", TEXT);
    let flags = ["--provenance", "--annotation", "index:a=b", "-t", &name, "--push", "--metadata-file", "meta.json"];
    sandbox.ok(&[&["build"], &BOTH[..], &flags, &["context"]].concat());
    let meta = read(&sandbox, "meta.json");
    let source = format!("docker://{name}");
    let raw = sandbox.run_other("skopeo", &["inspect", "--tls-verify=false", "--raw", &source]).ok();
    assert_eq!(digest_of(raw.as_bytes()), meta["containerimage.digest"]);
    let from = ["copy", "--quiet", "--insecure-policy", "--src-tls-verify=false", "--all", &source];
    sandbox.run_other("skopeo", &[&from[..], &["oci:copied-index:latest"]].concat()).ok();
    let directory = sandbox.file("copied-index");
    let (index, digest) = index_of(&directory);
    assert_eq!((&digest, &index["annotations"]), (&meta["containerimage.digest"], &json!({ "a": "b" })));
    check_attestations(&directory, &index, &[&format!("pkg:docker/{}@1", registry.image("me/app"))]);

    // Once more it is the same, and another user has it with the same digests.
    sandbox.ok(&["push", &name]);
    let again = sandbox.run_other("skopeo", &["inspect", "--tls-verify=false", "--raw", &source]).ok();
    assert_eq!(again, raw);
    let friend = Sandbox::new();
    friend.ok(&["pull", "-q", &name]);
    assert_eq!(friend.look(&name, "{{.Architecture}}"), own);
    friend.ok(&["pull", "-q", "--platform", &format!("linux/{other}"), &name]);
    assert_eq!(friend.look(&name, "{{.Config.Labels.platform}}"), format!("linux/{other}"));
    let known = friend.look(&name, "{{index .RepoDigests 0}}");
    assert!(known.ends_with(meta["containerimage.digest"].as_str().unwrap()), "{known}");

    // A pull of what was pushed from here changes nothing.
    let said = sandbox.ok(&["pull", &name]);
    assert!(said.contains("Image is up to date"), "{said}");
    sandbox.ok(&["rmi", &name]);
    sandbox.ok(&["builder", "prune", "-f"]);
    assert_eq!(left(&sandbox), [""; 0]);
}

/// Each image of an index has one attestation manifest, whose statements name it by these names and its digest.
#[track_caller]
fn check_attestations(directory: &Path, index: &Value, names: &[&str]) {
    let entries = index["manifests"].as_array().unwrap();
    let (others, images): (Vec<_>, Vec<_>) = entries.iter().partition(|one| one["platform"]["os"] == "unknown");
    assert_eq!(others.len(), images.len());
    for (image, attested) in images.iter().zip(others) {
        assert_eq!(attested["annotations"]["vnd.docker.reference.type"], "attestation-manifest");
        assert_eq!(attested["annotations"]["vnd.docker.reference.digest"], image["digest"]);
        let manifest = blob(directory, &attested["digest"]);
        let config = blob(directory, &manifest["config"]["digest"]);
        for (layer, diff_id) in
            manifest["layers"].as_array().unwrap().iter().zip(config["rootfs"]["diff_ids"].as_array().unwrap())
        {
            assert_eq!((&layer["digest"], &layer["mediaType"]), (diff_id, &json!("application/vnd.in-toto+json")));
            let statement = blob(directory, diff_id);
            assert_eq!(statement["predicateType"], layer["annotations"]["in-toto.io/predicate-type"]);
            let platform = image["platform"]["architecture"].as_str().unwrap();
            for (subject, name) in statement["subject"].as_array().unwrap().iter().zip(names) {
                assert_eq!(subject["name"], format!("{name}?platform=linux%2F{platform}"));
                assert_eq!(format!("sha256:{}", subject["digest"]["sha256"].as_str().unwrap()), image["digest"]);
            }
            assert_eq!(statement["subject"].as_array().unwrap().len(), names.len());
        }
        blob(directory, &blob(directory, &image["digest"])["config"]["digest"]);
    }
}

#[test]
fn saved_and_loaded() {
    require!(Need::Tool("skopeo"));
    let sandbox = with_context();
    let meta = build(&sandbox, &["--provenance", "-o", "type=oci,dest=built.tar"]);
    let digest = &meta["containerimage.digest"];
    sandbox.ok(&["save", "--format", "oci-dir", "-o", "saved", "built"]);
    let (index, found) = index_of(&sandbox.file("saved"));
    assert_eq!(found, *digest);
    check_attestations(&sandbox.file("saved"), &index, &["pkg:docker/built@latest"]);
    sandbox.ok(&["save", "--format", "oci-archive", "-o", "oci.tar", "built"]);
    sandbox.ok(&["save", "-o", "docker.tar", "built"]);
    for archive in ["built.tar", "oci.tar"] {
        let raw = sandbox.run_other("skopeo", &["inspect", "--raw", &format!("oci-archive:{archive}")]).ok();
        assert_eq!(digest_of(raw.as_bytes()), *digest, "{archive}");
    }
    // Docker's own format names the image of this machine.
    let config = sandbox.run_other("skopeo", &["inspect", "--config", "docker-archive:docker.tar"]).ok();
    assert_eq!(serde_json::from_str::<Value>(&config).unwrap()["architecture"], architectures().0);
    let friend = Sandbox::new();
    for archive in ["built.tar", "oci.tar", "docker.tar"] {
        friend.ok(&["load", "-i", sandbox.file(archive).to_str().unwrap()]);
        let listed = friend.ok(&["images", "--digests"]);
        assert!(listed.lines().count() == 2 && listed.contains(digest.as_str().unwrap()), "{archive}: {listed}");
        friend.ok(&["save", "--format", "oci-archive", "-o", "again.tar", "built"]);
        let raw = friend.run_other("skopeo", &["inspect", "--raw", "oci-archive:again.tar"]).ok();
        assert_eq!(digest_of(raw.as_bytes()), *digest, "{archive}");
        assert!(friend.ok(&["system", "check"]).contains("Nothing is damaged"));
        friend.ok(&["rmi", "built"]);
        assert_eq!(left(&friend), [""; 0], "{archive}");
    }
    // Who wants one platform gets one image.
    let (_, other) = architectures();
    let wanted = format!("linux/{other}");
    friend.ok(&["load", "--platform", &wanted, "-i", sandbox.file("oci.tar").to_str().unwrap()]);
    assert_eq!(friend.look("built", "{{.Architecture}}"), other);
    assert_eq!(fs::read_dir(friend.root().join("images")).unwrap().count(), 1);
}

#[test]
fn files_of_several_platforms() {
    let sandbox = with_context();
    sandbox.put("Dockerfile", TEXT);
    for output in ["files", "type=tar,dest=files.tar"] {
        sandbox.ok(&[&["build", "-o", output], &BOTH[..], &["context"]].concat());
    }
    for architecture in ["amd64", "arm64"] {
        let text = fs::read_to_string(sandbox.file(format!("files/linux_{architecture}/arch"))).unwrap();
        assert_eq!(text, format!("{architecture}\n"));
    }
    let mut names: Vec<String> = tar::Archive::new(fs::File::open(sandbox.file("files.tar")).unwrap())
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    names.sort();
    let expected = [
        "linux_amd64/",
        "linux_amd64/arch",
        "linux_amd64/common",
        "linux_arm64/",
        "linux_arm64/arch",
        "linux_arm64/common",
    ];
    assert_eq!(names, expected);
}

#[test]
fn annotations_go_where_they_are_meant_to() {
    let sandbox = with_context();
    let flags: Vec<&str> = [
        "manifest:all=1",
        "manifest[linux/arm64]:one=2",
        "index,manifest-descriptor:both=3",
        "manifest-descriptor[linux/amd64]:entry=4",
        "index-descriptor:top=5",
    ]
    .into_iter()
    .flat_map(|text| ["--annotation", text])
    .chain(["-o", "type=oci,dest=built.tar,annotation-index.more=6"])
    .collect();
    build(&sandbox, &flags);
    fs::create_dir(sandbox.file("built")).unwrap();
    sandbox.run_other("tar", &["-xf", "built.tar", "-C", "built"]).ok();
    let directory = sandbox.file("built");
    let (index, _) = index_of(&directory);
    assert_eq!(index["annotations"], json!({ "both": "3", "more": "6" }));
    assert_eq!(read(&sandbox, "built/index.json")["manifests"][0]["annotations"]["top"], "5");
    let [amd64, arm64] = [0, 1].map(|number| &index["manifests"][number]);
    assert_eq!(amd64["annotations"], json!({ "both": "3", "entry": "4" }));
    assert_eq!(arm64["annotations"], json!({ "both": "3" }));
    assert_eq!(blob(&directory, &amd64["digest"])["annotations"], json!({ "all": "1" }));
    assert_eq!(blob(&directory, &arm64["digest"])["annotations"], json!({ "all": "1", "one": "2" }));
    for (flags, reason) in [
        (&["--annotation", "index:a=b"][..], "there is no index"),
        (&["--annotation", "index-descriptor:a=b"], "there is no index"),
        (&["--annotation", "manifest[linux/s390x]:a=b"], "not for linux/s390x"),
        (&["--annotation", "index[linux/amd64]:a=b"], "for all platforms"),
        (&["--annotation", "manifest[linux/amd64:a=b"], "no closing bracket"),
        (&["--annotation", "layer:a=b"], "invalid type `layer`"),
        (&["--annotation", "index:=b"], "it has no name"),
    ] {
        let error = sandbox.try_build("FROM scratch\n", flags).fails(125);
        assert!(error.contains(reason), "{flags:?}: {error}");
    }
}

#[test]
fn attestations_make_an_index_of_one_platform_too() {
    let sandbox = with_context();
    sandbox.build(TEXT, &["--provenance", "--annotation", "index:a=b"]);
    sandbox.ok(&["save", "--format", "oci-dir", "-o", "saved", "built"]);
    let (index, _) = index_of(&sandbox.file("saved"));
    assert_eq!(index["manifests"].as_array().unwrap().len(), 2);
    assert_eq!(index["annotations"], json!({ "a": "b" }));
    check_attestations(&sandbox.file("saved"), &index, &["pkg:docker/built@latest"]);
    // Without them it is an image again.
    sandbox.build(TEXT, &[]);
    sandbox.ok(&["save", "--format", "oci-dir", "-o", "alone", "built"]);
    let top = read(&sandbox, "alone/index.json");
    assert_eq!(top["manifests"][0]["mediaType"], "application/vnd.oci.image.manifest.v1+json");
}

#[test]
fn whoever_is_killed_leaves_the_store_whole() {
    let sandbox = with_context();
    for round in 0..24 {
        sandbox.put("common", &format!("{round}\n"));
        sandbox.put("Dockerfile", TEXT);
        let mut child =
            sandbox.command(&[&["build", "-q", "-t", "built"], &BOTH[..], &["context"]].concat()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(15 * round));
        let _ = child.kill();
        child.wait().unwrap();
        let checked = sandbox.ok(&["system", "check", "--repair"]);
        assert!(!checked.contains("not mended"), "{checked}");
        let again = sandbox.ok(&["system", "check"]);
        assert!(again.contains("Nothing is damaged"), "{again}");
    }
    build(&sandbox, &[]);
    for round in 0..6 {
        let mut child = sandbox.command(&["rmi", "-f", "built"]).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(4 * round));
        let _ = child.kill();
        child.wait().unwrap();
        build(&sandbox, &[]);
        file_of(&sandbox, "built", "linux/arm64", "/arch");
    }
    loop {
        let ids = sandbox.ok(&["images", "-q"]);
        let Some(id) = ids.lines().next() else { break };
        sandbox.ok(&["rmi", "-f", id]);
    }
    sandbox.ok(&["builder", "prune", "-f"]);
    sandbox.ok(&["system", "check", "--repair"]);
    assert_eq!(left(&sandbox), [""; 0]);
}

#[test]
fn a_damaged_index_is_found_and_dropped() {
    let sandbox = with_context();
    for (part, text) in [("index.json", "{}"), ("members.json", ""), ("members.json", "directory"), ("blobs", "")] {
        build(&sandbox, &["--provenance"]);
        let index = fs::read_dir(sandbox.root().join("indexes")).unwrap().next().unwrap().unwrap().path();
        match part {
            "blobs" => fs::read_dir(index.join("blobs"))
                .unwrap()
                .for_each(|blob| fs::write(blob.unwrap().path(), text).unwrap()),
            part if text == "directory" => {
                fs::remove_file(index.join(part)).unwrap();
                fs::create_dir(index.join(part)).unwrap();
            }
            part => fs::write(index.join(part), text).unwrap(),
        }
        assert_eq!(sandbox.look("built", "{{.Os}}"), "linux");
        let said = sandbox.run(&["system", "check"]);
        assert!(said.stdout.contains("drop the index"), "{part}: {}", said.streams());
        sandbox.ok(&["system", "check", "--repair"]);
        assert!(sandbox.ok(&["system", "check"]).contains("Nothing is damaged"), "{part}");
        assert_eq!(sandbox.look("built", "{{.Architecture}}"), architectures().0);
    }
    let id = sandbox.ok(&["images", "-q", "built"]);
    sandbox.ok(&["rmi", "-f", id.trim()]);
}

/// A static program for an architecture that does nothing but end.
fn program(architecture: &str) -> Vec<u8> {
    let (machine, code): (u16, &[u8]) = match architecture {
        "amd64" => (62, b"\x31\xff\xb8\x3c\0\0\0\x0f\x05"),
        _ => (183, b"\0\0\x80\xd2\xa8\x0b\x80\xd2\x01\0\0\xd4"),
    };
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0".to_vec();
    bytes.extend(machine.to_le_bytes());
    bytes.extend(1u32.to_le_bytes());
    [0x40_0078u64, 64, 0].into_iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    bytes.extend(0u32.to_le_bytes());
    [64u16, 56, 1, 0, 0, 0].into_iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    [1u32, 5].into_iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    let size = 120 + code.len() as u64;
    [0, 0x40_0000, 0x40_0000, size, size, 0x1000].into_iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    [&bytes, code].concat()
}

/// A context with a program for each architecture, and the index `ends` of both.
fn with_programs() -> Sandbox {
    let sandbox = with_context();
    for architecture in ["amd64", "arm64"] {
        let path = sandbox.file(format!("context/{architecture}.end"));
        fs::write(&path, program(architecture)).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }
    sandbox
}

const PROGRAMS: &str = "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH.end /end\n";
const RUNS: &str = "FROM ends\nRUN [\"/end\"]\n";

#[test]
fn foreign_programs_run_where_the_host_runs_them() {
    let (_, other) = architectures();
    let sandbox = with_programs();
    build_as(&sandbox, "ends", PROGRAMS, &BOTH);
    let path = sandbox.file(format!("context/{other}.end"));
    let host_runs_them = std::process::Command::new(path).status().is_ok_and(|status| status.success());
    let output = sandbox.try_build(RUNS, &BOTH);
    if host_runs_them {
        output.ok();
        return;
    }
    let error = output.fails(1);
    let reason = format!("this machine cannot run programs for linux/{other}");
    assert!(error.contains(&reason) && error.contains("qemu-user-static"), "{error}");
    // That is told before the first step.
    assert!(!error.contains("[linux/"), "{error}");
    let error = sandbox.try_build(RUNS, &["--platform", &format!("linux/{other}")]).fails(1);
    assert!(error.contains(&reason), "{error}");
    // A stage of this machine's own platform runs its programs for the other.
    let text =
        "FROM --platform=$BUILDPLATFORM ends AS tools\nRUN [\"/end\"]\nFROM scratch\nCOPY --from=tools /end /own\n";
    sandbox.build(text, &BOTH);
}

#[test]
fn an_emulator_of_the_kernel_runs_them() {
    if architectures().0 != "amd64" {
        // It runs the programs of this test itself.
        return;
    }
    require!(Need::Tool("qemu-aarch64-static"), Need::OwnEmulators);
    let sandbox = with_programs();
    sandbox.put("Dockerfile", PROGRAMS);
    sandbox.put("Runs", RUNS);
    // A namespace's own, which the machine does not see.
    let magic = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
    let mask = r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";
    let rule = format!(":qemu-aarch64:M::{magic}:{mask}:/usr/bin/qemu-aarch64-static:F");
    let platforms = BOTH.join(" ");
    let binary = Sandbox::binary();
    let script = format!(
        "set -e; mount -t binfmt_misc none /proc/sys/fs/binfmt_misc\n\
         printf %s '{rule}' > /proc/sys/fs/binfmt_misc/register\n\
         {binary} build {platforms} -t ends context\n\
         {binary} build {platforms} -t built -f context/Runs context\n\
         {binary} run --rm --network none --platform linux/arm64 ends /end\n\
         {binary} system reset --force\n"
    );
    let mut command = sandbox.other("unshare");
    let output = finish(command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]));
    assert_eq!(output.code, 0, "{}", output.streams());
    assert!(output.stderr.contains("[linux/arm64 2/2] done"), "{}", output.streams());
}

#[test]
fn a_base_image_that_is_not_for_all_platforms() {
    let (own, other) = architectures();
    let sandbox = Sandbox::new();
    sandbox.ok(&["import", alpine_tar().to_str().unwrap(), "127.0.0.1:1/only"]);
    let output = sandbox.try_build("FROM 127.0.0.1:1/only\nRUN echo done > /x\n", &BOTH);
    let error = output.fails(1);
    assert!(error.contains("cannot get base image `127.0.0.1:1/only`"), "{error}");
    assert!(!error.contains(&format!("[linux/{own} 2/2]")), "{other}: {error}");
}
