//! `diff` and `commit`: a container's changes, and an image made from them.

use super::{Context, inside};
use crate::builder;
use crate::container::live::pause::Paused;
use crate::container::request::{HealthCheck, Request, Source};
use crate::container::rootfs::layering::Layering;
use crate::container::stored::record::Container;
use crate::diag::{Failure, printable};
use crate::image;
use crate::image::commit;
use crate::image::name::reference::Reference;
use clap::Args;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct CommitArgs {
    /// Set the author
    #[arg(short, long)]
    author: Option<String>,
    /// Set the message in the image's history
    #[arg(short, long)]
    message: Option<String>,
    /// Apply a Dockerfile instruction, such as 'CMD ["/bin/sh"]'
    #[arg(short, long, value_name = "INSTRUCTION")]
    change: Vec<String>,
    /// Pause the container during the commit
    #[arg(short, long, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pause: bool,
    /// Do not pause the container
    #[arg(long, conflicts_with = "pause")]
    no_pause: bool,
    container: String,
    /// The new image's name
    #[arg(value_name = "NAME[:TAG]")]
    image: Option<String>,
}

pub(super) fn commit(arguments: CommitArgs, context: &Context) -> Result<u8, Failure> {
    inside::enter(&context.store)?;
    let store = &context.store;
    let container = Container::find(store, &arguments.container)?;
    with_overlay(&container, context)?;
    let name = arguments.image.as_deref().map(str::parse::<Reference>).transpose()?.map(Reference::or_latest);
    let base = image::find(store, &container.record.image_id.to_string())?;
    let options = commit::Options {
        author: arguments.author,
        message: arguments.message,
        changes: builder::read::change::changes(&arguments.change)?,
        name,
        leave_out: container.mount_targets()?,
        settings: Some(settings(&base, &container.record.request)),
        created_by: container.spec()?.process().as_ref().and_then(|p| p.args().clone()).map(|argv| argv.join(" ")),
    };
    let paused = if arguments.pause && !arguments.no_pause { Paused::new(&container)? } else { None };
    let id = commit::commit(store, &base, &container.directory.join("upper"), options)?;
    drop(paused);
    let event = container.record.event("commit").with("imageID", id);
    let named = arguments.image.iter().fold(event, |event, name| event.with("imageRef", name));
    crate::journal::note(store, &[named]);
    println!("{id}");
    for volume in &container.record.volumes {
        eprintln!("note: volume {} is not part of the image", volume.target);
    }
    Ok(0)
}

#[derive(Debug, thiserror::Error)]
#[error("cannot compare container {0} with its image: this host copies images instead of using an overlay")]
struct NoOverlay(String);

impl crate::diag::Diagnose for NoOverlay {
    fn hint(&self) -> Option<String> {
        Some("see what an overlay needs on this host: minirun doctor".into())
    }
}

fn with_overlay(container: &Container, context: &Context) -> Result<(), NoOverlay> {
    match Layering::of_container(&context.store, &container.directory) {
        Layering::Copy => Err(NoOverlay(container.record.name.clone())),
        Layering::Kernel | Layering::Fuse => Ok(()),
    }
}

/// Returns the image's settings, overridden by those of the container.
fn settings(base: &image::Image, request: &Request) -> Value {
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
    if request.health != HealthCheck::default() {
        settings["Healthcheck"] = json!(request.health);
    }
    for port in &request.ports {
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

pub(super) fn diff(name: &str, context: &Context) -> Result<u8, Failure> {
    inside::enter(&context.store)?;
    let container = Container::find(&context.store, name)?;
    with_overlay(&container, context)?;
    let lowers: Vec<PathBuf> = container.record.layers.iter().map(|layer| context.store.path(layer)).collect();
    let changes =
        image::overlay::diff::changes(&container.directory.join("upper"), &lowers, &container.mount_targets()?)?;
    for change in changes {
        println!("{} {}", change.kind, printable(&change.path.to_string_lossy()));
    }
    Ok(0)
}
