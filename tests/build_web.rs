//! `build` and the network: base images from a registry, files from the web, the result pushed and pulled elsewhere.

use crate::common::http::{Answer, WebServer};
use crate::common::registry::Registry;
use crate::common::{Need, Sandbox, require};
use std::sync::{Arc, Mutex};

const REGISTRY: Need = Need::Tool("docker-registry");

#[test]
fn built_on_what_a_registry_has_and_pushed_there() {
    require!(REGISTRY);
    let registry = Registry::open();
    let (teacher, student, friend) = (Sandbox::with_alpine(), Sandbox::new(), Sandbox::new());
    let base = registry.image("library/alpine:3");
    teacher.ok(&["tag", "alpine", &base]);
    teacher.ok(&["push", &base]);

    student.put("index.html", "hello\n");
    let text = format!("FROM {base}\nRUN adduser -D web\nCOPY index.html /srv/\nCMD [\"cat\", \"/srv/index.html\"]\n");
    let said = student.build(&text, &[]);
    assert!(said.contains("Pulling from library/alpine"), "{said}");
    let target = registry.image("me/mynginx:v1");
    student.ok(&["tag", "built", &target]);
    student.ok(&["push", &target]);
    friend.ok(&["pull", "-q", &target]);
    assert_eq!(friend.ok(&["run", "--rm", "--network", "none", &target]), "hello\n");
    // The base is here now, and asked for again only if that is wanted.
    assert!(!student.build(&text, &[]).contains("Pulling"));
    let said = student.build(&text, &["--pull"]);
    assert!(said.contains("Pulling from library/alpine") && said.matches(" cached").count() == 2, "{said}");

    // Built and pushed at once.
    let other = registry.image("ann/at-once:1");
    student.put("Dockerfile", &text);
    let said = student.ok(&["build", "-t", &other, "--push", "--load", "context"]);
    assert!(said.contains("The push refers to repository") && said.contains("1: digest: sha256:"), "{said}");
    friend.ok(&["pull", "-q", &other]);
    let error = student.run(&["build", "--push", "context"]).fails(125);
    assert!(error.contains("--tag"), "{error}");

    let missing = registry.image("library/missing");
    let error = student.try_build(&format!("FROM {missing}\nRUN true\n"), &[]).fails(1);
    assert!(error.contains(&format!("cannot get base image `{missing}`")), "{error}");
}

#[test]
fn add_fetches_again_only_what_may_be_another() {
    let tag = Arc::new(Mutex::new("\"1\"".to_owned()));
    let served = tag.clone();
    let server = WebServer::start(move |request| match request.path.as_str() {
        "/tagged" => {
            let tag = served.lock().unwrap().clone();
            Answer::new(200, format!("tagged {tag}\n")).header("ETag", tag)
        }
        _ => Answer::new(200, "plain\n"),
    });
    let sandbox = Sandbox::with_alpine();
    let url = |name: &str| format!("http://{}/{name}", server.host());
    let asked = |method: &str| server.asked().iter().filter(|request| request.method == method).count();

    let digest = "sha256:6f73c0cee3a3ee0ff2dd3d8d0bbf4ae56a9fdc2ad5ff24bfa2a0ff7ff9aa0d1f";
    let wrong = format!("FROM alpine\nADD --checksum={digest} {} /p\n", url("plain"));
    let error = sandbox.try_build(&wrong, &[]).fails(1);
    let right = error.split("has the digest ").nth(1).unwrap().split(',').next().unwrap();
    let text = format!("FROM alpine\nARG SUM\nADD --checksum=$SUM {} /p\n", url("plain"));
    let sum = format!("SUM={right}");
    sandbox.build(&text, &["--build-arg", &sum]);
    let before = server.asked().len();
    let said = sandbox.build(&text, &["--build-arg", &sum]);
    assert!(said.contains(" cached") && server.asked().len() == before, "{said}");
    let error = sandbox.try_build(&text, &["--build-arg", &format!("SUM={digest}")]).fails(1);
    assert!(error.contains("--checksum says"), "{error}");

    let text = format!("FROM alpine\nADD {} /t\n", url("tagged"));
    sandbox.build(&text, &[]);
    let fetched = asked("GET");
    let said = sandbox.build(&text, &[]);
    assert!(said.contains(" cached") && asked("GET") == fetched, "{said}");
    *tag.lock().unwrap() = "\"2\"".to_owned();
    sandbox.build(&text, &[]);
    assert_eq!(sandbox.inside("cat /t"), "tagged \"2\"\n");
    // A weak tag proves nothing.
    *tag.lock().unwrap() = "W/\"3\"".to_owned();
    sandbox.build(&text, &[]);
    let fetched = asked("GET");
    sandbox.build(&text, &[]);
    assert_eq!(asked("GET"), fetched + 1);
}

#[test]
fn add_fetches_what_has_an_address() {
    let server = WebServer::start(|request| match request.path.as_str() {
        "/file.txt" => Answer::new(200, "from the web\n").header("Last-Modified", "Fri, 14 Jul 2017 02:40:00 GMT"),
        _ => Answer::new(404, ""),
    });
    let sandbox = Sandbox::with_alpine();
    let url = format!("http://{}/file.txt", server.host());
    sandbox.build(&format!("FROM alpine\nADD {url} /dir/\nADD {url} /as\n"), &[]);
    assert_eq!(
        sandbox.inside("cat /dir/file.txt /as; stat -c '%a %Y' /as"),
        "from the web\nfrom the web\n600 1500000000\n"
    );
    let said = sandbox.build(&format!("FROM alpine\nADD {url} /dir/\nADD {url} /as\n"), &[]);
    assert_eq!(said.matches(" cached").count(), 2, "{said}");
    let wrong = format!("FROM alpine\nADD --checksum=sha256:{} {url} /x\n", "0".repeat(64));
    let error = sandbox.try_build(&wrong, &[]).fails(1);
    assert!(error.contains("--checksum says"), "{error}");
    let error = sandbox.try_build(&format!("FROM alpine\nADD {url}x /x\n"), &[]).fails(1);
    assert!(error.contains("404"), "{error}");
}
