//! `build` reads a Dockerfile: what is wrong with it is told before anything runs, within bounds, and so is what could be
//! better.

use crate::common::{self, Need, Sandbox, User, require};
use std::os::unix::fs::PermissionsExt;

/// Each mistake comes after a RUN that takes its time, and is told without it.
#[test]
fn mistakes_are_told_before_the_first_step() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("file", "x");
    for (wrong, reason) in [
        ("RUN --mount=type=catch,target=/x true", "invalid type `catch`"),
        ("RUN --mount=type=cache,target=/x,sharing=often true", "unknown option `sharing`"),
        ("RUN --mount=target=/x,frm=y true", "unknown option `frm`"),
        ("RUN --network=bridge true", "invalid network `bridge`"),
        ("EXPOSE http", "invalid port `http`"),
        ("ARG P=99999\nEXPOSE $P", "invalid port `99999`"),
        ("COPY --chmod=9z file /", "invalid mode `9z`"),
        ("ARG M=rwx\nCOPY --chmod=$M file /", "invalid mode `rwx`"),
        ("STOPSIGNAL SIGFOO", "no such signal: SIGFOO"),
        ("ENV A=\"${B:?is wanted}\"", "B: is wanted"),
        ("COPY --from=7 /x /", "no such stage: 7"),
        ("COPY --from=last /x /", "a stage cannot copy from itself"),
        ("COPY --from=$X /x /", "no variable is replaced here"),
        ("RUN --mount=from=$X,target=/x true", "no variable is replaced here"),
        ("COPY <<EOF /x\n${NOT:?set}\nEOF", "NOT: set"),
        ("VOLUME $EMPTY", "invalid path for a volume"),
        (
            "FROM alpine AS later\nCOPY --from=early /x /\nFROM later AS early\nCOPY --from=later / /",
            "waits for this one",
        ),
    ] {
        let text = format!("FROM alpine AS last\nRUN touch /first; sleep 30\n{wrong}\n");
        let output = sandbox.try_build(&text, &[]);
        assert!(output.code == 1 && output.stderr.contains(reason), "{wrong}: {}", output.streams());
        assert!(!output.stderr.contains("touch /first; sleep 30  "), "{wrong}: {}", output.stderr);
    }
    for wrong in [
        "HEALTHCHECK NONE now",
        "HEALTHCHECK --interval=5 CMD x",
        "HEALTHCHECK --interval=10us CMD x",
        "HEALTHCHECK --interval=-5s CMD x",
        "HEALTHCHECK --retries=-1 CMD x",
        "HEALTHCHECK CMD []",
        "HEALTHCHECK --every=5s CMD x",
    ] {
        sandbox.try_build(&format!("FROM alpine\n{wrong}\n"), &[]).fails(1);
    }
    sandbox.build("FROM alpine\nHEALTHCHECK --interval=0 --start-period=+1s --retries=0 CMD true\nSTOPSIGNAL rtmin+3\nEXPOSE 127.0.0.1:80:8080/TCP\n", &[]);
    assert_eq!(sandbox.built()["Config"]["ExposedPorts"], serde_json::json!({ "8080/tcp": {} }));
}

#[test]
fn settings_of_the_command_line_that_are_none() {
    let sandbox = Sandbox::with_alpine();
    let text = "FROM alpine\n";
    for (wrong, reason) in
        [(["-o", "type=local,dest=x,tar=1"], "--output"), (["--platform", "linux/a b"], "not a platform")]
    {
        let output = sandbox.try_build(text, &wrong);
        assert!(output.code != 0 && output.stderr.contains(reason), "{wrong:?}: {}", output.streams());
    }
}

