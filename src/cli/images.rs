//! `images`: the list of images.

use super::flags::{Condition, LabelFilter, boolean, filter, passes, until};
use super::format::Format;
use super::human;
use super::listing::{Fields, Listing, Row};
use crate::builder::files::glob::Glob;
use crate::diag::{self, Failure};
use crate::image;
use crate::image::Image;
use crate::image::name::digest::Digest;
use crate::image::name::reference::Reference;
use crate::image::stored::index::{self, Index};
use crate::image::stored::layer;
use crate::image::stored::names;
use crate::store::{self, Store};
use clap::Args;
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};

#[derive(Args)]
pub(super) struct ImagesArguments {
    /// A repository or name; *, ? and [a-z] match as in a shell
    #[arg(value_parser = pattern)]
    repository: Option<Glob>,
    /// Accepted for Docker's sake; all images are always listed
    #[arg(short, long)]
    all: bool,
    /// Print only IDs
    #[arg(short, long)]
    quiet: bool,
    /// Do not shorten IDs
    #[arg(long)]
    no_trunc: bool,
    /// Print the digests of the manifests too
    #[arg(long)]
    digests: bool,
    /// List only what matches, such as dangling=true, label=KEY, before=IMAGE
    #[arg(short, long = "filter", value_name = "KEY=VALUE", value_parser = filter::<ImageFilter>)]
    filters: Vec<ImageFilter>,
    /// Print through a template: json, 'table {{.Repository}}\t{{.Size}}', '{{.ID}}'
    #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: Format,
    /// Group names by their images, and show the platforms of each
    #[arg(long, conflicts_with_all = ["quiet", "format", "digests"])]
    tree: bool,
}

/// A condition of `images --filter`.
#[derive(Debug, Clone)]
enum ImageFilter {
    Dangling(bool),
    Label(LabelFilter),
    Before(String),
    Since(String),
    Until(Timestamp),
    Reference(Glob),
}

impl Condition for ImageFilter {
    const KEYS: &'static [&'static str] = &["before", "dangling", "label", "reference", "since", "until"];

    fn of(key: &str, value: &str) -> Result<Self, Option<String>> {
        Ok(match key {
            "dangling" => Self::Dangling(boolean(value)?),
            "label" => Self::Label(LabelFilter::new(value)),
            "before" => Self::Before(value.to_owned()),
            "since" => Self::Since(value.to_owned()),
            "until" => Self::Until(until(value)?),
            "reference" => Self::Reference(pattern(value).map_err(Some)?),
            _ => return Err(None),
        })
    }

    fn is_cumulative(&self) -> bool {
        matches!(self, Self::Label(_))
    }
}

const NONE: &str = "<none>";

const FIELDS: Fields = &[
    ("Repository", "REPOSITORY"),
    ("Tag", "TAG"),
    ("Digest", "DIGEST"),
    ("ID", "IMAGE ID"),
    ("CreatedSince", "CREATED"),
    ("CreatedAt", "CREATED AT"),
    ("Size", "SIZE"),
    ("VirtualSize", "SIZE"),
    ("SharedSize", "SHARED SIZE"),
    ("UniqueSize", "UNIQUE SIZE"),
    ("Containers", "CONTAINERS"),
];

/// A name of an image, or an image without one.
struct Entry {
    reference: Option<Reference>,
    digest: Option<Digest>,
    image: Image,
    created: String,
}

impl Entry {
    fn repository(&self) -> String {
        self.reference.as_ref().map_or_else(|| NONE.into(), Reference::familiar_repository)
    }

    fn tag(&self) -> String {
        self.reference.as_ref().and_then(|reference| reference.tag.clone()).unwrap_or_else(|| NONE.into())
    }
}

