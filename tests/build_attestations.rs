//! Tests the attestations of a build: provenance and a bill of materials.

use crate::common::http::{Answer, WebServer};
use crate::common::registry::Registry;
use crate::common::{Need, Sandbox, require};
use serde_json::{Value, json};
use std::fs;

const TEXT: &str =
    "ARG BASE=alpine\nFROM $BASE AS app\nARG COLOR=blue\nCOPY hello /hello\nRUN --network=none echo $COLOR > /color\n";

fn json_of(sandbox: &Sandbox, name: &str) -> Value {
    serde_json::from_slice(&fs::read(sandbox.file(name)).unwrap()).unwrap()
}

/// The provenance that a build of this Dockerfile tells.
#[track_caller]
fn provenance(sandbox: &Sandbox, text: &str, flags: &[&str]) -> Value {
    sandbox.build(text, &[&["--metadata-file", "meta.json"], flags].concat());
    json_of(sandbox, "meta.json")["buildx.build.provenance"].clone()
}

fn with_hello() -> Sandbox {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("hello", "hello\n");
    sandbox
}

#[test]
fn nothing_is_told_unless_it_is_asked_for() {
    let sandbox = with_hello();
    for flags in [&[][..], &["--provenance=false", "--sbom=false"], &["--attest", "type=sbom,disabled=true"]] {
        assert_eq!(provenance(&sandbox, TEXT, flags), Value::Null, "{flags:?}");
        let said = sandbox.build(TEXT, &[&["-o", "out"], flags].concat());
        assert!(!said.contains("note:"), "{said}");
        assert!(sandbox.file("out/hello").exists());
        assert!(!sandbox.file("out/provenance.json").exists() && !sandbox.file("out/sbom.spdx.json").exists());
    }
}

#[test]
fn bad_values_are_refused_before_anything_is_done() {
    let sandbox = with_hello();
    for (flags, why) in [
        (&["--provenance=mode=most"][..], "\"mode\" cannot be \"most\""),
        (&["--provenance=version=v2"], "\"version\" cannot be \"v2\""),
        (&["--provenance=yes"], "no setting \"yes\""),
        (&["--sbom=mode=max"], "no setting \"mode\""),
        (&["--sbom=generator=me/scanner"], "no scanner's image is run"),
        (&["--attest", "type=vex"], "there are provenance and sbom"),
        (&["--attest", "mode=max"], "no type="),
        (&["--provenance", "--attest", "type=provenance,mode=max"], "asked for twice"),
    ] {
        fs::write(sandbox.file("meta.json"), "{}").unwrap();
        let error = sandbox.try_build(TEXT, &[&["--metadata-file", "meta.json"], flags].concat()).fails(125);
        assert!(error.contains(why) && error.contains("forms: --"), "{flags:?}: {error}");
        assert!(sandbox.file("meta.json").exists());
    }
    assert_eq!(sandbox.ok(&["images", "-q", "built"]), "");
}