/// What grows without bound is refused, what is long is read in linear time: seconds of the processor are counted, however
/// busy that is.
#[test]
fn bombs() {
    let sandbox = Sandbox::with_alpine();
    let limited = format!("ulimit -t 15; exec {} build --progress quiet -t built context", Sandbox::binary());
    let build = |text: &str| {
        sandbox.put("Dockerfile", text);
        sandbox.run_other("sh", &["-c", &limited])
    };
    let nested = format!("ENV A={}x{}", "${X:-".repeat(20_000), "}".repeat(20_000));
    let doubled = format!("ARG A=0123456789\n{}", "ARG A=$A$A\n".repeat(40));
    let pairs: String = (0..10_000).map(|n| format!(" a{n}=$A")).collect();
    let wide = format!("ARG A={}\nLABEL{pairs}", "a".repeat(500_000));
    let ports = "EXPOSE 1-65535\n".repeat(200);
    let pattern = format!("ARG A={}\nENV B=${{A//a*b/x}}", "a".repeat(200_000));
    for (text, reason) in [
        (nested.as_str(), "more than 100 deep"),
        (&doubled, "more than 1024 KiB"),
        (&wide, "more than 1024 KiB"),
        (&ports, "longer than the config of an image can be"),
        (&pattern, "takes too long"),
    ] {
        let output = build(&format!("FROM alpine\n{text}\n"));
        let said: String = output.stderr.chars().take(500).collect();
        assert!(output.code == 1 && output.stderr.contains(reason), "{reason}: {} {said}", output.code);
    }
    let before = sandbox.try_build(&format!("{doubled}FROM alpine\n"), &[]).fails(1);
    assert!(before.contains("more than 1024 KiB"), "{before}");
    let many = |line: &dyn Fn(usize) -> String| (0..20_000).map(line).collect::<String>();
    for text in [
        many(&|n| format!("LABEL a{n}=b\n")),
        many(&|n| format!("ENV a{n}=$a{n}\n")),
        many(&|n| format!("ARG a{n}=b\n")),
        many(&|n| format!("FROM alpine AS s{n}\n")),
    ] {
        let output = build(&format!("# check=skip=all\nFROM alpine\n{text}"));
        assert!(output.code == 0, "{}: {}", text.lines().next().unwrap_or_default(), output.code);
    }
}

#[test]
fn an_ignore_file_of_many_lines_takes_no_more_room_than_its_text() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put(".dockerignore", &(0..400_000).map(|n| format!("pattern-{n}/*.txt\n")).collect::<String>());
    sandbox.put("pattern-7/left-out.txt", "x");
    sandbox.put("kept", "x");
    sandbox.put("Dockerfile", "FROM alpine\nCOPY kept pattern-7 /all/\n");
    // In kilobytes: some 20 MB are the program's own.
    let limited = format!("ulimit -v 400000; exec {} build -t built context", Sandbox::binary());
    sandbox.run_other("sh", &["-c", &limited]).ok();
    assert_eq!(sandbox.inside("ls /all"), "kept\n");
    sandbox.put(".dockerignore", &"x".repeat(17 << 20));
    let error = sandbox.try_build("FROM alpine\n", &[]).fails(1);
    assert!(error.contains("is larger than 16 MiB"), "{error}");
}

