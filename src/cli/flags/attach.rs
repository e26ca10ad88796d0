//! Flags about a terminal that is attached to a process.

use crate::diag::Diagnose;
use clap::Args;
use std::str::FromStr;

/// The bytes that detach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DetachKeys(pub Vec<u8>);

impl Default for DetachKeys {
    /// Docker's: Ctrl-P, Ctrl-Q.
    fn default() -> Self {
        Self(vec![16, 17])
    }
}

#[derive(Debug, thiserror::Error)]
#[error("invalid --detach-keys {0:?}")]
pub(crate) struct InvalidKeys(String);

impl Diagnose for InvalidKeys {
    fn hint(&self) -> Option<String> {
        Some("separate keys by commas; each is a letter, or ctrl- and a letter: --detach-keys ctrl-p,ctrl-q".into())
    }
}

impl FromStr for DetachKeys {
    type Err = InvalidKeys;

    /// Parses `ctrl-p,ctrl-q`. Nothing at all switches the keys off.
    fn from_str(text: &str) -> Result<Self, InvalidKeys> {
        if text.is_empty() {
            return Ok(Self(Vec::new()));
        }
        let key = |key: &str| match key.strip_prefix("ctrl-").map_or(key.as_bytes(), str::as_bytes) {
            [letter] if key.starts_with("ctrl-") && (b'@'..=b'_').contains(&letter.to_ascii_uppercase()) => {
                Ok(letter.to_ascii_uppercase() - b'@')
            }
            [letter] if !key.starts_with("ctrl-") => Ok(*letter),
            _ => Err(InvalidKeys(text.to_owned())),
        };
        text.split(',').map(key).collect::<Result<_, _>>().map(Self)
    }
}

#[derive(Args)]
pub(crate) struct DetachFlags {
    /// Set the keys that detach
    #[arg(long, value_name = "KEYS")]
    detach_keys: Option<DetachKeys>,
}

impl DetachFlags {
    pub(crate) fn keys(&self) -> DetachKeys {
        self.detach_keys.clone().unwrap_or_default()
    }
}

#[derive(Args)]
pub(crate) struct SignalFlags {
    /// Forward signals to the container
    #[arg(long, value_name = "BOOL", default_value = "true", num_args = 0..=1, require_equals = true, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub sig_proxy: bool,
}

#[cfg(test)]
mod tests {
    use super::DetachKeys;

    #[test]
    fn keys_by_their_names() {
        assert_eq!("ctrl-p,ctrl-q".parse::<DetachKeys>().unwrap(), DetachKeys::default());
        assert_eq!("a,ctrl-@".parse::<DetachKeys>().unwrap().0, [b'a', 0]);
        assert!("".parse::<DetachKeys>().unwrap().0.is_empty());
        assert!("ctrl-".parse::<DetachKeys>().is_err() && "ab".parse::<DetachKeys>().is_err());
    }
}
