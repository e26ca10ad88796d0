//! `--filter` of the commands that remove what is not in use.

use super::filter::LabelFilter;
use crate::cli::moment::{InvalidMoment, Moment};
use crate::diag::{Diagnose, inner_of};
use std::str::FromStr;

/// One filter; what is removed matches all of them.
#[derive(Debug, Clone)]
pub(crate) enum PruneFilter {
    /// Made before this time.
    Until(Moment),
    /// Has the label, with this value if one is given.
    Label(LabelFilter),
    /// Does not have it.
    NoLabel(LabelFilter),
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidFilter {
    #[error("invalid filter {0:?}")]
    Unknown(String),
    #[error(transparent)]
    Moment(#[from] InvalidMoment),
}

impl Diagnose for InvalidFilter {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Moment)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Unknown(_) => Some("filters: until=24h, label=NAME, label=NAME=VALUE, label!=NAME".into()),
            Self::Moment(error) => error.hint(),
        }
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

impl FromStr for PruneFilter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        let unknown = || InvalidFilter::Unknown(text.to_owned());
        let (key, value) = text.split_once('=').ok_or_else(unknown)?;
        if key == "until" {
            return Ok(Self::Until(value.parse()?));
        }
        let label = LabelFilter::new(value);
        match key {
            "label" if !label.is_empty() => Ok(Self::Label(label)),
            "label!" if !label.is_empty() => Ok(Self::NoLabel(label)),
            _ => Err(unknown()),
        }
    }
}

impl PruneFilter {
    /// Whether all filters match a thing made at `created` (RFC 3339), with these labels.
    pub(crate) fn all_match(filters: &[Self], created: &str, labels: &[(String, String)]) -> bool {
        let has = |label: &LabelFilter| label.holds(labels.iter().map(|(name, value)| (name, value)));
        filters.iter().all(|filter| match filter {
            Self::Until(Moment(until)) => created.parse::<jiff::Timestamp>().is_ok_and(|created| created < *until),
            Self::Label(label) => has(label),
            Self::NoLabel(label) => !has(label),
        })
    }
}