#[test]
fn all_of_dockers_checks() {
    let sandbox = Sandbox::with_alpine();
    let rules = |text: &str| {
        sandbox.put("Dockerfile", text);
        sandbox.put(".dockerignore", "secret\n");
        let said = sandbox.run(&["build", "--check", "context"]);
        let rule = |line: &str| Some(line.strip_prefix("warning: ")?.split(':').next()?.to_owned());
        said.stderr.lines().filter_map(rule).collect::<Vec<String>>()
    };
    let all = [
        ("ConsistentInstructionCasing", "FROM alpine\nRUN true\nWorkdir /x\n"),
        ("CopyIgnoredFile", "FROM alpine\nCOPY secret /\n"),
        ("DuplicateStageName", "FROM alpine AS a\nFROM alpine AS a\n"),
        ("ExposeInvalidFormat", "FROM alpine\nEXPOSE 127.0.0.1:80:80\n"),
        ("ExposeProtoCasing", "FROM alpine\nEXPOSE 80/TcP\n"),
        ("FromAsCasing", "FROM alpine as a\n"),
        ("FromPlatformFlagConstDisallowed", "FROM --platform=linux/amd64 scratch\n"),
        ("InvalidDefaultArgInFrom", "ARG TAG\nFROM alpine:$TAG\n"),
        ("InvalidDefinitionDescription", "# check=experimental=all\n\n# a word\nFROM alpine AS web\n"),
        ("JSONArgsRecommended", "FROM alpine\nCMD sh\n"),
        ("LegacyKeyValueFormat", "FROM alpine\nENV A b\n"),
        ("MaintainerDeprecated", "FROM alpine\nMAINTAINER me\n"),
        ("MultipleInstructionsDisallowed", "FROM alpine\nCMD [\"a\"]\nCMD [\"b\"]\n"),
        ("NoEmptyContinuation", "FROM alpine\nRUN true \\\n\n && true\n"),
        ("RedundantTargetPlatform", "FROM --platform=$TARGETPLATFORM alpine\n"),
        ("ReservedStageName", "FROM alpine AS scratch\n"),
        ("SecretsUsedInArgOrEnv", "FROM alpine\nARG AWS_TOKEN\n"),
        ("StageNameCasing", "FROM alpine AS Web\n"),
        ("UndefinedArgInFrom", "FROM alpine:${VERSON:-latest}\n"),
        ("UndefinedVar", "FROM alpine\nENV A=$NOWHERE\n"),
        ("WorkdirRelativePath", "FROM alpine\nWORKDIR x\n"),
    ];
    for (rule, text) in all {
        let found = rules(text);
        // A tag that nobody gives is told twice, as Docker tells it.
        assert!(found.iter().all(|one| one == rule) && !found.is_empty(), "{rule}: {found:?}");
        let with_error = format!("# check=error=true\n{}", text.trim_start_matches("# check=experimental=all\n"));
        if !text.starts_with("# check") {
            let output = sandbox.try_build(&with_error, &[]);
            assert!(output.code == 1, "{rule}: {}", output.streams());
        }
        assert_eq!(
            rules(&format!("# check=skip={rule}\n{}", text.trim_start_matches("# check=experimental=all\n"))),
            [""; 0],
            "{rule}"
        );
    }
    for right in [
        "from alpine as a\nrun true\n",
        "ARG TAG=latest\nFROM alpine:$TAG\n",
        "FROM --platform=linux/amd64 scratch AS build-amd64\n",
        "ARG P=linux/amd64\nFROM --platform=$P scratch\n",
        "FROM alpine\nSHELL [\"/bin/sh\", \"-c\"]\nCMD echo hi\n",
        "# web serves\nFROM alpine AS web\n",
        "# any words\nFROM alpine AS web\n",
        "FROM --platform=$BUILDPLATFORM alpine\n",
        "FROM alpine\nHEALTHCHECK NONE\nEXPOSE 80/udp 8000-8010\n",
    ] {
        assert_eq!(rules(right), [""; 0], "{right}");
    }
    // Docker's own way to say it from outside.
    let output = sandbox.try_build("FROM alpine\nCMD sh\n", &["--build-arg", "BUILDKIT_DOCKERFILE_CHECK=error=true"]);
    assert!(output.fails(1).contains("warnings errors"));
}

#[test]
fn a_base_image_of_another_platform() {
    let sandbox = Sandbox::with_alpine();
    sandbox.put("f", "x");
    sandbox.build("FROM scratch\nCOPY f /\n", &["--platform", "linux/s390x", "-t", "foreign"]);
    sandbox.put("Dockerfile", "FROM foreign\n");
    let said = sandbox.run(&["build", "--check", "context"]).stderr;
    assert!(
        said.contains("InvalidBaseImagePlatform: base image foreign is for linux/s390x, and this build for"),
        "{said}"
    );
}

#[test]
fn without_a_network_it_says_so() {
    // Another user's new network namespace would come with a user namespace.
    require!(Need::As(User::Root), Need::Tool("unshare"));
    let sandbox = Sandbox::with_alpine();
    let build = |text: &str| {
        sandbox.put("Dockerfile", text);
        sandbox.run_other("unshare", &["--net", &Sandbox::binary(), "build", "context"]).fails(1)
    };
    let error = build("FROM nginx:alpine\n");
    assert!(error.contains("cannot get base image `nginx:alpine`"), "{error}");
    assert!(error.contains("no network (no default route)") && error.contains("minirun load -i FILE"), "{error}");
    let error = build("FROM alpine\nRUN wget -q http://192.0.2.1/\n");
    assert!(error.contains("no network (no default route)"), "{error}");
}

#[test]
fn a_file_that_may_not_be_read_is_named() {
    if common::user() == User::Root {
        return;
    }
    let sandbox = Sandbox::with_alpine();
    for name in ["alone", "dir/inner"] {
        sandbox.put(name, "x");
        std::fs::set_permissions(sandbox.file("context").join(name), PermissionsExt::from_mode(0o000)).unwrap();
    }
    for (source, path) in [("alone", "alone"), ("dir", "dir/inner")] {
        let error = sandbox.try_build(&format!("FROM alpine\nCOPY {source} /x/\n"), &[]).fails(1);
        assert!(error.contains(&format!("open {path}: permission denied")), "{error}");
    }
}
