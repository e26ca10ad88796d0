//! `--filter` of the commands that remove what is not in use.

use crate::cli::moment::{InvalidMoment, Moment};
use crate::diag::{Diagnose, inner_of};
use std::str::FromStr;

/// One filter; what is removed matches all of them.
#[derive(Debug, Clone)]
pub(crate) enum PruneFilter {
    /// Made before this time.
    Until(Moment),
    /// Has the label, with this value if one is given.
    Label { name: String, value: Option<String> },
    /// Does not have it.
    NoLabel { name: String, value: Option<String> },
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
        let label = |text: &str| match text.split_once('=') {
            Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
            None => (text.to_owned(), None),
        };
        let filter = if let Some(time) = text.strip_prefix("until=") {
            return Ok(Self::Until(time.parse()?));
        } else if let Some((name, value)) = text.strip_prefix("label=").map(label) {
            Self::Label { name, value }
        } else if let Some((name, value)) = text.strip_prefix("label!=").map(label) {
            Self::NoLabel { name, value }
        } else {
            return Err(InvalidFilter::Unknown(text.to_owned()));
        };
        match &filter {
            Self::Label { name, .. } | Self::NoLabel { name, .. } if name.is_empty() => {
                Err(InvalidFilter::Unknown(text.to_owned()))
            }
            _ => Ok(filter),
        }
    }
}

impl PruneFilter {
    /// Whether all filters match a thing made at `created` (RFC 3339), with these labels.
    pub(crate) fn all_match(filters: &[Self], created: &str, labels: &[(String, String)]) -> bool {
        let has = |name: &str, value: &Option<String>| {
            labels.iter().any(|(n, v)| n == name && value.as_ref().is_none_or(|value| value == v))
        };
        filters.iter().all(|filter| match filter {
            Self::Until(Moment(until)) => created.parse::<jiff::Timestamp>().is_ok_and(|created| created < *until),
            Self::Label { name, value } => has(name, value),
            Self::NoLabel { name, value } => !has(name, value),
        })
    }
}
