//! `build`: the corners where BuildKit's ways show, file for file and setting for setting.

use crate::common::{self, Need, Sandbox, User, require};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

/// Inside, all files of a user with a single id are root's; the owners that the image gives are on record.
fn as_seen(owner: &'static str, roots: &'static str) -> &'static str {
    if common::user() == User::Single { roots } else { owner }
}

#[test]
fn a_pattern_without_a_match_beside_a_source_that_is_there() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("package.json", "{}");
    sandbox.build("FROM alpine\nCOPY package.json yarn.lock* package-lock.json* ./w/\n", &[]);
    assert_eq!(sandbox.inside("ls /w"), "package.json\n");
    let error = sandbox.try_build("FROM alpine\nCOPY yarn.lock* pnpm* /w/\n", &[]).fails(1);
    assert!(error.contains("nothing in the build context matches `yarn.lock* pnpm*`"), "{error}");
}

#[test]
fn a_working_directory_belongs_to_the_user() {
    let sandbox = Sandbox::with_alpine();
    let text = "FROM alpine\nRUN adduser -D app\nWORKDIR /roots\nUSER app\nWORKDIR /home/app/src/deep\nRUN touch x\nUSER 7:8\nWORKDIR /numbers\n";
    sandbox.build(text, &[]);
    let script = "stat -c '%U:%G %a' /home/app/src /home/app/src/deep /roots; stat -c %u:%g /numbers";
    let (app, numbers) = (as_seen("app:app", "root:root"), as_seen("7:8", "0:0"));
    let said = sandbox.ok(&["run", "--rm", "-u", "0", "built", "sh", "-c", script]);
    assert_eq!(said, format!("{app} 755\n{app} 755\nroot:root 755\n{numbers}\n"));
}

#[test]
fn triggers_may_take_from_stages() {
    let sandbox = Sandbox::with_alpine();
    let base = "FROM alpine\nONBUILD COPY --from=assets /made /copied\nONBUILD RUN --mount=from=assets,target=/m cat /m/made > /mounted\n";
    sandbox.build(base, &["-t", "trigger"]);
    let text = "FROM alpine AS assets\nRUN echo assets > /made\nFROM alpine AS other\nRUN exit 1\nFROM trigger\n";
    sandbox.build(text, &[]);
    assert_eq!(sandbox.inside("cat /copied /mounted"), "assets\nassets\n");
    // Of a stage, too.
    let text = "FROM alpine AS base\nONBUILD RUN echo x > /triggered\nFROM base\nRUN cat /triggered\n";
    sandbox.build(text, &["--no-cache"]);
}

#[test]
fn parents_and_any_number_of_directories() {
    let sandbox = Sandbox::with_alpine();
    for name in ["a.md", "x/b.md", "x/y/c.md", "x/y/z/d.md", "x/y/z/e.txt"] {
        sandbox.put(name, name);
    }
    fs::set_permissions(sandbox.file("context/x/y"), PermissionsExt::from_mode(0o700)).unwrap();
    sandbox.build("FROM alpine\nCOPY --parents **/*.md /all/\nCOPY --parents x/**/z/*.txt /one/\nCOPY */*.md /flat/\nCOPY --parents --chown=3:4 x/./y/c.md /cut/\n", &[]);
    let listed = sandbox.inside(
        "cd / && find all one flat cut -type f | sort; stat -c %a all/x all/x/y cut/y; stat -c %u:%g cut/y cut/y/c.md",
    );
    assert_eq!(
        listed,
        "all/a.md\nall/x/b.md\nall/x/y/c.md\nall/x/y/z/d.md\ncut/y/c.md\nflat/b.md\none/x/y/z/e.txt\n755\n700\n700\nOWNER\nOWNER\n"
            .replace("OWNER", as_seen("3:4", "0:0"))
    );
}

