//! `search`.

use super::flags::RegistryFlags;
use super::human;
use crate::diag::{Diagnose, Failure, without_escapes};
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
    /// Filter results: is-official=true, stars=NUMBER
    #[arg(short, long = "filter", value_name = "FILTER")]
    filters: Vec<String>,
    /// Do not shorten descriptions
    #[arg(long)]
    no_trunc: bool,
    #[command(flatten)]
    registry: RegistryFlags,
}

#[derive(Debug, thiserror::Error)]
#[error("invalid filter {0:?}")]
struct InvalidFilter(String);

impl Diagnose for InvalidFilter {
    fn hint(&self) -> Option<String> {
        Some("filters: is-official=true, stars=NUMBER".into())
    }
}

pub(super) fn run(arguments: &SearchArguments) -> Result<u8, Failure> {
    let (mut official, mut least) = (None, 0);
    for filter in &arguments.filters {
        let invalid = || InvalidFilter(filter.clone());
        match filter.split_once('=').ok_or_else(invalid)? {
            ("is-official", value) => {
                official = Some(value.parse::<bool>().map_err(|_| invalid())?);
            }
            ("stars", value) => {
                least = value.parse::<u64>().map_err(|_| invalid())?;
            }
            _ => return Err(invalid().into()),
        }
    }
    let found = search(&arguments.term, arguments.limit, &arguments.registry.settings())?;
    let fits =
        |found: &Found| found.star_count >= least && official.is_none_or(|official| official == found.is_official);
    let row = |found: Found| {
        // Anybody can have written it, and it goes to a terminal.
        let text: String = found.description.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        let text = without_escapes(&text).into_owned();
        let long = !arguments.no_trunc && text.chars().count() > DESCRIPTION_WIDTH;
        let text = if long { text.chars().take(DESCRIPTION_WIDTH - 1).chain(['…']).collect() } else { text };
        let official = if found.is_official { "[OK]" } else { "" };
        vec![found.name, text, found.star_count.to_string(), official.to_owned()]
    };
    let rows: Vec<_> = found.into_iter().filter(fits).map(row).collect();
    print!("{}", human::table(&["NAME", "DESCRIPTION", "STARS", "OFFICIAL"], &rows));
    Ok(0)
}
