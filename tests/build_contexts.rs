//! `build --build-context`: files and images that a Dockerfile finds under names of the command line's.

use crate::common::http::{Answer, WebServer};
use crate::common::{Need, Sandbox, require};
use std::fs;

fn with_assets() -> Sandbox {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("../assets/page.html", "page\n");
    sandbox.put("../assets/sub/deep", "deep\n");
    sandbox.put("../assets/secret", "left out\n");
    sandbox.put("../assets/.dockerignore", "secret\n.dockerignore\n");
    sandbox
}

#[test]
fn a_directory_under_a_name() {
    let sandbox = with_assets();
    let text = "FROM alpine\nCOPY --from=assets . /srv/\nRUN --mount=from=assets,target=/a,source=sub cat /a/deep > /mounted\n";
    let assets = ["--build-context", "assets=assets"];
    sandbox.build(text, &assets);
    assert_eq!(
        sandbox.inside("find /srv -type f | sort; cat /mounted; stat -c %u /srv/page.html"),
        "/srv/page.html\n/srv/sub/deep\ndeep\n0\n"
    );
    let said = sandbox.build(text, &assets);
    assert_eq!(said.matches(" cached").count(), 2, "{said}");
    sandbox.put("../assets/secret", "other\n");
    sandbox.put("../assets/page.html", "changed\n");
    let said = sandbox.build(text, &[&assets[..], &["--explain"]].concat());
    assert!(said.contains("it ran: page.html changed"), "{said}");
    sandbox.put("../assets/sub/deep", "deeper\n");
    sandbox.build(text, &assets);
    assert_eq!(sandbox.inside("cat /mounted"), "deeper\n");

    // Nothing but its files, as an image of its own.
    sandbox.build("FROM assets\nCMD [\"ls\"]\n", &assets);
    assert_eq!(sandbox.look("built", "{{len .RootFS.Layers}}"), "1");
    sandbox.build("FROM assets\n", &[&assets[..], &["-o", "out"]].concat());
    assert_eq!(fs::read_to_string(sandbox.file("out/sub/deep")).unwrap(), "deeper\n");
    assert!(!sandbox.file("out/secret").exists());

    let error = sandbox.try_build("FROM alpine\nCOPY --from=assets nowhere /\n", &assets).fails(1);
    assert!(error.contains("`nowhere` is not in the build context `assets`"), "{error}");
    for (wrong, why) in [
        ("assets", "no NAME="),
        ("a=nowhere", "no such file or directory: nowhere"),
        ("a=oci-layout://x", "oci-layout://… is not supported"),
    ] {
        let output = sandbox.try_build(text, &["--build-context", wrong]);
        assert!(output.code != 0 && output.stderr.contains(why), "{}", output.streams());
    }
}

/// A link to a file of the host, under each name that a build reads by itself.
fn hostile_context(sandbox: &Sandbox, name: &str, target: &str) {
    let _ = fs::remove_dir_all(sandbox.file("hostile"));
    sandbox.put("../hostile/sub/file", "x");
    if name == ".dockerignore" {
        sandbox.put("../hostile/Dockerfile", "FROM alpine\nCOPY . /all/\n");
    }
    std::os::unix::fs::symlink(target, sandbox.file("hostile").join(name)).unwrap();
}

