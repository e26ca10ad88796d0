//! The id of a container.

#![deny(clippy::indexing_slicing)]

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// An id of 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerId(String);

const LENGTH: usize = 64;

/// The number of digits that tables show.
const SHORT: usize = 12;

impl ContainerId {
    pub fn random() -> Self {
        Self(crate::store::random_hex(LENGTH / 2))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn short(&self) -> &str {
        self.0.get(..SHORT).unwrap_or(&self.0)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("invalid container id {0:?}")]
pub struct InvalidId(String);

impl FromStr for ContainerId {
    type Err = InvalidId;

    /// Parses a whole id, the name of a directory or the content of a file of the store.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let is_id = text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id { Ok(Self(text.to_owned())) } else { Err(InvalidId(text.to_owned())) }
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<Path> for ContainerId {
    fn as_ref(&self) -> &Path {
        self.0.as_ref()
    }
}

crate::store::record_as_text!(ContainerId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_64_hexadecimal_digits() {
        let id = "0a".repeat(32).parse::<ContainerId>().unwrap();
        assert_eq!(id.short(), "0a0a0a0a0a0a");
        assert_eq!(serde_json::from_str::<ContainerId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        for bad in ["", "0a", &"0g".repeat(32), &"é".repeat(32)] {
            assert!(bad.parse::<ContainerId>().is_err(), "{bad}");
        }
        assert!(serde_json::from_str::<ContainerId>("\"\"").is_err());
    }
}
