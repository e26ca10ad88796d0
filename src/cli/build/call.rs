//! `build --call`: the targets, arguments and secrets of a Dockerfile, without a build.

use crate::builder::read::outline;
use crate::builder::read::outline::{Need, Outline, Target};
use crate::builder::read::parse::Warning;
use crate::builder::read::stage::Plan;
use crate::cli::human;
use crate::diag::Diagnose;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::str::FromStr;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Build,
    Check,
    Outline,
    Targets,
}

/// `METHOD[,format=text|json]`
#[derive(Clone, Copy)]
pub(super) struct Call {
    pub method: Method,
    pub is_json: bool,
}

#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}; methods: build, check, outline, targets; each with or without ,format=json")]
pub(super) struct InvalidCall(String);

impl Diagnose for InvalidCall {}

impl FromStr for Call {
    type Err = InvalidCall;

    fn from_str(text: &str) -> Result<Self, InvalidCall> {
        let mut fields = text.split(',');
        let method = match fields.next().unwrap_or_default() {
            "build" => Method::Build,
            "check" | "lint" => Method::Check,
            "outline" => Method::Outline,
            "targets" => Method::Targets,
            other => return Err(InvalidCall(format!("no such method {other:?}"))),
        };
        let mut call = Self { method, is_json: false };
        for field in fields {
            call.is_json = match field {
                "format=json" => true,
                "format=text" => false,
                other => return Err(InvalidCall(format!("no such setting {other:?}"))),
            };
        }
        Ok(call)
    }
}

fn location((first, last): (usize, usize)) -> Value {
    json!({ "ranges": [{ "start": { "line": first }, "end": { "line": last } }] })
}

/// Returns an object without its empty fields, as BuildKit prints it.
fn object(fields: Vec<(&str, Value)>) -> Value {
    let is_there = |(_, value): &(&str, Value)| !matches!(value, Value::Null | Value::Bool(false));
    Value::Object(fields.into_iter().filter(is_there).map(|(name, value)| (name.into(), value)).collect::<Map<_, _>>())
}

fn print(value: &Value) {
    println!("{}", serde_json::to_string_pretty(value).unwrap_or_default());
}

pub(super) fn targets(plan: &Plan, is_json: bool) {
    let all = outline::targets(plan);
    if is_json {
        let one = |target: &Target| {
            object(vec![
                ("name", json!(target.name)),
                ("default", json!(target.is_default)),
                ("description", json!(target.description)),
                ("base", json!(target.base)),
                ("platform", json!(target.platform)),
                ("location", location(target.lines)),
            ])
        };
        return print(&json!({ "targets": all.iter().map(one).collect::<Value>() }));
    }
    let row = |(number, target): (usize, &Target)| {
        let name = match (&target.name, target.is_default) {
            (Some(name), true) => format!("{name} (default)"),
            (Some(name), false) => name.clone(),
            (None, true) => "(default)".into(),
            // Its number is a value of --target.
            (None, false) => number.to_string(),
        };
        vec![name, target.description.clone().unwrap_or_default()]
    };
    let rows: Vec<Vec<String>> = all.iter().enumerate().map(row).collect();
    print!("{}", human::fitted_table(&["TARGET", "DESCRIPTION"], &rows));
}

pub(super) fn outline(plan: &Plan, build_args: &BTreeMap<String, String>, is_json: bool) {
    let outline = outline::outline(plan, build_args);
    if is_json {
        return print(&outline_json(&outline));
    }
    let mut parts = Vec::new();
    if outline.name.is_some() || outline.description.is_some() {
        let name = outline.name.clone().unwrap_or_else(|| "(default)".into());
        let rows: Vec<_> = outline.description.iter().map(|text| vec!["DESCRIPTION:".into(), text.clone()]).collect();
        parts.push(human::fitted_table(&["TARGET:", &name], &rows));
    }
    if !outline.arguments.is_empty() {
        let arguments = outline.arguments.iter();
        let or_nothing = |text: &Option<String>| text.clone().unwrap_or_default();
        let row = arguments.map(|one| vec![one.name.clone(), or_nothing(&one.value), or_nothing(&one.description)]);
        parts.push(human::fitted_table(&["BUILD ARG", "VALUE", "DESCRIPTION"], &row.collect::<Vec<_>>()));
    }
    for (title, needs) in [("SECRET", &outline.secrets), ("SSH", &outline.agents)] {
        if !needs.is_empty() {
            let required = |need: &Need| if need.is_required { "true".to_owned() } else { String::new() };
            let rows: Vec<_> = needs.iter().map(|need| vec![need.name.clone(), required(need)]).collect();
            parts.push(human::fitted_table(&[title, "REQUIRED"], &rows));
        }
    }
    print!("{}", parts.join("\n"));
}

fn outline_json(outline: &Outline) -> Value {
    let argument = |one: &outline::Argument| {
        object(vec![
            ("name", json!(one.name)),
            ("description", json!(one.description)),
            ("value", json!(one.value)),
            ("location", location(one.lines)),
        ])
    };
    let need = |one: &Need| {
        object(vec![("name", json!(one.name)), ("required", json!(one.is_required)), ("location", location(one.lines))])
    };
    let list = |all: Vec<Value>| if all.is_empty() { Value::Null } else { json!(all) };
    object(vec![
        ("name", json!(outline.name)),
        ("description", json!(outline.description)),
        ("args", list(outline.arguments.iter().map(argument).collect())),
        ("secrets", list(outline.secrets.iter().map(need).collect())),
        ("ssh", list(outline.agents.iter().map(need).collect())),
        ("cache", list(outline.caches.iter().map(|id| json!({ "ID": id })).collect())),
    ])
}

/// Prints the warnings of `--call=check,format=json`.
pub(super) fn warnings(all: &[Warning]) {
    let one = |warning: &Warning| json!({ "ruleName": warning.rule, "detail": warning.message, "location": location((warning.line, warning.line)) });
    print(&json!({ "warnings": all.iter().map(one).collect::<Value>() }));
}
