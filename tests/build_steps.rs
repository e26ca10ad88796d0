//! `build`: every instruction, on a real Alpine.

use crate::common::{self, Sandbox, User, user};
use std::fs;

#[test]
fn the_homework() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("default.conf", "listen 8888\n");
    sandbox.put("www/index.html", "<p>hello</p>\n");
    let text = "FROM alpine\nARG VERSION=1.0\nENV GREETING=hi\nRUN adduser -D web && echo $GREETING $VERSION > /made\n\
        COPY default.conf /etc/nginx/conf.d/\nCOPY www /usr/share/nginx/html\nEXPOSE 8888\nCMD [\"cat\", \"/made\"]\n";
    let said = sandbox.build(text, &[]);
    assert!(said.contains("named built:latest") && said.contains(" from 2 files of the context, 25B\n"), "{said}");
    assert_eq!(sandbox.ok(&["run", "--rm", "--network", "none", "built"]), "hi 1.0\n");
    assert_eq!(
        sandbox.inside("cat /etc/nginx/conf.d/default.conf /usr/share/nginx/html/index.html; id -u web"),
        "listen 8888\n<p>hello</p>\n1000\n"
    );
    assert_eq!(sandbox.ok(&["ps", "-aq"]), "", "a step's container is nobody's business");
    common::wait_until("nothing is left half-done", || sandbox.stored("tmp").is_empty());

    let id = sandbox.ok(&["images", "-q", "--no-trunc", "built"]);
    let again = sandbox.build(text, &[]);
    assert_eq!(again.matches("cached").count(), 3, "{again}");
    assert_eq!(sandbox.ok(&["images", "-q", "--no-trunc", "built"]), id);
    let config = sandbox.built();
    assert_eq!(config["Config"]["Cmd"], serde_json::json!(["cat", "/made"]));
    let history = sandbox.ok(&["history", "--no-trunc", "built"]);
    let rows: Vec<&str> = history.lines().skip(1).collect();
    assert!(
        rows[0].contains("CMD [\"cat\" \"/made\"]") && rows[4].contains("RUN |1 VERSION=1.0 /bin/sh -c adduser"),
        "{history}"
    );
}

#[test]
fn stages_that_nobody_needs_are_not_built() {
    let sandbox = Sandbox::with_alpine();
    let text = "FROM alpine AS first\nRUN echo one > /one\nFROM alpine AS second\nRUN echo two > /two\nFROM alpine AS broken\nRUN false\n\
        FROM first AS last\nCOPY --from=second /two /\nCOPY --from=1 --chown=5:6 /two /owned\nCOPY --from=alpine /etc/alpine-release /release\n";
    let said = sandbox.build(text, &[]);
    assert!(!said.contains("broken"), "{said}");
    assert_eq!(sandbox.inside("cat /one /two /owned; test -s /release && echo released"), "one\ntwo\ntwo\nreleased\n");
    sandbox.build(text, &["--target", "second"]);
    assert_eq!(sandbox.inside("ls / | grep -c one || cat /two"), "0\ntwo\n");
    let error = sandbox.try_build(text, &["--target", "lsat"]).fails(1);
    assert!(error.contains("did you mean --target last?"), "{error}");
}

#[test]
fn stages_run_side_by_side() {
    let sandbox = Sandbox::with_alpine();
    // Each waits for the other.
    let stage = |own: &str, other: &str| {
        let meets =
            format!("for n in $(seq 600); do [ -e /c/{other} ] && touch /met && exit 0; sleep 0.1; done; exit 1");
        format!("FROM alpine AS {own}\nRUN --mount=type=cache,target=/c touch /c/{own}; {meets}\n")
    };
    let last = "FROM alpine\nCOPY --from=a /met /a\nCOPY --from=b /met /b\n";
    sandbox.build(&(stage("a", "b") + &stage("b", "a") + last), &[]);
    assert_eq!(sandbox.inside("ls /a /b"), "/a\n/b\n");
}

