//! `--progress=rawjson`: each event of a build as a line of JSON, in BuildKit's format.

use crate::builder::read::parse::Warning;
use crate::builder::{Done, StepName};
use crate::image::name::digest::Digest;
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::{Value, json};

/// BuildKit's number for standard output.
const STDOUT: u8 = 1;

/// Returns a step with its digest and name, as its events have them.
fn vertex(step: &StepName, head: &str) -> Value {
    json!({ "digest": digest(step), "name": format!("{head} {}", step.text) })
}

fn digest(step: &StepName) -> Digest {
    Digest::of(format!("{}{} {} {}", step.prefix(), step.stage, step.number, step.text).as_bytes())
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

pub(super) fn begins(step: &StepName, head: &str) -> Value {
    let mut vertex = vertex(step, head);
    vertex["started"] = json!(now());
    json!({ "vertexes": [vertex] })
}

pub(super) fn output(step: &StepName, bytes: &[u8]) -> Value {
    let data = BASE64_STANDARD.encode(bytes);
    json!({ "logs": [{ "vertex": digest(step), "stream": STDOUT, "data": data, "timestamp": now() }] })
}

pub(super) fn done(step: &StepName, head: &str, done: &Done) -> Value {
    let completed = jiff::Timestamp::now();
    let took = match done {
        Done::Ran { took, .. } => *took,
        _ => std::time::Duration::ZERO,
    };
    let mut vertex = vertex(step, head);
    vertex["started"] = json!((completed - took).to_string());
    vertex["completed"] = json!(completed.to_string());
    if matches!(done, Done::Cached { .. }) {
        vertex["cached"] = json!(true);
    }
    json!({ "vertexes": [vertex] })
}

pub(super) fn failed(step: &StepName, head: &str) -> Value {
    let mut vertex = vertex(step, head);
    vertex["completed"] = json!(now());
    vertex["error"] = json!("the step failed");
    json!({ "vertexes": [vertex] })
}

pub(super) fn warning(warning: &Warning) -> Value {
    let short = BASE64_STANDARD.encode(format!("{}: {}", warning.rule, warning.message));
    let place = json!({ "line": warning.line });
    json!({ "warnings": [{ "level": 1, "short": short, "range": [{ "start": place, "end": place }] }] })
}
