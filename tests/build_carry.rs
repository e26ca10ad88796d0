//! `build --cache-to` and `--cache-from`: what one machine has done, another need not do.

use crate::common::http::{Answer, WebServer};
use crate::common::registry::{Doors, PASSWORD, Registry, USER};
use crate::common::{self, Need, Sandbox, require};
use std::fs;

const REGISTRY: Need = Need::Tool("docker-registry");

const HELPED: &str = "FROM BASE AS helper\nRUN echo $RANDOM > /helper && chown 5:6 /helper\nFROM BASE\n\
    COPY --from=helper /helper /h\nRUN echo $RANDOM > /made\nRUN cat /h /made > /both\n";

fn cached(said: &str) -> usize {
    said.matches(" cached").count()
}

/// A store whose base image came from this registry.
fn machine(base: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok(&["pull", "-q", base]);
    sandbox
}

/// Puts a base image into a registry.
fn base(registry: &Registry) -> String {
    let name = registry.image("library/alpine");
    let sandbox = Sandbox::with_alpine();
    sandbox.ok(&["tag", "alpine", &name]);
    sandbox.ok(&["push", "-q", &name]);
    name
}

#[test]
fn a_registry_carries_steps_between_machines() {
    require!(REGISTRY);
    let registry = Registry::open();
    let base = base(&registry);
    let (text, cache) = (HELPED.replace("BASE", &base), registry.image("me/cache:main"));
    let (all, from) = (format!("type=registry,ref={cache},mode=max"), format!("type=registry,ref={cache}"));
    let first = machine(&base);
    first.build(&text, &["--cache-to", &all]);

    let second = machine(&base);
    let said = second.build(&text, &["--cache-from", &from]);
    assert_eq!(cached(&said), 4, "{said}");
    assert_eq!(second.look("built", "{{.Id}}"), first.look("built", "{{.Id}}"));
    assert_eq!(second.inside("cat /h /made; stat -c %u:%g /h"), first.inside("cat /h /made; stat -c %u:%g /h"));
    // What is here is not asked for again, whatever became of the registry.
    let nowhere = format!("127.0.0.1:{}/me/cache", common::free_port());
    let said = second.build(&text, &["--cache-from", &nowhere]);
    assert!(cached(&said) == 4 && !said.contains("going on without"), "{said}");

    // A step that changed runs, and those before it do not; nor is the layer fetched that it would have had.
    let third = machine(&base);
    let said = third.build(&text.replace("cat /h /made", "cat /made /h"), &["--cache-from", &cache]);
    assert_eq!(cached(&said), 3, "{said}");
    assert_eq!(third.inside("cat /made /h"), first.inside("cat /made /h"));
    assert_eq!(third.stored("layers").len(), first.stored("layers").len());

    // Without mode=max, only what the image itself is made of.
    first.build(&text, &["--cache-to", &format!("{cache}-min")]);
    let fourth = machine(&base);
    let said = fourth.build(&text, &["--cache-from", &format!("{cache}-min")]);
    assert_eq!(cached(&said), 0, "{said}");
    let alone = format!("FROM {base}\nRUN echo $RANDOM > /made\n");
    first.build(&alone, &["--cache-to", &format!("{cache}-alone")]);
    let said =
        fourth.build(&alone, &["--cache-from", &format!("{cache}-min"), "--cache-from", &format!("{cache}-alone")]);
    assert_eq!(cached(&said), 1, "{said}");
}

#[test]
fn layers_that_a_registry_has_are_not_sent_again() {
    require!(REGISTRY);
    let registry = Registry::open();
    let base = base(&registry);
    let sandbox = machine(&base);
    let text = format!("FROM {base}\nRUN echo $RANDOM > /made\n");
    let image = registry.image("me/image");
    sandbox.put("Dockerfile", &text);
    sandbox.ok(&["build", "-q", "-t", &image, "context"]);
    sandbox.ok(&["push", "-q", &image]);
    let cache = registry.image("me/cache");
    let said = sandbox.build(&text, &["--cache-to", &cache]);
    assert!(said.contains("Mounted from me/image") && !said.contains("Pushed"), "{said}");
    let said = sandbox.build(&text, &["--cache-to", &cache]);
    assert!(said.contains("Layer already exists") && !said.contains("Pushed"), "{said}");
}

#[test]
fn a_cache_behind_a_password() {
    require!(REGISTRY);
    let open = Registry::open();
    let base = base(&open);
    let registry = Registry::start(Doors::Password, false);
    let text = format!("FROM {base}\nRUN echo $RANDOM > /made\n");
    let cache = registry.image("me/cache");
    let (first, second) = (machine(&base), machine(&base));
    // An export that fails is an error, an import is not.
    first.put("Dockerfile", &text);
    let error = first.try_build(&text, &["--cache-to", &cache]).fails(1);
    assert!(error.contains("cannot export the build cache to") && error.contains("minirun login"), "{error}");
    for sandbox in [&first, &second] {
        sandbox.ok(&["login", "-u", USER, "-p", PASSWORD, &registry.host()]);
    }
    first.build(&text, &["--cache-to", &cache]);
    let said = second.build(&text, &["--cache-from", &cache]);
    assert_eq!(cached(&said), 1, "{said}");
    second.ok(&["logout", &registry.host()]);
    second.ok(&["rmi", "built"]);
    let said = second.build(&text, &["--cache-from", &cache]);
    assert!(
        cached(&said) == 0 && said.contains("going on without the cache from") && said.contains("denied"),
        "{said}"
    );
}

