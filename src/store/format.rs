//! The format that the store and its records are written in. What an older version wrote is read, and what a newer one wrote
//! is left alone.
//!
//! The store's number is in the file `format`, and each record that is a JSON object has it as its first field. A field
//! that is added gets a default. A change that this version's readers would misunderstand raises the number, and comes
//! with a migration of older stores.

#![deny(clippy::indexing_slicing)]

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;

pub(crate) const FORMAT: u32 = 1;

/// The format of stores and records without a number.
const FIRST: u32 = 1;

/// The file of the store with the number.
pub(crate) const FILE: &str = "format";

/// The format of a store by its file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum StoreFormat {
    Number(u32),
    /// The file cannot be understood.
    Damaged,
}

/// Reads the format of the store at `root`, which need not be there.
pub(crate) fn of(root: &Path) -> StoreFormat {
    let Ok(bytes) = fs::read(root.join(FILE)) else {
        return if root.join(FILE).is_dir() { StoreFormat::Damaged } else { StoreFormat::Number(FIRST) };
    };
    match str::from_utf8(&bytes).map(str::trim) {
        Ok(text) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            StoreFormat::Number(text.parse().unwrap_or(u32::MAX))
        }
        _ => StoreFormat::Damaged,
    }
}

/// Returns the text of the file.
pub(crate) fn text() -> String {
    format!("{FORMAT}\n")
}

#[derive(Serialize)]
struct Stamped<'a, T> {
    format: u32,
    #[serde(flatten)]
    record: &'a T,
}

#[derive(Deserialize)]
struct Stamp {
    #[serde(default = "first")]
    format: u32,
}

fn first() -> u32 {
    FIRST
}

/// Serializes a record, which must be a JSON object, with its format.
pub(crate) fn to_record<T: Serialize>(record: &T) -> Vec<u8> {
    serde_json::to_vec(&Stamped { format: FORMAT, record }).unwrap_or_default()
}

/// Reads a record that has the format of this version or an earlier one.
pub(crate) fn from_record<T: DeserializeOwned>(bytes: &[u8]) -> serde_json::Result<T> {
    let Stamp { format } = serde_json::from_slice(bytes)?;
    if format > FORMAT {
        let why = format!("it has format {format}, and this version of minirun reads formats up to {FORMAT}");
        return Err(serde_json::Error::custom(why));
    }
    serde_json::from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Example {
        name: String,
    }

    #[test]
    fn a_record_says_its_format() {
        let example = Example { name: "web".into() };
        let bytes = to_record(&example);
        assert_eq!(bytes, br#"{"format":1,"name":"web"}"#);
        assert_eq!(from_record::<Example>(&bytes).unwrap(), example);
        assert_eq!(from_record::<Example>(br#"{"name":"web"}"#).unwrap(), example);
        let newer = from_record::<Example>(br#"{"format":2,"name":"web"}"#).unwrap_err().to_string();
        assert!(newer.starts_with("it has format 2, "), "{newer}");
        assert!(from_record::<Example>(b"").is_err() && from_record::<Example>(br#"{"format":"x"}"#).is_err());
    }
}
