//! `image prune` and `system prune`: remove what nothing uses.

use super::confirm::confirm;
use super::flags::PruneFilter;
use super::{Context, container, human, images, network, volume};
use crate::builder::BuildError;
use crate::builder::walk::cache;
use crate::diag::Failure;
use crate::image::name::digest::Digest;
use crate::image::stored::index;
use crate::image::stored::remove::{self, Removed};
use crate::image::stored::{layer, names};
use crate::image::{self, Image, ImageError};
use crate::journal::{self, Event, Kind};
use crate::store::Store;
use clap::Args;
use std::collections::HashMap;

#[derive(Args)]
pub(super) struct PruneArgs {
    /// Remove all images that no container uses, not only those without a name
    #[arg(short, long)]
    all: bool,
    /// Do not ask for confirmation
    #[arg(short, long)]
    force: bool,
    /// Remove only what matches: label=KEY, label!=KEY=VALUE, until=24h
    #[arg(long = "filter", value_name = "KEY=VALUE")]
    filters: Vec<PruneFilter>,
}

#[derive(Args)]
pub(super) struct SystemPruneArgs {
    #[command(flatten)]
    what: PruneArgs,
    /// Remove anonymous volumes that no container uses, too
    #[arg(long)]
    volumes: bool,
}

pub(super) fn system_prune(arguments: &SystemPruneArgs, context: &Context) -> Result<u8, Failure> {
    let SystemPruneArgs { what: arguments, volumes } = arguments;
    let store = &context.store;
    container::enter_to_prune(store)?;
    // A cached step has neither labels nor a time that a filter could mean.
    let is_filtered = !arguments.filters.is_empty();
    if !arguments.force && !confirm(&system_question(arguments.all, *volumes), "minirun system prune --force")? {
        return Ok(0);
    }
    let containers = container::remove_stopped(context, &arguments.filters);
    containers.print();
    let mut freed = containers.freed;
    if !is_filtered {
        network::prune_unused(store)?;
    }
    if *volumes {
        freed += volume::prune_unused(store, |volume| {
            let labels: Vec<(String, String)> = volume.record.labels.clone().into_iter().collect();
            Ok(volume.record.anonymous && PruneFilter::all_match(&arguments.filters, &volume.record.created, &labels))
        })?;
    }
    // Images first: a layer that the cache holds, too, is freed with its last holder.
    let images = prune_images(store, arguments.all, &arguments.filters)?;
    images.print();
    freed += images.freed;
    if !is_filtered {
        let before = cache::usage(store)?.size;
        cache::prune(store, None).map_err(BuildError::from)?;
        freed += before.saturating_sub(cache::usage(store)?.size);
    }
    println!("Total reclaimed space: {}", human::size(freed));
    Ok(u8::from(containers.has_failed))
}

fn system_question(all: bool, volumes: bool) -> String {
    let mut lines = vec!["WARNING! This will remove:", "  - all stopped containers"];
    lines.push("  - all networks not used by at least one container");
    lines.extend(volumes.then_some("  - all anonymous volumes not used by at least one container"));
    lines.push(if all {
        "  - all images without at least one container associated to them"
    } else {
        "  - all dangling images"
    });
    lines.push("  - the build cache");
    lines.extend(["", "Are you sure you want to continue?"]);
    lines.join("\n")
}

pub(super) fn image_prune(arguments: &PruneArgs, context: &Context) -> Result<u8, Failure> {
    let store = &context.store;
    super::inside::enter(store)?;
    let what = if arguments.all {
        "all images without at least one container associated to them"
    } else {
        "all dangling images"
    };
    let question = format!("WARNING! This will remove {what}.\nAre you sure you want to continue?");
    if !arguments.force && !confirm(&question, "minirun image prune --force")? {
        return Ok(0);
    }
    let pruned = prune_images(store, arguments.all, &arguments.filters)?;
    pruned.print();
    println!("Total reclaimed space: {}", human::size(pruned.freed));
    Ok(0)
}

/// The images that a prune has removed.
#[derive(Default)]
pub(super) struct PrunedImages {
    removed: Vec<Removed>,
    /// The bytes of the layers that went.
    pub freed: u64,
}

impl PrunedImages {
    /// Prints what went as Docker does, and an empty line; nothing where nothing went.
    pub(super) fn print(&self) {
        if self.removed.is_empty() {
            return;
        }
        println!("Deleted Images:");
        for one in &self.removed {
            match one {
                Removed::Untagged(reference) => println!("untagged: {}", reference.familiar()),
                Removed::Deleted(digest) => println!("deleted: {digest}"),
            }
        }
        println!();
    }
}

/// Removes the images without a name, or all that no container uses. Must run inside the user namespace.
pub(super) fn prune_images(store: &Store, all: bool, filters: &[PruneFilter]) -> Result<PrunedImages, Failure> {
    let mut pruned = PrunedImages::default();
    for id in image::all(store)? {
        let Ok(Some(image)) = Image::open(store, &id) else { continue };
        let names = names::of_image(store, &id)?;
        if !image::containers(store, &id).is_empty() || (!all && !names.is_empty()) {
            continue;
        }
        let labels: Vec<(String, String)> = images::labels(&image).into_iter().collect();
        let created = image.config().created().as_deref().unwrap_or_default();
        if !PruneFilter::all_match(filters, created, &labels) {
            continue;
        }
        let sizes: HashMap<Digest, u64> = image
            .layers
            .iter()
            .map(|layer| (*layer, layer::info(store, layer).ok().flatten().map_or(0, |info| info.size)))
            .collect();
        let removed = if names.is_empty() {
            // The images of an index go with it.
            if index::holding(store, &id).is_empty() { remove::unused(store, &id) } else { remove_dangling(store, &id) }
        } else {
            let each = names.iter().map(|name| remove::remove(store, &name.reference.to_string(), false));
            each.collect::<Result<Vec<_>, _>>().map(|all| all.into_iter().flatten().collect())
        };
        match removed {
            Ok(removed) => {
                let layers = removed.iter().filter_map(|one| match one {
                    Removed::Deleted(digest) => sizes.get(digest),
                    Removed::Untagged(_) => None,
                });
                pruned.freed += layers.sum::<u64>();
                pruned.removed.extend(removed);
            }
            // It was removed, or came into use, meanwhile.
            Err(ImageError::NotFound { .. } | ImageError::InUse { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    journal::note(store, &[Event::pruned(Kind::Image, pruned.freed)]);
    Ok(pruned)
}

/// Removes an image that indexes without names list.
fn remove_dangling(store: &Store, id: &Digest) -> Result<Vec<Removed>, ImageError> {
    match remove::remove(store, &id.to_string(), false) {
        // It is one of the platforms of an index, which stands for them all.
        Err(ImageError::Listed { .. }) => Ok(Vec::new()),
        other => other,
    }
}
