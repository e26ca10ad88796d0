//! The id of a container.

#![deny(clippy::indexing_slicing)]

use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// An id of 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

const LENGTH: usize = 64;

/// The number of digits that tables show.
const SHORT: usize = 12;

impl ContainerId {
    pub fn random() -> Self {
        Self(crate::store::random_hex(LENGTH / 2))
    }

    /// Parses a whole id, the name of a directory or the content of a file of the store.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_id.then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn short(&self) -> &str {
        self.0.get(..SHORT).unwrap_or(&self.0)
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

impl TryFrom<String> for ContainerId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("invalid container id {text:?}"))
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> Self {
        id.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_64_hexadecimal_digits() {
        let id = ContainerId::parse(&"0a".repeat(32)).unwrap();
        assert_eq!(id.short(), "0a0a0a0a0a0a");
        assert_eq!(serde_json::from_str::<ContainerId>(&serde_json::to_string(&id).unwrap()).unwrap(), id);
        for bad in ["", "0a", &"0g".repeat(32), &"é".repeat(32)] {
            assert_eq!(ContainerId::parse(bad), None, "{bad}");
        }
        assert!(serde_json::from_str::<ContainerId>("\"\"").is_err());
    }
}
