//! `build --call`: what a Dockerfile says of itself, without a build.

use crate::common::Sandbox;
use serde_json::{Value, json};

const TEXT: &str = "# BASE is the image below\nARG BASE=alpine\nARG UNUSED=1\n\nFROM $BASE AS tools\nRUN --mount=type=ssh --mount=type=cache,target=/c,id=kept true\n\n# not for anybody\nFROM scratch AS other\nARG OTHER\nRUN --mount=type=secret,id=elsewhere true\n\n# app serves the page\nFROM tools AS app\n# VERSION of the page\nARG VERSION=1.${PATCH:-0}\nARG EMPTY\nRUN --mount=type=secret,id=token,required=true --mount=type=secret,id=maybe true\nCOPY nowhere /\n";

#[test]
fn targets_are_listed_with_what_is_said_of_them() {
    let sandbox = Sandbox::new();
    sandbox.put("Dockerfile", TEXT);
    let said = sandbox.ok(&["build", "--call=targets", "context"]);
    assert_eq!(said, "TARGET          DESCRIPTION\ntools\nother\napp (default)   serves the page\n");
    let said: Value =
        serde_json::from_str(&sandbox.ok(&["build", "--call", "targets,format=json", "context"])).unwrap();
    let last = json!({
        "name": "app", "default": true, "description": "serves the page", "base": "tools",
        "location": { "ranges": [{ "start": { "line": 14 }, "end": { "line": 14 } }] },
    });
    assert_eq!((said["targets"].as_array().unwrap().len(), &said["targets"][2]), (3, &last));
    assert_eq!(said["targets"][0]["base"], "$BASE");
    sandbox.put("Dockerfile", "FROM a\nFROM b\n");
    assert_eq!(sandbox.ok(&["build", "--call=targets", "context"]), "TARGET      DESCRIPTION\n0\n(default)\n");
}

#[test]
fn an_outline_tells_what_a_target_asks_for() {
    let sandbox = Sandbox::new();
    sandbox.put("Dockerfile", TEXT);
    let said = sandbox.ok(&["build", "--call=outline", "--build-arg", "EMPTY=given", "context"]);
    let expected = "\
TARGET:        app
DESCRIPTION:   serves the page

BUILD ARG   VALUE    DESCRIPTION
BASE        alpine   is the image below
VERSION     1.0      of the page
EMPTY       given

SECRET   REQUIRED
token    true
maybe

SSH       REQUIRED
default
";
    assert_eq!(said, expected);
    let said = sandbox.ok(&["build", "--call=outline,format=json", "--target", "other", "context"]);
    let said: Value = serde_json::from_str(&said).unwrap();
    let lines = |line: u32| json!({ "ranges": [{ "start": { "line": line }, "end": { "line": line } }] });
    assert_eq!(
        said,
        json!({
            "name": "other",
            "args": [{ "name": "OTHER", "location": lines(10) }],
            "secrets": [{ "name": "elsewhere", "location": lines(11) }],
        })
    );
    // Nobody was asked for an image, and nothing was made.
    assert_eq!(sandbox.ok(&["images", "-aq"]), "");
}

#[test]
fn checks_for_a_program_and_calls_that_there_are_not() {
    let sandbox = Sandbox::new();
    sandbox.put("Dockerfile", "FROM scratch as a\n");
    let output = sandbox.run(&["build", "--call=check,format=json", "context"]);
    assert_eq!(output.code, 1, "{}", output.streams());
    let said: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(said["warnings"][0]["ruleName"], "FromAsCasing");
    assert_eq!(said["warnings"][0]["location"]["ranges"][0]["start"]["line"], 1);
    for wrong in ["sketch", "outline,format=yaml"] {
        let output = sandbox.run(&["build", "--call", wrong, "context"]);
        assert!(output.code != 0 && output.stderr.contains("methods: build, check, outline, targets"), "{wrong}");
    }
}
