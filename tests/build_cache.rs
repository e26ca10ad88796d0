//! `build`: what is done again and why, several at once, killed ones, and what is left of them.

use crate::common::terminal::Terminal;
use crate::common::{self, Sandbox, finish, wait_until};
use std::fs;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

const TEXT: &str = "FROM alpine\nARG VERSION=1\nCOPY index.html page.html /srv/\nRUN echo $VERSION $RANDOM > /made\nRUN echo $RANDOM > /after\nLABEL a=b\n";

fn prepared() -> Sandbox {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("index.html", "one\n");
    sandbox.put("page.html", "page\n");
    sandbox.build(TEXT, &[]);
    sandbox
}

#[track_caller]
fn reason(said: &str, step: &str) -> String {
    let at = said.find(step).unwrap_or_else(|| panic!("no {step} in\n{said}"));
    let line =
        said[at..].lines().find(|line| line.contains('↳')).unwrap_or_else(|| panic!("nothing after {step} in\n{said}"));
    line.trim().trim_start_matches('↳').trim().to_owned()
}

#[test]
fn every_miss_has_its_reason() {
    let sandbox = prepared();
    sandbox.put("index.html", "two\n");
    let said = sandbox.build(TEXT, &["--explain"]);
    assert!(reason(&said, "COPY index").ends_with("it ran: index.html changed"), "{said}");
    assert!(reason(&said, "RUN echo $VERSION").ends_with("it ran: because step 3 ran again"), "{said}");
    assert!(reason(&said, "LABEL").starts_with("metadata only"), "{said}");

    let said = sandbox.build(TEXT, &["--explain", "--build-arg", "VERSION=2"]);
    assert!(reason(&said, "COPY index").starts_with("layer of 9B, "), "{said}");
    assert!(reason(&said, "RUN echo $VERSION").ends_with("it ran: ARG VERSION 1 → 2"), "{said}");

    let changed = TEXT.replace("> /after", "> /later");
    let said = sandbox.build(&changed, &["--explain", "--build-arg", "VERSION=2"]);
    assert!(
        reason(&said, "> /later").contains("the instruction changed; it was RUN /bin/sh -c echo $RANDOM > /after"),
        "{said}"
    );

    let said = sandbox.build(&changed, &["--explain", "--no-cache"]);
    assert!(reason(&said, "COPY index").ends_with("it ran: --no-cache"), "{said}");

    // Another image under the name of the base.
    sandbox.put("Containerfile.base", "FROM alpine\nRUN echo other > /other\n");
    sandbox.ok(&["build", "-q", "-t", "alpine", "-f", "context/Containerfile.base", "context"]);
    let said = sandbox.build(&changed, &["--explain"]);
    assert!(reason(&said, "COPY index").ends_with("it ran: base image alpine has another digest"), "{said}");
}

#[test]
fn contents_count_and_times_do_not() {
    let sandbox = prepared();
    let file = fs::File::options().write(true).open(sandbox.file("context/index.html")).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(5000)).unwrap();
    sandbox.put("page.html", "page\n");
    sandbox.put("unrelated", "x");
    let said = sandbox.build(TEXT, &[]);
    assert_eq!(said.matches(" cached").count(), 3, "{said}");
    // The same length, and the time put back.
    let old = fs::metadata(sandbox.file("context/index.html")).unwrap().modified().unwrap();
    sandbox.put("index.html", "eno\n");
    fs::File::options().write(true).open(sandbox.file("context/index.html")).unwrap().set_modified(old).unwrap();
    let said = sandbox.build(TEXT, &[]);
    assert_eq!(said.matches(" cached").count(), 0, "{said}");
    assert_eq!(sandbox.inside("cat /srv/index.html"), "eno\n");
    // A mode is part of an image.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs::set_permissions(sandbox.file("context/index.html"), mode).unwrap();
    let said = sandbox.build(TEXT, &["--explain"]);
    assert!(said.contains("index.html has mode 755 instead of 644"), "{said}");
    // Settings are no reason to run anything.
    let said = sandbox.build(&TEXT.replace("COPY", "LABEL x=y\nENTRYPOINT [\"ls\"]\nCOPY"), &[]);
    assert_eq!(said.matches(" cached").count(), 3, "{said}");
}

