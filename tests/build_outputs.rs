//! What a build gives beside an image in the store: names, pushes, files about it, events for programs.

use crate::common::registry::Registry;
use crate::common::terminal::Terminal;
use crate::common::{Need, Sandbox, require};
use serde_json::{Value, json};
use std::fs;

const TEXT: &str = "FROM alpine\nRUN echo said; echo x > /x\nCMD [\"cat\", \"/x\"]\n";

#[test]
fn where_the_image_goes() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("Dockerfile", TEXT);
    sandbox.ok(&["build", "-o", "type=image,\"name=one,two:2\"", "context"]);
    for name in ["one", "two:2"] {
        assert_eq!(sandbox.ok(&["run", "--rm", "--network", "none", name]), "x\n");
    }
    // As with a daemon: into the store, not to standard output.
    assert_eq!(sandbox.ok(&["build", "-t", "three", "-o", "type=docker", "context"]), "");
    assert_eq!(sandbox.ok(&["run", "--rm", "--network", "none", "three"]), "x\n");
    let before = sandbox.ok(&["images", "-aq", "--no-trunc"]);
    let said = sandbox.try_build(&TEXT.replace("/x", "/y"), &["-o", "type=cacheonly"]);
    assert_eq!(said.code, 0, "{}", said.streams());
    assert_eq!(sandbox.ok(&["images", "-aq", "--no-trunc"]), before);
    let said = sandbox.build(&TEXT.replace("/x", "/y"), &[]);
    assert_eq!(said.matches(" cached").count(), 1, "{said}");
    for (wrong, reason) in [
        ("type=image,dest=x", "has no dest"),
        ("type=local,dest=x,push=true", "settings of type=image"),
        ("type=registry", "cannot be pushed"),
        ("type=image,compression=zstd", "no setting `compression`"),
    ] {
        sandbox.put("Dockerfile", TEXT);
        let output = sandbox.run(&["build", "-o", wrong, "context"]);
        assert!(output.code == 125 && output.stderr.contains(reason), "{wrong}: {}", output.streams());
    }
}

#[test]
fn files_about_an_image() {
    let sandbox = Sandbox::with_alpine();
    sandbox.build(TEXT, &["--metadata-file", "meta.json", "--iidfile", "id"]);
    let read = |name: &str| fs::read_to_string(sandbox.file(name)).unwrap();
    let meta: Value = serde_json::from_str(&read("meta.json")).unwrap();
    assert_eq!(meta["containerimage.config.digest"], read("id"));
    assert_eq!(meta["image.name"], "docker.io/library/built:latest");
    assert_eq!(meta["containerimage.digest"], meta["containerimage.descriptor"]["digest"]);
    assert_eq!(meta["containerimage.descriptor"]["mediaType"], "application/vnd.oci.image.manifest.v1+json");
    // What a build that failed leaves is not what another one made.
    sandbox.try_build("FROM alpine\nRUN false\n", &["--metadata-file", "meta.json", "--iidfile", "id"]).fails(1);
    assert!(!sandbox.file("id").exists() && !sandbox.file("meta.json").exists());
}

fn manifest(sandbox: &Sandbox, image: &str, layout: &str) -> Value {
    sandbox.ok(&["save", "--format", "oci-dir", "-o", layout, image]);
    let read =
        |path: &str| -> Value { serde_json::from_slice(&fs::read(sandbox.file(layout).join(path)).unwrap()).unwrap() };
    let digest = read("index.json")["manifests"][0]["digest"].as_str().unwrap().replace("sha256:", "blobs/sha256/");
    read(&digest)
}

#[test]
fn annotations_are_in_the_manifest() {
    let sandbox = Sandbox::with_alpine();
    sandbox.build(TEXT, &[]);
    assert_eq!(manifest(&sandbox, "built", "plain")["annotations"], Value::Null);
    let id = sandbox.ok(&["images", "-q", "--no-trunc", "built"]);
    let given =
        ["--annotation", "org.example.a=1", "--annotation", "manifest:b=x=y", "-o", "type=image,annotation.c=3"];
    sandbox.build(TEXT, &given);
    let expected = json!({ "org.example.a": "1", "b": "x=y", "c": "3" });
    assert_eq!(manifest(&sandbox, "built", "annotated")["annotations"], expected);
    assert_eq!(sandbox.ok(&["images", "-q", "--no-trunc", "built"]), id, "the image is the same");
    let error = sandbox.try_build(TEXT, &["--annotation", "index:a=b"]).fails(125);
    assert!(error.contains("there is no index"), "{error}");
}

