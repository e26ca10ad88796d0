//! `system df`: the disk usage of the store.

use super::format::Format;
use super::listing::{Fields, Listing, Row};
use super::{human, inside, json};
use crate::container::stored::record::Container;
use crate::diag::Failure;
use crate::explain::disk::{self, Share, StorePart};
use crate::image::stored::usage::{blocks, disk_usage};
use crate::store::Store;
use clap::Args;
use serde::Serialize;
use std::fs;

#[derive(Args)]
pub(super) struct DfArgs {
    /// Print JSON with sizes in bytes
    #[arg(long)]
    json: bool,
    /// List each image, container and volume
    #[arg(short, long, conflicts_with_all = ["json", "format"])]
    verbose: bool,
    /// Print through a template: json, 'table {{.Type}}\t{{.Reclaimable}}'
    #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: Format,
}

#[derive(Serialize)]
struct Usage {
    shares: Vec<Share>,
}

const FIELDS: Fields = &[
    ("Type", "TYPE"),
    ("TotalCount", "TOTAL"),
    ("Active", "ACTIVE"),
    ("Size", "SIZE"),
    ("Reclaimable", "RECLAIMABLE"),
];

fn title(kind: StorePart) -> &'static str {
    match kind {
        StorePart::Images => "Images",
        StorePart::Containers => "Containers",
        StorePart::Volumes => "Volumes",
        StorePart::BuildCache => "Build cache",
        StorePart::Records => "Records",
    }
}

pub(super) fn df(arguments: &DfArgs, store: &Store) -> Result<u8, Failure> {
    let columns = FIELDS.iter().map(|(field, _)| *field).collect();
    let listing = Listing::new(FIELDS, columns, &arguments.format)?;
    inside::enter(store)?;
    if arguments.verbose {
        return verbose(store);
    }
    let shares = disk::usage(store)?;
    if arguments.json {
        json::print(&Usage { shares })?;
        return Ok(0);
    }
    let count =
        |number: usize, of: StorePart| if of == StorePart::Records { String::new() } else { number.to_string() };
    let row = |share: &Share| {
        let percent = (share.reclaimable * 100).checked_div(share.size).unwrap_or(0);
        let mut row = Row::default();
        row.set("Type", title(share.kind));
        row.set("TotalCount", count(share.total, share.kind));
        row.set("Active", count(share.active, share.kind));
        row.set("Size", human::size(share.size));
        row.set("Reclaimable", format!("{} ({percent}%)", human::size(share.reclaimable)));
        row
    };
    let mut rows: Vec<Row> = shares.iter().map(row).collect();
    let all = |of: fn(&Share) -> u64| human::size(shares.iter().map(of).sum());
    let mut sum = Row::default();
    sum.set("Type", "All");
    sum.set("TotalCount", "");
    sum.set("Active", "");
    sum.set("Size", all(|share| share.size));
    sum.set("Reclaimable", all(|share| share.reclaimable));
    rows.push(sum);
    listing.print(&rows)?;
    Ok(0)
}

/// Lists each image, container and volume with its size on disk.
fn verbose(store: &Store) -> Result<u8, Failure> {
    let table = |title: &str, header: &[&str], rows: Vec<Vec<String>>| {
        let header = header.iter().map(|cell| (*cell).to_owned()).collect();
        println!("{title}:\n\n{}", human::list(header, rows));
    };
    let usage = disk_usage(store)?;
    let rows = usage.images.iter().map(|image| {
        let names = if image.names.is_empty() { "<none>".into() } else { image.names.join(", ") };
        vec![
            names,
            image.id.short(),
            human::ago(image.created.as_deref()),
            human::size(image.size),
            human::size(image.shared),
            human::size(image.size.saturating_sub(image.shared)),
            image.containers.len().to_string(),
        ]
    });
    let header = ["IMAGE", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS"];
    table("Images space usage", &header, rows.collect());
    let containers = Container::all(store);
    let mut rows = Vec::new();
    for container in &containers {
        let record = &container.record;
        rows.push(vec![
            container.short_id().to_owned(),
            record.image.clone(),
            record.volumes.iter().filter(|volume| volume.name.is_some()).count().to_string(),
            human::size(blocks(&container.directory)?),
            human::ago(Some(&record.created)),
            container.state().phase.to_string(),
            record.name.clone(),
        ]);
    }
    let header = ["CONTAINER ID", "IMAGE", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES"];
    table("Containers space usage", &header, rows);
    let mut rows = Vec::new();
    for entry in fs::read_dir(store.path("volumes")).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let mounted = containers.iter().flat_map(|container| &container.record.volumes);
        let links = mounted.filter(|volume| volume.name.as_ref() == Some(&name)).count();
        rows.push(vec![name, links.to_string(), human::size(blocks(&entry.path())?)]);
    }
    rows.sort();
    table("Local Volumes space usage", &["VOLUME NAME", "LINKS", "SIZE"], rows);
    let cache = crate::builder::walk::cache::usage(store)?;
    println!("Build cache usage: {}", human::size(cache.size));
    Ok(0)
}
