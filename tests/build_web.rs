//! `build` and the network: base images from a registry, files from the web, the result pushed and pulled elsewhere.

mod common;

use common::http::{Answer, WebServer};
use common::registry::Registry;
use common::{Need, Sandbox, require};

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

    let missing = registry.image("library/missing");
    let error = student.try_build(&format!("FROM {missing}\nRUN true\n"), &[]).fails(1);
    assert!(error.contains(&format!("there is no base image `{missing}`")), "{error}");
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