#[test]
fn what_the_ignore_file_leaves_out_is_not_there() {
    let sandbox = Sandbox::with_alpine();
    for name in ["dir/a", "dir/keep/b", "node_modules/x", "other"] {
        sandbox.put(name, name);
    }
    let build = |ignore: &str, text: &str| {
        sandbox.put(".dockerignore", ignore);
        sandbox.try_build(&format!("FROM alpine\n{text}\n"), &[])
    };
    let error = build("dir\n!elsewhere\n", "COPY dir /x/").fails(1);
    assert!(error.contains("`dir` is in the build context, but .dockerignore excludes it"), "{error}");
    // What is brought back is there, with the way to it.
    build("dir\n!dir/keep\n", "COPY dir /x/").ok();
    assert_eq!(sandbox.inside("cd /x && find . | sort"), ".\n./keep\n./keep/b\n");
    build("dir\n!dir/keep\n", "COPY d* /y/").ok();
    assert_eq!(sandbox.inside("cd /y && find . | sort"), ".\n./keep\n./keep/b\n");
    // A line that stands for no path leaves out nothing.
    build(".\n/\n..\n../x\n", "COPY . /all/").ok();
    assert_eq!(sandbox.inside("ls /all"), "Dockerfile\ndir\nnode_modules\nother\n");
    // With nothing left, nothing appears.
    build("*\n!nowhere\n!node_modules/y\n", "COPY . /none/").ok();
    assert_eq!(sandbox.inside("ls -A /none | wc -l"), "0\n");
}

#[test]
fn variables_of_stages_and_proxies() {
    let sandbox = Sandbox::with_alpine();
    let text = "FROM alpine AS base\nARG INHERITED=yes\nENV E=env\nCMD [\"of-base\"]\nFROM base\nARG E=arg\nRUN echo $INHERITED $E > /seen; env | grep -i _proxy | sort > /proxies\nENV E=last\nRUN echo $E >> /seen\nENTRYPOINT [\"sh\"]\n";
    sandbox.build(text, &["--build-arg", "HTTP_PROXY=http://p:1", "--build-arg", "no_proxy=x"]);
    assert_eq!(
        sandbox.inside("cat /seen /proxies; echo $E"),
        "yes arg\nlast\nHTTP_PROXY=http://p:1\nNO_PROXY=x\nhttp_proxy=http://p:1\nno_proxy=x\nlast\n"
    );
    let config = sandbox.built();
    // An ENTRYPOINT does away with the CMD of its base, stage or image.
    assert!(config["Config"]["Cmd"].as_array().is_none_or(Vec::is_empty), "{config}");
}

#[test]
fn a_cache_belongs_to_whom_it_is_made_for() {
    let sandbox = Sandbox::with_alpine();
    let text = "FROM alpine\nRUN --mount=type=cache,target=/c touch /c/roots\nUSER 1000\nRUN --mount=type=cache,target=/c,uid=1000,gid=1000,mode=0700 touch /c/mine; ls /c\n";
    let said = sandbox.build(text, &["--progress", "plain"]);
    assert!(said.contains("mine") && !said.contains("s roots\n"), "{said}");
}

#[test]
fn copies_over_what_is_there() {
    let sandbox = Sandbox::with_alpine();
    for name in ["a", "b", "packed/inner"] {
        sandbox.put(name, name);
    }
    sandbox.run_other("tar", &["-C", "context/packed", "-czf", "context/t.tar.gz", "inner"]).ok();
    let text = "FROM alpine AS other\nRUN echo other > /file\nFROM alpine\nRUN mkdir /dir /target && ln -s /target/real /link && ln -s gone/far /target/dangling\n\
        COPY a b /dir\nCOPY a /link\nADD --chown=5:6 t.tar.gz /added/\n\
        COPY --from=other /file <<EOF /mixed/\ninline\nEOF\nCOPY b /target/dangling\nCOPY a packed /merged/\n";
    sandbox.build(text, &[]);
    assert_eq!(
        sandbox.inside("cat /dir/a /dir/b /target/real; readlink /link; stat -c %u:%g /added/inner; cat /mixed/file /mixed/EOF /target/gone/far; ls /merged"),
        "aba/target/real\nOWNER\nother\ninline\nba\ninner\n".replace("OWNER", as_seen("5:6", "0:0"))
    );
    let error = sandbox.try_build("FROM alpine\nCOPY a b /absent\n", &[]).fails(1);
    assert!(error.contains("end with a slash: `/absent/`"), "{error}");
}

