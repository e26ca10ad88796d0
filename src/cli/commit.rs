//! `diff` and `commit`: a container's changes, and an image made from them.

use super::{Context, human, inside};
use crate::builder;
use crate::container::decide::settings::settings;
use crate::container::live::pause::Paused;
use crate::container::rootfs::layering::Layering;
use crate::container::stored::record::Container;
use crate::diag::{Failure, printable};
use crate::image;
use crate::image::commit;
use crate::image::name::reference::Reference;
use crate::image::stored::usage::blocks;
use clap::Args;
use std::path::{Path, PathBuf};

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
    let user = container.spec()?.process().as_ref().map(|process| (process.user().uid(), process.user().gid()));
    let options = commit::Options {
        creator: user.filter(|(uid, _)| *uid != 0),
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
        let kind = if volume.name.is_some() { "volume" } else { "bind" };
        // What a host directory holds is not walked: it may be all of a disk.
        let size =
            volume.name.as_ref().filter(|_| !volume.is_in_memory).and_then(|_| blocks(Path::new(&volume.source)).ok());
        let size = size.map_or(String::new(), |bytes| format!(", {}", human::size(bytes)));
        super::stderr::note(&format!("not included: {kind} at {}{size}", volume.target));
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
