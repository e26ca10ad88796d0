//! The JSON of minirun's own commands, as docs/json.md describes it. Commands of Docker print Docker's.

use crate::diag::{Diagnose, Failure};
use serde::Serialize;

/// Rises when a field changes its meaning or is removed. New fields do not count: readers ignore unknown ones.
const FORMAT: u32 = 1;

/// A result with its format. It is never a bare list, which could not name its format.
#[derive(Serialize)]
struct Formatted<'a, T> {
    format: u32,
    #[serde(flatten)]
    result: &'a T,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot write the result as JSON")]
struct Unwritable(#[from] serde_json::Error);

impl Diagnose for Unwritable {}

/// Prints one object over several lines.
///
/// # Errors
/// When `result` is not an object.
pub(super) fn print(result: &impl Serialize) -> Result<(), Failure> {
    println!("{}", serde_json::to_string_pretty(&Formatted { format: FORMAT, result }).map_err(Unwritable)?);
    Ok(())
}

/// Returns one object as one line, for commands that print a stream of objects.
///
/// # Errors
/// When `result` is not an object.
pub(super) fn line(result: &impl Serialize) -> Result<String, Failure> {
    Ok(serde_json::to_string(&Formatted { format: FORMAT, result }).map_err(Unwritable)?)
}