#[test]
fn variables_have_dockers_forms_and_order() {
    let sandbox = Sandbox::with_alpine();
    let text = "ARG TAG=latest\nARG ONLY_BEFORE=x\nFROM alpine:${TAG}\nARG A=1\nARG B=${A}2\nARG UNSET\nARG ONLY_BEFORE\nARG TARGETARCH\nENV E=${B:-none} F=${UNSET:-\"a b\"} G=${E+set}\nENV A=env\n\
        RUN echo \"$A $B $E $F [$G] [$UNSET] $ONLY_BEFORE ${TARGETARCH:+arch}\" > /values\nWORKDIR /w/${B}\nLABEL \"a b\"='c d' e=$B\nUSER $B\n";
    sandbox.build(text, &["--build-arg", "B=7", "--build-arg", "A=8"]);
    assert_eq!(sandbox.inside("cat /values; pwd"), "env 7 7 a b [] [] x arch\n/w/7\n");
    let config = sandbox.built();
    assert_eq!(config["Config"]["Labels"], serde_json::json!({ "a b": "c d", "e": "7" }));
    assert_eq!(config["Config"]["User"], "7");
    let said = sandbox.build(text, &["--build-arg", "NOBODY=1"]);
    assert!(said.contains("--build-arg NOBODY is used by no ARG"), "{said}");
    let error = sandbox.try_build("FROM alpine\nENV A=\"${B:?is wanted}\"\n", &[]).fails(1);
    assert!(error.contains("B: is wanted"), "{error}");
}

#[test]
fn copy_follows_dockers_rules() {
    let sandbox = Sandbox::with_alpine();
    for (name, text) in
        [("a.txt", "a"), ("b.txt", "b"), ("dir/c", "c"), ("dir/sub/d", "d"), ("dir/skip.md", "x"), ("with space", "s")]
    {
        sandbox.put(name, text);
    }
    std::os::unix::fs::symlink("a.txt", sandbox.file("context/link")).unwrap();
    std::os::unix::fs::symlink("c", sandbox.file("context/dir/inner")).unwrap();
    let text = "FROM alpine\nRUN mkdir /there && ln -s /there /way && echo old > /there/a.txt\nWORKDIR /work\n\
        COPY a.txt new\nCOPY a.txt into/\nCOPY dir made\nCOPY *.txt /there/\nCOPY link /followed\nCOPY b.txt /way\n\
        COPY [\"with space\", \"/spaced out/\"]\nCOPY --chmod=640 --chown=3:4 dir /owned\nCOPY --exclude=*.md dir /lean/\n\
        COPY --parents dir/sub/d a.txt /par/\nCOPY --link a.txt /linked/deep/\nCOPY . /all/\n";
    sandbox.build(text, &[]);
    let said = sandbox.inside("cat new into/a.txt made/c made/sub/d /there/a.txt /there/b.txt /followed '/spaced out/with space'; echo; readlink made/inner; stat -c '%a' /owned/c /owned; ls /lean /par /par/dir/sub /linked/deep; ls /all | wc -l");
    // A user with one id owns every file, and must be able to enter each directory.
    let mode = if user() == User::Single { 740 } else { 640 };
    assert_eq!(
        said,
        format!(
            "aacdabas\nc\n640\n{mode}\n/lean:\nc\ninner\nsub\n\n/linked/deep:\na.txt\n\n/par:\na.txt\ndir\n\n\
             /par/dir/sub:\nd\n6\n"
        )
    );
    for (wrong, reason) in [
        ("COPY nothing /x", "`nothing` is not in the build context"),
        ("COPY *.nothing /x", "nothing in the build context matches"),
        ("COPY a.txt b.txt /x", "must be a directory"),
        ("COPY a.txt /etc/apk/x/../\nCOPY dir /etc/motd", "is not a directory"),
        ("COPY --chmod=9 a.txt /x", "invalid mode"),
        ("ADD --chmod=u+y a.txt /x", "invalid mode `u+y`"),
        ("COPY --chown=nobody-here a.txt /x", "nobody-here"),
        ("COPY --from=absent-image a /x", "absent-image"),
    ] {
        let error = sandbox.try_build(&format!("FROM alpine\n{wrong}\n"), &[]).fails(1);
        assert!(error.contains(reason), "{wrong}: {error}");
    }
}

