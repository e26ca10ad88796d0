//! What a container starts with, in the form of an image's config: its image's settings, overridden by its own.

use crate::container::request::{Request, Source};
use crate::image::Image;
use serde_json::{Value, json};

/// Returns the image's settings, overridden by those of the container.
pub(crate) fn settings(base: &Image, request: &Request) -> Value {
    let mut settings = base.raw_config().get("config").cloned().unwrap_or_else(|| json!({}));
    if let Some(entrypoint) = &request.entrypoint {
        settings["Entrypoint"] = if entrypoint.is_empty() { Value::Null } else { json!([entrypoint]) };
        settings["Cmd"] = json!(request.command);
    } else if !request.command.is_empty() {
        settings["Cmd"] = json!(request.command);
    }
    let mut env: Vec<String> = serde_json::from_value(settings["Env"].take()).unwrap_or_default();
    for entry in &request.env {
        let name = entry.split('=').next();
        env.retain(|e| e.split('=').next() != name);
        env.push(entry.clone());
    }
    if env.is_empty() {
        settings.as_object_mut().map(|all| all.remove("Env"));
    } else {
        settings["Env"] = json!(env);
    }
    if let Some(directory) = &request.workdir {
        settings["WorkingDir"] = json!(directory);
    }
    if let Some(user) = &request.user {
        settings["User"] = json!(user);
    }
    if let Some(signal) = request.stop_signal {
        settings["StopSignal"] = json!(signal);
    }
    for port in request.ports.iter().chain(&request.exposed) {
        settings["ExposedPorts"][format!("{}/{}", port.container_port, port.protocol)] = json!({});
    }
    for (name, value) in &request.labels {
        settings["Labels"][name] = json!(value);
    }
    for volume in request.volumes.iter().filter(|v| v.source == Source::Anonymous) {
        settings["Volumes"][&volume.target] = json!({});
    }
    settings
}
