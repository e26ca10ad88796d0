//! A health check: what an image's HEALTHCHECK and the `--health-…` options ask for.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::str::FromStr;
use std::time::Duration;

/// A health check as Docker writes it in configs: times in nanoseconds, 0 where none is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct HealthCheck {
    /// `["CMD", …]`, `["CMD-SHELL", COMMAND]`, or `["NONE"]`; empty: the image's.
    pub test: Vec<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub timeout: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_period: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub start_interval: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub retries: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl HealthCheck {
    /// Returns the check of a container whose image has `of_image`: what is not given comes from there.
    pub(crate) fn over(self, of_image: &Value) -> Self {
        let below = Self::deserialize(of_image).unwrap_or_default();
        let or = |own: i64, other: i64| if own == 0 { other } else { own };
        Self {
            test: if self.test.is_empty() { below.test } else { self.test },
            interval: or(self.interval, below.interval),
            timeout: or(self.timeout, below.timeout),
            start_period: or(self.start_period, below.start_period),
            start_interval: or(self.start_interval, below.start_interval),
            retries: or(self.retries, below.retries),
        }
    }

    /// Returns the command of a probe. `None`: there is no check. `shell`: the image's SHELL.
    pub(crate) fn command(&self, shell: &[String]) -> Option<Vec<String>> {
        let (kind, words) = self.test.split_first()?;
        let command = match kind.as_str() {
            "CMD" => words.to_vec(),
            "CMD-SHELL" if shell.is_empty() => [&["/bin/sh".to_owned(), "-c".to_owned()], words].concat(),
            "CMD-SHELL" => [shell, words].concat(),
            _ => return None,
        };
        (!words.is_empty()).then_some(command)
    }

    /// The time between the end of a probe and the next one.
    pub(crate) fn interval(&self) -> Duration {
        or_seconds(self.interval, 30)
    }

    /// How long a probe may take.
    pub(crate) fn timeout(&self) -> Duration {
        or_seconds(self.timeout, 30)
    }

    /// The time after the start in which failures do not count.
    pub(crate) fn start_period(&self) -> Duration {
        or_seconds(self.start_period, 0)
    }

    /// The interval within the start period.
    pub(crate) fn start_interval(&self) -> Duration {
        or_seconds(self.start_interval, 5)
    }

    /// How many failures in a row make a container unhealthy.
    pub(crate) fn retries(&self) -> u32 {
        u32::try_from(self.retries).ok().filter(|retries| *retries > 0).unwrap_or(3)
    }
}

fn or_seconds(nanoseconds: i64, seconds: u64) -> Duration {
    let given = u64::try_from(nanoseconds).ok().filter(|given| *given > 0);
    given.map_or(Duration::from_secs(seconds), Duration::from_nanos)
}

/// `--health-on-failure`: what happens to a container that has become unhealthy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnUnhealthy {
    #[default]
    None,
    /// SIGKILL; its restart policy decides about the rest.
    Kill,
    /// It is stopped and started again, whatever its restart policy.
    Restart,
    /// It is stopped.
    Stop,
}

/// A time in Go's format, in nanoseconds: 0, or a millisecond at least.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct HealthTime(pub i64);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid time {text:?}: {why}")]
pub(crate) struct InvalidHealthTime {
    text: String,
    why: &'static str,
}

impl crate::diag::Diagnose for InvalidHealthTime {
    fn hint(&self) -> Option<String> {
        Some("a number with its unit: 30s, 1m30s, 500ms".into())
    }
}

/// The shortest time that a check may have, in nanoseconds, as with Docker.
pub(crate) const SHORTEST: i64 = 1_000_000;

impl FromStr for HealthTime {
    type Err = InvalidHealthTime;

    fn from_str(text: &str) -> Result<Self, InvalidHealthTime> {
        let wrong = |why| InvalidHealthTime { text: text.to_owned(), why };
        match super::duration::duration(text) {
            None if text.starts_with('-') => Err(wrong("it is negative")),
            None => Err(wrong("it is not a number with a unit")),
            Some(time) if (1..SHORTEST).contains(&time) => Err(wrong("the shortest is 1ms")),
            Some(time) => Ok(Self(time)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn options_come_before_the_image() {
        let of_image = json!({"Test": ["CMD-SHELL", "true"], "Interval": 5_000_000_000_i64, "Retries": 2});
        let own = HealthCheck { retries: 7, ..HealthCheck::default() };
        let check = own.over(&of_image);
        assert_eq!((check.interval(), check.retries()), (Duration::from_secs(5), 7));
        assert_eq!(check.command(&[]).unwrap(), ["/bin/sh", "-c", "true"]);
        assert_eq!(check.command(&["bash".into(), "-c".into()]).unwrap(), ["bash", "-c", "true"]);
        let none = HealthCheck { test: vec!["NONE".into()], ..HealthCheck::default() }.over(&of_image);
        assert_eq!(none.command(&[]), None);
        assert_eq!(HealthCheck::default().over(&Value::Null).command(&[]), None);
        assert_eq!(HealthCheck::default().over(&json!({"Test": "damaged"})), HealthCheck::default());
    }

    #[test]
    fn times_as_they_are_typed() {
        assert_eq!("1m30s".parse(), Ok(HealthTime(90_000_000_000)));
        assert_eq!("0".parse(), Ok(HealthTime(0)));
        for text in ["", "5", "-5s", "10us", "x"] {
            assert!(text.parse::<HealthTime>().is_err(), "{text}");
        }
    }
}
