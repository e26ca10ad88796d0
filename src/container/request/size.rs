//! Sizes in bytes, as options take them.

use super::error::RequestError;

/// Parses a size in bytes: `64m`, `1.5g`, `1024`; units are powers of 1024.
pub(crate) fn size(text: &str) -> Result<u64, RequestError> {
    let wrong = || RequestError::Size(text.into());
    let lower = text.to_lowercase();
    let digits = lower.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match lower.strip_prefix(digits).unwrap_or_default() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        "t" | "tb" | "tib" => 1 << 40,
        _ => return Err(wrong()),
    };
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    if number.is_finite() && number >= 0.0 { Ok((number * factor as f64) as u64) } else { Err(wrong()) }
}