pub(super) fn images(store: &Store, arguments: &ImagesArguments) -> Result<u8, Failure> {
    let mut columns = vec!["Repository", "Tag", "ID", "CreatedSince", "Size"];
    if arguments.digests {
        columns.insert(2, "Digest");
    }
    let listing = Listing::new(FIELDS, columns, &arguments.format)?;
    let mut entries = entries(store)?;
    if let Some(wanted) = &arguments.repository {
        entries.retain(|entry| entry.reference.as_ref().is_some_and(|reference| is_wanted(reference, wanted)));
    }
    let times = times(store, &arguments.filters)?;
    entries.retain(|entry| passes(&arguments.filters, |filter| holds(filter, entry, &times)));
    // Newest first, as in Docker; RFC 3339 times of one zone sort as text.
    entries.sort_by(|a, b| {
        b.created.cmp(&a.created).then_with(|| (a.repository(), a.tag()).cmp(&(b.repository(), b.tag())))
    });
    if arguments.tree {
        return tree(store, &entries);
    }
    let shown = |id: &Digest| if arguments.no_trunc { id.to_string() } else { id.short() };
    if arguments.quiet && arguments.format == Format::Default {
        let mut seen = Vec::new();
        for entry in entries {
            if !seen.contains(&entry.image.id) {
                println!("{}", shown(&entry.image.id));
                seen.push(entry.image.id);
            }
        }
        return Ok(0);
    }
    let mut users: HashMap<Digest, usize> = HashMap::new();
    let is_shared = listing.wants("SharedSize") || listing.wants("UniqueSize");
    if is_shared {
        // Of each image once: several names share no bytes with each other.
        let images: BTreeMap<_, _> =
            self::entries(store)?.into_iter().map(|entry| (entry.image.id, entry.image)).collect();
        images.values().flat_map(|image| &image.layers).for_each(|layer| *users.entry(*layer).or_default() += 1);
    }
    let mut rows = Vec::new();
    for entry in &entries {
        let size = entry.image.size(store)?;
        let mut row = Row::default();
        row.set("Repository", entry.repository());
        row.set("Tag", entry.tag());
        row.set("Digest", entry.digest.map_or_else(|| NONE.into(), |digest| digest.to_string()));
        row.set("ID", shown(&entry.image.id));
        row.set("CreatedSince", human::ago(Some(&entry.created)));
        row.set("CreatedAt", human::instant(&entry.created));
        row.set("Size", human::size(size));
        row.set("VirtualSize", human::size(size));
        if is_shared {
            let common = entry.image.layers.iter().filter(|layer| users.get(*layer).is_some_and(|count| *count > 1));
            let mut shared = 0;
            for layer in common {
                shared += layer::known(store, layer)?.size;
            }
            row.set("SharedSize", human::size(shared));
            row.set("UniqueSize", human::size(size.saturating_sub(shared)));
        }
        if listing.wants("Containers") {
            row.set("Containers", image::containers(store, &entry.image.id).len().to_string());
        }
        rows.push(row);
    }
    listing.print(&rows)?;
    Ok(0)
}

/// Returns each name with its image, and the images without names.
fn entries(store: &Store) -> Result<Vec<Entry>, Failure> {
    let names = names::all(store)?;
    let mut entries = Vec::new();
    for name in &names {
        let (reference, digest) = (Some(name.reference.clone()), Some(name.manifest));
        entries.extend(open(store, &name.image).map(|(image, created)| Entry { reference, digest, image, created }));
    }
    for id in image::all(store)?.into_iter().filter(|id| names.iter().all(|n| n.image != *id)) {
        if !is_behind_another(store, &id) {
            let entry = open(store, &id);
            entries.extend(entry.map(|(image, created)| Entry { reference: None, digest: None, image, created }));
        }
    }
    Ok(entries)
}

/// Opens an image with the time when it was made. `None`: it has been removed since, or is damaged, which is printed.
fn open(store: &Store, id: &Digest) -> Option<(Image, String)> {
    let image = Image::open(store, id).unwrap_or_else(|error| {
        let path = image::directory(store, id).join("config.json");
        store::tell_damage(&path, &diag::why(&error));
        None
    })?;
    let created = image.config().created().clone().unwrap_or_default();
    Some((image, created))
}