#[test]
fn a_link_out_of_the_context_is_not_followed() {
    let sandbox = Sandbox::with_alpine();
    fs::write(sandbox.file("host-secret"), "LINE OF THE HOST\nsub\n").unwrap();
    let secret = sandbox.file("host-secret");
    let up = format!("../../../../../../../../../..{}", secret.display());
    let refuses = |arguments: &[&str], name: &str| {
        let output = sandbox.run(arguments);
        assert_eq!(output.code, 1, "{}", output.streams());
        let said = output.streams();
        assert!(said.contains(&format!("`{name}` is a link to ")), "{said}");
        assert!(!said.contains("LINE OF THE HOST") && !said.contains("PATH="), "{said}");
    };
    for target in [secret.to_str().unwrap(), "../host-secret", &up, "/proc/self/environ"] {
        for name in ["Dockerfile", "mine", ".dockerignore"] {
            hostile_context(&sandbox, name, target);
            let file: &[&str] = if name == "mine" { &["-f", "mine"] } else { &[] };
            sandbox.run_other("tar", &["-C", "hostile", "-cf", "hostile.tar", "."]).ok();
            refuses(&[&["build"], file, &["hostile.tar"]].concat(), name);
            let archive = fs::read(sandbox.file("hostile.tar")).unwrap();
            let server = WebServer::start(move |_| Answer::new(200, archive.clone()));
            refuses(&[&["build"], file, &[&format!("http://{}/c.tar", server.host())]].concat(), name);
            // A directory of one's own may have come from a stranger too.
            let file: &[&str] = if name == "mine" { &["-f", "hostile/mine"] } else { &[] };
            refuses(&[&["build"], file, &["hostile"]].concat(), name);
        }
    }
    // Of a context that was fetched, -f is a path in it.
    hostile_context(&sandbox, "other", "/nowhere");
    sandbox.run_other("tar", &["-C", "hostile", "-cf", "hostile.tar", "."]).ok();
    let error = sandbox.fails(1, &["build", "-f", secret.to_str().unwrap(), "hostile.tar"]);
    assert!(error.contains("there is no Dockerfile in") && !error.contains("LINE"), "{error}");

    // Within the context, links are followed, and -f may name a file elsewhere.
    sandbox.put("real/Dockerfile", "FROM alpine\nCOPY file /\n");
    sandbox.put("file", "text");
    sandbox.put("../elsewhere", "FROM alpine\nCOPY file /other\n");
    std::os::unix::fs::symlink("/real/Dockerfile", sandbox.file("context/linked")).unwrap();
    sandbox.ok(&["build", "-q", "-f", "context/linked", "-t", "built", "context"]);
    sandbox.run_other("tar", &["-C", "context", "-cf", "good.tar", "."]).ok();
    sandbox.ok(&["build", "-q", "-f", "linked", "-t", "built", "good.tar"]);
    assert_eq!(sandbox.inside("cat /file"), "text");
    sandbox.ok(&["build", "-q", "-f", "elsewhere", "-t", "built", "context"]);
    assert_eq!(sandbox.inside("cat /other"), "text");
}

#[test]
fn a_link_out_of_a_repository_is_not_followed() {
    require!(Need::Tool("git"));
    let sandbox = Sandbox::with_alpine();
    fs::write(sandbox.file("host-secret"), "LINE OF THE HOST\n").unwrap();
    hostile_context(&sandbox, "Dockerfile", sandbox.file("host-secret").to_str().unwrap());
    sandbox.repository("hostile");
    let error = sandbox.run_with_git(&["build", &sandbox.git_address("hostile")]).fails(1);
    assert!(error.contains("`Dockerfile` is a link to ") && !error.contains("LINE"), "{error}");
}

#[test]
fn what_is_no_context_says_so() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("Dockerfile", "FROM alpine\n");
    let error = sandbox.fails(1, &["build", "context/Dockerfile"]);
    assert!(error.contains("is neither a directory nor an archive"), "{error}");
    assert!(error.contains("minirun build -f context/Dockerfile context"), "{error}");
    let error = sandbox.fails(1, &["build", "-f", "context", "context"]);
    assert!(error.contains("is a directory, not a Dockerfile"), "{error}");
    let error = sandbox.fails(1, &["build", "-f", "/dev/zero", "context"]);
    assert!(error.contains("is larger than 16 MiB"), "{error}");
}

#[test]
fn an_image_or_files_in_the_place_of_a_stage_or_an_image() {
    let sandbox = with_assets();
    sandbox.put("Containerfile.other", "FROM alpine\nRUN echo other > /other\n");
    sandbox.ok(&["build", "-q", "-t", "other", "-f", "context/Containerfile.other", "context"]);
    let other = ["--build-context", "docker.io/library/base:latest=docker-image://other"];
    sandbox.build("FROM base\nCOPY --from=base /other /copied\n", &other);
    assert_eq!(sandbox.inside("cat /other /copied"), "other\nother\n");
    // The stage is not built, though the Dockerfile tells how.
    let text = "FROM alpine AS dependency\nRUN exit 3\nFROM alpine\nCOPY --from=dependency /page.html /\n";
    sandbox.build(text, &["--build-context", "dependency=assets"]);
    assert_eq!(sandbox.inside("cat /page.html"), "page\n");
    let text = "FROM alpine AS dependency\nRUN exit 3\nFROM dependency\nRUN cat /other\n";
    sandbox.build(text, &["--build-context", "dependency=docker-image://other"]);
}

#[test]
fn archives_and_repositories_are_fetched() {
    let sandbox = with_assets();
    sandbox.run_other("tar", &["-C", "assets", "-czf", "assets.tar.gz", "."]).ok();
    let archive = fs::read(sandbox.file("assets.tar.gz")).unwrap();
    let server = WebServer::start(move |_| Answer::new(200, archive.clone()));
    let text = "FROM alpine\nCOPY --from=assets page.html /\n";
    sandbox.build(text, &["--build-context", &format!("assets=http://{}/assets.tar.gz", server.host())]);
    assert_eq!(sandbox.inside("cat /page.html"), "page\n");
    let said = sandbox.build(text, &["--build-context", "assets=assets.tar.gz"]);
    assert_eq!(said.matches(" cached").count(), 1, "{said}");
    let error = sandbox.try_build(text, &["--build-context", "assets=http://127.0.0.1:1/a.tar"]).fails(1);
    assert!(error.contains("--build-context assets=http"), "{error}");

    require!(Need::Tool("git"));
    sandbox.repository("assets");
    sandbox.put("Dockerfile", text);
    let address = format!("assets={}#main", sandbox.git_address("assets"));
    sandbox.run_with_git(&["build", "-q", "--build-context", &address, "context"]).ok();
}

