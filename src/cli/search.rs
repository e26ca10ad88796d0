//! `search`.

use super::flags::{Condition, RegistryFlags, boolean, filter, passes};
use super::format::Format;
use super::listing::{Fields, Listing, Row};
use crate::diag::{Failure, without_escapes};
use crate::registry::search::{Found, search};
use clap::Args;

const DESCRIPTION_WIDTH: usize = 45;

#[derive(Args)]
pub(super) struct SearchArguments {
    /// The term; REGISTRY/TERM searches another registry
    term: String,
    /// Limit the number of results
    #[arg(long, default_value_t = 25)]
    limit: usize,
    /// List only what matches: is-official=true, stars=NUMBER
    #[arg(short, long = "filter", value_name = "KEY=VALUE", value_parser = filter::<SearchFilter>)]
    filters: Vec<SearchFilter>,
    /// Print through a template: json, 'table {{.Name}}\t{{.StarCount}}'
    #[arg(long, value_name = "FORMAT", default_value = "", hide_default_value = true)]
    format: Format,
    /// Do not shorten descriptions
    #[arg(long)]
    no_trunc: bool,
    #[command(flatten)]
    registry: RegistryFlags,
}

/// A condition of `search --filter`.
#[derive(Debug, Clone)]
enum SearchFilter {
    Official(bool),
    Automated(bool),
    Stars(u64),
}

impl Condition for SearchFilter {
    const KEYS: &'static [&'static str] = &["is-automated", "is-official", "stars"];

    fn of(key: &str, value: &str) -> Result<Self, Option<String>> {
        Ok(match key {
            "is-automated" => Self::Automated(boolean(value)?),
            "is-official" => Self::Official(boolean(value)?),
            "stars" => Self::Stars(value.parse().map_err(|_| Some("it is a number".to_owned()))?),
            _ => return Err(None),
        })
    }
}

const FIELDS: Fields = &[
    ("Name", "NAME"),
    ("Description", "DESCRIPTION"),
    ("StarCount", "STARS"),
    ("IsOfficial", "OFFICIAL"),
    ("IsAutomated", "AUTOMATED"),
];

pub(super) fn run(arguments: &SearchArguments) -> Result<u8, Failure> {
    let columns = vec!["Name", "Description", "StarCount", "IsOfficial"];
    let listing = Listing::new(FIELDS, columns, &arguments.format)?;
    let found = search(&arguments.term, arguments.limit, &arguments.registry.settings())?;
    let fits = |found: &Found| {
        passes(&arguments.filters, |filter| match filter {
            SearchFilter::Official(is_official) => found.is_official == *is_official,
            // Docker Hub has given up automated builds.
            SearchFilter::Automated(is_automated) => !is_automated,
            SearchFilter::Stars(least) => found.star_count >= *least,
        })
    };
    let row = |found: Found| {
        // Anybody can have written it, and it goes to a terminal.
        let text: String = found.description.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        let text = without_escapes(&text).into_owned();
        let long = !arguments.no_trunc && text.chars().count() > DESCRIPTION_WIDTH;
        let text = if long { text.chars().take(DESCRIPTION_WIDTH - 1).chain(['…']).collect() } else { text };
        let mut row = Row::default();
        row.set("Name", found.name);
        row.set("Description", text);
        row.set("StarCount", found.star_count.to_string());
        row.set("IsOfficial", if found.is_official { "[OK]" } else { "" });
        row.set("IsAutomated", "");
        row
    };
    let rows: Vec<_> = found.into_iter().filter(fits).map(row).collect();
    listing.print(&rows)?;
    Ok(0)
}
