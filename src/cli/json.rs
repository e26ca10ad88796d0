//! The one form of JSON that minirun's own commands print; docs/json.md describes it. Docker's formats stay Docker's.

use crate::diag::{Diagnose, Failure};
use serde::Serialize;

/// Rises when a field changes its meaning or goes. A new field does not count: readers pass over what they do not know.
const FORMAT: u32 = 1;

/// An object, never a bare list: a list could not say which format it has.
#[derive(Serialize)]
struct Formatted<'a, T> {
    format: u32,
    #[serde(flatten)]
    found: &'a T,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write the result as JSON")]
struct Unwritable(#[from] serde_json::Error);

impl Diagnose for Unwritable {}

/// Prints one object, for a reader and for programs.
///
/// # Errors
/// When `found` is not an object.
pub(super) fn print(found: &impl Serialize) -> Result<(), Failure> {
    println!("{}", serde_json::to_string_pretty(&Formatted { format: FORMAT, found }).map_err(Unwritable)?);
    Ok(())
}

/// One object in one line, for commands that print one after another.
///
/// # Errors
/// When `found` is not an object.
pub(super) fn line(found: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string(&Formatted { format: FORMAT, found }).map_err(Unwritable)?)
}
