//! Registries that mean harm: whatever they answer, a pull ends with an error that says what is wrong, and nothing is kept.

use crate::common::Sandbox;
use crate::common::http::{Answer, Request, WebServer};
use std::io::Write;

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest;
    let sum = sha2::Sha256::digest(bytes);
    sum.iter().fold("sha256:".to_owned(), |text, byte| format!("{text}{byte:02x}"))
}

/// Serves a manifest under every name, and blobs by their digests.
fn registry(manifest: Vec<u8>, blobs: Vec<Vec<u8>>) -> WebServer {
    WebServer::start(move |request| {
        let wanted = request.path.rsplit('/').next().unwrap();
        if request.path == "/v2/" {
            return Answer::new(200, "{}");
        }
        if request.path.contains("/manifests/") {
            return Answer::new(200, manifest.clone());
        }
        let found = blobs.iter().find(|blob| sha256(blob) == wanted);
        found.map_or(Answer::new(404, ""), |blob| Answer::new(200, blob.clone()))
    })
}

#[track_caller]
fn pull_fails(server: &WebServer) -> String {
    let sandbox = Sandbox::new();
    let said = sandbox.fails(1, &["pull", &format!("{}/x/y", server.host())]);
    for directory in ["images", "layers", "names", "tmp", "pending"] {
        assert_eq!(sandbox.stored(directory), [] as [String; 0], "{directory}: {said}");
    }
    assert!(!said.chars().any(|c| c.is_control() && c != '\n'), "{said:?}");
    said
}

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