#[test]
fn flags_of_a_build() {
    let sandbox = Sandbox::with_alpine();
    let text = "FROM alpine AS a\nRUN ulimit -n > /limits; df -k /dev/shm | tail -n 1 | awk '{ print $2 }' >> /limits\nRUN true\nFROM a\nRUN cat /limits\n";
    sandbox.build(text, &["--ulimit", "nofile=77:88", "--shm-size", "8m", "--rm", "--force-rm", "--pull=false"]);
    assert_eq!(sandbox.inside("cat /limits"), "77\n8192\n");
    let said = sandbox.build(text, &["--no-cache-filter", "a", "--provenance=false", "--explain"]);
    assert_eq!(said.matches("it ran: --no-cache").count(), 2, "{said}");
    assert!(!said.contains("--provenance"), "{said}");
    let said = sandbox.build(text, &["--no-cache=false"]);
    assert_eq!(said.matches(" cached").count(), 3, "{said}");
    assert!(sandbox.try_build(text, &["--call", "check"]).stdout.contains("no warnings found"));
    for wrong in [["--ulimit", "nofile"], ["--shm-size", "much"]] {
        sandbox.try_build(text, &wrong).fails(125);
    }
}

#[test]
fn modes_in_letters() {
    let sandbox = Sandbox::with_alpine();
    let modes = [("plain", 0o600), ("tool", 0o700), ("open", 0o666), ("sub/f", 0o640)];
    for (name, mode) in modes {
        sandbox.put(&format!("tree/{name}"), name);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        fs::set_permissions(sandbox.file("context/tree").join(name), mode).unwrap();
    }
    let text = "FROM alpine\nARG MODE=+x\nCOPY --chmod=u=rwX,go=rX tree /shared/\nADD --chmod=go-w,u+s tree /kept/\nCOPY --chmod=$MODE tree/plain /run\n";
    sandbox.build(text, &[]);
    let shown = |root: &str| sandbox.inside(&format!("cd {root} && stat -c %a plain tool open sub sub/f"));
    assert_eq!(shown("/shared"), "644\n755\n644\n755\n644\n");
    assert_eq!(shown("/kept"), "4600\n4700\n4644\n4755\n4640\n");
    assert_eq!(sandbox.inside("stat -c %a /run/plain"), "711\n");
    // What a variable says counts for the cache.
    sandbox.build(text, &["--build-arg", "MODE=o=u"]);
    assert_eq!(sandbox.inside("stat -c %a /run/plain"), "606\n");
}

#[test]
fn add_unpacks_archives_and_copy_does_not() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("packed/file", "inner");
    sandbox.run_other("tar", &["-C", "context/packed", "-czf", "context/a.tar.gz", "file"]).ok();
    sandbox.build("FROM alpine\nADD a.tar.gz /added/\nCOPY a.tar.gz /copied/\nADD packed /plain\nADD --unpack=false a.tar.gz /kept/\n", &[]);
    assert_eq!(
        sandbox.inside("ls /added /copied /plain /kept"),
        "/added:\nfile\n\n/copied:\na.tar.gz\n\n/kept:\na.tar.gz\n\n/plain:\nfile\n"
    );
}

#[test]
fn heredocs() {
    let sandbox = Sandbox::with_alpine();
    let text = "FROM alpine\nENV WHO=me\nRUN <<EOF\nset -e\necho one > /one\necho two >> /one\nEOF\nRUN cat <<A > /joined && cat <<B >> /joined\nfirst\nA\nsecond\nB\nRUN <<EOF\n#!/bin/cat\nshebang\nEOF\nCOPY <<f1 <<\"f2\" /files/\nfor $WHO \"quoted\"\nf1\nfor $WHO\nf2\nCOPY --chmod=755 <<-script /script\n\t#!/bin/sh\n\techo ran\n\tscript\nRUN /script > /out\n";
    let said = sandbox.build(text, &["--progress", "plain"]);
    assert!(said.contains("shebang"), "{said}");
    assert_eq!(
        sandbox.inside("cat /one /joined /files/f1 /files/f2 /out"),
        "one\ntwo\nfirst\nsecond\nfor me \"quoted\"\nfor $WHO\nran\n"
    );
}