#[test]
fn provenance_tells_of_the_build() {
    let sandbox = with_hello();
    let flags = ["--build-arg", "COLOR=green-value", "--label", "a=b", "--target", "app", "--provenance"];
    let told = provenance(&sandbox, TEXT, &flags);
    assert_eq!(told["buildType"], "https://mobyproject.org/buildkit@v1");
    let platform = told["invocation"]["environment"]["platform"].as_str().unwrap().replace('/', "%2F");
    let base = sandbox.look("alpine", "{{index .RepoDigests 0}}");
    let digest = base.trim().split_once("@sha256:").unwrap().1;
    let uri = format!("pkg:docker/alpine@latest?platform={platform}");
    assert_eq!(told["materials"], json!([{ "uri": uri, "digest": { "sha256": digest } }]));
    assert_eq!(told["invocation"]["configSource"], json!({ "entryPoint": "Dockerfile" }));
    let parameters = &told["invocation"]["parameters"];
    assert_eq!(parameters["args"], json!({ "target": "app" }));
    assert_eq!(parameters["locals"], json!([{ "name": "context" }, { "name": "dockerfile" }]));
    let completeness = &told["metadata"]["completeness"];
    assert_eq!(*completeness, json!({ "parameters": false, "environment": true, "materials": false }));
    let time = |name: &str| told["metadata"][name].as_str().unwrap().to_owned();
    assert!(time("buildStartedOn") < time("buildFinishedOn"));
    for hidden in ["green-value", "COLOR", "buildConfig"] {
        assert!(!told.to_string().contains(hidden), "{told}");
    }

    // The same when everything is cached.
    let again = provenance(&sandbox, TEXT, &flags);
    assert_eq!((&again["materials"], &again["invocation"]), (&told["materials"], &told["invocation"]));
    assert_ne!(again["metadata"]["buildInvocationID"], told["metadata"]["buildInvocationID"]);

    let newer = provenance(&sandbox, TEXT, &["--attest", "type=provenance,version=v1,builder-id=https://me.example/1"]);
    let definition = &newer["buildDefinition"];
    assert_eq!(definition["resolvedDependencies"], told["materials"]);
    assert_eq!(definition["externalParameters"]["configSource"], json!({ "path": "Dockerfile" }));
    assert_eq!(newer["runDetails"]["metadata"]["buildkit_completeness"]["request"], true);
    assert_eq!(newer["runDetails"]["builder"]["id"], "https://me.example/1");
}

