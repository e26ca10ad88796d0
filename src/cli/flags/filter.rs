//! `--filter KEY=VALUE` of every list.

use crate::cli::moment::Moment;
use crate::diag::Diagnose;
use jiff::Timestamp;
use std::mem;

/// A condition of one command's `--filter`.
pub(crate) trait Condition: Sized + Clone + Send + Sync + 'static {
    /// The keys, as an error lists them.
    const KEYS: &'static [&'static str];

    /// Parses the value of one of the keys.
    ///
    /// # Errors
    /// What is wrong with the value; `None` where the key is unknown.
    fn of(key: &str, value: &str) -> Result<Self, Option<String>>;

    /// Whether all conditions of this kind must hold, and not only one of them.
    fn is_cumulative(&self) -> bool {
        false
    }
}

#[derive(Debug, Clone, thiserror::Error)]
#[error("invalid filter {text:?}: {reason}")]
pub(crate) struct FilterError {
    text: String,
    reason: String,
    keys: &'static [&'static str],
}

impl Diagnose for FilterError {
    fn hint(&self) -> Option<String> {
        Some(format!("filters: {}", self.keys.join(" ")))
    }

    fn exit_code(&self) -> u8 {
        1
    }
}

/// Parses `KEY=VALUE`, or `KEY!=VALUE` where the command knows a key `KEY!`.
pub(crate) fn filter<C: Condition>(text: &str) -> Result<C, FilterError> {
    let invalid = |reason: String| FilterError { text: text.to_owned(), reason, keys: C::KEYS };
    let (key, value) = text.split_once('=').ok_or_else(|| invalid("a filter is KEY=VALUE".into()))?;
    C::of(key.trim(), value.trim())
        .map_err(|reason| invalid(reason.unwrap_or_else(|| format!("there is no key {:?}", key.trim()))))
}

/// Whether something passes the filters: of those with one key any, and so for each key, as with Docker.
pub(crate) fn passes<C: Condition>(filters: &[C], mut holds: impl FnMut(&C) -> bool) -> bool {
    let mut kinds = Vec::new();
    for filter in filters {
        let kind = mem::discriminant(filter);
        let group = |other: &&C| mem::discriminant(*other) == kind;
        if kinds.contains(&kind) {
            continue;
        }
        kinds.push(kind);
        let mut group = filters.iter().filter(group);
        let passed = if filter.is_cumulative() { group.all(&mut holds) } else { group.any(&mut holds) };
        if !passed {
            return false;
        }
    }
    true
}

/// `label=NAME` or `label=NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LabelFilter {
    name: String,
    value: Option<String>,
}

impl LabelFilter {
    pub(crate) fn new(text: &str) -> Self {
        match text.split_once('=') {
            Some((name, value)) => Self { name: name.to_owned(), value: Some(value.to_owned()) },
            None => Self { name: text.to_owned(), value: None },
        }
    }

    /// Whether it names no label.
    pub(crate) fn is_empty(&self) -> bool {
        self.name.is_empty()
    }

    /// Whether one of the labels is it.
    pub(crate) fn holds<'a>(&self, labels: impl IntoIterator<Item = (&'a String, &'a String)>) -> bool {
        let mut labels = labels.into_iter();
        labels.any(|(name, value)| *name == self.name && self.value.as_ref().is_none_or(|wanted| wanted == value))
    }
}

/// Parses the value of a filter that is true or false.
pub(crate) fn boolean(value: &str) -> Result<bool, Option<String>> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Some("it is true or false".into())),
    }
}

/// Parses the time of a filter `until`.
pub(crate) fn until(value: &str) -> Result<Timestamp, Option<String>> {
    let moment = value.parse::<Moment>();
    moment
        .map(|moment| moment.0)
        .map_err(|_| Some("a time is 2026-01-31T12:00:00Z, 2026-01-31, or how long ago: 10m, 1h30m".into()))
}

#[cfg(test)]
mod tests {
    use super::{Condition, LabelFilter, boolean, filter, passes};
    use std::collections::BTreeMap;

    #[derive(Clone)]
    enum Of {
        Label(LabelFilter),
        Even(bool),
        Is(String),
    }

    impl Condition for Of {
        const KEYS: &'static [&'static str] = &["even", "is", "label"];

        fn of(key: &str, value: &str) -> Result<Self, Option<String>> {
            Ok(match key {
                "even" => Self::Even(boolean(value)?),
                "is" => Self::Is(value.to_owned()),
                "label" => Self::Label(LabelFilter::new(value)),
                _ => return Err(None),
            })
        }

        fn is_cumulative(&self) -> bool {
            matches!(self, Self::Label(_))
        }
    }

    #[test]
    fn filters_of_one_kind_are_alternatives_except_labels() {
        let labels = BTreeMap::from([("a".to_owned(), "1".to_owned()), ("b".to_owned(), String::new())]);
        for (texts, expected) in [
            (&[][..], true),
            (&["is=3", "is=4"], true),
            (&["is=3"], false),
            (&["is=4", "even=true", "label=a"], true),
            (&["is=4", "even=0"], false),
            (&["label=a", "label=b"], true),
            (&["label=a=1", "label=c"], false),
            (&["label=a=2"], false),
        ] {
            let filters: Vec<Of> = texts.iter().map(|text| filter(text).unwrap()).collect();
            let passed = passes(&filters, |filter| match filter {
                Of::Label(label) => label.holds(&labels),
                Of::Even(even) => *even,
                Of::Is(text) => text == "4",
            });
            assert_eq!(passed, expected, "{texts:?}");
        }
        for (text, reason) in [("label", "KEY=VALUE"), ("colour=red", "colour"), ("even=perhaps", "true or false")] {
            let Err(error) = filter::<Of>(text) else { panic!("{text}") };
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
