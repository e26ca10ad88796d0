//! Registries as the OCI distribution specification allows them to be, and some that are less: every way of sending a blob,
//! older manifests, lists of referrers, layers that lie elsewhere. The digest of an image survives all of it.

use crate::common::Sandbox;
use crate::common::hostile;
use crate::common::http::{Answer, Request, WebServer};
use hostile::Tape;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    let sum = sha2::Sha256::digest(bytes);
    sum.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// How a registry takes blobs.
#[derive(Clone, Copy, Default)]
struct Habits {
    /// It wants to know where a chunk belongs.
    ranges: bool,
    shortest: usize,
    longest: usize,
    no_patch: bool,
    /// The number of uploads that the registry forgets midway, and the number that it forgets just before their end.
    forgets: usize,
    forgets_late: usize,
    /// Manifests of OCI's are refused.
    docker_only: bool,
    lists_referrers: bool,
}

#[derive(Default)]
struct Kept {
    uploads: HashMap<String, Vec<u8>>,
    begun: usize,
    forgotten: usize,
    blobs: HashMap<String, Vec<u8>>,
    manifests: HashMap<String, (String, Vec<u8>)>,
    /// Lengths of the chunks, in the order they came.
    chunks: Vec<usize>,
}

struct Registry {
    server: WebServer,
    kept: Arc<Mutex<Kept>>,
}

