//! `--restart`: when a container that has ended is started again.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RestartPolicy {
    #[default]
    No,
    /// After an exit code other than 0. `most`: at most so many times.
    OnFailure {
        most: Option<u32>,
    },
    Always,
    /// As `Always` while minirun runs the container: the two differ in what `start --filter` takes after a reboot.
    UnlessStopped,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid restart policy {text:?}: {why}")]
pub(crate) struct InvalidRestartPolicy {
    text: String,
    why: &'static str,
}

impl crate::diag::Diagnose for InvalidRestartPolicy {
    fn hint(&self) -> Option<String> {
        Some("policies: no, on-failure, on-failure:5, always, unless-stopped".into())
    }
}

impl RestartPolicy {
    /// The name without the number of retries, as `inspect` shows it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::OnFailure { .. } => "on-failure",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
        }
    }

    /// The most restarts, 0 for any number.
    pub(crate) fn most_retries(self) -> u32 {
        match self {
            Self::OnFailure { most } => most.unwrap_or(0),
            Self::No | Self::Always | Self::UnlessStopped => 0,
        }
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::OnFailure { most: Some(most) } => write!(f, "on-failure:{most}"),
            other => f.write_str(other.name()),
        }
    }
}

impl FromStr for RestartPolicy {
    type Err = InvalidRestartPolicy;

    fn from_str(text: &str) -> Result<Self, InvalidRestartPolicy> {
        let wrong = |why| InvalidRestartPolicy { text: text.to_owned(), why };
        let (name, most) = match text.split_once(':') {
            Some((name, most)) => (name, Some(most)),
            None => (text, None),
        };
        let policy = match name {
            // As in Docker, an empty value is the default.
            "no" | "" => Self::No,
            "on-failure" => Self::OnFailure { most: None },
            "always" => Self::Always,
            "unless-stopped" => Self::UnlessStopped,
            _ => return Err(wrong("unknown policy")),
        };
        match (policy, most) {
            (policy, None) => Ok(policy),
            (Self::OnFailure { .. }, Some(most)) => {
                let most: u32 = most.parse().map_err(|_| wrong("the number of retries is not a number"))?;
                Ok(Self::OnFailure { most: Some(most).filter(|most| *most > 0) })
            }
            _ => Err(wrong("only on-failure has a number of retries")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_as_they_are_typed() {
        for text in ["no", "on-failure", "on-failure:5", "always", "unless-stopped"] {
            assert_eq!(text.parse::<RestartPolicy>().unwrap().to_string(), text);
        }
        assert_eq!("on-failure:0".parse(), Ok(RestartPolicy::OnFailure { most: None }));
        assert_eq!("".parse(), Ok(RestartPolicy::No));
        for text in ["sometimes", "on-failure:", "on-failure:x", "on-failure:-1", "always:3", "no:1", ":1"] {
            assert!(text.parse::<RestartPolicy>().is_err(), "{text}");
        }
    }
}
