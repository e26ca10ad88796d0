//! Image configs: makes them for new images, and changes them as the instructions of a Dockerfile do.
//!
//! Configs are kept as JSON values: a typed model would lose the fields that it does not know.

use super::name::digest::Digest;
use serde_json::{Map, Value, json};

/// A change of the settings that containers of an image start with.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The command; `None` unsets it.
    Cmd(Option<Vec<String>>),
    /// The entry point. The image's CMD, which was meant for the one before, goes with that unless `keeps_cmd`.
    Entrypoint {
        argv: Option<Vec<String>>,
        keeps_cmd: bool,
    },
    Env(Vec<(String, String)>),
    Label(Vec<(String, String)>),
    /// Ports with their protocols: `80/tcp`.
    Expose(Vec<String>),
    Volume(Vec<String>),
    User(String),
    /// A path, relative to the working directory before.
    Workdir(String),
    OnBuild(String),
    StopSignal(String),
    /// A health check as Docker writes it in configs.
    Healthcheck(Value),
    Shell(Vec<String>),
    Author(String),
}

/// Returns the time, or `SOURCE_DATE_EPOCH`, with which builds give the same image each time.
pub(crate) fn now() -> String {
    let fixed = std::env::var("SOURCE_DATE_EPOCH").ok().and_then(|v| v.parse().ok());
    let time = fixed.and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    time.unwrap_or_else(jiff::Timestamp::now).to_string()
}

/// Makes the config of an image without layers.
pub(crate) fn new() -> Value {
    json!({
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [] },
        "history": [],
    })
}

/// Adds a step to the history, and its layer unless it changed no file.
pub(crate) fn add_history(config: &mut Value, mut step: Value, diff_id: Option<Digest>) {
    match diff_id {
        Some(diff_id) => list(&mut config["rootfs"]["diff_ids"]).push(json!(diff_id)),
        None => step["empty_layer"] = json!(true),
    }
    list(&mut config["history"]).push(step);
}

/// Applies changes to the `config` part of an image config.
pub(crate) fn apply(config: &mut Value, changes: &[Change]) {
    if !config["config"].is_object() {
        config["config"] = json!({});
    }
    for change in changes {
        if let Change::Author(author) = change {
            config["author"] = json!(author);
        } else if let Some(settings) = config["config"].as_object_mut() {
            apply_one(settings, change);
        }
    }
}

fn apply_one(settings: &mut Map<String, Value>, change: &Change) {
    match change {
        Change::Cmd(argv) => set(settings, "Cmd", json!(argv)),
        Change::Entrypoint { argv, keeps_cmd } => {
            set(settings, "Entrypoint", json!(argv));
            if !keeps_cmd {
                settings.remove("Cmd");
            }
        }
        Change::Env(pairs) => {
            for (name, value) in pairs {
                let list = array(settings, "Env");
                let entry = json!(format!("{name}={value}"));
                // It takes the place of the value before, as with Docker.
                match list.iter_mut().find(|old| old.as_str().and_then(|o| o.split('=').next()) == Some(name)) {
                    Some(old) => *old = entry,
                    None => list.push(entry),
                }
            }
        }
        Change::Label(pairs) => {
            for (name, value) in pairs {
                object(settings, "Labels").insert(name.clone(), json!(value));
            }
        }
        Change::Expose(ports) => ports.iter().for_each(|port| insert(settings, "ExposedPorts", port)),
        Change::Volume(paths) => paths.iter().for_each(|path| insert(settings, "Volumes", path)),
        Change::User(user) => set(settings, "User", json!(user)),
        Change::Workdir(path) => {
            let path = working_directory(settings.get("WorkingDir").and_then(Value::as_str), path);
            set(settings, "WorkingDir", json!(path));
        }
        Change::OnBuild(trigger) => array(settings, "OnBuild").push(json!(trigger)),
        Change::StopSignal(signal) => set(settings, "StopSignal", json!(signal)),
        Change::Healthcheck(check) => set(settings, "Healthcheck", check.clone()),
        Change::Shell(argv) => set(settings, "Shell", json!(argv)),
        Change::Author(_) => {}
    }
}

/// Resolves a path from the working directory of an image.
pub(crate) fn working_directory(before: Option<&str>, path: &str) -> String {
    clean(&std::path::Path::new(before.filter(|dir| !dir.is_empty()).unwrap_or("/")).join(path))
}

fn insert(settings: &mut Map<String, Value>, key: &str, name: &str) {
    object(settings, key).insert(name.to_owned(), json!({}));
}

fn set(settings: &mut Map<String, Value>, key: &str, value: Value) {
    settings.insert(key.to_owned(), value);
}

fn array<'a>(settings: &'a mut Map<String, Value>, key: &str) -> &'a mut Vec<Value> {
    list(settings.entry(key).or_insert(Value::Null))
}

fn list(value: &mut Value) -> &mut Vec<Value> {
    if !value.is_array() {
        *value = json!([]);
    }
    match value {
        Value::Array(list) => list,
        _ => unreachable!("made an array just now"),
    }
}

fn object<'a>(settings: &'a mut Map<String, Value>, key: &str) -> &'a mut Map<String, Value> {
    let value = settings.entry(key).or_insert(Value::Null);
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(map) => map,
        _ => unreachable!("made an object just now"),
    }
}

/// Resolves `.`, `..` and doubled slashes.
fn clean(path: &std::path::Path) -> String {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            std::path::Component::Normal(part) => parts.push(part.to_string_lossy()),
            std::path::Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    format!("/{}", parts.join("/"))
}