#[test]
fn what_a_stage_gives_counts_not_how_it_came_about() {
    let sandbox = Sandbox::with_alpine();
    let text = "FROM alpine AS a\nRUN echo NUMBER > /unused && echo same > /used\nFROM alpine\nCOPY --from=a /used /\nRUN echo $RANDOM > /r\n";
    sandbox.build(&text.replace("NUMBER", "1"), &[]);
    let before = sandbox.inside("cat /r");
    let said = sandbox.build(&text.replace("NUMBER", "2"), &[]);
    assert_eq!(said.matches(" cached").count(), 2, "{said}");
    assert_eq!(sandbox.inside("cat /r"), before);
}

#[test]
fn a_failed_build_keeps_what_it_did() {
    let sandbox = Sandbox::with_alpine();
    let text = "FROM alpine\nRUN echo $RANDOM > /made\nRUN for i in 1 2 3; do echo line $i; done; exit 7\n";
    let error = sandbox.try_build(text, &["--progress", "tty"]).fails(1);
    assert!(error.contains("line 1\n") && error.contains("line 3\n"), "{error}");
    assert!(
        error.contains("step 3/3 (Dockerfile:3)")
            && error.contains("ended with exit code 7")
            && error.contains("--debug"),
        "{error}"
    );
    let said = sandbox.build(&text.replace("; exit 7", ""), &[]);
    assert_eq!(said.matches(" cached").count(), 1, "{said}");

    let error = sandbox.try_build(text, &["--debug"]).fails(1);
    assert!(!error.contains("--debug"), "{error}");
    let (_, after) = error.split_once("note: image ").unwrap();
    let image = after.split(' ').next().unwrap();
    assert!(sandbox.ok(&["run", "--rm", "--network", "none", image, "cat", "/made"]).trim().parse::<u32>().is_ok());
}

#[test]
fn two_builds_at_once() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("f", "x\n");
    sandbox.put("Dockerfile", "FROM alpine\nCOPY f /f\nRUN sleep 0.5; echo made > /made\nRUN cp /made /again\n");
    let children: Vec<_> = (0..3)
        .map(|i| {
            let tag = format!("at-once:{i}");
            let mut command = sandbox.command(&["build", "-q", "-t", &tag, "context"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for (i, child) in children.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let tag = format!("at-once:{i}");
        assert_eq!(sandbox.ok(&["run", "--rm", "--network", "none", &tag, "cat", "/f", "/again"]), "x\nmade\n");
    }
    common::wait_until("nothing is left half-done", || sandbox.stored("tmp").is_empty());
}

#[test]
fn a_killed_build_leaves_nothing_and_its_run_dies() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("Dockerfile", "FROM alpine\nRUN echo $RANDOM > /made\nRUN sleep 600\n");
    for signal in [nix::sys::signal::SIGKILL, nix::sys::signal::SIGTERM, nix::sys::signal::SIGINT] {
        let mut child =
            sandbox.command(&["build", "context"]).stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let sleeps = || sandbox.left_behind().iter().any(|line| line.contains("sleep 600"));
        wait_until("the step runs", sleeps);
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id() as i32), signal).unwrap();
        child.wait().unwrap();
        wait_until("nothing runs any more", || sandbox.left_behind().is_empty());
    }
    assert_eq!(sandbox.ok(&["ps", "-aq"]), "");
    // The next command that writes takes away what was left half-done.
    sandbox.build("FROM alpine\nRUN true\n", &[]);
    common::wait_until("nothing is left half-done", || sandbox.stored("tmp").is_empty());
}

#[test]
fn the_cache_holds_no_image_and_gives_its_room_back() {
    let sandbox = Sandbox::with_alpine();
    let before = sandbox.stored("layers").len();
    sandbox.build(
        "FROM alpine AS helper\nRUN echo $RANDOM > /helper\nFROM alpine\nCOPY --from=helper /helper /other\n",
        &[],
    );
    assert_eq!(sandbox.stored("layers").len(), before + 2);
    let usage = sandbox.ok(&["system", "df"]);
    assert!(usage.contains("Build cache"), "{usage}");
    sandbox.ok(&["rmi", "built"]);
    assert_eq!(sandbox.stored("layers").len(), before + 1, "only the helper's is left, which no image shows");
    let said = sandbox.ok(&["builder", "prune", "--force"]);
    assert!(said.starts_with("Total reclaimed space: "), "{said}");
    assert_eq!(sandbox.stored("layers").len(), before);
    assert_eq!(sandbox.stored("builds/steps"), [""; 0]);
    // A build that ended holds its base image no more.
    sandbox.build("FROM alpine\nRUN true\n", &[]);
    sandbox.ok(&["rmi", "alpine"]);
}