#[test]
fn provenance_of_everything() {
    let sandbox = with_hello();
    fs::write(sandbox.file("token"), "a-secret-value").unwrap();
    let text = "FROM alpine AS helper\nRUN --mount=type=secret,id=token,required=true true > /x\nFROM alpine\nARG COLOR\nCOPY --from=helper /x /x\n";
    let flags = ["--provenance=mode=max", "--build-arg", "COLOR=red", "--secret", "id=token,src=token"];
    let told = provenance(&sandbox, text, &flags);
    let parameters = &told["invocation"]["parameters"];
    assert_eq!(parameters["args"], json!({ "build-arg:COLOR": "red" }));
    assert_eq!(parameters["secrets"], json!([{ "id": "token" }]));
    // Nothing was copied from the context.
    assert_eq!(parameters["locals"], json!([{ "name": "dockerfile" }]));
    assert_eq!(told["metadata"]["completeness"]["parameters"], true);
    assert!(!told.to_string().contains("a-secret-value"));
    let steps = told["buildConfig"]["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 5);
    assert_eq!(
        steps[4],
        json!({ "id": "step4", "name": "[stage-1 3/3] COPY --from=helper /x /x", "inputs": ["step3:0", "step1:0"] })
    );
    let metadata = &told["metadata"]["https://mobyproject.org/buildkit@v1#metadata"];
    assert_eq!(
        metadata["source"]["locations"]["step4"]["locations"][0]["ranges"][0],
        json!({ "start": { "line": 5 }, "end": { "line": 5 } })
    );
    let data = metadata["source"]["infos"][0]["data"].as_str().unwrap();
    sandbox.put("../data", data);
    assert_eq!(sandbox.run_other("base64", &["-d", "data"]).ok(), text);
    let layers: Value = serde_json::from_str(&sandbox.look("built", "{{json .RootFS.Layers}}")).unwrap();
    let told: Vec<Value> = metadata["layers"]["step4:0"][0].as_array().unwrap().clone();
    assert_eq!(told.iter().map(|layer| layer["digest"].clone()).collect::<Value>(), layers);
    assert!(metadata["layers"].get("step3:0").is_none(), "an ARG makes no layer: {metadata}");
}

#[test]
fn what_was_fetched_is_told_with_its_digest() {
    require!(Need::Tool("git"));
    let server = WebServer::start(|_| Answer::new(200, "contents\n").header("ETag", "\"1\""));
    let sandbox = with_hello();
    let address = format!("http://{}/file", server.host());
    let text = format!("FROM scratch\nADD {address} /\n");
    let sum = sandbox.run_other("sh", &["-c", "printf 'contents\\n' | sha256sum"]).ok();
    let expected = json!([{ "uri": address, "digest": { "sha256": sum.split(' ').next() } }]);
    // Fetched, and then found by what the server says of it.
    for _ in 0..2 {
        assert_eq!(provenance(&sandbox, &text, &["--provenance"])["materials"], expected);
    }

    sandbox.put("../repository/Dockerfile", "FROM scratch\nCOPY file /\n");
    sandbox.put("../repository/file", "x");
    let commit = sandbox.repository("repository");
    let address = sandbox.git_address("repository");
    let meta = ["--provenance", "--metadata-file", "meta.json"];
    sandbox.run_with_git(&[&["build"], &meta[..], &[address.as_str()]].concat()).ok();
    let told = json_of(&sandbox, "meta.json")["buildx.build.provenance"].clone();
    let source = json!({ "uri": address, "digest": { "sha1": commit }, "entryPoint": "Dockerfile" });
    assert_eq!(told["invocation"]["configSource"], source);
    assert_eq!(told["materials"], json!([{ "uri": address, "digest": { "sha1": commit } }]));
    // Nothing came from this machine, and no command had a network.
    assert_eq!(told["metadata"]["completeness"]["materials"], true);
    assert_eq!(told["metadata"]["https://mobyproject.org/buildkit@v1#hermetic"], true);
    assert!(told["invocation"]["parameters"].get("locals").is_none(), "{told}");

    let pinned = format!("{address}#{commit}");
    sandbox.put("Dockerfile", &format!("FROM scratch\nADD {pinned} /\n"));
    for _ in 0..2 {
        sandbox.run_with_git(&[&["build"], &meta[..], &["context"]].concat()).ok();
        let told = json_of(&sandbox, "meta.json")["buildx.build.provenance"]["materials"].clone();
        assert_eq!(told, json!([{ "uri": pinned, "digest": { "sha1": commit } }]));
    }
}

#[test]
fn a_base_image_has_the_digest_of_its_registry() {
    require!(Need::Tool("docker-registry"));
    let registry = Registry::open();
    let (teacher, student) = (Sandbox::with_alpine(), Sandbox::new());
    let base = registry.image("library/alpine:3");
    teacher.ok(&["tag", "alpine", &base]);
    teacher.ok(&["push", &base]);
    let told =
        provenance(&student, &format!("FROM {base}\nRUN --mount=from={base},target=/m true\n"), &["--provenance"]);
    let pulled = student.look(&base, "{{index .RepoDigests 0}}");
    let digest = pulled.trim().split_once("@sha256:").unwrap().1;
    assert_eq!(told["materials"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(told["materials"][0]["digest"]["sha256"], digest);
    let uri = told["materials"][0]["uri"].as_str().unwrap();
    assert!(uri.starts_with(&format!("pkg:docker/{}/library/alpine@3?platform=linux%2F", registry.host())), "{uri}");
}

#[test]
fn the_packages_of_an_image() {
    let sandbox = with_hello();
    let installed =
        "P:busybox\nV:1.36.1-r29\nA:x86_64\nL:GPL-2.0-only\no:busybox\n\nP:odd\nV:1\nA:x86_64\nL:MIT or so\n";
    let status = "Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nSource: glibc\nVersion: 2.36-9+deb12u4\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n";
    sandbox.put("root/lib/apk/db/installed", installed);
    sandbox.put("root/etc/os-release", "ID=alpine\nVERSION_ID=3.20\n");
    sandbox.build("FROM scratch\nCOPY root /\n", &["--sbom", "-o", "out"]);
    let told = json_of(&sandbox, "out/sbom.spdx.json");
    assert_eq!(told["predicateType"], "https://spdx.dev/Document");
    let names: Vec<&Value> = told["subject"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["etc/os-release", "lib/apk/db/installed"]);
    let document = &told["predicate"];
    assert_eq!((&document["spdxVersion"], &document["SPDXID"]), (&json!("SPDX-2.3"), &json!("SPDXRef-DOCUMENT")));
    let packages = document["packages"].as_array().unwrap();
    let purl = |package: &Value| package["externalRefs"][0]["referenceLocator"].as_str().unwrap_or_default().to_owned();
    assert_eq!(purl(&packages[1]), "pkg:apk/alpine/busybox@1.36.1-r29?arch=x86_64&distro=alpine-3.20");
    assert_eq!(packages[1]["licenseDeclared"], "GPL-2.0-only");
    let own = &document["hasExtractedLicensingInfos"][0];
    assert_eq!((&own["extractedText"], &packages[2]["licenseDeclared"]), (&json!("MIT or so"), &own["licenseId"]));
    assert_eq!(document["relationships"].as_array().unwrap().len(), packages.len());
    assert!(!sandbox.file("out/provenance.json").exists());

    // A later layer's removals and changes count, and an rpm database is mentioned.
    sandbox.put("debian/var/lib/dpkg/status", status);
    sandbox.put("debian/var/lib/dpkg/status.d/base", "Package: base-files\nVersion: 12\nArchitecture: amd64\n");
    sandbox.put("debian/usr/share/doc/libc6/copyright", "Format: x\n\nFiles: *\nLicense: LGPL-2.1-or-later\n");
    sandbox.put("debian/etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
    sandbox.put("debian/var/lib/rpm/rpmdb.sqlite", "x");
    let text = "FROM alpine\nCOPY debian /\nRUN --network=none rm -rf /lib/apk\n";
    sandbox.build(text, &["--attest", "type=sbom", "-o", "type=tar,dest=out.tar"]);
    sandbox.run_other("tar", &["xf", "out.tar", "sbom.spdx.json"]).ok();
    let document = json_of(&sandbox, "sbom.spdx.json")["predicate"].clone();
    let packages = document["packages"].as_array().unwrap();
    let purls: Vec<String> = packages[1..].iter().map(purl).collect();
    let libc = "pkg:deb/debian/libc6@2.36-9%2Bdeb12u4?arch=amd64&distro=debian-12&upstream=glibc";
    assert_eq!(purls, ["pkg:deb/debian/base-files@12?arch=amd64&distro=debian-12", libc]);
    assert_eq!(packages[2]["licenseDeclared"], "LGPL-2.1-or-later");
    let comment = document["comment"].as_str().unwrap();
    assert!(comment.contains("rpmdb.sqlite are not listed") && !comment.contains("/lib/apk"), "{comment}");

    // A database that leads out of the image, and one that is no file.
    let text = "FROM alpine\nRUN --network=none rm /lib/apk/db/installed && ln -s /../../../../etc/passwd /lib/apk/db/installed && mkdir -p /var/lib/dpkg && mkfifo /var/lib/dpkg/status\n";
    sandbox.build(text, &["--sbom", "-o", "odd"]);
    let document = json_of(&sandbox, "odd/sbom.spdx.json")["predicate"].clone();
    assert_eq!(document["packages"].as_array().unwrap().len(), 1, "{document}");
}

#[test]
fn with_a_fixed_time_the_same_is_told_again() {
    let sandbox = with_hello();
    let told = || {
        sandbox.put("Dockerfile", TEXT);
        let both = ["--provenance=mode=max", "--sbom", "-o", "type=tar,dest=out.tar"];
        let fixed = ["--build-arg", "SOURCE_DATE_EPOCH=1700000000", "--no-cache", "--metadata-file", "meta.json"];
        sandbox.ok(&[&["build", "-q", "-t", "built"], &both[..], &fixed, &["context"]].concat());
        let meta = json_of(&sandbox, "meta.json")["buildx.build.provenance"].clone();
        assert!(meta["metadata"].get("buildStartedOn").is_none(), "{meta}");
        fs::read(sandbox.file("out.tar")).unwrap()
    };
    let first = told();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert!(first == told(), "another archive");
}

#[test]
fn files_of_a_result_are_not_covered() {
    let sandbox = with_hello();
    sandbox.put("provenance.json", "mine\n");
    let text = "FROM scratch\nCOPY provenance.json /\n";
    let error = sandbox.try_build(text, &["--provenance", "-o", "out"]).fails(1);
    assert!(error.contains("cannot add the attestation `provenance.json`"), "{error}");
    sandbox.build(text, &["-o", "out"]);
    assert_eq!(fs::read_to_string(sandbox.file("out/provenance.json")).unwrap(), "mine\n");
}