#[test]
fn a_cache_that_is_locked_is_waited_for() {
    let sandbox = Sandbox::with_alpine();
    let step = "RUN --mount=type=cache,target=/c,sharing=HOW [ ! -e /c/in-use ] || touch /collision; touch /c/in-use; sleep 0.4; rm -f /c/in-use; echo NAME >> /c/used; cp /c/used /NAME\n";
    let stages = |how: &str| {
        let step = step.replace("HOW", how);
        let stage = |name: &str| format!("FROM alpine AS {name}\n{}", step.replace("NAME", name));
        format!("{}{}FROM alpine\nCOPY --from=one / /1\nCOPY --from=two / /2\n", stage("one"), stage("two"))
    };
    let said = sandbox.build(&stages("locked"), &[]);
    assert!(said.contains("waits for a cache"), "{said}");
    assert_eq!(sandbox.inside("cat /1/one /2/two; ls /1/collision /2/collision 2>/dev/null; true"), "one\none\ntwo\n");
    // Nobody waits for what is each one's own.
    let said = sandbox.build(&stages("private").replace("target=/c", "target=/c,id=p"), &[]);
    assert!(!said.contains("waits for"), "{said}");
    assert_eq!(sandbox.inside("cat /1/one /2/two; ls /1/collision /2/collision 2>/dev/null; true"), "one\ntwo\n");
    let error = sandbox.try_build("FROM alpine\nRUN --mount=type=cache,target=/c,sharing=often true\n", &[]).fails(1);
    assert!(error.contains("unknown option `sharing`"), "{error}");
}

#[test]
fn a_cache_begins_with_what_it_is_made_from() {
    let sandbox = with_assets();
    let text = "FROM alpine AS warm\nRUN mkdir -p /w/sub && echo warm > /w/sub/f\nFROM alpine\n\
        RUN --mount=type=cache,target=/c,from=warm,source=/w/sub cat /c/f > /seen; echo more >> /c/f\n\
        RUN --mount=type=cache,target=/c,from=warm,source=/w/sub cp /c/f /again\n\
        RUN --mount=type=cache,target=/c ls /c > /plain\n\
        RUN --mount=type=cache,target=/c,from=assets cat /c/page.html > /assets\n";
    sandbox.build(text, &["--build-context", "assets=assets"]);
    assert_eq!(sandbox.inside("cat /seen /again /plain /assets"), "warm\nwarm\nmore\npage\n");
    // It stays as it is for the next build, and begins anew with another stage.
    let again = text.replace("/again", "/once-more");
    sandbox.build(&again, &["--build-context", "assets=assets"]);
    assert_eq!(sandbox.inside("cat /once-more"), "warm\nmore\n");
    let other = again.replace("echo warm", "echo other");
    sandbox.build(&other, &["--build-context", "assets=assets", "--no-cache"]);
    assert_eq!(sandbox.inside("cat /once-more"), "other\nmore\n");
    let error = sandbox
        .try_build("FROM alpine\nRUN --mount=type=cache,target=/c,from=alpine,source=/nowhere true\n", &[])
        .fails(1);
    assert!(error.contains("`nowhere` is not in stage or image `alpine`"), "{error}");
}

#[test]
fn a_pattern_that_means_nothing_is_told() {
    let sandbox = Sandbox::with_alpine();
    for (file, text, why) in [
        (".dockerignore", "# all of [\nsub/[a\n", "line 2: syntax error in pattern `sub/[a`"),
        ("Dockerfile.dockerignore", "a\n!\n", "line 2: illegal exclusion pattern `!`"),
    ] {
        sandbox.put(file, text);
        let error = sandbox.try_build("FROM alpine\nRUN true\n", &[]).fails(1);
        assert!(error.contains(&format!("invalid pattern in {file}")) && error.contains(why), "{error}");
    }
    sandbox.put("Dockerfile.dockerignore", "");
    let error = sandbox.try_build("FROM alpine\nCOPY --exclude=[x . /\n", &[]).fails(1);
    assert!(error.contains("syntax error in pattern `[x`"), "{error}");
}