#[test]
fn nothing_leaves_the_context_or_the_image() {
    let sandbox = Sandbox::with_alpine();
    fs::write(sandbox.file("outside"), "host secret").unwrap();
    sandbox.put("inside", "fine");
    let link = |to: &std::path::Path, name: &str| {
        let _ = fs::remove_file(sandbox.file("context").join(name));
        std::os::unix::fs::symlink(to, sandbox.file("context").join(name)).unwrap();
    };
    link(&sandbox.file("outside"), "absolute");
    link("../outside".as_ref(), "relative");
    link("/etc".as_ref(), "directory");
    for wrong in ["absolute", "relative", "../outside", "directory/hostname"] {
        let error = sandbox.try_build(&format!("FROM alpine\nCOPY {wrong} /x\n"), &[]).fails(1);
        assert!(error.contains("is not in the build context"), "{wrong}: {error}");
    }
    // As links they come along, and lead to what the image has there.
    sandbox.build("FROM alpine\nCOPY . /c/\n", &[]);
    assert_eq!(sandbox.inside("readlink /c/directory; ! cat /c/absolute 2>/dev/null"), "/etc\n");
    // A link of the image leads within the image.
    let target = sandbox.file("reached");
    let text = format!(
        "FROM alpine\nRUN mkdir -p /real && ln -s /real /way && ln -s {} /host && ln -s ../../../../../../../real /up\nCOPY inside /way/a\nCOPY inside /up/b\nCOPY inside /host/c\n",
        target.display()
    );
    sandbox.build(&text, &[]);
    assert!(!target.exists(), "a link of the image led out of it");
    assert_eq!(sandbox.inside("cat /real/a /real/b /host/c"), "finefinefine");
    // Nor does one of another stage.
    let text = format!(
        "FROM alpine AS a\nRUN ln -s {} /l\nFROM alpine\nCOPY --from=a /l /x\n",
        sandbox.file("outside").display()
    );
    let error = sandbox.try_build(&text, &[]).fails(1);
    assert!(error.contains("is not in stage"), "{error}");
}

#[test]
fn a_slip_in_the_file_is_shown() {
    let sandbox = Sandbox::with_alpine();
    let error = sandbox.try_build("FROM alpine\n\nRUN true\nCOYP a b\n", &[]).fails(1);
    assert!(error.contains("Dockerfile:4:1: unknown instruction `COYP`\n     4 | COYP a b\n       | ^\n"), "{error}");
    assert!(error.contains("did you mean COPY?"), "{error}");
    let said = sandbox.try_build("from alpine AS x\nENV API_KEY=1\nCMD ls\n", &["--check"]);
    assert_eq!(said.code, 1);
    for rule in ["FromAsCasing", "SecretsUsedInArgOrEnv", "JSONArgsRecommended"] {
        assert!(said.stderr.contains(rule), "{}", said.streams());
    }
    let error = sandbox.run(&["build", "nowhere"]).fails(1);
    assert!(error.contains("no such file or directory: nowhere"), "{error}");
    let error = sandbox.run(&["build", "."]).fails(1);
    assert!(error.contains("no Dockerfile"), "{error}");
}

#[test]
fn contexts_from_everywhere() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("f", "text\n");
    sandbox.put("Dockerfile", "FROM alpine\nCOPY f /f\n");
    sandbox.put("sub/Dockerfile.other", "FROM alpine\nRUN echo other > /f\n");
    let shown = |tag: &str| sandbox.ok(&["run", "--rm", "--network", "none", tag, "cat", "/f"]);
    assert!(sandbox.run_with_input(&["build", "-q", "-t", "a", "-"], b"FROM alpine\nRUN echo alone > /f\n").code == 0);
    assert_eq!(shown("a"), "alone\n");
    sandbox.run_other("tar", &["-C", "context", "-czf", "c.tar.gz", "."]).ok();
    let archive = fs::read(sandbox.file("c.tar.gz")).unwrap();
    sandbox.run_with_input(&["build", "-q", "-t", "b", "-"], &archive).ok();
    assert_eq!(shown("b"), "text\n");
    sandbox.ok(&["build", "-q", "-t", "c", "c.tar.gz"]);
    assert_eq!(shown("c"), "text\n");
    sandbox
        .run_with_input(
            &["build", "-q", "-t", "d", "-f", "-", "context"],
            b"FROM alpine\nCOPY f /f\nRUN echo more >> /f\n",
        )
        .ok();
    assert_eq!(shown("d"), "text\nmore\n");
    sandbox.ok(&["build", "-q", "-t", "e", "-f", "context/sub/Dockerfile.other", "context"]);
    assert_eq!(shown("e"), "other\n");
    let error = sandbox.run_with_input(&["build", "-f", "-", "-"], b"").fails(1);
    assert!(error.contains("both"), "{error}");
}

