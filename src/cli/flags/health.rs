//! Flags about the health check of a container.

use crate::container::request::{HealthCheck, HealthTime, OnUnhealthy};
use clap::Args;

#[derive(Args)]
pub(crate) struct HealthFlags {
    /// Check the container's health with this command
    #[arg(long, value_name = "COMMAND")]
    health_cmd: Option<String>,
    /// Wait so long between health checks [default: 30s]
    #[arg(long, value_name = "TIME", default_value = "0", hide_default_value = true)]
    health_interval: HealthTime,
    /// Kill a health check that takes longer [default: 30s]
    #[arg(long, value_name = "TIME", default_value = "0", hide_default_value = true)]
    health_timeout: HealthTime,
    /// Call it unhealthy after so many failures [default: 3]
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    health_retries: u32,
    /// Count no failure for so long after the start
    #[arg(long, value_name = "TIME", default_value = "0", hide_default_value = true)]
    health_start_period: HealthTime,
    /// Wait so long between checks in that time [default: 5s]
    #[arg(long, value_name = "TIME", default_value = "0", hide_default_value = true)]
    health_start_interval: HealthTime,
    /// Set what happens to an unhealthy container
    #[arg(long, value_name = "ACTION", default_value = "none", hide_default_value = true)]
    pub health_on_failure: OnUnhealthy,
    /// Ignore the image's health check
    #[arg(long, conflicts_with_all = ["health_cmd", "health_interval", "health_timeout", "health_retries", "health_start_period", "health_start_interval", "health_on_failure"])]
    no_healthcheck: bool,
}

impl HealthFlags {
    /// Returns what was asked for, without what the image has.
    pub(crate) fn check(self) -> HealthCheck {
        let test = match self.health_cmd {
            _ if self.no_healthcheck => vec!["NONE".to_owned()],
            // As with Docker, an empty command leaves the image's check.
            Some(command) if !command.is_empty() => vec!["CMD-SHELL".to_owned(), command],
            _ => Vec::new(),
        };
        HealthCheck {
            test,
            interval: self.health_interval.0,
            timeout: self.health_timeout.0,
            start_period: self.health_start_period.0,
            start_interval: self.health_start_interval.0,
            retries: self.health_retries.into(),
        }
    }
}
