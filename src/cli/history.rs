//! `history`: the steps that an image was made in.

use super::format::Format;
use super::human;
use super::listing::{Fields, Listing, Row};
use crate::diag::Failure;
use crate::image;
use crate::image::name::platform::Platform;
use crate::image::{Image, ImageError};
use crate::store::Store;
use clap::Args;

#[derive(Args)]
pub(super) struct HistoryArguments {
    /// A name, an ID, or the beginning of an ID
    image: String,
    /// Print only IDs
    #[arg(short, long)]
    quiet: bool,
    /// Do not shorten IDs and commands
    #[arg(long)]
    no_trunc: bool,
    /// Print readable sizes and times; =false prints exact ones
    #[arg(short = 'H', long, default_value_t = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    human: bool,
    /// Print through a template: json, 'table {{.CreatedBy}}\t{{.Size}}'
    #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: Format,
    /// Show the image for this platform
    #[arg(long)]
    platform: Option<Platform>,
}

/// Docker's word for the steps whose images are not stored.
const MISSING: &str = "<missing>";
const COMMAND_WIDTH: usize = 45;

const FIELDS: Fields = &[
    ("ID", "IMAGE"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("CreatedBy", "CREATED BY"),
    ("Size", "SIZE"),
    ("Comment", "COMMENT"),
];

pub(super) fn history(store: &Store, arguments: &HistoryArguments) -> Result<u8, Failure> {
    let created = if arguments.human { "CreatedSince" } else { "CreatedAt" };
    let listing = Listing::new(FIELDS, vec!["ID", created, "CreatedBy", "Size", "Comment"], &arguments.format)?;
    let image = of_platform(store, &arguments.image, arguments.platform.as_ref())?;
    let id = if arguments.no_trunc { image.id.to_string() } else { image.id.short() };
    let mut rows = Vec::new();
    for (i, step) in image::history::history(store, &image)?.into_iter().enumerate() {
        let id = if i == 0 { id.clone() } else { MISSING.into() };
        if arguments.quiet && arguments.format == Format::Default {
            println!("{id}");
            continue;
        }
        let command = step.created_by.replace('\t', " ");
        let shorten = !arguments.no_trunc && command.chars().count() > COMMAND_WIDTH;
        let command = if shorten { command.chars().take(COMMAND_WIDTH - 1).chain(['…']).collect() } else { command };
        let mut row = Row::default();
        row.set("ID", id);
        row.set("CreatedSince", human::ago(step.created.as_deref()));
        row.set("CreatedAt", step.created.unwrap_or_default());
        row.set("CreatedBy", command);
        row.set("Size", if arguments.human { human::size(step.size) } else { step.size.to_string() });
        row.set("Comment", step.comment);
        rows.push(row);
    }
    if !arguments.quiet || arguments.format != Format::Default {
        listing.print(&rows)?;
    }
    Ok(0)
}

/// Opens an image, for a platform if one is given.
fn of_platform(store: &Store, name: &str, platform: Option<&Platform>) -> Result<Image, ImageError> {
    let Some(platform) = platform else { return image::find(store, name) };
    let none = || ImageError::NotFound {
        name: format!("{name} for {platform}"),
        hint: format!("get it: minirun pull --platform {platform} {name}"),
    };
    image::find_for(store, name, platform)?.ok_or_else(none)
}