/// Whether an index lists the image that another image stands for.
fn is_behind_another(store: &Store, id: &Digest) -> bool {
    let open = |digest: Digest| Index::open(store, &digest).ok().flatten();
    let mut holding = index::holding(store, id).into_iter().filter_map(open);
    holding.any(|index| index.main().image != *id)
}

fn pattern(text: &str) -> Result<Glob, String> {
    Glob::new(text).ok_or_else(|| "unclosed [".into())
}

/// Whether a name matches: `alpine` stands for each of its tags, `alpine:3.20` for that one.
fn is_wanted(reference: &Reference, wanted: &Glob) -> bool {
    let candidates = [reference.familiar_repository(), reference.familiar(), reference.name(), reference.to_string()];
    candidates.iter().any(|name| wanted.matches(name))
}

/// Returns the times of the images that filters name.
fn times(store: &Store, filters: &[ImageFilter]) -> Result<Vec<(String, String)>, Failure> {
    let mut times = Vec::new();
    for filter in filters {
        if let ImageFilter::Before(name) | ImageFilter::Since(name) = filter {
            let created = image::find(store, name)?.config().created().clone();
            times.push((name.clone(), created.unwrap_or_default()));
        }
    }
    Ok(times)
}

fn holds(filter: &ImageFilter, entry: &Entry, times: &[(String, String)]) -> bool {
    let instant = |text: &str| text.parse::<Timestamp>().unwrap_or(Timestamp::MIN);
    let of_image = |name: &String| times.iter().find(|(known, _)| known == name).map(|(_, time)| instant(time));
    let created = instant(&entry.created);
    match filter {
        ImageFilter::Dangling(is_dangling) => entry.reference.is_none() == *is_dangling,
        ImageFilter::Label(label) => label.holds(&labels(&entry.image)),
        ImageFilter::Before(name) => of_image(name).is_some_and(|time| created < time),
        ImageFilter::Since(name) => of_image(name).is_some_and(|time| created > time),
        ImageFilter::Until(time) => created < *time,
        ImageFilter::Reference(wanted) => {
            entry.reference.as_ref().is_some_and(|reference| is_wanted(reference, wanted))
        }
    }
}

/// Returns the labels of an image, sorted.
pub(super) fn labels(image: &Image) -> BTreeMap<String, String> {
    let labels = image.config().config().as_ref().and_then(|config| config.labels().clone());
    labels.into_iter().flatten().collect()
}

/// Prints each image once: its names, and below them the platforms of its index.
fn tree(store: &Store, entries: &[Entry]) -> Result<u8, Failure> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut seen: Vec<&Digest> = Vec::new();
    for entry in entries {
        if seen.contains(&&entry.image.id) {
            continue;
        }
        seen.push(&entry.image.id);
        let same = || entries.iter().filter(|other| other.image.id == entry.image.id);
        let names: Vec<String> = same().filter_map(|other| other.reference.as_ref().map(Reference::familiar)).collect();
        let in_use = !image::containers(store, &entry.image.id).is_empty();
        let size = human::size(entry.image.size(store)?);
        let label = if names.is_empty() { NONE.to_owned() } else { names.join(", ") };
        rows.push(vec![label, entry.image.id.short(), size, if in_use { "U" } else { "" }.to_owned()]);
        let opened = same().filter_map(|other| Index::open(store, &other.digest?).ok().flatten()).next();
        let members = opened.map(|index| index.members).unwrap_or_default();
        for (number, member) in members.iter().enumerate() {
            let branch = if number + 1 == members.len() { "└─" } else { "├─" };
            let platform = member.platform.as_ref().map_or_else(|| "unknown".into(), ToString::to_string);
            let size = open(store, &member.image).map_or(Ok(0), |(image, _)| image.size(store))?;
            let in_use = !image::containers(store, &member.image).is_empty();
            let mark = if in_use { "U" } else { "" }.to_owned();
            rows.push(vec![format!("{branch} {platform}"), member.image.short(), human::size(size), mark]);
        }
    }
    let header = ["IMAGE", "ID", "SIZE", "IN USE"].map(str::to_owned);
    print!("{}", human::list(header.into(), rows));
    Ok(0)
}