#[test]
fn a_run_sees_nothing_of_the_host() {
    let sandbox = Sandbox::with_alpine();
    let text = "FROM alpine\nRUN hostname > /name; cat /etc/hosts > /seen-hosts; echo $HOSTNAME >> /name\n";
    sandbox.build(text, &["--network", "host", "--add-host", "db:192.0.2.7", "--add-host", "up:host-gateway"]);
    assert_eq!(
        sandbox.inside("cat /name /seen-hosts"),
        "buildkitsandbox\nbuildkitsandbox\n127.0.0.1\tlocalhost buildkitsandbox\n::1\tlocalhost ip6-localhost ip6-loopback\n192.0.2.7\tdb\n127.0.0.1\tup\n"
    );
}

#[test]
fn the_last_line_without_an_end() {
    let sandbox = Sandbox::with_alpine();
    for how in ["plain", "tty"] {
        let said = sandbox.build("FROM alpine\nRUN printf 'first\\nlast words'\n", &["--progress", how, "--no-cache"]);
        assert!(how == "tty" || said.contains(" last words\n"), "{said}");
        let failed = sandbox.try_build("FROM alpine\nRUN printf 'the reason'; exit 3\n", &["--progress", how]);
        assert!(failed.fails(1).contains("the reason"), "{how}");
    }
}

#[test]
fn heredocs_of_a_file_with_crlf() {
    let sandbox = Sandbox::with_alpine();
    let text = "FROM alpine\r\nCOPY <<EOF /file\r\none\r\ntwo\r\nEOF\r\nRUN <<EOF\r\n#!/bin/sh\r\necho ran > /ran\r\nEOF\r\nRUN <<EOF\r\necho shell > /shell\r\nEOF\r\n";
    sandbox.build(text, &[]);
    assert_eq!(sandbox.inside("cat /ran /shell; tr '\\r' R < /file"), "ran\nshell\noneR\ntwoR\n");
}

#[test]
fn a_commit_that_is_not_the_one_asked_for() {
    require!(Need::Tool("git"));
    let sandbox = Sandbox::with_alpine();
    sandbox.put("../repository/file", "of the repository\n");
    let commit = sandbox.repository("repository");
    let build = |checksum: &str| {
        let address = format!("{}#main", sandbox.git_address("repository"));
        sandbox.put("Dockerfile", &format!("FROM alpine\nADD --checksum={checksum} {address} /r/\n"));
        sandbox.run_with_git(&["build", "-t", "built", "context"])
    };
    let wrong = "0123456789012345678901234567890123456789";
    let error = build(wrong).fails(1);
    assert!(error.contains(&format!("is at commit {commit}, and --checksum says {wrong}")), "{error}");
    assert!(build("sha256:1").fails(1).contains("invalid --checksum"));
    build(&commit).ok();
    build(&commit[..12]).ok();
    assert_eq!(sandbox.inside("cat /r/file"), "of the repository\n");
}

#[test]
fn a_repository_behind_a_plain_file_server() {
    require!(Need::Tool("git"));
    let sandbox = Sandbox::with_alpine();
    sandbox.put("../repository/file", "served\n");
    sandbox.repository("repository");
    sandbox.run_other("git", &["clone", "-q", "--bare", "repository", "bare.git"]).ok();
    sandbox.run_other("git", &["-C", "bare.git", "update-server-info"]).ok();
    let root = sandbox.file("");
    let server = common::http::WebServer::start(move |request| {
        let path = request.path.split('?').next().unwrap_or_default().trim_start_matches('/').to_owned();
        match fs::read(root.join(path)) {
            Ok(bytes) => common::http::Answer::new(200, bytes),
            Err(_) => common::http::Answer::new(404, ""),
        }
    });
    sandbox.build(&format!("FROM alpine\nADD http://{}/bare.git /r/\n", server.host()), &[]);
    assert_eq!(sandbox.inside("cat /r/file"), "served\n");
}