fn refusal(status: u16, code: &str) -> Answer {
    Answer::new(status, format!(r#"{{"errors":[{{"code":"{code}","message":"no"}}]}}"#))
}

impl Kept {
    fn answer(&mut self, request: &Request, habits: Habits) -> Answer {
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let last = path.rsplit('/').next().unwrap();
        let is_manifest = path.contains("/manifests/");
        match request.method.as_str() {
            "HEAD" | "GET" if is_manifest => match self.manifests.get(last) {
                Some((media_type, bytes)) => Answer::new(200, bytes.clone())
                    .header("Content-Type", media_type)
                    .header("Docker-Content-Digest", sha256(bytes)),
                None => refusal(404, "MANIFEST_UNKNOWN"),
            },
            "PUT" if is_manifest => {
                let media_type = request.header("content-type").unwrap_or_default().to_owned();
                if habits.docker_only && media_type.contains("oci") {
                    return refusal(400, "MANIFEST_INVALID");
                }
                let entry = (media_type, request.body.clone());
                self.manifests.insert(sha256(&request.body), entry.clone());
                self.manifests.insert(last.to_owned(), entry);
                let answer = Answer::new(201, "");
                if habits.lists_referrers { answer.header("OCI-Subject", "x") } else { answer }
            }
            "HEAD" | "GET" if path.contains("/blobs/sha256:") => match self.blobs.get(last) {
                Some(bytes) => Answer::new(200, bytes.clone()),
                None => refusal(404, "BLOB_UNKNOWN"),
            },
            "POST" => {
                self.begun += 1;
                let id = format!("upload-{}", self.begun);
                self.uploads.insert(id.clone(), Vec::new());
                let answer = Answer::new(202, "").header("Location", format!("{path}{id}?state={}", self.begun));
                if habits.shortest > 0 {
                    return answer.header("OCI-Chunk-Min-Length", habits.shortest.to_string());
                }
                answer
            }
            "PATCH" => self.patch(last, request, habits),
            "PUT" => self.put(last, query, request, habits),
            "GET" if path.contains("/uploads/") => match self.uploads.get(last) {
                Some(upload) => Answer::new(204, "")
                    .header("Location", request.path.clone())
                    .header("Range", format!("0-{}", upload.len().saturating_sub(1))),
                None => refusal(404, "BLOB_UPLOAD_UNKNOWN"),
            },
            _ => Answer::new(200, "{}"),
        }
    }

    fn patch(&mut self, id: &str, request: &Request, habits: Habits) -> Answer {
        if habits.no_patch {
            return Answer::new(405, "");
        }
        if habits.longest > 0 && request.body.len() > habits.longest {
            return Answer::new(413, "");
        }
        let Some(upload) = self.uploads.get_mut(id) else { return refusal(404, "BLOB_UPLOAD_UNKNOWN") };
        if self.forgotten < habits.forgets {
            self.forgotten += 1;
            self.uploads.remove(id);
            return refusal(404, "BLOB_UPLOAD_UNKNOWN");
        }
        if habits.ranges {
            let expected = format!("{}-{}", upload.len(), (upload.len() + request.body.len()).saturating_sub(1));
            let told = (request.header("content-range"), request.header("content-length"));
            if told != (Some(expected.as_str()), Some(request.body.len().to_string().as_str())) {
                return Answer::new(416, "");
            }
            // Only the last may be shorter than was asked for.
            if self.chunks.last().is_some_and(|last| *last < habits.shortest) && !upload.is_empty() {
                return refusal(400, "SIZE_INVALID");
            }
        }
        self.chunks.push(request.body.len());
        upload.extend_from_slice(&request.body);
        Answer::new(202, "")
            .header("Location", request.path.clone())
            .header("Range", format!("0-{}", upload.len().saturating_sub(1)))
    }

    fn put(&mut self, id: &str, query: &str, request: &Request, habits: Habits) -> Answer {
        let Some(mut blob) = self.uploads.remove(id) else { return refusal(404, "BLOB_UPLOAD_UNKNOWN") };
        if self.forgotten < habits.forgets_late {
            self.forgotten += 1;
            return refusal(404, "BLOB_UPLOAD_UNKNOWN");
        }
        if request.header("content-length").is_none() {
            return Answer::new(411, "");
        }
        blob.extend_from_slice(&request.body);
        let digest = query.rsplit("digest=").next().unwrap();
        if digest != sha256(&blob) {
            return refusal(400, "DIGEST_INVALID");
        }
        self.blobs.insert(digest.to_owned(), blob);
        Answer::new(201, "")
    }
}

impl Registry {
    fn start(habits: Habits) -> Self {
        let kept: Arc<Mutex<Kept>> = Arc::default();
        let state = kept.clone();
        Self { server: WebServer::start(move |request| state.lock().unwrap().answer(request, habits)), kept }
    }

    fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.server.host())
    }

    fn manifest(&self, tag: &str) -> (String, Value) {
        let kept = self.kept.lock().unwrap();
        let (media_type, bytes) = &kept.manifests[tag];
        (media_type.clone(), serde_json::from_slice(bytes).unwrap())
    }

    fn put_blob(&self, bytes: &[u8], media_type: &str) -> Value {
        self.kept.lock().unwrap().blobs.insert(sha256(bytes), bytes.to_vec());
        json!({ "mediaType": media_type, "digest": sha256(bytes), "size": bytes.len() })
    }

    /// Puts an image there whose layers are these, each as it is given; gives the manifest's digest.
    fn put_image(&self, tag: &str, layers: &[(&[u8], Value)]) -> String {
        let ids: Vec<String> = layers.iter().map(|(layer, _)| sha256(layer)).collect();
        let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
        let config =
            json!({ "architecture": architecture, "os": "linux", "rootfs": { "type": "layers", "diff_ids": ids } });
        let config = self.put_blob(config.to_string().as_bytes(), "application/vnd.oci.image.config.v1+json");
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let layers: Vec<&Value> = layers.iter().map(|(_, descriptor)| descriptor).collect();
        let manifest = json!({ "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers });
        let bytes = manifest.to_string().into_bytes();
        let mut kept = self.kept.lock().unwrap();
        let digest = sha256(&bytes);
        kept.manifests.insert(digest.clone(), (media_type.to_owned(), bytes.clone()));
        kept.manifests.insert(tag.to_owned(), (media_type.to_owned(), bytes));
        digest
    }
}

/// An image `big` with a layer of some megabytes that do not compress.
fn with_big() -> Sandbox {
    let sandbox = Sandbox::new();
    let mut state = 1u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let bytes: Vec<u8> = (0..3 << 20).map(|_| noise()).collect();
    sandbox.run_with_input(&["import", "-", "big"], &Tape::new().file("big", bytes).end()).ok();
    sandbox
}

/// Pushes `big` to a registry of these habits, and pulls it again.
#[track_caller]
fn goes_to(habits: Habits, flags: &[&str]) -> Registry {
    let (sandbox, registry) = (with_big(), Registry::start(habits));
    let name = registry.image("ann/big");
    sandbox.ok(&["tag", "big", &name]);
    sandbox.ok(&[&["push"], flags, &[&name]].concat());
    let fresh = Sandbox::new();
    fresh.ok(&["pull", "-q", &name]);
    assert_eq!(fresh.look(&name, "{{.Id}}"), sandbox.look("big", "{{.Id}}"));
    registry
}

#[test]
fn blobs_go_in_the_way_that_a_registry_takes() {
    goes_to(Habits::default(), &[]);
    let registry = goes_to(Habits { ranges: true, shortest: 1 << 20, ..Habits::default() }, &[]);
    assert!(registry.kept.lock().unwrap().chunks.iter().any(|length| *length >= 1 << 20));
    let registry = goes_to(Habits { ranges: true, longest: 300_000, ..Habits::default() }, &[]);
    let chunks = registry.kept.lock().unwrap().chunks.clone();
    assert!(chunks.len() > 10 && chunks.iter().all(|length| *length <= 300_000), "{chunks:?}");
    goes_to(Habits { ranges: true, shortest: 100 << 20, ..Habits::default() }, &[]);
    // Compressed anew: neither length nor digest is known before.
    let registry = goes_to(Habits { no_patch: true, ..Habits::default() }, &["--compression", "zstd"]);
    assert_eq!(registry.kept.lock().unwrap().chunks, [0; 0]);
}

#[test]
fn an_upload_that_was_forgotten_is_begun_anew() {
    goes_to(Habits { forgets: 3, ..Habits::default() }, &[]);
    goes_to(Habits { forgets_late: 3, ..Habits::default() }, &[]);
    let (sandbox, registry) = (with_big(), Registry::start(Habits { forgets: 1000, ..Habits::default() }));
    let name = registry.image("ann/big");
    sandbox.ok(&["tag", "big", &name]);
    let said = sandbox.fails(1, &["push", &name]);
    assert!(said.contains("blob upload unknown"), "{said}");
}

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

#[test]
fn dockers_older_manifest_is_for_who_wants_it() {
    for (habits, flags) in [
        (Habits::default(), vec!["--format", "v2s2"]),
        (Habits { docker_only: true, ..Habits::default() }, vec![]),
        // It has no words for zstd.
        (Habits { docker_only: true, ..Habits::default() }, vec!["--compression", "zstd"]),
    ] {
        let registry = goes_to(habits, &flags);
        let (media_type, manifest) = registry.manifest("latest");
        assert_eq!((media_type.as_str(), manifest["mediaType"].as_str()), (DOCKER, Some(DOCKER)));
        assert_eq!(manifest["config"]["mediaType"], "application/vnd.docker.container.image.v1+json");
        assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.docker.image.rootfs.diff.tar.gzip");
    }
    let (sandbox, registry) = (with_big(), Registry::start(Habits { docker_only: true, ..Habits::default() }));
    let name = registry.image("ann/big");
    sandbox.ok(&["tag", "big", &name]);
    let said = sandbox.fails(1, &["push", "--format", "oci", &name]);
    assert!(said.contains("manifest invalid"), "{said}");
    let said = sandbox.ok(&["push", &name]);
    assert!(said.contains("takes no OCI manifest"), "{said}");
    // And back: the layers are there already.
    let other = Registry::start(Habits::default());
    sandbox.ok(&["tag", &name, &other.image("x")]);
    sandbox.ok(&["push", "--format", "oci", &other.image("x")]);
    let (_, manifest) = other.manifest("latest");
    assert_eq!(manifest["layers"][0]["mediaType"], "application/vnd.oci.image.layer.v1.tar+gzip");
    let said = sandbox.run(&["push", "--format", "v2s2", "--compression", "zstd", &name]);
    assert!(
        said.code != 0 && said.stderr.contains("--compression zstd and --format v2s2 exclude each other"),
        "{}",
        said.streams()
    );
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn compressed(program: &str, bytes: &[u8]) -> Vec<u8> {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.file("plain"), bytes).unwrap();
    sandbox.run_other("sh", &["-c", &format!("{program} <plain >compressed")]).ok();
    std::fs::read(sandbox.file("compressed")).unwrap()
}

const TAR: &str = "application/vnd.oci.image.layer.v1.tar";

/// The digest that `push` says.
fn pushed(sandbox: &Sandbox, from: &str, to: &str) -> String {
    sandbox.ok(&["tag", from, to]);
    let said = sandbox.ok(&["push", to]);
    said.split_whitespace().find(|word| word.starts_with("sha256:")).expect("a digest").to_owned()
}

#[test]
fn a_digest_survives_whatever_the_layers_are() {
    let (from, to) = (Registry::start(Habits::default()), Registry::start(Habits::default()));
    let layers = ["one", "two", "three"].map(|text| Tape::new().file(text, text.repeat(500)).end());
    let [one, two, three] = &layers;
    let plain = |layer: &[u8]| from.put_blob(layer, TAR);
    let zipped = |layer: &[u8]| from.put_blob(&gzip(layer), &format!("{TAR}+gzip"));
    let zstd = |layer: &[u8]| from.put_blob(&compressed("zstd", layer), &format!("{TAR}+zstd"));
    // As Docker's daemon reads it, whatever its type says.
    let xz = |layer: &[u8]| from.put_blob(&compressed("xz", layer), &format!("{TAR}+gzip"));
    let cases = [
        ("plain", vec![(&one[..], plain(one)), (&two[..], plain(two))]),
        ("mixed", vec![(&one[..], zipped(one)), (&two[..], plain(two)), (&three[..], zstd(three))]),
        ("xz", vec![(&one[..], xz(one)), (&two[..], zipped(two))]),
    ];
    for (tag, layers) in &cases {
        let digest = from.put_image(tag, layers);
        let sandbox = Sandbox::new();
        sandbox.ok(&["pull", "-q", &from.image(&format!("a:{tag}"))]);
        let to = to.image(&format!("b:{tag}"));
        assert_eq!(pushed(&sandbox, &from.image(&format!("a:{tag}")), &to), digest, "{tag}");
        let fresh = Sandbox::new();
        fresh.ok(&["pull", "-q", &to]);
        assert_eq!(fresh.look(&to, "{{.Id}}"), sandbox.look(&to, "{{.Id}}"));
    }
    // A layer that is here already, in another form than the image names: it is passed on from where it lies.
    let first = from.put_image("first", &[(&one[..], zipped(one))]);
    let second = from.put_image("second", &[(&one[..], zstd(one)), (&two[..], zstd(two))]);
    let sandbox = Sandbox::new();
    let names = ["first", "second"].map(|tag| from.image(&format!("a:{tag}")));
    sandbox.ok(&["pull", "-q", &names[0]]);
    sandbox.ok(&["pull", "-q", &names[1]]);
    assert_eq!(pushed(&sandbox, &names[1], &to.image("c:second")), second);
    assert_eq!(pushed(&sandbox, &names[0], &to.image("c:first")), first);
    // Gone from there, it goes as it is here, and that is said.
    let other = Registry::start(Habits::default());
    from.kept.lock().unwrap().blobs.clear();
    to.kept.lock().unwrap().blobs.clear();
    sandbox.ok(&["tag", &names[1], &other.image("d")]);
    let said = sandbox.ok(&["push", &other.image("d")]);
    assert!(said.contains("another digest") && !said.contains(&second), "{said}");
}

#[test]
fn layers_that_lie_elsewhere_are_fetched_from_there_and_left_there() {
    let (from, to) = (Registry::start(Habits::default()), Registry::start(Habits::default()));
    let layer = Tape::new().file("text", "foreign").end();
    let zipped = gzip(&layer);
    let served = zipped.clone();
    let elsewhere = WebServer::start(move |_| Answer::new(200, served.clone()));
    let mut descriptor = from.put_blob(&zipped, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    descriptor["urls"] = json!(["ftp://x/y", format!("http://{}/layer", elsewhere.host())]);
    from.kept.lock().unwrap().blobs.remove(&sha256(&zipped));
    let digest = from.put_image("latest", &[(&layer, descriptor)]);
    let sandbox = Sandbox::new();
    sandbox.ok(&["pull", "-q", &from.image("x")]);
    assert_eq!(elsewhere.asked().len(), 1);
    sandbox.ok(&["tag", &from.image("x"), &to.image("y")]);
    let said = sandbox.ok(&["push", &to.image("y")]);
    assert!(said.contains("Skipped foreign layer") && said.contains(&digest), "{said}");
    assert!(!to.kept.lock().unwrap().blobs.contains_key(&sha256(&zipped)));
}

#[test]
fn a_list_of_referrers_is_kept_for_who_keeps_none() {
    for lists_referrers in [false, true] {
        let (from, to) =
            (Registry::start(Habits::default()), Registry::start(Habits { lists_referrers, ..Habits::default() }));
        let layer = Tape::new().file("text", "x").end();
        let descriptor = from.put_blob(&gzip(&layer), &format!("{TAR}+gzip"));
        let subject = from.put_image("subject", &[(&layer, descriptor)]);
        let (media_type, mut manifest) = from.manifest("subject");
        manifest["subject"] = json!({ "mediaType": media_type, "digest": subject, "size": 1 });
        manifest["annotations"] = json!({ "a": "b" });
        let bytes = manifest.to_string().into_bytes();
        from.kept.lock().unwrap().manifests.insert("latest".into(), (media_type, bytes.clone()));
        let sandbox = Sandbox::new();
        sandbox.ok(&["pull", "-q", &from.image("x")]);
        for _ in 0..2 {
            assert_eq!(pushed(&sandbox, &from.image("x"), &to.image("y")), sha256(&bytes));
        }
        let tag = subject.replace(':', "-");
        if lists_referrers {
            assert!(!to.kept.lock().unwrap().manifests.contains_key(&tag));
            continue;
        }
        let (_, list) = to.manifest(&tag);
        assert_eq!(list["manifests"].as_array().unwrap().len(), 1, "{list}");
        assert_eq!(list["manifests"][0]["digest"], sha256(&bytes));
        assert_eq!(list["manifests"][0]["annotations"]["a"], "b");
    }
}