#[test]
fn mounts_of_a_run() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("dir/file", "from context");
    sandbox.put("ignored", "x");
    sandbox.put(".dockerignore", "ignored\n");
    let secret = sandbox.file("secret");
    fs::write(&secret, "hush").unwrap();
    let text = "FROM alpine AS other\nRUN mkdir /o && echo other > /o/f\nFROM alpine\n\
        RUN --mount=type=secret,id=s cat /run/secrets/s | tr h H > /seen\n\
        RUN --mount=type=secret,id=s,env=TOKEN echo $TOKEN | tr h H >> /seen\n\
        RUN --mount=type=secret,id=absent test ! -e /run/secrets/absent\n\
        RUN --mount=type=bind,source=dir,target=/b cat /b/file >> /seen; ! touch /b/new 2>/dev/null\n\
        RUN --mount=target=/b,rw touch /b/new; test ! -e /b/ignored\n\
        RUN --mount=type=bind,from=other,source=/o,target=/b cat /b/f >> /seen\n\
        RUN --mount=type=tmpfs,target=/t touch /t/x\n\
        RUN --mount=type=cache,target=/c echo line >> /c/lines; wc -l < /c/lines > /count\n\
        RUN --network=none ip link | grep -c '^[0-9]' > /devices\n";
    let flag = format!("id=s,src={}", secret.display());
    sandbox.build(text, &["--secret", &flag]);
    assert_eq!(
        sandbox.inside("cat /seen /count /devices; ls -d /run/secrets /b /t /c 2>/dev/null; true"),
        "HusHHusH\nfrom contextother\n1\n1\n"
    );
    assert!(!sandbox.file("context/dir/new").exists() && !sandbox.file("context/new").exists());
    // Another value of a secret is no reason to do it again; what a cache holds stays.
    fs::write(&secret, "else").unwrap();
    let said = sandbox.build(&text.replace("wc -l", "cat /c/lines | wc -l"), &["--secret", &flag]);
    assert_eq!(sandbox.inside("cat /count"), "2\n", "{said}");
    assert_eq!(said.matches(" cached").count(), 7, "{said}");
    let error = sandbox.try_build("FROM alpine\nRUN --mount=type=secret,id=s,required=true true\n", &[]).fails(1);
    assert!(error.contains("no such secret: s"), "{error}");
    let error = sandbox.try_build("FROM alpine\nRUN --mount=type=catch,target=/x true\n", &[]).fails(1);
    assert!(error.contains("invalid type `catch`"), "{error}");
}