#[test]
fn a_name_of_few_digits_is_no_id() {
    let sandbox = Sandbox::with_alpine();
    let id = sandbox.ok(&["images", "-q", "--no-trunc", "alpine"]);
    let hex = id.trim().trim_start_matches("sha256:");
    let error = sandbox.try_build(&format!("FROM {}\n", &hex[..3]), &[]).fails(1);
    assert!(error.contains(&format!("cannot get base image `{}`", &hex[..3])), "{error}");
    sandbox.build(&format!("FROM {}\n", &hex[..12]), &[]);
    sandbox.ok(&["tag", "alpine", &hex[..3]]);
    sandbox.build(&format!("FROM {}\n", &hex[..3]), &[]);
}

#[test]
fn a_link_that_is_the_source_leads_nowhere_else() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("file", "of the context");
    symlink("/etc/passwd", sandbox.file("context/out")).unwrap();
    let error = sandbox.try_build("FROM alpine\nCOPY out /x\n", &[]).fails(1);
    assert!(error.contains("`out` is not in the build context"), "{error}");
}

#[test]
fn a_heredoc_beside_a_command_is_its_input() {
    let sandbox = Sandbox::with_alpine();
    let text = "FROM alpine\nRUN <<EOF cat >/a\nno command\nEOF\nRUN <<\"EOF\" sh >/b\necho $((1 + 1))\nEOF\nRUN <<-EOF\n\techo script >/c\nEOF\n";
    sandbox.build(text, &["--network", "none"]);
    assert_eq!(sandbox.inside("cat /a /b /c"), "no command\n2\nscript\n");
}

#[test]
fn what_is_empty_changes_nothing() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("file", "x");
    let text = "FROM alpine\nUSER 5\nUSER $UNSET\nWORKDIR /there\nWORKDIR $UNSET\nCOPY file .\nRUN pwd >/where; id -u >>/where\nENV A=a$$b\n";
    sandbox.build(text, &["--network", "none"]);
    assert_eq!(sandbox.inside("cat /where /there/file"), "/there\n0\nx");
    let config = &sandbox.built()["Config"];
    assert_eq!((config["User"].as_str(), config["WorkingDir"].as_str()), (Some(""), Some("/there")));
    assert!(config["Env"].as_array().unwrap().iter().any(|entry| entry == "A=ab"), "{config}");
    assert!(sandbox.try_build("FROM alpine\nVOLUME []\n", &[]).stderr.contains("a volume needs a path"));
}

#[test]
fn directories_on_the_way_get_the_mode_of_what_is_copied() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("file", "x");
    sandbox.put("dir/file", "x");
    sandbox.run_other("tar", &["-C", "context", "-cf", "context/archive.tar", "file"]).ok();
    let text = "FROM alpine\nRUN mkdir -m 711 /old\nCOPY --chmod=700 dir /a/b/\nCOPY --chmod=1770 file /c/\n\
        COPY --chmod=711 file /old/new/\nCOPY --chmod=u=rwx,go= file /d/\nADD --chmod=700 archive.tar /e/\n\
        COPY --link --chmod=750 file /f/\n";
    sandbox.build(text, &["--network", "none"]);
    let said = sandbox.inside("stat -c '%a %n' /a /a/b /c /c/file /old /old/new /d /e /f");
    let expected = "700 /a\n700 /a/b\n750 /c\n1770 /c/file\n711 /old\n711 /old/new\n755 /d\n755 /e\n750 /f\n";
    assert_eq!(said, expected);
}
