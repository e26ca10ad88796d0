//! The health of a container, as its monitor found it.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Health as Docker's `inspect` shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Health {
    pub status: HealthStatus,
    /// Failures since the last success.
    pub failing_streak: u32,
    /// The last results, the newest last.
    pub log: Vec<ProbeResult>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HealthStatus {
    #[default]
    Starting,
    Healthy,
    Unhealthy,
}

impl fmt::Display for HealthStatus {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        })
    }
}

/// The result of one probe.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct ProbeResult {
    /// The time (RFC 3339).
    pub start: String,
    pub end: String,
    /// -1: it could not be started, or took too long.
    pub exit_code: i32,
    pub output: String,
}

/// The most results that are kept.
const MOST_RESULTS: usize = 5;

impl Health {
    pub(crate) fn is_starting(&self) -> bool {
        self.status == HealthStatus::Starting
    }

    /// Takes in a result. `counts`: a failure counts, because the start period is over. Returns whether the status has
    /// changed.
    pub(crate) fn take(&mut self, result: ProbeResult, counts: bool, retries: u32) -> bool {
        let before = self.status;
        if result.exit_code == 0 {
            (self.status, self.failing_streak) = (HealthStatus::Healthy, 0);
        } else if counts || self.status != HealthStatus::Starting {
            self.failing_streak += 1;
            if self.failing_streak >= retries {
                self.status = HealthStatus::Unhealthy;
            }
        }
        if self.log.len() >= MOST_RESULTS {
            self.log.drain(..=self.log.len() - MOST_RESULTS);
        }
        self.log.push(result);
        self.status != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count_after_the_start_period_and_a_success_forgives() {
        let mut health = Health::default();
        let mut take = |exit_code, counts| {
            let has_changed = health.take(ProbeResult { exit_code, ..ProbeResult::default() }, counts, 2);
            (health.status, health.failing_streak, has_changed, health.log.len())
        };
        use HealthStatus::{Healthy, Starting, Unhealthy};
        assert_eq!(take(1, false), (Starting, 0, false, 1));
        assert_eq!(take(1, true), (Starting, 1, false, 2));
        assert_eq!(take(0, true), (Healthy, 0, true, 3));
        // Once it was healthy, the start period is over.
        assert_eq!(take(1, false), (Healthy, 1, false, 4));
        assert_eq!(take(-1, true), (Unhealthy, 2, true, 5));
        assert_eq!(take(7, true), (Unhealthy, 3, false, 5));
        assert_eq!(take(0, true), (Healthy, 0, true, 5));
    }
}