#[test]
fn the_result_as_files_and_archives() {
    let sandbox = prepared();
    let build = |flags: &[&str]| sandbox.run(&[&["build"], flags, &["context"]].concat()).ok();
    build(&["-o", "out"]);
    assert_eq!(fs::read_to_string(sandbox.file("out/srv/index.html")).unwrap(), "one\n");
    build(&["-o", "type=tar,dest=out.tar"]);
    assert_eq!(sandbox.run_other("tar", &["-xOf", "out.tar", "srv/page.html"]).ok(), "page\n");
    build(&["-t", "saved", "-o", "type=docker,dest=image.tar"]);
    sandbox.ok(&["rmi", "saved"]);
    sandbox.ok(&["load", "-i", "image.tar"]);
    assert_eq!(sandbox.ok(&["run", "--rm", "--network", "none", "saved", "cat", "/srv/index.html"]), "one\n");

    let id = build(&["-q", "--squash", "-t", "flat", "--iidfile", "id", "--label", "l=v"]);
    assert_eq!(fs::read_to_string(sandbox.file("id")).unwrap(), id.trim());
    assert_eq!(sandbox.look("flat", "{{len .RootFS.Layers}} {{.Config.Labels.l}}"), "2 v");
    assert_eq!(sandbox.ok(&["run", "--rm", "--network", "none", "flat", "cat", "/srv/page.html"]), "page\n");
}

#[test]
fn git_repositories_are_contexts() {
    common::require!(common::Need::Tool("git"));
    let sandbox = Sandbox::with_alpine();
    sandbox.put("Dockerfile", "FROM alpine\nCOPY f /f\n");
    sandbox.put("f", "committed\n");
    let git = |arguments: &[&str]| {
        let who = ["-c", "user.name=a", "-c", "user.email=a@b", "-C", "context"];
        finish(sandbox.other("git").args([&who[..], arguments].concat())).ok()
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "."]);
    git(&["commit", "-q", "-m", "x"]);
    let address = format!("git://localhost{}", sandbox.file("context").display());
    // No server here: git itself reads the address from the disk.
    let mut command = sandbox.command(&["build", "-q", "-t", "g", &format!("{address}#main")]);
    command
        .env("GIT_CONFIG_COUNT", "2")
        .env("GIT_CONFIG_KEY_0", "url./.insteadOf")
        .env("GIT_CONFIG_VALUE_0", "git://localhost/");
    command.env("GIT_CONFIG_KEY_1", "safe.directory").env("GIT_CONFIG_VALUE_1", "*");
    finish(&mut command).ok();
    assert_eq!(sandbox.ok(&["run", "--rm", "--network", "none", "g", "cat", "/f"]), "committed\n");
}

#[test]
fn a_step_done_again_with_another_result_gives_its_room_back() {
    let sandbox = Sandbox::with_alpine();
    let text = "FROM alpine AS help\nRUN echo $RANDOM$RANDOM$RANDOM >/x\nFROM alpine\n\
                COPY --from=help /x /y\nRUN echo $RANDOM$RANDOM$RANDOM >/z\n";
    sandbox.build(text, &[]);
    let layers = sandbox.stored("layers").len();
    for _ in 0..3 {
        sandbox.build(text, &["--no-cache"]);
        sandbox.ok(&["system", "check"]);
    }
    // The images before are without a name, and keep their own layers: two of three steps.
    let images: Vec<String> = sandbox.ok(&["images", "-q"]).lines().map(str::to_owned).collect();
    assert_eq!(sandbox.stored("layers").len(), layers + 3 * 2);
    for id in images {
        sandbox.ok(&["rmi", "-f", &id]);
    }
    sandbox.ok(&["builder", "prune", "-f"]);
    assert_eq!(sandbox.stored("layers"), [""; 0]);
}

#[test]
fn a_failed_build_opens_a_shell_in_the_state_before() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("Dockerfile", "FROM alpine\nRUN echo before > /made\nRUN false\n");
    let mut shell = Terminal::new(&sandbox, &["build", "--debug", "context"]);
    shell.expect("leave it with exit");
    shell.becomes_raw();
    shell.kind("cat /made; exit\n");
    shell.expect("\nbefore");
    shell.ends(1);
}