#[test]
fn pushed_as_it_is_built() {
    require!(Need::Tool("docker-registry"));
    let registry = Registry::open();
    let sandbox = Sandbox::with_alpine();
    let name = registry.image("me/pushed:1");
    sandbox.put("Dockerfile", TEXT);
    let output = format!("type=registry,name={name}");
    sandbox.ok(&["build", "-o", &output, "--annotation", "a=b", "--metadata-file", "meta.json", "context"]);
    let meta: Value = serde_json::from_slice(&fs::read(sandbox.file("meta.json")).unwrap()).unwrap();
    let friend = Sandbox::new();
    friend.ok(&["pull", "-q", &name]);
    assert_eq!(friend.ok(&["run", "--rm", "--network", "none", &name]), "x\n");
    assert_eq!(manifest(&friend, &name, "pulled")["annotations"], json!({ "a": "b" }));
    let digests = friend.look(&name, "{{index .RepoDigests 0}}");
    assert!(digests.ends_with(meta["containerimage.digest"].as_str().unwrap()), "{digests} {meta}");
}

#[test]
fn events_for_a_program() {
    let sandbox = Sandbox::with_alpine();
    let said = sandbox.build(TEXT, &["--progress", "rawjson"]);
    let events: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let run: Vec<&Value> = events
        .iter()
        .flat_map(|event| event["vertexes"].as_array().into_iter().flatten())
        .filter(|vertex| vertex["name"].as_str().is_some_and(|name| name.starts_with("[2/3] RUN echo said")))
        .collect();
    assert_eq!(run.len(), 2, "{said}");
    assert!(run[0]["started"].is_string() && run[0]["completed"].is_null() && run[1]["completed"].is_string());
    let log = events.iter().find(|event| event["logs"].is_array()).expect(&said);
    assert_eq!(log["logs"][0]["vertex"], run[0]["digest"]);
    assert_eq!(log["logs"][0]["data"], "c2FpZAo=");
    let again = sandbox.build(TEXT, &["--progress", "rawjson"]);
    assert!(again.contains("\"cached\":true"), "{again}");
    let failed = sandbox.try_build("FROM alpine\nRUN exit 3\n", &["--progress", "rawjson"]).fails(1);
    assert!(failed.contains("\"error\":\"the step failed\""), "{failed}");
}

#[test]
fn output_changes_no_terminal() {
    let sandbox = Sandbox::with_alpine();
    let script = r"printf '\033]0;title\007\033[31mred\033[0m\033[2Jend\n'";
    sandbox.put("Dockerfile", &format!("FROM alpine\nRUN {script}\n"));
    let mut terminal = Terminal::new(&sandbox, &["build", "--progress", "plain", "--no-cache", "context"]);
    terminal.expect("redend");
    terminal.ends(0);
    let seen = terminal.seen.lock().unwrap().clone();
    assert!(!seen.contains('\x1b') && !seen.contains('\x07'), "{seen:?}");
    // A file has it as it was written.
    let output = sandbox.run(&["build", "--progress", "plain", "--no-cache", "context"]);
    assert!(output.stderr.contains("\x1b[31mred\x1b[0m"), "{:?}", output.stderr);
}

#[test]
fn limits_of_every_run() {
    let sandbox = Sandbox::with_alpine();
    let text = "FROM alpine\nRUN true\nRUN echo again\n";
    let said = sandbox.build(text, &["--memory", "64m", "--cpu-quota", "50000"]);
    for (controller, flag) in [("memory", "--memory"), ("cpu", "--cpu-quota")] {
        let told = said.contains(flag) || said.contains("limits have no effect");
        assert_eq!(told, !Need::Controller(controller).given(), "{flag}: {said}");
    }
    assert!(said.matches("limits have no effect").count() <= 1, "{said}");
    for (wrong, why) in [
        (&["--memory", "lots"][..], "invalid size"),
        (&["--memory-swap", "1g"], "needs a --memory"),
        (&["--memory", "2g", "--memory-swap", "1g"], "not above it"),
        (&["--cpu-quota", "10"], "the least quota is 1000"),
        (&["--allow", "everything"], "invalid --allow \"everything\""),
    ] {
        let error = sandbox.try_build(text, wrong).fails(125);
        assert!(error.contains(why), "{wrong:?}: {error}");
    }
    let said = sandbox
        .build(text, &["--cgroup-parent", "x", "--builder", "y", "--cpu-shares", "2", "--allow", "network.host"]);
    for flag in ["--cgroup-parent", "--builder y", "--cpu-shares"] {
        assert!(said.contains(&format!("note: {flag} has no effect: ")), "{said}");
    }
    assert!(!said.contains("--allow"), "{said}");
}