/// A program of the host in the context, with all that it is linked to.
fn put_program(sandbox: &Sandbox, program: &str) {
    let linked = sandbox.run_other("ldd", &[program]).ok();
    let libraries = linked.split_whitespace().filter(|word| word.starts_with('/'));
    for file in libraries.chain([program]) {
        let target = sandbox.file("context/host").join(file.trim_start_matches('/'));
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
}

#[test]
fn a_run_asks_the_agent_of_who_builds() {
    common::require!(common::Need::Tool("ssh-agent"), common::Need::Tool("ldd"));
    let sandbox = Sandbox::with_alpine();
    put_program(&sandbox, "/usr/bin/ssh-add");
    let key = sandbox.file("key").display().to_string();
    sandbox.run_other("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "of the test", "-f", &key]).ok();
    let socket = sandbox.file("agent");
    let mut agent = sandbox
        .other("ssh-agent")
        .arg("-D")
        .arg("-a")
        .arg(&socket)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    common::wait_until("the agent listens", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
    common::finish(sandbox.other("ssh-add").arg(&key).env("SSH_AUTH_SOCK", &socket)).ok();

    let text = "FROM alpine\nCOPY host /\nRUN --mount=type=ssh ssh-add -l > /keys\n\
        RUN --mount=type=ssh,id=other,target=/a ssh-add -l >> /keys && echo $SSH_AUTH_SOCK >> /keys\nRUN echo $SSH_AUTH_SOCK > /none; find / -xdev -type s > /sockets\n";
    sandbox.put("Dockerfile", text);
    let other = format!("other={}", socket.display());
    let build = ["build", "-t", "built", "--ssh", "default", "--ssh", &other, "context"];
    let built = common::finish(sandbox.command(&build).env("SSH_AUTH_SOCK", &socket));
    let without = sandbox.try_build("FROM alpine\nRUN --mount=type=ssh,required=true true\n", &[]);
    let not_there = sandbox.try_build("FROM alpine\nRUN true\n", &["--ssh", "default"]);
    agent.kill().unwrap();
    agent.wait().unwrap();
    built.ok();
    let error = without.fails(1);
    assert!(error.contains("no such agent: default"), "{error}");
    let error = not_there.fails(125);
    assert!(error.contains("ssh-agent"), "{error}");
    sandbox.put("Dockerfile", text);
    sandbox.ok(&["build", "-q", "-t", "built", "context"]);
    let said = sandbox.inside("cat /keys");
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        lines.len() == 3 && lines[0].contains("of the test (ED25519)") && lines[0] == lines[1] && lines[2] == "/a",
        "{said}"
    );
    assert_eq!(sandbox.inside("cat /none /sockets; ls /a /run/buildkit 2>/dev/null; true"), "\n");
}

#[test]
fn settings_that_only_docker_knows_are_kept() {
    let sandbox = Sandbox::with_alpine();
    let text = "FROM alpine AS base\nSHELL [\"/bin/sh\", \"-ec\"]\nHEALTHCHECK --interval=5s --retries=2 CMD test -e /x\nONBUILD RUN echo triggered > /triggered\nONBUILD COPY file /from-user\nSTOPSIGNAL SIGQUIT\nVOLUME [\"/data\"]\nMAINTAINER me\n";
    sandbox.put("file", "text");
    let said = sandbox.build(text, &[]);
    assert!(said.contains("MAINTAINER is deprecated"), "{said}");
    let config = sandbox.built();
    assert_eq!(config["Config"]["Healthcheck"]["Interval"], 5_000_000_000u64);
    assert_eq!(config["Config"]["Shell"], serde_json::json!(["/bin/sh", "-ec"]));
    assert_eq!(config["Config"]["OnBuild"].as_array().unwrap().len(), 2);
    sandbox.ok(&["tag", "built", "base"]);
    sandbox.build("FROM base\nRUN echo own > /own\n", &[]);
    assert_eq!(sandbox.inside("cat /triggered /from-user /own"), "triggered\ntextown\n");
    let config = sandbox.built();
    assert!(config["Config"]["OnBuild"].as_array().is_none_or(Vec::is_empty), "{config}");
    assert_eq!(config["Config"]["Healthcheck"]["Retries"], 2);
}

#[test]
fn a_change_appears_only_in_its_own_layer() {
    let sandbox = Sandbox::with_alpine();
    sandbox.build("FROM alpine\nRUN echo 1 > /etc/one\nRUN rm -r /etc/apk && mkdir /etc/apk && touch /etc/apk/only\nRUN chmod 700 /etc/one\nRUN true\n", &[]);
    sandbox.ok(&["save", "--format", "oci-dir", "-o", "oci", "built"]);
    let config = sandbox.built();
    let layers: Vec<Vec<String>> = config["RootFS"]["Layers"].as_array().unwrap()[1..]
        .iter()
        .map(|layer| {
            let path = sandbox.file("oci/blobs/sha256").join(layer.as_str().unwrap().trim_start_matches("sha256:"));
            let listed = sandbox.run_other("tar", &["-tf", path.to_str().unwrap()]).ok();
            listed.lines().map(str::to_owned).collect()
        })
        .collect();
    assert_eq!(layers[0], ["etc/", "etc/one"]);
    assert_eq!(layers[1], ["etc/", "etc/apk/", "etc/apk/.wh..wh..opq", "etc/apk/only"]);
    assert_eq!(layers[2], ["etc/", "etc/one"]);
    assert_eq!(layers[3], [""; 0]);
}

#[test]
fn the_same_at_another_time_with_source_date_epoch() {
    let build = || {
        let sandbox = Sandbox::new();
        let import = |sandbox: &Sandbox| {
            let tar = common::alpine_tar();
            common::finish(
                sandbox.command(&["import", tar.to_str().unwrap(), "alpine"]).env("SOURCE_DATE_EPOCH", "1000000000"),
            )
            .ok()
        };
        import(&sandbox);
        sandbox.put("file", "text");
        sandbox.put(
            "Dockerfile",
            "FROM alpine\nRUN mkdir -p /a/b && echo x > /a/b/c && ln -s c /a/b/d\nCOPY file /f/\nWORKDIR /w\n",
        );
        let mut command = sandbox.command(&["build", "-q", "context"]);
        let id = common::finish(command.env("SOURCE_DATE_EPOCH", "1500000000")).ok();
        std::thread::sleep(std::time::Duration::from_millis(1100));
        id
    };
    assert_eq!(build(), build());
}

/// Builds where not the kernel lays the layers over each other, and looks at what came of it.
fn laid_otherwise(how: &str) {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("f", "copied");
    sandbox.put("tool", "tool");
    let text = "FROM alpine AS a\nRUN mkdir /d && echo made > /d/x && rm /etc/motd && echo tab > /etc/fstab\nCOPY f /d/\n\
        COPY --chmod=4755 --chown=7:8 tool /d/\nRUN cp /bin/busybox /d/own && chmod 4711 /d/own && chown 5:6 /d/x && mkdir -m 1777 /d/all && touch /root/empty\n\
        FROM a\nRUN --mount=type=bind,from=a,source=/d,target=/m cat /m/x > /seen\nRUN rm -r /etc/apk && mkdir /etc/apk && mv /d/f /d/moved\n\
        RUN true\nWORKDIR /new/place\nCOPY --from=a /d/own ./\nRUN rm -r /d && mkdir /d && echo again > /d/x\nRUN chmod 700 /etc/apk\n";
    let look = "cd /d; cat x; ls -A . /etc/apk; stat -c '%a %u:%g %n' x /new/place/own /etc/apk; cat /seen; ls /etc/motd 2>&1; cat /etc/fstab";
    let middle = "stat -c '%a %u:%g %n' /d/x /d/tool /d/own /d/all; cat /d/f /etc/fstab";
    // What the kernel makes of it is what is right.
    let shown = |how: &str| {
        fs::write(sandbox.root().join("layering"), how).unwrap();
        sandbox.build(text, &["--no-cache"]);
        let built = sandbox.inside(look);
        let layers = sandbox.look("built", "{{len .RootFS.Layers}}");
        sandbox.build(text, &["--target", "a"]);
        let said = sandbox.build(text, &[]);
        assert_eq!(said.matches(" cached").count(), 11, "{said}");
        sandbox.build(text, &["--target", "a"]);
        let middle = sandbox.inside(middle);
        // Where nothing is hidden as a whole, each layer is the same to the byte.
        let exact = text.split("RUN rm -r").next().unwrap();
        sandbox.build(exact, &["--no-cache", "--build-arg", "SOURCE_DATE_EPOCH=1"]);
        (built, middle, layers, sandbox.look("built", "{{.RootFS.Layers}}"))
    };
    let expected = shown("kernel");
    assert!(expected.1.contains("\n4755 ") && expected.1.contains("\n4711 "), "{}", expected.1);
    assert_eq!(shown(how), expected);
}

#[test]
fn where_a_program_lays_the_layers() {
    common::require!(common::Need::Tool("fuse-overlayfs"), common::Need::Fuse);
    laid_otherwise("fuse");
}

#[test]
fn where_layers_are_copied() {
    laid_otherwise("copy");
}

#[test]
fn names_of_one_file_stay_names_of_one_file() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("files/1", "x");
    fs::create_dir_all(sandbox.file("context/files/a")).unwrap();
    fs::create_dir_all(sandbox.file("context/files/b")).unwrap();
    for name in ["a/2", "b/3", "z"] {
        fs::hard_link(sandbox.file("context/files/1"), sandbox.file("context/files").join(name)).unwrap();
    }
    // Into a directory that is there, and into one that is not.
    sandbox.build("FROM alpine\nCOPY files /etc\nCOPY files /new/deep\n", &[]);
    let said =
        sandbox.inside("for d in /etc /new/deep; do stat -c %h $d/1 $d/a/2 $d/b/3 $d/z; done; ls /etc/apk >/dev/null");
    assert_eq!(said, "4\n".repeat(8));
}
