//! The limits of every RUN, in `docker build`'s flags.

use crate::container::request::{Limits, RequestError, size};
use crate::diag::{Diagnose, inner_of};
use clap::Args;

#[derive(Args)]
pub(super) struct LimitArgs {
    /// Limit the memory of every RUN
    #[arg(short, long, value_name = "BYTES")]
    memory: Option<String>,
    /// Limit memory and swap together; -1 allows all swap
    #[arg(long, value_name = "BYTES", allow_hyphen_values = true)]
    memory_swap: Option<String>,
    /// Limit the processor time of every RUN per 100 ms
    #[arg(long, value_name = "MICROSECONDS")]
    cpu_quota: Option<u64>,
    #[arg(long, hide = true, value_name = "MICROSECONDS", requires = "cpu_quota")]
    cpu_period: Option<u64>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidLimit {
    #[error(transparent)]
    Size(#[from] RequestError),
    #[error("invalid --memory-swap {0:?}: it counts memory too, and needs a --memory that is not above it")]
    Swap(String),
    #[error(
        "invalid --cpu-quota {quota} in a period of {period}: the least quota is 1000, periods are 1000 to 1000000"
    )]
    Quota { quota: u64, period: u64 },
}

impl Diagnose for InvalidLimit {
    fn inner(&self) -> Option<&dyn Diagnose> {
        inner_of!(self; Size)
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Size(_) => self.inner().and_then(Diagnose::hint),
            Self::Swap(_) => Some("for example: --memory 512m --memory-swap 1g; without it no swap is used".into()),
            Self::Quota { .. } => Some("half a processor: --cpu-quota 50000".into()),
        }
    }
}

impl LimitArgs {
    pub(super) fn limits(&self) -> Result<Limits, InvalidLimit> {
        let memory = self.memory.as_deref().map(size).transpose()?;
        let swap = match self.memory_swap.as_deref() {
            None => None,
            Some(text) => {
                let both = if text == "-1" { Some(-1) } else { i64::try_from(size(text)?).ok() };
                let fits = |both: &i64| *both == -1 || memory.is_some_and(|memory| *both as u64 >= memory);
                Some(
                    both.filter(|both| memory.is_some() && fits(both))
                        .ok_or_else(|| InvalidLimit::Swap(text.into()))?,
                )
            }
        };
        let period = self.cpu_period.unwrap_or(100_000);
        let cpus = match self.cpu_quota {
            Some(quota) if quota < 1000 || !(1000..=1_000_000).contains(&period) => {
                return Err(InvalidLimit::Quota { quota, period });
            }
            quota => quota.map(|quota| quota as f64 / period as f64),
        };
        Ok(Limits { memory, swap, cpus, pids: None })
    }
}