#[test]
fn documents_that_are_no_manifests() {
    let descriptor = format!(r#"{{"mediaType":"x","digest":"{DIGEST}","size":0}}"#);
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{descriptor}]}}"#);
    let cases = [
        ("".to_owned(), "not valid"),
        ("\u{1b}[2Jnot JSON".to_owned(), "not valid"),
        ("[]".to_owned(), "not an image"),
        (r#"{"schemaVersion":1,"fsLayers":[]}"#.to_owned(), "schema 1"),
        (format!(r#"{{"schemaVersion":2,"config":{descriptor},"layers":[],"manifests":[]}}"#), "at once"),
        (r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(), "no image for"),
        (
            r#"{"schemaVersion":2,"config":{"mediaType":"x","digest":"md5:00","size":1},"layers":[]}"#.to_owned(),
            "md5:00",
        ),
        (
            format!(r#"{{"schemaVersion":2,"config":{{"mediaType":"x","digest":"{DIGEST}","size":-1}},"layers":[]}}"#),
            "not valid",
        ),
        ("[".repeat(100_000), "not valid"),
        // It leads to itself, under a digest that is not its own.
        (index, "digest"),
    ];
    for (document, word) in cases {
        let said = pull_fails(&registry(document.clone().into_bytes(), Vec::new()));
        assert!(said.contains(word), "no `{word}` for {}:\n{said}", &document[..document.len().min(80)]);
    }
    let endless = " ".repeat(5 << 20);
    assert!(pull_fails(&registry(endless.into_bytes(), Vec::new())).contains("longer than"));
}

/// A manifest of this config and these layers, each with the size that is claimed for it.
fn manifest(config: &[u8], layers: &[(&[u8], u64)]) -> Vec<u8> {
    let descriptor =
        |bytes: &[u8], size: u64| format!(r#"{{"mediaType":"x","digest":"{}","size":{size}}}"#, sha256(bytes));
    let layers: Vec<String> = layers.iter().map(|(bytes, size)| descriptor(bytes, *size)).collect();
    let config = descriptor(config, config.len() as u64);
    format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, layers.join(",")).into_bytes()
}

fn config(diff_ids: &[String]) -> Vec<u8> {
    let ids: Vec<String> = diff_ids.iter().map(|id| format!("\"{id}\"")).collect();
    format!(r#"{{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#, ids.join(","))
        .into_bytes()
}

#[test]
fn configs_and_layers_that_do_not_fit() {
    let layer = vec![0; 1024];
    let cases = [
        (b"not JSON".to_vec(), vec![], "not valid"),
        (config(&[]), vec![(layer.as_slice(), 1024)], "its config lists 0"),
        (config(&["sha256:../../etc".into()]), vec![(layer.as_slice(), 1024)], "not a digest"),
        (config(&[sha256(b"other")]), vec![(layer.as_slice(), 1024)], "has the digest"),
        (config(&[sha256(&layer)]), vec![(layer.as_slice(), u64::MAX)], "bytes"),
        (config(&[sha256(&layer)]), vec![(b"absent".as_slice(), 6)], "layer"),
    ];
    for (config, layers, word) in cases {
        let document = manifest(&config, &layers);
        let said = pull_fails(&registry(document, vec![config, layer.clone()]));
        assert!(said.contains(word), "no `{word}` in:\n{said}");
    }
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn answers_with_an_encoding_that_was_not_asked_for() {
    let layer = vec![0; 1024];
    let config = config(&[sha256(&layer)]);
    let document = manifest(&config, &[(&layer, 1024)]);
    let blobs = [layer.clone(), config];
    // `documents` and `layers` name the encoding that an answer gets; `packed` says whether it is true.
    let server = |documents: &'static str, layers: &'static str, packed: bool| {
        let (document, blobs) = (document.clone(), blobs.clone());
        WebServer::start(move |request: &Request| {
            let wanted = request.path.rsplit('/').next().unwrap();
            let pack = |bytes: &[u8]| if packed { gzipped(bytes) } else { bytes.to_vec() };
            if request.path == "/v2/" {
                return Answer::new(200, "{}");
            }
            if request.path.contains("/manifests/") {
                return Answer::new(200, gzipped(&document)).header("Content-Encoding", documents);
            }
            match blobs.iter().find(|blob| sha256(blob) == wanted) {
                Some(blob) if blob.len() == 1024 => Answer::new(200, pack(blob)).header("Content-Encoding", layers),
                Some(config) => Answer::new(200, gzipped(config)).header("Content-Encoding", documents),
                None => Answer::new(404, ""),
            }
        })
    };
    // A document is read; a layer that is only called compressed is one.
    for layers in ["gzip", "identity"] {
        let sandbox = Sandbox::new();
        let server = server("gzip", layers, false);
        sandbox.ok(&["pull", &format!("{}/x/y", server.host())]);
        assert_eq!(sandbox.stored("images").len(), 1);
    }
    let said = pull_fails(&server("gzip", "gzip", true));
    assert!(said.contains("Content-Encoding gzip, which was not asked for"), "{said}");
    let server = server("br", "br", false);
    let said = pull_fails(&server);
    assert!(said.contains("Content-Encoding br, which was not asked for"), "{said}");
    assert!(server.asked().len() < 5, "{:?}", server.asked());
}

#[test]
fn a_layer_that_grows_without_end_is_stopped() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..300 {
        encoder.write_all(&[0; 1 << 20]).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let config = config(&[DIGEST.to_owned()]);
    let document = manifest(&config, &[(&bomb, bomb.len() as u64)]);
    // Zeroes end an archive, and nothing of what follows is unpacked.
    assert!(pull_fails(&registry(document, vec![config, bomb])).contains("layer"));
}

#[test]
fn redirects_lead_nowhere_they_should_not() {
    let cases = ["file:///etc/passwd", "gopher://x/", "http://", "/v2/again", ":", "\u{1}"];
    for target in cases {
        let to = target.to_owned();
        let server = WebServer::start(move |request: &Request| match request.path.as_str() {
            "/v2/" => Answer::new(200, "{}"),
            _ => Answer::new(307, "").header("Location", to.clone()),
        });
        pull_fails(&server);
        assert!(server.asked().len() < 20, "{target}: {}", server.asked().len());
    }
}

#[test]
fn challenges_that_cannot_be_answered() {
    let cases = [
        "Bearer realm=\"file:///etc/passwd\"",
        "Bearer realm=\"\"",
        "Bearer realm=\"http://127.0.0.1:1/token\",service=\"x\"",
        "Negotiate",
        "Basic realm=\"x\"",
        "=,\"",
    ];
    for challenge in cases {
        let server = WebServer::start(move |_: &Request| Answer::new(401, "").header("WWW-Authenticate", challenge));
        pull_fails(&server);
        assert!(server.asked().len() < 20, "{challenge}: {}", server.asked().len());
    }
}

#[test]
fn a_list_of_tags_without_end_is_given_up() {
    let server = WebServer::start(|request: &Request| match request.path.as_str() {
        "/v2/" => Answer::new(200, "{}"),
        _ => Answer::new(200, r#"{"tags":["a"]}"#).header("Link", "</v2/x/y/tags/list?last=a>; rel=\"next\""),
    });
    let said = Sandbox::new().fails(1, &["pull", "-a", &format!("{}/x/y", server.host())]);
    assert!(said.contains("has no end"), "{said}");
}

#[test]
fn words_of_a_registry_do_not_command_the_terminal() {
    let server = WebServer::start(|request: &Request| match request.path.as_str() {
        "/v2/" => Answer::new(200, "{}"),
        _ => Answer::new(418, r#"{"errors":[{"code":"TEA","message":"short\u001b[31m and\u0007 stout"}]}"#),
    });
    assert!(pull_fails(&server).contains("tea: short[31m and stout"));
}

/// Serves one document under every tag, and all others by their digests.
fn serving(tagged: Vec<u8>, others: Vec<Vec<u8>>) -> WebServer {
    WebServer::start(move |request| {
        let wanted = request.path.rsplit('/').next().unwrap();
        if request.path == "/v2/" {
            return Answer::new(200, "{}");
        }
        match others.iter().find(|document| sha256(document) == wanted) {
            Some(document) => Answer::new(200, document.clone()),
            None if request.path.contains("/manifests/") && !wanted.contains(':') => Answer::new(200, tagged.clone()),
            None => Answer::new(404, ""),
        }
    })
}

const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A manifest with types that say what it is for.
fn typed(config: (&str, &[u8]), layer: (&str, &[u8]), artifact: Option<&str>) -> Vec<u8> {
    let descriptor = |(media_type, bytes): (&str, &[u8])| {
        format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}}}"#, sha256(bytes), bytes.len())
    };
    let artifact = artifact.map_or(String::new(), |artifact| format!(r#""artifactType":"{artifact}","#));
    let (config, layer) = (descriptor(config), descriptor(layer));
    format!(r#"{{"schemaVersion":2,{artifact}"config":{config},"layers":[{layer}]}}"#).into_bytes()
}

/// An entry of an index.
fn entry(manifest: &[u8], more: &str) -> String {
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    format!(r#"{{"mediaType":"{media_type}","digest":"{}","size":{}{more}}}"#, sha256(manifest), manifest.len())
}

fn index(entries: &[String]) -> Vec<u8> {
    format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(",")).into_bytes()
}

fn architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }
}

#[test]
fn an_index_may_list_other_things_before_the_image() {
    let layer = vec![0; 1024];
    let config = String::from_utf8(config(&[sha256(&layer)])).unwrap().replace("amd64", architecture()).into_bytes();
    let foreign = String::from_utf8(config.clone()).unwrap().replace(architecture(), "s390x").into_bytes();
    let image = typed((IMAGE_CONFIG, &config), (LAYER, &layer), None);
    let other = typed((IMAGE_CONFIG, &foreign), (LAYER, &layer), None);
    let chart = typed(("application/vnd.cncf.helm.config.v1+json", b"{}"), (LAYER, &layer), None);
    let attestation = typed((IMAGE_CONFIG, &foreign), ("application/vnd.in-toto+json", b"{}"), None);
    let unknown = r#","platform":{"architecture":"unknown","os":"unknown"}"#;
    let here = format!(r#","platform":{{"architecture":"{}","os":"linux"}}"#, architecture());
    let all = || vec![layer.clone(), config.clone(), foreign.clone(), image.clone(), other.clone(), chart.clone()];
    let nested = index(&[entry(&chart, ""), entry(&image, &here)]);
    for entries in [
        // An artifact without a platform, then ours.
        vec![entry(&chart, ""), entry(&image, &here)],
        vec![entry(&attestation, r#","annotations":{"vnd.docker.reference.type":"x"}"#), entry(&image, "")],
        vec![entry(&attestation, unknown), entry(&chart, r#","artifactType":"a/b""#), entry(&image, &here)],
        // None names a platform: the configs do.
        vec![entry(&chart, ""), entry(&other, ""), entry(&image, "")],
        vec![entry(&nested, "")],
    ] {
        let others = [all(), vec![attestation.clone(), nested.clone()]].concat();
        let server = serving(index(&entries), others);
        let sandbox = Sandbox::new();
        let name = format!("{}/x/y", server.host());
        sandbox.ok(&["pull", "-q", &name]);
        assert_eq!(sandbox.look(&name, "{{.Id}}"), sha256(&config), "{entries:?}");
    }
    let said = pull_fails(&serving(index(&[entry(&chart, "")]), all()));
    assert!(said.contains("is a Helm chart, not an image"), "{said}");
    let said = pull_fails(&serving(index(&[entry(&other, "")]), all()));
    assert!(said.contains(&format!("no image for linux/{}", architecture())), "{said}");
    // An index of nothing but indexes, each of the same two.
    let mut twins = index(&[entry(&chart, ""), entry(&chart, "")]);
    let mut others = all();
    for _ in 0..12 {
        others.push(twins.clone());
        twins = index(&[entry(&twins, ""), entry(&twins, "")]);
    }
    let server = serving(twins, others);
    pull_fails(&server);
    assert!(server.asked().len() < 60, "{}", server.asked().len());
}

#[test]
fn what_is_no_image_is_called_what_it_is() {
    let layer = vec![0; 1024];
    let config = config(&[sha256(&layer)]);
    let cases = [
        (
            typed(("application/vnd.cncf.helm.config.v1+json", b"{}"), (LAYER, &layer), None),
            "a Helm chart",
            "helm pull",
        ),
        (
            typed(
                ("application/vnd.oci.empty.v1+json", b"{}"),
                (LAYER, &layer),
                Some("application/vnd.minirun.build-cache.v1"),
            ),
            "a build cache",
            "--cache-from",
        ),
        (
            typed((IMAGE_CONFIG, &config), ("application/vnd.dev.cosign.simplesigning.v1+json", b"{}"), None),
            "a signature",
            "not an image",
        ),
        (
            typed(("application/vnd.oci.empty.v1+json", b"{}"), (LAYER, &layer), Some("text/x")),
            "an artifact of the type text/x",
            "oras",
        ),
        (typed(("application/vnd.unknown.config.v1+json", b"{}"), (LAYER, &layer), None), "an artifact", "oras"),
        (
            typed((IMAGE_CONFIG, &config), ("application/vnd.oci.image.layer.v1.tar+gzip+encrypted", &layer), None),
            "layers are encrypted",
            "--decryption-key",
        ),
        (
            br#"{"mediaType":"application/vnd.oci.artifact.manifest.v1+json","artifactType":"text/y","blobs":[]}"#
                .to_vec(),
            "an artifact of the type text/y",
            "oras",
        ),
    ];
    for (manifest, what, hint) in cases {
        let server = serving(manifest, vec![config.clone(), layer.clone(), b"{}".to_vec()]);
        let said = pull_fails(&server);
        assert!(said.contains(what) && said.contains(hint), "no `{what}` and `{hint}` in:\n{said}");
        assert!(!said.contains("damaged") && !said.contains("not valid"), "{said}");
    }
    // Ours, as a build leaves it.
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(5 << 20));
    let said = pull_fails(&serving(long.into_bytes(), Vec::new()));
    assert!(said.contains("x/y:latest is longer than 4194304 bytes"), "{said}");
    let server = WebServer::start(|request: &Request| match request.path.as_str() {
        "/v2/" => Answer::new(200, "{}"),
        path => Answer::new(307, "").header("Location", format!("{path}x")),
    });
    let said = pull_fails(&server);
    assert!(said.contains("still redirects after 10") && server.asked().len() < 20, "{said}");
}

#[test]
fn manifests_of_any_size_are_read_in_a_moment() {
    let layer = vec![0; 1024];
    let platform = |n| format!(r#","platform":{{"architecture":"a{n}","os":"b"}}"#);
    let entries: Vec<String> = (0..18_000).map(|n| entry(&[], &platform(n))).collect();
    let ids: Vec<String> = (0..50_000).map(|_| sha256(&layer)).collect();
    let config = config(&ids);
    let layers: Vec<(&[u8], u64)> = (0..25_000).map(|_| (layer.as_slice(), 1024)).collect();
    let begun = std::time::Instant::now();
    let said = pull_fails(&serving(index(&entries), Vec::new()));
    assert!(said.contains("no image for") && said.len() < 2000, "{said}");
    let said = pull_fails(&serving(manifest(&config, &layers), vec![config, layer.clone()]));
    assert!(said.contains("layers") && said.len() < 2000, "{said}");
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

#[test]
fn what_lies_beside_images_is_in_nobodys_way() {
    let layer = vec![0; 1024];
    let config = config(&[sha256(&layer)]);
    let image = typed((IMAGE_CONFIG, &config), (LAYER, &layer), None);
    let signature = typed((IMAGE_CONFIG, &config), ("application/vnd.dev.cosign.simplesigning.v1+json", b"{}"), None);
    let chart = typed(("application/vnd.cncf.helm.config.v1+json", b"{}"), (LAYER, &layer), None);
    let list = index(&[entry(&image, ""), entry(&chart, "")]);
    let others = [layer, config, image.clone(), chart.clone()];
    let server = WebServer::start(move |request| {
        let wanted = request.path.rsplit('/').next().unwrap();
        match wanted {
            "list" if request.path.ends_with("tags/list") => Answer::new(200, r#"{"tags":["1","1.sig","2"]}"#),
            "1" | "2" => Answer::new(200, image.clone()),
            "1.sig" => Answer::new(200, signature.clone()),
            "all" => Answer::new(200, list.clone()),
            _ => others
                .iter()
                .find(|bytes| sha256(bytes) == wanted)
                .map_or(Answer::new(200, "{}"), |bytes| Answer::new(200, bytes.clone())),
        }
    });
    let sandbox = Sandbox::new();
    let name = format!("{}/x/y", server.host());
    let said = sandbox.ok(&["pull", "-a", &name]);
    assert!(said.contains("is a signature, not an image"), "{said}");
    assert_eq!(sandbox.ok(&["images", "--no-trunc", &name]).lines().count(), 3);
    sandbox.ok(&["manifest", "create", "list", &format!("{name}:all")]);
    let shown: serde_json::Value = serde_json::from_str(&sandbox.ok(&["manifest", "inspect", "list"])).unwrap();
    assert_eq!(shown["manifests"][0]["platform"]["os"], "linux");
    assert_eq!(shown["manifests"][1]["digest"], sha256(&chart));
    assert!(shown["manifests"][1].get("platform").is_none(), "{shown}");
}

#[test]
fn answers_that_lead_nowhere() {
    let layer = vec![0; 1024];
    let good = manifest(&config(&[sha256(&layer)]), &[(&layer, 1024)]);
    for (location, said) in [
        ("file:///etc/passwd", "which is not followed"),
        ("ftp://127.0.0.1/x", "which is not followed"),
        ("http://[::1", "authority"),
    ] {
        let server = WebServer::start(move |request: &Request| match request.path.as_str() {
            "/v2/" => Answer::new(200, "{}"),
            _ => Answer::new(302, "").header("Location", location),
        });
        let told = pull_fails(&server);
        assert!(told.contains(said) && server.asked().len() < 5, "{location}: {told}");
    }
    // Digests that are paths, sizes that no disk has, numbers that are none, and nesting without end.
    let text = String::from_utf8(good).unwrap();
    let digest = sha256(&layer);
    for (from, to) in [
        (digest.as_str(), "sha256:../../../../etc/passwd"),
        (digest.as_str(), "SHA256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855"),
        ("1024", "1180591620717411303424"),
        ("1024", "9223372036854775807"),
    ] {
        assert!(text.contains(from), "{text}");
        pull_fails(&registry(
            text.replace(from, to).into_bytes(),
            vec![layer.clone(), config(std::slice::from_ref(&digest))],
        ));
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(200_000), "]".repeat(200_000)).into_bytes();
    let server = registry(manifest(&deep, &[(&layer, 1024)]), vec![layer.clone(), deep]);
    assert!(pull_fails(&server).contains("recursion limit"));
}

#[test]
fn volumes_of_an_image_that_are_no_paths() {
    let layer = vec![0; 1024];
    for volume in ["", "../../../../tmp/x", "relative"] {
        let text = String::from_utf8(config(&[sha256(&layer)])).unwrap();
        let volumes = format!("{{\"config\":{{\"Cmd\":[\"/x\"],\"Volumes\":{{\"{volume}\":{{}}}}}},");
        let config = text.replacen('{', &volumes, 1).into_bytes();
        let server = registry(manifest(&config, &[(&layer, 1024)]), vec![layer.clone(), config]);
        let sandbox = Sandbox::new();
        let said = sandbox.fails(125, &["run", "--rm", "--network", "none", &format!("{}/x/y", server.host())]);
        assert!(said.contains("must be absolute"), "{volume}: {said}");
        assert_eq!((sandbox.stored("containers"), sandbox.stored("volumes")), (vec![], vec![]));
    }
}