#[test]
fn what_is_no_cache_is_no_failure() {
    require!(REGISTRY);
    let registry = Registry::open();
    let base = base(&registry);
    let text = format!("FROM {base}\nRUN echo $RANDOM > /made\n");
    let first = machine(&base);
    first.build(&text, &["--cache-to", &registry.image("me/cache")]);
    let path = format!("http://{}/v2/me/cache/manifests/latest", registry.host());
    let accept = "accept: application/vnd.oci.image.manifest.v1+json";
    let manifest = first.run_other("curl", &["-sS", "-H", accept, &path]).ok();
    let blob = |digest: &str| {
        let path = format!("http://{}/v2/me/cache/blobs/{digest}", registry.host());
        first.run_other("curl", &["-sS", &path]).ok().into_bytes()
    };
    let parts: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let part = |number: usize| parts["layers"][number]["digest"].as_str().unwrap().to_owned();
    let (layer, step) = (part(0), part(1));
    let step_text = blob(&step);

    let second = machine(&base);
    let going_on = |from: &str, why: &str| {
        let said = second.build(&text, &["--cache-from", from]);
        assert!(cached(&said) == 0 && said.contains("going on without the cache from"), "{said}");
        assert!(said.contains(why), "{why}: {said}");
        second.ok(&["rmi", "built"]);
    };
    going_on(&format!("127.0.0.1:{}/me/cache", common::free_port()), "refused");
    going_on(&registry.image("me/other"), "manifest unknown");
    going_on(&base, "is not a build cache");
    // A registry that says now this, now that.
    let serve = |manifest: String, blobs: Vec<(String, Vec<u8>)>| {
        WebServer::start(move |request| {
            if request.path == "/v2/" {
                return Answer::new(200, "{}");
            }
            if request.path.contains("/manifests/") {
                return Answer::new(200, manifest.clone());
            }
            let wanted = request.path.rsplit('/').next().unwrap();
            let found = blobs.iter().find(|(digest, _)| digest == wanted);
            found.map_or(Answer::new(404, ""), |(_, bytes)| Answer::new(200, bytes.clone()))
        })
    };
    let steps = vec![(step.clone(), step_text.clone())];
    let cases = [
        ("{".to_owned(), vec![], "not valid"),
        (r#"{"schemaVersion":2,"manifests":[]}"#.to_owned(), vec![], "is not a build cache"),
        (manifest.clone(), vec![], "document"),
        (manifest.clone(), vec![(step.clone(), b"{}".to_vec())], "came with the digest"),
        // The step is as it should be, and its layer is not.
        (manifest.clone(), steps.clone(), "status 404"),
        (manifest.clone(), [steps, vec![(layer.clone(), b"nonsense".to_vec())]].concat(), "layer"),
    ];
    for (manifest, blobs, why) in cases {
        let server = serve(manifest, blobs);
        going_on(&format!("{}/me/cache", server.host()), why);
    }
    assert_eq!(second.stored("tmp"), [] as [String; 0]);
}

#[test]
fn a_directory_carries_steps() {
    let sandbox = Sandbox::with_alpine();
    let text = HELPED.replace("BASE", "alpine");
    let forget = || {
        sandbox.ok(&["rmi", "built"]);
        sandbox.ok(&["builder", "prune", "--force"]);
    };
    sandbox.build(&text, &["--cache-to", "type=local,dest=carried,mode=max"]);
    let made = sandbox.inside("cat /h /made");
    forget();
    let said = sandbox.build(&text, &["--cache-from", "type=local,src=carried"]);
    assert_eq!(cached(&said), 4, "{said}");
    assert_eq!(sandbox.inside("cat /h /made"), made);
    // What is damaged is as good as not there.
    for (part, contents) in [("layers", "no archive"), ("steps", "{}")] {
        forget();
        for file in fs::read_dir(sandbox.file("carried").join(part)).unwrap() {
            fs::write(file.unwrap().path(), contents).unwrap();
        }
        let said = sandbox.build(&text, &["--cache-from", "type=local,src=carried"]);
        assert!(cached(&said) == 0 && said.contains("going on without the cache from"), "{said}");
    }
    for (flag, wrong) in
        [("--cache-from", "type=s3,bucket=b"), ("--cache-from", "src=carried"), ("--cache-to", "a,mode=x")]
    {
        let error = sandbox.try_build(&text, &[flag, wrong]).fails(125);
        assert!(error.contains("type=registry,ref=NAME"), "{error}");
    }
}

#[test]
fn an_image_carries_its_own_steps() {
    require!(REGISTRY);
    let registry = Registry::open();
    let base = base(&registry);
    let text = format!("FROM {base}\nRUN echo $RANDOM > /made\nRUN cat /made > /again\nCMD [\"cat\", \"/made\"]\n");
    let name = registry.image("me/inline:1");
    let first = machine(&base);
    let push = |name: &str, flags: &[&str]| {
        first.build(&text, flags);
        first.ok(&["tag", "built", name]);
        first.ok(&["push", "-q", name]);
    };
    push(&name, &["--cache-to", "type=inline"]);

    let second = machine(&base);
    let said = second.build(&text, &["--cache-from", &format!("type=registry,ref={name}")]);
    assert_eq!(cached(&said), 2, "{said}");
    assert_eq!(second.inside("cat /again"), first.inside("cat /again"));
    // An image on top of it tells of its own steps, or of none.
    second.ok(&["pull", "-q", &name]);
    second.build(&format!("FROM {name}\nRUN true\n"), &[]);
    second.ok(&["save", "--format", "oci-dir", "-o", "out", "built"]);
    let blobs = second.run_other("grep", &["-lr", "build-cache", "out"]);
    assert_eq!(blobs.stdout, "", "{}", blobs.streams());
    // One that tells of none is no cache.
    let plain = registry.image("me/plain:1");
    push(&plain, &[]);
    let said = machine(&base).build(&text, &["--cache-from", &plain]);
    assert!(said.contains("going on without the cache from") && said.contains("is not a build cache"), "{said}");
}
